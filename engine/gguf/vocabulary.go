package gguf

import (
	"bytes"
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
//   - A precompiled_charsmap shorter than its own header: #18750, #24888; and
//     one of which the last replacement does not end, which is read on as a C
//     string (normalize_prefix, llama-vocab.cpp:1099). charsmap.
//   - RWKV's tokens of which the first byte is no token by itself: where nothing
//     longer matches, the tokenizer begins again at the text's first byte and
//     appends tokens until memory ends (llm_tokenizer_rwkv_session,
//     llama-vocab.cpp:1195); tokens with a zero byte after others match the end
//     of a text and have it read on beyond that (line 1214). rwkvTokens.
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
	for _, check := range []func(string, Value) error{m.byteTokens, m.rwkvTokens, m.specialTokens, m.charsmap} {
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

// rwkvTokens checks that each token's first byte is a token by itself, and that no
// token has a zero byte but as its first.
func (m *Model) rwkvTokens(model string, tokens Value) error {
	if model != "rwkv" {
		return nil
	}
	var single [256]bool
	var first [256]int // 1 + the first token that begins so; 0: none
	for i, s := range tokens.Strings() {
		b := unescapeRWKV(asRead(i, s))
		if len(b) == 0 {
			continue // it matches nothing
		}
		if bytes.IndexByte(b[1:], 0) >= 0 {
			return fmt.Errorf("token %d has a zero byte after others", i)
		}
		if first[b[0]] == 0 {
			first[b[0]] = i + 1
		}
		single[b[0]] = single[b[0]] || len(b) == 1
	}
	for b, i := range first {
		if i > 0 && !single[b] {
			return fmt.Errorf("token %d begins with %q, which is no token by itself", i-1, string([]byte{byte(b)}))
		}
	}
	return nil
}

// unescapeRWKV reads a token as llama_unescape_rwkv_token does, with what that
// makes of digits that are none: \t, \n, \r, \xff, and any other byte after a
// backslash for itself.
func unescapeRWKV(s string) []byte {
	out := make([]byte, 0, len(s))
	escaping, digits, value := false, 0, byte(0)
	for _, c := range []byte(s) {
		switch {
		case digits > 0:
			digit := c - '0'
			if c >= 'a' && c < 0x80 { // a char is signed there
				digit = c - 'a' + 10
			}
			if value, digits = value<<4+digit, digits-1; digits == 0 {
				out, value = append(out, value), 0
			}
		case escaping && c == 'x':
			escaping, digits = false, 2
		case escaping:
			if i := strings.IndexByte("tnr", c); i >= 0 {
				c = "\t\n\r"[i]
			}
			out, escaping = append(out, c), false
		case c == '\\':
			escaping = true
		default:
			out = append(out, c)
		}
	}
	return out
}

// asRead is token i as llama.cpp has it, which reads C strings.
func asRead(i int, s string) string {
	if n := strings.IndexByte(s, 0); n >= 0 {
		s = s[:n]
	}
	if s == "" {
		s = fmt.Sprintf("[EMPTY_%d]", i)
	}
	return s
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
	if v.raw[v.Len-1] != 0 {
		return errors.New("tokenizer.ggml.precompiled_charsmap does not end in a zero, as its last replacement must")
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
