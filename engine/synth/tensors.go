package synth

import (
	"fmt"
	"math"

	"jouletop/engine/gguf"
)

// Type is how the matrices are stored; vectors are always F32.
type Type = gguf.TensorType

// The types that Write knows.
const (
	F16 = gguf.F16
	F32 = gguf.F32
)

const ropeFreqs = "rope_freqs.weight"

// tensors returns the tensor table, without offsets.
func (s Shape) tensors(t Type) []gguf.Tensor {
	var list []gguf.Tensor
	vector := func(name string, n int) {
		list = append(list, gguf.Tensor{Name: name, Type: F32, Shape: []uint64{uint64(n)}})
	}
	matrix := func(name string, in, out int) {
		list = append(list, gguf.Tensor{Name: name, Type: t, Shape: []uint64{uint64(in), uint64(out)}})
	}
	q, kv := s.Heads*s.HeadDim, s.KVHeads*s.HeadDim
	matrix("token_embd.weight", s.Embedding, s.Vocabulary)
	for i := range s.Layers {
		blk := fmt.Sprintf("blk.%d.", i)
		vector(blk+"attn_norm.weight", s.Embedding)
		matrix(blk+"attn_q.weight", s.Embedding, q)
		matrix(blk+"attn_k.weight", s.Embedding, kv)
		matrix(blk+"attn_v.weight", s.Embedding, kv)
		if s.Architecture == "qwen2" {
			vector(blk+"attn_q.bias", q)
			vector(blk+"attn_k.bias", kv)
			vector(blk+"attn_v.bias", kv)
		}
		matrix(blk+"attn_output.weight", q, s.Embedding)
		vector(blk+"ffn_norm.weight", s.Embedding)
		matrix(blk+"ffn_gate.weight", s.Embedding, s.FeedForward)
		matrix(blk+"ffn_up.weight", s.Embedding, s.FeedForward)
		matrix(blk+"ffn_down.weight", s.FeedForward, s.Embedding)
	}
	vector("output_norm.weight", s.Embedding)
	if !s.Tied {
		matrix("output.weight", s.Embedding, s.Vocabulary)
	}
	if s.RopeFactor > 0 {
		vector(ropeFreqs, s.HeadDim/2)
	}
	return list
}

// metadata returns everything but the weights.
func (s Shape) metadata(t Type, v vocabulary) []gguf.Pair {
	var list []gguf.Pair
	add := func(key string, value any) { list = append(list, gguf.Pair{Key: key, Value: gguf.New(value)}) }
	arch := func(key string, value any) { add(s.Architecture+"."+key, value) }
	fileType, template, pre := uint32(1), llamaTemplate, "llama-bpe"
	if t == F32 {
		fileType = 0
	}
	if s.Architecture == "qwen2" {
		template, pre = qwenTemplate, "qwen2"
	}
	add("general.architecture", s.Architecture)
	add("general.type", "model")
	add("general.name", s.Name+" with random weights")
	add("general.description", "Random weights at the shape of "+s.Source+"; what it generates is noise.")
	add("general.file_type", fileType)
	arch("block_count", uint32(s.Layers))
	arch("context_length", uint32(s.Context))
	arch("embedding_length", uint32(s.Embedding))
	arch("feed_forward_length", uint32(s.FeedForward))
	arch("attention.head_count", uint32(s.Heads))
	arch("attention.head_count_kv", uint32(s.KVHeads))
	arch("attention.key_length", uint32(s.HeadDim))
	arch("attention.value_length", uint32(s.HeadDim))
	arch("attention.layer_norm_rms_epsilon", s.NormEpsilon)
	arch("rope.dimension_count", uint32(s.HeadDim))
	arch("rope.freq_base", s.RopeBase)
	arch("vocab_size", uint32(s.Vocabulary))
	add("tokenizer.ggml.model", "gpt2")
	add("tokenizer.ggml.pre", pre)
	add("tokenizer.ggml.tokens", v.tokens)
	add("tokenizer.ggml.token_type", v.types)
	add("tokenizer.ggml.merges", v.merges)
	if v.bos >= 0 {
		add("tokenizer.ggml.bos_token_id", uint32(v.bos))
	}
	add("tokenizer.ggml.eos_token_id", uint32(v.eos))
	add("tokenizer.ggml.add_bos_token", v.bos >= 0)
	add("tokenizer.chat_template", template)
	return list
}

// fill says what a tensor's elements are: constant, given, or normal with mean
// 0 and a standard deviation.
type fill struct {
	std      float64
	constant float32
	values   []float32
	// From row special on (a vocabulary's matrices only) elements are a tenth:
	// a control token is never the best, so that generation goes on for as long
	// as it is asked to.
	special int
}

// logitStd is the standard deviation of the logits: enough that the best of a
// vocabulary is clear of rounding, little enough that all have a chance.
const logitStd = 2

// fill returns how to fill a tensor. A normalised vector (rms 1) times a matrix
// of deviation 1/sqrt(inputs) has rms 1 again; the embedding is small beside
// what the layers add, so that even with tied matrices the most likely token is
// not the last one again.
func (s Shape) fill(t gguf.Tensor) fill {
	in := float64(t.Shape[0])
	switch {
	case t.Name == ropeFreqs:
		return fill{values: s.ropeFactors()}
	case t.Name == "token_embd.weight" || t.Name == "output.weight":
		return fill{std: logitStd / math.Sqrt(in), special: s.Vocabulary - s.SpecialTokens}
	case len(t.Shape) == 2:
		return fill{std: 1 / math.Sqrt(in)}
	case t.Name[len(t.Name)-len(".bias"):] == ".bias":
		return fill{std: 0.1}
	}
	return fill{constant: 1}
}

// ropeFactors returns Llama 3's divisors of the rotation frequencies, after
// transformers' _compute_llama3_parameters with low 1, high 4, context 8192.
func (s Shape) ropeFactors() []float32 {
	const low, high, context = 1.0, 4.0, 8192.0
	f := make([]float32, s.HeadDim/2)
	for i := range f {
		wavelength := 2 * math.Pi * math.Pow(float64(s.RopeBase), 2*float64(i)/float64(s.HeadDim))
		switch {
		case wavelength < context/high:
			f[i] = 1
		case wavelength > context/low:
			f[i] = float32(s.RopeFactor)
		default:
			smooth := (context/wavelength - low) / (high - low)
			f[i] = float32(1 / ((1-smooth)/s.RopeFactor + smooth))
		}
	}
	return f
}
