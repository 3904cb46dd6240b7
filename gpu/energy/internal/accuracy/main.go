// Command accuracy measures how right gpu/energy is, on a simulated H100 whose
// true energy is known and whose sensors misbehave as real ones do, against
// targets. It exits with 1 when one is missed.
//
// Each board has its own constant gain error, which no estimate can see: the
// truth is scaled by it.
package main

import (
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"

	"jouletop/gpu"
	"jouletop/gpu/energy"
)

// best stands for the estimate from all sources, as the program uses it.
const best = ""

// job is a scenario with the sources to judge.
type job struct {
	scenario
	sources []string
}

// lengths of the requests, with how many boards run them as a stream of 100 and
// alone (100 on each board).
var lengths = []struct {
	length         time.Duration
	streams, alone int
}{
	{20 * time.Millisecond, 80, 25},
	{100 * time.Millisecond, 60, 25},
	{500 * time.Millisecond, 40, 20},
	{5 * time.Second, 30, 20},
}

func main() {
	start := time.Now()
	var jobs []job
	for i, l := range lengths {
		for n := range l.streams + l.alone {
			j := job{scenario: scenario{length: l.length, requests: 100, alone: n >= l.streams, seed: uint64(1000*i + n + 1)}, sources: []string{best}}
			j.blocks = !j.alone
			if n%l.streams < 5 { // enough to see what they are worth
				j.sources = append(j.sources, gpu.SourceCounter, gpu.SourceInstant)
			}
			jobs = append(jobs, j)
		}
	}
	res, err := runAll(jobs)
	if err != nil {
		fmt.Fprintln(os.Stderr, "accuracy:", err)
		os.Exit(1)
	}
	res.print()
	fmt.Printf("\n%d boards, %.0f simulated hours, %.0f s; estimating took %.2f %% of one core at %.0f readings and %.0f phases a second\n",
		len(jobs), res.simulated/3600, time.Since(start).Seconds(), 100*res.cpu.Seconds()/res.metered, float64(res.readings)/res.metered, float64(res.phases)/res.metered)
	n := res.check()
	faulty, err := sensorFaults(faultBoards, faultRequests)
	if err != nil {
		fmt.Fprintln(os.Stderr, "accuracy:", err)
		os.Exit(1)
	}
	changed, err := changes()
	if err != nil {
		fmt.Fprintln(os.Stderr, "accuracy:", err)
		os.Exit(1)
	}
	recorded, err := recordings()
	if err != nil {
		fmt.Fprintln(os.Stderr, "accuracy:", err)
		os.Exit(1)
	}
	if n += faulty + changed + recorded; n > 0 {
		fmt.Printf("%d targets missed\n", n)
		os.Exit(1)
	}
	fmt.Println("all targets met")
}

// runAll runs the jobs on all cores and tallies in their order.
func runAll(jobs []job) (*results, error) {
	type outcome struct {
		r   *results
		err error
	}
	out := make([]outcome, len(jobs))
	next := make(chan int)
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range next {
				rec, err := simulate(jobs[i].scenario)
				if err == nil {
					out[i].r = score(jobs[i], rec)
				}
				out[i].err = err
			}
		}()
	}
	for i := range jobs {
		next <- i
	}
	close(next)
	wg.Wait()
	all := newResults()
	for _, o := range out {
		if o.err != nil {
			return nil, o.err
		}
		all.merge(o.r)
	}
	return all, nil
}

// score replays a recording to meters, as a program would learn of it, and judges
// what they say as soon as it is covered.
func score(j job, rec recording) *results {
	res := newResults()
	res.simulated = float64(rec.items[len(rec.items)-1].at) / 1e9
	where := "in a stream"
	if j.alone {
		where = "alone"
	}
	for _, src := range j.sources {
		begin := time.Now()
		m := energy.New(rec.sources, energy.Options{Horizon: time.Hour})
		done := 0
		for _, it := range rec.items {
			switch {
			case it.phase.Kind != "":
				m.AddPhase(it.phase)
				res.count(src, &res.phases)
			case src == best || it.reading.Source == src:
				m.Add(it.reading)
				res.count(src, &res.readings)
			}
			for done < len(rec.requests) && m.Covered() > rec.requests[done].end {
				r := rec.requests[done]
				done++
				res.add(row{j.length, src, "request " + where}, m.Window(r.start, r.end), r.joules)
				for i, p := range r.phases {
					res.add(row{j.length, src, p.Kind + " " + where}, m.PhaseEnergy(p), r.phaseJ[i])
				}
			}
		}
		if !j.alone {
			a, b := rec.requests[0], rec.requests[len(rec.requests)-1]
			res.add(row{j.length, src, "stream's total"}, m.Window(a.start, b.end), rec.whole)
		}
		if src == best {
			res.cpu += time.Since(begin)
			res.metered += res.simulated
			for _, b := range rec.blocks {
				var sum float64
				for _, x := range b.phaseJ {
					sum += x
				}
				res.add(row{j.length, src, b.phases[0].Kind + " in a block"}, m.Block(b.phases), sum/float64(len(b.phases)))
			}
		}
	}
	res.naive(j, rec, where)
	return res
}
