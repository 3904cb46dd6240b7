// Package observed tells what the passes of a server were from what its clients saw:
// when each token came, and how long the server says that prompts took.
//
// Tokens of one pass come together, one after another as the server samples and sends
// them; between two such groups the model is evaluated. A request takes part in every
// pass from its first token to its last, also where a token brought no text of its own.
// A prompt is read in the passes of the time that the server says it took; where it
// says nothing, in the pass that its first token came out of.
//
// A server may evaluate its model several times in a pass (llama-server does, for each
// run of neighbouring slots), reading the weights each time. Nothing says so but the
// time that passes take: see [evaluations].
package observed

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"jouletop/engine/event"
)

// Request is one that was streamed.
type Request struct {
	ID     string
	SentNS int64
	// TokensNS is when the text of each token came, in order; of tokens without text of
	// their own (the halves of a letter) some may be missing.
	TokensNS       []int64
	Prompt, Output int     // tokens; of the prompt those that were computed
	PromptS        float64 // how long the server took over the prompt; NaN unknown
}

func (r *Request) first() int64 { return r.TokensNS[0] }
func (r *Request) last() int64  { return r.TokensNS[len(r.TokensNS)-1] }

// token is one that came.
type token struct {
	t     int64
	of    int // request
	first bool
}

// pass is one as it is put together.
type pass struct {
	start, end int64 // the model is evaluated; ns
	sent       int64 // the last of its tokens came
	prompts    map[int]float64
	decodes    map[int]int // request: tokens in its cache before
}

// Passes returns the passes of a server that served the requests, in order; those of
// which nothing came are left out. Members have no slots: nobody tells them. Times at
// which nothing came together as it does from a server make passes that say so little
// as the times did.
func Passes(rs []Request) []event.Iteration {
	rs = slices.DeleteFunc(slices.Clone(rs), func(r Request) bool { return len(r.TokensNS) == 0 })
	groups := group(tokensOf(rs))
	passes := make([]*pass, len(groups))
	for i, g := range groups {
		p := &pass{end: g[0].t, sent: g[len(g)-1].t, prompts: map[int]float64{}, decodes: map[int]int{}}
		if i > 0 {
			p.start = passes[i-1].sent
		}
		passes[i] = p
	}
	decodes(rs, passes)
	for k := range rs {
		prompt(&rs[k], k, passes)
	}
	var out []event.Iteration
	for i, p := range passes {
		if p.begin(rs); p.start <= 0 || p.start >= p.end {
			continue // of the first nobody saw the beginning
		}
		out = append(out, p.iteration(i, rs))
	}
	count(out)
	return out
}

func tokensOf(rs []Request) []token {
	var ts []token
	for k := range rs {
		for i, t := range rs[k].TokensNS {
			ts = append(ts, token{t, k, i == 0})
		}
	}
	slices.SortStableFunc(ts, func(a, b token) int { return cmp.Compare(a.t, b.t) })
	return ts
}

// group puts tokens together that came out of one pass: no request has two, and no
// longer time is between them than there is within passes.
func group(ts []token) [][]token {
	within := within(ts)
	var out [][]token
	for i, t := range ts {
		n := len(out) - 1
		if i == 0 || float64(t.t-ts[i-1].t) > within || slices.ContainsFunc(out[n], func(o token) bool { return o.of == t.of }) {
			out = append(out, []token{t})
			continue
		}
		out[n] = append(out[n], t)
	}
	return out
}

// within is the longest time in ns between two tokens of one pass: the gaps between
// tokens of different requests are of two sorts, parted where their logarithms lie
// farthest apart (k-means of two).
func within(ts []token) float64 {
	const least = 20e3 // ns: nobody sends faster
	var logs []float64
	for i := 1; i < len(ts); i++ {
		if ts[i].of != ts[i-1].of {
			logs = append(logs, math.Log(max(float64(ts[i].t-ts[i-1].t), least)))
		}
	}
	if len(logs) < 2 {
		return least
	}
	lo, hi := slices.Min(logs), slices.Max(logs)
	for range 30 {
		var a, b, na, nb float64
		for _, x := range logs {
			if x-lo < hi-x {
				a, na = a+x, na+1
			} else {
				b, nb = b+x, nb+1
			}
		}
		if na == 0 || nb == 0 {
			break
		}
		lo, hi = a/na, b/nb
	}
	return math.Exp((lo + hi) / 2)
}

// decodes has each request take part from its first token to its last.
func decodes(rs []Request, passes []*pass) {
	for k := range rs {
		r := &rs[k]
		from, _ := slices.BinarySearchFunc(passes, r.first(), func(p *pass, t int64) int { return cmp.Compare(p.sent, t) })
		to, _ := slices.BinarySearchFunc(passes, r.last(), func(p *pass, t int64) int { return cmp.Compare(p.sent, t) })
		to = min(to, len(passes)-1)
		for i := from + 1; i <= to; i++ {
			// Its tokens are spread evenly, where it is not known which had no text.
			made := 1 + float64(i-from-1)*max(float64(r.Output-2), 0)/max(float64(to-from-1), 1)
			passes[i].decodes[k] = r.Prompt + int(made) - 1
		}
	}
}

// prompt has a prompt read in the time that the server says it took, or else in the
// pass that its first token came out of.
func prompt(r *Request, k int, passes []*pass) {
	last, _ := slices.BinarySearchFunc(passes, r.first(), func(p *pass, t int64) int { return cmp.Compare(p.sent, t) })
	began := r.first() - int64(r.PromptS*1e9)
	if math.IsNaN(r.PromptS) || last == 0 {
		began = passes[last].start
	}
	const touched = int64(1e6) // ns: less is the clocks'
	times, all := map[int]float64{}, 0.0
	for i := last; i >= 0 && passes[i].end > began; i-- {
		if d := min(passes[i].end, r.first()) - max(passes[i].start, began); d > touched || i == last {
			times[i] = float64(max(d, 1))
			all += times[i]
		}
	}
	for i, d := range times {
		passes[i].prompts[k] = float64(r.Prompt) * d / all
	}
}

// begin finds when a pass began whose prompts did not come at once: the server waited,
// or did something else.
func (p *pass) begin(rs []Request) {
	began := int64(math.MaxInt64)
	for k := range p.prompts {
		r := &rs[k]
		at := r.SentNS
		if !math.IsNaN(r.PromptS) {
			at = r.first() - int64(r.PromptS*1e9)
		} else if len(p.decodes) > 0 {
			at = p.start
		}
		began = min(began, at)
	}
	if len(p.prompts) > 0 {
		p.start = max(p.start, began)
	}
}

func (p *pass) iteration(i int, rs []Request) event.Iteration {
	it := event.Iteration{At: event.At{TimeNS: p.end}, IterationSpan: event.IterationSpan{
		IterationID: fmt.Sprintf("i%d", i+1), StartNS: p.start, EndNS: p.end, PrefillRequests: len(p.prompts), DecodeRequests: len(p.decodes), Queued: -1, Evaluations: 1,
	}}
	add := func(m event.IterationMember) {
		it.KVTokens += m.Known
		it.Members = append(it.Members, m)
	}
	for k := range rs {
		if known, ok := p.decodes[k]; ok {
			add(event.IterationMember{RequestID: rs[k].ID, Slot: -1, Known: known, Fresh: 1})
		}
		if n, ok := p.prompts[k]; ok {
			fresh := max(int(math.Round(n)), 1)
			it.PrefillTokens += fresh
			add(event.IterationMember{RequestID: rs[k].ID, Slot: -1, Fresh: fresh, Prefill: true})
		}
	}
	return it
}
