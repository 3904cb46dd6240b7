package main

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"

	"jouletop/gpu/energy"
	"jouletop/gpu/simgpu"
	"jouletop/gpu/timebase"
)

// worker is a made-up model: what its phases ask of the GPU.
type worker struct {
	name              string
	prefillTensor     float64 // shares of the peaks
	prefillDRAM       float64
	decodeDRAM        float64
	prefillS, decodeS float64 // s a thousand tokens, s a token, at the top clock
	contextDRAM       float64 // more traffic a thousand tokens of context
	batch             int
}

var workers = []worker{
	{name: "small", prefillTensor: 0.12, prefillDRAM: 0.25, decodeDRAM: 0.45, prefillS: 0.021, decodeS: 0.0015, contextDRAM: 0.02, batch: 1},
	{name: "large", prefillTensor: 0.24, prefillDRAM: 0.36, decodeDRAM: 0.72, prefillS: 0.068, decodeS: 0.0062, contextDRAM: 0.01, batch: 1},
	{name: "small", prefillTensor: 0.30, prefillDRAM: 0.30, decodeDRAM: 0.38, prefillS: 0.060, decodeS: 0.0026, contextDRAM: 0.03, batch: 4},
	{name: "quantised", prefillTensor: 0.20, prefillDRAM: 0.15, decodeDRAM: 0.55, prefillS: 0.080, decodeS: 0.0030, contextDRAM: 0.02, batch: 1},
}

// changing is a board on which models, clocks and prompt lengths change from point
// to point, in order or at random.
type changing struct {
	run
	random bool
	points []changePoint
}

type changePoint struct {
	worker
	mhz, prompt, tokens int
	spans               []energy.Span
	joules              float64
}

// changeBoards is how many boards of each order are judged.
const changeBoards = 12

// changes judges the energy of points while everything changes around them, and
// returns how many targets were missed.
func changes() (missed int, err error) {
	type outcome struct {
		errs, width []float64
		covered     int
		missing     int
		err         error
	}
	var jobs []*changing
	for seed := range uint64(2 * changeBoards) {
		jobs = append(jobs, &changing{run: run{scenario: scenario{seed: seed + 900}}, random: seed%2 == 1})
	}
	out := make([]outcome, len(jobs))
	var wg sync.WaitGroup
	next := make(chan int)
	for range 2 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range next {
				if out[i].err = jobs[i].simulate(); out[i].err != nil {
					continue
				}
				for _, e := range jobs[i].judge() {
					p := jobs[i].points[e.point]
					if !e.Resolved {
						out[i].missing++
						continue
					}
					off := (e.Joules - p.joules) / p.joules
					out[i].errs, out[i].width = append(out[i].errs, off), append(out[i].width, e.ErrJ/p.joules)
					if math.Abs(e.Joules-p.joules) <= e.ErrJ {
						out[i].covered++
					}
				}
			}
		}()
	}
	for i := range jobs {
		next <- i
	}
	close(next)
	wg.Wait()
	fmt.Printf("\npoints while models, batch sizes, prompt lengths and clocks change, pauses of 0 to 5 s\n%-12s %7s %8s %9s %9s %9s %9s\n", "order", "points", "missing", "mean|err|", "worst", "bound", "coverage")
	var n, inside, missing int
	worst := 0.0
	for _, random := range []bool{false, true} {
		var k, c, gone int
		var sum, most, width float64
		for i, o := range out {
			if o.err != nil {
				return 0, o.err
			}
			if jobs[i].random != random {
				continue
			}
			for j, e := range o.errs {
				k++
				sum += math.Abs(e)
				most = max(most, math.Abs(e))
				width += o.width[j]
			}
			c, gone = c+o.covered, gone+o.missing
		}
		name := map[bool]string{false: "in order", true: "at random"}[random]
		fmt.Printf("%-12s %7d %8d %8.2f%% %8.2f%% %8.2f%% %8.1f%%\n", name, k, gone, 100*sum/float64(k), 100*most, 100*width/float64(k), 100*float64(c)/float64(k))
		n, inside, missing, worst = n+k, inside+c, missing+gone, max(worst, most)
	}
	c := float64(inside) / float64(n)
	give := 2 * math.Sqrt(c*(1-c)/float64(n))
	for _, t := range []struct {
		name, reached string
		ok            bool
	}{
		{"every point within 2 %", fmt.Sprintf("%.2f %%", 100*worst), worst <= 0.02},
		{"no point without energy", fmt.Sprint(missing), missing == 0},
		{fmt.Sprintf("points' truth inside the bound 93 to 99 %% (± %.1f)", 100*give), fmt.Sprintf("%.2f %%", 100*c), c >= 0.93-give && c <= 0.99+give},
	} {
		missed += target(t.name, t.reached, t.ok)
	}
	return missed, nil
}

