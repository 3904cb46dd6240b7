package plaintext

import (
	"strings"
)

// OneLine keeps an error on one line whatever it wraps, and control characters
// off the terminal.
func OneLine(s string) string {
	return Line(strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' }), "; "))
}
