// Package observed tells what the passes of a server were from what its clients saw:
// when each token came, and what the server says of how prompts are read.
//
// Tokens of one pass come together, one after another as the server samples and sends
// them; between two such groups the model is evaluated. A request takes part in every
// pass that it has a token of, and in as many others as there were tokens without text, as
// far as that is known: where the server says with each token how many it has made; where
// all is over and some had no text, in all passes between its first token and its last. A prompt is read in the passes in which the server says that it
// came forward, or else of the time that the server says it took, or else in the pass
// that its first token came out of.
//
// A server may evaluate its model several times in a pass (llama-server does, for each
// run of neighbouring slots), reading the weights each time. Nothing says so but the
// time that passes take: see [evaluations].
package observed

import (
	"math"
	"slices"

	"jouletop/engine/event"
)

// Request is one that was streamed.
type Request struct {
	ID     string
	SentNS int64
	// TokensNS is when the text of each token came, in order; of tokens without text of
	// their own (the halves of a letter) some may be missing.
	TokensNS       []int64
	Prompt, Output int     // tokens; of the prompt those that were computed
	PromptS        float64 // how long the server took over the prompt; NaN unknown
}

// Passes returns the passes of a server that served the requests, in order; those of
// which nothing came are left out. Members have no slots: nobody tells them. Times at
// which nothing came together as it does from a server make passes that say so little
// as the times did.
func Passes(rs []Request) []event.Iteration {
	l := New()
	for _, r := range rs {
		if len(r.TokensNS) == 0 {
			continue
		}
		l.Sent(r.ID, r.SentNS)
		l.Prompt(r.ID, Prompt{Tokens: r.Prompt, Seconds: r.PromptS})
		l.requests[r.ID].silent = r.Output > len(r.TokensNS)
		for _, t := range r.TokensNS {
			l.Came(r.ID, t, 0)
		}
		l.Ended(r.ID, r.TokensNS[len(r.TokensNS)-1], r.Output)
	}
	its := l.passes(math.MaxInt64)
	count(its)
	return its
}

// within is the longest time in ns between two tokens of one pass, given the gaps
// between what came of different requests: they are of two sorts, parted where their
// logarithms lie farthest apart (k-means of two).
func within(gaps []int64) float64 {
	if len(gaps) < 2 {
		return leastGap
	}
	logs := make([]float64, len(gaps))
	for i, g := range gaps {
		logs[i] = math.Log(max(float64(g), leastGap))
	}
	lo, hi := slices.Min(logs), slices.Max(logs)
	for range 30 {
		var a, b, na, nb float64
		for _, x := range logs {
			if x-lo < hi-x {
				a, na = a+x, na+1
			} else {
				b, nb = b+x, nb+1
			}
		}
		if na == 0 || nb == 0 {
			break
		}
		lo, hi = a/na, b/nb
	}
	return math.Exp((lo + hi) / 2)
}

// leastGap, in ns: nobody sends faster.
const leastGap = 20e3
