package gguf

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Limits of llama.cpp (llama-hparams.h) and of what is sane.
const (
	maxLayers  = 512
	maxExperts = 512
)

// Validate finds what llama.cpp would abort the process on, or read outside
// its memory for, rather than refuse: it checks the types of the metadata that
// it reads unseen, the vocabulary's consistency, and, for the architectures
// llama and qwen2, every tensor's shape and type against the hyper-parameters.
// What llama.cpp refuses by itself, such as an architecture that it does not
// know, is left to it. Errors wrap ErrFormat.
func (m *Model) Validate() error {
	for _, check := range []func() error{m.checkSplits, m.checkHyper, m.checkVocabulary, m.checkTensors} {
		if err := check(); err != nil {
			return fmt.Errorf("%w: %w", ErrFormat, err)
		}
	}
	return nil
}

// key returns the full name of a hyper-parameter.
func (m *Model) key(name string) string { return m.Files[0].Architecture() + "." + name }

func (m *Model) checkSplits() error {
	names := map[string]bool{}
	for i, f := range m.Files {
		for _, key := range []string{"split.no", "split.count"} {
			if v, ok := f.Lookup(key); ok && v.Type != Uint16 {
				return fmt.Errorf("%s is %v, not u16", key, v.Type)
			} else if !ok && len(m.Files) > 1 {
				return fmt.Errorf("part %d lacks %s", i+1, key)
			}
		}
		for _, t := range f.Tensors {
			if names[t.Name] {
				return fmt.Errorf("tensor %q is in two parts", t.Name)
			}
			names[t.Name] = true
		}
	}
	return nil
}

// number reads a hyper-parameter that must be a u32 if it is there.
func (m *Model) number(name string, required bool, least, most uint64) (uint64, error) {
	v, ok := m.Files[0].Lookup(m.key(name))
	if !ok {
		if required {
			return 0, fmt.Errorf("%s is missing", m.key(name))
		}
		return 0, nil
	}
	if v.Type != Uint32 {
		return 0, fmt.Errorf("%s is %v, not u32", m.key(name), v.Type)
	}
	n, _ := v.Uint()
	if n < least || n > most {
		return 0, fmt.Errorf("%s is %d, not %d to %d", m.key(name), n, least, most)
	}
	return n, nil
}

// known tells whether every tensor of the architecture is checked.
func (m *Model) known() bool {
	a := m.Files[0].Architecture()
	return a == "llama" || a == "qwen2"
}

func (m *Model) checkHyper() error {
	f := m.Files[0]
	if v, ok := f.Lookup("general.architecture"); !ok || v.Type != String || len(v.raw) == 0 {
		return errors.New("general.architecture is missing")
	}
	if _, err := m.number("block_count", m.known(), 1, maxLayers); err != nil {
		return err
	}
	if _, err := m.number("context_length", m.known(), 1, math.MaxInt32); err != nil {
		return err
	}
	if _, err := m.number("embedding_length", m.known(), 1, 1<<20); err != nil {
		return err
	}
	experts, err := m.number("expert_count", false, 0, maxExperts)
	if err != nil {
		return err
	}
	used, err := m.number("expert_used_count", false, 0, experts)
	if err != nil {
		return err
	}
	if (experts > 0) != (used > 0) {
		return fmt.Errorf("%d experts of which %d are used", experts, used)
	}
	groups, err := m.number("expert_group_count", false, 0, max(1, experts)-1)
	if err != nil {
		return err
	}
	groupsUsed, err := m.number("expert_group_used_count", false, 0, groups)
	if err != nil {
		return err
	}
	if groups > 1 && (experts%groups != 0 || groupsUsed == 0 || groupsUsed >= groups) {
		return fmt.Errorf("%d experts in %d groups of which %d are used", experts, groups, groupsUsed)
	}
	for _, name := range []string{"feed_forward_length", "attention.head_count", "attention.head_count_kv"} {
		v, ok := f.Lookup(m.key(name))
		if ok && v.Type == Array && v.Elem != Uint32 && v.Elem != Int32 {
			return fmt.Errorf("%s holds %v, not u32", m.key(name), v.Elem)
		}
	}
	if v, ok := f.Lookup(m.key("rope.scaling.type")); ok {
		s, _ := v.Text()
		if !slices.Contains([]string{"none", "linear", "yarn", "longrope"}, s) {
			return fmt.Errorf("%s is %v", m.key("rope.scaling.type"), v)
		}
	}
	if v, ok := f.Lookup(m.key("classifier.output_labels")); ok && v.Type == Array && v.Elem != String {
		return fmt.Errorf("%s holds %v, not strings", m.key("classifier.output_labels"), v.Elem)
	}
	for _, name := range []string{"attention.layer_norm_rms_epsilon", "attention.layer_norm_epsilon"} {
		v, ok := f.Lookup(m.key(name))
		if e, _ := v.Float(); ok && (v.Type != Float32 || !(e >= 0 && e < 1)) {
			return fmt.Errorf("%s is %v", m.key(name), v)
		}
	}
	return nil
}

