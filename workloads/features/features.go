// Package features measures how hard a query looks before any model has read
// it: the features of "Characterizing LLM Inference Energy-Performance
// Tradeoffs across Workloads and GPU Scaling" (section V-C). [New] loads the
// models once; [Extractor.Extract] is a pure function of the query and safe
// for concurrent use.
//
// Part-of-speech tags come from prose's averaged perceptron, place and
// personal names from the countries and gofakeit libraries, common words from
// the diceware lists; the named-entity recognizer over them is this package's
// own, because prose's takes 50 µs a token, which is 30 s for the study's
// queries, and finds less (see [Extractor.Entities]).
package features

import (
	"fmt"
	"math"
	"runtime"
	"strings"
	"sync"
	"unicode"

	"github.com/jdkato/prose/v3/tag"
	"github.com/jdkato/prose/v3/token"
	"github.com/kljensen/snowball/english"

	"jouletop/workloads"
)

// Features of one query. Words and Tokens count the query's text, without the
// scaffolding of its prompt ("Question:", "Answer:"). Where the study leaves a
// formula open, ours stands with the field.
type Features struct {
	// Words are the words between white space. The study's lengths are these,
	// counted over the whole prompt.
	Words int
	// Tokens are words and punctuation marks after the Penn Treebank's
	// conventions; a model's tokens are something else.
	Tokens int
	// TokenEntropyBits is the Shannon entropy H = −Σ pᵢ log₂ pᵢ of the text's
	// tokens as they are written, pᵢ being the relative frequency of token i;
	// 0 to log₂ Tokens bits.
	TokenEntropyBits float64
	// EntityDensity is the share, 0 to 1, of the text's content tokens that
	// belong to a named entity (PERSON, ORG, GPE, LOC). A content token has a
	// letter or a digit and is neither on Snowball's list of English stop words
	// nor the ending of a contraction. The study says "ratio of named entities
	// to total tokens". Over all tokens the density of BoolQ is 0.08, where the
	// study has 0.20, and its threshold of 0.20 would call nearly every query
	// easy; over content tokens BoolQ comes to 0.14 and NarrativeQA to 0.18 (as
	// in the study), and the rule calls two thirds easy (the study: half).
	// [SurfaceOf] says what the study evidently counted.
	EntityDensity float64
	// CausalScore is min(1, causal question words / questions), the words
	// being why, how, explain, justify and prove anywhere in the text, the
	// questions its question marks, at least one. Over the question alone the
	// study's 2.4 % (BoolQ) and 33.6 % (NarrativeQA) would be 0 and 12 %.
	CausalScore float64
	// ReasoningComplexity is min(1, 5 · markers / words): markers are the
	// causal and comparing connectives of lists/markers.txt. One word in five
	// being a marker is the most the scale tells apart.
	ReasoningComplexity float64
	// ComplexityScore is the mean, 0 to 1, of four shares: token entropy over
	// its maximum log₂ Tokens, different tokens over all tokens, entity
	// density, and the mean sentence length over 40 tokens (at most 1).
	ComplexityScore float64
	// Class is what the study's rule says of the query.
	Class Class
}

// Constants of the scores that the study leaves open.
const (
	markerScale        = 5  // words per marker at which reasoning complexity is 1
	longSentenceTokens = 40 // mean sentence length that counts as 1
)

// Extractor measures queries. It holds the tagger's model and the name lists,
// immutable once loaded, and is safe for concurrent use.
type Extractor struct {
	tagger   *tag.Tagger
	entities *recognizer
	markers  map[string]bool
}

// New loads the models: some milliseconds and a few MB. It fails only if an
// embedded list or model is damaged.
func New() (*Extractor, error) {
	tagger, err := tag.New()
	if err != nil {
		return nil, fmt.Errorf("features: load the tagger: %w", err)
	}
	g, err := loadGazetteer()
	if err != nil {
		return nil, err
	}
	lines, err := readList("markers.txt")
	if err != nil {
		return nil, err
	}
	markers := make(map[string]bool, len(lines))
	for _, m := range lines {
		markers[m] = true
	}
	return &Extractor{tagger: tagger, entities: &recognizer{g: g}, markers: markers}, nil
}

