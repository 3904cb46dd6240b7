package energy

import "math"

// drift is how the power of everything moves along a run beyond what the kinds of
// phase explain: a card that warms up, most of all.
type drift struct {
	from  int64 // ns
	watts []float64
	sd    float64 // W, by how much power moves so, as a standard deviation
}

// driftStep is the grid of a drift, and driftWindow the time that each of its
// values is a mean over, in ns.
const (
	driftStep   = int64(250e6)
	driftWindow = int64(1e9)
)

func (d drift) found() bool { return len(d.watts) > 0 }

// at returns the drift in W at t; beyond its ends it stays what it was there.
func (d drift) at(t int64) float64 {
	if len(d.watts) == 0 {
		return 0
	}
	x := float64(t-d.from) / float64(driftStep)
	i := int(math.Floor(x))
	switch {
	case i < 0:
		return d.watts[0]
	case i+1 >= len(d.watts):
		return d.watts[len(d.watts)-1]
	}
	f := x - float64(i)
	return d.watts[i]*(1-f) + d.watts[i+1]*f
}

// findDrift smooths the residuals of rows (in the order of time), shrunk towards
// nothing as far as they may be chance.
func findDrift(rows []row, theta []float64) drift {
	n := len(rows)
	if n == 0 || rows[n-1].b-rows[0].a < 2*driftWindow {
		return drift{}
	}
	sum, mid := make([]float64, n+1), make([]int64, n)
	var squares, products float64
	last := 0.0
	for i := range rows {
		e := residual(&rows[i], theta)
		sum[i+1], mid[i] = sum[i]+e, (rows[i].a+rows[i].b)/2
		squares += e * e
		products += e * last
		last = e
	}
	if squares == 0 {
		return drift{}
	}
	// Neighbours that resemble each other are less than two bins' evidence.
	variance := squares / float64(n)
	rho := max(0, min(products/squares, 0.9))
	variance *= (1 + rho) / (1 - rho)

	d := drift{from: mid[0]}
	var counts []float64
	lo, hi := 0, 0
	for t := mid[0]; t <= mid[n-1]; t += driftStep {
		for lo < n && mid[lo] < t-driftWindow/2 {
			lo++
		}
		for hi < n && mid[hi] <= t+driftWindow/2 {
			hi++
		}
		c := float64(hi - lo)
		counts = append(counts, c)
		d.watts = append(d.watts, (sum[hi]-sum[lo])/max(c, 1))
	}
	// Of the variance of these means so much is more than chance.
	var real, m float64
	for i, c := range counts {
		if c > 0 {
			real += sq(d.watts[i]) - variance/c
			m++
		}
	}
	real = max(real/m, 0)
	d.sd = math.Sqrt(real)
	for i, c := range counts {
		if real == 0 || c == 0 {
			d.watts[i] = 0
			continue
		}
		d.watts[i] *= real / (real + variance/c)
	}
	return d
}
