//go:build cgo

package llama

import "testing"

// Many short prompts at once, as a warm-up for as many slots has them.
func TestManyOnAGPU(t *testing.T) {
	for _, n := range []int{16, 32} {
		b, _ := loadSmall(t)
		asGPU(b)
		lengths := make([]int, n)
		for i := range lengths {
			lengths[i] = 40 + i%3
		}
		seqs := prompted(b, lengths...)
		evaluate(t, b, seqs, false)
		for i, s := range seqs {
			if len(s.generated) != 2 {
				t.Errorf("%d sequences: the one of %d tokens, %d, has %v", n, lengths[i], i, s.generated)
			}
		}
	}
}
