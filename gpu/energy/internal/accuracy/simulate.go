package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"jouletop/gpu"
	"jouletop/gpu/energy"
	"jouletop/gpu/simgpu"
	"jouletop/gpu/timebase"
)

// Shares of the simulated H100's peak rates that a prefill and a decode step of
// an 8B model at batch 1 reach: about 610 and 600 W.
const (
	prefillTensor, prefillDRAM = 0.24, 0.36
	decodeDRAM                 = 0.72
)

// scenario is one run on one simulated board.
type scenario struct {
	length   time.Duration // of a request, within a fifth
	requests int
	alone    bool // pauses between requests; else a stream
	blocks   bool // after them, a steady block of each phase
	seed     uint64
}

// item is a reading or a phase, in the order in which a program would learn of
// them.
type item struct {
	at      int64
	reading gpu.PowerReading
	phase   energy.Phase
}

// span is a window with its true energy, as the board's sensors scale it.
type span struct {
	start, end int64
	joules     float64
	phases     []energy.Phase
	phaseJ     []float64
}

// recording is what came of a scenario.
type recording struct {
	sources  []gpu.PowerSource
	items    []item
	requests []span
	whole    float64 // J, from the first request to the last
	blocks   []span  // one phase kind each, many phases
}

// clockless collects what the simulated goroutines do; they run one at a time.
type run struct {
	scenario
	gpu *simgpu.GPU
	clk *timebase.Sim
	rnd *rand.Rand
	rec recording
	end bool
	err error
}

func simulate(sc scenario) (recording, error) {
	clk := timebase.NewSim(0)
	dev, err := simgpu.New("h100", clk, int64(sc.seed), simgpu.WithTruth())
	if err != nil {
		return recording{}, fmt.Errorf("simulated GPU: %w", err)
	}
	r := &run{scenario: sc, gpu: dev, clk: clk, rnd: rand.New(rand.NewPCG(sc.seed, 7))}
	r.rec.sources = dev.PowerSources()
	dev.SetMemory(17000)
	err = r.record(r.work)
	return r.rec, err
}

// record does work while the sensors are read as the program reads them.
func (r *run) record(work func() error) error {
	var wg sync.WaitGroup
	task := func(f func() error) {
		wg.Add(1)
		r.clk.Go(func() {
			defer wg.Done()
			if err := f(); err != nil && r.err == nil {
				r.err = err
			}
		})
	}
	wg.Add(1)
	r.clk.Go(func() {
		defer wg.Done()
		task(func() error { return r.poll(gpu.SourceAverage, 10*time.Millisecond) })
		task(func() error { return r.poll(gpu.SourceInstant, 10*time.Millisecond) })
		task(func() error { return r.poll(gpu.SourceCounter, 500*time.Millisecond) })
		task(r.pollBuffer)
		task(work)
	})
	wg.Wait()
	return r.err
}

