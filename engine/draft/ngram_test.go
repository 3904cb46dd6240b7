package draft

import (
	"math/rand/v2"
	"slices"
	"testing"
)

func TestNGram(t *testing.T) {
	for name, c := range map[string]struct {
		tokens []int32
		most   int
		want   []int32
	}{
		"nothing":                  {nil, 4, nil},
		"one":                      {[]int32{1}, 4, nil},
		"a single token is chance": {[]int32{1, 2, 3, 1}, 4, nil},
		"two match":                {[]int32{1, 2, 3, 4, 1, 2}, 2, []int32{3, 4}},
		"up to the end":            {[]int32{1, 2, 3, 4, 1, 2}, 9, []int32{3, 4, 1, 2}},
		"none wanted":              {[]int32{1, 2, 3, 4, 1, 2}, 0, nil},
		"the latest":               {[]int32{1, 2, 3, 1, 2, 4, 1, 2}, 1, []int32{4}},
		"the longest":              {[]int32{9, 1, 2, 3, 8, 1, 2, 4, 9, 1, 2}, 1, []int32{3}},
		"one over and over":        {[]int32{7, 7, 7, 7}, 3, []int32{7}},
	} {
		if got := NGram(c.tokens, c.most); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// What is proposed follows a match that no other exceeds, found by trying all.
func TestNGramIsTheLongest(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		tokens := make([]int32, rng.IntN(60))
		for i := range tokens {
			tokens[i] = rng.Int32N(3)
		}
		best := 0
		n := len(tokens)
		var follows []int32
		for end := 1; end < n; end++ {
			k := 0
			for k < min(end, longest) && tokens[end-1-k] == tokens[n-1-k] {
				k++
			}
			if k >= max(best, shortest) {
				best, follows = k, tokens[end:min(end+3, n)]
			}
		}
		if got := NGram(tokens, 3); !slices.Equal(got, follows) {
			t.Fatalf("%v: %v, want %v", tokens, got, follows)
		}
	}
}
