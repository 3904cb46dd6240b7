// Package synth writes GGUF models of published shapes with random weights: as
// fast, as large and as power-hungry as the real ones, and free to have. What
// they generate is noise, but the vocabulary is real, so text is as many tokens
// as a real model sees.
package synth

import (
	"fmt"
	"strings"
)

// Shape is a model's published hyper-parameters.
type Shape struct {
	Name         string
	Architecture string // llama or qwen2
	Source       string // whose shape it is

	Layers        int
	Embedding     int // width of the residual stream
	FeedForward   int
	Heads         int
	KVHeads       int
	HeadDim       int
	Vocabulary    int // tokens, special ones included
	Context       int // tokens
	RopeBase      float32
	RopeFactor    float64 // of Llama 3's scaling of low frequencies; 0: none
	NormEpsilon   float32
	Tied          bool // the output matrix is the embedding
	SpecialTokens int  // of the vocabulary, at its end
}

// Shapes lists the shapes, smallest first. Sources: the configurations
// published with the models.
func Shapes() []Shape {
	llama3 := Shape{
		Architecture: "llama", Vocabulary: 128256, SpecialTokens: 256, Context: 131072,
		RopeBase: 500000, NormEpsilon: 1e-5, KVHeads: 8,
	}
	qwen := Shape{
		Architecture: "qwen2", Vocabulary: 152064, SpecialTokens: 421, Context: 32768,
		RopeBase: 1e6, NormEpsilon: 1e-6, Embedding: 5120, Heads: 40, KVHeads: 8, HeadDim: 128,
	}
	with := func(s Shape, set func(*Shape)) Shape { set(&s); return s }
	return []Shape{
		{
			Name: "llama-15m", Architecture: "llama", Source: "karpathy/tinyllamas stories15M, with a longer context",
			Layers: 6, Embedding: 288, FeedForward: 768, Heads: 6, KVHeads: 6, HeadDim: 48,
			Vocabulary: 32000, SpecialTokens: 16, Context: 8192, RopeBase: 10000, NormEpsilon: 1e-5, Tied: true,
		},
		{
			Name: "llama-135m", Architecture: "llama", Source: "HuggingFaceTB/SmolLM2-135M",
			Layers: 30, Embedding: 576, FeedForward: 1536, Heads: 9, KVHeads: 3, HeadDim: 64,
			Vocabulary: 49152, SpecialTokens: 16, Context: 8192, RopeBase: 100000, NormEpsilon: 1e-5, Tied: true,
		},
		with(llama3, func(s *Shape) {
			s.Name, s.Source, s.RopeFactor, s.Tied = "llama-3.2-1b", "meta-llama/Llama-3.2-1B", 32, true
			s.Layers, s.Embedding, s.FeedForward, s.Heads, s.HeadDim = 16, 2048, 8192, 32, 64
		}),
		with(llama3, func(s *Shape) {
			s.Name, s.Source, s.RopeFactor, s.Tied = "llama-3.2-3b", "meta-llama/Llama-3.2-3B", 32, true
			s.Layers, s.Embedding, s.FeedForward, s.Heads, s.HeadDim = 28, 3072, 8192, 24, 128
		}),
		with(llama3, func(s *Shape) {
			s.Name, s.Source, s.RopeFactor = "llama-3.1-8b", "meta-llama/Llama-3.1-8B", 8
			s.Layers, s.Embedding, s.FeedForward, s.Heads, s.HeadDim = 32, 4096, 14336, 32, 128
		}),
		with(qwen, func(s *Shape) {
			s.Name, s.Source = "qwen2.5-14b", "Qwen/Qwen2.5-14B-Instruct"
			s.Layers, s.FeedForward = 48, 13824
		}),
		with(qwen, func(s *Shape) {
			s.Name, s.Source = "qwen2.5-32b", "Qwen/Qwen2.5-32B-Instruct"
			s.Layers, s.FeedForward = 64, 27648
		}),
	}
}

// Lookup returns the shape of that name; the error lists those there are.
func Lookup(name string) (Shape, error) {
	var names []string
	for _, s := range Shapes() {
		if s.Name == name {
			return s, nil
		}
		names = append(names, s.Name)
	}
	return Shape{}, fmt.Errorf("no shape %q: there are %s", name, strings.Join(names, ", "))
}

// Parameters returns the number of weights.
func (s Shape) Parameters() int64 {
	var n int64
	for _, t := range s.tensors(F16) {
		if t.Name != ropeFreqs { // derived, not learned
			n += int64(t.Elements())
		}
	}
	return n
}
