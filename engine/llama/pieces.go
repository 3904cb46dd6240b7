//go:build cgo

package llama

import (
	"strings"
	"unicode/utf8"
)

// pieces turns tokens into text that is valid UTF-8 at every step: bytes of a
// character that is not complete are held back.
type pieces struct {
	held []byte
	all  strings.Builder
	sent int // bytes of all that take has returned
}

func (p *pieces) add(m *model, token int32) {
	p.held = m.piece(p.held, token)
	p.write(false)
}

// finish writes what is held, incomplete as it is.
func (p *pieces) finish() { p.write(true) }

func (p *pieces) write(rest bool) {
	n := 0
	for n < len(p.held) {
		if !rest && !utf8.FullRune(p.held[n:]) {
			break
		}
		r, size := utf8.DecodeRune(p.held[n:])
		p.all.WriteRune(r) // U+FFFD for a byte that is none
		n += size
	}
	p.held = p.held[:copy(p.held, p.held[n:])]
}

// take returns the text since it was last called.
func (p *pieces) take() string {
	s := p.all.String()[p.sent:]
	p.sent += len(s)
	return s
}
