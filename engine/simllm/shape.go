package simllm

import (
	"fmt"
	"strings"

	"jouletop/engine"
)

// Shape is the published shape of a model in F16.
type Shape struct {
	Name         string
	Architecture string
	Layers       int
	Width        int // of the embedding
	FeedForward  int
	Heads        int
	KVHeads      int
	HeadWidth    int
	Vocabulary   int
	Tied         bool // output weights are the embedding
	Context      int  // tokens
	size         int  // index into the study's tables
}

// Sizes of the study, as indices into its tables.
const (
	size1B = iota
	size3B
	size8B
	size14B
	size32B
	sizes
	sizeSmall = sizes // not in the study
)

// shapes are from the models' published configurations (config.json of
// meta-llama/Llama-3.2-1B, -3B, Llama-3.1-8B, Qwen/Qwen2.5-14B, -32B). The two
// small ones, for a CPU, have the shapes of the 15M TinyStories model and of
// SmolLM-135M.
var shapes = []Shape{
	{"llama-3.2-1b", "llama", 16, 2048, 8192, 32, 8, 64, 128256, true, 131072, size1B},
	{"llama-3.2-3b", "llama", 28, 3072, 8192, 24, 8, 128, 128256, true, 131072, size3B},
	{"llama-3.1-8b", "llama", 32, 4096, 14336, 32, 8, 128, 128256, false, 131072, size8B},
	{"qwen2.5-14b", "qwen2", 48, 5120, 13824, 40, 8, 128, 152064, false, 32768, size14B},
	{"qwen2.5-32b", "qwen2", 64, 5120, 27648, 40, 8, 128, 152064, false, 32768, size32B},
	{"llama-15m", "llama", 6, 288, 768, 6, 6, 48, 32000, true, 2048, sizeSmall},
	{"llama-135m", "llama", 30, 576, 1536, 9, 3, 64, 49152, true, 8192, sizeSmall},
}

// Shapes lists the models that can be simulated, the study's five first.
func Shapes() []Shape { return append([]Shape(nil), shapes...) }

// ShapeByName finds a shape, whatever the case of its letters; the error wraps
// engine.ErrModel and names those there are.
func ShapeByName(name string) (Shape, error) {
	var known []string
	for _, s := range shapes {
		if strings.EqualFold(s.Name, name) {
			return s, nil
		}
		known = append(known, s.Name)
	}
	return Shape{}, fmt.Errorf("%w: %q is not a shape that can be simulated (known: %s)",
		engine.ErrModel, name, strings.Join(known, ", "))
}

// blockParameters are those of all layers, without embedding and output.
func (s *Shape) blockParameters() float64 {
	w, h := float64(s.Width), float64(s.HeadWidth)
	attention := 2*w*float64(s.Heads)*h + 2*w*float64(s.KVHeads)*h
	return float64(s.Layers) * (attention + 3*w*float64(s.FeedForward))
}

// headParameters are those of the output.
func (s *Shape) headParameters() float64 { return float64(s.Vocabulary) * float64(s.Width) }

// Parameters returns how many there are, norms and biases left out.
func (s *Shape) Parameters() int64 {
	n := s.blockParameters() + s.headParameters()
	if !s.Tied {
		n += s.headParameters()
	}
	return int64(n)
}

// WeightBytes returns the size of all weights in F16.
func (s *Shape) WeightBytes() int64 { return 2 * s.Parameters() }

// readBytes is what one pass reads of them: an untied embedding is looked up,
// not read.
func (s *Shape) readBytes() float64 { return 2 * (s.blockParameters() + s.headParameters()) }

// kvBytes is the size of one token's keys and values in F16.
func (s *Shape) kvBytes() float64 {
	return 2 * 2 * float64(s.Layers*s.KVHeads*s.HeadWidth)
}
