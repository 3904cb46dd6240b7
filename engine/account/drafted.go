package account

import (
	"math"

	"jouletop/engine/event"
	"jouletop/gpu/energy"
)

// drafted is what a batch took in which tokens were drafted, or several did. Its phases
// take turns that are shorter than any sensor's period, so that those of a kind are
// estimated together.
type drafted struct {
	any           bool // something was drafted
	draft, verify energy.Estimate
	decode        energy.Estimate // both, with what was decoded without a draft among them
	prefill       energy.Estimate // the model's and its drafter's
}

// draftedIn estimates b's; nothing where none of it was drafted.
func (a *Account) draftedIn(b *batchAccount) (d drafted) {
	start, end := int64(math.MaxInt64), int64(math.MinInt64)
	read := energy.Span{Start: math.MaxInt64, End: math.MinInt64}
	kinds := map[event.Phase]bool{}
	for _, s := range b.phases {
		switch kinds[s.Phase] = true; s.Phase.Decoding() {
		case event.Decode:
			start, end = min(start, s.StartNS), max(end, s.EndNS)
		case event.Prefill:
			read = energy.Span{Start: min(read.Start, s.StartNS), End: max(read.End, s.EndNS)}
		}
	}
	if !kinds[event.Draft] && !kinds[event.Verify] {
		return d
	}
	d.any = true
	d.decode = a.meter.window(start, end)
	if kinds[event.Prefill] {
		d.prefill = a.meter.window(read.Start, read.End)
	}
	other := event.Draft
	if kinds[event.Draft] {
		d.draft = a.meter.kind(event.Draft, event.Verify, start, end)
	} else { // a lookup has no phase, and takes nothing
		d.draft.Resolved = true
		other = event.Decode
	}
	if kinds[event.Verify] {
		d.verify = a.meter.kind(event.Verify, other, start, end)
	} else {
		d.verify.Resolved = true
	}
	return d
}

// add adds o, of the same run.
func (d *drafted) add(o drafted) {
	if !o.any {
		return
	}
	if !d.any {
		*d = o
		return
	}
	d.draft, d.verify, d.decode = energy.Sum(d.draft, o.draft), energy.Sum(d.verify, o.verify), energy.Sum(d.decode, o.decode)
	d.prefill = energy.Sum(d.prefill, o.prefill)
}

// of is request i's part: of the drafting by what was proposed for it, of the verifying by
// the tokens of it that the model read.
func (d drafted) of(b *batchAccount, i int) event.DraftedEnergy {
	if !d.any {
		return event.NotDrafted
	}
	read := func(r event.Request) float64 { return float64(r.DraftTokens + max(r.OutputTokens-r.AcceptedTokens, 0)) }
	var proposed, all float64
	for _, r := range b.requests {
		proposed += float64(r.DraftTokens)
		all += read(r)
	}
	r := b.requests[i]
	return drafted{any: true, draft: d.draft.Times(part(float64(r.DraftTokens), proposed)), verify: d.verify.Times(part(read(r), all))}.energy(1)
}

// part is x of all; nothing of nothing.
func part(x, all float64) float64 {
	if all > 0 {
		return x / all
	}
	return 0
}

// energy is d over n requests.
func (d drafted) energy(n float64) event.DraftedEnergy {
	if !d.any {
		return event.NotDrafted
	}
	draft, verify := eventEnergy(d.draft.Times(1/n)), eventEnergy(d.verify.Times(1/n))
	return event.DraftedEnergy{DraftJ: draft.EnergyJ, DraftErrJ: draft.EnergyErrJ, VerifyJ: verify.EnergyJ, VerifyErrJ: verify.EnergyErrJ}
}
