package account

import (
	"math"

	"jouletop/engine/event"
	"jouletop/gpu/energy"
)

// What passes of a model that serves cost, and what of that is whose.
//
// A busy time is told in pieces, each a mixed phase of some seconds: its energy is
// measured as a whole, and that of its passes with what is known of passes with such
// loads. Each pass is then divided among its members, and what lies between passes goes
// with them. So requests add up to the pieces, whatever divides them.

// The loads of a pass, in the order of energy.Loads.
const (
	loadPasses  = iota // evaluations of the model: its weights are read once in each; of one token alone: loadAlone
	loadPrefill        // tokens of prompts
	loadDecode         // sequences that go on by a token
	loadKV             // tokens read from the KV cache
	// Evaluations for one sequence's next token alone are by other kernels (products of a
	// matrix and a vector): on an H100 6.3 ms at 567 W where several together take 9.9 ms
	// at 330 W.
	loadAlone
	// And for more than fewTokens by others again: on the same, 32 sequences take hardly more
	// than 16 do.
	loadWide
)

// fewTokens is how many are evaluated together by kernels of their own.
const fewTokens = 16

// The kinds of pass.
const (
	decodePass  = "decode pass"
	prefillPass = "prefill pass" // with a part of a prompt in it, maybe beside decodes
)

// passPhase is what a meter learns from an iteration, with the loads in it.
func passPhase(it event.IterationSpan, throttledPct float64) energy.Phase {
	const most = 50 // percent of the time
	p := energy.Phase{
		Kind: decodePass, Model: it.Model, SMMHz: it.RequestedSMMHz, Throttled: throttledPct > most, Start: it.StartNS, End: it.EndNS,
		Loads: energy.Loads{loadPasses: float64(max(it.Evaluations, 1)), loadPrefill: float64(it.PrefillTokens), loadDecode: float64(it.DecodeRequests), loadKV: float64(it.KVTokens)},
	}
	if it.PrefillTokens > 0 {
		p.Kind = prefillPass
	}
	alone := float64(aloneIn(it))
	p.Loads[loadPasses], p.Loads[loadAlone] = p.Loads[loadPasses]-alone, alone
	if p.Kind == decodePass && it.Evaluations <= 1 && it.DecodeRequests > fewTokens {
		p.Loads[loadPasses], p.Loads[loadWide] = 0, 1
	}
	return p
}

// passed is an iteration with the phase that the meter was told of.
type passed struct {
	event.Iteration
	phase energy.Phase
}

// piece is a part of a busy time whose passes are known.
type piece struct {
	batch      *batchAccount
	span       event.PhaseSpan // of no length where the busy time ended without another pass
	iterations []passed
	last       bool // of the busy time
}

// servedShare is what a request has had so far of the pieces that were told.
type servedShare struct {
	start    int64           // ns, of its first pass
	energy   energy.Estimate // its part of each piece, by its mean share of it
	net      float64         // J
	own      float64         // J², half-widths by which its share of single passes may be off, apart
	shared   float64         // J, and together
	marginal float64         // J
	// J, standard deviations: what a load costs is not known better, for its share and
	// for its marginal part; what is not proportional to the loads, by kind of pass.
	cost, marginalCost float64
	bent, marginalBent [2]float64
	luck               float64     // J², variance: how many evaluations were its
	observed           bool        // its passes are concluded
	before             before      // its first
	doubts             event.Flags // of its passes
	tokens, capped     float64     // J
}

// addIteration takes a pass in.
func (a *Account) addIteration(it event.Iteration) {
	if b := a.batches[it.BatchID]; b != nil {
		a.pass(b, it)
	}
}

// pass takes in a pass of a busy time.
func (a *Account) pass(b *batchAccount, it event.Iteration) {
	p := passed{it, passPhase(it.IterationSpan, a.clocks.throttled(it.StartNS, it.EndNS))}
	a.meter.addPhase(p.phase)
	if b.shares == nil {
		b.shares = map[string]*servedShare{}
	}
	fresh := b.traffic.pass(it)
	for _, m := range it.Members {
		if b.shares[m.RequestID] == nil {
			b.shares[m.RequestID] = &servedShare{start: it.StartNS, before: fresh[m.RequestID]}
		}
		s := b.shares[m.RequestID]
		s.observed = s.observed || it.Origin != event.OriginRun
		s.doubts = s.doubts.Union(it.Doubts)
	}
	b.iterations = append(b.iterations, p)
}

// cut makes a piece of a phase of a busy time whose passes are known; false where they
// are not.
func (b *batchAccount) cut(s event.PhaseSpan) (*piece, bool) {
	if len(b.iterations) == 0 {
		return nil, false
	}
	p := &piece{batch: b, span: s, iterations: b.iterations}
	b.iterations = nil
	return p, true
}

