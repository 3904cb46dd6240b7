package synth

import (
	"fmt"
	"math"

	"github.com/tiktoken-go/tokenizer/codec"
)

// Types of tokens in a GGUF (llama_token_type).
const (
	normalToken  int32 = 1
	controlToken int32 = 3
	unusedToken  int32 = 5
)

// vocabulary is a byte-level BPE.
type vocabulary struct {
	dialect
	tokens []string // as GPT-2 writes bytes
	types  []int32
	merges []string
	bos    int // -1: none
	eos    int
}

// newVocabulary builds the vocabulary of a shape. Its ordinary tokens are those
// of cl100k_base in their order, which is the order they were merged in, so
// that the first N are a BPE of N; where that has too few, tokens of o200k_base
// that it lacks follow. Llama 3's own vocabulary extends cl100k_base as well,
// and Qwen's is built like it, so lengths come out alike; Gemma's own is another
// kind, and lengths come out near.
func newVocabulary(s Shape) (vocabulary, error) {
	raw, err := ordinaryTokens(s.Vocabulary - s.SpecialTokens)
	if err != nil {
		return vocabulary{}, err
	}
	d, ok := dialects[s.Architecture]
	if !ok {
		return vocabulary{}, fmt.Errorf("no vocabulary for the architecture %q", s.Architecture)
	}
	v := vocabulary{dialect: d, merges: deriveMerges(raw), bos: -1}
	for _, t := range raw {
		v.tokens = append(v.tokens, byteText(t))
		v.types = append(v.types, normalToken)
	}
	for i := range s.SpecialTokens {
		name, kind := fmt.Sprintf(d.filler, i), d.fillerType
		if i < len(d.specials) && d.specials[i] != "" {
			name, kind = d.specials[i], controlToken
		}
		switch name {
		case d.bosName:
			v.bos = len(v.tokens)
		case d.eosName:
			v.eos = len(v.tokens)
		}
		v.tokens = append(v.tokens, name)
		v.types = append(v.types, kind)
	}
	return v, nil
}

// dialect is how a family of models begins, ends and pads text.
type dialect struct {
	pre              string   // how text is cut before it is merged, by llama.cpp's name
	specials         []string // at their published places after the ordinary ones
	filler           string   // names the other special tokens by number
	fillerType       int32
	bosName, eosName string // "": none
	template         string
}

// dialects are by architecture. The chat templates are cut to what a single
// question needs; llama.cpp knows each by its markers.
var dialects = map[string]dialect{
	"llama": {
		pre: "llama-bpe", filler: "<|reserved_special_token_%d|>", fillerType: controlToken,
		specials: []string{
			0: "<|begin_of_text|>", 1: "<|end_of_text|>", 6: "<|start_header_id|>",
			7: "<|end_header_id|>", 8: "<|eom_id|>", 9: "<|eot_id|>", 10: "<|python_tag|>",
		},
		bosName: "<|begin_of_text|>", eosName: "<|end_of_text|>",
		template: `{{ bos_token }}{% for message in messages %}<|start_header_id|>{{ message['role'] }}<|end_header_id|>

{{ message['content'] }}<|eot_id|>{% endfor %}{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>

{% endif %}`,
	},
	"qwen2":    qwenDialect,
	"qwen3":    qwenDialect,
	"qwen3moe": qwenDialect,
	"gemma3": {
		pre: "llama-bpe", filler: "<unused%d>", fillerType: unusedToken,
		specials: []string{"<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>"},
		bosName:  "<bos>", eosName: "<eos>",
		template: `{{ bos_token }}{% for message in messages %}<start_of_turn>{{ message['role'] }}
{{ message['content'] }}<end_of_turn>
{% endfor %}{% if add_generation_prompt %}<start_of_turn>model
{% endif %}`,
	},
	"gpt-oss": {
		pre: "gpt-4o", filler: "<|reserved_%d|>", fillerType: controlToken,
		specials: []string{
			0: "<|startoftext|>", 1: "<|endoftext|>", 4: "<|return|>", 5: "<|constrain|>",
			7: "<|channel|>", 8: "<|start|>", 9: "<|end|>", 10: "<|message|>",
		},
		eosName: "<|return|>",
		template: `{% for message in messages %}<|start|>{{ message['role'] }}<|message|>{{ message['content'] }}<|end|>` +
			`{% endfor %}{% if add_generation_prompt %}<|start|>assistant<|channel|>{% endif %}`,
	},
	"phi3": {
		pre: "llama-bpe", filler: "<|dummy_%d|>", fillerType: controlToken,
		specials: []string{"<|dummy|>", "<|endoftext|>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|im_start|>", "<|im_end|>", "<|im_sep|>"},
		eosName:  "<|endoftext|>",
		template: `{% for message in messages %}<|im_start|>{{ message['role'] }}<|im_sep|>{{ message['content'] }}<|im_end|>` +
			`{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant<|im_sep|>{% endif %}`,
	},
	"mamba": {
		pre: "gpt-2", filler: "<|padding_%d|>", fillerType: unusedToken,
		specials: []string{"<|endoftext|>"}, eosName: "<|endoftext|>",
	},
}