// poll reads a source and marks what is only a repetition.
func (r *run) poll(source string, every time.Duration) error {
	var last gpu.PowerReading
	for !r.end {
		x, err := r.gpu.ReadPower(source)
		if err != nil {
			return err
		}
		x.Fresh = x.PowerW != last.PowerW && source != gpu.SourceCounter || source == gpu.SourceCounter && x.CounterJ != last.CounterJ
		last = x
		// Between renewals it is enough to know when the source was last looked at.
		r.rec.items = append(r.rec.items, item{at: x.TimeNS, reading: x})
		if err := r.clk.Sleep(context.Background(), every); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) pollBuffer() error {
	last := int64(-1)
	for !r.end {
		list, err := r.gpu.ReadPowerBuffer(last)
		if err != nil {
			return err
		}
		now := r.clk.Now()
		for _, x := range list {
			r.rec.items = append(r.rec.items, item{at: now, reading: x})
			last = x.TimeNS
		}
		if err := r.clk.Sleep(context.Background(), 250*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// work runs the requests, then the blocks.
func (r *run) work() error {
	defer func() { r.end = true }()
	if err := r.pause(1, 1.5); err != nil {
		return err
	}
	for range r.requests {
		if err := r.request(); err != nil {
			return err
		}
		var err error
		switch {
		case r.alone:
			err = r.pause(0.4, 1.2)
		case r.rnd.IntN(10) == 0:
			err = r.pause(0.005, 0.05) // between two requests of a queue
		default:
			err = r.pause(0.0001, 0.0003)
		}
		if err != nil {
			return err
		}
	}
	a, b := r.rec.requests[0], r.rec.requests[len(r.rec.requests)-1]
	r.rec.whole = r.truth(a.start, b.end)
	if r.blocks {
		for _, kind := range []string{"prefill", "decode"} {
			if err := r.block(kind); err != nil {
				return err
			}
		}
	}
	return r.pause(1.2, 1.5) // until the sensors have told of it all
}

func (r *run) pause(lo, hi float64) error {
	s := lo + (hi-lo)*r.rnd.Float64()
	return r.clk.Sleep(context.Background(), time.Duration(s*float64(time.Second)))
}

// vary returns a factor within ±by, even.
func (r *run) vary(by float64) float64 { return 1 + by*(2*r.rnd.Float64()-1) }

func (r *run) request() error {
	total := r.length.Seconds() * r.vary(0.2)
	share := 0.15 + 0.35*r.rnd.Float64()
	s := span{start: r.clk.Now()}
	if err := r.phase(&s, "prefill", total*share); err != nil {
		return err
	}
	if err := r.phase(&s, "decode", total*(1-share)); err != nil {
		return err
	}
	s.end = s.phases[1].End
	s.joules = r.truth(s.start, s.end)
	r.rec.requests = append(r.rec.requests, s)
	return nil
}

// phase runs one phase of about so many seconds.
func (r *run) phase(s *span, kind string, seconds float64) error {
	p := energy.Phase{Kind: kind, Batch: 1, Start: r.clk.Now()}
	// Prompts differ in how well they fill the tensor cores; decode draws more
	// memory traffic as the context grows.
	const steps = 8
	fill, drift := r.vary(0.08), r.vary(0.015)
	for i := range steps {
		d := seconds / steps
		var w simgpu.Work
		if kind == "prefill" {
			eff := prefillTensor * fill
			w = r.load(d, eff, prefillDRAM*fill)
			if i == 0 {
				w.Overhead = min(300*time.Microsecond, time.Duration(d*0.2e9))
			}
		} else {
			w = r.load(d, 0.013, decodeDRAM*drift*(1+0.01*float64(i)/steps))
		}
		if _, _, err := r.gpu.Execute(context.Background(), w); err != nil {
			return err
		}
	}
	p.End = r.clk.Now()
	r.rec.items = append(r.rec.items, item{at: p.End, phase: p})
	s.phases = append(s.phases, p)
	s.phaseJ = append(s.phaseJ, r.truth(p.Start, p.End))
	return nil
}

// load is work of d seconds that uses such shares of the peak rates.
func (r *run) load(d, tensor, dram float64) simgpu.Work {
	const peakFLOPs, peakBytes = 989e12, 3.35e12
	w := simgpu.Work{FLOPs: tensor * peakFLOPs * d, Bytes: dram * peakBytes * d, TensorEff: tensor, DRAMEff: dram}
	if tensor < 0.1 {
		w.TensorEff = 1
	} else {
		w.DRAMEff = 1
	}
	return w
}

// block repeats one phase for three seconds.
func (r *run) block(kind string) error {
	b := span{start: r.clk.Now()}
	for r.clk.Now()-b.start < 3e9 {
		if err := r.phase(&b, kind, r.length.Seconds()*0.4); err != nil {
			return err
		}
	}
	b.end = r.clk.Now()
	b.joules = r.truth(b.start, b.end)
	r.rec.blocks = append(r.rec.blocks, b)
	return r.pause(0.2, 0.4)
}

// truth is the energy of a window, scaled by the board's constant gain error.
func (r *run) truth(a, b int64) float64 { return r.gpu.TrueEnergyJ(a, b) * r.gpu.Gain() }
