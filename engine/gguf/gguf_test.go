package gguf

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// sample is a whole tiny llama model; set changes its parts.
func sample(set func(*File)) *File {
	f := &File{Meta: []Pair{
		{"general.architecture", New("llama")},
		{"general.file_type", New(uint32(1))},
		{"llama.block_count", New(uint32(1))},
		{"llama.context_length", New(uint32(64))},
		{"llama.embedding_length", New(uint32(32))},
		{"llama.feed_forward_length", New(uint32(48))},
		{"llama.attention.head_count", New(uint32(4))},
		{"llama.attention.head_count_kv", New(uint32(2))},
		{"llama.attention.layer_norm_rms_epsilon", New(float32(1e-5))},
		{"tokenizer.ggml.model", New("gpt2")},
		{"tokenizer.ggml.tokens", New([]string{"a", "b", "ab", ""})},
		{"tokenizer.ggml.token_type", New([]int32{1, 1, 1, 3})},
		{"tokenizer.ggml.merges", New([]string{"a b"})},
		{"tokenizer.ggml.bos_token_id", New(uint32(3))},
		{"tokenizer.ggml.eos_token_id", New(uint32(3))},
	}}
	tensor := func(t TensorType, name string, shape ...uint64) {
		f.Tensors = append(f.Tensors, Tensor{Name: name, Type: t, Shape: shape})
	}
	tensor(F16, "token_embd.weight", 32, 4)
	tensor(F32, "blk.0.attn_norm.weight", 32)
	tensor(F16, "blk.0.attn_q.weight", 32, 32)
	tensor(F16, "blk.0.attn_k.weight", 32, 16)
	tensor(F16, "blk.0.attn_v.weight", 32, 16)
	tensor(F16, "blk.0.attn_output.weight", 32, 32)
	tensor(F32, "blk.0.ffn_norm.weight", 32)
	tensor(F16, "blk.0.ffn_gate.weight", 32, 48)
	tensor(F16, "blk.0.ffn_up.weight", 32, 48)
	tensor(F16, "blk.0.ffn_down.weight", 48, 32)
	tensor(F32, "output_norm.weight", 32)
	if set != nil {
		set(f)
	}
	return f
}

func (f *File) set(key string, value any) {
	i := slices.IndexFunc(f.Meta, func(p Pair) bool { return p.Key == key })
	switch {
	case value == nil:
		f.Meta = slices.Delete(f.Meta, i, i+1)
	case i < 0:
		f.Meta = append(f.Meta, Pair{key, New(value)})
	default:
		f.Meta[i].Value = New(value)
	}
}