// until takes the passes that ended by t.
func (b *batchAccount) until(t int64) (its []passed) {
	n := 0
	for n < len(b.iterations) && b.iterations[n].EndNS <= t {
		n++
	}
	its, b.iterations = b.iterations[:n:n], b.iterations[n:]
	return its
}

// settlePiece says what a piece cost, each of its passes, and the requests that ended
// in it.
func (a *Account) settlePiece(p *piece) []event.Event {
	b := p.batch
	at := event.At{TimeNS: p.span.EndNS}
	var out []event.Event
	if len(p.iterations) > 0 {
		phases := make([]energy.Phase, len(p.iterations))
		for i, it := range p.iterations {
			phases[i] = it.phase
		}
		whole, parts := a.meter.request(p.span.StartNS, p.span.EndNS, phases)
		out = append(out, a.phaseRow(at, p.span, whole))
		for i, it := range p.iterations {
			out = append(out, event.IterationEnergy{
				At: at, IterationSpan: it.IterationSpan, SMMHzMean: a.clocks.mean(it.StartNS, it.EndNS), Energy: eventEnergy(parts[i]),
				Flags: a.requests.FlagsIn(it.StartNS, it.EndNS).Union(flagsOf(parts[i].Faults)).Union(it.Doubts),
			})
		}
		a.divide(p, phases, whole, parts)
		b.blur = max(b.blur, blur(p.iterations, whole))
		a.idleBefore(p)
		if pt := a.points[b.point]; pt != nil {
			pt.unsplit = true
			pt.run(a, stretch{start: p.span.StartNS, end: p.span.EndNS})
		}
	}
	left := b.requests[:0:0]
	after := b.traffic.after()
	for _, r := range b.requests {
		if r.EndNS+after > p.span.EndNS && !p.last {
			left = append(left, r)
			continue
		}
		a.owed = append(a.owed, a.servedRow(at, b, r, p.last))
	}
	b.requests = left
	from := p.span.StartNS
	for _, s := range b.shares {
		from = min(from, s.start)
	}
	b.traffic.forget(from)
	a.clocks.forget(from)
	a.requests.Forget(from)
	return out
}

// owed is the row of a request that has ended, but for what goes beyond its own passes.
type owed struct {
	row   event.RequestEnergy
	point string
	rest  *replay    // nil where its marginal energy is not known, or none
	v     float64    // J², of the row's marginal energy so far
	bent  [2]float64 // J, likewise
}

// tell gives the oldest rows that are owed, so many at most.
func (a *Account) tell(most int) (rows []event.Event) {
	for ; most > 0 && len(a.owed) > 0; most-- {
		o := a.owed[0]
		a.owed = a.owed[1:]
		if o.rest != nil {
			j, sd, bent := o.rest.beyond()
			o.row.MarginalJ += j
			o.row.MarginalErrJ = z95 * math.Sqrt(o.v+sq(sd)+sq(o.bent[0]+bent[0])+sq(o.bent[1]+bent[1]))
		}
		rows = append(rows, o.row)
		if pt := a.points[o.point]; pt != nil {
			pt.addRequests(rows[len(rows)-1:])
		}
	}
	return rows
}

// blur is how many J are drawn in the time in which each end of a pass may lie, where they are concluded from what clients saw: a pass ended when the first
// of its tokens came, or later, and nobody knows how much of the time until the last came
// was the next one's.
func blur(its []passed, whole energy.Estimate) float64 {
	var apart, seconds, n float64
	for i, it := range its {
		if it.Origin == event.OriginRun {
			return 0
		}
		seconds += it.phase.Seconds()
		if i == 0 {
			continue
		}
		const most = 5e-3 // s; longer is a pause
		if d := float64(it.StartNS-its[i-1].EndNS) / 1e9; d >= 0 && d < most {
			apart, n = apart+d, n+1
		}
	}
	if joules := whole.Likely(); n > 0 && seconds > 0 && joules > 0 {
		return joules / seconds * apart / n
	}
	return 0
}

// idleBefore notes what the pause before a busy time drew.
func (a *Account) idleBefore(p *piece) {
	b, from := p.batch, a.rested[p.batch.point]
	a.rested[b.point] = p.span.EndNS
	if b.begun {
		return
	}
	b.begun, b.idle = true, 0
	if from > 0 && p.span.StartNS > from {
		b.idle = eventEnergy(a.meter.phaseEnergy(energy.Phase{Kind: energy.KindIdle, Start: from, End: p.span.StartNS})).EnergyJ
	}
	for _, m := range p.iterations[0].Members[:1] {
		b.woke = m.RequestID
	}
}

