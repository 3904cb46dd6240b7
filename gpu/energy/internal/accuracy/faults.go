package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"jouletop/gpu"
	"jouletop/gpu/energy"
)

// Random faults of sensors: what is stated all the same must hold the truth.

// fault is a time in which a source tells something else than it should.
type fault struct {
	kind     string
	source   string // "" all
	from, to int64
	amount   float64 // W, J, or a share, as the kind has it
	base     float64 // of a counter: its value when the fault began
	held     float64 // value that is stuck; NaN before
}

// Kinds of faults of sources of power, and of the counter.
var (
	powerFaults   = []string{"garbage now and then", "garbage always", "0 W", "scaled", "stuck", "silent"}
	counterFaults = []string{"stuck", "scaled", "step", "wild value", "silent"}
)

const lostGPU = "GPU lost"

// Boards with random faults, and the requests on each: three simulated hours in all.
const faultBoards, faultRequests = 29, 340

// faultEvery is how far apart faults are on the average.
const faultEvery = 40 * time.Second

// drawFaults lays faults over start to end, on these sources.
func drawFaults(rnd *rand.Rand, sources []string, start, end int64) (out []*fault) {
	for t := start; ; {
		t += int64((0.2 + 1.6*rnd.Float64()) * float64(faultEvery))
		if t >= end {
			return out
		}
		f := &fault{source: sources[rnd.IntN(len(sources))], from: t, to: t + int64((1+14*rnd.Float64())*1e9), held: math.NaN()}
		kinds := powerFaults
		if f.source == gpu.SourceCounter {
			kinds = counterFaults
		}
		f.kind = kinds[rnd.IntN(len(kinds))]
		switch {
		case rnd.IntN(8) == 0:
			f.kind, f.source = lostGPU, ""
		case f.kind == "scaled":
			f.amount = 1.25 + 0.75*rnd.Float64()
			if rnd.IntN(2) == 0 {
				f.amount = 1 / f.amount
			}
		case f.kind == "step":
			f.amount = (300 + 5000*rnd.Float64()) * float64(2*rnd.IntN(2)-1)
		case f.kind == "wild value":
			f.to = f.from + int64(1e9)
			f.amount = 1e6 * rnd.Float64()
		default:
			f.amount = 3.7e6 // W: what a driver was seen to say
			if rnd.IntN(2) == 0 {
				f.amount = 1500 + 3000*rnd.Float64()
			}
		}
		out = append(out, f)
	}
}

// disturb passes a reading through the faults; ok is false where nothing comes. off
// is by how much the counter is off for good.
func disturb(rnd *rand.Rand, faults []*fault, r gpu.PowerReading, off *float64) (_ gpu.PowerReading, ok bool) {
	counter := r.Source == gpu.SourceCounter
	r.CounterJ += *off
	for _, f := range faults {
		if r.TimeNS < f.from || r.TimeNS >= f.to || f.source != "" && f.source != r.Source {
			continue
		}
		value := &r.PowerW
		if counter {
			value = &r.CounterJ
		}
		if math.IsNaN(f.held) {
			f.held, f.base = *value, *value
		}
		switch f.kind {
		case "garbage now and then":
			if rnd.IntN(50) == 0 {
				*value = f.amount
			}
		case "garbage always":
			*value = f.amount
		case "0 W":
			*value = 0
		case "stuck":
			*value, r.Fresh = f.held, r.Source == gpu.SourceBuffer
		case "wild value":
			*value += f.amount
		case "scaled":
			if !counter {
				*value *= f.amount
				break
			}
			// It counts on from where it is, at another rate, for good.
			more := (f.amount - 1) * (*value - f.base)
			f.base = *value
			*value, *off = *value+more, *off+more
		case "step":
			if f.amount != 0 {
				*off += f.amount
				*value += f.amount
				f.amount = 0
			}
		default:
			return r, false
		}
	}
	return r, true
}

// sourceSets are what boards and drivers offer.
var sourceSets = [][]string{
	{gpu.SourceAverage, gpu.SourceInstant, gpu.SourceBuffer, gpu.SourceCounter},
	{gpu.SourceAverage, gpu.SourceInstant, gpu.SourceBuffer, gpu.SourceCounter},
	{gpu.SourceBuffer, gpu.SourceCounter},
	{gpu.SourceAverage, gpu.SourceInstant, gpu.SourceCounter},
	{gpu.SourceAverage, gpu.SourceInstant, gpu.SourceBuffer},
	{gpu.SourceAverage, gpu.SourceCounter},
}

// stated counts what was asked for, stated, and wrong.
type stated struct{ asked, said, wrong, flagged int }

func (s *stated) add(e energy.Estimate, truth float64) {
	s.asked++
	if e.Faults != 0 {
		s.flagged++
	}
	if !e.Resolved {
		return
	}
	s.said++
	if math.Abs(e.Joules-truth) > e.ErrJ {
		s.wrong++
	}
}

func (s *stated) wrongShare() float64 { return float64(s.wrong) / float64(max(s.said, 1)) }

