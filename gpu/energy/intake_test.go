package energy

import (
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sort"
	"testing"

	"jouletop/gpu"
)

// Nothing is found wrong with real boards.
func TestRecordedBoardsAreBelieved(t *testing.T) {
	dirs, _ := filepath.Glob(filepath.Join(sharedData(t), "sessions", "*"))
	for _, dir := range dirs {
		tb := readTable(t, filepath.Join(dir, "power.csv"))
		meters := map[string]*Meter{}
		for i := range tb.rows {
			id := tb.str(i, "gpu")
			if meters[id] == nil {
				meters[id] = New(nil, Options{PowerLimitW: 700})
			}
			meters[id].Add(gpu.PowerReading{TimeNS: tb.ns(i, "t_ns"), Source: tb.str(i, "source"),
				PowerW: tb.num(i, "power_w"), CounterJ: tb.num(i, "energy_counter_j"), Fresh: tb.str(i, "fresh") == "1"})
		}
		for id, m := range meters {
			for _, f := range m.Findings() {
				t.Errorf("%s, %s: %s, from %.1f to %.1f s", filepath.Base(dir), id, f.Text, float64(f.From)/1e9, float64(f.To)/1e9)
			}
			if len(m.intake.votes.disputes) > 0 {
				t.Errorf("%s, %s: disputes", filepath.Base(dir), id)
			}
		}
		t.Logf("%s: %d readings", filepath.Base(dir), len(tb.rows))
	}
}

// sensors are what the four sources of a board tell of a world, in the order in
// which a program hears of it.
func (w *world) sensors(rnd *rand.Rand) []gpu.PowerReading {
	all := append(w.buffer(rnd, 0.02, 0.01, 0.002), w.counter(rnd, 1, 1e5)...)
	for _, s := range []struct {
		source string
		window float64
	}{{gpu.SourceAverage, 1}, {gpu.SourceInstant, 0.025}} {
		for t := w.at[0] + 1e9; t < w.end; t += 1e8 {
			all = append(all, gpu.PowerReading{TimeNS: t, Source: s.source, CounterJ: math.NaN(), Fresh: true,
				PowerW: w.joules(t-int64(s.window*1e9), t) / s.window * (1 + 0.002*rnd.NormFloat64())})
		}
	}
	sort.SliceStable(all, func(i, j int) bool { return all[i].TimeNS < all[j].TimeNS })
	return all
}

// TestIntake: what is wrong with a source is found, told once, and energies hold the
// truth.
func TestIntake(t *testing.T) {
	const at = 6.0 // s: when it begins
	of := func(r *gpu.PowerReading, source string, w *world) bool {
		return r.Source == source && float64(r.TimeNS-w.at[0])/1e9 > at
	}
	for _, c := range []struct {
		name  string
		wrong func(r *gpu.PowerReading, w *world) (lost bool)
		want  Faults
		alone []string // the sources there are; nil all
		// stated: most energies must be
		stated bool
	}{
		{"healthy", func(*gpu.PowerReading, *world) bool { return false }, 0, nil, true},
		{"a buffer that is no number", func(r *gpu.PowerReading, w *world) bool {
			if of(r, gpu.SourceBuffer, w) {
				r.PowerW = math.NaN()
			}
			return false
		}, FaultImplausible, nil, false},
		{"garbage beyond the limit", func(r *gpu.PowerReading, w *world) bool {
			if of(r, gpu.SourceBuffer, w) && r.TimeNS/2e7%40 == 0 {
				r.PowerW = 1900
			}
			return false
		}, FaultImplausible, nil, true},
		{"a counter of 15 % less", func(r *gpu.PowerReading, w *world) bool {
			r.CounterJ *= 0.85
			return false
		}, FaultOutvoted, nil, true},
		{"a buffer that turns to twice the power", func(r *gpu.PowerReading, w *world) bool {
			if of(r, gpu.SourceBuffer, w) {
				r.PowerW *= 2
			}
			return false
		}, FaultImplausible | FaultOutvoted, nil, false},
		{"two of two", func(r *gpu.PowerReading, w *world) bool {
			r.CounterJ *= 1.8
			return false
		}, FaultContradiction, []string{gpu.SourceBuffer, gpu.SourceCounter}, false},
		{"a counter that starts anew", func(r *gpu.PowerReading, w *world) bool {
			if of(r, gpu.SourceCounter, w) {
				r.CounterJ -= 1e5
			}
			return false
		}, FaultStep, nil, true},
		{"one wild value of the counter", func(r *gpu.PowerReading, w *world) bool {
			if s := float64(r.TimeNS-w.at[0]) / 1e9; s > at && s < at+1.1 {
				r.CounterJ *= 3
			}
			return false
		}, FaultImplausible, nil, true},
		{"silence", func(r *gpu.PowerReading, w *world) bool {
			s := float64(r.TimeNS-w.at[0]) / 1e9
			return s > at && s < at+5
		}, FaultGap, nil, false},
		{"a value that stands still", func(r *gpu.PowerReading, w *world) bool {
			r.PowerW = 400
			return false
		}, FaultStill, []string{gpu.SourceAverage}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(3, 3))
			w := newWorld(rnd, 5e9, 50, 0.5)
			m := New(nil, Options{PowerLimitW: 700})
			var found Faults
			var told []string
			done, stated, wrong := 0, 0, 0
			next := 0
			for _, r := range w.sensors(rnd) {
				if c.alone != nil && !slices.Contains(c.alone, r.Source) || c.wrong(&r, w) {
					continue
				}
				for next < len(w.phases) && w.phases[next].End < r.TimeNS {
					m.AddPhase(w.phases[next])
					next++
				}
				m.Add(r)
				for ; done+1 < next && w.phases[done+1].End < r.TimeNS-3e8; done += 2 {
					a, b := w.phases[done].Start, w.phases[done+1].End
					e := m.Window(a, b)
					if !e.Resolved {
						continue
					}
					stated++
					if truth := w.joules(a, b); math.Abs(e.Joules-truth) > 1.5*e.ErrJ+0.01*truth {
						wrong++
						t.Logf("%.1f s: %.1f ± %.1f J by %s, %.1f truly, faults %b", float64(a-w.at[0])/1e9, e.Joules, e.ErrJ, e.Method, truth, e.Faults)
					}
				}
				for _, f := range m.Findings() {
					found |= f.Fault
					told = append(told, f.Text)
				}
			}
			if found != c.want {
				t.Errorf("found %b, want %b: %q", found, c.want, told)
			}
			if len(told) > 4 {
				t.Errorf("told %d times: %q", len(told), told)
			}
			// What turns wrong meanwhile is found after two seconds and a bit.
			if n := len(w.phases) / 2; wrong > 6 || c.stated && stated < n*8/10 {
				t.Errorf("%d of %d requests stated, %d wrong", stated, n, wrong)
			}
		})
	}
}