// checkVocabulary follows llama_vocab::impl::load.
func (m *Model) checkVocabulary() error {
	f := m.Files[0]
	kind, ok := f.Lookup("tokenizer.ggml.model")
	if !ok {
		return errors.New("tokenizer.ggml.model is missing")
	}
	var rows uint64
	if t, ok := m.tensor("token_embd.weight"); ok && len(t.Shape) == 2 {
		rows = t.Shape[1]
	}
	model, _ := kind.Text()
	if model == "no_vocab" || model == "none" {
		if v, ok := f.Lookup(m.key("vocab_size")); ok {
			if n, _ := v.Uint(); n != rows {
				return fmt.Errorf("%s is %d where the embedding has %d rows", m.key("vocab_size"), n, rows)
			}
		}
		return nil
	}
	array := func(name string, elems ...ValueType) (Value, bool, error) {
		v, ok := f.Lookup("tokenizer.ggml." + name)
		if ok && (v.Type != Array || !slices.Contains(elems, v.Elem)) {
			return v, ok, fmt.Errorf("tokenizer.ggml.%s is %v, not an array of %v", name, v, elems[0])
		}
		return v, ok, nil
	}
	tokens, ok, err := array("tokens", String)
	if err != nil {
		return err
	}
	if !ok || tokens.Len == 0 {
		return errNoTokens
	}
	if m.known() && tokens.Len != rows {
		return fmt.Errorf("%d tokens where the embedding has %d rows", tokens.Len, rows)
	}
	if _, ok, err := array("merges", String); err != nil || !ok && model == "gpt2" {
		return cmpErr(err, "tokenizer.ggml.merges is missing")
	}
	for name, elems := range map[string][]ValueType{"scores": {Float32}, "token_type": {Int32, Uint32}} {
		v, ok, err := array(name, elems...)
		if err != nil {
			return err
		}
		if ok && v.Len != tokens.Len {
			return fmt.Errorf("tokenizer.ggml.%s has %d entries for %d tokens", name, v.Len, tokens.Len)
		}
	}
	if _, _, err := array("precompiled_charsmap", Uint8, Int8); err != nil {
		return err
	}
	if _, _, err := array("suppress_tokens", Int32, Uint32); err != nil {
		return err
	}
	if err := tokenLengths(tokens); err != nil {
		return err
	}
	if err := m.vocabularyChecks(model, tokens); err != nil {
		return err
	}
	return uniqueTokens(tokens)
}

// uniqueTokens checks that llama.cpp, which reads tokens as C strings, ends up
// with as many as there are.
func uniqueTokens(tokens Value) error {
	seen := make(map[string]int, tokens.Len)
	for i, s := range tokens.Strings() {
		s = asRead(i, s)
		if j, ok := seen[s]; ok {
			return fmt.Errorf("tokens %d and %d are both %q", j, i, clip(s))
		}
		seen[s] = i
	}
	return nil
}

func cmpErr(err error, otherwise string) error {
	if err != nil {
		return err
	}
	return errors.New(otherwise)
}

func (m *Model) checkTensors() error {
	for _, f := range m.Files {
		for _, t := range f.Tensors {
			if len(t.Shape) > 1 && strings.HasSuffix(t.Name, ".weight") && !tensorTypes[t.Type].weight {
				return fmt.Errorf("tensor %q has type %v, which no weight has", t.Name, t.Type)
			}
		}
	}
	if !m.known() {
		return nil
	}
	experts := m.Files[0].Hyper("expert_count")
	if experts > 0 {
		return nil // a mixture: llama.cpp checks the shapes itself
	}
	return m.checkDense()
}

