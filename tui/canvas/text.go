package canvas

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
)

// valid returns text with its invalid bytes replaced.
func valid(text string) string {
	if utf8.ValidString(text) {
		return text
	}
	return strings.ToValidUTF8(text, "\ufffd")
}

// next takes the first grapheme cluster off text: what to show for it, and its
// width, 0 to 2. What a terminal might not draw in place (controls, invalid
// bytes, direction marks, marks without a letter, lone halves of a flag) is
// replaced or left out.
func next(text string) (cluster string, w int, rest string) {
	cluster, w = ansi.FirstGraphemeCluster(text, ansi.GraphemeWidth)
	if cluster == "" {
		return "", 0, ""
	}
	r, n := utf8.DecodeRuneInString(cluster)
	if n < len(cluster) && !wellFormed(cluster[n:]) {
		cluster = cluster[:n]
		w = ansi.StringWidth(cluster)
	}
	rest = text[len(cluster):]
	switch {
	case r == '\n' || r == '\t' || r == '\r':
		return " ", 1, rest
	case r < ' ' || r >= 0x7f && r < 0xa0 || r == utf8.RuneError:
		return "·", 1, rest
	case unicode.Is(unicode.Cf, r) || r == 0x2028 || r == 0x2029 || w <= 0:
		return "", 0, rest
	case unicode.Is(unicode.M, r), w > 2, w < 2 && regional(r):
		return "·", 1, rest
	}
	return cluster, w, rest
}

// wellFormed tells whether what follows a cluster's first rune is of letters,
// marks and joiners.
func wellFormed(s string) bool {
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		if r == utf8.RuneError || r < ' ' || r >= 0x7f && r < 0xa0 {
			return false
		}
		s = s[n:]
	}
	return true
}

// regional tells of the letters that make flags in pairs.
func regional(r rune) bool { return r >= 0x1f1e6 && r <= 0x1f1ff }

// Clean returns text as Text would write it: one line, without what a terminal
// might not draw in place.
func Clean(text string) string {
	text = valid(text)
	plain := true
	for i := 0; i < len(text) && plain; i++ {
		plain = text[i] >= ' ' && text[i] < 0x7f
	}
	if plain {
		return text
	}
	var b strings.Builder
	for text != "" {
		var cluster string
		if strings.HasPrefix(text, "\r\n") {
			text = text[1:]
		}
		cluster, _, text = next(text)
		b.WriteString(cluster)
	}
	return b.String()
}

// Width returns the columns that Text needs for text.
func Width(text string) int {
	w := 0
	text = valid(text)
	for text != "" {
		if b := text[0]; b < utf8.RuneSelf && (len(text) == 1 || text[1] < utf8.RuneSelf) {
			text = text[1:]
			if b == '\r' && text != "" && text[0] == '\n' {
				continue
			}
			w++
			continue
		}
		var n int
		_, n, text = next(text)
		w += n
	}
	return w
}

// Wrap breaks text into lines of at most w columns, at spaces where there are
// any and at line breaks always, and returns the last rows lines (all for 0).
func Wrap(text string, w, rows int) []string {
	if w <= 0 {
		return nil
	}
	text = valid(text)
	var lines []string
	for para := range strings.SplitSeq(strings.ReplaceAll(text, "\r\n", "\n"), "\n") {
		lines = append(lines, wrapLine(para, w)...)
	}
	if rows > 0 && len(lines) > rows {
		lines = lines[len(lines)-rows:]
	}
	return lines
}

func wrapLine(para string, w int) []string {
	var lines []string
	start, space := 0, -1 // of the line; of its last space
	col, spaceCol := 0, 0
	for i := 0; i < len(para); {
		_, n, rest := next(para[i:])
		size := len(para) - i - len(rest)
		gap := para[i:i+size] == " " // a mark that a space carries cannot stand alone
		if gap {
			space, spaceCol = i, col
		}
		if col+n > w {
			if space > start && !gap {
				lines = append(lines, para[start:space])
				start = space + 1
				col -= spaceCol + 1
			} else {
				lines = append(lines, para[start:i])
				start, col = i, 0
				if gap {
					start, n = i+size, 0
				}
			}
			space = -1
		}
		col += n
		i += size
	}
	return append(lines, para[start:])
}
