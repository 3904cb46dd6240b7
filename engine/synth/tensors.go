package synth

import (
	"fmt"
	"math"

	"jouletop/engine/gguf"
)

// weight is a tensor and what it is filled with.
type weight struct {
	gguf.Tensor
	fill
}

const ropeFreqs = "rope_freqs.weight"

// fill says what a tensor's elements are: constant, given (over and over), or
// normal with mean 0 and a standard deviation.
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

// table collects a model's tensors.
type table struct {
	quant Quant
	list  []weight
}

func (t *table) add(name string, typ gguf.TensorType, f fill, shape ...int) {
	x := gguf.Tensor{Name: name, Type: typ}
	for _, n := range shape {
		x.Shape = append(x.Shape, uint64(n))
	}
	t.list = append(t.list, weight{x, f})
}

// norm is a normalisation's weights, bias an addend.
func (t *table) norm(name string, n int) { t.add(name+".weight", gguf.F32, fill{constant: 1}, n) }
func (t *table) bias(name string, shape ...int) {
	t.add(name+".bias", gguf.F32, fill{std: 0.1}, shape...)
}

// matrix takes in numbers to out; more asks for the finer type of a mixture. A
// normalised vector (rms 1) times a matrix of deviation 1/sqrt(inputs) has rms 1
// again.
func (t *table) matrix(name string, in, out int, more bool) {
	t.add(name+".weight", t.quant.matrixType(in, more, false), fill{std: 1 / math.Sqrt(float64(in))}, in, out)
}

// experts is a matrix for each expert of a layer.
func (t *table) experts(name string, in, out, n int, more bool) {
	t.add(name+".weight", t.quant.matrixType(in, more, true), fill{std: 1 / math.Sqrt(float64(in))}, in, out, n)
}

// vocabulary is a matrix between the tokens and the width of the model. It is
// small beside what the layers add, so that even where it is embedding and output
// in one the most likely token is not the last one again.
func (t *table) vocabulary(name string, s Shape, more bool) {
	f := fill{std: logitStd / math.Sqrt(float64(s.Embedding)), special: s.Vocabulary - s.SpecialTokens}
	t.add(name+".weight", t.quant.matrixType(s.Embedding, more, false), f, s.Embedding, s.Vocabulary)
}

// weights returns the tensors, without offsets.
func (s Shape) weights(q Quant) []weight {
	t := &table{quant: q}
	t.vocabulary("token_embd", s, s.Tied)
	for i := range s.Layers {
		blk := fmt.Sprintf("blk.%d.", i)
		more := moreBits(i, s.Layers)
		t.norm(blk+"attn_norm", s.Embedding)
		if s.Architecture == "mamba" {
			s.stateSpace(t, blk, more)
			continue
		}
		s.attention(t, blk, more)
		s.feedForward(t, blk, more)
	}
	t.norm("output_norm", s.Embedding)
	if !s.Tied {
		t.vocabulary("output", s, true)
	}
	if s.RopeFactor > 0 && s.Architecture == "llama" {
		t.add(ropeFreqs, gguf.F32, fill{values: s.ropeFactors()}, s.HeadDim/2)
	}
	return t.list
}

func (s Shape) attention(t *table, blk string, more bool) {
	a := s.arch()
	q, kv := s.Heads*s.HeadDim, s.KVHeads*s.HeadDim
	if a.fused {
		t.matrix(blk+"attn_qkv", s.Embedding, q+2*kv, more)
	} else {
		t.matrix(blk+"attn_q", s.Embedding, q, false)
		t.matrix(blk+"attn_k", s.Embedding, kv, false)
		t.matrix(blk+"attn_v", s.Embedding, kv, more)
	}
	if a.attentionBias {
		t.bias(blk+"attn_q", q)
		t.bias(blk+"attn_k", kv)
		t.bias(blk+"attn_v", kv)
	}
	if a.headNorms {
		t.norm(blk+"attn_q_norm", s.HeadDim)
		t.norm(blk+"attn_k_norm", s.HeadDim)
	}
	t.matrix(blk+"attn_output", q, s.Embedding, false)
	if a.sinks {
		t.bias(blk+"attn_output", s.Embedding)
		t.add(blk+"attn_sinks.weight", gguf.F32, fill{std: 0.1}, s.Heads)
	}
	if a.postNorms || a.sinks {
		t.norm(blk+"post_attention_norm", s.Embedding)
	}
}

