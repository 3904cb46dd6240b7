package answers

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"jouletop/engine"
	"jouletop/engine/analysis/answers/answerstest"
	"jouletop/engine/analysis/curve/curvetest"
	"jouletop/engine/session"
	"jouletop/workloads"
	"jouletop/workloads/difficulty"
	"jouletop/workloads/features"
)

func TestAnswersAreMeansOverRepeats(t *testing.T) {
	a := answersOf(t, answerstest.Record(t, session.Manifest{Models: []engine.ModelInfo{{Name: "mystery", Parameters: 2e9}}}, []answerstest.Ran{
		ran(1, "p.r1", "llama-3.1-8b", "q1", "fixed:1000", "", 4, 1, 1),
		ran(1, "p.r2", "llama-3.1-8b", "q1", "fixed:1000", "", 8, 3, 0),
		ran(1, "p.r1", "mystery", "q1", "fixed:1000", "", 1, 1, 1),
		ran(1, "p.r1", "sizeless", "q1", "fixed:1000", "", 1, 1, 1),
	}))
	if len(a.Models) != 2 || a.Models[0] != (difficulty.Model{Name: "mystery", ParamsB: 2}) || a.Models[1].ParamsB != 8 {
		t.Errorf("models %+v", a.Models)
	}
	if len(a.Notes) != 1 || !strings.Contains(a.Notes[0], "sizeless") {
		t.Errorf("notes %q", a.Notes)
	}
	d := a.Data([]workloads.Query{{Dataset: "d", ID: "q1"}, {Dataset: "d", ID: "q2"}}, make([]features.Features, 2))
	curvetest.Near(t, "quality", d.Records[0].Quality[1], 0.5, 0)
	if !math.IsNaN(d.Records[1].Quality[0]) || a.Answered(d) != 1 {
		t.Errorf("q2 was not answered: %v, %d", d.Records[1].Quality, a.Answered(d))
	}
	o := a.outcomes(d, costPlace{"sim:x", 1, "1000"}, "llama-3.1-8b")
	curvetest.Near(t, "energy", o[0].EnergyJ, 6, 0)
	curvetest.Near(t, "latency", o[0].LatencyS, 2, 0)
}

func TestClocks(t *testing.T) {
	for policy, want := range map[string]string{
		"fixed:1980": "1980", "phase:1980/1155": "1980/1155", "none": "default", "": "default", "min-energy": "min-energy",
	} {
		if got := clockLabel(policy); got != want {
			t.Errorf("clockLabel(%q) = %q, want %q", policy, got, want)
		}
	}
	for _, c := range []struct {
		settings []string // below the baseline, highest first
		want     string
	}{
		{[]string{"960", "180"}, "180"},
		{[]string{"960", "180", "2842/180"}, "2842/180"},
		{[]string{"960", "default", "min-energy"}, "960"},
		{[]string{"min-energy"}, "min-energy"},
	} {
		if got := savingClock(c.settings); got != c.want {
			t.Errorf("savingClock(%q) = %q, want %q", c.settings, got, c.want)
		}
	}
}

func TestMeasured(t *testing.T) {
	queries := []workloads.Query{{Dataset: "d", ID: "q1"}, {Dataset: "d", ID: "q2"}}
	for _, c := range []struct {
		name      string
		rows      []answerstest.Ran
		high, low string
		batch     int
		ok        bool
	}{
		{"two clocks", answerstest.Grid(4, "fixed:2000", "fixed:500"), "2000", "500", 4, true},
		{"the lowest of three", answerstest.Grid(4, "fixed:2000", "fixed:500", "fixed:1000"), "2000", "500", 4, true},
		{"phase-aware rather than low", answerstest.Grid(4, "fixed:2000", "fixed:500", "phase:2000/900"), "2000", "2000/900", 4, true},
		{"the driver's default for want of a fixed clock", answerstest.Grid(1, "none", "phase:2000/900"), "default", "2000/900", 1, true},
		{"the smaller batch", append(answerstest.Grid(8, "fixed:2000", "fixed:500"), answerstest.Grid(4, "fixed:2000", "fixed:500")...), "2000", "500", 4, true},
		{"a batch of one clock is passed over", append(answerstest.Grid(8, "fixed:2000", "fixed:500"), answerstest.Grid(4, "fixed:2000")...), "2000", "500", 8, true},
		{"one clock", answerstest.Grid(4, "fixed:2000"), "", "", 0, false},
		{"a clock that a model lacks", slices.DeleteFunc(answerstest.Grid(4, "fixed:2000", "fixed:500"), func(r answerstest.Ran) bool { return r.Model == "a-1b" && r.Policy == "fixed:500" }), "", "", 0, false},
		{"a clock that one query lacks", answerstest.Grid(4, "fixed:2000", "fixed:500")[:7], "", "", 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := answersOf(t, answerstest.Record(t, session.Manifest{}, c.rows))
			m, high, low, at, ok := a.measured(a.Data(queries, make([]features.Features, 2)))
			if ok != c.ok || high != c.high || low != c.low || at.batch != c.batch {
				t.Fatalf("%s over %s at batch %d, %v; want %s over %s at %d, %v", high, low, at.batch, ok, c.high, c.low, c.batch, c.ok)
			}
			if ok && len(m[difficulty.Setting{Model: "a-1b", Clock: low}]) != 2 {
				t.Errorf("outcomes %+v", m)
			}
		})
	}
}

