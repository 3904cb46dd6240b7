package engine

import (
	"context"
	"fmt"
	"math"

	"jouletop/engine/event"
	"jouletop/engine/serving/observed"
)

// seenPasses puts the passes of a server together from what is heard of its requests.
// Its sender's mutex guards it.
type seenPasses struct {
	s    *sender
	live *observed.Live
	// on: what comes from the server is good for that; decided for each busy time.
	on    bool
	wants bool // the next busy time
	next  int64
	iters int
	// Of the busy time, and of the piece of it that was not told yet.
	doubts   event.Flags
	from, to int64
	tokens   int
	// Of the point, for a word at its end.
	requests, blind int
	made            int // tokens; -1 unknown
	server          serverSaid
}

// shortFailure is how long a request may have been at a server for nothing to have been
// computed for it, in ns.
const shortFailure = int64(50e6)

// tellEvery is how often passes are told, in ns.
const tellEvery = int64(250e6)

func (p *seenPasses) begin(ctx context.Context, s *sender) {
	p.s, p.live, p.wants = s, observed.New(), true
	if err := p.server.begin(ctx, s.cfg.Telemetry); err != nil && !s.cfg.Telemetry.Optional() {
		s.Warn(fmt.Sprintf("point %s: %v", s.point.PointID, err))
	} else if err != nil {
		p.server = serverSaid{} // it was tried
	}
	if w, ok := s.model.(interface{ EvaluatesOnce() bool }); ok {
		p.live.Whole = w.EvaluatesOnce()
	}
}

// comes notes that a request comes, to be sent now.
func (p *seenPasses) comes(j *job, now int64) {
	b := p.s.busy
	if p.s.underWay == 0 {
		p.on, p.doubts = p.wants, ""
		p.s.passes = p.on
		if p.on { // its phases are told afterwards
			b.obs.PhaseStart(event.Mixed, now, -1)
		}
	}
	if !p.on {
		p.s.work(now)
		return
	}
	p.live.Sent(j.request.ID, now)
}

func (p *seenPasses) sent(id string, t int64) {
	if p.on {
		p.live.Sent(id, t)
	}
}

func (p *seenPasses) came(id string, t int64, made int) {
	if p.on {
		p.live.Came(id, t, made)
	}
}

func (p *seenPasses) prompt(id string, t int64, w PromptWord) {
	if !p.on {
		return
	}
	if w.Tokens > w.Cached {
		p.live.Prompt(id, observed.Prompt{Tokens: w.Tokens - w.Cached, Cached: w.Cached, Seconds: w.Seconds})
	}
	if w.Read >= w.Cached {
		p.live.Read(id, t, w.Read-w.Cached)
	}
}

// ended takes in what a request came to.
func (p *seenPasses) ended(id string, r *Result) {
	switch {
	case r.Err == nil:
		p.requests++
		blind := r.Flags.Has(event.FlagBufferedStream, event.FlagHiddenTokens)
		if blind {
			p.blind++
			p.doubts = p.doubts.With(event.FlagPassesDoubtful)
		}
		p.wants = !blind
		if p.made >= 0 && r.OutputTokens >= 0 {
			p.made += r.OutputTokens
		} else {
			p.made = -1
		}
	case r.FirstTokenNS == 0 && r.EndNS-r.StartNS > shortFailure: // it may have been read, or not
		p.doubts = p.doubts.With(event.FlagPassesDoubtful)
	}
	if !p.on {
		return
	}
	if computed := r.InputTokens - max(r.CachedTokens, 0); computed > 0 {
		seconds := math.NaN()
		if r.ServerPrefillNS > 0 {
			seconds = float64(r.ServerPrefillNS) / 1e9
		}
		p.live.Late(id, observed.Prompt{Tokens: computed, Cached: max(r.CachedTokens, 0), Seconds: seconds})
	}
	p.live.Ended(id, r.EndNS, r.OutputTokens)
}

// tell publishes the passes that are known by now.
func (p *seenPasses) tell(now int64) {
	if now < p.next {
		return
	}
	p.next = now + tellEvery
	p.server.take(p)
	if p.on {
		p.publish(p.live.Passes(now))
	}
}

// flush publishes all passes of a busy time that ends.
func (p *seenPasses) flush() {
	if !p.on {
		return
	}
	p.server.take(p)
	p.publish(p.live.Rest())
	p.piece(0)
}

func (p *seenPasses) publish(its []event.Iteration) {
	b := p.s.busy
	for _, it := range its {
		p.iters++
		it.IterationID, it.BatchID = fmt.Sprintf("%s/i%d", p.s.point.PointID, p.iters), b.id
		it.GPU, it.Model = p.s.gpuID, p.s.underKnobs(b.obs.model)
		it.Doubts = p.doubts.Union(p.server.doubts(it.StartNS, it.EndNS))
		if it.Queued < 0 {
			it.Queued = p.server.queued(it.EndNS)
		}
		it.RequestedSMMHz, _ = p.s.clocks.RequestedIn(it.StartNS, it.EndNS)
		p.s.publish(it)
		if p.from == 0 {
			p.from = it.StartNS
		}
		p.to = it.EndNS
		for _, m := range it.Members {
			p.tokens += m.Fresh
		}
		p.piece(mixedSpan)
	}
}

// piece tells of the phase since the one before, where it has lasted.
func (p *seenPasses) piece(lasted int64) {
	if p.from > 0 && p.to-p.from >= lasted {
		p.s.busy.obs.Phase(event.Mixed, p.from, p.to, p.tokens)
		p.from, p.to, p.tokens = 0, 0, 0
	}
}

// end says, once a point has ended, of how many requests nothing was to be concluded, and
// what the server's own word was worth.
func (p *seenPasses) end(ctx context.Context) {
	if p.blind > 0 {
		p.s.Warn(fmt.Sprintf("point %s: the texts of %d of %d requests came in bursts, or with tokens that were not shown: in which passes of the server they were is not known, and where they were, not what single requests cost",
			p.s.point.PointID, p.blind, p.requests))
	}
	p.server.end(ctx, p)
}
