package features

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// labelled is a hand-labelled sentence of testdata/entities_*.txt.
type labelled struct {
	text string
	gold []entity
}

func readLabelled(t testing.TB, file string) []labelled {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	var out []labelled
	for line := range strings.Lines(string(b)) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		var text strings.Builder
		var gold []entity
		for {
			before, rest, ok := strings.Cut(line, "[")
			text.WriteString(before)
			if !ok {
				break
			}
			marked, after, ok := strings.Cut(rest, "]")
			label, span, ok2 := strings.Cut(marked, " ")
			if !ok || !ok2 {
				t.Fatalf("%s: bad mark in %q", file, line)
			}
			gold = append(gold, entity{Start: text.Len(), End: text.Len() + len(span), Label: label})
			text.WriteString(span)
			line = after
		}
		out = append(out, labelled{text.String(), gold})
	}
	return out
}

// counts are strict matches: both ends of the span equal, with and without
// the type.
type counts struct{ gold, found, spans, typed int }

func (c counts) precision(hits int) float64 { return float64(hits) / float64(c.found) }
func (c counts) recall(hits int) float64    { return float64(hits) / float64(c.gold) }

func entitiesOf(x *Extractor, text string) []entity { return x.entities.find(text, x.tokens(text)) }

func evaluate(t testing.TB, file string) (counts, int) {
	t.Helper()
	x := newExtractor(t)
	var c counts
	sentences := readLabelled(t, file)
	for _, s := range sentences {
		found := entitiesOf(x, s.text)
		c.gold += len(s.gold)
		c.found += len(found)
		spans, typed := 0, 0
		for _, f := range found {
			for _, g := range s.gold {
				if f.Start == g.Start && f.End == g.End {
					spans++
					if f.Label == g.Label {
						typed++
					}
				}
			}
		}
		c.spans += spans
		c.typed += typed
		if typed != len(s.gold) || len(found) != len(s.gold) {
			var got []string
			for _, f := range found {
				got = append(got, f.Label+" "+s.text[f.Start:f.End])
			}
			t.Logf("%s\n\t\tfound %s", s.text, strings.Join(got, "; "))
		}
	}
	return c, len(sentences)
}

// TestEntitiesOnHandLabelledSentences scores the recognizer by strict matches
// on sentences that it was not tuned on. Run with -v to see every miss. The
// thresholds lie just under what it reaches; README figures come from here.
func TestEntitiesOnHandLabelledSentences(t *testing.T) {
	for _, tc := range []struct {
		file                                                   string
		sentences                                              int
		spanPrecision, spanRecall, typedPrecision, typedRecall float64
	}{
		{"entities_test.txt", 160, 0.97, 0.97, 0.94, 0.94},
		{"entities_hard.txt", 34, 0.78, 0.94, 0.74, 0.89},
		{"entities_dev.txt", 60, 0.97, 0.97, 0.95, 0.95},
	} {
		t.Run(tc.file, func(t *testing.T) {
			c, n := evaluate(t, tc.file)
			t.Logf("%d sentences, %d entities, %d found: span P %.3f R %.3f, with type P %.3f R %.3f",
				n, c.gold, c.found, c.precision(c.spans), c.recall(c.spans), c.precision(c.typed), c.recall(c.typed))
			if n < tc.sentences {
				t.Errorf("%d sentences, want at least %d", n, tc.sentences)
			}
			for _, q := range []struct {
				name      string
				got, want float64
			}{
				{"span precision", c.precision(c.spans), tc.spanPrecision},
				{"span recall", c.recall(c.spans), tc.spanRecall},
				{"typed precision", c.precision(c.typed), tc.typedPrecision},
				{"typed recall", c.recall(c.typed), tc.typedRecall},
			} {
				if q.got < q.want {
					t.Errorf("%s %.3f, want at least %.2f", q.name, q.got, q.want)
				}
			}
		})
	}
}

func TestEntities(t *testing.T) {
	x := newExtractor(t)
	for _, tc := range []struct{ text, want string }{
		{"", ""},
		{"nothing here", ""},
		{"Dr. Grace Hopper joined the Navy in Boston.", "PERSON Grace Hopper; GPE Boston"},
		{"University of Michigan", "ORG University of Michigan"},
		{"King's College London", "ORG King's College London"},
		{"The Food and Drug Administration met in May.", "ORG Food and Drug Administration"},
		{"is puerto rico a state", "GPE puerto rico"},
		{"WHO OWNS THE MOON?", ""},
		{"He read \"Moby Dick\" twice.", ""},
		{"The Declaration of Independence hangs there.", ""},
		{"Ludwig van Beethoven", "PERSON Ludwig van Beethoven"},
		{"The French drink coffee on Mondays.", ""},
		{"The U.S. and Mexico share the Rio Grande.", "GPE U.S.; GPE Mexico; LOC Rio Grande"},
	} {
		var got []string
		for _, e := range entitiesOf(x, tc.text) {
			got = append(got, e.Label+" "+tc.text[e.Start:e.End])
		}
		if s := strings.Join(got, "; "); s != tc.want {
			t.Errorf("%q: %s, want %s", tc.text, s, tc.want)
		}
	}
}
