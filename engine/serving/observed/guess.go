package observed

import (
	"cmp"
	"math"
	"slices"
)

// guess concludes where prompts are read, where a server says nothing of it: in passes
// that take longer than those of decodes alone while a request waits for its first token.
type guess struct {
	lengths []length // of the newest passes
	base    []float64
	// Of all prompts so far: their tokens, and by how many s the passes took longer in
	// which they were read.
	tokens, excess float64
}

// length is how long a pass with so many decodes took, in s.
type length struct {
	decodes int
	seconds float64
}

// How much is kept, and how many passes with as many decodes say how long one takes.
const (
	lengthsKept = 2000
	enoughAlike = 5
	mostDecodes = 1024
)

func (g *guess) see(ps []*pass) {
	for _, p := range ps {
		if p.start > 0 && p.end > p.start && p.later() > 0 {
			g.lengths = append(g.lengths, length{min(p.later(), mostDecodes), p.seconds()})
		}
	}
	g.lengths = slices.Delete(g.lengths, 0, max(len(g.lengths)-lengthsKept, 0))
	by := map[int][]float64{}
	for _, l := range g.lengths {
		by[l.decodes] = append(by[l.decodes], l.seconds)
	}
	// A line through what passes of each number of decodes take at least, mostly: some
	// have prompts in them.
	var n, sx, sy, sxx, sxy float64
	for d, s := range by {
		if len(s) < enoughAlike || d == 0 {
			continue
		}
		slices.Sort(s)
		x, y, w := float64(d), s[len(s)/5], float64(len(s))
		n, sx, sy, sxx, sxy = n+w, sx+w*x, sy+w*y, sxx+w*x*x, sxy+w*x*y
	}
	g.base = nil
	if n == 0 {
		return
	}
	slope := 0.0
	if d := n*sxx - sx*sx; d > 1e-9*n*n {
		slope = max((n*sxy-sx*sy)/d, 0)
	}
	g.base = []float64{(sy - slope*sx) / n, slope}
}

// later is how many tokens of a pass are not the first of their request.
func (p *pass) later() (n int) {
	for _, m := range p.marks {
		if m.token() && m.t != m.of.first {
			n++
		}
	}
	return n
}

func (p *pass) seconds() float64 { return float64(p.end-p.start) / 1e9 }

// over is by how many s a pass took longer than its decodes alone; 0 where that is no
// more than passes differ by.
func (g *guess) over(p *pass, from int64) float64 {
	d := float64(p.end-max(p.start, from)) / 1e9
	n := p.later()
	if n == 0 {
		return max(d, 0)
	}
	if g.base == nil {
		return 0
	}
	base := g.base[0] + g.base[1]*float64(n)
	if e := d - base; e > 0.15*base {
		return e
	}
	return 0
}

// spread reads prompts, in the order in which their first tokens came, in the passes that
// took longer: as many tokens in each as such time is for, from the first token of each
// back. What they are not long enough for is read in the pass of the first token.
func (l *Live) spread(ps []*pass) {
	type due struct {
		r  *request
		at int
	}
	var dues []due
	for i, p := range ps {
		for _, m := range p.marks {
			if r := m.of; m.token() && m.t == r.first && !r.started && !r.progress && math.IsNaN(r.prompt.Seconds) && r.prompt.Tokens > 0 {
				dues = append(dues, due{r, i})
			}
		}
	}
	slices.SortStableFunc(dues, func(a, b due) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.r.sent, b.r.sent)) })
	g := &l.guess
	g.see(ps)
	room := make([]float64, len(ps)) // s, that nothing was read in
	for i, p := range ps {
		from := int64(0)
		if p.later() == 0 { // it may have begun when the first was sent
			from = math.MaxInt64
			for _, d := range dues {
				if d.at >= i {
					from = min(from, d.r.sent)
				}
			}
		}
		room[i] = g.over(p, from)
	}
	const known = 2000          // tokens
	rate := g.tokens / g.excess // tokens a s
	if g.tokens < known || g.excess == 0 {
		tokens := 0
		for _, d := range dues {
			tokens += d.r.prompt.Tokens
		}
		rate = float64(tokens) / sum(room)
	}
	if g.base == nil || !(rate > 0) || math.IsInf(rate, 1) {
		return
	}
	before := 0 // the pass of the first token before: what is read before it is read whole
	for _, d := range dues {
		need := float64(d.r.prompt.Tokens)
		first := d.at
		var parts []float64
		for i := d.at; i >= before && need > 0 && ps[i].end > d.r.sent; i-- {
			take := min(need, room[i]*rate)
			room[i] -= take / rate
			parts, first, need = append(parts, take), i, need-take
		}
		before = d.at
		slices.Reverse(parts) // of passes from first on
		done, read := 0.0, 0
		for j, take := range parts {
			done += take
			if n := int(math.Round(done)) - read; n > 0 && first+j < d.at {
				ps[first+j].begins(d.r, d.r.begun)
				d.r.reads(ps[first+j], n)
				read += n
			}
		}
	}
}

func sum(xs []float64) (s float64) {
	for _, x := range xs {
		s += x
	}
	return s
}

// learn notes by how much passes took longer, and what was read in them: whoever it was,
// all prompts together were read in all that time.
func (g *guess) learn(ps []*pass) {
	if g.base == nil {
		return
	}
	for _, p := range ps {
		from := int64(0)
		if len(p.prompts) > 0 && p.later() == 0 {
			from = min(p.began, p.sentAt)
		}
		if len(p.prompts) > 0 || p.later() > 0 {
			g.excess += g.over(p, from)
		}
		for _, n := range p.prompts {
			g.tokens += float64(n)
		}
	}
	const most = 1e6 // tokens; older ones fade
	if g.tokens > most {
		g.tokens, g.excess = g.tokens/2, g.excess/2
	}
}
