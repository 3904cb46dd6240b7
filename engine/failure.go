package engine

import (
	"errors"
	"strings"

	"jouletop/engine/event"
)

// Death is the error of a backend's process that ended; it wraps ErrBackendDied. Its
// text ends with what the process said last.
type Death interface {
	error
	// Brief is its text without the last words, and these, " | " between lines.
	Brief() (text, lastWords string)
}

// ofPoint begins the text of a point's error.
func ofPoint(id string) string { return "point " + id + ": " }

// failure tells of an error, which may be a point's, in whole and in its parts.
func failure(at event.At, point string, err error) event.Error {
	out := event.Error{At: at, Text: err.Error(), PointID: point}
	out.What = strings.TrimPrefix(out.Text, ofPoint(point))
	if d, ok := errors.AsType[Death](err); ok {
		brief, lastWords := d.Brief()
		out.What, out.LastWords = strings.Replace(out.What, d.Error(), brief, 1), lastWords
	}
	if out.What == out.Text {
		out.What = ""
	}
	return out
}
