package observed

import (
	"cmp"
	"math"
	"slices"
)

// Told is what a server says of one of its passes.
type Told struct {
	T                                int64 // when it was heard of, ns: at its end, or soon after
	Prefills, PrefillTokens, Decodes int
	Queued                           int     // -1 unknown
	Seconds                          float64 // it took; NaN unknown
}

// Told notes a pass that the server tells of, in order.
func (l *Live) Told(t Told) {
	if !l.distrusted {
		l.told, l.telling = append(l.told, t), true
	}
}

// Distrust has passes concluded from what clients see alone, from now on: what the server
// tells of them has holes.
func (l *Live) Distrust() { l.told, l.telling, l.distrusted = nil, false, true }

// Matched returns how many passes that the server told of were found among those put
// together from tokens, and how many of either were not found in the other, once it
// tells.
func (l *Live) Matched() (both, toldAlone, seenAlone int) {
	return l.both, l.toldAlone, l.seenAlone
}

// A pass is heard of about when its tokens come, and is among the next few.
const (
	soon  = int64(400e6) // ns
	ahead = 6
)

// match finds the passes that the server told of among those put together, and puts
// those between that no token came out of.
func (l *Live) match(ps []*pass, until int64) []*pass {
	if len(l.told) == 0 {
		return ps
	}
	var out []*pass
	var silent []Told // told, no token came out
	at, n := 0, 0
	for _, p := range ps {
		if p.start > 0 && p.later() > 0 { // others may have begun after a pause
			l.seenS += p.seconds()
		}
	}
	for _, t := range l.told {
		if len(ps) == 0 {
			break
		}
		later := until != math.MaxInt64 && t.T > ps[len(ps)-1].sent // it may be of one to come
		k := at
		for k < len(ps) && k < at+ahead && !(l.may(ps[k], t) && l.lasts(ps[k], t, silent)) {
			if len(silent) > 0 && t.Decodes > 0 { // they were about that one
				l.toldAlone, silent = l.toldAlone+len(silent), nil
			}
			if k++; t.Decodes == 0 { // it is the next, or no token came out of it
				k = len(ps)
			}
		}
		if later && (k == len(ps) || k == at+ahead) {
			break
		}
		switch {
		case k < len(ps) && k < at+ahead:
			l.seenAlone += k - at
			out = append(out, ps[at:k]...)
			out = append(out, between(silent, ps[k], t)...)
			ps[k].told = &t
			out = append(out, ps[k])
			l.both += 1 + len(silent)
			silent, at = nil, k+1
			l.toldS += t.Seconds
			l.ahead = max(l.ahead+t.PrefillTokens-ps[k].whole(), 0)
		case t.Decodes == 0:
			silent = append(silent, t)
			l.toldS += t.Seconds
			l.ahead += t.PrefillTokens
		default:
			l.toldAlone++
		}
		n++
	}
	if until == math.MaxInt64 {
		n, l.ahead = len(l.told), 0
	}
	l.told = slices.Delete(l.told, 0, n)
	l.toldAlone += len(silent)
	if l.both > 0 {
		l.seenAlone += len(ps) - at
	}
	return append(out, ps[at:]...)
}

// may tells whether a pass may be the one told of: a token without text is not seen, and
// a prompt's first token comes once as much was read as it has.
func (l *Live) may(p *pass, t Told) bool {
	const late, slack = int64(60e6), 8 // ns; tokens
	later := p.later()
	first := 0
	for _, m := range p.marks {
		if m.token() && m.t == m.of.first {
			first++
		}
	}
	d := t.T - p.sent
	if l.ahead+t.PrefillTokens+slack < p.whole() && d < late { // later, some may have been lost
		return false
	}
	return first <= t.Prefills && later <= t.Decodes && later >= t.Decodes-max(1, t.Decodes/8) && later+first > 0 && -soon < d && d < soon
}

// lasts tells whether a pass, with those before it that no token came out of, took about
// as long as the server says; also where the server says times that cannot be: some count
// what is left to do once the GPU has been asked.
func (l *Live) lasts(p *pass, t Told, silent []Told) bool {
	const enough, least = 50, 0.5
	if l.both < enough || !(l.toldS > least*l.seenS) || p.start == 0 || p.later() == 0 {
		return true
	}
	for _, s := range silent {
		t.Seconds += s.Seconds
	}
	const off, spare = 1.6, 1e-3 // s
	d := p.seconds()
	return d < off*t.Seconds+spare && t.Seconds < off*d+spare
}

// whole are the tokens of the prompts whose first token came out of a pass.
func (p *pass) whole() (n int) {
	for _, m := range p.marks {
		if m.token() && m.t == m.of.first {
			n += m.of.prompt.Tokens
		}
	}
	return n
}

// between makes passes of those that no token came out of, before the pass that is told
// of by t: in the time since the one before, by how long each took, or where that cannot
// be, by the tokens in each.
func between(silent []Told, next *pass, t Told) []*pass {
	all := append(slices.Clone(silent), t)
	if len(silent) == 0 {
		return nil
	}
	from, sent := next.start, int64(math.MaxInt64)
	for _, m := range next.marks {
		sent = min(sent, m.of.sent)
	}
	if silent[0].Decodes+t.Decodes == 0 { // the server had nothing to do before
		from = max(from, sent)
	}
	length := float64(next.end - from)
	if length <= 0 || from == 0 {
		return nil
	}
	weights, sum := make([]float64, len(all)), 0.0
	for i, x := range all {
		weights[i] = x.Seconds * 1e9
		sum += weights[i]
	}
	if !(sum > length/2 && sum <= 1.2*length) {
		sum = 0
		for i, x := range all {
			weights[i] = float64(x.PrefillTokens + x.Decodes)
			sum += weights[i]
		}
	}
	fits := length / max(sum, length)
	if !(sum > length/2) || sum > length {
		fits = length / sum
	}
	var out []*pass
	end := next.end
	for i := len(all) - 1; i >= 0; i-- {
		start := max(end-int64(weights[i]*fits), from)
		if i == len(all)-1 {
			next.start = start
		} else {
			p := newPass(start, end, end)
			p.told = &all[i]
			out = append(out, p)
		}
		end = start
	}
	slices.Reverse(out)
	return out
}

// share divides what a server says was read in a pass among the prompts that are not
// read: whose first token comes first is read first. Those whose first token came out of
// the pass get what is left of them otherwise.
func (l *Live) share(p *pass) {
	left, others := p.told.PrefillTokens, p.told.Prefills
	for _, m := range p.marks {
		if m.token() && m.t == m.of.first {
			left, others = left-(m.of.prompt.Tokens-m.of.read), others-1
			m.of.progress = true // it is known when it came forward
		}
	}
	var waiting []*request
	for _, r := range l.order {
		if r.made == 0 && r.sent < p.end && (r.first == 0 || r.first > p.sent) && r.prompt.Tokens > r.read {
			waiting = append(waiting, r)
		}
	}
	first := func(r *request) int64 {
		if r.first == 0 {
			return math.MaxInt64
		}
		return r.first
	}
	slices.SortStableFunc(waiting, func(a, b *request) int { return cmp.Or(cmp.Compare(first(a), first(b)), cmp.Compare(a.sent, b.sent)) })
	for _, r := range waiting {
		n := min(left, r.prompt.Tokens-r.read)
		if n <= 0 || others <= 0 {
			return
		}
		r.progress = true
		p.begins(r, r.begun)
		r.reads(p, n)
		left, others = left-n, others-1
	}
}
