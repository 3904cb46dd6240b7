package synth

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/x448/float16"

	"jouletop/engine/gguf"
)

// Quant is how the matrices of a model are stored, by the names that llama.cpp
// gives such files. Vectors, routers and what else it never quantises are F32.
type Quant string

// The kinds that Write knows.
const (
	F16    Quant = "f16"
	F32    Quant = "f32"
	Q8_0   Quant = "q8_0"
	Q4_K_M Quant = "q4_k_m" // Q4_K, and Q6_K where llama-quantize takes it
	MXFP4  Quant = "mxfp4"  // the experts; the rest Q8_0, as gpt-oss is published
)

// Quants lists them.
func Quants() []Quant { return []Quant{F16, F32, Q8_0, Q4_K_M, MXFP4} }

// ParseQuant reads a name in any case.
func ParseQuant(name string) (Quant, error) {
	var names []string
	for _, q := range Quants() {
		if strings.EqualFold(name, string(q)) {
			return q, nil
		}
		names = append(names, string(q))
	}
	return "", fmt.Errorf("no quantisation %q: there are %s", name, strings.Join(names, ", "))
}

// fileType is general.file_type (llama_ftype).
func (q Quant) fileType() uint32 {
	return map[Quant]uint32{F32: 0, F16: 1, Q8_0: 7, Q4_K_M: 15, MXFP4: 38}[q]
}

// matrixType returns the type of a matrix of rows of row elements. more asks for
// the finer type of a mixture; expert tells that it is a layer's experts'.
func (q Quant) matrixType(row int, more, expert bool) gguf.TensorType {
	switch q {
	case F32:
		return gguf.F32
	case Q8_0:
	case MXFP4:
		if expert && row%block32 == 0 {
			return gguf.MXFP4
		}
	case Q4_K_M:
		if row%block256 == 0 && more {
			return gguf.Q6K
		} else if row%block256 == 0 {
			return gguf.Q4K
		}
	default:
		return gguf.F16
	}
	if row%block32 == 0 {
		return gguf.Q8_0
	}
	return gguf.F16
}

// moreBits tells where llama-quantize gives Q4_K_M's value and down projections
// the finer type: in the first and last eighth of the layers, and in every third
// of the others (llama-quant.cpp, use_more_bits).
func moreBits(layer, layers int) bool {
	return layer < layers/8 || layer >= 7*layers/8 || (layer-layers/8)%3 == 2
}

// Elements of a block.
const (
	block32  = 32
	block256 = 256
)

// blocks are random blocks of a quantised type: what is the same in each, and how
// the levels of the normal distribution are stored.
type blocks struct {
	t          gguf.TensorType
	head, tail []byte // before and after the numbers
	codes      [levels]byte
}

// newBlocks returns the blocks of elements with deviation std.
func newBlocks(t gguf.TensorType, std float64) *blocks {
	b := &blocks{t: t}
	// encode rounds to the nearest of the codes from zero-half to zero+half, a step
	// apart.
	encode := func(zero, half, step float64) {
		for i, q := range quantiles {
			v := math.Round(zero + q*std/step)
			b.codes[i] = byte(int(min(max(v, math.Ceil(zero-half)), math.Floor(zero+half))))
		}
	}
	f16 := func(v float64) []byte {
		return binary.LittleEndian.AppendUint16(nil, float16.Fromfloat32(float32(v)).Bits())
	}
	const scale = 32 // of every 32 or 16 numbers of a block of 256
	switch t {
	case gguf.Q8_0: // d, 32 numbers
		step := std * quantiles[levels-1] / 127
		b.head = f16(step)
		encode(0, 127, step)
	case gguf.Q4K: // d, dmin, 8 scales and 8 minima of 6 bits, 256 numbers of 4 bits
		step := std / 2.5
		b.head = slices.Concat(f16(step/scale), f16(7.5*step/scale), []byte{160, 160, 160, 160, 160, 160, 160, 160, 0, 0, 0, 0})
		encode(7.5, 7.5, step)
	case gguf.Q6K: // the low 4 bits of 256 numbers, their high 2, 16 scales, d
		step := std / 8
		b.tail = append(bytes.Repeat([]byte{scale}, 16), f16(step/scale)...)
		encode(32, 31.5, step)
	case gguf.MXFP4: // an exponent, 32 numbers of 4 bits
		unit := math.Round(math.Log2(std * quantiles[levels-1] / 12))
		b.head = []byte{byte(int(unit) + 128)}
		for i, q := range quantiles {
			b.codes[i] = nearestFP4(q * std / math.Exp2(unit))
		}
	}
	return b
}

// nearestFP4 returns the code of MXFP4 for v; its numbers are doubled, as in
// llama.cpp.
func nearestFP4(v float64) (code byte) {
	numbers := [8]float64{0, 1, 2, 3, 4, 6, 8, 12}
	for i, n := range numbers {
		if math.Abs(math.Abs(v)-n) < math.Abs(math.Abs(v)-numbers[code]) {
			code = byte(i)
		}
	}
	if v < 0 {
		code |= 8
	}
	return code
}

// appendTo appends one block.
func (k *blocks) appendTo(b []byte, rng *drawer) []byte {
	b = append(b, k.head...)
	switch k.t {
	case gguf.Q8_0:
		for range block32 {
			b = append(b, k.codes[rng.level()])
		}
	case gguf.Q4K, gguf.MXFP4:
		n := block256
		if k.t == gguf.MXFP4 {
			n = block32
		}
		for range n / 2 {
			b = append(b, k.codes[rng.level()]|k.codes[rng.level()]<<4)
		}
	case gguf.Q6K:
		var c [block256]byte
		for i := range c {
			c[i] = k.codes[rng.level()]
		}
		for half := c[:]; len(half) > 0; half = half[128:] {
			for i := range 64 {
				b = append(b, half[i]&15|half[64+i]&15<<4)
			}
		}
		for half := c[:]; len(half) > 0; half = half[128:] {
			for i := range 32 {
				b = append(b, half[i]>>4|half[32+i]>>4<<2|half[64+i]>>4<<4|half[96+i]>>4<<6)
			}
		}
	}
	return append(b, k.tail...)
}

// drawer draws levels, 12 bits each: 64 random bits are good for five.
type drawer struct {
	rng  splitmix
	bits uint64
	left int
}

func (d *drawer) level() uint64 {
	if d.left == 0 {
		d.bits, d.left = d.rng.next(), 5
	}
	v := d.bits % levels
	d.bits /= levels
	d.left--
	return v
}
