// Package plaintext makes texts that others wrote safe to show: a model's name, a
// query's id, a process of another user's. On a terminal they could move the
// cursor, set the clipboard or write backwards, in a picture break the XML, in a
// spreadsheet calculate.
package plaintext

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Line returns s as one line of visible text: line ends and tabs become blanks;
// control characters, those that turn the direction of writing and what is no
// UTF-8 become U+FFFD.
func Line(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\r' || r == '\t' || r == '\u2028' || r == '\u2029':
			return ' '
		case unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || unicode.Is(unicode.Noncharacter_Code_Point, r):
			return '\uFFFD'
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}

// Cell returns s with an apostrophe before it where a spreadsheet would take it
// for a formula; FromCell undoes it.
func Cell(s string) string {
	if formula(s) {
		return "'" + s
	}
	return s
}

// FromCell returns the text that Cell was given.
func FromCell(s string) string {
	if strings.HasPrefix(s, "'") && formula(s) {
		return s[1:]
	}
	return s
}

// formula tells whether a spreadsheet would calculate s, with apostrophes and blanks
// before it or without: so that Cell can be undone whatever it was given, and also
// where a line end became a blank. Some take the wide forms of the signs, too.
func formula(s string) bool {
	s = strings.TrimLeft(s, "'")
	if s != "" && strings.IndexByte("\t\r\n", s[0]) >= 0 {
		return true
	}
	first, _ := utf8.DecodeRuneInString(strings.TrimLeft(s, "' \t\r\n"))
	return strings.ContainsRune("=+-@\uff1d\uff0b\uff0d\uff20", first)
}
