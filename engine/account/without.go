package account

import (
	"cmp"
	"math"
	"slices"

	"jouletop/engine/serving"
	"jouletop/gpu/energy"
)

// What a run would have drawn less without one of its requests.
//
// What a request adds to the passes that it is in is not all: while its prompt is read,
// the others wait, and those who come meanwhile share more passes with them; or it has
// the slot that another waits for. So the load is replayed from the request's first pass
// on, with it and without it, by the scheduler's own rules and by what passes of such
// loads were learned to take and to cost. Of the two only the difference counts, and of
// that only what goes beyond the passes that the request was in: those were measured.

// mostOffered is how many requests a replay has at most.
const mostOffered = 100

// replay is a load from a request's first pass on.
type replay struct {
	cfg    serving.Config
	closed bool
	way    []offered // under way at the beginning
	come   []offered // later, in order; the request itself first
	costs  costs
	gap    float64
	// Of come, how many are known to have come, in how many ns; like them others will,
	// until then.
	known       int
	span, until int64
	took        int64 // ns, the request
	over        bool  // nobody comes any more
	waited      bool  // requests did for others
}

// later returns the load with what may come after what is known: the same again, from
// some part of it on, 0 to 1.
func (p *replay) later(from float64) []offered {
	come := slices.Clone(p.come)
	if p.over {
		return come
	}
	if p.closed { // as long as clients send
		for k := 0; p.known > 1 && len(come) < 2*p.known+p.cfg.Slots && len(come) < mostOffered; k++ {
			come = append(come, p.come[1+(k+int(from*float64(p.known)))%(p.known-1)])
		}
		return come
	}
	if p.span <= 0 {
		return come
	}
	began := p.come[0].start
	cut := began + int64(from*float64(p.span))
	var again []offered
	for _, o := range p.come[1:] {
		if o.arrival <= began || o.arrival > began+p.span {
			continue
		}
		if o.arrival <= cut {
			o.arrival += p.span
		}
		o.arrival += began + p.span - cut
		again = append(again, o)
	}
	slices.SortFunc(again, func(a, b offered) int { return cmp.Compare(a.arrival, b.arrival) })
	for k := int64(0); len(again) > 0 && k < mostOffered; k++ {
		for _, o := range again {
			if o.arrival += k * p.span; o.arrival > p.until || len(come) >= mostOffered {
				return come
			}
			come = append(come, o)
		}
	}
	return come
}

// without prepares the replay of a request that has ended from its first pass on, up to
// now (ns); nil where it was in no pass.
func (f *traffic) without(id string, way before, now int64, over bool, c costs) *replay {
	r := f.of[id]
	if r == nil || r.start == 0 || r.end == 0 {
		return nil
	}
	meanPrompt, meanOutput, n := 0.0, 0.0, 0.0
	var all []*offered
	for _, o := range f.of {
		all = append(all, o)
		if o.end > 0 && o.start > 0 {
			meanPrompt, meanOutput, n = meanPrompt+float64(o.prompt), meanOutput+float64(o.output), n+1
		}
	}
	meanPrompt, meanOutput = meanPrompt/n, meanOutput/n
	slices.SortFunc(all, func(a, b *offered) int {
		return cmp.Or(cmp.Compare(cmp.Or(a.start, math.MaxInt64), cmp.Or(b.start, math.MaxInt64)), cmp.Compare(a.arrival, b.arrival), cmp.Compare(a.id, b.id))
	})
	// Those under way now will come to what others did.
	whole := func(o offered, read, made int) offered {
		if o.end == 0 {
			if o.made == 0 {
				o.prompt = max(o.read+1, int(meanPrompt))
			} else {
				o.prompt = o.read
			}
			o.output = max(o.made+1, int(meanOutput))
		}
		o.read, o.made = min(read, o.prompt), made
		if o.made > 0 || o.read == o.prompt {
			o.read, o.made = o.prompt, max(o.made, 1)
		}
		return o
	}
	p := &replay{costs: c, gap: f.gap / max(f.gaps, 1), cfg: f.config()}
	for _, o := range way {
		known := f.of[o.id]
		if known == nil {
			return nil
		}
		if w := whole(*known, o.read, o.made); w.made < w.output {
			p.way = append(p.way, w)
		}
	}
	p.cfg.Slots = max(p.cfg.Slots, len(p.way)+1)
	p.come = append(p.come, whole(*r, 0, 0))
	late := 0.0
	for _, o := range all {
		if o.id == r.id || o.start == 0 || o.start < r.start || len(p.come) >= mostOffered {
			continue
		}
		p.come = append(p.come, whole(*o, 0, 0))
		if afterAnEnd(all, o.arrival) {
			late++
		}
	}
	p.closed = len(p.come) > 1 && late/float64(len(p.come)-1) > 0.9
	p.known, p.waited = len(p.come), f.slots > 0
	p.span, p.until, p.took = now-r.start, now, r.end-r.start
	if len(p.come) > 1 {
		// Those that wait are like those that came.
		for k := range f.queued {
			if len(p.come) >= mostOffered {
				break
			}
			o := p.come[1+k%(p.known-1)]
			o.arrival = min(o.arrival, now)
			p.come = append(p.come, o)
		}
		p.known = len(p.come)
	}
	if p.over = over; !over {
		p.until = max(now, r.end+f.after())
	}
	return p
}

