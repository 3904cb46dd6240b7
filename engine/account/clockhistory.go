package account

import (
	"jouletop/engine/event"
	"jouletop/gpu"
	"math"
)

// clockHistory keeps the recent samples of the SM clock, for phase means.
type clockHistory struct {
	t       []int64
	mhz     []float64
	limited []bool
}

func (h *clockHistory) add(s event.Sample) {
	if s.SMMHz < 0 {
		return
	}
	const most = 1 << 16 // eleven minutes at 10 ms, should a batch last so long
	if len(h.t) >= most {
		h.drop(most / 2)
	}
	h.t, h.mhz, h.limited = append(h.t, s.TimeNS), append(h.mhz, float64(s.SMMHz)), append(h.limited, limited(s.Sample))
}

func (h *clockHistory) drop(n int) {
	h.t = append(h.t[:0], h.t[n:]...)
	h.mhz = append(h.mhz[:0], h.mhz[n:]...)
	h.limited = append(h.limited[:0], h.limited[n:]...)
}

// forget drops the samples before t, but for the last.
func (h *clockHistory) forget(t int64) {
	n := 0
	for n+1 < len(h.t) && h.t[n+1] < t {
		n++
	}
	if n > 1024 { // not for every batch
		h.drop(n)
	}
}

// mean returns the mean SM clock from t0 to t1 in MHz: of the samples within,
// else the last one before; NaN where there is none.
func (h *clockHistory) mean(t0, t1 int64) float64 {
	return h.over(t0, t1, func(i int) float64 { return h.mhz[i] })
}

// throttled returns for how much of t0 to t1 the clock was held down, in percent,
// found as mean is.
func (h *clockHistory) throttled(t0, t1 int64) float64 {
	return h.over(t0, t1, func(i int) float64 {
		if h.limited[i] {
			return 100
		}
		return 0
	})
}

func (h *clockHistory) over(t0, t1 int64, value func(i int) float64) float64 {
	sum, n, before := 0.0, 0, math.NaN()
	for i := len(h.t) - 1; i >= 0; i-- {
		if h.t[i] > t1 {
			continue
		}
		if h.t[i] < t0 {
			before = value(i)
			break
		}
		sum += value(i)
		n++
	}
	if n == 0 {
		return before
	}
	return sum / float64(n)
}

// limited tells whether a power or thermal limit held the clock down.
func limited(s gpu.Sample) bool { return s.Throttle.Limits() }
