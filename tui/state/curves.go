package state

import (
	"cmp"
	"math"
	"slices"

	"jouletop/engine/event"
)

// CurvePoint is one clock of a curve: means over the repeats so far.
type CurvePoint struct {
	SMMHz          float64 // achieved
	JoulesPerToken float64
	LatencyS       float64
	EDPJS          float64
}

// CurveMarks are the clocks worth marking on a curve, MHz; 0 where the points do
// not (yet) say.
type CurveMarks struct {
	CliffMHz float64 // frequency cliff
	EDPMHz   float64 // EDP optimum
	// EnergyMHz is the clock of the least energy per token (the sweet spot).
	EnergyMHz float64
}

// CurveKey names a curve: a model, with a batch size where there are several.
type CurveKey struct {
	Model string
	Batch int
}

// clockMean is what the repeats (and datasets) at one requested clock came to.
type ClockMean struct {
	RequestedMHz   int
	N              int
	AchievedMHz    float64
	JoulesPerToken float64
	LatencyS       float64
	EDPJS          float64
	TokensPerS     float64
	PowerW         float64
	throttled      bool
}

// curve is one model's means over the clocks, ascending.
type Curve struct {
	CurveKey
	Points []ClockMean
}

// curvesOf returns the curves of the points of a batch size and dataset (0 and
// "" for all), ordered by model. Points whose clock was not one for all phases
// have no place on a clock axis.
func CurvesOf(done []event.PointDone, batch int, dataset string) []Curve {
	type slot struct {
		CurveKey
		mhz int
	}
	sums := map[slot]*ClockMean{}
	for _, p := range done {
		if p.RequestedSMMHz <= 0 || p.PointResult.Err != "" || math.IsNaN(p.JoulesPerToken) {
			continue
		}
		if batch > 0 && p.BatchSize != batch || dataset != "" && p.Dataset != dataset {
			continue
		}
		k := slot{CurveKey{p.Model, p.BatchSize}, p.RequestedSMMHz}
		m := sums[k]
		if m == nil {
			m = &ClockMean{RequestedMHz: p.RequestedSMMHz}
			sums[k] = m
		}
		m.N++
		achieved := p.AchievedSMMHz
		if math.IsNaN(achieved) {
			achieved = float64(p.RequestedSMMHz)
		}
		m.AchievedMHz += achieved
		m.JoulesPerToken += p.JoulesPerToken
		m.LatencyS += p.LatencyS
		m.EDPJS += p.EDPJS
		m.TokensPerS += p.TokensPerS
		m.PowerW += p.MeanPowerW
		m.throttled = m.throttled || p.Flags.Has(event.FlagThrottled)
	}
	by := map[CurveKey]*Curve{}
	for k, m := range sums {
		n := float64(m.N)
		for _, v := range []*float64{&m.AchievedMHz, &m.JoulesPerToken, &m.LatencyS, &m.EDPJS, &m.TokensPerS, &m.PowerW} {
			*v /= n
		}
		c := by[k.CurveKey]
		if c == nil {
			c = &Curve{CurveKey: k.CurveKey}
			by[k.CurveKey] = c
		}
		c.Points = append(c.Points, *m)
	}
	out := make([]Curve, 0, len(by))
	for _, c := range by {
		slices.SortFunc(c.Points, func(a, b ClockMean) int { return cmp.Compare(a.RequestedMHz, b.RequestedMHz) })
		out = append(out, *c)
	}
	slices.SortFunc(out, func(a, b Curve) int {
		return cmp.Or(cmp.Compare(a.Model, b.Model), cmp.Compare(a.Batch, b.Batch))
	})
	return out
}

// curvePoints are the points of a curve as the analysis reads them.
func (c Curve) CurvePoints() []CurvePoint {
	out := make([]CurvePoint, len(c.Points))
	for i, p := range c.Points {
		out[i] = CurvePoint{SMMHz: p.AchievedMHz, JoulesPerToken: p.JoulesPerToken, LatencyS: p.LatencyS, EDPJS: p.EDPJS}
	}
	return out
}

// batchesOf and datasetsOf list what the points were run with.
func BatchesOf(done []event.PointDone) []int {
	var out []int
	for _, p := range done {
		if !slices.Contains(out, p.BatchSize) {
			out = append(out, p.BatchSize)
		}
	}
	slices.Sort(out)
	return out
}

func DatasetsOf(done []event.PointDone) []string {
	var out []string
	for _, p := range done {
		if !slices.Contains(out, p.Dataset) {
			out = append(out, p.Dataset)
		}
	}
	slices.Sort(out)
	return out
}

// Least returns the point of the least energy per token.
func (k Curve) Least() ClockMean {
	best := k.Points[0]
	for _, p := range k.Points {
		if p.JoulesPerToken < best.JoulesPerToken {
			best = p
		}
	}
	return best
}
