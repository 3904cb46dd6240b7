package gguf

import (
	"errors"
	"fmt"
	"strings"
)

// What the bundled llama.cpp (ec98e2002, of December 2025) cannot read safely,
// and where it was reported or mended since. Each is refused here, before the
// library sees the file:
//
//   - PLaMo-2's byte tokens that are no hex digits, such as <0x-1>, write before
//     an array: ggml-org/llama.cpp#27226, mended by #26511. byteTokens.
//   - Shapes whose sizes overflow make tensors smaller than they say:
//     CVE-2026-33298 (GHSA-96jg-mvhq-q7q7), mended in b7824. decoder.tensor.
//   - Counts that overflow the size of the header's memory: CVE-2026-27940
//     (GHSA-3p4r-fq3f-q74v), mended by #19856 (b8146). decoder.count.
//   - Arrays of narrower elements than are read (scores, token types):
//     #24888. checkVocabulary.
//   - A precompiled_charsmap shorter than its own header: #18750, #24888.
//     charsmap.
//   - More layers than llama.cpp has room for: #25513, mended by #26051.
//     checkHyper.
//   - Default ids of special tokens beyond a small vocabulary, which are looked
//     up without a check: #25475. specialTokens.
//   - Tokens of megabytes, which build tries by recursion. tokenLengths.

// maxToken is the most bytes of a token; published ones have a few hundred.
const maxToken = 1 << 13

// byteType is LLAMA_TOKEN_TYPE_BYTE.
const byteType = 6

// vocabularyChecks refuse what is listed above of a vocabulary of this model
// (tokenizer.ggml.model).
func (m *Model) vocabularyChecks(model string, tokens Value) error {
	for _, check := range []func(string, Value) error{m.byteTokens, m.specialTokens, m.charsmap} {
		if err := check(model, tokens); err != nil {
			return err
		}
	}
	return nil
}

// byteTokens checks the texts of plamo2's tokens for single bytes, <0x00> to
// <0xFF>; the other vocabularies' are read with care.
func (m *Model) byteTokens(model string, tokens Value) error {
	if model != "plamo2" {
		return nil
	}
	types, ok := m.Files[0].Lookup("tokenizer.ggml.token_type")
	if !ok {
		return nil
	}
	isByte := make([]bool, tokens.Len)
	for i, t := range types.Uints() {
		isByte[i] = t == byteType
	}
	for i, s := range tokens.Strings() {
		if !isByte[i] {
			continue
		}
		if digits, ok := strings.CutPrefix(s, "<0x"); !ok || len(digits) != 3 || digits[2] != '>' || !isHex(digits[0]) || !isHex(digits[1]) {
			return fmt.Errorf("token %d is said to be a byte and is %q, not <0x00> to <0xFF>", i, clip(s))
		}
	}
	return nil
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// defaultTokens are the ids of special tokens that llama.cpp takes where a file
// gives none that is in its vocabulary.
var defaultTokens = map[string]map[string]uint64{
	"llama":  {"bos": 1, "eos": 2, "unknown": 0},
	"bert":   {"bos": 101, "unknown": 100, "seperator": 102, "padding": 0, "mask": 103}, // as GGUF spells it
	"gpt2":   {"bos": 11, "eos": 11},
	"t5":     {"eos": 1, "unknown": 2, "padding": 0},
	"plamo2": {"bos": 1, "eos": 2, "unknown": 0, "padding": 3},
}

// specialTokens checks that the ids that will be in force are in the vocabulary.
func (m *Model) specialTokens(model string, tokens Value) error {
	for name, id := range defaultTokens[model] {
		key := "tokenizer.ggml." + name + "_token_id"
		if v, ok := m.Files[0].Lookup(key); ok {
			if n, isUint := v.Uint(); isUint && n < tokens.Len {
				continue
			}
		}
		if id >= tokens.Len {
			return fmt.Errorf("%s is none of the %d tokens, and %d, which llama.cpp would take, is none either", key, tokens.Len, id)
		}
	}
	return nil
}

// charsmap checks that the normalisation table of a t5 vocabulary holds what its
// header says: the size of a trie, and the trie.
func (m *Model) charsmap(model string, _ Value) error {
	v, ok := m.Files[0].Lookup("tokenizer.ggml.precompiled_charsmap")
	if !ok || model != "t5" || v.Len == 0 {
		return nil
	}
	const header = 4
	if v.Len < header {
		return fmt.Errorf("tokenizer.ggml.precompiled_charsmap has %d bytes, less than its header", v.Len)
	}
	if n := number(Uint32, v.raw); n > v.Len-header {
		return fmt.Errorf("tokenizer.ggml.precompiled_charsmap has %d bytes and says that %d are its trie", v.Len, n)
	}
	return nil
}

// tokenLengths checks that no token is absurdly long.
func tokenLengths(tokens Value) error {
	for i, s := range tokens.Strings() {
		if len(s) > maxToken {
			return fmt.Errorf("token %d has %d bytes, and %d are the most", i, len(s), maxToken)
		}
	}
	return nil
}

var errNoTokens = errors.New("tokenizer.ggml.tokens is missing")

// Warnings tells what the metadata leaves out and llama.cpp fills in with a guess
// that changes what the model reads or writes, each in a line. Of a missing
// pre-tokenizer llama.cpp warns itself.
func (m *Model) Warnings() []string {
	f := m.Files[0]
	var out []string
	model, has := f.Text("tokenizer.ggml.model"), func(key string) bool { _, ok := f.Lookup("tokenizer.ggml." + key); return ok }
	v, _ := f.Lookup("tokenizer.ggml.add_bos_token")
	if begins, _ := v.Bool(); (begins || model == "llama") && defaultTokens[model] != nil && !has("bos_token_id") {
		out = append(out, fmt.Sprintf("the file names no token that begins a prompt (tokenizer.ggml.bos_token_id): %d is taken", defaultTokens[model]["bos"]))
	}
	if defaultTokens[model] != nil && !has("eos_token_id") {
		out = append(out, fmt.Sprintf("the file names no token that ends an answer (tokenizer.ggml.eos_token_id): %d is taken", defaultTokens[model]["eos"]))
	}
	return out
}
