package watch

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"jouletop/gpu/plaintext"
)

// Test is a test of a benchmark that has ended.
type Test struct {
	Name  string // pp512, tg128, pp512+tg128, with what tells it from others of the name
	Model string // "" unknown
	// Input and Output are the tokens read and generated over all its runs.
	Input, Output int
	// Seconds is how long its runs took, which ended when it was told of; NaN where
	// something else lay between them.
	Seconds float64
	// TokensPerS is its mean over the runs and TokensDev their standard deviation, as
	// printed; NaN unknown.
	TokensPerS, TokensDev float64
	Runs                  int
	CPU                   bool // it ran on the CPU alone
	// BeganUnix is when it began by the wall clock, to the second; 0 unknown.
	BeganUnix int64
}

// Totals are what a whole command read and generated.
type Totals struct {
	Model         string // "" unknown
	Input, Output int    // tokens
	Requests      int    // that succeeded
	Seconds       float64
	From          string // what said so
}

// Limits of what is kept of an output, in bytes.
const (
	maxLine   = 1 << 16
	maxObject = 32 << 20 // vLLM's result lists every request
)

// Reader reads the output of a command.
type Reader struct {
	// Test, if not nil, is told each test at the time at which the last of it came.
	Test func(t Test, atNS int64)

	args   args
	line   []byte
	long   bool // the line is too long: its rest is passed over
	object []byte
	depth  int
	quoted bool
	escape bool
	lost   bool // the object is too long
	table  columns
	csv    []string
	text   vllmText
	totals *Totals
	first  map[string]string // what the first test was run with
	doubts []string
}

// NewReader returns a reader of what the command of these arguments prints.
func NewReader(command []string) *Reader { return &Reader{args: readArgs(command)} }

// Totals returns what the command said of itself as a whole; ok is false where it did
// not.
func (r *Reader) Totals() (t Totals, ok bool) {
	if r.totals == nil {
		return t, false
	}
	return *r.totals, true
}

// mostDoubts is how many are kept.
const mostDoubts = 20

// Doubts say what was printed and not believed, and why.
func (r *Reader) Doubts() []string { return r.doubts }

func (r *Reader) doubt(format string, args ...any) {
	text := plaintext.Line(fmt.Sprintf(format, args...))
	if len(r.doubts) < mostDoubts && !slices.Contains(r.doubts, text) {
		r.doubts = append(r.doubts, text)
	}
}

// Write takes what was printed at a time in ns.
func (r *Reader) Write(p []byte, atNS int64) {
	for _, c := range p {
		if r.depth > 0 {
			r.inObject(c, atNS)
			continue
		}
		switch {
		case c == '\n':
			r.endLine(atNS)
		case c == '{' && len(bytes.TrimLeft(r.line, " \t,\r[")) == 0 && !r.long:
			r.object, r.depth, r.quoted, r.escape, r.lost = append(r.object[:0], c), 1, false, false, false
		case len(r.line) >= maxLine:
			r.long = true
		default:
			r.line = append(r.line, c)
		}
	}
}

// Close takes what was printed without an end of the line.
func (r *Reader) Close(atNS int64) {
	if r.depth == 0 && len(r.line) > 0 {
		r.endLine(atNS)
	}
	r.text.end(r)
}

// inObject takes a byte of a JSON object.
func (r *Reader) inObject(c byte, atNS int64) {
	if len(r.object) < maxObject {
		r.object = append(r.object, c)
	} else {
		r.lost = true
	}
	// An object begins with a name; what does not was none.
	if len(r.object) < 256 {
		if first := bytes.TrimLeft(r.object[1:], " \t\r\n"); len(first) == 1 && first[0] != '"' {
			r.depth = 0
			r.line = append(r.line, bytes.ReplaceAll(r.object, []byte("\n"), []byte(" "))...)
			return
		}
	}
	switch {
	case r.escape:
		r.escape = false
	case r.quoted && c == '\\':
		r.escape = true
	case c == '"':
		r.quoted = !r.quoted
	case r.quoted:
	case c == '{':
		r.depth++
	case c == '}':
		r.depth--
	}
	if r.depth == 0 {
		r.line = r.line[:0]
		if r.lost {
			r.doubt("a result of more than %d MB was passed over", maxObject>>20)
		} else {
			r.json(r.object, atNS)
		}
		r.object = nil
	}
}

// escapes are what moves a terminal's cursor and colours.
var escapes = regexp.MustCompile(`\x1b\[[0-9;?]*[A-Za-z]`)

func (r *Reader) endLine(atNS int64) {
	line := strings.TrimSpace(string(escapes.ReplaceAll(r.line, nil)))
	long := r.long
	r.line, r.long = r.line[:0], false
	if long {
		return
	}
	switch {
	case strings.HasPrefix(line, "|"):
		r.markdown(line, atNS)
	case strings.HasPrefix(line, "build_commit,") || r.csv != nil && strings.HasPrefix(line, `"`):
		r.comma(line, atNS)
	default:
		r.text.line(r, line)
	}
}