// afterAnEnd tells whether t is just after another request ended: a client sent its next.
func afterAnEnd(all []*offered, t int64) bool {
	const just = int64(3e6)
	return slices.ContainsFunc(all, func(o *offered) bool { return o.end > 0 && t >= o.end && t-o.end < just })
}

// outcome is what a replay came to, by kind of pass; own is what of it the request
// itself had in the passes that it was in.
type outcome struct {
	all, own amounts
	took     float64 // s, from the request's first pass to its end; 0 where it did not end
}

// run replays a load with the request or without it for so many s at most, passes taking
// so many times as long as was learned; ended is when it ended, in s.
func (p *replay) run(come []offered, with bool, slow, until float64) (out outcome, ended float64, ok bool) {
	s, err := serving.New(p.cfg)
	if err != nil {
		return out, 0, false
	}
	for i, o := range p.way {
		if s.Resume(i, o.prompt, o.read, o.made, o.output) != nil {
			return out, 0, false
		}
	}
	const self = math.MaxInt32
	members := make([]serving.Member, 0, len(p.way)+16)
	next := 1 // of those to come
	t := float64(0)
	began := come[0].start
	if with {
		_ = s.Add(self, come[0].prompt, come[0].output)
	} else if p.closed && len(come) > 1 {
		_ = s.Add(len(p.way)+next, come[next].prompt, come[next].output)
		next++
	}
	due := func() float64 { return float64(come[next].arrival-began) / 1e9 }
	const most = 200_000 // passes
	for range most {
		// Nobody knows of any other who comes: less and less would be in a pass.
		none := !p.over && next >= len(come) && s.Queued() == 0
		if t >= until || none {
			return out, min(t, until), true
		}
		for !p.closed && next < len(come) && due() <= t {
			_ = s.Add(len(p.way)+next, come[next].prompt, come[next].output)
			next++
		}
		pass, some := s.NextInto(members)
		members = pass.Members
		if !some {
			if p.closed || next == len(come) {
				return out, t, true
			}
			t = due()
			continue
		}
		l, k := loadsOfPass(pass)
		seconds := p.seconds(k, l, slow)
		n := s.Alike(pass)
		if n > 1 && !p.closed && next < len(come) {
			n = min(n, max(1, int(math.Ceil((due()-t)/seconds))))
		}
		n = min(n, 32, max(1, int(math.Ceil((until-t)/seconds)))) // the cache grows
		times := float64(n)
		grown := times * (times - 1) / 2 * l[loadDecode]
		mean := l
		mean[loadKV] += grown / times
		seconds = p.seconds(k, mean, slow)
		t += times * seconds
		if t > until { // a part of the last
			times -= (t - until) / seconds
		}
		sum := energy.Loads{}
		for j := range sum {
			sum[j] = mean[j] * times
		}
		out.all[k].add(sum, times)
		for _, m := range pass.Members {
			if m.ID != self {
				continue
			}
			if len(pass.Members) == 1 {
				out.own[k].add(sum, times)
				continue
			}
			own := energy.Loads{loadKV: float64(m.Known)}
			if m.Prefill {
				own[loadPrefill] = float64(m.Fresh)
			} else {
				own[loadDecode], own[loadKV] = 1, own[loadKV]+(times-1)/2
			}
			out.own.add(p.costs.added(mean, k, own), times)
		}
		for _, id := range s.DoneTimes(pass, n) {
			if id == self {
				out.took = t
			}
			if p.closed && next < len(come) {
				_ = s.Add(len(p.way)+next, come[next].prompt, come[next].output)
				next++
			}
		}
	}
	return out, 0, false
}

