package energy

import "math"

// Span is a stretch of time, in ns.
type Span struct{ Start, End int64 }

// Busy returns the energy of spans, in the order of time, between which only short
// pauses lie: the window from the first one's start to the last one's end, less
// what the pauses are known to draw. Its edges are two, however many the spans, so
// it is known better than the sum of their windows, and it is missing only where
// readings are.
func (m *Meter) Busy(spans []Span) Estimate {
	if len(spans) == 0 {
		return Estimate{}
	}
	whole := m.Window(spans[0].Start, spans[len(spans)-1].End)
	if math.IsInf(whole.HalfWidth(), 1) || len(spans) == 1 {
		return whole
	}
	j, half := m.pauses(spans)
	e := stated(whole.Likely()-j, math.Hypot(whole.HalfWidth(), half), whole.Likely()-j, math.Hypot(whole.common, half), whole.method())
	e.Faults = whole.Faults
	return e
}

// pauses returns what lies between the spans: its energy by the powers that were
// learned, and the half-width of that.
func (m *Meter) pauses(spans []Span) (j, half float64) {
	seconds := map[segment]float64{} // by kind alone
	at := spans[0].End
	i := m.tl.from(at)
	for _, s := range spans[1:] {
		if s.Start > at {
			i = m.tl.walk(i, at, s.Start, func(s segment) { seconds[segment{key: s.key, id: s.id}] += float64(s.b-s.a) / 1e9 })
		}
		at = max(at, s.End)
	}
	for _, tr := range m.tracks {
		if tr.model.stats == nil {
			continue
		}
		p := predictor{tr: tr, tl: &m.tl, m: &tr.model, lag: tr.lag}
		var v float64
		for k, d := range seconds {
			s, i := p.stat(k)
			j += s.theta * d
			sd := math.Sqrt(s.v)
			if i >= 0 {
				sd = math.Sqrt(tr.model.covariance(i, i))
			}
			v += sq(sd * d)
		}
		return j, z95 * math.Sqrt(v)
	}
	// Nothing was learned yet: between nothing and what the rest draws.
	var pause float64
	for _, d := range seconds {
		pause += d
	}
	w := m.Window(spans[0].Start, spans[len(spans)-1].End)
	mean := w.Likely() / (float64(spans[len(spans)-1].End-spans[0].Start) / 1e9)
	return mean / 2 * pause, mean / 2 * pause
}
