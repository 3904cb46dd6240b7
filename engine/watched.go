package engine

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"jouletop/engine/event"
)

// Watched is a command of somebody else's that is run and measured as a whole, and part
// by part as far as it tells of parts.
type Watched struct {
	Name  string        // of the program
	Query string        // its command line
	Idle  time.Duration // how long idle power is measured before and after
	// Run runs it and returns once it has ended. told may be called meanwhile, from one
	// goroutine, of each part as it ends.
	Run func(told func(WatchedPart)) WatchedEnd
}

// WatchedPart is a part of what a command did, told of when it was over: a test of a
// benchmark.
type WatchedPart struct {
	Name, Model string
	Phase       event.Phase // prefill, decode or mixed
	EndNS       int64
	Seconds     float64 // it took, up to EndNS; NaN: when it ran is not known
	Input       int     // tokens read, -1 unknown
	Output      int     // tokens generated, -1 unknown
	Flags       event.Flags
}

// WatchedEnd is how a command ended, and what it says of itself as a whole.
type WatchedEnd struct {
	EndNS         int64
	Model         string // "" unknown
	Input, Output int    // -1 unknown
	Flags         event.Flags
	Note          string // how it ended, in words
}

const (
	// A part is told of when it is over, so that time is left uncut for so long; a part
	// that took longer is not told apart.
	partLimit = 5 * time.Minute
	// pieceTime is how long a piece of it is that is measured by itself, at most.
	pieceTime = 20 * time.Second
	// hearEvery is how often what a command tells is heard.
	hearEvery = 50 * time.Millisecond
	// shortest is the shortest time between parts that is accounted for.
	shortest = time.Millisecond
)

// Watch runs w and publishes what it cost: a point for each kind of part, and one for all
// else that it did, which is all of it where it tells of no parts. Together they are the
// whole. It ends before w has begun where ctx is done, and after it without measuring
// idle power once more; hard ends waiting for the sensors.
func (e *Engine) Watch(ctx, hard context.Context, w Watched) error {
	e.publish(event.RunStart{At: e.now(), Name: "watch", GPU: e.gpuID, Simulated: e.cfg.Simulated, Policy: e.Policy().Name(), Points: 1, Requests: 1})
	x := &execution{Engine: e, plan: Plan{Name: "watch", Idle: w.Idle}}
	err := x.measureIdle(ctx, w.Idle)
	if err == nil {
		err = e.watch(ctx, hard, x, w)
	}
	end := event.RunEnd{At: e.now(), How: event.HowDone}
	if err != nil {
		end.How = event.HowInterrupted
	}
	e.publish(end)
	return err
}

func (e *Engine) watch(ctx, hard context.Context, x *execution, w Watched) error {
	e.Mark("the command begins: " + w.Query)
	c := &cutter{Engine: e, w: w, repeats: map[[2]string]int{}}
	c.start = e.clk.Now()
	c.cursor = c.start
	var inbox struct {
		sync.Mutex
		parts []WatchedPart
		end   *WatchedEnd
	}
	e.clk.Go(func() {
		end := w.Run(func(p WatchedPart) {
			inbox.Lock()
			defer inbox.Unlock()
			inbox.parts = append(inbox.parts, p)
		})
		inbox.Lock()
		defer inbox.Unlock()
		inbox.end = &end
	})
	if l := e.cfg.Load; l != nil {
		l(event.Mixed)
		defer l(event.Idle)
	}
	for {
		inbox.Lock()
		parts, end := inbox.parts, inbox.end
		inbox.parts = nil
		inbox.Unlock()
		for _, p := range parts {
			c.part(p)
		}
		if end != nil {
			e.finish(ctx, hard, x, c, *end)
			return nil
		}
		c.until(e.clk.Now() - int64(partLimit))
		_ = e.clk.Sleep(context.Background(), hearEvery)
	}
}

// finish books what a command came to that has ended.
func (e *Engine) finish(ctx, hard context.Context, x *execution, c *cutter, end WatchedEnd) {
	if l := e.cfg.Load; l != nil {
		l(event.Idle)
	}
	e.Mark("the command has ended: " + end.Note)
	if end.Flags.Has(event.FlagGPUUnused) {
		e.Warn("no kernel ran on the GPU while the command did: its energy is what an idle GPU draws")
	}
	c.end(end)
	_ = x.measureIdle(ctx, x.plan.Idle) // which ctx may end
	for _, id := range c.points {
		x.awaitEnergies(hard, id)
	}
	whole, net := e.account.Whole()
	if math.IsNaN(net.EnergyJ) {
		net.EnergyErrJ = net.EnergyJ // idle power is not known, and no bound of it
	}
	e.publish(event.CommandDone{At: e.now(), StartNS: c.start, EndNS: c.cursor, Energy: whole, NetEnergyJ: net.EnergyJ, NetEnergyErrJ: net.EnergyErrJ})
	for _, id := range c.points {
		e.publish(e.account.Finish(id, e.clk.Now(), nil))
	}
}

// cutter cuts the time that a command runs into parts and what lies between them.
type cutter struct {
	*Engine
	w       Watched
	start   int64  // of the command, ns
	cursor  int64  // up to where it is cut, ns
	open    string // batch of the time between parts that is open; "" none
	began   int64  // when that began
	vague   bool   // a part lies in it, nobody knows where
	batches int
	points  []string
	repeats map[[2]string]int // of parts, by model and name
	placed  int               // parts
}

