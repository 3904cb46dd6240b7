package synth

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tiktoken-go/tokenizer/codec"

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

func write(t *testing.T, s Shape, kind Type, seed uint64) (*gguf.Model, string) {
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

// TestWeights checks the distribution of what was written.
func TestWeights(t *testing.T) {
	m, path := write(t, tiny, F32, 1)
	if got := m.Parameters(); got != tiny.Parameters() {
		t.Errorf("%d weights, want %d", got, tiny.Parameters())
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	deviation := func(name string, from, to float64) float64 {
		x, ok := m.Files[0].Tensor(name)
		if !ok {
			t.Fatalf("no tensor %s", name)
		}
		buf := make([]byte, x.Bytes)
		if _, err := f.ReadAt(buf, m.Files[0].DataOffset+int64(x.Offset)); err != nil && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		n := len(buf) / 4
		mean, square := 0.0, 0.0
		first, last := int(from*float64(n)), int(to*float64(n))
		for i := first; i < last; i++ {
			v := float64(math.Float32frombits(binary.LittleEndian.Uint32(buf[4*i:])))
			mean += v
			square += v * v
		}
		mean /= float64(last - first)
		return math.Sqrt(square/float64(last-first) - mean*mean)
	}
	ordinary := float64(tiny.Vocabulary-tiny.SpecialTokens) / float64(tiny.Vocabulary)
	for _, c := range []struct {
		name           string
		from, to, want float64
	}{
		{"blk.0.ffn_up.weight", 0, 1, 1 / math.Sqrt(64)},
		{"blk.1.ffn_down.weight", 0, 1, 1 / math.Sqrt(96)},
		{"output.weight", 0, ordinary, logitStd / math.Sqrt(64)},
		{"output.weight", ordinary, 1, logitStd / math.Sqrt(64) / 10},
		{"blk.0.attn_norm.weight", 0, 1, 0},
	} {
		if got := deviation(c.name, c.from, c.to); math.Abs(got-c.want) > 0.06*c.want {
			t.Errorf("%s: standard deviation %g, want %g", c.name, got, c.want)
		}
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
