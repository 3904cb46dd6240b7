package observed

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"jouletop/engine/event"
)

// pass is one as it is put together.
type pass struct {
	start, end int64 // the model is evaluated; ns
	sent       int64 // the last of its tokens came
	marks      []mark
	told       *Told // by the server; nil
	prompts    map[*request]int
	before     map[*request]int // tokens of a prompt that were read before
	decodes    map[*request]int // tokens
	known      map[*request]int // tokens in the cache before
	began      int64            // the earliest that a prompt in it began; 0 before it
	sentAt     int64            // or was sent, where no more is known
}

// passes puts together what came until then.
func (l *Live) passes(until int64) []event.Iteration {
	ps := l.match(l.group(until), until)
	if l.guesses() {
		l.spread(ps)
	}
	at := map[*request]int{} // the pass of its newest token among these
	for i, p := range ps {
		if p.told != nil {
			l.share(p)
		}
		for _, m := range p.marks {
			if !m.token() {
				m.of.advance(p, m.read)
				continue
			}
			if from, has := at[m.of]; m.of.made > 0 && has {
				m.of.decode(ps[from+1:i+1], m.made)
			} else if m.of.made > 0 {
				m.of.decode(ps[:i+1], m.made)
			} else {
				m.of.prefill(ps[:i+1], m.t)
				m.of.made = 1
			}
			at[m.of] = i
		}
	}
	if l.guesses() {
		l.guess.learn(ps)
	}
	var out []event.Iteration
	for _, p := range ps {
		if len(p.prompts)+len(p.decodes) == 0 {
			continue // a sign of what came out of the pass before
		}
		l.n++
		if p.begin(); p.start > 0 && p.start < p.end { // of the first nobody saw the beginning
			out = append(out, p.iteration(l.n))
		}
	}
	l.forget()
	return out
}

// forget drops the requests all of which is in passes.
func (l *Live) forget() {
	waiting := map[*request]bool{}
	for _, m := range l.events {
		waiting[m.of] = true
	}
	l.order = slices.DeleteFunc(l.order, func(r *request) bool {
		r.gone = r.ended && !waiting[r]
		if r.gone {
			delete(l.requests, r.id)
		}
		return r.gone
	})
}

// group puts together what came out of one pass each: no request has two tokens of it,
// and no longer time is between them than there is within passes.
func (l *Live) group(until int64) []*pass {
	slices.SortStableFunc(l.events, func(a, b mark) int { return cmp.Or(cmp.Compare(a.t, b.t), cmp.Compare(a.of.number, b.of.number)) })
	n, _ := slices.BinarySearchFunc(l.events, until, func(m mark, t int64) int {
		if m.t <= t {
			return -1
		}
		return 1
	})
	const gapsKept = 4096
	ready := l.events[:n]
	gaps := l.gaps
	for i := 1; i < n; i++ {
		if ready[i].of != ready[i-1].of {
			gaps = append(gaps, ready[i].t-ready[i-1].t)
		}
	}
	gaps = gaps[max(len(gaps)-gapsKept, 0):]
	longest := within(gaps)
	var out []*pass
	for i, m := range ready {
		k := len(out) - 1
		if i == 0 || float64(m.t-ready[i-1].t) > longest || slices.ContainsFunc(out[k].marks, func(o mark) bool { return o.of == m.of && (o.token() || !m.token()) }) {
			out = append(out, newPass(0, 0, 0, m))
			continue
		}
		out[k].marks = append(out[k].marks, m)
	}
	if k := len(out) - 1; k >= 0 && until != math.MaxInt64 {
		// More of the last may come.
		if last := out[k].marks; float64(until-last[len(last)-1].t) <= longest {
			n -= len(last)
			out = out[:k]
		}
	}
	l.events = slices.Delete(l.events, 0, n)
	l.gaps = slices.Clone(gaps)
	for _, p := range out {
		p.start, p.end, p.sent = l.sent, p.marks[0].t, p.marks[len(p.marks)-1].t
		p.end, p.sent = max(p.end, l.sent), max(p.sent, l.sent) // one that was noted late
		l.sent = p.sent
	}
	return out
}

func newPass(start, end, sent int64, marks ...mark) *pass {
	return &pass{
		start: start, end: end, sent: sent, marks: marks, began: math.MaxInt64, sentAt: math.MaxInt64,
		prompts: map[*request]int{}, before: map[*request]int{}, decodes: map[*request]int{}, known: map[*request]int{},
	}
}

