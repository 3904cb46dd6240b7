package state

import "jouletop/engine/event"

// keepPasses is how many passes are kept: a minute or two of a busy server.
const keepPasses = 8192

// Serving folds the passes of a model that serves requests as they come.
type Serving struct {
	Passes Ring[Pass] // the newest
	Slots  int        // most requests in one pass so far

	// Observed: the passes are concluded from a server's stream, which says no slots: rows
	// stand in for them.
	Observed bool
	rows     []row

	read map[string]bool // requests whose prompts are being read: no token of theirs is counted
}

// Pass is what was in one pass of the model.
type Pass struct {
	StartNS, EndNS        int64
	PrefillTokens, Queued int
	Prefills, Decodes     int
	Made                  int // tokens: one of each that goes on, and the first, which comes of reading
	Lanes                 []Lane
}

// Lane is a request in a pass.
type Lane struct {
	Slot    int // or its row, where no slots are known
	Request string
	Prefill bool
}

func (s *Serving) reset() {
	*s = Serving{read: map[string]bool{}}
	s.Passes.limit = keepPasses
}

func (s *Serving) add(it event.Iteration) {
	p := Pass{
		StartNS: it.StartNS, EndNS: it.EndNS, PrefillTokens: it.PrefillTokens, Queued: it.Queued, Prefills: it.PrefillRequests, Decodes: it.DecodeRequests,
		Lanes: make([]Lane, len(it.Members)),
	}
	for i, m := range it.Members {
		p.Lanes[i] = Lane{s.slot(m, it.EndNS), m.RequestID, m.Prefill}
		if !m.Prefill {
			p.Made += max(m.Fresh, 1)
		}
		switch {
		case m.Prefill:
			s.read[m.RequestID] = true
		case s.read[m.RequestID]:
			delete(s.read, m.RequestID)
			p.Made++
		}
	}
	s.Slots = max(s.Slots, len(it.Members))
	s.Passes.add(p)
}

// done takes a request that has ended: where none of its tokens was counted yet, it made
// one at most.
func (s *Serving) done(q event.Request) {
	if s.read[q.RequestID] && s.Passes.Len() > 0 && q.OutputTokens > 0 {
		s.Passes.At(0).Made++
	}
	delete(s.read, q.RequestID)
}

// row is where a request is drawn whose slot nobody tells.
type row struct {
	request string
	seen    int64 // in a pass that ended then, ns
}

// slot is where a member of a pass that ended at t is drawn: in its slot, or in the
// first row whose request has not been seen for a while.
func (s *Serving) slot(m event.IterationMember, t int64) int {
	if m.Slot >= 0 {
		return m.Slot
	}
	s.Observed = true
	const gone = int64(300e6) // ns
	free := len(s.rows)
	for i, r := range s.rows {
		if r.request == m.RequestID {
			s.rows[i].seen = t
			return i
		}
		if free == len(s.rows) && t-r.seen > gone {
			free = i
		}
	}
	if free == len(s.rows) {
		s.rows = append(s.rows, row{})
	}
	s.rows[free] = row{m.RequestID, t}
	return free
}

// Newest is the newest pass; false before any.
func (s *Serving) Newest() (Pass, bool) {
	if s.Passes.Len() == 0 {
		return Pass{}, false
	}
	return *s.Passes.At(0), true
}

// Rates are over the passes of the last second, each a second.
type Rates struct{ Passes, Read, Made float64 } // passes, tokens of prompts, tokens made

// Rates returns how fast passes go now.
func (s *Serving) Rates() (r Rates) {
	const over = int64(1e9)
	newest, ok := s.Newest()
	if !ok {
		return r
	}
	from := newest.EndNS
	for i := range s.Passes.Len() {
		p := s.Passes.At(i)
		if p.StartNS < newest.EndNS-over {
			break
		}
		from = p.StartNS
		r.Passes++
		r.Read += float64(p.PrefillTokens)
		r.Made += float64(p.Made)
	}
	if d := float64(newest.EndNS-from) / 1e9; d > 0 {
		return Rates{r.Passes / d, r.Read / d, r.Made / d}
	}
	return Rates{}
}

// Composed is what passes had in them over a time, in the mean over it: pauses count
// as nothing.
type Composed struct {
	Prefills, Decodes, Queued float64 // requests
	Busy                      float64 // share of the time
}

// Columns returns what was in the passes of n stretches of time from from on, each width
// ns long.
func (s *Serving) Columns(from, width int64, n int) []Composed {
	out := make([]Composed, n)
	s.each(from, width, n, func(i int, share float64, p *Pass) {
		c := &out[i]
		c.Busy += share
		c.Prefills += share * float64(p.Prefills)
		c.Decodes += share * float64(p.Decodes)
		c.Queued = max(c.Queued, float64(p.Queued))
	})
	return out
}

// LaneCell is what a slot did for most of a stretch of time; the zero value: nothing.
type LaneCell struct {
	Request string
	Prefill bool
}

// Rows is how many rows Lanes has.
func (s *Serving) Rows() int { return max(s.Slots, len(s.rows)) }

// Lanes returns what each of the slots did in n stretches of time.
func (s *Serving) Lanes(from, width int64, n int) [][]LaneCell {
	rows := s.Rows()
	out := make([][]LaneCell, rows)
	longest := make([][]float64, rows)
	for k := range out {
		out[k], longest[k] = make([]LaneCell, n), make([]float64, n)
	}
	s.each(from, width, n, func(i int, share float64, p *Pass) {
		for _, l := range p.Lanes {
			if l.Slot < 0 || l.Slot >= len(out) {
				continue
			}
			// A prefill shows, however short beside decodes.
			if weight := share * map[bool]float64{false: 1, true: 4}[l.Prefill]; weight > longest[l.Slot][i] {
				longest[l.Slot][i], out[l.Slot][i] = weight, LaneCell{l.Request, l.Prefill}
			}
		}
	})
	return out
}

// each calls f for every pass and stretch of time that it lies in, with its share of
// the stretch.
func (s *Serving) each(from, width int64, n int, f func(i int, share float64, p *Pass)) {
	if width <= 0 || n <= 0 {
		return
	}
	for k := range s.Passes.Len() {
		p := s.Passes.At(k)
		if p.EndNS <= from {
			return
		}
		for i := max((p.StartNS-from)/width, 0); i < int64(n); i++ {
			a, b := from+i*width, from+(i+1)*width
			if a >= p.EndNS {
				break
			}
			if d := min(b, p.EndNS) - max(a, p.StartNS); d > 0 {
				f(int(i), float64(d)/float64(width), p)
			}
		}
	}
}
