package workloads

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestOfLength(t *testing.T) {
	for _, text := range []string{"a", "one two three", strings.Repeat("größer ☃ ", 40), strings.Repeat("x", 100)} {
		for _, n := range []int{-3, 0, 1, 2, 5, 12, 13, 14, 100, 999, 10_000} {
			got := OfLength(text, n)
			if d := len(got) - n; got == "" || !utf8.ValidString(got) || n > 0 && (d < 0 || d > 16) {
				t.Errorf("%.20q, %d: %d bytes", text, n, len(got))
			}
			if !strings.HasPrefix(strings.Repeat(text+" ", 10_001), got) {
				t.Errorf("%.20q, %d: begins otherwise: %.40q", text, n, got)
			}
		}
	}
	if got := OfLength("one two three", 5); got != "one two" {
		t.Errorf("%q", got)
	}
	if OfLength("", 7) != "" {
		t.Error("a text of nothing")
	}
}
