package difficulty

import (
	"math"
	"slices"

	"jouletop/workloads/features"
)

// Bin is one bar of a histogram: Lo ≤ value < Hi, the last one with its upper
// edge.
type Bin struct {
	Lo, Hi float64
	Count  int
	Easy   int // of Count, the queries labelled easy, where labels were given
}

// Histogram counts the known values in n bins of equal width from the smallest
// to the largest. easy labels the values and may be nil. Values that are all
// equal make one bin of width 0; without a known value there are none.
func Histogram(values []float64, easy []bool, n int) []Bin {
	finite := slices.DeleteFunc(slices.Clone(values), notFinite)
	if len(finite) == 0 || n < 1 {
		return nil
	}
	lo, hi := slices.Min(finite), slices.Max(finite)
	if lo == hi {
		n = 1
	}
	bins := make([]Bin, n)
	for i := range bins {
		bins[i].Lo = lo + (hi-lo)*float64(i)/float64(n)
		bins[i].Hi = lo + (hi-lo)*float64(i+1)/float64(n)
	}
	for i, v := range values {
		if notFinite(v) {
			continue
		}
		b := &bins[binOf(v, lo, hi, n)]
		b.Count++
		if i < len(easy) && easy[i] {
			b.Easy++
		}
	}
	return bins
}

func notFinite(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) }

func binOf(v, lo, hi float64, n int) int {
	if hi <= lo {
		return 0
	}
	return min(n-1, max(0, int(float64(n)*((v-lo)/(hi-lo)))))
}

// BinMean is the mean of y over the points whose x lies in a bin.
type BinMean struct {
	Lo, Hi float64
	Count  int
	Mean   float64 // NaN in an empty bin
	Err    float64 // half-width of a 95 % interval of the mean; NaN below 2 points
}

// BinMeans shows how y goes with x: the mean of y in n bins of equal width
// over x.
func BinMeans(x, y []float64, n int) []BinMean {
	x, y = pairs(x, y)
	bins := Histogram(x, nil, n)
	out := make([]BinMean, len(bins))
	if len(bins) == 0 {
		return out
	}
	lo, hi := bins[0].Lo, bins[len(bins)-1].Hi
	in := make([][]float64, len(bins))
	for i, v := range x {
		if !notFinite(v) {
			k := binOf(v, lo, hi, len(bins))
			in[k] = append(in[k], y[i])
		}
	}
	for i, b := range bins {
		out[i] = BinMean{Lo: b.Lo, Hi: b.Hi, Count: len(in[i]), Mean: mean(in[i]), Err: math.NaN()}
		if c := len(in[i]); c > 1 {
			// std is the population's; n-1 makes it the sample's.
			out[i].Err = 1.96 * std(in[i]) / math.Sqrt(float64(c-1))
		}
	}
	return out
}

// Split counts the queries by a yes-or-no property.
type Split struct{ Easy, Hard int }

// EasyShare is the share of easy queries, 0 to 1; NaN of none.
func (s Split) EasyShare() float64 { return ratio(float64(s.Easy), s.Easy+s.Hard) }

// RuleSplit counts the queries by the study's rule, for each dataset in the
// order of d.Datasets.
func RuleSplit(d Data) []Split {
	names := d.Datasets()
	out := make([]Split, len(names))
	for _, r := range d.Records {
		s := &out[slices.Index(names, r.Dataset)]
		if features.StudyRule.Classify(r.Features) == features.Easy {
			s.Easy++
		} else {
			s.Hard++
		}
	}
	return out
}

// QualityPoint is a query of Figure 2: length against quality.
type QualityPoint struct {
	Dataset string
	Words   float64
	Quality float64 // normalised, averaged over the models; NaN where unanswered
	Easy    bool    // Quality > 0.5, as that figure labels it
}

// LengthQuality are the points of Figure 2.
func LengthQuality(d Data) []QualityPoint {
	q := d.MeanQuality()
	out := make([]QualityPoint, len(d.Records))
	for i, r := range d.Records {
		out[i] = QualityPoint{r.Dataset, float64(r.Features.Words), q[i], q[i] > 0.5}
	}
	return out
}
