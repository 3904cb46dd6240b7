package account

import (
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"jouletop/engine/event"
	"jouletop/gpu/energy"
)

// pointAccount adds up a point.
type pointAccount struct {
	start           event.PointStart
	gpus            map[string]*pointSamples
	totals          Totals
	busyS           float64       // of the batches, each once
	busy            []energy.Span // of batches that follow each other, not yet in whole
	whole, net      energy.Estimate
	prefill, decode energy.Estimate
	drafted         drafted // of its batches
	clock, limited  float64 // MHz and % of its phases, times the s that they took
	clockS          float64
	unsplit         bool // of some batch nobody knows what was prefill
	methods         map[string]bool
	limits          map[string]float64 // see Account
}

// pointSamples adds up what one GPU's samples tell of a point.
type pointSamples struct {
	n, throttled       int
	capped, hot        int // of the throttled, by power and by heat
	smSum, memSum      float64
	smN, memN          int
	tempStart, tempEnd float64
}

func newPointAccount(s event.PointStart) *pointAccount {
	return &pointAccount{start: s, gpus: map[string]*pointSamples{}, methods: map[string]bool{}}
}

// NotRun is the row of a point that could not run; end in ns.
func NotRun(start event.PointStart, end int64, err error) event.PointDone {
	return newPointAccount(start).result(end, err)
}

func (p *pointAccount) sample(s event.Sample) {
	g := p.gpus[s.GPU]
	if g == nil {
		g = &pointSamples{tempStart: math.NaN()}
		p.gpus[s.GPU] = g
	}
	g.n++
	if s.SMMHz >= 0 {
		g.smSum += float64(s.SMMHz)
		g.smN++
	}
	if s.MemMHz >= 0 {
		g.memSum += float64(s.MemMHz)
		g.memN++
	}
	if limited(s.Sample) {
		g.throttled++
	}
	if s.Throttle.ByPower() {
		g.capped++
	}
	if s.Throttle.ByHeat() {
		g.hot++
	}
	if math.IsNaN(g.tempStart) {
		g.tempStart = s.TempC
	}
	g.tempEnd = s.TempC
}

// sampled gives the point its clock (the mean over the GPUs), throttling and
// temperature (of the GPU that has most). farthest is the mean clock of the GPU
// that is farthest from the requested one, MHz.
func (p *pointAccount) sampled(d *event.PointDone) (farthest float64) {
	if p.start.Past {
		d.AchievedSMMHz, d.ThrottledPct, d.TempStartC, d.TempEndC = p.clock/p.clockS, p.limited/p.clockS, math.NaN(), math.NaN()
		d.AchievedMemMHz, d.AchievedLimitW = math.NaN(), math.NaN()
		return d.AchievedSMMHz
	}
	sum, mem, limit := 0.0, 0.0, 0.0
	farthest = math.NaN()
	d.AchievedSMMHz, d.ThrottledPct, d.TempStartC, d.TempEndC = math.NaN(), math.NaN(), math.NaN(), math.NaN()
	for _, id := range slices.Sorted(maps.Keys(p.gpus)) {
		g := p.gpus[id]
		mean := g.smSum / float64(g.smN)
		if asked := float64(d.RequestedSMMHz); !(math.Abs(mean-asked) <= math.Abs(farthest-asked)) {
			farthest = mean
		}
		sum += mean
		mem += g.memSum / float64(g.memN)
		limit += p.limits[id]
		d.ThrottledPct = fmax(d.ThrottledPct, 100*float64(g.throttled)/float64(g.n))
		d.TempStartC, d.TempEndC = fmax(d.TempStartC, g.tempStart), fmax(d.TempEndC, g.tempEnd)
	}
	n := float64(len(p.gpus))
	d.AchievedSMMHz, d.AchievedMemMHz, d.AchievedLimitW = sum/n, mem/n, math.NaN()
	if d.Knobs.PowerW > 0 {
		d.AchievedLimitW = limit / n
	}
	return farthest
}

// fmax is the larger of two numbers, where one may be unknown (NaN).
func fmax(a, b float64) float64 {
	if math.IsNaN(a) || b > a {
		return b
	}
	return a
}

// A point's energy is that of its busy time, taken together as far as only short
// pauses interrupt it, and no longer than is still known well.
const (
	shortPause  = int64(100 * time.Millisecond)
	longStretch = int64(20 * time.Second)
)

// run takes in the time that a batch ran, whose energy is the point's.
func (p *pointAccount) run(a *Account, s stretch) {
	if n := len(p.busy); n > 0 && (s.start-p.busy[n-1].End > shortPause || s.end-p.busy[0].Start > longStretch || s.start < p.busy[n-1].End) {
		p.settle(a)
	}
	p.busy = append(p.busy, energy.Span{Start: s.start, End: s.end})
}

// settle adds the energy of the busy time so far.
func (p *pointAccount) settle(a *Account) {
	if len(p.busy) == 0 {
		return
	}
	e, seconds := a.meter.busy(p.busy), 0.0
	for _, s := range p.busy {
		seconds += float64(s.End-s.Start) / 1e9
	}
	p.busy = nil
	p.take(a, e, seconds)
}

