package features

import (
	"bytes"
	"math"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"jouletop/workloads"
)

// newExtractor shares one extractor among the tests, which it is made for.
var newExtractor = func() func(testing.TB) *Extractor {
	load := sync.OnceValues(New)
	return func(t testing.TB) *Extractor {
		t.Helper()
		x, err := load()
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
}()

func near(a, b float64) bool { return math.Abs(a-b) < 1e-12 }

func TestExtractByHand(t *testing.T) {
	x := newExtractor(t)
	// Tokens: Why did Napoleon leave France ? — six, all different, one
	// sentence. Content: Napoleon, leave, France; two of them are entities.
	f := x.Extract(workloads.Query{Text: "Why did Napoleon leave France?"})
	want := Features{
		Words: 5, Tokens: 6,
		TokenEntropyBits:    math.Log2(6),
		EntityDensity:       2.0 / 3,
		CausalScore:         1,
		ReasoningComplexity: 1, // one marker ("why") in five words
		ComplexityScore:     (1 + 1 + 2.0/3 + 6.0/40) / 4,
		Class:               Hard,
	}
	if f.Words != want.Words || f.Tokens != want.Tokens || f.Class != want.Class ||
		!near(f.TokenEntropyBits, want.TokenEntropyBits) || !near(f.EntityDensity, want.EntityDensity) ||
		!near(f.CausalScore, want.CausalScore) || !near(f.ReasoningComplexity, want.ReasoningComplexity) ||
		!near(f.ComplexityScore, want.ComplexityScore) {
		t.Errorf("got %+v\nwant %+v", f, want)
	}

	// "the" ×2 and "." ×2 of eight tokens: H = 2·(2/8)·log2(4) + 4·(1/8)·log2(8).
	f = x.Extract(workloads.Query{Text: "the dog chased the cat. Rain ."})
	if f.Tokens != 8 || !near(f.TokenEntropyBits, 2*0.25*2+4*0.125*3) {
		t.Errorf("tokens %d, entropy %v", f.Tokens, f.TokenEntropyBits)
	}
	if f.Class != Easy || f.CausalScore != 0 || f.EntityDensity != 0 {
		t.Errorf("got %+v, want an easy query without entities", f)
	}
}

func TestCausalScore(t *testing.T) {
	x := newExtractor(t)
	for _, tc := range []struct {
		text string
		want float64
	}{
		{"Is it cold?", 0},
		{"How cold is it?", 1},
		{"Is it cold? Is it wet? Why?", 1.0 / 3},
		{"explain how and why", 1},
		{"Prove it. Is it? Was it?", 0.5},
		{"however, somehow, whyever", 0},
	} {
		if got := x.Extract(workloads.Query{Text: tc.text}).CausalScore; !near(got, tc.want) {
			t.Errorf("%q: %v, want %v", tc.text, got, tc.want)
		}
	}
}

func TestRule(t *testing.T) {
	for _, tc := range []struct {
		density, causal float64
		want            Class
	}{
		{0, 0, Easy}, {0.199, 0.049, Easy}, {0.20, 0, Hard}, {0, 0.05, Hard}, {1, 1, Hard},
	} {
		if got := StudyRule.Classify(Features{EntityDensity: tc.density, CausalScore: tc.causal}); got != tc.want {
			t.Errorf("%v, %v: %s, want %s", tc.density, tc.causal, got, tc.want)
		}
	}
}

func TestExtractFallsBackToThePrompt(t *testing.T) {
	x := newExtractor(t)
	if got := x.Extract(workloads.Query{Prompt: "two words"}); got.Words != 2 {
		t.Errorf("words %d, want 2", got.Words)
	}
	if got := x.Extract(workloads.Query{}); got != (Features{Class: Easy}) {
		t.Errorf("a query without text: %+v", got)
	}
}

// FuzzExtract holds every feature to its range, whatever the text.
func FuzzExtract(f *testing.F) {
	for _, s := range []string{
		"Why?", "\xff\xfe", "...", "A of B of C and D Inc and E", "King's 's", "THE WHO", "(US)", "of the", "Mr.", "\u2028x",
		"President of the United States of America",
	} {
		f.Add(s)
	}
	x := newExtractor(f)
	f.Fuzz(func(t *testing.T, text string) {
		q := workloads.Query{Text: text}
		got := x.Extract(q)
		if again := x.Extract(q); got != again {
			t.Fatalf("%q: %+v, then %+v", text, got, again)
		}
		for name, v := range map[string]float64{
			"entity density": got.EntityDensity, "causal score": got.CausalScore,
			"reasoning complexity": got.ReasoningComplexity, "complexity score": got.ComplexityScore,
		} {
			if !(v >= 0 && v <= 1) {
				t.Fatalf("%q: %s %v out of 0..1", text, name, v)
			}
		}
		if top := math.Log2(max(1, float64(got.Tokens))); !(got.TokenEntropyBits >= 0 && got.TokenEntropyBits <= top+1e-9) {
			t.Fatalf("%q: entropy %v bits of %d tokens", text, got.TokenEntropyBits, got.Tokens)
		}
		last := 0
		for _, e := range entitiesOf(x, text) {
			if e.Start < last || e.End <= e.Start || e.End > len(text) {
				t.Fatalf("%q: entity %+v after %d", text, e, last)
			}
			last = e.End
		}
	})
}

// TestWordSalad feeds random sequences of the words that the recognizer treats
// specially, which a byte fuzzer hardly ever builds.
func TestWordSalad(t *testing.T) {
	x := newExtractor(t)
	var vocabulary []string
	for _, words := range x.entities.g.cues {
		for w := range words {
			vocabulary = append(vocabulary, w, strings.ToUpper(w[:1])+w[1:])
		}
	}
	vocabulary = append(vocabulary, ",", ".", "?", "\"", "'s", "of", "of the", "and", "&", "for", "van", "(", ")", "\n",
		"Paris", "Georgia", "Victoria", "New York", "Ann", "Apple", "Google", "Mars", "U.S.", "FBI", "Zork", "Blorb")
	slices.Sort(vocabulary)
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(rapid.SampledFrom(vocabulary), 0, 40).Draw(t, "words"), " ")
		last := 0
		for _, e := range entitiesOf(x, text) {
			if e.Start < last || e.End <= e.Start || e.End > len(text) {
				t.Fatalf("%q: entity %+v after %d", text, e, last)
			}
			last = e.End
		}
	})
}

