package synth

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tiktoken-go/tokenizer/codec"
	"github.com/x448/float16"

	"jouletop/engine/gguf"
)

// tiny is a shape that takes no time to write.
var tiny = Shape{
	Name: "tiny", Architecture: "qwen2", Source: "nobody", Layers: 2, Embedding: 64, FeedForward: 96, Heads: 4,
	KVHeads: 2, HeadDim: 16, Vocabulary: 700, SpecialTokens: 20, Context: 128, RopeBase: 1e4, NormEpsilon: 1e-6,
}

// TestParameters compares with the counts that the publishers state.
func TestParameters(t *testing.T) {
	published := map[string]int64{
		"llama-15m":    15_191_712,
		"llama-135m":   134_515_008,
		"llama-3.2-1b": 1_235_814_400,
		"llama-3.2-3b": 3_212_749_824,
		"llama-3.1-8b": 8_030_261_248,
		"qwen2.5-14b":  14_770_033_664,
		"qwen2.5-32b":  32_763_876_352,

		"mamba-2.8b":    2_768_345_600,
		"qwen3-8b":      8_190_735_360,
		"gemma-3-12b":   11_765_788_416, // without its eyes
		"phi-4":         14_659_507_200,
		"gpt-oss-20b":   20_914_757_184,
		"qwen3-30b-a3b": 30_532_122_624,
		"llama-3.3-70b": 70_553_706_496,
	}
	got := map[string]int64{}
	for _, s := range Shapes() {
		got[s.Name] = s.Parameters()
	}
	if d := cmp.Diff(published, got); d != "" {
		t.Error(d)
	}
}

func TestLookup(t *testing.T) {
	if s, err := Lookup("qwen2.5-14b"); err != nil || s.Layers != 48 {
		t.Errorf("%+v, %v", s, err)
	}
	if _, err := Lookup("gpt-5"); err == nil || !strings.Contains(err.Error(), "llama-3.2-1b") {
		t.Errorf("error %v does not list the shapes", err)
	}
}

func write(t *testing.T, s Shape, kind Quant, seed uint64) (*gguf.Model, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "m.gguf")
	var last, total int64
	err := Write(t.Context(), s, kind, seed, path, func(done, all int64) {
		if done <= last {
			t.Errorf("progress went from %d to %d", last, done)
		}
		last, total = done, all
	})
	if err != nil {
		t.Fatal(err)
	}
	m, err := gguf.OpenModel(path)
	if err != nil {
		t.Fatal(err)
	}
	if total != m.Size || last > total || total-last > 32*int64(len(m.Files[0].Tensors)) {
		t.Errorf("progress ended at %d of %d, the file has %d", last, total, m.Size)
	}
	return m, path
}

func sum(t *testing.T, path string) [32]byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return sha256.Sum256(data)
}

func TestWriteIsDeterministic(t *testing.T) {
	_, a := write(t, tiny, F16, 7)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	_, b := write(t, tiny, F16, 7)
	_, c := write(t, tiny, F16, 8)
	if sum(t, a) != sum(t, b) {
		t.Error("the same seed gave two files")
	}
	if sum(t, a) == sum(t, c) {
		t.Error("another seed gave the same file")
	}
}

