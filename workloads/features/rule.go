package features

// Class says whether a query looks easy or hard.
type Class string

// The two classes.
const (
	Easy Class = "easy"
	Hard Class = "hard"
)

// Rule calls a query easy if both features lie below their thresholds.
type Rule struct {
	EntityDensity float64 // share, 0 to 1
	CausalScore   float64 // score, 0 to 1
}

// StudyRule is the study's (section V-E.4): entity density < 0.20 and causal
// question score < 0.05.
var StudyRule = Rule{EntityDensity: 0.20, CausalScore: 0.05}

// Classify applies the rule.
func (r Rule) Classify(f Features) Class {
	if f.EntityDensity < r.EntityDensity && f.CausalScore < r.CausalScore {
		return Easy
	}
	return Hard
}
