package observed

import (
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
			its[i].Evaluations, its[i].Alone = l.recent[before+i].Evaluations, l.recent[before+i].Alone
			copy(its[i].Members, l.recent[before+i].Members)
		}
	}
	if k := len(l.recent) - remembered; k > 0 {
		l.recent = slices.Delete(l.recent, 0, k)
	}
}
