package difficulty

import (
	"math"
	"reflect"
	"testing"

	"jouletop/workloads/features"
)

var fiveModels = []Model{{"1b", 1.2}, {"3b", 3.2}, {"8b", 8}, {"14b", 14.8}, {"32b", 32.8}}

func TestPatternOf(t *testing.T) {
	for _, tc := range []struct {
		quality []float64
		want    Pattern
	}{
		{[]float64{1, 1, 1, 1, 1}, AlwaysEasy},
		{[]float64{0.5, 0.5, 0.5, 0.5, 0.5}, AlwaysEasy},
		{[]float64{0, 0, 0, 0, 0.499}, AlwaysHard},
		{[]float64{0, 0, 1, 1, 1}, ScalingHelps},
		{[]float64{0, 0, 0, 1, 1}, Inconsistent},
		{[]float64{0, 1, 1, 1, 1}, Inconsistent},
		{[]float64{1, 0, 1, 0, 1}, Inconsistent},
		{[]float64{1, 1, 0, 0, 0}, Inconsistent},
		{[]float64{1, 1, math.NaN(), 1, 1}, UnknownPattern},
		{nil, UnknownPattern},
	} {
		if got := PatternOf(tc.quality, SmallModels(fiveModels)); got != tc.want {
			t.Errorf("%v: %q, want %q", tc.quality, got, tc.want)
		}
	}
}

func TestSmallModels(t *testing.T) {
	for _, tc := range []struct {
		models []Model
		want   int
	}{
		{fiveModels, 2},
		{[]Model{{"a", 0.015}, {"b", 0.135}, {"c", 1}}, 1},
		{[]Model{{"a", 8}, {"b", 14}}, 1},
		{[]Model{{"a", 8}}, 0},
		{nil, 0},
	} {
		if got := SmallModels(tc.models); got != tc.want {
			t.Errorf("%v: %d, want %d", tc.models, got, tc.want)
		}
	}
}

func TestRoutes(t *testing.T) {
	got, err := PatternRoutes(append([]Pattern{UnknownPattern}, Patterns...), fiveModels)
	if want := []string{"14b", "3b", "14b", "3b", "8b"}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("five models: %v, %v; want %v", got, err, want)
	}
	// Where a tier is empty, the nearest model stands in.
	got, err = PatternRoutes(Patterns, []Model{{"tiny", 0.015}, {"small", 0.135}})
	if want := []string{"small", "small", "small", "small"}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("two tiny models: %v, %v; want %v", got, err, want)
	}
	got, err = ClassRoutes([]features.Class{features.Easy, features.Hard}, fiveModels)
	if want := []string{"3b", "14b"}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("classes: %v, %v; want %v", got, err, want)
	}
	if _, err := PatternRoutes(Patterns, nil); err == nil {
		t.Error("routed without a model")
	}
}

func TestNormalisedQualityAndLabels(t *testing.T) {
	nan := math.NaN()
	d := Data{Models: fiveModels[:2], Records: []Record{
		{Dataset: "a", Quality: []float64{0.2, 0.4}},
		{Dataset: "a", Quality: []float64{0.3, nan}},
		{Dataset: "b", Quality: []float64{0, 1}},
		{Dataset: "b", Quality: []float64{nan, nan}},
		{Dataset: "c", Quality: []float64{0.7, 0.7}},
	}}
	got := d.NormalisedQuality()
	want := [][]float64{{0, 1}, {0.5, nan}, {0, 1}, {nan, nan}, {0.7, 0.7}}
	for i := range want {
		for k := range want[i] {
			if math.Abs(got[i][k]-want[i][k]) > 1e-12 || math.IsNaN(got[i][k]) != math.IsNaN(want[i][k]) {
				t.Errorf("query %d: %v, want %v", i, got[i], want[i])
			}
		}
	}
	// Means 0.5, 0.5, 0.5, unknown, 0.7: only the last lies above the median.
	if got, want := d.Labels(), []bool{false, false, false, false, true}; !reflect.DeepEqual(got, want) {
		t.Errorf("labels %v, want %v", got, want)
	}
}

func TestCheck(t *testing.T) {
	if err := (Data{Models: []Model{{"b", 8}, {"a", 1}}}).Check(); err == nil {
		t.Error("models out of order accepted")
	}
	if err := (Data{Models: fiveModels, Records: []Record{{Quality: []float64{1}}}}).Check(); err == nil {
		t.Error("one quality for five models accepted")
	}
	if err := (Data{Models: fiveModels, Records: []Record{{Quality: make([]float64, 5)}}}).Check(); err != nil {
		t.Error(err)
	}
}

func TestHistogram(t *testing.T) {
	nan := math.NaN()
	got := Histogram([]float64{0, 1, 2, 3, 4, nan, 4}, []bool{true, true, false, false, false, true, true}, 4)
	want := []Bin{{0, 1, 1, 1}, {1, 2, 1, 1}, {2, 3, 1, 0}, {3, 4, 3, 1}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := Histogram([]float64{2, 2}, nil, 10); !reflect.DeepEqual(got, []Bin{{2, 2, 2, 0}}) {
		t.Errorf("equal values: %v", got)
	}
	if got := Histogram([]float64{nan}, nil, 3); got != nil {
		t.Errorf("no known value: %v", got)
	}
}

func TestBinMeans(t *testing.T) {
	got := BinMeans([]float64{0, 0, 10, 10, 5}, []float64{1, 3, 5, 5, math.NaN()}, 2)
	if len(got) != 2 || got[0].Mean != 2 || got[1].Mean != 5 || got[0].Count != 2 || got[1].Err != 0 {
		t.Errorf("got %+v", got)
	}
	// Two values 1 and 3: sample deviation √2, standard error 1.
	if math.Abs(got[0].Err-1.96) > 1e-12 {
		t.Errorf("half-width %v, want 1.96", got[0].Err)
	}
}
