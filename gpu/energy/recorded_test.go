package energy

import (
	"encoding/csv"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"jouletop/gpu"
	"jouletop/gpu/sharedtest"
)

// sharedData returns the folder of recordings, or skips.
func sharedData(t testing.TB) string { return sharedtest.Path(t, "h100") }

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

// recordedMix returns the recording of 40 mixed requests of an 8B model.
func recordedMix(t testing.TB) (buffer, polls []gpu.PowerReading, phases []Phase, blocks map[Key]float64) {
	dir := sharedData(t)
	buffer = bufferOf(readTable(t, filepath.Join(dir, "mixed_8b_sample_buffer.csv")))
	polls = polled(readTable(t, filepath.Join(dir, "mixed_8b_polled.csv")))
	phases = phasesOf(readTable(t, filepath.Join(dir, "mixed_8b_phases.csv")), 0)
	blocks = map[Key]float64{}
	tb := readTable(t, filepath.Join(dir, "mixed_8b_blocks.csv"))
	for i := range tb.rows {
		blocks[Key{Kind: tb.str(i, "phase"), Batch: int(tb.num(i, "batch"))}] = tb.num(i, "mean_power_samples_w")
	}
	return buffer, polls, phases, blocks
}

// The power of each kind of phase, learned from mixed requests, against steady
// blocks of it recorded right after.
func TestPowersOfARecordedMix(t *testing.T) {
	buffer, polls, phases, blocks := recordedMix(t)
	for _, sources := range [][]gpu.PowerReading{buffer, append(append([]gpu.PowerReading(nil), polls...), buffer...)} {
		m := meterOf(sources, phases)
		seen := 0
		for _, p := range m.Powers() {
			want, ok := blocks[p.Key]
			if !ok {
				continue
			}
			seen++
			t.Logf("%s at batch %d: %.0f ± %.0f W, in a steady block %.0f W", p.Kind, p.Batch, p.PowerW, p.ErrW, want)
			if math.Abs(p.PowerW-want) > p.ErrW {
				t.Errorf("%v: %.1f ± %.1f W, in a steady block %.1f W", p.Key, p.PowerW, p.ErrW, want)
			}
			if p.ErrW > 0.10*p.PowerW {
				t.Errorf("%v: half-width of %.1f %%", p.Key, 100*p.ErrW/p.PowerW)
			}
		}
		if seen != 4 {
			t.Errorf("%d kinds of phase, want 4", seen)
		}
	}
}

// The intervals hold too when parts of the recording are missing, its clock is off
// and samples were lost.
func TestPowersOfPartsOfARecordedMix(t *testing.T) {
	buffer, _, phases, blocks := recordedMix(t)
	rnd := rand.New(rand.NewPCG(1, 2))
	missed, n := 0, 0
	for range 40 {
		k := 20 + rnd.IntN(20)
		from := rnd.IntN(len(phases)/2 - k + 1)
		shift := int64((rnd.Float64() - 0.5) * 0.01 * 1e9)
		m := New(nil, Options{})
		for _, r := range buffer {
			if rnd.IntN(20) > 0 {
				r.TimeNS += shift
				m.Add(r)
			}
		}
		feed(m, nil, phases[2*from:2*(from+k)])
		for _, p := range m.Powers() {
			if want, ok := blocks[p.Key]; ok {
				n++
				if math.Abs(p.PowerW-want) > p.ErrW {
					missed++
				}
			}
		}
	}
	t.Logf("%d of %d intervals missed", missed, n)
	if n < 100 || missed > n/20 {
		t.Errorf("%d of %d intervals missed", missed, n)
	}
}

