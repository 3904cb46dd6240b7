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
	Architecture string // as llama.cpp calls it; see architectures
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
	RopeFactor    float64 // how far positions are stretched; 0: not
	NormEpsilon   float32
	Tied          bool // the output matrix is the embedding
	SpecialTokens int  // of the vocabulary, at its end

	Window            int // of the layers with sliding attention, tokens; 0: none
	Experts           int // of a layer; 0: one feed-forward network
	ExpertsUsed       int // of them by a token
	ExpertFeedForward int

	// Of a state-space model, which has no heads.
	State, TimeStepRank, Convolution int
}

// architecture is what a kind of model has beside a Llama's tensors.
type architecture struct {
	attentionBias bool   // on queries, keys and values
	headNorms     bool   // of queries and keys
	postNorms     bool   // after attention and feed-forward
	fused         bool   // one matrix for queries, keys and values, one for gate and up
	sinks         bool   // of attention, and biases wherever there can be one
	ropeScaling   string // rope.scaling.type
}

// architectures is after the tensors that llama.cpp creates for each.
var architectures = map[string]architecture{
	"llama":    {}, // its rope is stretched by a tensor
	"qwen2":    {attentionBias: true},
	"qwen3":    {headNorms: true},
	"qwen3moe": {headNorms: true},
	"gemma3":   {headNorms: true, postNorms: true, ropeScaling: "linear"},
	"gpt-oss":  {attentionBias: true, sinks: true, ropeScaling: "yarn"},
	"phi3":     {fused: true},
	"mamba":    {},
}

func (s Shape) arch() architecture { return architectures[s.Architecture] }

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
	qwen3 := Shape{
		Architecture: "qwen3", Vocabulary: 151936, SpecialTokens: 293, Context: 40960,
		RopeBase: 1e6, NormEpsilon: 1e-6, Heads: 32, HeadDim: 128,
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
		{
			Name: "mamba-2.8b", Architecture: "mamba", Source: "state-spaces/mamba-2.8b-hf",
			Layers: 64, Embedding: 2560, State: 16, TimeStepRank: 160, Convolution: 4,
			Vocabulary: 50280, SpecialTokens: 24, Context: 1 << 20, NormEpsilon: 1e-5, Tied: true,
		},
		with(llama3, func(s *Shape) {
			s.Name, s.Source, s.RopeFactor, s.Tied = "llama-3.2-3b", "meta-llama/Llama-3.2-3B", 32, true
			s.Layers, s.Embedding, s.FeedForward, s.Heads, s.HeadDim = 28, 3072, 8192, 24, 128
		}),
		with(llama3, func(s *Shape) {
			s.Name, s.Source, s.RopeFactor = "llama-3.1-8b", "meta-llama/Llama-3.1-8B", 8
			s.Layers, s.Embedding, s.FeedForward, s.Heads, s.HeadDim = 32, 4096, 14336, 32, 128
		}),
		with(qwen3, func(s *Shape) {
			s.Name, s.Source = "qwen3-8b", "Qwen/Qwen3-8B"
			s.Layers, s.Embedding, s.FeedForward, s.KVHeads = 36, 4096, 12288, 8
		}),
		{
			Name: "gemma-3-12b", Architecture: "gemma3", Source: "google/gemma-3-12b-it, its language model",
			Layers: 48, Embedding: 3840, FeedForward: 15360, Heads: 16, KVHeads: 8, HeadDim: 256, Window: 1024,
			Vocabulary: 262144, SpecialTokens: 62144, Context: 131072, RopeBase: 1e6, RopeFactor: 8, NormEpsilon: 1e-6, Tied: true,
		},
		{
			Name: "phi-4", Architecture: "phi3", Source: "microsoft/phi-4",
			Layers: 40, Embedding: 5120, FeedForward: 17920, Heads: 40, KVHeads: 10, HeadDim: 128,
			Vocabulary: 100352, SpecialTokens: 96, Context: 16384, RopeBase: 250000, NormEpsilon: 1e-5,
		},
		with(qwen, func(s *Shape) {
			s.Name, s.Source = "qwen2.5-14b", "Qwen/Qwen2.5-14B-Instruct"
			s.Layers, s.FeedForward = 48, 13824
		}),
		{
			Name: "gpt-oss-20b", Architecture: "gpt-oss", Source: "openai/gpt-oss-20b",
			Layers: 24, Embedding: 2880, FeedForward: 2880, Heads: 64, KVHeads: 8, HeadDim: 64, Window: 128,
			Experts: 32, ExpertsUsed: 4, ExpertFeedForward: 2880,
			Vocabulary: 201088, SpecialTokens: 1090, Context: 131072, RopeBase: 150000, RopeFactor: 32, NormEpsilon: 1e-5,
		},
		with(qwen3, func(s *Shape) {
			s.Name, s.Source, s.Architecture = "qwen3-30b-a3b", "Qwen/Qwen3-30B-A3B", "qwen3moe"
			s.Layers, s.Embedding, s.FeedForward, s.KVHeads = 48, 2048, 6144, 4
			s.Experts, s.ExpertsUsed, s.ExpertFeedForward = 128, 8, 768
		}),
		with(qwen, func(s *Shape) {
			s.Name, s.Source = "qwen2.5-32b", "Qwen/Qwen2.5-32B-Instruct"
			s.Layers, s.FeedForward = 64, 27648
		}),
		with(llama3, func(s *Shape) {
			s.Name, s.Source, s.RopeFactor = "llama-3.3-70b", "meta-llama/Llama-3.3-70B-Instruct", 8
			s.Layers, s.Embedding, s.FeedForward, s.Heads, s.HeadDim = 80, 8192, 28672, 64, 128
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
	for _, t := range s.weights(F16) {
		if t.Name != ropeFreqs { // derived, not learned
			n += int64(t.Elements())
		}
	}
	return n
}
