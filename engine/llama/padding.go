package llama

import "slices"

// passTokens is what a pass over the weights costs beside its tokens, in tokens
// of a prefill: on an H100 an 8B model's F16 weights take 5 ms to read, the time
// of 108 tokens, and some hundred kernels are launched.
const passTokens = 128

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
