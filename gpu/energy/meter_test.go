package energy

import (
	"flag"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"unsafe"

	"pgregory.net/rapid"

	"jouletop/gpu"
)

func TestMain(m *testing.M) {
	flag.Parse()
	if !set("rapid.checks") {
		flag.Set("rapid.checks", "30") // each fits a trace
	}
	os.Exit(m.Run())
}

func set(name string) (yes bool) {
	flag.Visit(func(f *flag.Flag) { yes = yes || f.Name == name })
	return yes
}

// draw makes a world and its buffer readings from rapid's choices.
func draw(t *rapid.T) (*world, []gpu.PowerReading, *rand.Rand) {
	rnd := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
	seconds := rapid.SampledFrom([]float64{0.02, 0.06, 0.2}).Draw(t, "request")
	w := newWorld(rnd, rapid.Int64Range(0, 1e15).Draw(t, "start"), rapid.IntRange(25, 40).Draw(t, "requests"), seconds)
	lag := rapid.Float64Range(0, 0.02).Draw(t, "lag")
	return w, w.buffer(rnd, 0.02, lag, 0.003), rnd
}

func meterOf(readings []gpu.PowerReading, phases []Phase) *Meter {
	m := New(nil, Options{})
	feed(m, readings, phases)
	return m
}

// within fails unless a and b differ by no more than five standard deviations of
// their errors: these are many draws, and from few requests.
func within(t *rapid.T, what string, a, b, err float64) {
	t.Helper()
	if math.IsNaN(a) || math.IsNaN(b) || math.Abs(a-b) > 5/z95*err+1e-6 {
		t.Errorf("%s: %.4f and %.4f J differ by more than ± %.4f", what, a, b, err)
	}
}

// raw returns an estimate's value and bound, resolved or not.
func (m *Meter) raw(a, b int64) Estimate {
	m.refit(m.tracks[0])
	e, _ := m.by(m.tracks[0], a, b)
	return e
}

func TestShiftingATraceChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w, readings, _ := draw(t)
		by := rapid.Int64Range(-1e12, 1e12).Draw(t, "by")
		shifted := slices.Clone(readings)
		for i := range shifted {
			shifted[i].TimeNS += by
		}
		phases := slices.Clone(w.phases)
		for i := range phases {
			phases[i].Start += by
			phases[i].End += by
		}
		m, s := meterOf(readings, w.phases), meterOf(shifted, phases)
		for i, p := range w.phases {
			a, b := m.raw(p.Start, p.End), s.raw(phases[i].Start, phases[i].End)
			if math.Abs(a.Joules-b.Joules) > 1e-3*math.Abs(a.Joules) || math.Abs(a.ErrJ-b.ErrJ) > 1e-2*a.ErrJ {
				t.Fatalf("phase %d: %+v, shifted %+v", i, a, b)
			}
		}
	})
}

func TestWindowsAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w, readings, rnd := draw(t)
		m := meterOf(readings, w.phases)
		a := w.phases[0].Start
		c := w.phases[len(w.phases)-1].End
		b := a + rnd.Int64N(c-a-1e6) + 5e5
		whole, left, right := m.raw(a, c), m.raw(a, b), m.raw(b, c)
		within(t, "split", whole.Joules, left.Joules+right.Joules, math.Hypot(left.ErrJ, right.ErrJ)+whole.ErrJ)
		within(t, "truth", whole.Joules, w.joules(a, c), whole.ErrJ)
		within(t, "truth left", left.Joules, w.joules(a, b), left.ErrJ)
	})
}

func TestPhasesNeverExceedTheirWindow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w, readings, _ := draw(t)
		m := meterOf(readings, w.phases)
		for i := 0; i < len(w.phases); i += 2 {
			p, d := w.phases[i], w.phases[i+1]
			whole, parts := m.Request(p.Start, d.End, []Phase{p, d})
			sum := 0.0
			for _, e := range parts {
				if e.Resolved {
					sum += e.Joules
				}
			}
			if whole.Resolved && sum > whole.Joules+1e-9 {
				t.Errorf("request %d: phases of %.3f J in a window of %.3f ± %.3f J", i/2, sum, whole.Joules, whole.ErrJ)
			}
			a, b := m.raw(p.Start, p.End), m.raw(d.Start, d.End)
			within(t, "whole", m.raw(p.Start, d.End).Joules, a.Joules+b.Joules, math.Hypot(a.ErrJ, b.ErrJ))
			within(t, "prefill", a.Joules, w.joules(p.Start, p.End), a.ErrJ)
			within(t, "decode", b.Joules, w.joules(d.Start, d.End), b.ErrJ)
		}
	})
}

