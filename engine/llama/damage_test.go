//go:build cgo

package llama

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"jouletop/engine"
	"jouletop/engine/gguf"
)

// damage is one damaged file.
type damage struct {
	name string
	data []byte
}

// damages returns files that cannot be used: cut off, or with counts, lengths,
// offsets, types and shapes that are absurd or do not go together.
func damages(t *testing.T, path string) []damage {
	t.Helper()
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	var list []damage
	patch := func(name string, at int, with []byte) {
		data := bytes.Clone(whole)
		copy(data[at:], with)
		list = append(list, damage{fmt.Sprintf("%s at %d", name, at), data})
	}
	u64 := func(n uint64) []byte { return binary.LittleEndian.AppendUint64(nil, n) }
	u32 := func(n uint32) []byte { return binary.LittleEndian.AppendUint32(nil, n) }
	start := int(head.DataOffset)
	for i := range 40 { // in the header, at its end, in the weights
		list = append(list, damage{fmt.Sprintf("cut to %d", start*i/40), whole[:start*i/40]})
	}
	for i := range 20 {
		n := start + (len(whole)-start)*i/20
		list = append(list, damage{fmt.Sprintf("cut to %d", n), whole[:n]})
	}
	list = append(list, damage{"one byte short", whole[:len(whole)-1]}, damage{"zeros", make([]byte, len(whole))})
	for _, n := range []uint64{0, 1, 1 << 20, 1 << 31, 1 << 32, 1 << 40, 1<<63 - 1, 1 << 63, 1<<64 - 1} {
		patch(fmt.Sprintf("%d tensors", n), 8, u64(n))
		patch(fmt.Sprintf("%d keys", n), 16, u64(n))
	}
	for _, v := range []uint32{0, 1, 4, 0x03000000, 1<<32 - 1} {
		patch(fmt.Sprintf("version %d", v), 4, u32(v))
	}
	find := func(name string) int {
		i := bytes.Index(whole, append(u64(uint64(len(name))), name...))
		if i < 0 {
			t.Fatalf("no %s in %s", name, path)
		}
		return i
	}
	huge := []uint64{1 << 16, 1 << 24, 1 << 32, 1 << 48, 1<<63 - 1, 1<<64 - 1}
	for _, key := range []string{"general.architecture", "tokenizer.ggml.model", "general.name"} {
		for _, n := range huge {
			at := find(key)
			patch(fmt.Sprintf("%s with a key of %d bytes", key, n), at, u64(n))
			patch(fmt.Sprintf("%s with a value of %d bytes", key, n), at+8+len(key)+4, u64(n))
		}
		patch(key+" of an unknown type", find(key)+8+len(key), u32(77))
	}
	arch := head.Architecture()
	for key, values := range map[string][]uint32{
		"block_count":                      {0, 1, 513, 1 << 20, 1<<32 - 1},
		"context_length":                   {0, 1<<32 - 1},
		"embedding_length":                 {0, 1, 63, 1 << 30},
		"feed_forward_length":              {0, 7, 1 << 31},
		"attention.head_count":             {0, 3, 1 << 16},
		"attention.head_count_kv":          {0, 5, 1 << 16},
		"attention.layer_norm_rms_epsilon": {0xbf800000, 0x7fc00000}, // -1, NaN
		"vocab_size":                       {0, 1, 1<<32 - 1},
	} {
		key = arch + "." + key
		at := find(key) + 8 + len(key)
		for _, v := range values {
			if strings.HasSuffix(key, "vocab_size") && head.Text("tokenizer.ggml.model") != "no_vocab" {
				continue // llama.cpp goes by the tokens
			}
			patch(fmt.Sprintf("%s = %d", key, v), at+4, u32(v))
		}
		patch(key+" as a string", at, u32(uint32(gguf.String)))
		patch(key+" as a bool", at, u32(uint32(gguf.Bool)))
	}
	for i, x := range head.Tensors {
		if i%9 != 0 && i != len(head.Tensors)-1 {
			continue
		}
		at := find(x.Name) + 8 + len(x.Name)
		dims := len(x.Shape)
		patch(x.Name+" of no dimensions", at, u32(0))
		patch(x.Name+" of many dimensions", at, u32(1000))
		for _, n := range []uint64{0, 1, x.Shape[0] + 32, 1 << 40, 1 << 62, 1<<64 - 1} {
			patch(fmt.Sprintf("%s of width %d", x.Name, n), at+4, u64(n))
		}
		for _, kind := range []uint32{4, 9, 26, 31, 38, 1 << 31} {
			patch(fmt.Sprintf("%s of type %d", x.Name, kind), at+4+8*dims, u32(kind))
		}
		for _, n := range []uint64{x.Offset + 1, x.Offset + 32, 1 << 40, 1<<64 - 32} {
			patch(fmt.Sprintf("%s at %d", x.Name, n), at+8+8*dims, u64(n))
		}
		patch(x.Name+" renamed", at-1, []byte("?"))
	}
	return list
}

