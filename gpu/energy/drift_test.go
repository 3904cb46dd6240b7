package energy

import (
	"math"
	"testing"
)

// Readings that the powers explain to the last bit show no drift: nothing of nothing is
// not a number, and every energy of the source would be lost with it.
func TestNoDriftWithoutResiduals(t *testing.T) {
	theta := []float64{500}
	var rows []row
	for i := range int64(100) {
		at := i * 100e6
		rows = append(rows, row{t: at + 100e6, a: at, b: at + 100e6, y: 500, w: 1, terms: []share{{0, 1, i, 1}}, kinds: 1})
	}
	if d := findDrift(rows, theta); math.IsNaN(d.at(5e9)) || d.at(5e9) != 0 {
		t.Errorf("a drift of %g W", d.at(5e9))
	}
	m, ok := fitModel(rows, nil, map[Key]int{{Kind: "decode"}: 0}, &model{})
	if !ok || math.Abs(m.stats[0].theta-500) > 0.1 || !(m.stats[0].v < 100) {
		t.Errorf("fitted %v: %+v", ok, m.stats)
	}
}