// TestLongText feeds long stretches of the texts that a backtracking or quadratic
// reader chokes on; the test's own time limit is the judge.
func TestLongText(t *testing.T) {
	if testing.Short() {
		t.Skip("long texts")
	}
	x := newExtractor(t)
	for _, piece := range []string{".", "A", "(", "'s", "A of ", "X Inc and ", "--", "Why? ", "United States "} {
		text := strings.Repeat(piece, 150_000/len(piece))
		if f := x.Extract(workloads.Query{Text: text}); f.Tokens == 0 {
			t.Errorf("%q repeated: no tokens", piece)
		}
	}
}

func TestExtractAllKeepsOrderAndAgrees(t *testing.T) {
	x := newExtractor(t)
	var queries []workloads.Query
	for i := range 203 {
		queries = append(queries, workloads.Query{Text: strings.Repeat("Why did Ann leave Paris? ", i%7+1)})
	}
	all := x.ExtractAll(queries)
	for i, q := range queries {
		if one := x.Extract(q); all[i] != one {
			t.Fatalf("query %d: %+v, alone %+v", i, all[i], one)
		}
	}
	if got := x.ExtractAll(nil); len(got) != 0 {
		t.Errorf("no queries: %v", got)
	}
}

func TestWriteCSV(t *testing.T) {
	var b bytes.Buffer
	rows := []Row{{Dataset: "boolq", QueryID: `a,"b`, Features: Features{
		Words: 3, Tokens: 4, TokenEntropyBits: 2, EntityDensity: 0.25, CausalScore: 1, ReasoningComplexity: 0,
		ComplexityScore: 0.5, Class: Hard,
	}}}
	if err := WriteCSV(&b, rows); err != nil {
		t.Fatal(err)
	}
	want := "dataset,query_id,words,tokens,token_entropy_bits,entity_density,causal_score,reasoning_complexity,complexity_score,class\n" +
		"boolq,\"a,\"\"b\",3,4,2,0.25,1,0,0.5,hard\n"
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
	if err := WriteCSV(failing{}, rows); err == nil {
		t.Error("no error from a writer that fails")
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, bytes.ErrTooLarge }

func TestSurface(t *testing.T) {
	got := SurfaceOf("Q: Why did Rome fall?\nA:")
	want := Surface{Words: 6, EntropyBits: math.Log2(6), CapitalShare: 4.0 / 6, Causal: true}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := SurfaceOf("  "); got != (Surface{}) {
		t.Errorf("blank prompt: %+v", got)
	}
}

// A name may come to mean another text, as where a file of one's own is written anew: its
// features are the text's.
func TestFeaturesAreOfTheText(t *testing.T) {
	of := func(text string) Features {
		f, ok := Of(workloads.Query{Dataset: "own", ID: "1", Prompt: text, Text: text})
		if !ok {
			t.Fatal("no features")
		}
		return f
	}
	short, long := of("Who was Ada?"), of("Why did the bridge fall, and how was it built again after the flood?")
	if short.Words != 3 || long.Words != 14 {
		t.Errorf("the same query with another text has %d words, then %d; want 3 and 14", short.Words, long.Words)
	}
}