func TestRouted(t *testing.T) {
	rows := []answerstest.Ran{
		// Two easy queries to the small model, one hard to the middle one.
		routed(4, "a-1b-4-phase-2000-900", "a-1b", "q1", "phase:2000/900", "easy", 1, 1, 1),
		routed(4, "a-1b-4-phase-2000-900", "a-1b", "q2", "phase:2000/900", "easy", 2, 2, 0),
		routed(4, "b-8b-4-phase-2000-900", "b-8b", "q3", "phase:2000/900", "hard", 30, 3, 1),
		// The baseline.
		ran(4, "c-32b-4-c2000", "c-32b", "q1", "fixed:2000", "easy", 10, 4, 1),
		ran(4, "c-32b-4-c2000", "c-32b", "q2", "fixed:2000", "easy", 10, 4, 1),
		ran(4, "c-32b-4-c2000", "c-32b", "q3", "fixed:2000", "hard", 40, 4, 1),
		// A lower clock is no baseline, and another batch size is other work.
		ran(4, "c-32b-4-c1000", "c-32b", "q1", "fixed:1000", "easy", 5, 5, 1),
		ran(8, "c-32b-8-c3000", "c-32b", "q1", "fixed:3000", "easy", 5, 5, 1),
	}
	got, baseline, clock := answersOf(t, answerstest.Record(t, session.Manifest{}, rows)).Routed()
	if baseline != "c-32b" || clock != "2000" || len(got) != 3 {
		t.Fatalf("baseline %s at %s, rows %+v", baseline, clock, got)
	}
	easy, hard, all := got[0], got[1], got[2]
	if easy.Class != "easy" || easy.Queries != 2 || !slices.Equal(easy.Models, []string{"a-1b"}) || hard.Class != "hard" || all.Class != "all" || all.Resolved != 3 {
		t.Errorf("rows %+v", got)
	}
	curvetest.Near(t, "easy energy", easy.EnergyJ, 3, 1e-12)
	curvetest.Near(t, "easy saving", easy.Saving(), 1-3.0/20, 1e-12)
	curvetest.Near(t, "easy quality", easy.Quality, 0.5, 1e-12)
	curvetest.Near(t, "easy latency", easy.LatencyS, 1.5, 1e-9)
	curvetest.Near(t, "saving of all", all.Saving(), 1-33.0/60, 1e-12)
	curvetest.Near(t, "baseline's quality", all.BaselineQuality, 1, 1e-12)

	// Where an energy is unresolved, both sides leave the query out.
	rows[1].Joules = math.NaN()
	got, _, _ = answersOf(t, answerstest.Record(t, session.Manifest{}, rows)).Routed()
	if got[0].Resolved != 1 || got[0].Queries != 2 {
		t.Errorf("rows %+v", got)
	}
	curvetest.Near(t, "easy saving, one query", got[0].Saving(), 1-1.0/10, 1e-12)

	// Routed queries are no sample of their models.
	a := answersOf(t, answerstest.Record(t, session.Manifest{}, rows))
	if len(a.Models) != 1 || a.Models[0].Name != "c-32b" {
		t.Errorf("models %+v", a.Models)
	}
	// Without the baseline there is nothing to compare with.
	got, baseline, _ = answersOf(t, answerstest.Record(t, session.Manifest{}, rows[:3])).Routed()
	if baseline != "" || !math.IsNaN(got[0].BaselineJ) {
		t.Errorf("baseline %q, rows %+v", baseline, got)
	}
	if got, _, _ := answersOf(t, answerstest.Record(t, session.Manifest{}, rows[3:])).Routed(); got != nil {
		t.Errorf("nothing was routed: %+v", got)
	}
}

func TestQueries(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "mine.jsonl")
	if err := os.WriteFile(path, []byte("{\"prompt\":\"one\"}\n{\"prompt\":\"two\"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	with := func(d ...session.Dataset) *session.Session {
		return &session.Session{Dir: "s", Manifest: &session.Manifest{Datasets: d}}
	}
	queries, err := Queries([]*session.Session{
		with(session.Dataset{Name: "mine", Path: path, Rows: 1}),
		with(session.Dataset{Name: "mine", Path: path, Rows: 3}, session.Dataset{Name: "boolq", Path: "builtin:boolq", Rows: 2}),
	})
	if err != nil || len(queries) != 5 || queries[2].ID != "r1#2" || queries[3].Dataset != "boolq" {
		t.Fatalf("%v, %+v", err, queries)
	}
	for name, s := range map[string][]*session.Session{
		"another content":   {with(session.Dataset{Name: "mine", Path: path, Rows: 1, SHA256: "of other content"})},
		"no file":           {with(session.Dataset{Name: "mine", Path: path + "x", Rows: 1})},
		"no dataset":        {with()},
		"two of one name":   {with(session.Dataset{Name: "mine", Path: path, Rows: 1, SHA256: "a"}), with(session.Dataset{Name: "mine", Path: path, Rows: 1, SHA256: "b"})},
		"no built-in of it": {with(session.Dataset{Name: "gsm8k", Path: "builtin:gsm8k", Rows: 1})},
	} {
		if _, err := Queries(s); !errors.Is(err, ErrQueries) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func answersOf(t *testing.T, s ...*session.Session) *Answers {
	t.Helper()
	a, err := New(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// ran is a row of answerstest, its fields in order.
func routed(batch int, point, model, query, policy, class string, joules, seconds, quality float64) answerstest.Ran {
	r := ran(batch, point, model, query, policy, class, joules, seconds, quality)
	r.Routed = true
	return r
}

func ran(batch int, point, model, query, policy, class string, joules, seconds, quality float64) answerstest.Ran {
	return answerstest.Ran{Point: point, Batch: batch, Model: model, Query: query, Policy: policy, Class: class, Joules: joules, Seconds: seconds, Quality: quality}
}