// faultTally is what came of boards with faults.
type faultTally struct {
	mu       sync.Mutex
	figures  map[string]*stated // by what was asked for
	kinds    map[string]*stated // requests that a kind of fault touched
	sets     map[string]*stated // requests by the sources there are
	faults   int
	found    int
	seconds  float64
	cpu      time.Duration
	firstErr error
}

func tallyOf(m map[string]*stated, key string) *stated {
	if m[key] == nil {
		m[key] = &stated{}
	}
	return m[key]
}

// faultBoard runs requests on a board with random faults.
func (ft *faultTally) board(n, requests int) {
	rec, err := simulate(scenario{length: 700 * time.Millisecond, requests: requests, alone: n%2 == 0, seed: uint64(77_000 + n)})
	if err != nil {
		ft.mu.Lock()
		ft.firstErr = err
		ft.mu.Unlock()
		return
	}
	rnd := rand.New(rand.NewPCG(uint64(n), 13))
	sources := sourceSets[n%len(sourceSets)]
	last := rec.items[len(rec.items)-1].at
	faults := drawFaults(rnd, sources, rec.items[0].at, last)
	var own []gpu.PowerSource
	for _, s := range rec.sources {
		if slices.Contains(sources, s.Name) {
			own = append(own, s)
		}
	}
	begin := time.Now()
	m := energy.New(own, energy.Options{PowerLimitW: 700})
	type answer struct {
		what  string
		span  span
		e     energy.Estimate
		truth float64
	}
	var answers []answer
	done, found, off := 0, 0, 0.0
	for _, it := range rec.items {
		if it.phase.Kind != "" {
			m.AddPhase(it.phase)
		} else if slices.Contains(sources, it.reading.Source) {
			if r, ok := disturb(rnd, faults, it.reading, &off); ok {
				m.Add(r)
			}
		}
		// A program waits two seconds for sources that have fallen silent.
		for done < len(rec.requests) && (m.Covered() > rec.requests[done].end && it.at > rec.requests[done].end || it.at-rec.requests[done].end > 2e9) {
			r := rec.requests[done]
			done++
			answers = append(answers, answer{"request", r, m.Window(r.start, r.end), r.joules})
			for i, p := range r.phases {
				answers = append(answers, answer{p.Kind, r, m.PhaseEnergy(p), r.phaseJ[i]})
			}
		}
		found += len(m.Findings())
	}
	cpu := time.Since(begin)
	ft.mu.Lock()
	defer ft.mu.Unlock()
	ft.cpu += cpu
	ft.seconds += float64(last) / 1e9
	ft.faults += len(faults)
	ft.found += found
	for _, a := range answers {
		tallyOf(ft.figures, a.what).add(a.e, a.truth)
		if a.what != "request" {
			continue
		}
		tallyOf(ft.sets, strings.Join(sources, ", ")).add(a.e, a.truth)
		kind := "no fault"
		for _, f := range faults {
			if f.from < a.span.end && f.to > a.span.start {
				kind = f.kind
				if f.source == gpu.SourceCounter {
					kind = "counter: " + kind
				}
			}
		}
		tallyOf(ft.kinds, kind).add(a.e, a.truth)
	}
}

// sensorFaults runs boards with random faults, each for some minutes, prints how
// often an interval excluded the truth, beside the target, and returns how many
// targets were missed.
func sensorFaults(boards, requests int) (missed int, err error) {
	ft := &faultTally{figures: map[string]*stated{}, kinds: map[string]*stated{}, sets: map[string]*stated{}}
	begin := time.Now()
	next := make(chan int)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for n := range next {
				ft.board(n, requests)
			}
		})
	}
	for n := range boards {
		next <- n
	}
	close(next)
	wg.Wait()
	if ft.firstErr != nil {
		return 0, ft.firstErr
	}
	fmt.Printf("\nrandom faults of sensors: %d in %.2f simulated hours on %d boards, %d findings told, in %.0f s (meter: %.2f %% of one core)\n",
		ft.faults, ft.seconds/3600, boards, ft.found, time.Since(begin).Seconds(), 100*ft.cpu.Seconds()/ft.seconds)
	fmt.Printf("%-66s %6s %9s %9s %9s\n", "", "asked", "stated", "flagged", "wrong")
	show := func(prefix string, m map[string]*stated) {
		var keys []string
		for k := range m {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		for _, k := range keys {
			s := m[k]
			fmt.Printf("%-66s %6d %8.1f%% %8.1f%% %8.2f%%\n", prefix+k, s.asked, 100*float64(s.said)/float64(s.asked), 100*float64(s.flagged)/float64(s.asked), 100*s.wrongShare())
		}
	}
	show("", ft.figures)
	show("requests under: ", ft.kinds)
	show("requests by: ", ft.sets)
	const most = 0.07
	for _, what := range []string{"request", "prefill", "decode"} {
		s := tallyOf(ft.figures, what)
		// A share of n draws is itself known to two standard errors only.
		give := 2 * math.Sqrt(most*(1-most)/float64(max(s.said, 1)))
		missed += target("random faults: "+what+" outside its interval, at most 7 %", fmt.Sprintf("%.2f %%", 100*s.wrongShare()), s.wrongShare() <= most+give)
	}
	return missed, nil
}
