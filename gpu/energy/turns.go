package energy

import (
	"math"
	"slices"
)

// Kinds that take turns of 10 to 30 ms are told apart by how their shares of a bin differ. A
// lag that is off makes the shares look less like the readings, whichever way it is off, and
// pulls both powers to their mean. So the turns themselves tell the lag: with the right one
// the shares explain most of what the readings vary by. What is known of the lag otherwise
// (by falls, or of such sources) and what the turns say make a distribution, over which the
// split is taken: at its middle, with what is then left of the pull taken back.

//
// Turns that are half a period of theirs apart look the same with the kinds' powers changed
// over: of such lags all stay in question that other knowledge does not rule out, and where
// they make a difference the interval holds what each would have it be.

// turning is the lag by the turns of two kinds, and what it does to the model's powers.
type turning struct {
	kind, other, model string
	fitAt              int
	lags               []turnLag
}

// turnLag is one lag that may be.
type turnLag struct {
	share   float64 // how likely it is
	lag, sd float64 // s
	// W, by which the thetas are other than those of the model: at that lag, and where it
	// is one standard deviation longer and shorter.
	at, late, early []float64
}

const (
	turnStep   = 1e-4 // s, between lags that are tried
	mostLags   = 60   // on either side, further apart where little is known
	turnReach  = 1.7  // standard deviations on either side, of such sources: cards' lags lie within
	fallsReach = 2.5  // the same where falls tell the lag
	turnDoubt  = 1.5  // by which the turns' word is discounted: readings in a row resemble each other
	turnSD     = 3e-4 // s, how well turns tell a lag at best: a card answers to each kind in its own way
	turnBins   = 24   // that it takes
	turnOdds   = 2.0  // most that one lag's fit speaks for it against another, as a logarithm
	turnTold   = 0.7  // of what the best explains, a lag that may be explains
	turnLikely = 0.05 // from then on the interval holds what a lag would have it be
)

// turns returns the lags by the turns of two kinds of phase up to end.
func (m *Meter) turns(tr *track, kind, other string, end int64) *turning {
	if kind > other {
		kind, other = other, kind
	}
	model := m.tl.usual(kind, tr.bin(max(tr.first(end+int64(tr.lag*1e9))-confoundedBins, 1), tr.lag).a, end)
	if t := tr.turned; t != nil && t.fitAt == tr.fitAt && t.kind == kind && t.other == other && t.model == model {
		return t
	}
	t := &turning{kind: kind, other: other, model: model, fitAt: tr.fitAt}
	tr.turned = t
	t.find(tr, &m.tl, end)
	from := max(len(tr.reads)-maxRows, 0)
	traits := m.tl.traits()
	before := tr.thetas(&m.tl, from, tr.lag, traits)
	by := func(lag float64) []float64 {
		after := tr.thetas(&m.tl, from, lag, traits)
		out := make([]float64, len(tr.model.stats))
		for i := range tr.model.stats {
			k := tr.model.stats[i].Key
			a, ok := after[k]
			b, ok2 := before[k]
			if ok && ok2 {
				out[i] = a - b
			}
		}
		return out
	}
	for i := range t.lags {
		l := &t.lags[i]
		l.at, l.late, l.early = by(l.lag), by(l.lag+l.sd), by(l.lag-l.sd)
	}
	return t
}