func TestResamplingStaysWithinTheBound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w, readings, _ := draw(t)
		var half []gpu.PowerReading
		for i := 1; i < len(readings); i += 2 {
			r := readings[i]
			r.PowerW = (r.PowerW + readings[i-1].PowerW) / 2
			half = append(half, r)
		}
		m := meterOf(readings, w.phases)
		s := New([]gpu.PowerSource{{Name: gpu.SourceBuffer, PeriodMS: 40, WindowMS: 40}}, Options{})
		feed(s, half, w.phases)
		for i := 0; i < len(w.phases); i += 2 {
			a, b := m.raw(w.phases[i].Start, w.phases[i+1].End), s.raw(w.phases[i].Start, w.phases[i+1].End)
			within(t, "resampled", a.Joules, b.Joules, a.ErrJ+b.ErrJ)
		}
	})
}

func TestOrderAndRepetitionsDoNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w, readings, rnd := draw(t)
		m := meterOf(readings, w.phases)
		mixed := slices.Clone(readings)
		for i := range mixed { // late by a few places, and told twice
			j := min(i+rnd.IntN(5), len(mixed)-1)
			mixed[i], mixed[j] = mixed[j], mixed[i]
			if rnd.IntN(3) == 0 {
				r := mixed[i]
				r.Fresh = false
				mixed = append(mixed, r)
			}
		}
		s := New(nil, Options{})
		for _, p := range w.phases {
			s.AddPhase(p)
		}
		feed(s, mixed, nil)
		for _, p := range w.phases {
			a, b := m.raw(p.Start, p.End), s.raw(p.Start, p.End)
			if math.Abs(a.Joules-b.Joules) > 1e-9*math.Abs(a.Joules)+1e-9 {
				t.Fatalf("%+v in order, %+v otherwise", a, b)
			}
		}
	})
}

func TestLostSamplesWidenTheBound(t *testing.T) {
	var ratios []float64 // of the bound with samples lost to that without
	rapid.Check(t, func(t *rapid.T) {
		w, readings, rnd := draw(t)
		a, b := w.phases[0].Start, w.phases[len(w.phases)-1].End
		whole := meterOf(readings, w.phases).raw(a, b)
		// A stretch in the middle is overrun, and the counter was read all along.
		i := len(readings)/2 - 5
		lossy := append(slices.Clone(readings[:i]), readings[i+10:]...)
		e := meterOf(lossy, w.phases).raw(a, b)
		ratios = append(ratios, e.ErrJ/whole.ErrJ)
		if e.ErrJ < 0.7*whole.ErrJ { // what varies is learned anew from the half second left
			t.Errorf("bound %.4f J with 200 ms lost, %.4f J without", e.ErrJ, whole.ErrJ)
		}
		within(t, "lost", e.Joules, w.joules(a, b), e.ErrJ)
		m := meterOf(lossy, w.phases)
		feed(m, w.counter(rnd, 0.013, 1000), nil)
		f := m.Window(a, b)
		if !f.Resolved {
			if f.ErrJ < w.joules(a, b) {
				t.Errorf("unresolved, at most %.4f J, but it was %.4f J", f.ErrJ, w.joules(a, b))
			}
			return
		}
		within(t, "with the counter", f.Joules, w.joules(a, b), f.ErrJ)
		if f.ErrJ > 1.001*e.ErrJ {
			t.Errorf("the counter made it worse: %.4f J, %.4f J without", f.ErrJ, e.ErrJ)
		}
	})
	if slices.Sort(ratios); len(ratios) > 0 && ratios[len(ratios)/4] < 1 {
		t.Errorf("a quarter of the bounds are narrower with samples lost: ratios %.2f", ratios)
	}
}

func TestCounter(t *testing.T) {
	const wrap32 = 1 << 32 / 1e3
	for _, c := range []struct {
		name              string
		from, to, seconds float64
		want              float64
	}{
		{"plain", 1000, 1060, 0.1, 60},
		{"32-bit wrap", wrap32 - 20, 40, 0.1, 60},
		{"reset", 5000, 12, 0.1, math.NaN()},
		{"jump", 1000, 9000, 0.1, math.NaN()},
		{"still", 1000, 1000, 0.1, 0},
	} {
		got := counterDiff(c.from, c.to, c.seconds)
		if math.IsNaN(got) != math.IsNaN(c.want) || math.Abs(got-c.want) > 1e-3 {
			t.Errorf("%s: %v J, want %v J", c.name, got, c.want)
		}
	}
}

// A driver reload in the middle starts the counter anew.
func TestCounterResetIsNotEnergy(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	w := newWorld(rnd, 0, 10, 0.5)
	readings := w.counter(rnd, 0.013, 1e6)
	half := readings[len(readings)/2].CounterJ
	for i := len(readings) / 2; i < len(readings); i++ {
		readings[i].CounterJ -= half
	}
	m := meterOf(readings, w.phases)
	a, b := w.phases[0].Start, w.phases[len(w.phases)-1].End
	if e, want := m.Window(a, b), w.joules(a, b); !e.Resolved || math.Abs(e.Joules-want) > e.ErrJ || e.Method != MethodCounter {
		t.Errorf("%+v, want %.1f J", e, want)
	}
}