// point begins a point, if it has not begun.
func (c *cutter) point(id, model, name string, repeat int) {
	for _, p := range c.points {
		if p == id {
			return
		}
	}
	c.points = append(c.points, id)
	c.publish(event.PointStart{At: c.now(), Past: true, Point: event.Point{
		PointID: id, GPU: c.gpuID, Model: model, Dataset: name, BatchSize: -1, Policy: c.Policy().Name(), Repeat: repeat, Queries: 1,
	}})
}

func (c *cutter) batch(point, query string) string {
	c.batches++
	id := fmt.Sprintf("%s/b%d", point, c.batches)
	c.publish(event.BatchStart{At: c.now(), BatchID: id, PointID: point, Queries: []string{query}, Prompt: query[:min(len(query), promptShown)], Pieces: true})
	return id
}

// pieces books the time up to end as a phase of a batch, piece by piece.
func (c *cutter) pieces(batch, point, model string, phase event.Phase, end int64) {
	n := (end - c.cursor + int64(pieceTime) - 1) / int64(pieceTime)
	for from := c.cursor; n > 0; n-- {
		to := from + (end-from)/n
		mhz, _ := c.clocks.RequestedIn(from, to)
		c.publish(event.PhaseEnd{At: event.At{TimeNS: to}, PhaseSpan: event.PhaseSpan{
			BatchID: batch, PointID: point, GPU: c.gpuID, Phase: phase, StartNS: from, EndNS: to,
			BatchSize: -1, Tokens: -1, RequestedSMMHz: mhz, Model: model, ThrottledPct: math.NaN(),
		}})
		from = to
	}
	c.cursor = end
}

// watchedPoint is the point of all that is no part.
const watchedPoint = "watch"

// until cuts the time up to t, which is no part's any more.
func (c *cutter) until(t int64) {
	for t-c.cursor >= int64(pieceTime) {
		c.between(c.cursor + int64(pieceTime))
	}
}

// between books the time up to t as no part's.
func (c *cutter) between(t int64) {
	c.point(watchedPoint, "", c.w.Name, 1)
	if c.open == "" {
		c.open, c.began = c.batch(watchedPoint, c.w.Query), c.cursor
	}
	c.pieces(c.open, watchedPoint, c.w.Name, event.Mixed, t)
}

// close ends the time between parts at t, with what is known of its tokens.
func (c *cutter) close(t int64, model string, input, output int, flags event.Flags) {
	if c.open == "" && t-c.cursor < int64(shortest) {
		return
	}
	c.between(t)
	c.request(c.open, watchedPoint, model, c.w.Name, c.w.Query, c.began, t, input, output, 1, flags)
	c.open = ""
}

func (c *cutter) request(batch, point, model, name, query string, from, to int64, input, output, repeat int, flags event.Flags) {
	mhz, _ := c.clocks.RequestedIn(from, to)
	nan := math.NaN()
	c.publish(event.RequestDone{At: event.At{TimeNS: to}, Request: event.Request{
		RequestID: batch + ".0", BatchID: batch, PointID: point, Repeat: repeat, GPU: c.gpuID, Model: model, Dataset: name, QueryID: query,
		BatchSize: -1, PointBatchSize: -1, Policy: c.Policy().Name(), RequestedSMMHz: mhz, StartNS: from, EndNS: to,
		InputTokens: input, OutputTokens: output, CachedTokens: -1, PrefillS: nan, DecodeS: nan, TTFTS: nan, QueueS: nan, GapMaxS: nan,
		ServerPrefillS: nan, ServerDecodeS: nan, Quality: nan, Output: event.Output{Choice: -1}, Flags: flags,
	}})
}

// errPart: when a part ran is not known.
var errPart = errors.New("when it ran is not known: it is in the command's energy and not told apart")

// part books a part that has ended.
func (c *cutter) part(p WatchedPart) {
	start := p.EndNS - int64(p.Seconds*1e9)
	if !(p.Seconds > 0) || start < c.cursor || p.EndNS > c.clk.Now() {
		c.vague = true
		c.Warn(fmt.Sprintf("%s: %v", p.Name, errPart))
		return
	}
	input, output := 0, 0
	if c.vague {
		input, output, c.vague = -1, -1, false
	}
	c.close(start, "", input, output, "")
	c.cursor = start
	key := [2]string{p.Model, p.Name}
	c.repeats[key]++
	c.placed++
	id := fmt.Sprintf("%s.%d.%s", watchedPoint, c.placed, p.Name)
	c.point(id, p.Model, p.Name, c.repeats[key])
	batch := c.batch(id, p.Name)
	c.pieces(batch, id, p.Model, p.Phase, p.EndNS)
	c.request(batch, id, p.Model, p.Name, p.Name, start, p.EndNS, p.Input, p.Output, c.repeats[key], p.Flags)
}

// end books what is left when the command has ended.
func (c *cutter) end(e WatchedEnd) {
	input, output := e.Input, e.Output
	switch {
	case c.placed == 0:
	case c.vague:
		input, output = -1, -1
	default:
		input, output = 0, 0
	}
	c.close(max(e.EndNS, c.cursor), e.Model, input, output, e.Flags)
}
