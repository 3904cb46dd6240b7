package session

import (
	"path/filepath"
	"strings"
	"testing"

	"jouletop/engine/event"
)

// Every cell of every file is there by its column, as it was, whatever a spreadsheet
// would have made of it; and reading a row back gives what was written.
func TestCellsAndTextsThatLookLikeFormulas(t *testing.T) {
	for _, evil := range []string{"=1+1", "+1", "-1", "@a", "\t=1", "\r=1", " =1", "'=1", `=HYPERLINK("http://example.org","a, b")`} {
		dir := filepath.Join(t.TempDir(), "s")
		rec, err := Create(dir, manifest(), Full)
		if err != nil {
			t.Fatal(err)
		}
		s, p, ph, rq, cc, pd := rows()
		rq.RequestID, rq.Model, rq.QueryID, rq.Dataset, rq.Class, rq.Err, rq.QualityMetric = evil, evil, evil, evil, evil, evil, evil
		cc.Err, cc.Cause = evil, event.Cause{By: event.ByPolicy, Policy: evil}
		pd.Model, pd.Dataset, ph.Model, p.Source = evil, evil, evil, evil
		for _, e := range []event.Event{s, p, ph, rq, iteration(), cc, pd, hostPower()} {
			rec.Record(e)
		}
		if err := rec.Close(); err != nil {
			t.Fatal(err)
		}
		ses, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		want := strings.ReplaceAll(evil, "\r", " ") // a row is a line
		if err := ses.Requests(func(r *event.RequestEnergy) error {
			for _, got := range []string{r.RequestID, r.Model, r.QueryID, r.Dataset, r.Class, r.Err, r.QualityMetric} {
				if got != want {
					t.Errorf("%q was read as %q", evil, got)
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		seen := 0
		for file := range csvFiles {
			columns := Columns(file)
			if err := ses.Cells(file, func(cells []string) error {
				if len(cells) != len(columns) {
					t.Errorf("%s: %d cells, %d columns", file, len(cells), len(columns))
				}
				for i, c := range columns {
					if c.Name == "model" && file != IterationsFile && cells[i] != want {
						t.Errorf("%s: model %q, want %q", file, cells[i], want)
					}
				}
				seen++
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		}
		if seen != len(csvFiles) {
			t.Errorf("%d rows, want one of each of %d files", seen, len(csvFiles))
		}
		raw := 0
		for file := range csvFiles {
			if err := eachLine(filepath.Join(dir, file), func(line []byte) error {
				for rest := line; ; {
					cell, after, last, err := cutCell(rest)
					if err != nil {
						return err
					}
					if t := strings.TrimLeft(cell, " \t\r"); t != "" && strings.ContainsAny(t[:1], "=+-@") {
						raw++
					}
					if last {
						return nil
					}
					rest = after
				}
			}); err != nil {
				t.Fatal(err)
			}
		}
		if raw > 0 {
			t.Errorf("%q: %d cells that a spreadsheet would calculate", evil, raw)
		}
	}
}

// Units are those in the columns' names.
func TestUnits(t *testing.T) {
	got := map[string]string{}
	for file := range csvFiles {
		for _, c := range Columns(file) {
			got[c.Name] = c.Unit
		}
	}
	for name, want := range map[string]string{
		"t_ns": "ns", "energy_j": "J", "energy_err_j": "J", "sm_mhz": "MHz", "sm_mhz_mean": "MHz", "latency_s": "s", "edp_js": "J·s", "throttled_pct": "%",
		"temp_c": "°C", "mem_used_mib": "MiB", "call_ms": "ms", "power_w": "W", "joules_per_token": "J/token", "tokens_per_s": "token/s", "model": "", "batch_size": "", "queries": "", "quality": "",
	} {
		if got[name] != want {
			t.Errorf("%s is in %q, want %q", name, got[name], want)
		}
	}
}

// Measured has every row of the files once, in the order of their ends.
func TestMeasuredIsInOrder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "s")
	record(t, dir)
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	last := int64(0)
	for e, err := range s.Measured() {
		if err != nil {
			t.Fatal(err)
		}
		if e.When() < last {
			t.Errorf("%s at %d after %d", e.Kind(), e.When(), last)
		}
		last = e.When()
		kinds = append(kinds, e.Kind())
	}
	if got := strings.Join(kinds, " "); got != "host_power sample power phase_energy iteration_energy clock_change request_energy" {
		t.Error(got)
	}
}