// vocabularyDamages returns copies of a model with an unusable tokenizer.
func vocabularyDamages(t *testing.T, path string) []damage {
	t.Helper()
	var list []damage
	change := func(name, key string, value any) {
		f, err := gguf.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		g := gguf.File{Tensors: f.Tensors}
		for _, p := range f.Meta {
			switch {
			case p.Key != key:
				g.Meta = append(g.Meta, p)
			case value != nil:
				g.Meta = append(g.Meta, gguf.Pair{Key: key, Value: gguf.New(value)})
			}
		}
		data := g.Encode()
		list = append(list, damage{name, append(data, make([]byte, g.Size-g.DataOffset)...)})
	}
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	v, _ := f.Lookup("tokenizer.ggml.tokens")
	var tokens []string
	for _, s := range v.Strings() {
		tokens = append(tokens, s)
	}
	twice := append([]string{}, tokens...)
	twice[7] = twice[8]
	nul := append([]string{}, tokens...)
	nul[7], nul[8] = "a\x00b", "a\x00c"
	change("no tokens", "tokenizer.ggml.tokens", nil)
	change("tokens as a number", "tokenizer.ggml.tokens", uint32(3))
	change("tokens as numbers", "tokenizer.ggml.tokens", make([]int32, len(tokens)))
	change("no token", "tokenizer.ggml.tokens", []string{})
	change("one token short", "tokenizer.ggml.tokens", tokens[1:])
	change("a token twice", "tokenizer.ggml.tokens", twice)
	change("a token twice up to its NUL", "tokenizer.ggml.tokens", nul)
	change("types of too few tokens", "tokenizer.ggml.token_type", make([]int32, 3))
	change("types as floats", "tokenizer.ggml.token_type", make([]float32, len(tokens)))
	change("types as strings", "tokenizer.ggml.token_type", tokens)
	change("no merges", "tokenizer.ggml.merges", nil)
	change("merges as numbers", "tokenizer.ggml.merges", make([]int32, 5))
	change("merges as a string", "tokenizer.ggml.merges", "a b")
	change("an unknown tokenizer", "tokenizer.ggml.model", "abacus")
	change("no tokenizer named", "tokenizer.ggml.model", nil)
	change("a tokenizer that is a number", "tokenizer.ggml.model", uint32(1))
	change("a BOS that is text", "tokenizer.ggml.bos_token_id", "x")
	return list
}