// take adds an energy and how long it took.
func (p *pointAccount) take(a *Account, e energy.Estimate, seconds float64) {
	p.methods[e.Method] = true
	p.busyS += seconds
	p.net = energy.Sum(p.net, e.Net(a.idleW, a.idleErr, seconds))
	p.whole = energy.Sum(p.whole, e)
}

// add takes in a settled batch, the energies of its phases and its rows.
func (p *pointAccount) add(a *Account, b *batchAccount, parts []energy.Estimate, rows []event.Event) {
	// What a batch cost of which nothing came is no query's.
	if !slices.ContainsFunc(b.requests, func(r event.Request) bool { return r.Err == "" }) {
		p.settle(a)
	} else {
		if b.pieces {
			p.settle(a)
			p.take(a, energy.Sum(parts...), b.seconds())
		} else {
			for _, s := range b.stretches() {
				p.run(a, s)
			}
		}
		p.unsplit = p.unsplit || !slices.ContainsFunc(b.phases, func(s event.PhaseSpan) bool { return s.Phase == event.Prefill })
		p.drafted.add(b.drafted)
		for i, s := range b.phases {
			if b.drafted.any && (s.Phase == event.Prefill || s.Phase.Decoding() == event.Decode) {
				continue // is in p.drafted
			}
			switch s.Phase {
			case event.Idle:
			case event.Prefill:
				p.prefill = energy.Sum(p.prefill, parts[i])
			default:
				p.decode = energy.Sum(p.decode, parts[i])
			}
		}
	}
	p.addRequests(rows)
}

// addRequests takes in the rows of requests among others.
func (p *pointAccount) addRequests(rows []event.Event) {
	for _, ev := range rows {
		switch r := ev.(type) {
		case event.RequestEnergy:
			p.totals.Add(&r)
		case event.PhaseEnergy:
			s := float64(r.EndNS-r.StartNS) / 1e9
			p.clock, p.limited, p.clockS = p.clock+s*r.SMMHzMean, p.limited+s*r.ThrottledPct, p.clockS+s
		}
	}
}

// clockTolerance is how far the mean achieved clock may lie from the requested
// one before a point is flagged: one step of 15 MHz.
const clockTolerance = 15

// memTolerance is by what part the mean memory clock may differ from the requested one:
// a card may run it a little below the one that it lists.
const memTolerance = 0.03

// limitTolerance is by how much, W, the power limit in force may differ from the one
// requested: a driver may round it.
const limitTolerance = 1.0

// result is the point's row; means are per query.
func (p *pointAccount) result(end int64, err error) event.PointDone {
	n := p.totals.Succeeded()
	d := event.PointDone{At: event.At{TimeNS: end}, Point: p.start.Point}
	d.Held = event.UnknownHeld()
	farthest := p.sampled(&d)
	d.Energy = eventEnergy(p.whole.Times(1 / n))
	d.Method = joinKeys(p.methods)
	if !p.whole.Resolved {
		d.Method = energy.MethodUnresolved
	}
	d.NetEnergyJ, d.PrefillEnergyJ, d.DecodeEnergyJ = eventEnergy(p.net).EnergyJ/n, math.NaN(), math.NaN()
	if !p.unsplit {
		prefill, decode := p.prefill, p.decode
		if p.drafted.any {
			prefill, decode = energy.Sum(prefill, p.drafted.prefill), energy.Sum(decode, p.drafted.decode)
		}
		d.PrefillEnergyJ, d.DecodeEnergyJ = eventEnergy(prefill).EnergyJ/n, eventEnergy(decode).EnergyJ/n
	}
	d.DraftedEnergy = p.drafted.energy(n)
	p.totals.Means(&d, p.busyS)
	d.Flags = d.Flags.Union(p.flags(d, farthest))
	switch {
	case err != nil:
		d.PointResult.Err = err.Error()
	case p.totals.Failed > 0:
		d.PointResult.Err = p.totals.Err
	}
	return d
}

// flags names what else makes the point other than it was asked for. Under a power limit
// that was asked for, the clock is where that holds it.
func (p *pointAccount) flags(d event.PointDone, farthest float64) (flags event.Flags) {
	throttled, capped := d.ThrottledPct, false
	if d.Knobs.PowerW > 0 {
		throttled = 0
		for _, g := range p.gpus {
			throttled = max(throttled, 100*float64(g.hot)/float64(g.n))
			capped = capped || 100*g.capped > g.n
		}
	}
	if throttled > 1 {
		flags = flags.With(event.FlagThrottled)
	}
	if d.RequestedSMMHz > 0 && !capped && math.Abs(farthest-float64(d.RequestedSMMHz)) > clockTolerance {
		flags = flags.With(event.FlagClockOff)
	}
	for id, g := range p.gpus {
		if asked := float64(d.Knobs.PowerW); asked > 0 && math.Abs(p.limits[id]-asked) >= limitTolerance {
			flags = flags.With(event.FlagClockOff)
		}
		if asked := float64(d.Knobs.MemMHz); asked > 0 && math.Abs(g.memSum/float64(g.memN)-asked) > memTolerance*asked {
			flags = flags.With(event.FlagClockOff)
		}
	}
	if math.IsNaN(d.EnergyJ) {
		flags = flags.With(event.FlagEnergyUnresolved)
	}
	return flags
}

func joinKeys(m map[string]bool) string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return strings.Join(out, "+")
}