// save writes a file with zeros for weights.
func save(t *testing.T, dir, name string, f *File) string {
	t.Helper()
	head := f.Encode()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, append(head, make([]byte, f.Size-int64(len(head)))...), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRoundTrip(t *testing.T) {
	values := map[string]any{
		"u8": uint8(200), "i8": int8(-3), "u16": uint16(65000), "i16": int16(-300), "u32": uint32(1 << 31), "i32": int32(-7),
		"u64": uint64(1) << 63, "i64": int64(-9), "f32": float32(1.5), "f64": -2.25, "yes": true, "no": false, "s": "text",
		"floats": []float32{1, 2}, "ints": []int32{-1, 5}, "uints": []uint32{9}, "strings": []string{"", "x", "ü"}, "none": []string{},
	}
	want := sample(func(f *File) {
		for _, k := range slices.Sorted(func(yield func(string) bool) {
			for k := range values {
				if !yield(k) {
					return
				}
			}
		}) {
			f.set(k, values[k])
		}
	})
	head := want.Encode()
	got, err := Read(bytes.NewReader(head), want.Size)
	if err != nil {
		t.Fatal(err)
	}
	raw := cmp.Comparer(func(a, b Value) bool {
		return a.Type == b.Type && a.Elem == b.Elem && a.Len == b.Len && bytes.Equal(a.raw, b.raw)
	})
	if d := cmp.Diff(want, got, raw, cmp.AllowUnexported(File{})); d != "" {
		t.Error(d)
	}
	for key, s := range map[string]string{
		"u8": "200", "i8": "-3", "i16": "-300", "u64": "9223372036854775808", "f64": "-2.25", "yes": "true", "no": "false",
		"s": `"text"`, "floats": "2 × f32", "strings": "3 × string", "absent": "missing",
	} {
		if v, _ := got.Lookup(key); v.String() != s {
			t.Errorf("%s is %v, want %s", key, v, s)
		}
	}
	v, _ := got.Lookup("strings")
	var list []string
	for _, s := range v.Strings() {
		list = append(list, s)
	}
	if !slices.Equal(list, []string{"", "x", "ü"}) {
		t.Errorf("strings %q", list)
	}
	v, _ = got.Lookup("ints")
	for i, n := range v.Uints() {
		if want := []uint64{1<<32 - 1, 5}[i]; n != want {
			t.Errorf("element %d is %d", i, n)
		}
	}
	v, _ = got.Lookup("i32")
	if n, ok := v.Uint(); ok {
		t.Errorf("-7 is %d", n)
	}
	if f, ok := v.Float(); !ok || f != -7 {
		t.Errorf("-7 is %g", f)
	}
}

func TestModel(t *testing.T) {
	path := save(t, t.TempDir(), "m.gguf", sample(nil))
	m, err := OpenModel(path)
	if err != nil {
		t.Fatal(err)
	}
	f := m.Files[0]
	if f.Architecture() != "llama" || f.ContextLength() != 64 || f.Quantisation() != "F16" || m.Parameters() != 7904 || f.KVBytesPerToken() != 64 {
		t.Errorf("%s, context %d, %s, %d parameters, %d bytes a token", f.Architecture(), f.ContextLength(), f.Quantisation(), m.Parameters(), f.KVBytesPerToken())
	}
	f.set("general.file_type", uint32(99))
	if q := f.Quantisation(); q != "F16" {
		t.Errorf("by bytes: %s", q)
	}
}

func TestSplit(t *testing.T) {
	dir := t.TempDir()
	part := func(n int, of uint16) *File {
		return sample(func(f *File) {
			f.Tensors = slices.DeleteFunc(f.Tensors, func(x Tensor) bool { return strings.HasPrefix(x.Name, "blk") != (n == 1) })
			if n == 1 {
				f.Meta = nil
			}
			f.set("split.no", uint16(n))
			f.set("split.count", of)
			f.set("split.tensors.count", int32(11))
		})
	}
	first := save(t, dir, "m-00001-of-00002.gguf", part(0, 2))
	second := filepath.Join(dir, "m-00002-of-00002.gguf")
	if _, err := OpenModel(first); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "part 2 of 2") {
		t.Errorf("a missing part: %v", err)
	}
	save(t, dir, "m-00002-of-00002.gguf", part(1, 2))
	for _, p := range []string{first, second} {
		m, err := OpenModel(p)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(m.Paths, []string{first, second}) || m.Parameters() != 7904 {
			t.Errorf("%s: %v, %d parameters", p, m.Paths, m.Parameters())
		}
	}
	save(t, dir, "m-00002-of-00002.gguf", part(0, 2))
	if _, err := OpenModel(first); !errors.Is(err, ErrFormat) {
		t.Errorf("the first part twice: %v", err)
	}
	lone := save(t, dir, "lone.gguf", part(0, 2))
	if _, err := OpenModel(lone); !errors.Is(err, ErrFormat) {
		t.Errorf("a part under another name: %v", err)
	}
}

func TestOnlyRegularFilesAreOpened(t *testing.T) {
	dir := t.TempDir()
	pipe, to := filepath.Join(dir, "pipe.gguf"), filepath.Join(dir, "link.gguf")
	if err := errors.Join(syscall.Mkfifo(pipe, 0o644), os.Symlink(pipe, to)); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{pipe: "not a regular file", to: "not a regular file", dir: "a folder"} {
		if _, err := OpenModel(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
		}
		if _, err := StartSHA256(t.Context(), []string{path})(); err == nil {
			t.Errorf("%s has a checksum", path)
		}
	}
}

