package history_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"jouletop/tui/history"
)

const (
	ms  = int64(1_000_000)
	sec = 1000 * ms
)

// columns reads a window.
func columns(t *history.Track, n int, from, width int64) []history.Column {
	c := make([]history.Column, n)
	t.Columns(c, from, width)
	return c
}

func TestColumnsSumUpWhatFellIntoThem(t *testing.T) {
	var tr history.Track
	r := rand.New(rand.NewPCG(1, 1))
	type reading struct {
		at  int64
		mhz int
		w   float64
	}
	var all []reading
	for at := int64(0); at < 20*sec; at += 10 * ms {
		x := reading{at, 345 + r.IntN(1600), 80 + 600*r.Float64()}
		all = append(all, x)
		tr.AddClock(x.at, x.mhz, 1005)
		tr.AddPower(x.at, x.w)
	}
	const width = 200 * ms
	for i, c := range columns(&tr, 100, 0, width) {
		lo, hi, sum, n := math.Inf(1), math.Inf(-1), 0.0, 0.0
		for _, x := range all {
			if x.at/width == int64(i) {
				lo, hi, sum, n = min(lo, x.w), max(hi, x.w), sum+x.w, n+1
			}
		}
		if !near(c.Power.Min, lo) || !near(c.Power.Max, hi) || !near(c.Power.Mean, sum/n) {
			t.Fatalf("column %d: got %.2f to %.2f, mean %.2f W; want %.2f to %.2f, mean %.2f", i, c.Power.Min, c.Power.Max, c.Power.Mean, lo, hi, sum/n)
		}
		if c.Requested != 1005 {
			t.Fatalf("column %d: requested %v", i, c.Requested)
		}
	}
}

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-3*math.Max(math.Abs(b), 1) }

// Power comes late and phases are known only when they end; both are placed by
// their own times.
func TestLateReadingsAndPhases(t *testing.T) {
	var tr history.Track
	for at := int64(0); at < 2*sec; at += 10 * ms {
		tr.AddClock(at, 1980, 0)
	}
	for at := int64(0); at < 2*sec; at += 20 * ms {
		tr.AddPower(at, 100+float64(at/ms)/10)
	}
	tr.AddPhase(history.Prefill, 0, 500*ms)
	tr.AddPhase(history.Decode, 500*ms, 1500*ms)
	want := []int{history.Prefill, history.Prefill, history.Decode, history.Decode, history.Decode, history.Decode, history.Idle, history.Idle}
	for i, c := range columns(&tr, 8, 0, 250*ms) {
		if c.Phase != want[i] {
			t.Errorf("column %d: phase %d, want %d", i, c.Phase, want[i])
		}
		if math.IsNaN(c.Power.Mean) || math.IsNaN(c.Clock.Mean) {
			t.Errorf("column %d: %+v", i, c)
		}
	}
}

// A phase that is still running is drawn as far as there are readings, also when
// it is longer than the finest level waits.
func TestRunningPhase(t *testing.T) {
	var tr history.Track
	tr.AddClock(0, 1980, 0)
	tr.Begin(history.Decode, 1*sec)
	for at := int64(0); at <= 20*sec; at += 10 * ms {
		tr.AddClock(at, 1980, 0)
	}
	check := func(when string) {
		t.Helper()
		for i, c := range columns(&tr, 20, 0, sec) {
			want := history.Decode
			if i == 0 {
				want = history.Idle
			}
			if c.Phase != want {
				t.Errorf("%s, second %d: phase %d, want %d", when, i, c.Phase, want)
			}
		}
	}
	check("running")
	tr.End(history.Decode, 1*sec, 20*sec)
	check("ended")
	for i, c := range columns(&tr, 4, 0, 5*sec) { // a coarser level
		if c.Phase != history.Decode {
			t.Errorf("coarse column %d: phase %d", i, c.Phase)
		}
		if i > 0 && math.Abs(c.PhaseNS[history.Decode]-5e9) > 1e8 {
			t.Errorf("coarse column %d: %v ns of decode, want 5e9", i, c.PhaseNS[history.Decode])
		}
	}
}

// Phases within one column are told apart by their means.
func TestMeansByPhase(t *testing.T) {
	var tr history.Track
	for at := int64(0); at < 60*sec; at += 10 * ms {
		if at%sec == 0 {
			tr.Begin(history.Prefill, at)
		}
		w, mhz := 600.0, 1980
		if at%sec >= 200*ms {
			w, mhz = 400, 1005
		}
		if at%sec == 200*ms {
			tr.End(history.Prefill, at-200*ms, at)
			tr.Begin(history.Decode, at)
		}
		tr.AddClock(at, mhz, 0)
		tr.AddPower(at, w)
	}
	for i, c := range columns(&tr, 10, 0, 5*sec) {
		p, d := c.Power.ByPhase[history.Prefill], c.Power.ByPhase[history.Decode]
		if math.Abs(p-600) > 1 || math.Abs(d-400) > 1 {
			t.Errorf("column %d: prefill %.1f W, decode %.1f W, want 600 and 400", i, p, d)
		}
		if f := c.Clock.ByPhase[history.Decode]; math.Abs(f-1005) > 1 {
			t.Errorf("column %d: decode at %.0f MHz", i, f)
		}
	}
}

