package remote

import (
	"bufio"
	"bytes"
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
// each; names, ids and comments are skipped.
type eventReader struct {
	r    *bufio.Reader
	data []byte
}

func newEventReader(r io.Reader) *eventReader {
	return &eventReader{r: bufio.NewReaderSize(r, 1<<14)}
}

// next returns the data of the next event, good until the call after. io.EOF
// means that the stream ended after a whole event, io.ErrUnexpectedEOF within
// one.
func (e *eventReader) next() ([]byte, error) {
	e.data = e.data[:0]
	some := false
	for {
		line, err := e.line()
		if err != nil {
			switch {
			case errors.Is(err, io.EOF) && len(line) > 0:
				err = io.ErrUnexpectedEOF
			case errors.Is(err, io.EOF) && some:
				return e.data, nil // only the blank line after it is missing
			}
			return nil, err
		}
		if len(line) == 0 {
			if some {
				return e.data, nil
			}
			continue
		}
		value, ok := bytes.CutPrefix(line, []byte("data:"))
		if !ok {
			if bytes.Equal(line, []byte("data")) {
				some = true
			}
			continue
		}
		if some {
			e.data = append(e.data, '\n')
		}
		e.data = append(e.data, bytes.TrimPrefix(value, []byte(" "))...)
		some = true
		if len(e.data) > maxEvent {
			return nil, errLongEvent
		}
	}
}

var errLongEvent = fmt.Errorf("%w: an event of more than %d bytes", errMalformed, maxEvent)

// line returns a line without its end (LF or CR LF).
func (e *eventReader) line() ([]byte, error) {
	var long []byte
	for {
		part, err := e.r.ReadSlice('\n')
		if err == nil && long == nil {
			return trimEnd(part), nil
		}
		if long = append(long, part...); len(long) > maxEvent {
			return nil, errLongEvent
		}
		switch {
		case err == nil:
			return trimEnd(long), nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return long, err
		}
	}
}

func trimEnd(line []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
}
