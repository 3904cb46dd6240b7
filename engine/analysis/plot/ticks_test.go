package plot

import (
	"math"
	"strings"
	"testing"

	"gonum.org/v1/plot"
)

func labels(ticks []plot.Tick) string {
	var out []string
	for _, t := range ticks {
		if t.Label != "" {
			out = append(out, t.Label)
		}
	}
	return strings.Join(out, " ")
}

func TestTicks(t *testing.T) {
	for _, c := range []struct {
		ticker    plot.Ticker
		low, high float64
		want      string
	}{
		{round{}, 0.5, 0.74, "0.50 0.55 0.60 0.65 0.70"},
		{round{}, -3, 31.5, "0 5 10 15 20 25 30"},
		{round{}, 0, 7, "0 1 2 3 4 5 6 7"},
		{round{}, 0.0801, 0.1281, "0.09 0.10 0.11 0.12"},
		{round{}, 1e6, 9e6, "1000000 2000000 3000000 4000000 5000000 6000000 7000000 8000000 9000000"},
		{decades{}, 18, 870, "20 50 100 200 500"},
		{decades{}, 0.12, 2.8, "0.2 0.5 1 2"},
		{measured{1980, 345, 750, 1155, 1575, 750}, 345, 1980, "345 750 1155 1575 1980"},
		{measured{1, 4, 8}, 1, 8, "1 4 8"},
		{measured{180, 187, 2832, 2842}, 180, 2842, "180 2842"},
		{measured{1005}, 900, 1100, "900 950 1000 1050 1100"},
	} {
		got := labels(c.ticker.Ticks(c.low, c.high))
		if got != c.want {
			t.Errorf("%v from %g to %g: %s, want %s", c.ticker, c.low, c.high, got, c.want)
		}
	}
	for _, odd := range [][2]float64{{1, 1}, {0, math.Inf(1)}, {-1e300, 1e300}, {1, 1 + 1e-15}} {
		if n := len(round{}.Ticks(odd[0], odd[1])); n > 50 {
			t.Errorf("%v: %d ticks", odd, n)
		}
		for _, tick := range (decades{}).Ticks(odd[0], odd[1]) {
			if !(tick.Value > 0) {
				t.Errorf("%v: a tick at %g of a logarithmic axis", odd, tick.Value)
			}
		}
	}
}
