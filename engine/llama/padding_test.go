package llama

import (
	"math/rand/v2"
	"slices"
	"testing"
)

func TestPadding(t *testing.T) {
	for _, c := range []struct {
		name          string
		lengths, want []int
	}{
		{"none", nil, nil},
		{"one", []int{340}, []int{340}},
		{"equal", []int{340, 340, 340}, []int{340, 340, 340}},
		{"close", []int{340, 338, 330, 329}, []int{340, 340, 340, 340}},
		{"far apart", []int{900, 100}, []int{900, 100}},
		{"two groups", []int{900, 880, 110, 100}, []int{900, 900, 110, 110}},
		{"more pads than a pass is worth", []int{340, 200, 200}, []int{340, 200, 200}},
	} {
		if got := padding(c.lengths, 2048); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// TestPaddingIsTheCheapest compares with every way to cut short lists.
func TestPaddingIsTheCheapest(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		lengths := make([]int, 1+random.IntN(7))
		for i := range lengths {
			lengths[i] = 1 + random.IntN(600)
		}
		slices.SortFunc(lengths, func(a, b int) int { return b - a })
		ubatch := 8 + random.IntN(2048)
		least := -1
		for cuts := range 1 << (len(lengths) - 1) {
			padded := slices.Clone(lengths)
			for i := 1; i < len(padded); i++ {
				if cuts>>(i-1)&1 == 0 {
					padded[i] = padded[i-1]
				}
			}
			if c := cost(lengths, padded, ubatch); least < 0 || c < least {
				least = c
			}
		}
		got := padding(lengths, ubatch)
		if c := cost(lengths, got, ubatch); c != least {
			t.Errorf("%v at %d: %v costs %d, the least is %d", lengths, ubatch, got, c, least)
		}
	}
}

// cost counts the passes as llama.cpp makes them.
func cost(lengths, padded []int, ubatch int) int {
	total, left := 0, slices.Clone(padded)
	for i, p := range padded {
		total += p - lengths[i]
	}
	for len(left) > 0 {
		if left[len(left)-1] == 0 {
			left = left[:len(left)-1]
			continue
		}
		n := min(max(1, ubatch/len(left)), left[len(left)-1])
		for i := range left {
			left[i] -= n
		}
		total += passTokens
	}
	return total
}