// Six identical requests in a row, of which the first is still ramping up.
func TestRecordedTrace(t *testing.T) {
	dir := sharedData(t)
	readings := polled(readTable(t, filepath.Join(dir, "trace_8b_b1_samples.csv")))
	phases := phasesOf(readTable(t, filepath.Join(dir, "trace_8b_b1_phases.csv")), 1)
	windows := map[string][]Estimate{}
	for _, src := range []string{gpu.SourceCounter, gpu.SourceInstant} {
		m := meterOf(only(readings, src), phases)
		for i := 0; i < len(phases); i += 2 {
			windows[src] = append(windows[src], m.Window(phases[i].Start, phases[i+1].End))
		}
	}
	all := meterOf(readings, phases) // what is reported when both are there
	lo, hi := math.Inf(1), 0.0
	for i := range len(phases) / 2 {
		a, b := windows[gpu.SourceCounter][i], windows[gpu.SourceInstant][i]
		p := phases[2*i]
		start, end := p.Start, phases[2*i+1].End
		best := all.Window(start, end)
		t.Logf("request %d: counter %.1f ± %.1f J, instant %.1f ± %.1f J, best %.1f ± %.1f J (%s); naive: 1 s average %.0f J, counter differences %.0f J",
			i, a.Joules, a.ErrJ, b.Joules, b.ErrJ, best.Joules, best.ErrJ, best.Method, naive(readings, start, end), differences(readings, start, end))
		if !a.Resolved || !b.Resolved || a.Method != MethodCounter || b.Method != MethodInstant {
			t.Fatalf("request %d: %+v, %+v", i, a, b)
		}
		if d := math.Abs(a.Joules - b.Joules); d > 0.02*a.Joules || d > math.Hypot(a.ErrJ, b.ErrJ) || d > max(a.ErrJ, b.ErrJ) {
			t.Errorf("request %d: counter %.1f ± %.1f J, instant %.1f ± %.1f J", i, a.Joules, a.ErrJ, b.Joules, b.ErrJ)
		}
		if i > 0 {
			lo, hi = min(lo, a.Joules, b.Joules, best.Joules), max(hi, a.Joules, b.Joules, best.Joules)
		}
	}
	if hi > 1.02*lo {
		t.Errorf("the last five lie between %.1f and %.1f J", lo, hi)
	}
}

// naive integrates the polled 1 s average over a window, as tools do.
func naive(readings []gpu.PowerReading, start, end int64) (j float64) {
	var last gpu.PowerReading
	for _, r := range only(readings, gpu.SourceAverage) {
		if last.TimeNS > 0 {
			if a, b := max(last.TimeNS, start), min(r.TimeNS, end); b > a {
				j += last.PowerW * float64(b-a) / 1e9
			}
		}
		last = r
	}
	return j
}

// differences subtracts the counter as read at a window's start and end.
func differences(readings []gpu.PowerReading, start, end int64) float64 {
	var first, last float64
	for _, r := range only(readings, gpu.SourceCounter) {
		if r.TimeNS <= start {
			first = r.CounterJ
		}
		if r.TimeNS <= end {
			last = r.CounterJ
		}
	}
	return last - first
}

// The naive figures are as bad as the recording is known for.
func TestNaiveFiguresOfTheRecordedTrace(t *testing.T) {
	dir := sharedData(t)
	readings := polled(readTable(t, filepath.Join(dir, "trace_8b_b1_samples.csv")))
	phases := phasesOf(readTable(t, filepath.Join(dir, "trace_8b_b1_phases.csv")), 1)
	var avg, diff []float64
	for i := 0; i < len(phases); i += 2 {
		avg = append(avg, naive(readings, phases[i].Start, phases[i+1].End))
		diff = append(diff, differences(readings, phases[i].Start, phases[i+1].End))
	}
	near := func(what string, got, want float64) {
		if math.Abs(got-want) > 0.03*want {
			t.Errorf("%s %.0f J, want about %.0f J", what, got, want)
		}
	}
	near("least by the average", slices.Min(avg), 162)
	near("most by the average", slices.Max(avg), 384)
	near("least by the counter", slices.Min(diff), 327)
	near("most by the counter", slices.Max(diff), 419)
}
