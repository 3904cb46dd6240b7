package energy

import (
	"math"

	"jouletop/gpu"
)

// pieceBins is of how many bins at most the phases of one kind are estimated together:
// those before and after a piece tell of it too.
const pieceBins = maxSolve - 12

// Kind returns what all phases of a kind ([Phase].Kind) between start and end (ns) used
// together, which take turns with phases of another kind, each too short to be told:
// drafting and verifying, say. Each bin holds parts of several; what is known of the kinds'
// powers divides it, and what the bins say of their sum is kept to. Its interval has the
// sensor's doubt, that of the kinds' powers (which all the phases share) and of the lag,
// and what each phase may differ by.
func (m *Meter) Kind(kind, other string, start, end int64) Estimate {
	if end <= start {
		return Estimate{Resolved: end == start, Method: MethodRegression}
	}
	best := unresolved(math.Inf(1))
	for _, tr := range m.tracks {
		if len(tr.reads) < 2 || tr.name == gpu.SourceAverage {
			continue
		}
		m.refit(tr)
		if e := m.kindBy(tr, kind, other, start, end); e.ErrJ < best.ErrJ {
			best = e
		}
		if tr.name == gpu.SourceBuffer && !math.IsInf(best.HalfWidth(), 1) {
			break // nothing knows better
		}
	}
	best.ErrJ = math.Hypot(best.ErrJ, m.intake.widened(start, end, best.Joules))
	best = settle(best)
	best.Faults = m.intake.touching(start, end)
	return best
}

// kindBy is Kind by one source.
func (m *Meter) kindBy(tr *track, kind, other string, start, end int64) Estimate {
	first, last := tr.reads[0].t-int64(tr.width*1e9), tr.reads[len(tr.reads)-1].t
	if beyond := float64(max(first-start, 0)+max(end-last, 0)) / 1e9; beyond > max(0.1*float64(end-start)/1e9, 3*tr.period) {
		return unresolved(math.Inf(1))
	}
	p := predictor{tr: tr, tl: &m.tl, m: &tr.model, only: kind}
	at := func(lag float64, off []float64) part {
		p.lag, p.off = lag, off
		return p.pieces(start, end)
	}
	t := m.turns(tr, kind, other, end)
	var mix part
	var shared float64
	each := make([]float64, len(t.lags))
	for i := range t.lags {
		l := &t.lags[i]
		x, hi, lo := at(l.lag, l.at), at(l.lag+l.sd, l.late), at(l.lag-l.sd, l.early)
		if !x.ok || !hi.ok || !lo.ok || math.IsNaN(x.j) {
			return unresolved(math.Inf(1))
		}
		// How far the split is pulled goes with the square of how far the lag is off, whose
		// own square is three variances in the mean.
		dl, pull := (hi.j-lo.j)/2, (hi.j+lo.j)/2-x.j
		each[i] = x.j
		mix.j += l.share * x.j
		mix.mu += l.share * x.mu
		mix.v += l.share * x.v
		mix.common += l.share * x.common
		shared += l.share * (sq(dl) + 3*sq(pull))
	}
	apart, spread := 0.0, 0.0 // by how much a lag that may be would have it be other than the mean
	for i := range t.lags {
		spread += t.lags[i].share * sq(each[i]-mix.j)
		if t.lags[i].share >= turnLikely {
			apart = max(apart, math.Abs(each[i]-mix.j))
		}
	}
	z := z95 * p.inflation(start, end)
	shared += sq(m.confounded(tr, kind, other, end) * mix.j)
	half := func(v float64) float64 { return max(apart+z*math.Sqrt(v), z*math.Sqrt(v+spread)) }
	return raw(mix.j, half(mix.v+shared), mix.mu, half(sq(mix.common)+shared), MethodRegression)
}

// confounding is how much of a bin's power, as a share and a standard deviation, may go
// along with how much of a kind of phase is in it, though it is not that kind's: phases are
// not quite alike, and a card warms up. Where all bins hold nearly the same of it (turns
// that last as long as a bin do), little of that is much in the kind's power.
const confounding = 0.00025

// confoundedBins are the latest bins that are looked at for how much of a kind is in them,
// and alikeBins those in a row over which that counts as steady: what changes more slowly
// goes along with how the card warms up.
const confoundedBins, alikeBins = 512, 25

// confounded is the share of a kind's energy, as a standard deviation, that it may be off by
// for that.
func (m *Meter) confounded(tr *track, kind, other string, end int64) float64 {
	shift := int64(tr.lag * 1e9)
	to := tr.first(end + shift)
	from := max(to-confoundedBins, 0)
	if from >= to {
		return 0
	}
	usual := m.tl.usual(kind, tr.bin(from, tr.lag).a, end)
	var shares []float64
	pi := -1
	for i := from; i < to; i++ {
		b := tr.bin(i, tr.lag)
		if !b.ok || b.b <= b.a {
			continue
		}
		if pi < 0 {
			pi = m.tl.from(b.a)
		}
		share, both := 0.0, 0.0
		pi = m.tl.walk(pi, b.a, b.b, func(s segment) {
			part := float64(s.b-s.a) / float64(b.b-b.a)
			if s.key.Kind == kind {
				share += part
			}
			if s.key.Model == usual && (s.key.Kind == kind || s.key.Kind == other) {
				both += part
			}
		})
		if share > 0 && both > 0.99 {
			shares = append(shares, share)
		}
	}
	n := len(shares)
	if n < 3 {
		return 0
	}
	sums := make([]float64, n+1)
	for i, s := range shares {
		sums[i+1] = sums[i] + s
	}
	mean, varies := sums[n]/float64(n), 0.0
	if mean >= 1 {
		return 0
	}
	for i, s := range shares {
		lo, hi := max(0, i-alikeBins/2), min(n, i+alikeBins/2+1)
		varies += sq(s - (sums[hi]-sums[lo])/float64(hi-lo))
	}
	return confounding * (1 - mean) / math.Sqrt(max(varies/float64(n), sq(confounding)))
}

// usual is the model of most phases of a kind that began between start and end: those that
// are unlike tell nothing of the power of the others.
func (tl *timeline) usual(kind string, start, end int64) (model string) {
	count := map[string]int{}
	for i := tl.from(start); i < len(tl.phases) && tl.phases[i].Start < end; i++ {
		if p := &tl.phases[i]; p.Kind == kind {
			if count[p.Model]++; count[p.Model] > count[model] || model == "" {
				model = p.Model
			}
		}
	}
	return model
}

// pieces adds up start to end, cut at the ends of bins.
func (p *predictor) pieces(start, end int64) part {
	shift := int64(p.lag * 1e9)
	sum := part{ok: true}
	for at := start; at < end; {
		to := end
		if i := p.tr.first(at+shift) + pieceBins; i < len(p.tr.reads) {
			if b := p.tr.bin(i, p.lag); b.b > at {
				to = min(to, b.b)
			}
		}
		sum.add(p.local(at, to))
		at = to
	}
	return sum
}
