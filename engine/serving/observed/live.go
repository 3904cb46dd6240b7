package observed

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"jouletop/engine/event"
)

// Prompt is what is known of a request's prompt.
type Prompt struct {
	Tokens int // that are computed; 0 unknown
	Cached int // that were in a cache, before them
	// Seconds is how long the server took to read it, by its own word; NaN unknown.
	Seconds float64
}

// Live puts passes together while tokens come. It is used by one goroutine.
type Live struct {
	// Whole: the server is known to evaluate its model once in a pass.
	Whole bool

	requests map[string]*request
	order    []*request // as they were sent
	events   []mark     // that are in no pass yet
	gaps     []int64    // between the newest that came of different requests, ns
	sent     int64      // when the last of the newest pass came; 0 before any
	reaches  bool       // how long prompts took is told, not when they came forward

	progressive bool // when prompts come forward is told
	n           int  // passes so far
	numbers     int  // requests so far

	guess                      guess
	told                       []Told // that are in no pass yet
	telling, distrusted        bool
	ahead                      int     // tokens of prompts that were told to be read, of those whose first token has not come
	toldS, seenS               float64 // s that passes took, by the server and by their tokens
	both, toldAlone, seenAlone int

	steps  steps
	apart  bool // steps hold
	fitted int  // passes of decodes seen when they were found
	recent []event.Iteration
	seen   int // passes of decodes
}

// New returns one that has seen nothing.
func New() *Live { return &Live{requests: map[string]*request{}} }

// request is one that has not gone from the passes.
type request struct {
	id       string
	number   int
	sent     int64
	prompt   Prompt
	begun    int64 // the server began to read it; 0 unknown
	started  bool  // some of it is in a pass
	read     int   // tokens of it in passes so far
	progress bool  // the server says how it comes forward
	first    int64 // of its tokens; 0 before
	last     int64
	told     int  // made so far, by the newest token that came
	made     int  // in passes so far
	silent   bool // not all of its tokens had a text, and nobody says which
	ended    bool
	gone     bool
}

// mark is a sign of a request that came.
type mark struct {
	t    int64
	of   *request
	made int // tokens by then
	read int // tokens of the prompt by then; -1: it is a token
}

func (m mark) token() bool { return m.read < 0 }

// Sent notes that a request was sent at t; again, where it was turned away before.
func (l *Live) Sent(id string, t int64) {
	if r := l.requests[id]; r != nil {
		if r.first == 0 && !r.started {
			r.sent, r.begun = t, 0
		}
		return
	}
	r := &request{id: id, number: l.numbers, sent: t, prompt: Prompt{Seconds: math.NaN()}}
	l.requests[id] = r
	l.numbers++
	l.order = append(l.order, r)
}

// Prompt notes what is known of a request's prompt.
func (l *Live) Prompt(id string, p Prompt) {
	if r := l.requests[id]; r != nil {
		r.prompt = p
		l.reaches = l.reaches || !math.IsNaN(p.Seconds) && !r.progress
	}
}

// Late is Prompt for what is known once a request has ended; it holds where nothing of the
// prompt is in a pass yet.
func (l *Live) Late(id string, p Prompt) {
	if r := l.requests[id]; r != nil && !r.started {
		if math.IsNaN(p.Seconds) {
			p.Seconds = r.prompt.Seconds
		}
		r.prompt = p
	}
}

// Read notes that by t the server had read so many tokens of a prompt, those that were
// in a cache not among them.
func (l *Live) Read(id string, t int64, read int) {
	r := l.requests[id]
	switch {
	case r == nil || r.first > 0:
	case read <= 0:
		r.begun = t
	default:
		r.progress, l.progressive = true, true
		l.events = append(l.events, mark{t: t, of: r, read: read})
	}
}

// Came notes a token with text of a request at t, by which it had made so many, as the
// server says; 0: it does not, and it is taken for one more.
func (l *Live) Came(id string, t int64, made int) {
	r := l.requests[id]
	if r == nil || r.ended {
		return
	}
	if r.first == 0 {
		r.first = t
	}
	if r.told++; made > 0 {
		r.told = max(r.told, made)
	}
	r.last = max(r.last, t)
	l.events = append(l.events, mark{t: t, of: r, made: r.told, read: -1})
}

