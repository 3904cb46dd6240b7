package difficulty

import "math"

// Pattern says how a query's outcome changes with the model's size.
type Pattern string

// The four scaling patterns of the study (section V-E.3).
const (
	AlwaysEasy   Pattern = "Always Easy"   // every size succeeds
	ScalingHelps Pattern = "Scaling Helps" // all small sizes fail, all large ones succeed
	AlwaysHard   Pattern = "Always Hard"   // no size succeeds
	Inconsistent Pattern = "Inconsistent"  // anything else
	// UnknownPattern is a query that not every model has answered.
	UnknownPattern Pattern = ""
)

// Patterns lists the four in the study's order.
var Patterns = []Pattern{AlwaysEasy, ScalingHelps, AlwaysHard, Inconsistent}

// SuccessQuality is the normalised quality from which an answer counts as a
// success: our reading, the study doesn't say.
const SuccessQuality = 0.5

// smallBelowB is the size, in billions of parameters, below which a model is
// one of the study's small ones (1 to 3B; the large begin at 8B).
const smallBelowB = 5

// SmallModels is how many of the models, by growing size, count as small:
// those under 5 billion parameters, or the lower half where that would be all
// or none.
func SmallModels(models []Model) int {
	n := 0
	for _, m := range models {
		if m.ParamsB < smallBelowB {
			n++
		}
	}
	if n == 0 || n == len(models) {
		return len(models) / 2
	}
	return n
}

// PatternOf classifies one query by its normalised quality on models of growing
// size, the first small of which are small.
func PatternOf(quality []float64, small int) Pattern {
	if len(quality) == 0 {
		return UnknownPattern
	}
	successes, smallSuccesses := 0, 0
	for i, q := range quality {
		if math.IsNaN(q) {
			return UnknownPattern
		}
		if q >= SuccessQuality {
			successes++
			if i < small {
				smallSuccesses++
			}
		}
	}
	switch {
	case successes == len(quality):
		return AlwaysEasy
	case successes == 0:
		return AlwaysHard
	case smallSuccesses == 0 && successes == len(quality)-small:
		return ScalingHelps
	}
	return Inconsistent
}

// ScalingPatterns classifies every query.
func ScalingPatterns(d Data) []Pattern {
	small := SmallModels(d.Models)
	out := make([]Pattern, len(d.Records))
	for i, q := range d.NormalisedQuality() {
		out[i] = PatternOf(q, small)
	}
	return out
}
