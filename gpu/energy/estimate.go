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

	// common is the part of ErrJ that estimates of one run share (the mean power
	// of a kind of phase, the lag), with the sign it acts with: it adds up in a
	// sum where the rest averages out.
	common float64
}

// z95 is the 97.5 % quantile of the normal distribution.
const z95 = 1.959964

// maxRelErr is the half-width, relative to the estimate, above which a phase is
// called unresolved.
const maxRelErr = 0.15

// unresolved returns what is left of an estimate that is too wide to state.
func unresolved(bound float64) Estimate {
	return Estimate{Joules: math.NaN(), ErrJ: bound, Method: MethodUnresolved}
}

// Net returns e less what the GPU would have drawn idle: idleW ± idleErrW over
// seconds.
func (e Estimate) Net(idleW, idleErrW, seconds float64) Estimate {
	if !e.Resolved || math.IsNaN(idleW) {
		return unresolved(e.ErrJ)
	}
	e.Joules -= idleW * seconds
	e.ErrJ = math.Hypot(e.ErrJ, idleErrW*seconds)
	return e
}

// Sum adds estimates of one run (of different windows or phases). Errors that
// they share add up, the others average out. One unresolved part leaves the sum
// unresolved, with the sum of the bounds.
func Sum(parts ...Estimate) Estimate {
	if len(parts) == 1 {
		return parts[0]
	}
	s := Estimate{Resolved: true}
	var own, common, bound float64
	var faults Faults
	for i, e := range parts {
		faults |= e.Faults
		if i == 0 {
			s.Method = e.Method
		} else if s.Method != e.Method {
			s.Method = MethodRegression
			if e.Method == MethodAverage {
				s.Method = MethodAverage
			}
		}
		s.Resolved = s.Resolved && e.Resolved
		if !e.Resolved {
			bound += e.ErrJ
			continue
		}
		bound += e.Joules + e.ErrJ
		s.Joules += e.Joules
		common += e.common
		own += e.ErrJ*e.ErrJ - e.common*e.common
	}
	if s.Resolved {
		s.common = common
		s.ErrJ = math.Sqrt(max(own, 0) + common*common)
	} else {
		s = unresolved(bound)
	}
	s.Faults = faults
	return s
}
