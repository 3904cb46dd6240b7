package features

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Surface is what the study evidently measured: on the complete TruthfulQA its
// published means come out to the last digit (length 12.6 ± 5.7, 5 to 52;
// entropy 3.50 bits; entity density 0.34) when the words between white space
// of the whole prompt are counted ("Q: …\nA:" and its like), with the share of
// capitalised words for entity density. No recognizer of named entities can
// give 0.34 there: it would need four entities in a question of 12.6 words.
// Surface serves the comparison with the study's tables, nothing else.
type Surface struct {
	Words        int     // words between white space
	EntropyBits  float64 // Shannon entropy of the words as written, bits
	CapitalShare float64 // share of words that begin with a capital, 0 to 1
	Causal       bool    // a causal question word stands in the prompt
}

// SurfaceOf measures a prompt the study's way.
func SurfaceOf(prompt string) Surface {
	words := strings.Fields(prompt)
	s := Surface{Words: len(words)}
	if len(words) == 0 {
		return s
	}
	frequency := make(map[string]int, len(words))
	capitals := 0
	for _, w := range words {
		frequency[w]++
		if r, _ := utf8.DecodeRuneInString(w); unicode.IsUpper(r) {
			capitals++
		}
		switch strings.ToLower(strings.TrimFunc(w, func(r rune) bool { return !unicode.IsLetter(r) })) {
		case "why", "how", "explain", "justify", "prove":
			s.Causal = true
		}
	}
	s.EntropyBits = entropyBits(frequency, len(words))
	s.CapitalShare = float64(capitals) / float64(len(words))
	return s
}
