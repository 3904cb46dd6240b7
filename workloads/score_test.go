package workloads

import (
	"math"
	"testing"
)

func TestChoose(t *testing.T) {
	plain := Query{Options: []string{" no", " yes"}}
	// 2 bytes, 10 bytes, and 4 letters of 2 bytes each.
	byLength := Query{Options: []string{" no", " certainly", " éééé"}, LengthNormalised: true}
	nan, inf := math.NaN(), math.Inf(-1)
	for _, tc := range []struct {
		name string
		q    Query
		lls  []float64
		want int
	}{
		{"highest", plain, []float64{-3, -2}, 1},
		{"equals", plain, []float64{-2, -2}, -1},
		{"equals, both right for certain", plain, []float64{0, 0}, -1},
		{"equals below the highest", Query{Options: []string{" a", " b", " c"}}, []float64{-2, -2, -1}, 2},
		{"equals above another", Query{Options: []string{" a", " b", " c"}}, []float64{-1, -2, -1}, -1},
		{"equals by bytes", byLength, []float64{-2, -9, -90}, -1},
		{"a number before none", plain, []float64{nan, -9}, 1},
		{"impossible options", plain, []float64{inf, inf}, -1},
		{"one possible option", plain, []float64{inf, -700}, 1},
		{"no number", plain, []float64{nan, nan}, -1},
		{"too few", plain, []float64{-1}, -1},
		{"none", Query{}, nil, -1},
		// -3/2 = -1.5, -5/10 = -0.5, -5.6/8 = -0.7; by letters -5.6/4 = -1.4.
		{"by bytes", byLength, []float64{-3, -5, -5.6}, 1},
		{"bytes, not letters", byLength, []float64{-3, -10, -5.6}, 2},
		// Counting the space would be -2/3 against -7.1/11.
		{"without the joining space", byLength, []float64{-1.4, -7.1, -90}, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := Choose(tc.q, tc.lls); got != tc.want {
				t.Errorf("Choose = %d, want %d", got, tc.want)
			}
		})
	}
}

func TestScore(t *testing.T) {
	choice := Query{Options: []string{" no", " yes"}, Answer: 1}
	free := Query{Answer: -1, Answers: []string{"the old mill", "a mill"}}
	nan := math.NaN()
	for _, tc := range []struct {
		name    string
		q       Query
		text    string
		choice  int
		quality float64
		metric  string
	}{
		{"right option", choice, "", 1, 1, Accuracy},
		{"wrong option", choice, "", 0, 0, Accuracy},
		{"no option chosen", choice, "yes", -1, nan, ""},
		{"option out of range", choice, "", 2, nan, ""},
		{"right option unknown", Query{Options: []string{" a", " b"}, Answer: -1}, "", 0, nan, ""},
		// L = 2 of 3 and 2: P 2/3, R 1.
		{"text", free, "mill, a mill", -1, 0.8, RougeL},
		{"no text", free, "", -1, 0, RougeL},
		{"no reference", Query{Answer: -1}, "anything", -1, nan, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			quality, metric := Score(tc.q, tc.text, tc.choice)
			same := math.Abs(quality-tc.quality) < 1e-12 || math.IsNaN(quality) && math.IsNaN(tc.quality)
			if !same || metric != tc.metric {
				t.Errorf("Score = %v, %q, want %v, %q", quality, metric, tc.quality, tc.metric)
			}
		})
	}
}