// Ended notes that a request ended at t, having made so many tokens; -1 unknown.
func (l *Live) Ended(id string, t int64, output int) {
	r := l.requests[id]
	if r == nil || r.ended {
		return
	}
	if r.first > 0 && output > r.told && !r.silent { // what ended it has no text
		if t > r.last {
			l.Came(id, t, output)
		} else if k := l.newest(r); k >= 0 {
			l.events[k].made = output
		}
	}
	r.ended = true
}

// newest is where the newest token of a request is among the events; -1 where it is in
// a pass.
func (l *Live) newest(r *request) int {
	for k := len(l.events) - 1; k >= 0; k-- {
		if m := l.events[k]; m.of == r && m.token() {
			return k
		}
	}
	return -1
}

// patience is how long what is not known of a request holds up the passes, in ns.
const patience = int64(20e9)

// settled is the time up to which passes can be put together at now: what came until
// then is here, and what would change them is known.
func (l *Live) settled(now int64) int64 {
	// What came may not have been noted, what was told not been read.
	const underWay, written = int64(50e6), int64(200e6) // ns
	until := now - underWay
	if l.telling {
		until = now - written
	}
	for _, r := range l.order {
		switch {
		case r.ended || r.first == 0:
		case r.prompt.Tokens == 0:
			until = min(until, r.first-1)
		default:
			until = min(until, r.last)
		}
	}
	until = max(until, now-patience)
	if !l.reaches && !l.guesses() && !l.telling {
		return until
	}
	// A prompt may have been read in any pass since it was sent.
	least, waits := now-longestRead, false
	for again := true; again; {
		again = false
		for _, r := range l.order {
			if r.started || r.progress || r.first == 0 && r.ended || r.first > 0 && r.first <= until {
				continue
			}
			if until > max(r.sent, least) {
				until, again = max(r.sent, least), true
			}
			waits = waits || r.sent < until
		}
	}
	if waits { // where one was read to its end, the next were hardly begun
		newest := int64(0)
		for _, r := range l.order {
			if r.first <= until {
				newest = max(newest, r.first)
			}
		}
		if newest > l.sent {
			until = min(until, newest+int64(2*within(l.gaps)))
		}
	}
	return until
}

// longestRead is how long reading a prompt takes at most, where that is to be concluded
// from how long passes take, in ns.
const longestRead = int64(5e9)

// guesses tells whether it is: nobody says anything of it.
func (l *Live) guesses() bool { return !l.progressive && !l.reaches && !l.telling }

// Passes returns the passes that are known by now and were not returned before, in order.
func (l *Live) Passes(now int64) []event.Iteration {
	its := l.passes(l.settled(now))
	l.evaluations(its)
	return its
}

// Rest returns all passes that are left.
func (l *Live) Rest() []event.Iteration {
	its := l.passes(math.MaxInt64)
	l.evaluations(its)
	return its
}

// Remembered is how many passes of decodes say how long evaluations take.
const (
	remembered = 3000
	refit      = 500 // after so many more
)

// evaluations says how often the model was evaluated in the passes, by how long those
// before took.
func (l *Live) evaluations(its []event.Iteration) {
	if l.Whole || len(its) == 0 {
		return
	}
	before := len(l.recent)
	for _, it := range its {
		it.Members = slices.Clone(it.Members) // others have seen these
		l.recent = append(l.recent, it)
		if it.PrefillRequests == 0 {
			l.seen++
		}
	}
	if l.seen-l.fitted >= refit || l.fitted == 0 {
		l.steps, l.apart = learn(l.recent)
		l.fitted = l.seen
	}
	if l.apart {
		l.steps.apply(l.recent)
		for i := range its {
			its[i].Evaluations = l.recent[before+i].Evaluations
			copy(its[i].Members, l.recent[before+i].Members)
		}
	}
	if k := len(l.recent) - remembered; k > 0 {
		l.recent = slices.Delete(l.recent, 0, k)
	}
}

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