// seconds is how long it takes from a pass to the next, in s.
func (p *replay) seconds(k int, l energy.Loads, slow float64) float64 {
	const least = 1e-5
	return max(p.costs[k].BaseS+product(p.costs[k].Seconds, l), least)*slow + p.gap
}

// left is what is yet to be done with the request, less what is yet to be done without
// it: all others come to the same tokens in the end, in passes as they are.
func (p *replay) left(o, without outcome) (l amounts) {
	var done, all evaluated
	for k := range o.all {
		for i := range done {
			done[i] += o.all[k][i] - without.all[k][i]
			all[i] += o.all[k][i]
		}
	}
	if d := float64(p.come[0].output-1) - done[loadDecode]; all[loadDecode] > 0 {
		of := d / all[loadDecode]
		l[0][loadDecode], l[0][loadKV] = d, of*all[loadKV]
		l[0][loadPasses], l[0][loadAlone], l[0][loadWide], l[0][howMany] = of*all[loadPasses], of*all[loadAlone], of*all[loadWide], of*all[howMany]
	}
	if d := float64(p.come[0].prompt) - done[loadPrefill]; o.all[1][loadPrefill] > 0 {
		n := d / o.all[1][loadPrefill] * o.all[1][howMany]
		l[1][loadPrefill] = d
		// Decodes are beside prompts in passes that there are anyway.
		l[1][loadPasses], l[1][howMany] = n, n
		l[0][loadPasses], l[0][howMany] = l[0][loadPasses]-n, l[0][howMany]-n
	}
	return l
}

// beyond is what a request's marginal energy is beyond what it added to its own passes,
// in J, with the standard deviation of what passes cost and of what a replay hangs on,
// and by how much it may be off by kind of pass as loads do not explain it; NaN where
// the load cannot be replayed.
func (p *replay) beyond() (joules, sd float64, bent [2]float64) {
	paces := []float64{0.97, 1, 1.03}
	until := math.Inf(1)
	if !p.over {
		until = float64(p.until-p.come[0].start) / 1e9
	}
	var got []float64
	var mean amounts
	pace := p.pace()
	for i, slow := range paces {
		slow *= pace
		come := p.later(float64(i) / float64(len(paces)))
		without, ended, ok1 := p.run(come, false, slow, until)
		if p.over { // both to their ends
			ended = until
		}
		with, _, ok2 := p.run(come, true, slow, ended)
		if !ok1 || !ok2 {
			return math.NaN(), math.NaN(), bent
		}
		j := 0.0
		left := p.left(with, without)
		for k := range mean {
			for i := range mean[k] {
				d := with.all[k][i] - without.all[k][i] + left[k][i] - with.own[k][i]
				mean[k][i] += d / float64(len(paces))
				j += d * p.costs.unit(k, i)
			}
		}
		got = append(got, j)
		joules += j / float64(len(paces))
	}
	v := 0.0
	for _, j := range got {
		v += sq(j-joules) / float64(len(got)-1)
	}
	v *= 1 + 1/float64(len(got))
	if p.waited || p.closed {
		// Who is the last of those that wait, and who is beside it, no replay tells.
		const passes = 4
		v += sq(passes * (p.costs.unit(0, howMany) + p.costs.unit(0, loadPasses)))
	}
	for k := range mean {
		for i := range mean[k] {
			bent[k] += mean[k][i] * p.costs.unit(k, i) * p.costs[k].Unexplained
			for j := range mean[k] {
				v += mean[k][i] * mean[k][j] * p.costs[k].Cov[i][j]
			}
		}
	}
	return joules, math.Sqrt(max(v, 0)), bent
}

// pace is by what passes took longer than was learned, by how long the request took.
func (p *replay) pace() float64 {
	const most = 1.25
	took := float64(p.took) / 1e9
	if out, _, ok := p.run(p.come, true, 1, 2*took); ok && out.took > 0 {
		return min(max(took/out.took, 1/most), most)
	}
	return 1
}