// simulate runs the points and keeps what the sensors tell.
func (c *changing) simulate() error {
	clk := timebase.NewSim(0)
	dev, err := simgpu.New("h100", clk, int64(c.seed), simgpu.WithTruth())
	if err != nil {
		return fmt.Errorf("simulated GPU: %w", err)
	}
	c.gpu, c.clk, c.rnd = dev, clk, rand.New(rand.NewPCG(c.seed, 11))
	c.rec.sources = dev.PowerSources()
	dev.SetMemory(17000)
	for range 2 {
		for _, w := range workers {
			for _, mhz := range []int{1980, 1005, 345} {
				for _, prompt := range []int{340, 1200} {
					c.points = append(c.points, changePoint{worker: w, mhz: mhz, prompt: prompt, tokens: 20 + c.rnd.IntN(80)})
				}
			}
		}
	}
	if c.random {
		c.rnd.Shuffle(len(c.points), func(i, j int) { c.points[i], c.points[j] = c.points[j], c.points[i] })
	}
	c.points = c.points[:24]
	return c.record(c.runPoints)
}

// runPoints runs the points one after the other.
func (c *changing) runPoints() error {
	defer func() { c.end = true }()
	if err := c.pause(1, 1.5); err != nil {
		return err
	}
	for i := range c.points {
		p := &c.points[i]
		if c.rnd.IntN(2) == 0 {
			if err := c.pause(0, 5); err != nil {
				return err
			}
		}
		if err := c.gpu.SetSMClock(p.mhz); err != nil {
			return err
		}
		// The engine waits until a clock has settled.
		if err := c.pause(0.05, 0.06); err != nil {
			return err
		}
		for range 6 {
			if err := c.batch(p); err != nil {
				return err
			}
			if err := c.pause(0.0008, 0.0015); err != nil {
				return err
			}
		}
	}
	return c.pause(1.2, 1.5)
}

// batch runs one prefill and decode of the point.
func (c *changing) batch(p *changePoint) error {
	prompt := float64(p.prompt) * c.vary(0.3)
	tokens := float64(p.tokens) * c.vary(0.2)
	slow := math.Sqrt(1980 / float64(p.mhz)) // decode is bound by memory, prefill less
	fill := c.vary(0.03)
	span := energy.Span{Start: c.clk.Now()}
	for _, ph := range []struct {
		kind             string
		d, tensor, dram  float64
		context, written float64
	}{
		{"prefill", p.prefillS * prompt / 1000 * slow * slow, p.prefillTensor * fill / slow / slow, p.prefillDRAM * fill / slow / slow, prompt, prompt},
		{"decode", p.decodeS * tokens * math.Sqrt(slow), 0.013, (p.decodeDRAM + p.contextDRAM*prompt/1000) / math.Sqrt(slow), prompt + tokens/2, tokens},
	} {
		e := energy.Phase{Kind: ph.kind, Model: p.name, Batch: p.worker.batch, SMMHz: p.mhz, Start: c.clk.Now(), Context: ph.context, Tokens: int(ph.written)}
		if _, _, err := c.gpu.Execute(context.Background(), c.load(ph.d, ph.tensor, ph.dram)); err != nil {
			return err
		}
		e.End = c.clk.Now()
		c.rec.items = append(c.rec.items, item{at: e.End, phase: e})
	}
	span.End = c.clk.Now()
	p.spans = append(p.spans, span)
	p.joules += c.truth(span.Start, span.End)
	return nil
}

// judged is a point's estimate.
type judged struct {
	energy.Estimate
	point int
}

// judge asks a meter for each point, half a second after it is covered, as the
// program does.
func (c *changing) judge() []judged {
	const hindsight = int64(5e8)
	m := energy.New(c.rec.sources, energy.Options{})
	var out []judged
	for _, it := range c.rec.items {
		if it.phase.Kind != "" {
			m.AddPhase(it.phase)
		} else {
			m.Add(it.reading)
		}
		for len(out) < len(c.points) {
			spans := c.points[len(out)].spans
			if t := m.Covered(); t < 0 || t-hindsight < spans[len(spans)-1].End {
				break
			}
			out = append(out, judged{m.Busy(spans), len(out)})
		}
	}
	for len(out) < len(c.points) {
		out = append(out, judged{m.Busy(c.points[len(out)].spans), len(out)})
	}
	return out
}