// tokens splits and tags a text.
func (x *Extractor) tokens(text string) []token.Token {
	t := tokenize(text)
	x.tagger.TagTokens(t)
	return t
}

// Extract measures a query. A query without text is measured by its prompt;
// one without either has all features 0. Text that is not valid UTF-8 is
// measured as it is.
func (x *Extractor) Extract(q workloads.Query) Features {
	text := q.Text
	if text == "" {
		text = q.Prompt
	}
	tokens := x.tokens(text)
	f := Features{Words: len(strings.Fields(text)), Tokens: len(tokens)}
	if f.Tokens > 0 {
		c := x.count(text, tokens)
		f.TokenEntropyBits = entropyBits(c.frequency, f.Tokens)
		f.EntityDensity = share(float64(c.entityTokens), float64(c.content))
		f.CausalScore = share(float64(c.causal), float64(max(1, c.questions)))
		f.ReasoningComplexity = share(float64(markerScale*c.markers), float64(f.Words))
		n := float64(f.Tokens)
		f.ComplexityScore = (share(f.TokenEntropyBits, math.Log2(n)) +
			share(float64(len(c.frequency)), n) +
			f.EntityDensity +
			share(n/float64(max(1, c.sentences)), longSentenceTokens)) / 4
	}
	f.Class = StudyRule.Classify(f)
	return f
}

// ExtractAll measures the queries on all processors, in their order.
func (x *Extractor) ExtractAll(queries []workloads.Query) []Features {
	out := make([]Features, len(queries))
	const chunk = 16
	next := make(chan int)
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(queries)/chunk+1) {
		wg.Go(func() {
			for i := range next {
				for k := i; k < min(i+chunk, len(queries)); k++ {
					out[k] = x.Extract(queries[k])
				}
			}
		})
	}
	for i := 0; i < len(queries); i += chunk {
		next <- i
	}
	close(next)
	wg.Wait()
	return out
}

// tally is what the scores are computed from.
type tally struct {
	frequency    map[string]int
	sentences    int
	content      int // tokens that carry meaning
	entityTokens int // those of them that belong to an entity
	markers      int
	causal       int
	questions    int
}

func (x *Extractor) count(text string, tokens []token.Token) tally {
	c := tally{frequency: make(map[string]int, len(tokens))}
	starts := sentenceStarts(text, tokens)
	entities := x.entities.find(text, tokens)
	for i, t := range tokens {
		c.frequency[t.Text]++
		if starts[i] && (i == 0 || !starts[i-1]) {
			c.sentences++
		}
		for len(entities) > 0 && t.Start >= entities[0].End {
			entities = entities[1:]
		}
		lower := strings.ToLower(t.Text)
		if isContent(lower) {
			c.content++
			if len(entities) > 0 && t.Start >= entities[0].Start {
				c.entityTokens++
			}
		}
		if x.markers[lower] {
			c.markers++
		}
		switch lower {
		case "why", "how", "explain", "justify", "prove":
			c.causal++
		case "?":
			c.questions++
		}
	}
	return c
}

// isContent tells a token that carries meaning: no punctuation, no stop word.
func isContent(lower string) bool {
	if strings.IndexFunc(lower, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }) < 0 {
		return false
	}
	return !english.IsStopWord(lower) && contractionLen(lower) != len(lower)
}

// entropyBits is the Shannon entropy of n draws counted in frequency. The sum
// runs over counts of counts, so that it doesn't depend on a map's order.
func entropyBits(frequency map[string]int, n int) float64 {
	same := make([]int, 0, 64) // same[k]: how many tokens occur k times
	for _, k := range frequency {
		for len(same) <= k {
			same = append(same, 0)
		}
		same[k]++
	}
	var h float64
	for k, m := range same {
		if m > 0 {
			p := float64(k) / float64(n)
			h -= float64(m) * p * math.Log2(p)
		}
	}
	return max(0, h)
}

// share is a/b held to 0..1; 0 where b is 0.
func share(a, b float64) float64 {
	if b <= 0 {
		return 0
	}
	return min(1, max(0, a/b))
}