// find finds the lags that may be.
func (t *turning) find(tr *track, tl *timeline, end int64) {
	t.lags = []turnLag{{share: 1, lag: tr.lag, sd: tr.lagSD}}
	middle, sd, reach := tr.lag, tr.lagSD, fallsReach
	if k := known[tr.name]; !tr.byFalls { // else the turns' word would count twice
		middle, sd, reach = k.lag, k.lagSD, turnReach
	}
	n := min(max(int(math.Ceil(reach*sd/turnStep)), 4), mostLags)
	lags := make([]float64, 2*n+1)
	for i := range lags {
		lags[i] = middle + reach*sd*float64(i-n)/float64(n)
	}
	costs, all, bins := t.costs(tr, tl, lags, end)
	if bins < turnBins {
		return
	}
	least := slices.Min(costs)
	if !(least > 0) || all-least < turnDoubt*4*least/float64(bins) { // they tell nothing
		return
	}
	weigh := float64(bins) / turnDoubt / 2
	// The hills between are where one ends and the next begins.
	var found []turnLag
	sum := 0.0
	for from := 0; from < len(costs); {
		low := from
		for low+1 < len(costs) && costs[low+1] <= costs[low] {
			low++
		}
		to := low
		for to+1 < len(costs) && costs[to+1] > costs[to] {
			to++
		}
		if all-costs[low] >= turnTold*(all-least) {
			l := t.within(lags[from:to+1], costs[from:to+1], costs[low], weigh)
			l.share = math.Exp(-sq((l.lag-middle)/sd)/2 - min(weigh*math.Log(costs[low]/least), turnOdds))
			l.sd = min(l.sd, sd)
			sum += l.share
			found = append(found, l)
		}
		from = to + 1
	}
	for i := range found {
		found[i].share /= sum
	}
	t.lags = found
}

// within is the mean lag of a hollow, and its standard deviation.
func (t *turning) within(lags, costs []float64, low, weigh float64) turnLag {
	var sum, mean, square float64
	for i, lag := range lags {
		w := math.Exp(-weigh * math.Log(costs[i]/low))
		sum, mean, square = sum+w, mean+w*(lag-lags[0]), square+w*sq(lag-lags[0])
	}
	mean, square = mean/sum, square/sum
	return turnLag{lag: lags[0] + mean, sd: math.Hypot(math.Sqrt(max(square-mean*mean, 0)), turnSD)}
}

// costs are what readings of turns alone vary by that the kinds' shares do not explain, for
// each lag, of what they vary by at all, and of how many readings that is. What changes
// slowly is left out.
func (t *turning) costs(tr *track, tl *timeline, lags []float64, end int64) (costs []float64, all float64, n int) {
	to := tr.first(end + int64(tr.lag*1e9))
	first, last := int64(lags[0]*1e9), int64(lags[len(lags)-1]*1e9)
	var y []float64
	shares := make([][]float64, len(lags))
	for i := max(to-confoundedBins, 1); i < to; i++ {
		b := tr.bin(i, 0)
		if !b.ok || b.b <= b.a {
			continue
		}
		a, z := b.a-last, b.b-first // where it is for any of the lags
		pi, alone := tl.from(a), 0.0
		tl.walk(pi, a, z, func(s segment) {
			if s.key.Model == t.model && (s.key.Kind == t.kind || s.key.Kind == t.other) {
				alone += float64(s.b-s.a) / float64(z-a)
			}
		})
		if alone < 0.95 {
			continue
		}
		y = append(y, b.p)
		for k, lag := range lags {
			shift, share := int64(lag*1e9), 0.0
			tl.walk(pi, b.a-shift, b.b-shift, func(s segment) {
				if s.key.Kind == t.kind {
					share += float64(s.b-s.a) / float64(b.b-b.a)
				}
			})
			shares[k] = append(shares[k], share)
		}
	}
	if n = len(y); n < turnBins {
		return nil, 0, n
	}
	y = steadied(y)
	for _, v := range y {
		all += v * v
	}
	for _, s := range shares {
		s = steadied(s)
		sy, ss := 0.0, 1e-12
		for i, v := range s {
			sy, ss = sy+v*y[i], ss+v*v
		}
		costs = append(costs, all-sy*sy/ss)
	}
	return costs, all, n
}

// steadied is x without what changes slowly: the mean of the bins around.
func steadied(x []float64) []float64 {
	sums := make([]float64, len(x)+1)
	for i, v := range x {
		sums[i+1] = sums[i] + v
	}
	out := make([]float64, len(x))
	for i, v := range x {
		lo, hi := max(0, i-alikeBins/2), min(len(x), i+alikeBins/2+1)
		out[i] = v - (sums[hi]-sums[lo])/float64(hi-lo)
	}
	return out
}
