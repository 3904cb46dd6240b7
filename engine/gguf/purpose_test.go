package gguf

import (
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"
)

// renamed gives the sample another architecture.
func renamed(arch string) func(*File) {
	return func(f *File) {
		for i, p := range f.Meta {
			if rest, ok := strings.CutPrefix(p.Key, "llama."); ok {
				f.Meta[i].Key = arch + "." + rest
			}
		}
		f.set("general.architecture", arch)
	}
}

// named keeps no tensors but these.
func named(names ...string) func(*File) {
	return func(f *File) {
		f.Tensors = nil
		for _, n := range names {
			f.Tensors = append(f.Tensors, Tensor{Name: n, Type: F32, Shape: []uint64{32, 4}})
		}
	}
}

func TestGenerates(t *testing.T) {
	key := func(key string, value any) func(*File) { return func(f *File) { f.set(key, value) } }
	both := func(a, b func(*File)) func(*File) { return func(f *File) { a(f); b(f) } }
	for name, c := range map[string]struct {
		set  func(*File)
		want string
	}{
		"a model":             {nil, ""},
		"no pooling":          {key("llama.pooling_type", uint32(0)), ""},
		"causal":              {key("llama.attention.causal", true), ""},
		"said to be a model":  {key("general.type", "model"), ""},
		"bert":                {renamed("bert"), "an encoder, for embeddings (bert)"},
		"gemma embedding":     {renamed("gemma-embedding"), "an encoder"},
		"t5":                  {renamed("t5"), "an encoder-decoder"},
		"t5 encoder":          {renamed("t5encoder"), "an encoder,"},
		"two halves":          {both(renamed("new"), named("enc.blk.0.x.weight", "dec.blk.0.x.weight", "token_embd.weight")), "an encoder-decoder"},
		"one half":            {both(renamed("new"), named("enc.blk.0.x.weight", "token_embd.weight")), "an encoder,"},
		"a decoder's start":   {key("llama.decoder_start_token_id", uint32(0)), "an encoder-decoder"},
		"not causal":          {key("llama.attention.causal", false), "not causal"},
		"mean pooling":        {key("llama.pooling_type", uint32(1)), "for embeddings"},
		"last pooling":        {key("llama.pooling_type", uint32(3)), "for embeddings"},
		"rank pooling":        {key("llama.pooling_type", uint32(4)), "a reranker"},
		"classifier":          {func(f *File) { f.Tensors[1].Name = "cls.output.weight" }, "a classifier"},
		"diffusion":           {renamed("llada"), "a diffusion model"},
		"images":              {renamed("flux"), "a model of images"},
		"draft":               {renamed("eagle3"), "a draft head"},
		"vocabulary":          {named(), "a vocabulary alone"},
		"no layers":           {named("token_embd.weight", "output.weight"), "no layers"},
		"no output":           {func(f *File) { f.Tensors = f.Tensors[1:] }, "no output"},
		"an adapter":          {both(key("general.type", "adapter"), named("blk.0.attn_q.weight.lora_a")), "an adapter"},
		"an adapter by key":   {key("adapter.type", "lora"), "an adapter"},
		"an adapter by names": {named("blk.0.attn_q.weight.lora_a", "blk.0.attn_q.weight.lora_b"), "an adapter"},
		"a control vector":    {both(renamed("controlvector"), named("direction.1")), "a control vector"},
		"a projector":         {both(renamed("clip"), named("v.blk.0.attn_q.weight")), "a projector"},
		"a projector by type": {key("general.type", "mmproj"), "a projector"},
		"a projector by key":  {both(renamed("siglip"), key("clip.has_vision_encoder", true)), "a projector"},
		"importance":          {both(key("general.type", "imatrix"), key("general.architecture", nil)), "an importance matrix"},
	} {
		_, err := OpenModel(save(t, t.TempDir(), "m.gguf", sample(c.set)))
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.want != "" && (!errors.Is(err, ErrNoGenerator) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n")):
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// What nobody knows is not refused, and not called well either.
func TestUnknownArchitecture(t *testing.T) {
	m, err := OpenModel(save(t, t.TempDir(), "m.gguf", sample(renamed("of-tomorrow"))))
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Generates(); !errors.Is(err, ErrUnknownArchitecture) || errors.Is(err, ErrNoGenerator) || !strings.Contains(err.Error(), "of-tomorrow") {
		t.Error(err)
	}
}

// TestArchitecturesOfTheEngine holds the lists to the sources that the engine is
// built from: each of their architectures is in one.
func TestArchitecturesOfTheEngine(t *testing.T) {
	source, err := os.ReadFile("../llama/upstream/llama/llama.cpp/src/llama-arch.cpp")
	if err != nil {
		t.Skip("llama.cpp's sources are not here: make links them")
	}
	_, table, _ := strings.Cut(string(source), "LLM_ARCH_NAMES = {")
	table, _, _ = strings.Cut(table, "};")
	names := map[string]bool{}
	for _, m := range regexp.MustCompile(`LLM_ARCH_\w+,\s*"([^"(]+)"`).FindAllStringSubmatch(table, -1) {
		names[m[1]] = true
		if specialists[m[1]] == "" && !generators[m[1]] && m[1] != "clip" {
			t.Errorf("%s: generates text or not?", m[1])
		}
	}
	for name := range generators {
		if !names[name] {
			t.Errorf("%s: llama.cpp knows none of that name", name)
		}
		if specialists[name] != "" {
			t.Errorf("%s is in both lists", name)
		}
	}
}

func TestWarnings(t *testing.T) {
	warnings := func(set func(*File)) string {
		m, err := OpenModel(save(t, t.TempDir(), "m.gguf", sample(set)))
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(m.Warnings(), "\n")
	}
	whole := func(f *File) { f.set("tokenizer.ggml.pre", "llama-bpe"); f.set("tokenizer.ggml.add_bos_token", true) }
	if w := warnings(whole); w != "" {
		t.Errorf("of a whole file: %s", w)
	}
	for key, want := range map[string]string{"bos_token_id": "begins a prompt", "eos_token_id": "ends an answer"} {
		w := warnings(func(f *File) {
			whole(f)
			f.set("tokenizer.ggml.model", "llama")
			f.set("tokenizer.ggml."+key, nil)
		})
		if !strings.Contains(w, want) || strings.Contains(w, "\n") {
			t.Errorf("without %s: %s", key, w)
		}
	}
}
