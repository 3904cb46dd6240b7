package simllm

import (
	"fmt"
	"math"
	"time"

	"jouletop/gpu/simgpu"
)

// costModel says what the phases of a batch ask of the GPU. prompts and options
// are tokens a sequence.
type costModel interface {
	prefill(prompts []int, scored bool) simgpu.Work
	// decode is n steps of some sequences whose contexts add up to context
	// tokens before the first.
	decode(n, sequences, context int) simgpu.Work
	score(prompts, options []int) simgpu.Work
	// mixed is one pass with parts of prompts, of so many tokens, beside decodes.
	// known and fresh are tokens a sequence; heads is how many tokens come out.
	mixed(known, fresh []int, prompts, decodes, heads int) simgpu.Work
	// stepSeconds is about how long one decode step takes at the top clock.
	stepSeconds(sequences, context int) float64
}

func newCostModel(s Shape, profile string) (costModel, error) {
	p, err := simgpu.ProfileByName(profile)
	if err != nil {
		return nil, fmt.Errorf("no cost of a model on this GPU: %w", err)
	}
	if profile == "h100" {
		return &roofline{shape: s, profile: p, k: h100Costs}, nil
	}
	return &studyCost{roofline: roofline{shape: s, profile: p, k: rtxCosts}, table: studyTable(&s)}, nil
}

// coefficients are what a pass costs beyond its arithmetic and its weights, the
// same for every model.
type coefficients struct {
	tensorEff, dramEff float64 // attainable shares of the peaks

	prefillLayer   float64 // s a layer and pass
	prefillToken   float64 // s a layer and token, at the top clock (vector kernels)
	attentionFLOPs float64 // FLOP/s of attention at the top clock
	ubatch         int     // tokens a pass over the weights; 0: any number
	activation     float64 // DRAM traffic a token, layer and element of the width, B

	decodeLayer   float64 // s a layer and step
	decodeClocked float64 // share of decodeLayer that follows the SM clock
	batchLayer    float64 // s a layer and step, for more than one sequence
	sequenceLayer float64 // s a layer, step and sequence after the first
	// Decodes of several are products of matrices, by other kernels than the products with
	// a vector of one alone: the core draws less for a byte, by this share, and by
	// lightLess less for each sequence.
	light, lightLess float64
}

// h100Costs are fitted to the twelve measured blocks (llama.cpp CUDA, F16, an
// H100 at its default clock) and meet each block's tokens/s within 8 % and, with
// the power coefficients of simgpu's profile, its watts within 6 %. batchLayer
// and sequenceLayer also use the 8B decode at batch 4 of the mixed recording,
// and attentionFLOPs its prompts of 1360 tokens. That a fifth of a decode
// step's kernel time follows the SM clock, and none of its memory time, is an
// assumption: nothing was measured away from the default clock.
var h100Costs = coefficients{
	tensorEff: 0.528, dramEff: 0.909,
	prefillLayer: 193e-6, prefillToken: 0.493e-6, attentionFLOPs: 65e12, ubatch: 512, activation: 2 * 69.4,
	decodeLayer: 43.5e-6, decodeClocked: 0.2, batchLayer: 70.8e-6, sequenceLayer: 3.0e-6,
	light: 0.64, lightLess: 0.08,
}

// rtxCosts are assumed alike for the other GPU, whose absolute times are not
// known.
var rtxCosts = coefficients{
	tensorEff: 0.6, dramEff: 0.9, ubatch: 512,
	decodeLayer: 30e-6, batchLayer: 20e-6, sequenceLayer: 3.0e-6,
}

// roofline is the cost by physics: prefill bound by the tensor units, decode by
// the memory, and the overhead of launches and of vector kernels.
type roofline struct {
	shape   Shape
	profile simgpu.Profile
	k       coefficients
}

func (c *roofline) topHz() float64 {
	return float64(c.profile.Clocks[len(c.profile.Clocks)-1]) * 1e6
}

