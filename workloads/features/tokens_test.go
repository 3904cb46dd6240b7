package features

import (
	"strings"
	"testing"
	"unicode"
)

func TestTokenize(t *testing.T) {
	for _, tc := range []struct{ text, want string }{
		{"", ""},
		{" \n\t ", ""},
		{"What is it?", "What|is|it|?"},
		{"I don't know; it's Tom's.", "I|do|n't|know|;|it|'s|Tom|'s|."},
		{"don’t", "do|n’t"},
		{"Mr. Smith, of the U.S., left.", "Mr.|Smith|,|of|the|U.S.|,|left|."},
		{"Robert E. Lee was here. So am I.", "Robert|E.|Lee|was|here|.|So|am|I|."},
		{"the North Sea.", "the|North|Sea|."},
		{`("quoted," he said)`, `(|"|quoted|,|"|he|said|)`},
		{"``energy returned''", "``|energy|returned|''"},
		{"well--known—or so 1,000.5 km", "well|--|known|—|or|so|1,000.5|km"},
		{"wait... what?!", "wait|...|what|?|!"},
		{"twenty-one o'clock", "twenty-one|o'clock"},
		{"$5 or 10%", "$|5|or|10|%"},
		{"'s", "'s"},
		{"—", "—"},
	} {
		var got []string
		for _, k := range tokenize(tc.text) {
			got = append(got, k.Text)
		}
		if s := strings.Join(got, "|"); s != tc.want {
			t.Errorf("%q: %s, want %s", tc.text, s, tc.want)
		}
	}
}

// FuzzTokenize holds the tokens to the text: in order, without overlap, at
// their offsets, and everything but white space in one of them.
func FuzzTokenize(f *testing.F) {
	for _, s := range []string{"I don't.", "''", "a--—b", "\xff\xfe '", "....", "(\"'`", "é—ü’s"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		at := 0
		blank := func(s string) bool {
			return strings.IndexFunc(s, func(r rune) bool { return !unicode.IsSpace(r) }) < 0
		}
		for _, k := range tokenize(text) {
			if k.Text == "" || k.Start < at || k.End() > len(text) || text[k.Start:k.End()] != k.Text {
				t.Fatalf("%q: token %q at %d after %d", text, k.Text, k.Start, at)
			}
			if gap := text[at:k.Start]; !blank(gap) {
				t.Fatalf("%q: lost %q", text, gap)
			}
			at = k.End()
		}
		if !blank(text[at:]) {
			t.Fatalf("%q: lost %q at the end", text, text[at:])
		}
	})
}