var qwenDialect = dialect{
	pre: "qwen2", filler: "[PAD%d]", fillerType: unusedToken,
	specials: []string{"<|endoftext|>", "<|im_start|>", "<|im_end|>"},
	eosName:  "<|im_end|>",
	template: `{% for message in messages %}<|im_start|>{{ message['role'] }}
{{ message['content'] }}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}`,
}

// ordinaryTokens returns n tokens as bytes, in the order of their ranks.
func ordinaryTokens(n int) ([]string, error) {
	tokens, have := make([]string, 0, n), make(map[string]bool, n)
	for _, source := range []func() *codec.Codec{codec.NewCl100kBase, codec.NewO200kBase} {
		if len(tokens) == n {
			break
		}
		c := source()
		for id := uint(0); len(tokens) < n; id++ {
			t, err := c.Decode([]uint{id})
			if err != nil {
				break // past the last
			}
			if !have[t] {
				have[t] = true
				tokens = append(tokens, t)
			}
		}
	}
	if len(tokens) < n {
		return nil, fmt.Errorf("the embedded vocabularies have %d tokens, %d are needed", len(tokens), n)
	}
	return tokens, nil
}

// deriveMerges returns the merge rules, first merged first: the two parts into
// which a token falls when only tokens of lower rank may be merged.
func deriveMerges(tokens []string) []string {
	ranks := make(map[string]int, len(tokens))
	for i, t := range tokens {
		ranks[t] = i
	}
	var merges []string
	ends := make([]int, 0, 256) // where the parts of a token end
	for rank, t := range tokens {
		ends = ends[:0]
		for i := range len(t) {
			ends = append(ends, i+1)
		}
		for len(ends) > 2 {
			best, at := math.MaxInt, -1
			from := 0
			for i := 0; i+1 < len(ends); i++ {
				if r, ok := ranks[t[from:ends[i+1]]]; ok && r < rank && r < best {
					best, at = r, i
				}
				from = ends[i]
			}
			if at < 0 {
				break // a token of another vocabulary: never merged, but known whole
			}
			ends = append(ends[:at], ends[at+1:]...)
		}
		if len(ends) == 2 {
			merges = append(merges, byteText(t[:ends[0]])+" "+byteText(t[ends[0]:]))
		}
	}
	return merges
}

// byteRunes is GPT-2's mapping of bytes to printable characters.
var byteRunes = func() (m [256]rune) {
	next := rune(256)
	for b := range m {
		r := rune(b)
		if r >= '!' && r <= '~' || r >= 0xa1 && r <= 0xac || r >= 0xae && r <= 0xff {
			m[b] = r
			continue
		}
		m[b] = next
		next++
	}
	return m
}()

func byteText(s string) string {
	out := make([]rune, len(s))
	for i := range len(s) {
		out[i] = byteRunes[s[i]]
	}
	return string(out)
}