func (s Shape) feedForward(t *table, blk string, more bool) {
	a := s.arch()
	if !a.sinks { // there the norm after attention is the one before this
		t.norm(blk+"ffn_norm", s.Embedding)
	}
	switch {
	case s.Experts > 0:
		t.add(blk+"ffn_gate_inp.weight", gguf.F32, fill{std: 1 / math.Sqrt(float64(s.Embedding))}, s.Embedding, s.Experts)
		t.experts(blk+"ffn_gate_exps", s.Embedding, s.ExpertFeedForward, s.Experts, false)
		t.experts(blk+"ffn_up_exps", s.Embedding, s.ExpertFeedForward, s.Experts, false)
		t.experts(blk+"ffn_down_exps", s.ExpertFeedForward, s.Embedding, s.Experts, more)
		if a.sinks {
			t.bias(blk+"ffn_gate_inp", s.Experts)
			t.bias(blk+"ffn_gate_exps", s.ExpertFeedForward, s.Experts)
			t.bias(blk+"ffn_up_exps", s.ExpertFeedForward, s.Experts)
			t.bias(blk+"ffn_down_exps", s.Embedding, s.Experts)
		}
	case a.fused:
		t.matrix(blk+"ffn_up", s.Embedding, 2*s.FeedForward, false)
		t.matrix(blk+"ffn_down", s.FeedForward, s.Embedding, more)
	default:
		t.matrix(blk+"ffn_gate", s.Embedding, s.FeedForward, false)
		t.matrix(blk+"ffn_up", s.Embedding, s.FeedForward, false)
		t.matrix(blk+"ffn_down", s.FeedForward, s.Embedding, more)
	}
	if a.postNorms {
		t.norm(blk+"post_ffw_norm", s.Embedding)
	}
}

// stateSpace is a layer of Mamba, its state decaying as when training begins: at
// rates of 1, 2, 3, … and steps of softplus(-3) or so.
func (s Shape) stateSpace(t *table, blk string, more bool) {
	rates := make([]float32, s.State)
	for i := range rates {
		rates[i] = -float32(i + 1)
	}
	inner := 2 * s.Embedding
	t.matrix(blk+"ssm_in", s.Embedding, 2*inner, false)
	t.add(blk+"ssm_conv1d.weight", gguf.F32, fill{std: 0.5}, s.Convolution, inner)
	t.bias(blk+"ssm_conv1d", inner)
	t.matrix(blk+"ssm_x", inner, s.TimeStepRank+2*s.State, false)
	t.matrix(blk+"ssm_dt", s.TimeStepRank, inner, false)
	t.add(blk+"ssm_dt.bias", gguf.F32, fill{constant: -3}, inner)
	t.add(blk+"ssm_a", gguf.F32, fill{values: rates}, s.State, inner)
	t.add(blk+"ssm_d", gguf.F32, fill{constant: 1}, inner)
	t.matrix(blk+"ssm_out", inner, s.Embedding, more)
}

// metadata returns everything but the weights.
func (s Shape) metadata(q Quant, v vocabulary) []gguf.Pair {
	var list []gguf.Pair
	add := func(key string, value any) { list = append(list, gguf.Pair{Key: key, Value: gguf.New(value)}) }
	arch := func(key string, value any) { add(s.Architecture+"."+key, value) }
	// optional leaves out what a shape has not.
	optional := func(key string, n int) {
		if n > 0 {
			arch(key, uint32(n))
		}
	}
	add("general.architecture", s.Architecture)
	add("general.type", "model")
	add("general.name", s.Name+" with random weights")
	add("general.description", "Random weights at the shape of "+s.Source+"; what it generates is noise.")
	add("general.file_type", q.fileType())
	arch("block_count", uint32(s.Layers))
	arch("context_length", uint32(s.Context))
	arch("embedding_length", uint32(s.Embedding))
	arch("feed_forward_length", uint32(s.FeedForward))
	arch("attention.head_count", uint32(s.Heads))
	optional("attention.head_count_kv", s.KVHeads)
	optional("attention.key_length", s.HeadDim)
	optional("attention.value_length", s.HeadDim)
	arch("attention.layer_norm_rms_epsilon", s.NormEpsilon)
	optional("attention.sliding_window", s.Window)
	optional("expert_count", s.Experts)
	optional("expert_used_count", s.ExpertsUsed)
	optional("expert_feed_forward_length", s.ExpertFeedForward)
	if s.Architecture == "mamba" {
		arch("ssm.conv_kernel", uint32(s.Convolution))
		arch("ssm.inner_size", uint32(2*s.Embedding))
		arch("ssm.state_size", uint32(s.State))
		arch("ssm.time_step_rank", uint32(s.TimeStepRank))
	} else {
		arch("rope.dimension_count", uint32(s.HeadDim))
		arch("rope.freq_base", s.RopeBase)
	}
	if kind := s.arch().ropeScaling; kind != "" && s.RopeFactor > 0 {
		arch("rope.scaling.type", kind)
		arch("rope.scaling.factor", float32(s.RopeFactor))
		arch("rope.scaling.original_context_length", uint32(float64(s.Context)/s.RopeFactor))
	}
	arch("vocab_size", uint32(s.Vocabulary))
	add("tokenizer.ggml.model", "gpt2")
	add("tokenizer.ggml.pre", v.pre)
	add("tokenizer.ggml.tokens", v.tokens)
	add("tokenizer.ggml.token_type", v.types)
	add("tokenizer.ggml.merges", v.merges)
	if v.bos >= 0 {
		add("tokenizer.ggml.bos_token_id", uint32(v.bos))
	}
	add("tokenizer.ggml.eos_token_id", uint32(v.eos))
	add("tokenizer.ggml.add_bos_token", v.bos >= 0)
	if v.template != "" {
		add("tokenizer.chat_template", v.template)
	}
	return list
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
