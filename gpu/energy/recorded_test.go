package energy

import (
	"encoding/csv"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"jouletop/gpu"
)

// sharedData returns the folder of recordings beside the repository, or skips.
func sharedData(t testing.TB) string {
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		if filepath.Dir(dir) == dir {
			t.Fatal("no go.mod above the test")
		}
		dir = filepath.Dir(dir)
	}
	data := filepath.Join(dir, "..", "shared", "data", "h100")
	if _, err := os.Stat(data); err != nil {
		t.Skip("recordings are not here: ", err)
	}
	return data
}

// table is a CSV file by column name.
type table struct {
	col  map[string]int
	rows [][]string
}

func readTable(t testing.TB, file string) table {
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	all, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	tb := table{col: map[string]int{}, rows: all[1:]}
	for i, c := range all[0] {
		tb.col[c] = i
	}
	return tb
}

func (tb table) str(row int, col string) string { return tb.rows[row][tb.col[col]] }

func (tb table) num(row int, col string) float64 {
	i, ok := tb.col[col]
	if !ok || tb.rows[row][i] == "" {
		return math.NaN()
	}
	v, err := strconv.ParseFloat(tb.rows[row][i], 64)
	if err != nil {
		return math.NaN()
	}
	return v
}

func (tb table) ns(row int, col string) int64 {
	v, _ := strconv.ParseInt(tb.str(row, col), 10, 64)
	return v
}

// polled turns a file of polled sensors into readings, repetitions marked.
func polled(tb table) []gpu.PowerReading {
	var out []gpu.PowerReading
	last := map[string]float64{}
	for i := range tb.rows {
		for _, c := range []struct{ col, source string }{
			{"power_1s_avg_mw", gpu.SourceAverage}, {"power_instant_mw", gpu.SourceInstant}, {"energy_counter_mj", gpu.SourceCounter},
		} {
			v := tb.num(i, c.col) / 1e3
			if math.IsNaN(v) {
				continue
			}
			r := gpu.PowerReading{TimeNS: tb.ns(i, "t_ns"), Source: c.source, PowerW: v, CounterJ: math.NaN()}
			if c.source == gpu.SourceCounter {
				r.PowerW, r.CounterJ = math.NaN(), v
			}
			r.Fresh = last[c.source] != v
			last[c.source] = v
			out = append(out, r)
		}
	}
	return out
}

func bufferOf(tb table) []gpu.PowerReading {
	var out []gpu.PowerReading
	for i := range tb.rows {
		out = append(out, gpu.PowerReading{TimeNS: tb.ns(i, "t_ns"), Source: gpu.SourceBuffer, PowerW: tb.num(i, "power_mw") / 1e3, CounterJ: math.NaN(), Fresh: true})
	}
	return out
}

func phasesOf(tb table, batch int) []Phase {
	var out []Phase
	for i := range tb.rows {
		p := Phase{Kind: tb.str(i, "phase"), Batch: batch, Start: tb.ns(i, "start_ns"), End: tb.ns(i, "end_ns")}
		for kind, c := range map[string]string{"prefill": "prompt_tokens", "decode": "generated_tokens"} {
			if _, ok := tb.col[c]; ok && p.Kind == kind {
				p.Tokens = int(tb.num(i, c))
			}
		}
		if _, ok := tb.col["batch"]; ok {
			p.Batch = int(tb.num(i, "batch"))
		}
		out = append(out, p)
	}
	return out
}

func feed(m *Meter, readings []gpu.PowerReading, phases []Phase) {
	for _, r := range readings {
		m.Add(r)
	}
	for _, p := range phases {
		m.AddPhase(p)
	}
}

func only(rs []gpu.PowerReading, source string) []gpu.PowerReading {
	var out []gpu.PowerReading
	for _, r := range rs {
		if r.Source == source {
			out = append(out, r)
		}
	}
	return out
}

func TestMixed(t *testing.T) {
	dir := sharedData(t)
	readings := append(bufferOf(readTable(t, filepath.Join(dir, "mixed_8b_sample_buffer.csv"))), polled(readTable(t, filepath.Join(dir, "mixed_8b_polled.csv")))...)
	phases := phasesOf(readTable(t, filepath.Join(dir, "mixed_8b_phases.csv")), 0)
	for _, src := range []string{"", gpu.SourceBuffer, gpu.SourceCounter, gpu.SourceInstant} {
		m := New(nil, Options{})
		rs := readings
		if src != "" {
			rs = only(readings, src)
		}
		feed(m, rs, phases)
		t.Log(src)
		for _, p := range m.Powers() {
			t.Logf("%s %d: %.1f ± %.1f W, %.1f requests (%s)", p.Kind, p.Batch, p.PowerW, p.ErrW, p.Requests, p.Source)
		}
		for _, tr := range m.tracks {
			if len(tr.reads) > 0 && tr.model.stats != nil {
				t.Logf("%s lag %.1f ± %.1f ms jitter %.1f rms %.1f rows %d", tr.name, tr.lag*1e3, tr.lagSD*1e3, tr.jitter*1e3, tr.model.rms, tr.model.rows)
				for i, s := range tr.model.stats {
					t.Logf("   %v se %.1f noise %.1f tau %.1f v %.1f", s.Key, math.Sqrt(tr.model.cov.At(i, i)), math.Sqrt(s.noise), math.Sqrt(s.tau2), math.Sqrt(s.v))
				}
			}
		}
	}
}

func TestTrace(t *testing.T) {
	dir := sharedData(t)
	readings := polled(readTable(t, filepath.Join(dir, "trace_8b_b1_samples.csv")))
	phases := phasesOf(readTable(t, filepath.Join(dir, "trace_8b_b1_phases.csv")), 1)
	for _, src := range []string{gpu.SourceCounter, gpu.SourceInstant, gpu.SourceAverage} {
		m := New(nil, Options{})
		feed(m, only(readings, src), phases)
		for i := 0; i < len(phases); i += 2 {
			e := m.Window(phases[i].Start, phases[i+1].End)
			t.Logf("%s %d: %.1f ± %.1f J %s", src, i/2, e.Joules, e.ErrJ, e.Method)
			t.Logf("     %v %v", m.PhaseEnergy(phases[i]), m.PhaseEnergy(phases[i+1]))
		}
		for _, tr := range m.tracks {
			if len(tr.reads) > 0 && tr.model.stats != nil {
				t.Logf("%s lag %.1f ± %.1f ms jitter %.1f rms %.1f rows %d", tr.name, tr.lag*1e3, tr.lagSD*1e3, tr.jitter*1e3, tr.model.rms, tr.model.rows)
				for i, s := range tr.model.stats {
					t.Logf("   %v %.1f se %.1f noise %.1f tau %.1f v %.1f", s.Key, s.theta, math.Sqrt(tr.model.cov.At(i, i)), math.Sqrt(s.noise), math.Sqrt(s.tau2), math.Sqrt(s.v))
				}
			}
		}
	}
}
