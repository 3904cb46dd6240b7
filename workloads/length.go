package workloads

import (
	"strings"
	"unicode/utf8"
)

// OfLength makes a text of about so many bytes: the beginning of what is given, which
// is repeated where it is shorter. It ends where a word does, or a letter, and is never
// empty where the text is not.
func OfLength(text string, bytes int) string {
	if text == "" {
		return ""
	}
	bytes = max(bytes, 1)
	if n := bytes/(len(text)+1) + 1; n > 1 {
		text = strings.Repeat(text+" ", n)
	}
	cut := min(bytes, len(text))
	for cut < len(text) && !utf8.RuneStart(text[cut]) {
		cut++
	}
	const word = 16 // bytes that are looked through for its end
	if at := strings.IndexByte(text[cut:min(len(text), cut+word)], ' '); at >= 0 {
		cut += at
	}
	return text[:cut]
}