func seconds(s float64) time.Duration { return time.Duration(s * 1e9) }

// pass is one evaluation of new tokens on top of known ones, a sequence each.
// heads is for how many of them the output is wanted.
func (c *roofline) pass(known, fresh []int, heads int) simgpu.Work {
	tokens := 0
	for _, n := range fresh {
		tokens += n
	}
	return c.evaluation(known, fresh, c.passes(tokens), heads)
}

// passes is how often the weights are read for so many tokens of prompts.
func (c *roofline) passes(tokens int) float64 {
	return math.Ceil(float64(tokens) / float64(c.k.ubatch))
}

// mixed assumes that decodes find room beside the last tokens of prompts, and cost of
// their own what a sequence more costs a step of decode.
func (c *roofline) mixed(known, fresh []int, prompts, decodes, heads int) simgpu.Work {
	w := c.evaluation(known, fresh, c.passes(prompts), heads)
	w.Overhead += seconds(c.k.sequenceLayer * float64(c.shape.Layers*decodes))
	return w
}

// evaluation is the work of a pass that reads the weights so many times.
func (c *roofline) evaluation(known, fresh []int, passes float64, heads int) simgpu.Work {
	s, k := &c.shape, &c.k
	layers, width := float64(s.Layers), float64(s.Width)
	var tokens, attention, kv float64
	for i, n := range fresh {
		was := 0
		if known != nil {
			was = known[i]
		}
		tokens += float64(n)
		// Each token attends to those before it: 4 operations a pair and element.
		pairs := float64(n)*float64(was) + float64(n)*float64(n)/2
		attention += 4 * layers * float64(s.Heads*s.HeadWidth) * pairs
		kv += float64(was+n) * s.kvBytes()
	}
	return simgpu.Work{
		FLOPs:     2*s.blockParameters()*tokens + 2*s.headParameters()*float64(heads) + attention,
		Bytes:     2*s.blockParameters()*passes + 2*s.headParameters() + k.activation*layers*width*tokens + kv,
		TensorEff: k.tensorEff, DRAMEff: k.dramEff,
		SMCycles: (k.prefillToken*layers*tokens + attention/k.attentionFLOPs) * c.topHz(),
		Overhead: seconds(k.prefillLayer * layers),
	}
}

func (c *roofline) prefill(prompts []int, _ bool) simgpu.Work {
	return c.pass(nil, prompts, len(prompts))
}

func (c *roofline) score(prompts, options []int) simgpu.Work {
	heads := 0
	for _, n := range options {
		heads += n
	}
	return c.pass(prompts, options, heads)
}

func (c *roofline) decode(n, sequences, context int) simgpu.Work {
	s, k := &c.shape, &c.k
	steps, seqs, layers := float64(n), float64(sequences), float64(s.Layers)
	mean := float64(context) + seqs*(steps+1)/2 // context of a step, on average
	overhead, light := k.decodeLayer*(1-k.decodeClocked), 0.0
	if sequences > 1 {
		// Their kernels differ where they read weights, not where they read the KV cache.
		light = max(k.light-k.lightLess*seqs, 0) * s.readBytes() / (s.readBytes() + mean*s.kvBytes())
		overhead += k.batchLayer + k.sequenceLayer*(seqs-1)
	}
	return simgpu.Work{
		FLOPs: steps * (2*(s.blockParameters()+s.headParameters())*seqs +
			4*layers*float64(s.Heads*s.HeadWidth)*mean),
		Bytes:     steps * (s.readBytes() + mean*s.kvBytes()),
		TensorEff: k.tensorEff, DRAMEff: k.dramEff,
		SMCycles: steps * layers * k.decodeLayer * k.decodeClocked * c.topHz(),
		Overhead: seconds(steps * layers * overhead),
		Light:    light,
	}
}

func (c *roofline) stepSeconds(sequences, context int) float64 {
	return c.profile.Seconds(c.decode(1, sequences, context), c.topHz()/1e6)
}
