package gguf

import (
	"errors"
	"fmt"
	"strings"
)

// ErrNoGenerator is wrapped by errors about files that are sound, and hold
// something else than a model that generates text.
var ErrNoGenerator = errors.New("not a model that generates text")

// ErrUnknownArchitecture is wrapped where nothing speaks against a model but
// that the bundled llama.cpp has no architecture of its name.
var ErrUnknownArchitecture = errors.New("unknown architecture")

// Generates tells whether the model generates text token by token: nil if so,
// an error that wraps ErrNoGenerator and says what it is instead, or one that
// wraps ErrUnknownArchitecture where that cannot be told. It is the one rule for
// lists, commands and backends: llama.cpp loads many of the former and would
// generate nonsense, or abort the process.
func (m *Model) Generates() error {
	head := m.Files[0]
	for _, is := range []func(*Model, *File) string{accessory, specialised, headless} {
		if what := is(m, head); what != "" {
			return fmt.Errorf("%w: %s", ErrNoGenerator, what)
		}
	}
	if arch := head.Architecture(); arch != "" && !generators[arch] {
		return fmt.Errorf("%w %q", ErrUnknownArchitecture, clip(arch))
	}
	return nil // a missing architecture is Validate's to tell
}

// accessory names a file that belongs to a model and is none by itself.
func accessory(m *Model, head *File) string {
	_, adapter := head.Lookup("adapter.type")
	_, looks := head.Lookup("clip.has_vision_encoder")
	_, hears := head.Lookup("clip.has_audio_encoder")
	kind, arch := head.Text("general.type"), head.Architecture()
	switch {
	case arch == "controlvector" || m.all(func(n string) bool { return strings.HasPrefix(n, "direction.") }):
		return "a control vector, which is no model by itself"
	case adapter || kind == "adapter" || m.all(func(n string) bool {
		return strings.HasSuffix(n, ".lora_a") || strings.HasSuffix(n, ".lora_b")
	}):
		return "an adapter (LoRA), which is no model by itself"
	case kind == "mmproj" || arch == "clip" || looks || hears:
		return "a projector of images or sound, which is no model by itself"
	case kind == "imatrix" || arch == "imatrix":
		return "an importance matrix, which is no model by itself"
	}
	return ""
}

// specialised names a model that is made for something else.
func specialised(m *Model, head *File) string {
	arch := head.Architecture()
	if what := specialists[arch]; what != "" {
		return fmt.Sprintf("%s (%s)", what, arch)
	}
	decodes := m.any(func(n string) bool { return strings.HasPrefix(n, "dec.") || strings.HasPrefix(n, "decoder.") })
	encodes := m.any(func(n string) bool { return strings.HasPrefix(n, "enc.") || strings.HasPrefix(n, "encoder.") })
	_, starts := head.Lookup(arch + ".decoder_start_token_id")
	switch {
	case encodes && decodes, starts:
		return fmt.Sprintf("%s (%s)", encoderDecoder, arch)
	case encodes:
		return fmt.Sprintf("%s (%s)", encoder, arch)
	}
	if v, ok := head.Lookup(arch + ".attention.causal"); ok {
		if causal, isBool := v.Bool(); isBool && !causal {
			return fmt.Sprintf("%s (its attention is not causal)", encoder)
		}
	}
	// llama_pooling_type; 0 is none.
	if n := head.Hyper("pooling_type"); n >= 1 && n <= 3 {
		return "a model for embeddings (it pools its tokens)"
	} else if n == 4 {
		return "a reranker (it ranks texts)"
	}
	if m.any(func(n string) bool { return n == "cls" || strings.HasPrefix(n, "cls.") }) {
		return "a classifier (it has cls tensors)"
	}
	return ""
}

// headless names a model that lacks what its tokens come from.
func headless(m *Model, _ *File) string {
	named := func(names ...string) bool {
		for _, n := range names {
			if _, ok := m.tensor(n); ok {
				return true
			}
		}
		return false
	}
	switch {
	case !m.any(func(string) bool { return true }):
		return "a vocabulary alone (it has no weights)"
	case !m.any(func(n string) bool { return strings.HasPrefix(n, "blk.") }) && generators[m.Files[0].Architecture()]:
		return "no layers (it has no blk tensors)"
	case !named("output.weight", "token_embd.weight"):
		return "no output (it has neither output.weight nor token_embd.weight)"
	}
	return ""
}

// any tells whether a tensor of the model has a name like that.
func (m *Model) any(like func(name string) bool) bool {
	for _, f := range m.Files {
		for _, t := range f.Tensors {
			if like(t.Name) {
				return true
			}
		}
	}
	return false
}

// all tells whether every tensor has a name like that, and there is one.
func (m *Model) all(like func(name string) bool) bool {
	return m.any(like) && !m.any(func(n string) bool { return !like(n) })
}
