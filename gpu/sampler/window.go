package sampler

import (
	"cmp"
	"fmt"
	"jouletop/gpu"
	"math"
	"slices"
)

const (
	// windowSwing is how much the power must vary (standard deviation over mean)
	// for a window to be told.
	windowSwing = 0.05
	// windowFit is the largest misfit, as a share of the power's variation, that
	// counts as having found the window.
	windowFit = 0.25
	// windowReadings is how many fresh readings it takes at least.
	windowReadings = 8
	maxWindowMS    = 2000.0
	maxLagMS       = 150.0
)

// InferWindows returns sources with the averaging windows of the average and the
// instant source as far as readings show them. It compares each fresh reading
// with the mean of the finest source (the sample buffer, else the instant value)
// over a trailing window, and takes the window and the delay that fit best.
// That works only where the power changed: a steady load looks the same through
// every window. Otherwise the window is nominal, and the Note says so.
//
// Discover does it with what it saw; readings of a run, which have more changes
// in them, may tell what an idle discovery could not.
func InferWindows(sources []gpu.PowerSource, readings []gpu.PowerReading) []gpu.PowerSource {
	out := slices.Clone(sources)
	for i := range out {
		src := &out[i]
		switch src.Name {
		case gpu.SourceBuffer:
			src.WindowMS = src.PeriodMS // every sample is the mean since the one before
			continue
		case gpu.SourceCounter:
			continue // it adds up, it does not average
		}
		ref := gpu.SourceBuffer
		if !slices.ContainsFunc(readings, func(r gpu.PowerReading) bool { return r.Source == gpu.SourceBuffer }) {
			ref = gpu.SourceInstant
		}
		if w, ok := inferWindow(src.Name, ref, readings); ok {
			src.WindowMS = w
			src.Note = also(src.Note, fmt.Sprintf("window found by comparison with the %s source", ref))
			continue
		}
		src.WindowMS = nominal[src.Name].WindowMS
		src.Note = also(src.Note, "window nominal: the power was too steady to tell")
	}
	return out
}

// inferWindow finds the trailing window of a source in ms by a reference
// source; see InferWindows.
func inferWindow(source, ref string, readings []gpu.PowerReading) (float64, bool) {
	if source == ref {
		return 0, false
	}
	var points, steps []gpu.PowerReading
	for _, r := range readings {
		switch {
		case r.Source == source && r.Fresh:
			points = append(points, r)
		case r.Source == ref && r.Fresh:
			steps = append(steps, r)
		}
	}
	byTime := func(a, b gpu.PowerReading) int { return cmp.Compare(a.TimeNS, b.TimeNS) }
	slices.SortFunc(steps, byTime)
	if len(points) < windowReadings || len(steps) < windowReadings {
		return 0, false
	}
	ints := newIntegral(steps)
	if ints.swing() < windowSwing {
		return 0, false
	}
	best, bestWindow := math.Inf(1), 0.0
	// Candidate windows grow by about a tenth: finer than the readings resolve.
	for w := 10.0; w <= maxWindowMS; w *= 1.1 {
		for lag := 0.0; lag <= maxLagMS; lag += 5 {
			if rms, ok := ints.misfit(points, w*1e6, lag*1e6); ok && rms < best {
				best, bestWindow = rms, w
			}
		}
	}
	if best > windowFit*ints.deviation {
		return 0, false
	}
	return roundWindow(bestWindow), true
}

// roundWindow rounds to two digits, which is what the method can tell.
func roundWindow(ms float64) float64 {
	digit := math.Pow(10, math.Floor(math.Log10(ms))-1)
	return math.Round(ms/digit) * digit
}

// integral is the running integral of readings that each hold since the one
// before.
type integral struct {
	origin    float64   // ns
	t, sum    []float64 // ns since origin; W·ns up to t
	mean      float64
	deviation float64 // standard deviation over time
}

func newIntegral(steps []gpu.PowerReading) *integral {
	g := &integral{origin: float64(steps[0].TimeNS)}
	var squares float64
	for i, r := range steps {
		sum := 0.0
		if i > 0 {
			d := float64(r.TimeNS - steps[i-1].TimeNS)
			sum = g.sum[i-1] + r.PowerW*d
			squares += r.PowerW * r.PowerW * d
		}
		g.t = append(g.t, float64(r.TimeNS-steps[0].TimeNS))
		g.sum = append(g.sum, sum)
	}
	span := g.t[len(g.t)-1]
	g.mean = g.sum[len(g.sum)-1] / span
	g.deviation = math.Sqrt(max(squares/span-g.mean*g.mean, 0))
	return g
}

func (g *integral) swing() float64 { return g.deviation / g.mean }

// at returns the integral up to t.
func (g *integral) at(t float64) float64 {
	i, exact := slices.BinarySearch(g.t, t)
	if exact {
		return g.sum[i]
	}
	share := (t - g.t[i-1]) / (g.t[i] - g.t[i-1])
	return g.sum[i-1] + share*(g.sum[i]-g.sum[i-1])
}

// misfit is the rms difference of the points from the mean over the window that
// ends lag before each, in W; ok is false when too few points are covered. Both
// are free of a constant difference: sensors of one board disagree in offset.
func (g *integral) misfit(points []gpu.PowerReading, window, lag float64) (rms float64, ok bool) {
	first, last := 0.0, g.t[len(g.t)-1]
	var n, sum, squares float64
	for _, p := range points {
		end := float64(p.TimeNS) - lag - g.origin
		if end-window < first || end > last {
			continue
		}
		d := p.PowerW - (g.at(end)-g.at(end-window))/window
		n++
		sum += d
		squares += d * d
	}
	if n < windowReadings {
		return 0, false
	}
	return math.Sqrt(max(squares/n-sum*sum/(n*n), 0)), true
}