func TestNothingKnown(t *testing.T) {
	m := New(nil, Options{})
	for _, e := range []Estimate{m.Window(0, 1e9), m.PhaseEnergy(Phase{Kind: "decode", End: 1e7}), m.Block(nil)} {
		if e.Resolved || !math.IsNaN(e.Joules) || !math.IsInf(e.ErrJ, 1) || e.Method != MethodUnresolved {
			t.Errorf("%+v without a reading", e)
		}
	}
	if m.Covered() != math.MinInt64 || m.Powers() != nil {
		t.Error("something is known without a reading")
	}
	m.Add(gpu.PowerReading{TimeNS: 1, Source: "unheard of", PowerW: 1})
	m.Add(gpu.PowerReading{TimeNS: 1, Source: gpu.SourceBuffer, PowerW: math.NaN()})
	if m.Covered() != math.MinInt64 {
		t.Error("a useless reading covers time")
	}
}

// Without phases (a GPU that others use) windows are plain integration.
func TestWindowWithoutPhases(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	w := newWorld(rnd, 0, 20, 0.5)
	m := meterOf(w.buffer(rnd, 0.02, 0.010, 0.002), nil)
	for a := int64(1e9); a < w.end-3e9; a += 37e6 {
		e, want := m.Window(a, a+2e9), w.joules(a, a+2e9)
		if !e.Resolved || math.Abs(e.Joules-want) > 2*e.ErrJ || e.ErrJ > 0.05*want {
			t.Errorf("%+v, want %.1f J", e, want)
		}
	}
}

func TestSteadyBlock(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 8))
	w := &world{}
	w.step(1, 120)
	var phases []Phase
	for range 400 {
		a, b := w.step(0.007, 380)
		phases = append(phases, Phase{Kind: "prefill", Batch: 1, Start: a, End: b})
		w.step(0.0001, 150)
	}
	w.step(1, 120)
	m := meterOf(w.buffer(rnd, 0.02, 0.010, 0.002), phases)
	e := m.Block(phases)
	if want := 0.007 * 380; e.Method != MethodBlock || math.Abs(e.Joules-want) > e.ErrJ || e.ErrJ > 0.03*want {
		t.Errorf("%+v, want %.3f J", e, want)
	}
}

func TestNetAndSum(t *testing.T) {
	e := Estimate{Joules: 100, ErrJ: 3, Method: MethodBuffer, Resolved: true}
	if n := e.Net(40, 1, 2); n.Joules != 20 || math.Abs(n.ErrJ-math.Hypot(3, 2)) > 1e-12 || !n.Resolved {
		t.Errorf("net %+v", n)
	}
	if n := e.Net(math.NaN(), 1, 2); n.Resolved {
		t.Errorf("net of unknown idle power: %+v", n)
	}
	own := Sum(e, e)
	if own.Joules != 200 || math.Abs(own.ErrJ-math.Hypot(3, 3)) > 1e-12 {
		t.Errorf("independent errors: %+v", own)
	}
	e.common = 3
	if s := Sum(e, e); math.Abs(s.ErrJ-6) > 1e-12 {
		t.Errorf("common errors: %+v", s)
	}
	if s := Sum(e, unresolved(7)); s.Resolved || s.ErrJ != 110 {
		t.Errorf("with an unresolved part: %+v", s)
	}
}

// Eight hours at the full rate of readings and phases keep to the horizon.
func TestMemoryIsBounded(t *testing.T) {
	m := New(nil, Options{})
	var at int64
	for i := range 8 * 3600 * 50 {
		at = int64(i) * 20e6
		m.Add(gpu.PowerReading{TimeNS: at, Source: gpu.SourceBuffer, PowerW: 400 + float64(i%7), Fresh: true})
		if i%5 == 0 {
			m.Add(gpu.PowerReading{TimeNS: at, Source: gpu.SourceInstant, PowerW: 400 + float64(i%11), Fresh: true})
			m.AddPhase(Phase{Kind: "decode", Batch: 1, SMMHz: 345 + 15*(i%100), Start: at, End: at + 90e6})
		}
	}
	var bytes int
	for _, tr := range m.tracks {
		bytes += cap(tr.reads)*int(unsafe.Sizeof(reading{})) + cap(tr.scratch)*int(unsafe.Sizeof(row{}))
		for _, r := range tr.scratch[:cap(tr.scratch)] {
			bytes += cap(r.terms) * int(unsafe.Sizeof(share{}))
		}
	}
	bytes += cap(m.tl.phases) * int(unsafe.Sizeof(placed{}))
	if bytes > 10<<20 {
		t.Errorf("%d MiB after eight hours", bytes>>20)
	}
	if e := m.Window(at-5e9, at-1e9); !e.Resolved {
		t.Errorf("the latest window is unresolved: %+v", e)
	}
	if e := m.Window(0, 1e9); e.Resolved && e.ErrJ < 10 {
		t.Errorf("a window long forgotten is known: %+v", e)
	}
}