// divide divides a piece among the requests in it.
func (a *Account) divide(p *piece, phases []energy.Phase, whole energy.Estimate, parts []energy.Estimate) {
	// By time, where nothing is known of energies.
	joules, sum := make([]float64, len(parts)), 0.0
	for i, e := range parts {
		joules[i] = max(e.Likely(), 0)
		sum += joules[i]
	}
	known := sum > 0 && !math.IsNaN(sum)
	if !known {
		sum = 0
		for i, ph := range phases {
			joules[i] = ph.Seconds()
			sum += joules[i]
		}
	}
	scale := 1 / sum
	likely := whole.Likely()
	net := eventEnergy(whole.Net(a.idleW, a.idleErr, float64(p.span.EndNS-p.span.StartNS)/1e9)).EnergyJ
	type sort struct {
		mhz       int
		throttled bool
	}
	of := map[sort]costs{}
	parted := map[string][]held{} // by request
	for i, it := range p.iterations {
		own := sort{phases[i].SMMHz, phases[i].Throttled}
		c, met := of[own]
		if !met {
			for k, kind := range passKinds {
				like := phases[i]
				like.Kind = kind
				c[k] = a.meter.cost(like)
			}
			of[own] = c
		}
		k := kindOf(phases[i])
		p.batch.costs[k] = c[k]
		for j, h := range hold(phases[i], it.Members, joules[i], c, known, it.Origin == event.OriginRun, a.split()) {
			h.iteration = i
			h.luck = c[k].PerUnit[evaluationsOf(phases[i])] * it.Members[j].EvaluationsErr
			id := it.Members[j].RequestID
			parted[id] = append(parted[id], h)
		}
	}
	for id, hs := range parted {
		s := p.batch.shares[id]
		mean := 0.0
		for _, h := range hs {
			mean += h.share * joules[h.iteration] * scale
		}
		s.energy = energy.Sum(s.energy, whole.Times(mean))
		s.net += net * mean
		var dev, own, bends, loads amounts
		apart, together, luck := 0.0, 0.0, 0.0
		share := make(map[int]float64, len(hs))
		for _, h := range hs {
			share[h.iteration] = h.share
			dev.add(h.apart, 1)
			own.add(h.own, 1)
			bends.add(h.bends, 1)
			loads.add(h.loads, 1)
			f := joules[h.iteration] * scale * likely
			s.marginal += h.marginal
			luck += h.luck
			s.tokens, s.capped = s.tokens+h.tokens*f, s.capped+h.capped*f
		}
		for i, e := range parts { // also those it has no part in
			half := e.HalfWidth()
			if math.IsInf(half, 1) {
				continue
			}
			w := share[i] - mean
			together += w * e.Common()
			apart += w * w * max(half*half-e.Common()*e.Common(), 0)
		}
		s.own += apart
		s.shared += together
		s.luck += luck * luck // who is beside whom stays for seconds
		for k, c := range p.batch.costs {
			s.cost += quadratic(c.Cov, dev[k])
			s.marginalCost += quadratic(c.Cov, own[k])
			s.bent[k] += p.batch.costs.bent(k, bends[k])
			s.marginalBent[k] += p.batch.costs.bent(k, loads[k])
		}
	}
}

// held is what a member has of a pass.
type held struct {
	iteration int
	share     float64 // of its energy, by the split
	tokens    float64 // the same by tokens
	capped    float64 // and by capped tokens
	own       amounts // what there is more with it than without
	apart     amounts // less what each had if they were the same for all
	loads     amounts // its loads
	bends     amounts // those less what each had, likewise
	adds      float64 // J, in the pass
	marginal  float64 // J, the same less what idle time draws that it takes
	luck      float64 // J, by which that is off as more or fewer evaluations were its
}

