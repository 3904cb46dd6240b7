package llama

import "slices"

// passTokens is what a pass costs beside its tokens, in tokens of a long prefill:
// all weights are read and some hundred kernels launched. On an H100 a prefill of
// one prompt of 340 tokens took the time of 300 tokens more than in a long one
// with a 1B model, of 180 with an 8B model, and a decode step of 8 sequences that
// of 240 and 210 tokens.
const passTokens = 220

// padding returns to what lengths to pad prompts, whose lengths are given longest
// first, before a GPU evaluates them together.
//
// llama.cpp evaluates equally many tokens of each sequence in a pass, at most
// ubatch tokens in all, so prompts of n different lengths take n passes. Padding
// prompts to a common length costs tokens and saves passes. Of all ways to cut
// the list into runs padded to their longest, the one of the least cost is found
// from the shorter end on: least[i] is the cost of prompts i and on, and of the
// passes that end with them.
func padding(lengths []int, ubatch int) []int {
	n := len(lengths)
	least, cut := make([]int, n+1), make([]int, n+1)
	for i := n - 1; i >= 0; i-- {
		least[i] = -1
		pads := 0
		for j := i + 1; j <= n; j++ { // prompts i to j-1 become as long as i
			pads += lengths[i] - lengths[j-1]
			rest := 0
			if j < n {
				rest = lengths[j]
			}
			each := max(1, ubatch/j) // tokens of a sequence in a pass of j
			passes := (lengths[i] - rest + each - 1) / each
			if cost := pads + passes*passTokens + least[j]; least[i] < 0 || cost < least[i] {
				least[i], cut[i] = cost, j
			}
		}
	}
	padded := slices.Clone(lengths)
	for i := 0; i < n; i = cut[i] {
		for j := i; j < cut[i]; j++ {
			padded[j] = lengths[i]
		}
	}
	return padded
}
