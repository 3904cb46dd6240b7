package energy

import (
	"math"
	"math/rand/v2"
	"testing"
)

// loaded is a world of phases of two kinds, each of which lasts and draws as its loads
// say; the second is long enough to be rare.
func loaded(rnd *rand.Rand, seconds float64, cost [2]float64) *world {
	w := &world{}
	w.step(0.5, 120)
	for end := seconds; float64(w.end)/1e9 < end; {
		if rnd.IntN(30) == 0 {
			w.step(0.02+0.2*rnd.Float64(), 120)
		}
		n, kv := float64(1+rnd.IntN(16)), 4000*rnd.Float64()
		d := 0.008 + 0.0001*n
		joules := 400*d + cost[0]*n + cost[1]*kv
		a, b := w.step(d, joules/d)
		w.phases = append(w.phases, Phase{Kind: "decode pass", Start: a, End: b, Loads: Loads{1, 0, n, kv}})
	}
	w.step(0.5, 120)
	return w
}

func loadedMeter(w *world, rnd *rand.Rand, from, to int64) *Meter {
	m := New(nil, Options{})
	for _, p := range w.phases {
		m.AddPhase(p)
	}
	for _, r := range w.buffer(rnd, 0.02, 0.005, 0.01) {
		if r.TimeNS < from || r.TimeNS > to {
			m.Add(r)
		}
	}
	return m
}

// What a unit of load costs is learned, with the time it takes, though no phase is long
// enough for a reading; and so is what a time costs in which nothing was read.
func TestLoads(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	cost := [2]float64{0.06, 0.0002}
	w := loaded(rnd, 40, cost)
	from, to := int64(20e9), int64(26e9)
	m := loadedMeter(w, rnd, from, to)
	e := m.Expect(from+1e9, to-1e9)
	true := w.joules(from+1e9, to-1e9)
	if math.Abs(e.Likely()/true-1) > 0.01 || math.Abs(e.Likely()-true) > 2*e.HalfWidth() {
		t.Errorf("%.1f ± %.1f J expected, %.1f drawn", e.Likely(), e.HalfWidth(), true)
	}
	c, ok := m.Cost(w.phases[0])
	if !ok {
		t.Fatal("nothing learned")
	}
	// 0.0001 s at what is drawn without loads: about 400 W.
	for i, want := range map[int]float64{2: cost[0] + 0.0001*400, 3: cost[1]} {
		sd := math.Sqrt(c.Cov[i][i])
		if math.Abs(c.PerUnit[i]-want) > 4*sd+0.05*want || sd > 0.2*want {
			t.Errorf("load %d: %.5g ± %.2g J, want %.5g", i, c.PerUnit[i], sd, want)
		}
	}
	if c.Unexplained > 0.01 {
		t.Errorf("%.2g of the lengths unexplained", c.Unexplained)
	}
	if _, ok := m.Cost(Phase{Kind: "never"}); ok {
		t.Error("the cost of a kind never seen is known")
	}
}

// Windows among phases of unequal loads lie inside their intervals.
func TestLoadsInWindows(t *testing.T) {
	inside, n := 0, 0
	for seed := range uint64(4) {
		rnd := rand.New(rand.NewPCG(seed, 9))
		w := loaded(rnd, 12, [2]float64{0.1, 0.0002})
		m := loadedMeter(w, rnd, 0, 0)
		for _, p := range w.phases[100:400] {
			e := m.Window(p.Start, p.End)
			n++
			if math.Abs(e.Likely()-w.joules(p.Start, p.End)) <= e.HalfWidth() {
				inside++
			}
		}
	}
	if share := float64(inside) / float64(n); share < 0.93 {
		t.Errorf("%.1f %% of %d inside", 100*share, n)
	}
}

// Loads that no reading had in it, though they are in phases to come, are known to be
// unknown: what is expected of them lies in its interval, and that is wide.
func TestLoadsNeverRead(t *testing.T) {
	for _, cost := range []float64{1.2, 3} { // beside 2 J of the sort that it takes after
		rnd := rand.New(rand.NewPCG(7, 8))
		w := &world{}
		w.step(0.5, 120)
		work := func(until float64, sort int, each float64) {
			for float64(w.end)/1e9 < until {
				if rnd.IntN(20) == 0 {
					w.step(0.02+0.1*rnd.Float64(), 120)
				}
				n := 1 + rnd.IntN(3)
				var l Loads
				l[sort] = float64(n)
				d := 0.004 + 0.006*float64(n)
				a, b := w.step(d, (200*d+each*float64(n))/d)
				w.phases = append(w.phases, Phase{Kind: "decode pass", Start: a, End: b, Loads: l})
			}
		}
		work(12, 0, 2)
		seen := w.end
		work(16, sorts-1, cost)
		w.step(0.5, 120)
		m := loadedMeter(w, rnd, seen-20e6, math.MaxInt64)
		e, true := m.Expect(seen+1e9, seen+3e9), w.joules(seen+1e9, seen+3e9)
		if off := math.Abs(e.Likely() - true); off > e.HalfWidth() || e.HalfWidth() < 0.1*true {
			t.Errorf("%.1f ± %.1f J expected, %.1f drawn", e.Likely(), e.HalfWidth(), true)
		}
		own, was := m.Expect(2e9, 8e9), w.joules(2e9, 8e9)
		if off := math.Abs(own.Likely() - was); off > own.HalfWidth() || own.HalfWidth() > 0.05*was {
			t.Errorf("of what was read: %.1f ± %.1f J expected, %.1f drawn", own.Likely(), own.HalfWidth(), was)
		}
	}
}
