//go:build cgo

package llama

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"testing"
)

// prompted returns sequences of random prompts of these lengths, which generate
// two tokens each.
func prompted(b *Backend, lengths ...int) []*sequence {
	var seqs []*sequence
	for i, n := range lengths {
		seqs = append(seqs, &sequence{prompt: b.model.random(n, i), maxTokens: 2, endless: true})
	}
	return seqs
}

// asGPU has b take the ways of one whose model is on a GPU.
func asGPU(b *Backend) {
	if b.eval != nil {
		b.eval.free()
		b.eval = nil
	}
	b.gpu, b.onDevice = true, true
}

// TestParts evaluates prompts in the parts that a GPU is given, which must make no
// difference to what is generated.
func TestParts(t *testing.T) {
	for name, lengths := range map[string][]int{
		"long":             {2*gpuUbatch + 300},
		"alike":            {gpuUbatch + 7, gpuUbatch + 7},
		"ragged":           {gpuUbatch + 900, gpuUbatch + 500, 400, 30},
		"padded":           {gpuUbatch + 80, gpuUbatch + 41, gpuUbatch},
		"less than a part": {40, 39, 2},
	} {
		t.Run(name, func(t *testing.T) {
			b, _ := loadSmall(t)
			whole := prompted(b, lengths...)
			evaluate(t, b, whole, false)
			gpu, _ := loadSmall(t)
			asGPU(gpu)
			parts := prompted(gpu, lengths...)
			evaluate(t, gpu, parts, false)
			for i, s := range parts {
				checkGreedy(t, b, s.prompt, s.generated, whole[i].generated)
			}
		})
	}
}

// TestRaggedParts has prompts end in any order.
func TestRaggedParts(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	b, _ := loadSmall(t)
	gpu, _ := loadSmall(t)
	asGPU(gpu)
	for range 40 {
		lengths := make([]int, 4)
		for i := range lengths {
			lengths[i] = 480 + 300*rng.IntN(2) + rng.IntN(90) // some padded to the same
		}
		whole, parts := prompted(b, lengths...), prompted(gpu, lengths...)
		evaluate(t, b, whole, false)
		evaluate(t, gpu, parts, false)
		for i, s := range parts {
			checkGreedy(t, b, s.prompt, s.generated, whole[i].generated)
		}
	}
}

func TestStride(t *testing.T) {
	of := func(lengths ...int) (run []*sequence) {
		for _, n := range lengths {
			run = append(run, &sequence{prompt: make([]int32, n)})
		}
		return run
	}
	for _, c := range []struct {
		run     []*sequence
		lengths []int
		want    int
	}{
		{of(5000), []int{5000}, 2048},
		{of(2048, 2048, 2048, 2048), []int{2048, 2048, 2048, 2048}, 512},
		{of(40, 20), []int{40, 40}, 1024},
		// The shortest of these ends 600 tokens before its padding does.
		{of(900, 300, 300, 300), []int{900, 900, 900, 900}, 601},
	} {
		if got := stride(c.run, c.lengths, 1024); got != c.want {
			t.Errorf("%v: %d, want %d", c.lengths, got, c.want)
		}
	}
}

// TestPlansOnce evaluates prompts of several passes and steps after them in a
// process in which llama.cpp ends itself where it plans a graph anew, for which it
// waits until the GPU is idle. On a CPU alone it never does.
func TestPlansOnce(t *testing.T) {
	if !installed || backendDir == "" {
		t.Skip("for a GPU and an installed llama.cpp: the best tokens are part of its graphs")
	}
	const env = "JOULETOP_TEST_PLANS_ONCE"
	if os.Getenv(env) == "" {
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestPlansOnce$", "-test.v")
		child.Env = append(os.Environ(), env+"=1", "GGML_SCHED_DEBUG_REALLOC=2")
		if out, err := child.CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
		return
	}
	for _, lengths := range [][]int{{3 * gpuUbatch}, {gpuUbatch + 200, gpuUbatch + 200, gpuUbatch + 200}} {
		b, _ := loadSmall(t)
		evaluate(t, b, prompted(b, lengths...), false)
		if !b.eval.found() {
			t.Error("the best tokens were not found in the graph")
		}
	}
}

// TestNoGraphSearch: what is generated does not depend on where the best tokens are
// found, here and on the ways of a GPU; without the search all logits are copied.
func TestNoGraphSearch(t *testing.T) {
	lengths := []int{90, 85, 20, 3}
	with, _ := loadSmall(t)
	want := prompted(with, lengths...)
	evaluate(t, with, want, false)
	if !installed && !with.eval.found() { // an installed one is not hooked on a CPU
		t.Error("the logits were copied")
	}
	for _, gpu := range []bool{false, true} {
		b, _ := loadSmall(t)
		b.opt.NoGraphSearch = true
		if gpu {
			asGPU(b)
		}
		got := prompted(b, lengths...)
		evaluate(t, b, got, false)
		if b.eval.found() {
			t.Errorf("as on a GPU %t: searched in the graph", gpu)
		}
		for i := range got {
			checkGreedy(t, with, got[i].prompt, got[i].generated, want[i].generated)
		}
	}
}
