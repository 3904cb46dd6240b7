package remote

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// maxEvent bounds an event of a stream, in bytes: far above a token with its
// log-probabilities.
const maxEvent = 1 << 20

// errMalformed is wrapped by errors about an answer that makes no sense.
var errMalformed = errors.New("malformed answer")

// eventReader reads server-sent events (WHATWG HTML, section 9.2): the data of
// each; ids, comments, names but one, and signs of life are skipped.
type eventReader struct {
	r      *bufio.Reader
	data   []byte
	text   []byte // of a line
	begun  bool   // the first line was read
	cr     bool   // the last line ended in CR: an LF may belong to it
	skip   bool   // the event is a sign of life
	failed bool   // the event tells of an error: it is named so, or has a field "error" (older llama-server)
}

func newEventReader(r io.Reader) *eventReader {
	return &eventReader{r: bufio.NewReaderSize(r, 1<<14)}
}

// next returns the data of the next event that has any, good until the call
// after. io.EOF means that the stream ended after a whole event,
// io.ErrUnexpectedEOF within one.
func (e *eventReader) next() ([]byte, error) {
	e.data, e.failed, e.skip = e.data[:0], false, false
	for {
		line, err := e.line()
		if err != nil {
			switch {
			case errors.Is(err, io.EOF) && len(line) > 0:
				err = io.ErrUnexpectedEOF
			case errors.Is(err, io.EOF) && len(e.data) > 0:
				return e.data, nil // only the blank line after it is missing
			}
			return nil, err
		}
		if !e.begun {
			e.begun = true
			line = bytes.TrimPrefix(line, []byte("\ufeff"))
		}
		if len(line) == 0 {
			if len(e.data) > 0 && !e.skip {
				return e.data, nil
			}
			e.data, e.failed, e.skip = e.data[:0], false, false
			continue
		}
		field, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(field) {
		case "event":
			e.failed = e.failed || string(value) == "error"
			e.skip = signOfLife[string(value)]
			continue
		case "error":
			e.failed = true
		case "data":
		default:
			continue
		}
		if len(e.data) > 0 {
			e.data = append(e.data, '\n')
		}
		if e.data = append(e.data, value...); len(e.data) > maxEvent {
			return nil, errLongEvent
		}
		// Some leave the blank line out: a value that is whole is an event.
		if len(e.data) == len(value) && bytes.HasPrefix(value, []byte("{")) && !e.skip && json.Valid(value) {
			return e.data, nil
		}
	}
}

// signOfLife are names of events that say nothing else.
var signOfLife = map[string]bool{"ping": true, "heartbeat": true, "keepalive": true, "keep-alive": true}

var errLongEvent = fmt.Errorf("%w: an event of more than %d bytes", errMalformed, maxEvent)

// line returns a line without its end (LF, CR LF or CR).
func (e *eventReader) line() ([]byte, error) {
	e.text = e.text[:0]
	for {
		c, err := e.r.ReadByte()
		if err != nil {
			return e.text, err
		}
		rest := c == '\n' && e.cr
		e.cr = c == '\r'
		switch {
		case rest:
			continue
		case c == '\n' || c == '\r':
			return e.text, nil
		}
		if e.text = append(e.text, c); len(e.text) > maxEvent {
			return nil, errLongEvent
		}
	}
}