func TestDamagedModels(t *testing.T) {
	smallPath, err := small()
	if err != nil {
		t.Fatal(err)
	}
	var list []damage
	for _, p := range []string{filepath.Join("testdata", "llama-untied.gguf"), filepath.Join("testdata", "qwen2-tied.gguf"), smallPath} {
		list = append(list, damages(t, p)...)
	}
	list = append(list, vocabularyDamages(t, smallPath)...)
	t.Logf("%d damaged files", len(list))
	b, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	path := filepath.Join(t.TempDir(), "m.gguf")
	for _, d := range list {
		if err := os.WriteFile(path, d.data, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := b.load(t.Context(), engine.ModelSpec{Path: path, Threads: 1}, func(float64) {})
		if !errors.Is(err, engine.ErrModel) || strings.ContainsAny(err.Error(), "\n") || len(err.Error()) > 400 {
			t.Errorf("%s: %v", d.name, err)
		}
	}
}

// TestFlippedBits flips bits in the header and in the weights: each file gives
// an error or runs.
func TestFlippedBits(t *testing.T) {
	smallPath, err := small()
	if err != nil {
		t.Fatal(err)
	}
	b, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	path := filepath.Join(t.TempDir(), "m.gguf")
	for _, p := range []string{filepath.Join("testdata", "llama-untied.gguf"), filepath.Join("testdata", "qwen2-tied.gguf"), smallPath} {
		whole, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		head, err := gguf.Open(p)
		if err != nil {
			t.Fatal(err)
		}
		rng := rand.New(rand.NewPCG(1, 2))
		ran := 0
		for i := range 100 {
			data := bytes.Clone(whole)
			if i%4 == 0 { // a hundred bits of the weights
				for range 100 {
					data[int(head.DataOffset)+rng.IntN(len(data)-int(head.DataOffset))] ^= 1 << rng.IntN(8)
				}
			} else {
				data[rng.IntN(int(head.DataOffset))] ^= 1 << rng.IntN(8)
			}
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
			if runFile(t, b, path) {
				ran++
			}
		}
		if ran < 25 {
			t.Errorf("%s: only %d of 100 ran", p, ran)
		}
	}
}

// runFile loads and runs a file that may be damaged; it tells whether it ran.
func runFile(t *testing.T, b *Backend, path string) bool {
	t.Helper()
	if _, err := b.load(t.Context(), engine.ModelSpec{Path: path, Threads: 1}, func(float64) {}); err != nil {
		if !errors.Is(err, engine.ErrModel) {
			t.Errorf("%v", err)
		}
		return false
	}
	if b.model.text {
		if _, err := b.model.tokenize("Some text.\n", true, true); err != nil {
			t.Log(err) // an error is fine, a crash is not
		}
	}
	seqs := []*sequence{{index: 0, prompt: []int32{1, 2, 3}, maxTokens: 3}, {index: 1, prompt: []int32{4, 5}, maxTokens: 2}}
	if err := b.evaluate(t.Context(), seqs, false, 0, silent{}); err != nil {
		t.Log(err)
	}
	return true
}

// TestEveryBitOfTheHeader is TestFlippedBits for every bit of the headers; it
// takes minutes and runs when JOULETOP_EXHAUSTIVE is set.
func TestEveryBitOfTheHeader(t *testing.T) {
	if os.Getenv("JOULETOP_EXHAUSTIVE") == "" {
		t.Skip("JOULETOP_EXHAUSTIVE is not set")
	}
	b, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for _, p := range []string{"llama-untied.gguf", "qwen2-tied.gguf"} {
		whole, err := os.ReadFile(filepath.Join("testdata", p))
		if err != nil {
			t.Fatal(err)
		}
		head, err := gguf.Open(filepath.Join("testdata", p))
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "m.gguf")
		if err := os.WriteFile(path, whole, 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for bit := range int(head.DataOffset) * 8 {
			at := int64(bit / 8)
			b0 := whole[at]
			if _, err := f.WriteAt([]byte{b0 ^ 1<<(bit%8)}, at); err != nil {
				t.Fatal(err)
			}
			if os.Getenv("JOULETOP_EXHAUSTIVE") == "trace" {
				fmt.Fprintln(os.Stderr, p, at, bit%8)
			}
			runFile(t, b, path)
			if _, err := f.WriteAt([]byte{b0}, at); err != nil {
				t.Fatal(err)
			}
		}
	}
}