// decode has a request take part in passes that led from one of its tokens to the next,
// which came out of the last of them, and by which it had made so many.
func (r *request) decode(ps []*pass, made int) {
	n := made - r.made
	if r.silent { // a token each
		n = len(ps)
	}
	if n <= 0 || len(ps) == 0 {
		return
	}
	in := min(n, len(ps)) // so many of them
	for k := range in {
		// The last, and others spread evenly: which had no text is not known.
		p := ps[len(ps)-1-k*len(ps)/in]
		tokens := n / in
		if k < n%in {
			tokens++
		}
		p.decodes[r] += tokens
	}
	for _, p := range ps {
		if d := p.decodes[r]; d > 0 {
			p.known[r] = r.prompt.Cached + r.prompt.Tokens + r.made - 1
			r.made += d
		}
	}
}

// advance has a prompt come forward in a pass, to so many tokens.
func (r *request) advance(p *pass, read int) {
	if r.prompt.Tokens > 0 {
		read = min(read, r.prompt.Tokens)
	}
	if d := read - r.read; d > 0 {
		p.begins(r, r.begun)
		r.reads(p, d)
	}
}

// begins notes that a prompt began to be read at t, unless it did in a pass before; 0
// where it is not known.
func (p *pass) begins(r *request, t int64) {
	switch {
	case r.started:
		p.began = 0
	case t > 0:
		p.began = min(p.began, t)
	default:
		p.sentAt = min(p.sentAt, r.sent)
	}
}

// reads has so many more tokens of a prompt in a pass.
func (r *request) reads(p *pass, tokens int) {
	if _, has := p.before[r]; !has {
		p.before[r] = r.read
	}
	p.prompts[r] += tokens
	r.read, r.started = r.read+tokens, true
}

// prefill has what is left of a prompt read in passes of which the last brought the first
// token, at t.
func (r *request) prefill(ps []*pass, t int64) {
	left := r.prompt.Tokens - r.read
	if left <= 0 && r.started {
		return
	}
	last := len(ps) - 1
	const longest = 1e6 // s; nobody takes so long
	timed := r.prompt.Seconds >= 0 && r.prompt.Seconds < longest && !r.progress
	from, began := ps[last].start, r.begun
	if timed {
		began = t - int64(r.prompt.Seconds*1e9)
		from = began
	}
	const touched = int64(1e6) // ns: less is the clocks'
	times, all := map[int]float64{}, 0.0
	for i := last; i >= 0 && (i == last || timed && ps[i].end > from); i-- {
		if d := min(ps[i].end, t) - max(ps[i].start, from); d > touched || i == last {
			times[i] = float64(max(d, 1))
			all += times[i]
		}
	}
	done, before := 0.0, r.read
	for i, p := range ps {
		if times[i] == 0 {
			continue
		}
		done += times[i]
		n := before + int(math.Round(float64(max(left, 0))*done/all)) - r.read
		if n > 0 || i == last && !r.started {
			p.begins(r, began)
			r.reads(p, n)
		}
	}
}

// begin finds when a pass began whose prompts did not come at once: the server waited,
// or did something else.
func (p *pass) begin() {
	began := p.began
	if p.sentAt < math.MaxInt64 {
		began = min(began, p.sentAt)
		if len(p.decodes) > 0 { // which were evaluated from when it was possible
			began = 0
		}
	}
	if len(p.prompts) > 0 {
		p.start = max(p.start, began)
	}
}

func (p *pass) iteration(n int) event.Iteration {
	it := event.Iteration{At: event.At{TimeNS: p.end}, IterationSpan: event.IterationSpan{
		IterationID: fmt.Sprintf("i%d", n), StartNS: p.start, EndNS: p.end, PrefillRequests: len(p.prompts), DecodeRequests: len(p.decodes), Queued: -1, Evaluations: 1, Origin: event.OriginStream,
	}}
	if p.told != nil {
		it.Origin, it.Queued = event.OriginServer, p.told.Queued
	}
	for r, n := range p.decodes {
		it.KVTokens += p.known[r]
		it.Members = append(it.Members, event.IterationMember{RequestID: r.id, Slot: -1, Known: p.known[r], Fresh: n})
	}
	decodes := len(it.Members)
	for r, n := range p.prompts {
		it.PrefillTokens += n
		known := r.prompt.Cached + p.before[r]
		it.KVTokens += known
		it.Members = append(it.Members, event.IterationMember{RequestID: r.id, Slot: -1, Known: known, Fresh: n, Prefill: true})
	}
	number := map[string]int{}
	for _, of := range []map[*request]int{p.decodes, p.prompts} {
		for r := range of {
			number[r.id] = r.number
		}
	}
	byNumber := func(a, b event.IterationMember) int { return cmp.Compare(number[a.RequestID], number[b.RequestID]) }
	slices.SortFunc(it.Members[:decodes], byNumber)
	slices.SortFunc(it.Members[decodes:], byNumber)
	return it
}