// elements reads a tensor back, quantised ones by ggml's formulas
// (dequantize_row_… of ggml-quants.c).
func elements(t *testing.T, m *gguf.Model, path, name string) []float64 {
	t.Helper()
	x, ok := m.Files[0].Tensor(name)
	if !ok {
		t.Fatalf("no tensor %s", name)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b := data[m.Files[0].DataOffset+int64(x.Offset):][:x.Bytes]
	half := func(b []byte) float64 { return float64(float16.Frombits(binary.LittleEndian.Uint16(b)).Float32()) }
	var out []float64
	for len(b) > 0 {
		switch x.Type {
		case gguf.F32:
			out = append(out, float64(math.Float32frombits(binary.LittleEndian.Uint32(b))))
		case gguf.F16:
			out = append(out, half(b))
		case gguf.Q8_0:
			for _, q := range b[2:34] {
				out = append(out, half(b)*float64(int8(q)))
			}
		case gguf.Q4K:
			d, min, packed := half(b), half(b[2:]), b[4:16]
			for j := range 8 {
				var scale, least byte
				if j < 4 {
					scale, least = packed[j]&63, packed[j+4]&63
				} else {
					scale, least = packed[j+4]&15|packed[j-4]>>6<<4, packed[j+4]>>4|packed[j]>>6<<4
				}
				for i := range 32 {
					q := b[16+j/2*32+i] >> (4 * (j % 2)) & 15
					out = append(out, d*float64(scale)*float64(q)-min*float64(least))
				}
			}
		case gguf.Q6K:
			d := half(b[208:])
			for n := range 2 {
				low, high, scales := b[64*n:], b[128+32*n:], b[192+8*n:]
				for part := range 4 {
					for i := range 32 {
						q := low[32*(part%2)+i]>>(4*(part/2))&15 | high[i]>>(2*part)&3<<4
						out = append(out, d*float64(int8(scales[2*part+i/16]))*(float64(q)-32))
					}
				}
			}
		case gguf.MXFP4:
			for part := range 2 {
				for _, q := range b[1:17] {
					q = q >> (4 * part) & 15
					v := []float64{0, 1, 2, 3, 4, 6, 8, 12}[q&7] * math.Exp2(float64(b[0])-128)
					if q&8 != 0 {
						v = -v
					}
					out = append(out, v)
				}
			}
		default:
			t.Fatalf("%s is %v", name, x.Type)
		}
		b = b[x.Type.Size(blockOf(x.Type)):]
	}
	return out
}

func blockOf(t gguf.TensorType) uint64 {
	switch t {
	case gguf.F32, gguf.F16:
		return 1
	case gguf.Q4K, gguf.Q6K:
		return block256
	}
	return block32
}

// TestWeights checks the distribution of what was written.
func TestWeights(t *testing.T) {
	wide := tiny // has rows of whole blocks of 256
	wide.Layers, wide.Embedding, wide.FeedForward, wide.Heads, wide.Vocabulary = 8, 256, 512, 16, 1000
	routed := wide
	routed.Architecture, routed.Layers, routed.Experts, routed.ExpertsUsed, routed.ExpertFeedForward = "gpt-oss", 2, 4, 2, 96
	type check struct {
		name string
		kind gguf.TensorType
		from float64
		to   float64
		want float64
	}
	vocabulary := func(name string, kind gguf.TensorType, s Shape) []check {
		ordinary := float64(s.Vocabulary-s.SpecialTokens) / float64(s.Vocabulary)
		std := logitStd / math.Sqrt(float64(s.Embedding))
		return []check{{name, kind, 0, ordinary, std}, {name, kind, ordinary, 1, std / 10}}
	}
	for _, c := range []struct {
		shape  Shape
		quant  Quant
		checks []check
	}{
		{tiny, F32, append(vocabulary("output.weight", gguf.F32, tiny),
			check{"blk.0.ffn_up.weight", gguf.F32, 0, 1, 1 / math.Sqrt(64)},
			check{"blk.1.ffn_down.weight", gguf.F32, 0, 1, 1 / math.Sqrt(96)},
			check{"blk.0.attn_norm.weight", gguf.F32, 0, 1, 0})},
		{tiny, Q4_K_M, []check{{"blk.0.ffn_up.weight", gguf.Q8_0, 0, 1, 1 / math.Sqrt(64)}}}, // no rows of 256
		{wide, Q8_0, append(vocabulary("token_embd.weight", gguf.Q8_0, wide), check{"blk.0.attn_q.weight", gguf.Q8_0, 0, 1, 1.0 / 16})},
		{wide, Q4_K_M, append(append(vocabulary("token_embd.weight", gguf.Q4K, wide), vocabulary("output.weight", gguf.Q6K, wide)...),
			check{"blk.0.ffn_down.weight", gguf.Q6K, 0, 1, 1 / math.Sqrt(512)},
			check{"blk.1.ffn_down.weight", gguf.Q4K, 0, 1, 1 / math.Sqrt(512)},
			check{"blk.7.attn_v.weight", gguf.Q6K, 0, 1, 1.0 / 16},
			check{"blk.7.attn_k.weight", gguf.Q4K, 0, 1, 1.0 / 16},
			check{"blk.0.attn_q.bias", gguf.F32, 0, 1, 0.1})},
		{routed, MXFP4, []check{
			{"blk.0.ffn_up_exps.weight", gguf.MXFP4, 0, 1, 1.0 / 16},
			{"blk.1.ffn_down_exps.weight", gguf.MXFP4, 0, 1, 1 / math.Sqrt(96)},
			{"blk.0.ffn_gate_inp.weight", gguf.F32, 0, 1, 1.0 / 16},
			{"blk.1.attn_output.weight", gguf.Q8_0, 0, 1, 1.0 / 16},
		}},
	} {
		m, path := write(t, c.shape, c.quant, 1)
		if got := m.Parameters(); got != c.shape.Parameters() {
			t.Errorf("%s: %d weights, want %d", c.quant, got, c.shape.Parameters())
		}
		if got := m.Files[0].Quantisation(); !strings.EqualFold(got, string(c.quant)) {
			t.Errorf("%s says that it is %s", c.quant, got)
		}
		for _, k := range c.checks {
			if x, _ := m.Files[0].Tensor(k.name); x.Type != k.kind {
				t.Errorf("%s: %s is %v, want %v", c.quant, k.name, x.Type, k.kind)
			}
			v := elements(t, m, path, k.name)
			v = v[int(k.from*float64(len(v))):int(k.to*float64(len(v)))]
			mean, square := 0.0, 0.0
			for _, e := range v {
				mean, square = mean+e, square+e*e
			}
			mean /= float64(len(v))
			if got := math.Sqrt(square/float64(len(v)) - mean*mean); math.Abs(got-k.want) > 0.08*k.want || k.want > 0 && math.Abs(mean) > 0.1*k.want {
				t.Errorf("%s: %s: mean %g, standard deviation %g, want 0 and %g", c.quant, k.name, mean, got, k.want)
			}
		}
	}
}

func TestParseQuant(t *testing.T) {
	for _, q := range Quants() {
		if got, err := ParseQuant(strings.ToUpper(string(q))); err != nil || got != q {
			t.Errorf("%s: %s, %v", q, got, err)
		}
	}
	if _, err := ParseQuant("q3_k_m"); err == nil || !strings.Contains(err.Error(), "q4_k_m") {
		t.Errorf("error %v does not list what there is", err)
	}
}

func TestWriteLeavesNothingBehind(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	err := Write(ctx, tiny, F16, 1, filepath.Join(dir, "m.gguf"), func(int64, int64) { cancel() })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	huge := tiny
	huge.Vocabulary, huge.Embedding = 150000, 1<<28
	if err := Write(t.Context(), huge, F16, 1, filepath.Join(dir, "m.gguf"), nil); err == nil || !strings.Contains(err.Error(), "free") {
		t.Errorf("no room: %v", err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
	if err := Write(t.Context(), tiny, F16, 1, filepath.Join(dir, "no", "m.gguf"), nil); err == nil {
		t.Error("no error for a folder that is not there")
	}
}

// TestVocabulary checks that encoding with the merges is what the source of
// the vocabulary does.
func TestVocabulary(t *testing.T) {
	s, err := Lookup("llama-135m")
	if err != nil {
		t.Fatal(err)
	}
	v, err := newVocabulary(s)
	if err != nil {
		t.Fatal(err)
	}
	if len(v.tokens) != s.Vocabulary || len(v.types) != s.Vocabulary {
		t.Fatalf("%d tokens, %d types, want %d", len(v.tokens), len(v.types), s.Vocabulary)
	}
	if got, want := len(v.merges), s.Vocabulary-s.SpecialTokens-256; got != want {
		t.Errorf("%d merges for %d tokens of two bytes and more", got, want)
	}
	if v.tokens[v.bos] != "<|begin_of_text|>" || v.types[v.bos] != controlToken {
		t.Errorf("token %d is %q", v.bos, v.tokens[v.bos])
	}
	ranks := map[string]int{}
	for i, m := range v.merges {
		ranks[m] = i
	}
	c := codec.NewCl100kBase()
	for _, word := range []string{" electricity", " frequency", "naïve", "冬", "!!!"} {
		parts := strings.Split(byteText(word), "")
		for {
			best, at := len(ranks), -1
			for i := range len(parts) - 1 {
				if r, ok := ranks[parts[i]+" "+parts[i+1]]; ok && r < best {
					best, at = r, i
				}
			}
			if at < 0 {
				break
			}
			parts[at] += parts[at+1]
			parts = append(parts[:at+1], parts[at+2:]...)
		}
		_, want, err := c.Encode(word)
		if err != nil {
			t.Fatal(err)
		}
		for i := range want {
			want[i] = byteText(want[i])
		}
		if d := cmp.Diff(want, parts); d != "" {
			t.Errorf("%q: %s", word, d)
		}
	}
}

// TestLargestVocabulary needs both embedded vocabularies.
func TestLargestVocabulary(t *testing.T) {
	s, err := Lookup("qwen2.5-14b")
	if err != nil {
		t.Fatal(err)
	}
	v, err := newVocabulary(s)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, tok := range v.tokens {
		if seen[tok] {
			t.Fatalf("token %q is there twice", tok)
		}
		seen[tok] = true
	}
	if len(seen) != 152064 || v.bos != -1 || v.tokens[v.eos] != "<|im_end|>" {
		t.Errorf("%d tokens, bos %d, eos %q", len(seen), v.bos, v.tokens[v.eos])
	}
}
