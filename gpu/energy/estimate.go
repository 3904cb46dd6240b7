package energy

import "math"

// Methods of an [Estimate], as they stand in the energy_method columns.
const (
	MethodBuffer     = "buffer"         // integrated driver-side sample buffer
	MethodCounter    = "counter"        // differences of the energy counter
	MethodCounterBuf = "counter+buffer" // counter inside, sample buffer at the edges
	MethodInstant    = "instant"        // instant readings, the gaps between them modelled
	MethodAverage    = "average"        // the trailing average: a last resort
	MethodRegression = "regression"     // power of the kind of phase, times the time
	MethodBlock      = "block"          // steady block of one phase back to back
	MethodUnresolved = "unresolved"     // not known well enough to state
)

// Estimate is an energy with its error.
type Estimate struct {
	// Joules is NaN where unresolved.
	Joules float64
	// ErrJ is the half-width of a 95 % interval around Joules. Where unresolved
	// it is a bound: the energy is at most this, with the same confidence; +Inf
	// when nothing is known.
	ErrJ float64
	// Method is a Method… constant.
	Method string
	// Resolved is false where only the bound is known.
	Resolved bool
	// Faults of the GPU's power sources that touched the window.
	Faults Faults

	// best and half are the estimate and its half-width where it is too wide to
	// state: parts of a sum may be known badly while the sum is known well. half is
	// +Inf where nothing is known.
	best, half float64
	// scale is about what the energy is, found without looking at the estimate: what
	// is resolved is decided by it, for an estimate that came out high would pass
	// more easily than one that came out low.
	scale float64
	// common is the part of half that estimates of one run share (the mean power
	// of a kind of phase, the lag), with the sign it acts with: it adds up in a
	// sum where the rest averages out.
	common float64
}

// z95 is the 97.5 % quantile of the normal distribution.
const z95 = 1.959964

// maxRelErr is the half-width, relative to what an energy is expected to be, above
// which it is called unresolved.
const maxRelErr = 0.15

// stated returns the estimate j ± half by a method, resolved unless it is too wide
// for an energy of about scale. The trailing average is stated however wide it is.
func stated(j, half, scale, common float64, method string) Estimate {
	e := raw(j, half, scale, common, method)
	if math.IsNaN(j) || math.IsNaN(half) || math.IsInf(half, 1) {
		return unresolved(math.Inf(1))
	}
	if method != MethodAverage && !(half <= maxRelErr*scale) {
		e.Joules, e.ErrJ, e.Method, e.Resolved = math.NaN(), max(j, 0)+half, MethodUnresolved, false
	}
	return e
}

// raw returns an estimate that is yet to be settled.
func raw(j, half, scale, common float64, method string) Estimate {
	return Estimate{Joules: j, ErrJ: half, Method: method, Resolved: true, best: j, half: half, scale: scale, common: common}
}

// unresolved returns an estimate of which only a bound is known.
func unresolved(bound float64) Estimate {
	return Estimate{Joules: math.NaN(), ErrJ: bound, Method: MethodUnresolved, half: math.Inf(1)}
}

// Likely returns the estimate also where it is too wide to state, for dividing
// what is known; NaN where nothing is known.
func (e Estimate) Likely() float64 {
	switch {
	case e.Resolved:
		return e.Joules
	case math.IsInf(e.half, 1):
		return math.NaN()
	}
	return e.best
}

// method is how the estimate was obtained, also where it is too wide to state.
func (e Estimate) method() string {
	if e.Method == MethodUnresolved {
		return MethodRegression
	}
	return e.Method
}

// HalfWidth returns the half-width in J that goes with Likely; +Inf where nothing
// is known.
func (e Estimate) HalfWidth() float64 {
	if e.Resolved {
		return e.ErrJ
	}
	return e.half
}

// Common returns the part of HalfWidth that estimates of one run share, with the sign
// it acts with in a sum.
func (e Estimate) Common() float64 { return e.common }

// Net returns e less what the GPU would have drawn idle: idleW ± idleErrW over
// seconds.
func (e Estimate) Net(idleW, idleErrW, seconds float64) Estimate {
	if !e.Resolved || math.IsNaN(idleW) {
		return unresolved(e.ErrJ)
	}
	e.Joules -= idleW * seconds
	e.ErrJ = math.Hypot(e.ErrJ, idleErrW*seconds)
	e.best, e.half = e.Joules, e.ErrJ
	return e
}

// shift moves the estimate by dj.
func (e *Estimate) shift(dj float64) {
	dj = max(dj, -max(e.Likely(), 0))
	e.Joules += dj // stays NaN where it is
	e.best += dj
}

// Times returns f times e, for shares and means.
func (e Estimate) Times(f float64) Estimate {
	e.Joules, e.ErrJ, e.best, e.half, e.scale, e.common = e.Joules*f, e.ErrJ*f, e.best*f, e.half*f, e.scale*f, e.common*f
	return e
}

// Sum adds estimates of one run (of different windows or phases). Errors that
// they share add up, the others average out. Parts too wide to state may make a
// sum that is not; a part of which nothing is known leaves the sum unresolved,
// with the sum of the bounds.
func Sum(parts ...Estimate) Estimate {
	if len(parts) == 1 {
		return parts[0]
	}
	var method string
	var j, own, common, scale, bound float64
	var faults Faults
	known := true
	for _, e := range parts {
		faults |= e.Faults
		bound += e.ErrJ
		if e.Resolved {
			bound += e.Joules
		}
		half := e.HalfWidth()
		if math.IsInf(half, 1) {
			known = false
			continue
		}
		switch {
		case method == "":
			method = e.Method
		case e.Method == MethodAverage, method == MethodAverage:
			method = MethodAverage
		case method != e.Method:
			method = MethodRegression
		}
		j += e.Likely()
		common += e.common
		own += max(half*half-e.common*e.common, 0)
		scale += e.scale
		if e.scale == 0 {
			scale += e.Likely()
		}
	}
	s := unresolved(bound)
	if known {
		if method == MethodUnresolved {
			method = MethodRegression
		}
		s = stated(j, math.Sqrt(own+common*common), scale, common, method)
	}
	s.Faults = faults
	return s
}
