// Command accuracy measures how right gpu/energy is on a simulated H100 whose
// true energy is known and whose sensors misbehave as real ones do.
package main

import (
	"flag"
	"fmt"
	"math"
	"os"
	"time"

	"jouletop/gpu"
	"jouletop/gpu/energy"
)

// tally collects errors of one kind of estimate.
type tally struct {
	n, resolved, covered int
	abs, sum, worst      float64
	width, z             float64
}

func (t *tally) add(e energy.Estimate, truth float64) {
	t.n++
	if !e.Resolved {
		return
	}
	t.resolved++
	d := (e.Joules - truth) / truth
	t.abs += math.Abs(d)
	t.sum += d
	t.worst = max(t.worst, math.Abs(d))
	t.width += e.ErrJ / truth
	t.z += math.Pow((e.Joules-truth)/e.ErrJ*1.96, 2)
	if math.Abs(e.Joules-truth) <= e.ErrJ {
		t.covered++
	}
}

func (t *tally) row(name string) string {
	n := float64(t.resolved)
	return fmt.Sprintf("%-26s %6d %6.1f%% %7.2f%% %+7.2f%% %7.2f%% %7.2f%% %6.1f%% z %.2f", name, t.n, 100*n/float64(t.n),
		100*t.abs/n, 100*t.sum/n, 100*t.worst, 100*t.width/n, 100*float64(t.covered)/n, math.Sqrt(t.z/n))
}

func main() {
	length := flag.Duration("l", 0, "")
	flag.Parse()
	fmt.Printf("%-26s %6s %7s %8s %8s %8s %8s %7s\n", "", "n", "solved", "mean|e|", "bias", "worst", "bound", "cover")
	for _, l := range []time.Duration{20 * time.Millisecond, 100 * time.Millisecond, 500 * time.Millisecond, 5 * time.Second} {
		if *length != 0 && l != *length {
			continue
		}
		for _, alone := range []bool{false, true} {
			T := map[string]*tally{}
			var order []string
			get := func(k string) *tally {
				if T[k] == nil {
					T[k] = &tally{}
					order = append(order, k)
				}
				return T[k]
			}
			start := time.Now()
			var simT, estT time.Duration
			for seed := range 20 {
				t0 := time.Now()
				rec, err := simulate(scenario{length: l, requests: 100, alone: alone, blocks: false, seed: uint64(seed)})
				if err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
				simT += time.Since(t0)
				t0 = time.Now()
				for _, src := range []string{"best", gpu.SourceCounter, gpu.SourceInstant, gpu.SourceAverage} {
					score(rec, src, alone, get)
				}
				estT += time.Since(t0)
			}
			fmt.Printf("-- %v alone=%v (%v: sim %v, est %v)\n", l, alone, time.Since(start), simT, estT)
			for _, k := range order {
				fmt.Println(T[k].row(k))
			}
		}
	}
}

func score(rec recording, src string, alone bool, get func(string) *tally) {
	m := energy.New(rec.sources, energy.Options{Horizon: time.Hour})
	q := 0
	for _, it := range rec.items {
		if it.phase.Kind != "" {
			m.AddPhase(it.phase)
		} else if src == "best" || it.reading.Source == src {
			m.Add(it.reading)
		}
		for q < len(rec.requests) && m.Covered() > rec.requests[q].end+60e6 {
			r := rec.requests[q]
			q++
			get(src+" request").add(m.Window(r.start, r.end), r.joules)
			if src != gpu.SourceAverage {
				for i, p := range r.phases {
					get(src+" "+p.Kind).add(m.PhaseEnergy(p), r.phaseJ[i])
				}
			}
		}
	}
	if !alone {
		a, b := rec.requests[0], rec.requests[len(rec.requests)-1]
		var tot float64
		for _, r := range rec.requests {
			tot += r.joules
		}
		_ = tot
		get(src+" stream").add(m.Window(a.start, b.end), truthOf(rec))
	}
}

func truthOf(rec recording) float64 { return rec.whole }