// hold divides a pass of so many joules (or seconds, unless known) among its members. sure:
// what was in it is; else whose prompt set it apart may be another's.
func hold(p energy.Phase, members []event.IterationMember, joules float64, c costs, known, sure bool, split event.Split) []held {
	out := make([]held, len(members))
	n := float64(len(members))
	var all, loads amounts
	fresh, capped, own, most := 0.0, 0.0, 0.0, 0.0
	for i, m := range members {
		h := &out[i]
		rest, other := c.without(p.Loads, kindOf(p), loadsOf(p, m))
		h.loads[kindOf(p)].add(loadsOf(p, m), 0)
		if h.own = h.loads; other && sure { // what there was is measured
			h.own = amounts{}
			h.own.add(rest, -1)
			h.adds, h.marginal = joules, -c.idleW()*p.Seconds()
		}
		h.adds += c.joules(h.own)
		h.marginal += h.adds - c.idleW()*c.seconds(h.own)
		own, most = own+h.adds, most+max(h.adds, 0)
		all.add(h.own, 1)
		loads.add(h.loads, 1)
		fresh += float64(m.Fresh)
		capped += float64(min(m.Fresh, event.CappedTokens))
	}
	// What they add cannot be more than there was.
	fits := 1.0
	if most > joules && most > 0 {
		fits = joules / most
	}
	if !known {
		fits = 0
	}
	for i, m := range members {
		h := &out[i]
		h.adds, h.marginal = h.adds*fits, h.marginal*fits
		h.tokens, h.capped = float64(m.Fresh)/fresh, float64(min(m.Fresh, event.CappedTokens))/capped
		switch split {
		case event.SplitTokens:
			h.share = h.tokens
		case event.SplitEqual:
			h.share = 1 / n
		default:
			h.share = max(h.adds+(joules-own*fits)/n, 0) / joules
			if !(joules > 0) {
				h.share = 1 / n
			}
			h.apart.add(h.own, fits)
			h.apart.add(all, -fits/n)
			h.bends.add(h.loads, fits)
			h.bends.add(loads, -fits/n)
		}
		if n == 1 && known { // without it there had been no pass
			h.marginal, h.own, h.loads = joules-c.idleW()*p.Seconds(), amounts{}, amounts{}
		}
	}
	if split == event.SplitMarginal || split == "" { // where one had less than nothing
		sum := 0.0
		for i := range out {
			sum += out[i].share
		}
		for i := range out {
			out[i].share /= sum
		}
	}
	return out
}

// servedRow is the row of a request that has ended, all of whose pieces are told.
func (a *Account) servedRow(at event.At, b *batchAccount, r event.Request, over bool) (o owed) {
	o.point = b.point
	s := b.shares[r.RequestID]
	delete(b.shares, r.RequestID)
	mhz, mixed := a.requests.RequestedIn(r.StartNS, r.EndNS)
	r.RequestedSMMHz, r.Flags = mhz, r.Flags.Union(a.requests.FlagsIn(r.StartNS, r.EndNS))
	row := event.RequestEnergy{At: at, Request: r, MixedClock: mixed, ServedEnergy: event.ServedEnergy{Split: a.split()}, DraftedEnergy: event.NotDrafted}
	if s != nil && s.observed {
		row.Flags = row.Flags.With(event.FlagPassesObserved).Union(s.doubts)
	}
	switch {
	case s == nil && r.Err == "", // it was in a pass that nobody told of
		row.Flags.Has(event.FlagPassesDoubtful), row.Flags.Has(event.FlagPassesObserved) && r.Flags.Has(event.FlagBufferedStream, event.FlagHiddenTokens):
		row.Energy = event.Energy{EnergyJ: math.NaN(), EnergyErrJ: math.NaN(), Method: energy.MethodUnresolved}
		row.NetEnergyJ, row.ServedEnergy = math.NaN(), event.NotServed
		o.row = row
		return o
	case s == nil: // it failed before its first
		row.Method = energy.MethodRegression
		o.row = row
		return o
	}
	row.Energy = eventEnergy(s.energy)
	if s.energy.Resolved {
		var v float64
		if a.split() == event.SplitMarginal {
			v = sq(z95) * s.luck
		}
		for _, b := range s.bent {
			v += sq(z95 * b)
		}
		if s.observed { // where it came, and where it went
			v += 2 * sq(z95*b.blur) / 12 // anywhere in it
		}
		row.EnergyErrJ = math.Sqrt(sq(row.EnergyErrJ) + s.own + sq(s.shared) + sq(z95*s.cost) + v)
	}
	row.NetEnergyJ = s.net
	row.Flags = row.Flags.Union(flagsOf(s.energy.Faults))
	row.MarginalJ, row.TokenJ, row.CappedJ = s.marginal, s.tokens, s.capped
	if b.woke == r.RequestID {
		row.IdleJ = b.idle
	}
	// What it had alone is measured, but for what idle time would have drawn.
	o.row, o.v, o.bent = row, sq(s.marginalCost)+s.luck+sq(energy.Unlike*s.marginal), s.marginalBent
	o.rest = b.traffic.without(r.RequestID, s.before, at.TimeNS, over, b.costs)
	if o.rest == nil {
		o.row.MarginalJ, o.row.MarginalErrJ = math.NaN(), math.NaN()
	}
	return o
}

// z95 is the 97.5 % quantile of the normal distribution.
const z95 = 1.959964

func sq(x float64) float64 { return x * x }
