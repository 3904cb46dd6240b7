package arrivals

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func draw(t *testing.T, text string, seed uint64, n int) []float64 {
	t.Helper()
	s, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.Open(seed)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	var gaps []float64
	last := time.Duration(0)
	for range n {
		a, err := p.Next()
		if err != nil {
			t.Fatal(err)
		}
		if a.At < last || a.Input != 0 || a.Output != 0 {
			t.Fatalf("%+v after %v", a, last)
		}
		gaps = append(gaps, (a.At - last).Seconds())
		last = a.At
	}
	return gaps
}

// Times between arrivals have the mean, the variation and the distribution asked
// for. The distribution functions were computed by SciPy: of gamma with shape 1/4 and 4
// (CV 2 and 1/2) and 1 at some times of the mean. Bounds are of five standard errors.
func TestDistributions(t *testing.T) {
	const n = 200_000
	// What share of the gaps is shorter than 0.1, 0.5, 1 and 2 means.
	at := []float64{0.1, 0.5, 1, 2}
	for text, c := range map[string]struct {
		rate, cv float64
		below    []float64
	}{
		"poisson:4":     {4, 1, []float64{0.0951626, 0.3934693, 0.6321206, 0.8646647}},
		"gamma:4:1":     {4, 1, []float64{0.0951626, 0.3934693, 0.6321206, 0.8646647}},
		"gamma:0.5:2":   {0.5, 2, []float64{0.4365179, 0.6401572, 0.7436779, 0.8464864}},
		"gamma:100:0.5": {100, 0.5, []float64{0.0007763, 0.1428765, 0.5665299, 0.9576199}},
	} {
		gaps := draw(t, text, 7, n)
		mean, square := 0.0, 0.0
		for _, g := range gaps {
			mean += g / n
		}
		for _, g := range gaps {
			square += (g - mean) * (g - mean) / n
		}
		cv := math.Sqrt(square) / mean
		if off := math.Abs(mean*c.rate - 1); off > 5*c.cv/math.Sqrt(n) {
			t.Errorf("%s: mean gap %g s", text, mean)
		}
		if math.Abs(cv/c.cv-1) > 0.03 {
			t.Errorf("%s: coefficient of variation %g", text, cv)
		}
		slices.Sort(gaps)
		for i, x := range at {
			k, _ := slices.BinarySearch(gaps, x/c.rate)
			share, want := float64(k)/n, c.below[i]
			if math.Abs(share-want) > 5*math.Sqrt(want*(1-want)/n) {
				t.Errorf("%s: %g of the gaps are shorter than %g means, want %g", text, share, x, want)
			}
		}
		// Nothing is remembered: neighbours do not go together.
		gaps = draw(t, text, 7, n)
		cov := 0.0
		for i := 1; i < n; i++ {
			cov += (gaps[i] - mean) * (gaps[i-1] - mean) / n
		}
		if r := cov / square; math.Abs(r) > 5/math.Sqrt(n) {
			t.Errorf("%s: neighbours correlate by %g", text, r)
		}
	}
}

func TestSeeds(t *testing.T) {
	a, b, c := draw(t, "gamma:4:3", 1, 100), draw(t, "gamma:4:3", 1, 100), draw(t, "gamma:4:3", 2, 100)
	if !slices.Equal(a, b) || slices.Equal(a, c) {
		t.Error("the same seed gives other arrivals, or another the same")
	}
}

func TestTraces(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a:b.csv")
	text := "Timestamp,Model,Request tokens,Response tokens\n10,m,5,6\n12,m,7,0\n14,m,8,9\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for suffix, want := range map[string]time.Duration{"": 4 * time.Second, ":2": 2 * time.Second, ":0.5": 8 * time.Second} {
		s, err := Parse("trace:" + file + suffix)
		if err != nil || s.File != file || s.String() != "trace:"+file+suffix {
			t.Fatalf("%+v, %v", s, err)
		}
		p, err := s.Open(1)
		if err != nil {
			t.Fatal(err)
		}
		a, e1 := p.Next()
		b, e2 := p.Next()
		_, e3 := p.Next()
		if a != (Arrival{0, 5, 6}) || b != (Arrival{want, 8, 9}) || e1 != nil || e2 != nil || !errors.Is(e3, io.EOF) {
			t.Errorf("%q: %+v %+v, %v %v %v", suffix, a, b, e1, e2, e3)
		}
		if k := Skipped(p); k.Rows != 1 || k.First != 3 {
			t.Errorf("skipped %+v", k)
		}
		_ = p.Close()
	}
	if _, err := (Spec{Kind: "trace", File: file + "x", Speed: 1}).Open(1); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

func TestParse(t *testing.T) {
	for _, text := range []string{"poisson:4", "gamma:4:2", "poisson:0.25", "trace:x.csv", "trace:x.csv:2"} {
		if s, err := Parse(text); err != nil || s.String() != text {
			t.Errorf("%s: %v, %v", text, s, err)
		}
	}
	for text, want := range map[string]string{
		"": "want poisson:RATE", "poisson": "is no number", "poisson:": "is no number", "poisson:0": "want 1e-06 to", "poisson:-1": "want 1e-06",
		"poisson:NaN": "want 1e-06", "poisson:Inf": "want 1e-06", "poisson:4:2": "is no number", "gamma:4": "want gamma:RATE:CV",
		"gamma:4:0": "coefficient of variation 0", "gamma:x:1": `rate "x"`, "trace:": "want trace:FILE", "trace:x.csv:0": "speed 0",
		"trace::2": "want trace:FILE", "weibull:4": "want poisson:RATE",
	} {
		if s, err := Parse(text); err == nil || !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%q: %+v, %v; want %s", text, s, err, want)
		}
	}
}
