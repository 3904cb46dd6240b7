package energy

import (
	"math"

	"jouletop/gpu"
)

// pieceBins is of how many bins at most the phases of one kind are estimated together:
// those before and after a piece tell of it too.
const pieceBins = maxSolve - 12

// Kind returns what all phases of a kind ([Phase].Kind) between start and end (ns) used
// together, where phases of several kinds take turns that are each too short to be told:
// drafting and verifying, say. Each bin holds parts of several; what is known of the kinds'
// powers divides it, and what the bins say of their sum is kept to. Its interval has the
// sensor's doubt, that of the kinds' powers (which all the phases share) and of the lag,
// and what each phase may differ by.
func (m *Meter) Kind(kind string, start, end int64) Estimate {
	if end <= start {
		return Estimate{Resolved: end == start, Method: MethodRegression}
	}
	best := unresolved(math.Inf(1))
	for _, tr := range m.tracks {
		if len(tr.reads) < 2 || tr.name == gpu.SourceAverage {
			continue
		}
		m.refit(tr)
		if e := m.kindBy(tr, kind, start, end); e.ErrJ < best.ErrJ {
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
func (m *Meter) kindBy(tr *track, kind string, start, end int64) Estimate {
	first, last := tr.reads[0].t-int64(tr.width*1e9), tr.reads[len(tr.reads)-1].t
	if beyond := float64(max(first-start, 0)+max(end-last, 0)) / 1e9; beyond > max(0.1*float64(end-start)/1e9, 3*tr.period) {
		return unresolved(math.Inf(1))
	}
	p := predictor{tr: tr, tl: &m.tl, m: &tr.model, only: kind}
	at := func(lag, late float64) part {
		p.lag, p.late = lag, late
		return p.pieces(start, end)
	}
	x, hi, lo := at(tr.lag, 0), at(tr.lag+tr.lagSD, 1), at(tr.lag-tr.lagSD, -1)
	if !x.ok || !hi.ok || !lo.ok || math.IsNaN(x.j) {
		return unresolved(math.Inf(1))
	}
	dl := (hi.j - lo.j) / 2
	z := z95 * p.inflation(start, end)
	shared := dl*dl + sq(m.confounded(tr, kind, start, end)*x.j)
	return raw(x.j, z*math.Sqrt(x.v+shared), x.mu, z*math.Sqrt(x.common*x.common+shared), MethodRegression)
}

// confounding is how much of a bin's power, as a share and a standard deviation, may go
// along with how much of a kind of phase is in it, though it is not that kind's: phases are
// not quite alike, and a card warms up. Where all bins hold nearly the same of it (turns
// that last as long as a bin do), little of that is much in the kind's power.
const confounding = 0.0003

// confounded is the share of a kind's energy, as a standard deviation, that it may be off by
// for that.
func (m *Meter) confounded(tr *track, kind string, start, end int64) float64 {
	const most = 512 // bins
	shift := int64(tr.lag * 1e9)
	i := tr.first(start + shift)
	to := tr.first(end + shift)
	i = max(i, to-most)
	pi := m.tl.from(start)
	var n, s, s2 float64
	for ; i < to; i++ {
		b := tr.bin(i, tr.lag)
		if !b.ok || b.a < start {
			continue
		}
		share := 0.0
		pi = m.tl.walk(pi, b.a, b.b, func(s segment) {
			if s.key.Kind == kind {
				share += float64(s.b-s.a) / float64(b.b-b.a)
			}
		})
		if share > 0 {
			n, s, s2 = n+1, s+share, s2+share*share
		}
	}
	if n < 3 || s >= n {
		return 0
	}
	mean := s / n
	return confounding * (1 - mean) / math.Sqrt(max(s2/n-mean*mean, sq(confounding)))
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
