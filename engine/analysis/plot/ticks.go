package plot

import (
	"math"
	"slices"
	"strconv"

	"gonum.org/v1/plot"
)

// round are the labels of an axis at round numbers: steps of 1, 2 or 5 times a power of
// ten.
type round struct{}

// Ticks implements plot.Ticker.
func (round) Ticks(low, high float64) []plot.Tick {
	const most = 8
	if !(high > low) || math.IsInf(high-low, 0) {
		return []plot.Tick{{Value: low, Label: strconv.FormatFloat(low, 'g', 4, 64)}}
	}
	size := math.Pow(10, math.Floor(math.Log10((high-low)/most)))
	step := size
	for _, times := range []float64{1, 2, 5, 10} {
		if step = times * size; (high-low)/step <= most {
			break
		}
	}
	decimals := max(0, -int(math.Floor(math.Log10(step)+1e-9)))
	var ticks []plot.Tick
	first := math.Ceil(low/step - 1e-9)
	for i := range most + 2 {
		v := (first + float64(i)) * step
		if v > high+1e-9*step {
			break
		}
		label := strconv.FormatFloat(v, 'f', decimals, 64)
		if math.Abs(v) < step/2 {
			v, label = 0, "0"
		}
		ticks = append(ticks, plot.Tick{Value: v, Label: label})
	}
	return ticks
}

// measured are ticks at what was measured: clocks, or batch sizes. Labels that would lie
// over each other are left out, the ends' last.
type measured []float64

// Ticks implements plot.Ticker.
func (m measured) Ticks(low, high float64) []plot.Tick {
	const apart = 0.06 // of the axis
	values := slices.Compact(slices.Sorted(slices.Values(m)))
	var ticks []plot.Tick
	last := math.Inf(-1)
	for i, v := range values {
		if v < low || v > high {
			continue
		}
		t := plot.Tick{Value: v}
		end := i == len(values)-1
		if gap := apart * (high - low); end || v-last >= gap && values[len(values)-1]-v >= gap {
			t.Label, last = strconv.FormatFloat(v, 'g', -1, 64), v
		}
		ticks = append(ticks, t)
	}
	if len(ticks) < 2 {
		return round{}.Ticks(low, high)
	}
	return ticks
}

// decades are the labels of a logarithmic axis: 1, 2 and 5 times powers of ten.
type decades struct{}

// Ticks implements plot.Ticker.
func (decades) Ticks(low, high float64) []plot.Tick {
	const most = 12 // decades
	if !(low > 0) || !(high > low) || high/low > math.Pow(10, most) {
		return nil // nothing that such an axis has a place for
	}
	var ticks []plot.Tick
	for n := math.Floor(math.Log10(low)); n <= math.Ceil(math.Log10(high)); n++ {
		for times := 1.0; times < 10; times++ {
			v := times * math.Pow(10, n)
			if v < low*(1-1e-9) || v > high*(1+1e-9) {
				continue
			}
			t := plot.Tick{Value: v}
			if times == 1 || times == 2 || times == 5 {
				t.Label = strconv.FormatFloat(v, 'g', 3, 64)
			}
			ticks = append(ticks, t)
		}
	}
	return ticks
}
