package report

import (
	"math"
	"testing"

	"jouletop/engine/analysis/curve/curvetest"
	"jouletop/engine/event"
)

func draftedPoint(by string, depth, repeat int, joules float64) event.PointDone {
	p := curvetest.Point(1980, repeat, joules, 1)
	p.EnergyErrJ = 1
	p.Drafting = event.Drafting{Draft: by, DraftDepth: depth}
	p.Drafted = event.NoneDrafted
	if depth > 0 {
		p.Drafted = event.Drafted{MeanDraftTokens: 80, MeanAcceptedTokens: 60, DraftedEnergy: event.DraftedEnergy{DraftJ: joules / 4, DraftErrJ: 1, VerifyJ: joules / 2, VerifyErrJ: 2}}
	}
	return p
}

// Depths stand in their order, each against decoding plainly; repeats are averaged, and
// what nobody drafted has no table.
func TestDrafts(t *testing.T) {
	if got := Drafts([]event.PointDone{draftedPoint("", 0, 1, 100)}); len(got.Rows) != 0 {
		t.Errorf("%v", got.Rows)
	}
	table := Drafts([]event.PointDone{
		draftedPoint("self", 4, 1, 60), draftedPoint("self", 0, 1, 100), draftedPoint("self", 4, 2, 80), draftedPoint("ngram", 4, 1, 90), draftedPoint("", 0, 1, 120),
	})
	columns, rows := table.Texts(false)
	at := func(row int, column string) string {
		for i, c := range columns {
			if c == column {
				return rows[row][i]
			}
		}
		t.Fatalf("no column %s of %v", column, columns)
		return ""
	}
	if len(rows) != 3 {
		t.Fatalf("%v", rows)
	}
	for _, c := range []struct {
		row          int
		column, want string
	}{
		{0, "draft", "ngram"}, {0, "EΔ %", "-25.0 ±1.0"}, {0, "LΔ %", "0.0"}, // against the same without
		{1, "depth", "0"}, {1, "EΔ %", ""}, {1, "accepted %", ""},
		{2, "depth", "4"}, {2, "accepted %", "75.0"}, {2, "EΔ %", "-30.0 ±127.1"}, // by two repeats that differ so
	} {
		if got := at(c.row, c.column); got != c.want {
			t.Errorf("row %d, %s: %q, want %q", c.row, c.column, got, c.want)
		}
	}
	unresolved := draftedPoint("self", 4, 2, math.NaN())
	unresolved.EnergyErrJ = math.NaN()
	_, rows = Drafts([]event.PointDone{unresolved, draftedPoint("self", 4, 1, 80)}).Texts(false)
	if got := rows[0][12]; got != "80.0 ±1.0" {
		t.Errorf("of one repeat that is resolved: %q", got)
	}
	if r := table.Rows[2]; math.Abs(r[9].Value-(60+80)*0.75/2/60) > 1e-9 {
		t.Errorf("J/accepted %v", r[9].Value)
	}
}