// One sample's peak is seen in every window, however long ago, and the track
// stays bounded.
func TestPeaksLastHours(t *testing.T) {
	var tr history.Track
	const peakAt = 40 * 60 * sec
	end := 13 * 3600 * sec
	for at := int64(0); at < end; at += 100 * ms {
		w := 300.0
		if at == peakAt {
			w = 699
		}
		tr.AddClock(at, 1500, 0)
		tr.AddPower(at, w)
	}
	for _, window := range []struct{ from, width int64 }{
		{0, end / 100}, {peakAt - 10*60*sec/2, 6 * sec}, {peakAt - 30*sec, 600 * ms}, {peakAt - 5*sec, 100 * ms},
	} {
		most := 0.0
		seen := 0
		for _, c := range columns(&tr, 100, window.from, window.width) {
			most = max(most, c.Power.Max)
			if !math.IsNaN(c.Power.Mean) {
				seen++
			}
		}
		if most != 699 {
			t.Errorf("window from %d s, columns of %d ms: peak %v W, want 699", window.from/sec, window.width/ms, most)
		}
		if window.width >= 600*ms && seen < 95 {
			t.Errorf("window from %d s, columns of %d ms: only %d of 100 columns known", window.from/sec, window.width/ms, seen)
		}
	}
	if from, to, ok := tr.Span(); !ok || from != 0 || to != end-100*ms {
		t.Errorf("span %d to %d", from, to)
	}
	if n := testing.AllocsPerRun(100, func() { tr.AddClock(end, 1500, 0); tr.AddPower(end, 300) }); n > 0 {
		t.Errorf("%v allocations a reading", n)
	}
}

// Times that jump, lie before the beginning or before zero do no harm.
func TestOddTimes(t *testing.T) {
	var tr history.Track
	if got := columns(&tr, 3, -5*sec, sec); got[0].Phase != history.Idle || !math.IsNaN(got[0].Power.Mean) {
		t.Errorf("empty track: %+v", got[0])
	}
	tr.AddClock(5*sec, 1000, 0)
	tr.AddClock(-1, 1000, 0)
	tr.AddPower(1*sec, 100)
	tr.AddClock(5*3600*sec, 1200, -1)
	tr.AddClock(5*3600*sec+sec, -1, -1)
	tr.AddPower(5*3600*sec, math.NaN())
	tr.AddPhase(history.Decode, 10*sec, 5*sec)
	tr.AddPhase(99, 0, sec)
	got := columns(&tr, 10, -3*sec, 4*sec)
	if got[2].Clock.Mean != 1000 && !math.IsNaN(got[2].Clock.Mean) {
		t.Errorf("column of 5 s: %+v", got[2].Clock)
	}
	if got := columns(&tr, 2, 5*3600*sec-sec, sec); got[1].Clock.Mean != 1200 {
		t.Errorf("after the jump: %+v", got[1].Clock)
	}
	if got := columns(&tr, 0, 0, sec); len(got) != 0 {
		t.Error("columns out of nothing")
	}
}

// A phase that fills no column is still told of, in the column it began in, once, however
// old it is.
func TestShortPhasesAreTold(t *testing.T) {
	var tr history.Track
	for at := int64(0); at < 20*sec; at += 10 * ms {
		tr.AddClock(at, 1980, 0)
		// As they end: a prefill of 30 ms each 600, the rest decode.
		if from := at / (600 * ms) * 600 * ms; at == from+30*ms {
			tr.AddPhase(history.Prefill, from+ms, from+31*ms)
		} else if at == from+590*ms {
			tr.AddPhase(history.Decode, from+31*ms, from+590*ms)
		}
	}
	tr.Begin(history.Prefill, 20*sec-15*ms) // and one that still runs
	for _, c := range []struct {
		name        string
		n           int
		from, width int64
		want        int
	}{
		{"fine", 100, 0, 200 * ms, 34}, // the last two in one column
		{"finer than a bucket", 2000, 0, 10 * ms, 35},
		{"of the last seconds", 15, 17 * sec, 200 * ms, 5},
	} {
		began := 0
		for i, col := range columns(&tr, c.n, c.from, c.width) {
			if col.Began[history.Prefill] {
				began++
				if col.PhaseNS[history.Prefill] <= 0 {
					t.Errorf("%s: column %d: a prefill began and took no time", c.name, i)
				}
			}
			if col.Began[history.Idle] {
				t.Errorf("%s: column %d: idle began", c.name, i)
			}
		}
		if began != c.want {
			t.Errorf("%s: %d columns with the beginning of a prefill, want %d", c.name, began, c.want)
		}
	}
	// From coarse buckets too: an hour later they are all that is left.
	for at := 20 * sec; at < 2000*sec; at += 100 * ms {
		tr.AddClock(at, 1980, 0)
	}
	for i, col := range columns(&tr, 10, 0, 1280*ms) {
		if !col.Began[history.Prefill] {
			t.Errorf("column %d of the first: no prefill began", i)
		}
	}
}
