package report

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"jouletop/engine/event"
	"jouletop/gpu"
)

// knobPoint is a point at a setting whose prefill and decode took so long, held by what
// is told; repeats differ by nothing.
func knobPoint(s gpu.Setting, prefillS, decodeS float64, prefill, decode event.Held) []event.PointDone {
	var out []event.PointDone
	for r := range 2 {
		p := event.PointDone{Point: event.Point{
			PointID: fmt.Sprint(s, r), GPU: "sim:x", Model: "llama-3.1-8b", Dataset: "truthfulqa", BatchSize: 8, Queries: 8, Repeat: r + 1,
			RequestedSMMHz: s.SMMHz, Knobs: s.Others(), Policy: event.Policy{Kind: event.FixedKnobs, MHz: s.SMMHz, Knobs: s.Others()}.String(),
		}}
		if s.Others() == (gpu.Setting{}) {
			p.Policy = event.Policy{Kind: event.FixedClock, MHz: s.SMMHz}.String()
		}
		p.PrefillS, p.DecodeS, p.LatencyS, p.EnergyJ = prefillS, decodeS, prefillS+decodeS, 100+float64(r)/100
		p.Held = event.UnknownHeld()
		p.Held.Prefill, p.Held.Decode = prefill, decode
		out = append(out, p)
	}
	return out
}

func TestKnobsTable(t *testing.T) {
	power := func(pct float64) event.Held { return event.Held{By: event.HeldByPower, Pct: pct} }
	nothing, unknown := event.Held{By: event.HeldByNothing}, event.Held{Pct: math.NaN()}
	var points []event.PointDone
	for _, ps := range [][]event.PointDone{
		knobPoint(gpu.Setting{SMMHz: 1980, PowerW: 700}, 1, 10, power(72), nothing),
		knobPoint(gpu.Setting{SMMHz: 1980, PowerW: 500}, 1.3, 10, power(100), nothing),
		knobPoint(gpu.Setting{SMMHz: 1980, PowerW: 400}, 1.4, 10.01, unknown, unknown),
		knobPoint(gpu.Setting{SMMHz: 1005, PowerW: 400}, 1.5, 10.5, nothing, nothing),
	} {
		points = append(points, ps...)
	}
	table := Knobs(points)
	var got []string
	for _, r := range table.Rows {
		got = append(got, fmt.Sprintf("%s: %s %s", r[3].Text, r[9].Text, r[10].Text))
	}
	want := []string{
		"sm=1980,power=700: power, 72 % of the time nothing",
		"sm=1980,power=500: power, 100 % of the time nothing",
		"sm=1980,power=400: power* nothing*",
		"sm=1005,power=400: nothing nothing",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("rows\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if c := table.Rows[1][7]; math.Abs(c.Value-30) > 0.01 {
		t.Errorf("prefill %v slower than its reference, want 30 %%", c.Value)
	}
	if !math.IsNaN(table.Rows[3][7].Value) {
		t.Error("a setting without another limit has a reference")
	}
	notes := strings.Join(table.Notes, "\n")
	for _, want := range []string{
		"The power limit binds in prefill of llama-3.1-8b (truthfulqa) at batch 8: 700 W, 500 W, 400 W, for up to 100 % of its time",
		"This cap never binds in decode of llama-3.1-8b (truthfulqa) at batch 8: 700 W, 500 W, 400 W.",
		"*: the samples do not tell",
	} {
		if !strings.Contains(notes, want) {
			t.Errorf("notes lack %q:\n%s", want, notes)
		}
	}
}

// Where no other knob was set there is no table, but a word on the card's own limit where
// it held the clock.
func TestKnobsOfPlainPoints(t *testing.T) {
	nothing := event.Held{By: event.HeldByNothing}
	points := knobPoint(gpu.Setting{SMMHz: 1980}, 1, 10, event.Held{By: event.HeldByPower, Pct: 72}, nothing)
	table := Knobs(points)
	if len(table.Rows) != 0 || len(table.Notes) != 1 || !strings.Contains(table.Notes[0], "binds in prefill") || !strings.Contains(table.Notes[0], "the limit as it was, for up to 72 %") {
		t.Errorf("%d rows, notes %q", len(table.Rows), table.Notes)
	}
	if table := Knobs(knobPoint(gpu.Setting{SMMHz: 1980}, 1, 10, nothing, nothing)); len(table.Notes) != 0 {
		t.Errorf("notes %q of what held nothing", table.Notes)
	}
}
