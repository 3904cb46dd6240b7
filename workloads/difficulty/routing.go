package difficulty

import (
	"fmt"
	"math"

	"jouletop/workloads/features"
)

// Tier is a range of model sizes that queries are sent to.
type Tier struct {
	Name       string
	MinB, MaxB float64 // parameters in billions, both included
	// TargetB is the size preferred within the range: the one that the study's
	// Table XVII reckons with.
	TargetB float64
}

// The study's tiers (Tables XV and XVII).
var (
	TierSmall  = Tier{Name: "1-3B", MinB: 0, MaxB: smallBelowB, TargetB: 3}
	TierMedium = Tier{Name: "8B", MinB: smallBelowB, MaxB: 10, TargetB: 8}
	TierLarge  = Tier{Name: "8B+", MinB: smallBelowB, MaxB: math.Inf(1), TargetB: 14}
)

// Pick is the model of the tier nearest to its target size (by ratio), or the
// nearest of all where none lies in the tier; false if there are no models.
func (t Tier) Pick(models []Model) (Model, bool) {
	best, bestDistance, found := Model{}, math.Inf(1), false
	for _, inside := range []bool{true, false} {
		for _, m := range models {
			if inside && (m.ParamsB < t.MinB || m.ParamsB > t.MaxB) {
				continue
			}
			if distance := math.Abs(math.Log(max(m.ParamsB, 1e-6) / t.TargetB)); distance < bestDistance {
				best, bestDistance, found = m, distance, true
			}
		}
		if found {
			return best, true
		}
	}
	return best, found
}

// Route is the tier that the study sends a pattern's queries to (Table XV),
// with its reason. A query of unknown pattern goes to the large tier.
func Route(p Pattern) (Tier, string) {
	switch p {
	case AlwaysEasy:
		return TierSmall, "similar quality across sizes"
	case ScalingHelps:
		return TierLarge, "quality improves with scale"
	case AlwaysHard:
		return TierSmall, "limited benefit from scaling"
	case Inconsistent:
		return TierMedium, "depends on the architecture"
	}
	return TierLarge, "pattern unknown"
}

// RouteClass is the tier for a query of which only the class is known, before
// any model has answered it: easy queries go to the small tier, hard ones to
// the large.
func RouteClass(c features.Class) Tier {
	if c == features.Easy {
		return TierSmall
	}
	return TierLarge
}

// PatternRoutes names the model for each pattern.
func PatternRoutes(patterns []Pattern, models []Model) ([]string, error) {
	out := make([]string, len(patterns))
	for i, p := range patterns {
		tier, _ := Route(p)
		m, ok := tier.Pick(models)
		if !ok {
			return nil, fmt.Errorf("difficulty: no model to route to: %w", ErrTooFew)
		}
		out[i] = m.Name
	}
	return out, nil
}

// ClassRoutes names the model for each class.
func ClassRoutes(classes []features.Class, models []Model) ([]string, error) {
	out := make([]string, len(classes))
	for i, c := range classes {
		m, ok := RouteClass(c).Pick(models)
		if !ok {
			return nil, fmt.Errorf("difficulty: no model to route to: %w", ErrTooFew)
		}
		out[i] = m.Name
	}
	return out, nil
}