func TestValidate(t *testing.T) {
	tensor := func(name string, set func(*Tensor)) func(*File) {
		return func(f *File) {
			set(&f.Tensors[slices.IndexFunc(f.Tensors, func(x Tensor) bool { return x.Name == name })])
		}
	}
	key := func(key string, value any) func(*File) { return func(f *File) { f.set(key, value) } }
	for name, c := range map[string]struct {
		set  func(*File)
		want string
	}{
		"none":             {nil, ""},
		"experts":          {key("llama.expert_used_count", uint32(2)), "expert_used_count"},
		"rope scaling":     {key("llama.rope.scaling.type", "cubic"), "cubic"},
		"rope dimensions":  {key("llama.rope.dimension_count", uint32(7)), "7"},
		"key length":       {key("llama.attention.key_length", uint32(4)), "shape"},
		"heads":            {key("llama.attention.head_count", uint32(5)), "multiple"},
		"heads as floats":  {key("llama.attention.head_count", []float32{1}), "u32"},
		"negative epsilon": {key("llama.attention.layer_norm_rms_epsilon", float32(-1)), "-1"},
		"no layers":        {key("llama.block_count", nil), "missing"},
		"no architecture":  {key("general.architecture", nil), "general.architecture"},
		"other arch":       {key("general.architecture", "mamba"), ""},
		"alignment":        {key("general.alignment", uint32(48)), "power of two"},
		"small alignment":  {key("general.alignment", uint32(8)), "from 32 to"},
		"long string":      {key("x", strings.Repeat("a", maxString+1)), "are the most"},
		"labels":           {key("llama.classifier.output_labels", []int32{1}), "strings"},
		"scores":           {key("tokenizer.ggml.scores", []float32{1}), "4 tokens"},
		"narrow types":     {key("tokenizer.ggml.token_type", "x"), "token_type"},
		"suppressed":       {key("tokenizer.ggml.suppress_tokens", []float32{1}), "suppress_tokens"},
		"no end":           {key("tokenizer.ggml.eos_token_id", nil), "eos_token_id"},
		"an end beyond":    {key("tokenizer.ggml.eos_token_id", uint32(4)), "none of the 4 tokens"},
		"a beginning by default": {func(f *File) {
			f.set("tokenizer.ggml.model", "llama")
			f.set("tokenizer.ggml.bos_token_id", nil)
		}, ""},
		"long token":        {key("tokenizer.ggml.tokens", []string{"a", "b", strings.Repeat("c", maxToken+1), ""}), "are the most"},
		"many layers":       {func(f *File) { renamed("gemma2")(f); f.set("gemma2.block_count", uint32(513)) }, "513"},
		"short charsmap":    {charsmap(1, 0), "less than its header"},
		"charsmap's trie":   {charsmap(9, 0, 0, 0, 1), "has 5 bytes"},
		"whole charsmap":    {charsmap(4, 0, 0, 0, 1, 2, 3, 4, 0), ""},
		"plamo2 bytes":      {plamo2("<0x-1>"), `token 1 is said to be a byte and is "<0x-1>"`},
		"plamo2 no hex":     {plamo2("<0xZZ>"), "ZZ"},
		"plamo2 blank":      {plamo2("<0x f>"), "<0x f>"},
		"plamo2 long":       {plamo2("<0x00f>"), "<0x00f>"},
		"plamo2 good":       {plamo2("<0xfF>"), ""},
		"charsmap's end":    {charsmap(4, 0, 0, 0, 1, 2, 3, 4, 'x'), "does not end in a zero"},
		"rwkv without byte": {rwkv("ab", "b", "c"), `token 0 begins with "a", which is no token by itself`},
		"rwkv escaped":      {rwkv(`\xe4x`, "b", "x"), `begins with "\xe4"`},
		"rwkv backslash":    {rwkv(`\\n`, "n", "x"), `begins with "\\"`},
		"rwkv zero byte":    {rwkv(`a\x00b`, "a", "b"), "a zero byte after others"},
		"rwkv empty":        {rwkv("", "a", "b"), `begins with "["`},
		"rwkv good":         {rwkv(`\xe4\t`, `\xe4`, `\x00`), ""},
		"charsmap":          {key("tokenizer.ggml.precompiled_charsmap", "x"), "precompiled_charsmap"},
		"missing tensor":    {tensor("blk.0.attn_v.weight", func(x *Tensor) { x.Name = "?" }), "attn_v"},
		"integer weight":    {tensor("blk.0.attn_v.weight", func(x *Tensor) { x.Type = 25 }), "I16"},
		"half-float vector": {tensor("blk.0.attn_norm.weight", func(x *Tensor) { x.Type = F16 }), "F32"},
		"transposed":        {tensor("blk.0.ffn_up.weight", func(x *Tensor) { slices.Reverse(x.Shape) }), "shape"},
		"trailing ones":     {tensor("blk.0.ffn_up.weight", func(x *Tensor) { x.Shape = append(x.Shape, 1, 1) }), ""},
		"duplicate":         {func(f *File) { f.Tensors[1].Name = f.Tensors[2].Name }, "twice"},
	} {
		_, err := OpenModel(save(t, t.TempDir(), "m.gguf", sample(c.set)))
		if c.want == "" && err != nil || c.want != "" && (!errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// plamo2 gives the sample a vocabulary of that kind, with a token for a byte.
func plamo2(text string) func(*File) {
	return func(f *File) {
		f.set("tokenizer.ggml.model", "plamo2")
		f.set("tokenizer.ggml.tokens", []string{"a", text, "ab", "d"})
		f.set("tokenizer.ggml.token_type", []int32{1, 6, 1, 3})
	}
}

// rwkv gives the sample a vocabulary of that kind, with these tokens and "d".
func rwkv(tokens ...string) func(*File) {
	return func(f *File) {
		f.set("tokenizer.ggml.model", "rwkv")
		f.set("tokenizer.ggml.tokens", append(tokens, "d"))
	}
}

// charsmap gives the sample a t5 vocabulary with that table.
func charsmap(table ...byte) func(*File) {
	return func(f *File) {
		f.set("tokenizer.ggml.model", "t5")
		f.Meta = append(f.Meta, Pair{"tokenizer.ggml.precompiled_charsmap", Value{Type: Array, Elem: Uint8, Len: uint64(len(table)), raw: table}})
	}
}

// TestSizesThatOverflow: shapes whose elements or bytes do not fit into 64 bits,
// which llama.cpp took for small ones (CVE-2026-33298).
func TestSizesThatOverflow(t *testing.T) {
	for _, shape := range [][]uint64{{1152, 1<<42 + 1}, {1 << 32, 1 << 31}, {1 << 62, 4}, {32, 1 << 60}, {1 << 63, 1}, {1<<64 - 1, 1<<64 - 1}} {
		f := sample(func(f *File) { f.Tensors[0].Shape = shape })
		if _, err := Read(bytes.NewReader(f.Encode()), 1<<20); !errors.Is(err, ErrFormat) {
			t.Errorf("%v: %v", shape, err)
		}
	}
}

func TestErrorsNameThePlace(t *testing.T) {
	head := sample(nil).Encode()
	_, err := Read(bytes.NewReader(head[:100]), int64(len(head)))
	if err == nil || !strings.Contains(err.Error(), "at byte 100 of") || !strings.Contains(err.Error(), "metadata key 2 of 15") {
		t.Error(err)
	}
}

// TestTypeSizes holds the table against the bits a weight that are published
// for the types (llama.cpp, tools/quantize).
func TestTypeSizes(t *testing.T) {
	for name, bits := range map[string]float64{
		"F32": 32, "F16": 16, "BF16": 16, "Q4_0": 4.5, "Q4_1": 5, "Q5_0": 5.5, "Q5_1": 6, "Q8_0": 8.5, "Q2_K": 2.625,
		"Q3_K": 3.4375, "Q4_K": 4.5, "Q5_K": 5.5, "Q6_K": 6.5625, "IQ2_XXS": 2.0625, "IQ2_XS": 2.3125, "IQ2_S": 2.5625,
		"IQ3_XXS": 3.0625, "IQ3_S": 3.4375, "IQ1_S": 1.5625, "IQ1_M": 1.75, "IQ4_NL": 4.5, "IQ4_XS": 4.25, "TQ1_0": 1.6875,
		"TQ2_0": 2.0625, "MXFP4": 4.25,
	} {
		found := false
		for _, i := range tensorTypes {
			if i.name == name {
				found = true
				if got := 8 * float64(i.bytes) / float64(i.block); got != bits {
					t.Errorf("%s has %g bits, want %g", name, got, bits)
				}
			}
		}
		if !found {
			t.Errorf("no type %s", name)
		}
	}
}

func TestSHA256(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	for p, s := range map[string]string{a: "ab", b: "c"} {
		if err := os.WriteFile(p, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		sum, err := StartSHA256(t.Context(), []string{a, b})()
		// Of "abc", FIPS 180-2, appendix B.1.
		if want := "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"; err != nil || sum != want {
			t.Errorf("%s %v", sum, err)
		}
	}
	if _, err := StartSHA256(t.Context(), []string{filepath.Join(dir, "c")})(); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(sample(nil).Encode())
	f.Add(sample(func(f *File) { f.set("general.alignment", uint32(64)); f.set("x", []float32{1}) }).Encode())
	f.Add([]byte("GGUF"))
	f.Fuzz(func(t *testing.T, data []byte) {
		g, err := Read(bytes.NewReader(data), int64(len(data))+1<<16)
		if err != nil {
			if !errors.Is(err, ErrFormat) {
				t.Fatal(err)
			}
			return
		}
		// What is accepted can be asked for everything, and be written.
		m := &Model{Files: []*File{g}}
		_ = m.Validate()
		_, _, _, _, _ = g.Architecture(), g.Quantisation(), g.ContextLength(), g.Parameters(), g.KVBytesPerToken()
		for _, p := range g.Meta {
			_ = p.Value.String()
			for range p.Value.Strings() {
			}
			for range p.Value.Uints() {
			}
		}
		if g.Alignment != defaultAlign {
			return
		}
		if _, err := Read(bytes.NewReader(g.Encode()), g.Size); err != nil {
			t.Fatalf("written anew: %v", err)
		}
	})
}
