package workloads

import (
	"math"
	"strings"
)

// Names of the quality metrics, as the quality_metric column has them.
const (
	// Accuracy is 1 where the right option was chosen, else 0.
	Accuracy = "accuracy"
	// RougeL is the ROUGE-L F1 of the text generated, 0 to 1; see [ROUGEL].
	RougeL = "rouge_l"
)

// Choose returns the index of the option that the log-likelihoods (natural
// logarithm, one an option, in order) speak for: the highest. Every backend
// chooses by it. Where q is length-normalised each is first divided by the option's
// length in bytes, the space that joins it to the prompt not counted. It
// returns -1, no answer, when several are the highest together, when none is a
// number above -∞, or when there are not as many likelihoods as options.
func Choose(q Query, lls []float64) int {
	if len(lls) != len(q.Options) {
		return -1
	}
	best, at := math.Inf(-1), -1
	for i, ll := range lls {
		if math.IsNaN(ll) {
			continue
		}
		if q.LengthNormalised {
			ll /= math.Max(1, float64(len(strings.TrimPrefix(q.Options[i], " "))))
		}
		switch {
		case ll > best:
			best, at = ll, i
		case ll == best:
			at = -1
		}
	}
	return at
}

// Score judges an answer to q: the option chosen where q is a classification
// (see [Choose]), else the text generated, by the best ROUGE-L F1 over the
// reference answers, without stemming and without cutting the text. quality is
// 0 to 1. It is NaN, with an empty metric, where q has nothing to judge by or
// no option was chosen (choice outside the options).
func Score(q Query, text string, choice int) (quality float64, metric string) {
	if q.Classification() {
		if choice < 0 || choice >= len(q.Options) || q.Answer < 0 {
			return math.NaN(), ""
		}
		if choice == q.Answer {
			return 1, Accuracy
		}
		return 0, Accuracy
	}
	if len(q.Answers) == 0 {
		return math.NaN(), ""
	}
	return ROUGEL(text, q.Answers, false).F1, RougeL
}
