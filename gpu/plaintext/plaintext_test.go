package plaintext

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestLine(t *testing.T) {
	for in, want := range map[string]string{
		"llama-3.2-1b":             "llama-3.2-1b",
		"ünïcödé 模型 👍🏽":            "ünïcödé 模型 👍🏽",
		"a\nb\tc\r":                "a b c ",
		"\x1b[31mred\x07":          "�[31mred�",
		"\x1b]52;c;aGk=\x1b\\":     "�]52;c;aGk=�\\",
		"\u009b2J":                 "�2J",
		"safe\u202etxt.exe":        "safe�txt.exe",
		"\u2066iso\u2069":          "�iso�",
		"no\xff\xfeutf8":           "no�utf8",
		"del\x7f\x00":              "del��",
		"non\ufffecharacter\uffff": "non�character�",
	} {
		if got := Line(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestNoCellIsCalculated(t *testing.T) {
	for in, want := range map[string]string{
		"llama":      "llama",
		"=1+1":       "'=1+1",
		"+1":         "'+1",
		"-1":         "'-1",
		"@SUM(A1)":   "'@SUM(A1)",
		"\t=1":       "'\t=1",
		"\rx":        "'\rx",
		" =1":        "' =1",
		"\uff1d1":    "'\uff1d1",
		"'=1":        "''=1",
		"it's":       "it's",
		"' a quote'": "' a quote'",
		"":           "",
		" ":          " ",
	} {
		if got := Cell(in); got != want || FromCell(got) != in {
			t.Errorf("%q: %q, back %q; want %q", in, got, FromCell(got), want)
		}
	}
}

func FuzzPlaintext(f *testing.F) {
	for _, s := range []string{"", "=1", "''=1", "\x1b]0;x\a", "\u202e", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		line := Line(s)
		if !utf8.ValidString(line) || strings.ContainsFunc(line, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) }) {
			t.Errorf("%q: %q", s, line)
		}
		c := Cell(s)
		if c != "" && strings.ContainsAny(c[:1], "=+-@\t\r") || FromCell(c) != s {
			t.Errorf("%q: cell %q, back %q", s, c, FromCell(c))
		}
	})
}
