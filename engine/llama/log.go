package llama

import (
	"io"
	"slices"
	"strings"
	"sync"
)

// Levels of ggml's log; levelCont continues the line before.
const (
	levelWarn  = 3
	levelError = 4
	levelCont  = 5
)

// keptLines is how many errors, and how many warnings, are kept for messages.
const keptLines = 50

// nativeLog is where llama.cpp's log goes; it has one for the whole process.
var nativeLog logSink

type logSink struct {
	mu     sync.Mutex
	w      io.Writer
	level  int
	line   strings.Builder // not ended yet
	errors []string        // of level error, since mark
	doubts []string        // of level warning and of consequence, since mark
}

// setWriter sends what comes from now on to w.
func (s *logSink) setWriter(w io.Writer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.w = w
}

// add takes a piece of the log: a line, a part of one, or several.
func (s *logSink) add(level int, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if level != levelCont {
		s.flush()
		s.level = level
	}
	for {
		line, rest, ended := strings.Cut(text, "\n")
		s.line.WriteString(line)
		if !ended {
			return
		}
		s.flush()
		text = rest
	}
}

func (s *logSink) flush() {
	if s.line.Len() == 0 {
		return
	}
	line := s.line.String()
	s.line.Reset()
	if s.w != nil {
		_, _ = io.WriteString(s.w, line+"\n") // a log that fails must not stop a job
	}
	if s.level == levelWarn && consequential(line) && len(s.doubts) < keptLines {
		s.doubts = append(s.doubts, withoutFunction(line))
	}
	if s.level == levelError && len(s.errors) < keptLines {
		s.errors = append(s.errors, line)
	}
}

// mark forgets the errors so far.
func (s *logSink) mark() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.errors, s.doubts = nil, nil
}

// warnings returns what llama.cpp has warned of since mark that changes results.
func (s *logSink) warnings() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flush()
	return slices.Clone(s.doubts)
}

// consequential tells whether a warning of llama.cpp is about something that
// changes what a model reads or writes. It warns of much else.
func consequential(line string) bool {
	for _, about := range []string{"pre-tokenizer", "bad special token", "out of vocab range", "newline token"} {
		if strings.Contains(line, about) {
			return true
		}
	}
	return false
}

// withoutFunction takes off the name of the C++ function that llama.cpp puts
// before a line.
func withoutFunction(line string) string {
	if name, rest, ok := strings.Cut(line, ": "); ok && !strings.Contains(name, " ") {
		return strings.TrimSpace(rest)
	}
	return line
}

// firstError returns the first error since mark, without the name of the C++
// function that llama.cpp puts before it; otherwise if there was none.
func (s *logSink) firstError(otherwise string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flush()
	if len(s.errors) == 0 {
		return otherwise
	}
	line := withoutFunction(s.errors[0])
	// It may quote the model file at length.
	if r := []rune(line); len(r) > maxQuoted {
		line = string(r[:maxQuoted]) + "…"
	}
	return line
}

// maxQuoted is how much of a log line an error's text quotes, in runes.
const maxQuoted = 240