// checkDense checks a llama or qwen2 model without experts.
func (m *Model) checkDense() error {
	f := m.Files[0]
	embd, layers := f.Hyper("embedding_length"), f.Hyper("block_count")
	heads, err := m.number("attention.head_count", true, 1, embd)
	if err != nil {
		return err
	}
	kvHeads, err := m.number("attention.head_count_kv", false, 1, heads)
	if err != nil {
		return err
	}
	if kvHeads == 0 {
		kvHeads = heads
	}
	if heads%kvHeads != 0 {
		return fmt.Errorf("%d attention heads are no multiple of %d key-value heads", heads, kvHeads)
	}
	ff, err := m.number("feed_forward_length", true, 1, 1<<24)
	if err != nil {
		return err
	}
	var dims [3]uint64 // of a head's key, value, rotation
	for i, name := range []string{"attention.key_length", "attention.value_length", "rope.dimension_count"} {
		if dims[i], err = m.number(name, false, 1, embd); err != nil {
			return err
		}
	}
	for i, otherwise := range []uint64{embd / heads, embd / heads, 0} {
		if dims[i] == 0 {
			dims[i] = otherwise
		}
	}
	keyLen, valueLen, rot := dims[0], dims[1], dims[2]
	if rot == 0 {
		rot = keyLen
	}
	if rot > keyLen || rot%2 != 0 {
		return fmt.Errorf("%d of a head's %d dimensions are rotated", rot, keyLen)
	}
	vocab := uint64(0)
	if t, ok := m.tensor("token_embd.weight"); ok && len(t.Shape) == 2 {
		vocab = t.Shape[1]
	}
	if vocab > math.MaxInt32 {
		return fmt.Errorf("vocabulary of %d tokens", vocab)
	}
	if err := m.shape("token_embd.weight", true, embd, vocab); err != nil {
		return err
	}
	checks := []tensorCheck{
		{"output_norm.weight", true, []uint64{embd}},
		{"output.weight", false, []uint64{embd, vocab}},
		{"output.bias", false, []uint64{vocab}},
		{"rope_freqs.weight", false, []uint64{rot / 2}},
	}
	for i := range layers {
		bias := f.Architecture() == "qwen2"
		for _, c := range []tensorCheck{
			{"attn_norm.weight", true, []uint64{embd}},
			{"attn_q.weight", true, []uint64{embd, heads * keyLen}},
			{"attn_k.weight", true, []uint64{embd, kvHeads * keyLen}},
			{"attn_v.weight", true, []uint64{embd, kvHeads * valueLen}},
			{"attn_output.weight", true, []uint64{heads * valueLen, embd}},
			{"attn_q.bias", bias, []uint64{heads * keyLen}},
			{"attn_k.bias", bias, []uint64{kvHeads * keyLen}},
			{"attn_v.bias", bias, []uint64{kvHeads * valueLen}},
			{"attn_output.bias", false, []uint64{embd}},
			{"ffn_norm.weight", true, []uint64{embd}},
			{"ffn_gate.weight", true, []uint64{embd, ff}},
			{"ffn_up.weight", true, []uint64{embd, ff}},
			{"ffn_down.weight", true, []uint64{ff, embd}},
			{"ffn_gate.bias", false, []uint64{ff}},
			{"ffn_up.bias", false, []uint64{ff}},
			{"ffn_down.bias", false, []uint64{embd}},
			{"rope_freqs.weight", false, []uint64{rot / 2}},
		} {
			c.name = fmt.Sprintf("blk.%d.%s", i, c.name)
			checks = append(checks, c)
		}
	}
	for _, c := range checks {
		if err := m.shape(c.name, c.required, c.shape...); err != nil {
			return err
		}
	}
	return nil
}

type tensorCheck struct {
	name     string
	required bool
	shape    []uint64
}

// shape checks one tensor; vectors must be F32.
func (m *Model) shape(name string, required bool, shape ...uint64) error {
	t, ok := m.tensor(name)
	if !ok {
		if required {
			return fmt.Errorf("tensor %q is missing", name)
		}
		return nil
	}
	got := t.Shape
	for len(got) > len(shape) && got[len(got)-1] == 1 {
		got = got[:len(got)-1]
	}
	if !slices.Equal(got, shape) {
		return fmt.Errorf("tensor %q has shape %v where the metadata says %v", name, t.Shape, shape)
	}
	if len(shape) == 1 && t.Type != F32 {
		return fmt.Errorf("tensor %q has type %v, not F32", name, t.Type)
	}
	return nil
}
