package energy

import (
	"math"
	"math/rand/v2"

	"jouletop/gpu"
)

// world is a trace whose true energy is known: steps of constant power, and what
// sensors would tell of them.
type world struct {
	at     []int64   // starts of steps, ns
	watts  []float64 // of each
	sum    []float64 // J up to each
	phases []Phase
	end    int64
}

func (w *world) step(d float64, watts float64) (start, end int64) {
	start = w.end
	w.at = append(w.at, start)
	w.watts = append(w.watts, watts)
	last := 0.0
	if n := len(w.sum); n > 0 {
		last = w.sum[n-1] + w.watts[n-1]*float64(start-w.at[n-1])/1e9
	}
	w.sum = append(w.sum, last)
	w.end += int64(d * 1e9)
	return start, w.end
}

// upTo returns the energy from the beginning to t.
func (w *world) upTo(t int64) float64 {
	if t <= w.at[0] {
		return w.watts[0] * float64(t-w.at[0]) / 1e9
	}
	lo, hi := 0, len(w.at)
	for lo+1 < hi {
		if mid := (lo + hi) / 2; w.at[mid] <= t {
			lo = mid
		} else {
			hi = mid
		}
	}
	return w.sum[lo] + w.watts[lo]*float64(t-w.at[lo])/1e9
}

func (w *world) joules(a, b int64) float64 { return w.upTo(b) - w.upTo(a) }

// newWorld makes n requests of a prefill and a decode of about so many seconds in
// all, with pauses now and then.
func newWorld(rnd *rand.Rand, start int64, n int, seconds float64) *world {
	w := &world{end: start}
	w.step(0.5, 120)
	for range n {
		total := seconds * (0.8 + 0.4*rnd.Float64())
		share := 0.15 + 0.35*rnd.Float64()
		a, b := w.step(total*share, 600*(0.95+0.1*rnd.Float64()))
		w.phases = append(w.phases, Phase{Kind: "prefill", Batch: 1, Start: a, End: b, Tokens: 340})
		a, b = w.step(total*(1-share), 450*(0.99+0.02*rnd.Float64()))
		w.phases = append(w.phases, Phase{Kind: "decode", Batch: 1, Start: a, End: b, Tokens: 100})
		pause := 0.0002
		if rnd.IntN(6) == 0 {
			pause = 0.01 + 0.2*rnd.Float64()
		}
		w.step(pause, 120)
	}
	w.step(0.5, 120)
	return w
}

// buffer samples the mean of each period, which ended lag before its stamp.
func (w *world) buffer(rnd *rand.Rand, period, lag, noise float64) []gpu.PowerReading {
	p, l := int64(period*1e9), int64(lag*1e9)
	var out []gpu.PowerReading
	for t := w.at[0] + int64(rnd.Float64()*float64(p)); t < w.end; t += p {
		mean := w.joules(t-p-l, t-l) / period
		out = append(out, gpu.PowerReading{TimeNS: t, Source: gpu.SourceBuffer, PowerW: mean * (1 + noise*rnd.NormFloat64()), CounterJ: math.NaN(), Fresh: true})
	}
	return out
}

// counter reads an energy counter that ticks every 100 ms, every so many seconds.
func (w *world) counter(rnd *rand.Rand, every, from float64) []gpu.PowerReading {
	const tick = 100e6
	phase := int64(rnd.Float64() * tick)
	var out []gpu.PowerReading
	last := math.NaN()
	for t := w.at[0] + tick; t < w.end; t += int64(every * 1e9) {
		at := (t-phase)/tick*tick + phase
		j := math.Floor((from+w.upTo(at))*1e3) / 1e3
		out = append(out, gpu.PowerReading{TimeNS: t, Source: gpu.SourceCounter, PowerW: math.NaN(), CounterJ: j, Fresh: j != last})
		last = j
	}
	return out
}
