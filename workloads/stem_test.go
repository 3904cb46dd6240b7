package workloads

import (
	_ "embed"
	"strings"
	"testing"
)

// What NLTK 3.8's PorterStemmer makes of English words: those of Porter's
// paper, those that NLTK treats differently, and a random few hundred.
//
//go:embed testdata/porter.tsv
var porterGolden string

func TestPorterStemEqualsNLTK(t *testing.T) {
	lines := strings.Split(strings.TrimSpace(porterGolden), "\n")
	if len(lines) < 300 {
		t.Fatalf("%d words in the golden file, want at least 300", len(lines))
	}
	for _, line := range lines {
		word, want, _ := strings.Cut(line, "\t")
		if got := PorterStem(word); got != want {
			t.Errorf("PorterStem(%q) = %q, want %q", word, got, want)
		}
	}
}

func FuzzPorterStem(f *testing.F) {
	for _, w := range []string{"", "y", "yyyy", "alli", "eed", "ies", "relational"} {
		f.Add(w)
	}
	f.Fuzz(func(t *testing.T, w string) {
		for _, token := range RougeTokens(w, false) {
			if s := PorterStem(token); len(s) > len(token)+1 || s == "" {
				t.Errorf("PorterStem(%q) = %q", token, s)
			}
		}
	})
}
