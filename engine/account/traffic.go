package account

import (
	"cmp"
	"math"
	"slices"

	"jouletop/engine/event"
	"jouletop/engine/serving"
)

// offered is a request as it came.
type offered struct {
	id             string
	arrival, start int64 // ns; start: of its first pass
	end            int64 // ns, 0 under way
	prompt, output int   // tokens, as far as is known
	read, made     int   // so far
}

// done tells whether it had ended by t.
func (o *offered) done(t int64) bool { return o.end > 0 && o.end <= t }

// traffic is who came to a busy time, and what its passes show of how it is scheduled.
type traffic struct {
	of map[string]*offered
	// The most in flight while others waited; 0 where none ever did.
	slots  int
	chunk  int  // most tokens of prompts in a pass
	beside bool // prompts are read beside decodes
	joined bool // a request began while others were under way
	most   int  // members of a pass
	gap    float64
	gaps   float64 // how many
	last   int64   // ns, end of the latest pass
	queued int     // in it
}

// before is who was under way at a request's first pass.
type before []offered

// pass takes in a pass, and returns for each request that is new what was under way.
func (f *traffic) pass(it event.Iteration) map[string]before {
	var fresh map[string]before
	if f.of == nil {
		f.of = map[string]*offered{}
	}
	for _, m := range it.Members {
		if o := f.of[m.RequestID]; o != nil && o.start > 0 {
			continue
		}
		if fresh == nil {
			fresh = map[string]before{}
		}
		fresh[m.RequestID] = nil
	}
	if fresh != nil {
		var way before
		for _, o := range f.of {
			if o.start > 0 && !o.done(it.StartNS) {
				way = append(way, *o)
			}
		}
		f.joined = f.joined || len(way) > 0
		slices.SortFunc(way, func(a, b offered) int { return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(a.id, b.id)) })
		for id := range fresh {
			fresh[id] = way
		}
	}
	tokens := 0
	for _, m := range it.Members {
		o := f.of[m.RequestID]
		if o == nil {
			o = &offered{id: m.RequestID, arrival: it.StartNS}
			f.of[m.RequestID] = o
		}
		if o.start == 0 {
			o.start = it.StartNS
		}
		switch {
		case m.Prefill:
			o.read = m.Known + m.Fresh
			tokens += m.Fresh
		default:
			o.made = max(o.made, 1) + 1
		}
	}
	if it.Queued > 0 {
		f.slots = max(f.slots, len(it.Members))
	}
	f.chunk, f.most = max(f.chunk, tokens), max(f.most, len(it.Members))
	f.beside = f.beside || it.PrefillTokens > 0 && it.DecodeRequests > 0
	const pause = 5e-3 // s; longer is none between passes
	if d := float64(it.StartNS-f.last) / 1e9; f.last > 0 && d >= 0 && d < pause {
		f.gap, f.gaps = f.gap+d, f.gaps+1
	}
	f.last, f.queued = it.EndNS, it.Queued
	return fresh
}

// request notes a request that has ended, or is known to have come.
func (f *traffic) request(r event.Request) {
	if f.of == nil {
		f.of = map[string]*offered{}
	}
	o := f.of[r.RequestID]
	if o == nil {
		o = &offered{id: r.RequestID}
		f.of[r.RequestID] = o
	}
	o.arrival, o.end = cmp.Or(r.ArrivalNS, r.StartNS), r.EndNS
	o.prompt, o.output = max(r.InputTokens-max(r.CachedTokens, 0), o.read, 1), max(r.OutputTokens, o.made, 1)
}

// forget drops those that ended before t.
func (f *traffic) forget(t int64) {
	for id, o := range f.of {
		if o.done(t) {
			delete(f.of, id)
		}
	}
}

// after is how long after a request's end what it did to others is to be seen, in ns: it
// fades as they end who were beside it.
func (f *traffic) after() int64 {
	const most = int64(10e9)
	var sum, n int64
	for _, o := range f.of {
		if o.end > 0 && o.start > 0 {
			sum, n = sum+o.end-o.start, n+1
		}
	}
	return min(2*sum/max(n, 1), most)
}

// config is how a scheduler must be set to do what was seen.
func (f *traffic) config() serving.Config {
	c := serving.Config{Slots: cmp.Or(f.slots, math.MaxInt16), Chunk: max(f.chunk, 1), Schedule: serving.PrefillFirst}
	switch {
	case f.beside:
		c.Schedule = serving.Mixed
	case f.slots > 0 && f.most > 1 && !f.joined:
		c.Schedule = serving.Static
	}
	return c
}
