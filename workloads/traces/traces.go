package traces

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// ErrMalformed is wrapped by errors about what stands in a file; they name file
// and line.
var ErrMalformed = errors.New("malformed trace")

// Row is one request of a trace.
type Row struct {
	At     time.Duration // after the trace's first request
	Input  int           // tokens of the prompt, 1 or more
	Output int           // tokens generated, 1 or more
}

// Bounds of what a row may say: far beyond any model's context, and any trace's
// time.
const (
	maxTokens = 1 << 24
	maxTime   = 100 * 365 * 24 * time.Hour
)

// Reader reads a trace; see Open. It is used by one goroutine.
type Reader struct {
	name   string
	format string
	next   func() (record, error)
	close  func() error

	began   bool
	first   time.Duration // of the trace's own clock
	latest  time.Duration
	skipped Skipped
}

// record is a row as it stands in a file, by the trace's own clock.
type record struct {
	line          int
	at            time.Duration
	input, output int
}

// Skipped are rows left out: nothing was generated for the request (BurstGPT
// keeps those that failed).
type Skipped struct {
	Rows  int
	First int // line of the first
}

// Open opens the trace at path. Errors about its first line wrap ErrMalformed.
func Open(path string) (*Reader, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0) // or a FIFO would be waited for
	if err != nil {
		return nil, fmt.Errorf("trace: %w", err)
	}
	if st, err := f.Stat(); err == nil && !st.Mode().IsRegular() {
		_ = f.Close()
		return nil, fmt.Errorf("trace %s: not a regular file", path)
	}
	r, err := NewReader(path, f)
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	r.close = f.Close
	return r, nil
}

// NewReader reads a trace from in; name stands for it in errors.
func NewReader(name string, in io.Reader) (*Reader, error) {
	r := &Reader{name: name, close: func() error { return nil }}
	br := bufio.NewReaderSize(in, 1<<16)
	if mark, err := br.Peek(3); err == nil && string(mark) == "\ufeff" {
		_, _ = br.Discard(len(mark)) // it is there
	}
	first, err := br.Peek(1)
	switch {
	case errors.Is(err, io.EOF):
		return nil, r.wrong(1, "it is empty")
	case err != nil:
		return nil, fmt.Errorf("trace %s: %w", name, err)
	case first[0] == '{':
		r.format, r.next = "mooncake", r.mooncake(br)
	default:
		if err := r.openCSV(br); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// Format is azure, burstgpt or mooncake.
func (r *Reader) Format() string { return r.format }

// Skipped tells what Next left out so far.
func (r *Reader) Skipped() Skipped { return r.skipped }

// Close closes the file.
func (r *Reader) Close() error { return r.close() }

// Next returns the next row; io.EOF after the last. Any other error is final;
// those about a row wrap ErrMalformed.
func (r *Reader) Next() (Row, error) {
	for {
		rec, err := r.next()
		switch {
		case err != nil:
			return Row{}, err
		case rec.input < 1 || rec.input > maxTokens:
			return Row{}, r.wrong(rec.line, "a prompt of %d tokens", rec.input)
		case rec.output < 0 || rec.output > maxTokens:
			return Row{}, r.wrong(rec.line, "%d tokens generated", rec.output)
		case r.began && rec.at < r.latest:
			return Row{}, r.wrong(rec.line, "time goes back by %v", r.latest-rec.at)
		}
		if !r.began {
			r.began, r.first = true, rec.at
		}
		r.latest = rec.at
		if rec.output == 0 {
			if r.skipped.Rows++; r.skipped.Rows == 1 {
				r.skipped.First = rec.line
			}
			continue
		}
		return Row{At: rec.at - r.first, Input: rec.input, Output: rec.output}, nil
	}
}

func (r *Reader) wrong(line int, format string, args ...any) error {
	return fmt.Errorf("%w: %s:%d: %s", ErrMalformed, r.name, line, fmt.Sprintf(format, args...))
}

// columns are where a CSV has what is wanted.
type columns struct{ at, input, output int }

// limited ends a reader where a line, or what stands in quotes, does not end.
type limited struct {
	in   io.Reader
	left int // bytes, of the row that is being read
}

func (l *limited) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, errTooLong
	}
	n, err := l.in.Read(p)
	l.left -= n
	return n, err
}

var errTooLong = fmt.Errorf("a line of more than %d bytes", maxLine)

func (r *Reader) openCSV(br io.Reader) error {
	in := &limited{in: br, left: maxLine}
	c := csv.NewReader(in)
	c.ReuseRecord = true
	header, err := c.Read()
	if errors.Is(err, errTooLong) {
		return r.wrong(1, "%v", errTooLong)
	}
	if err != nil {
		return r.wordCSV(c, err)
	}
	names := make([]string, len(header))
	for i, h := range header {
		names[i] = strings.ToLower(strings.TrimSpace(h))
	}
	find := func(at, input, output string) (columns, bool) {
		k := columns{slices.Index(names, at), slices.Index(names, input), slices.Index(names, output)}
		return k, min(k.at, k.input, k.output) >= 0
	}
	if k, ok := find("timestamp", "contexttokens", "generatedtokens"); ok {
		r.format, r.next = "azure", r.csvRows(c, in, k, azureTime)
		return nil
	}
	if k, ok := find("timestamp", "request tokens", "response tokens"); ok {
		r.format, r.next = "burstgpt", r.csvRows(c, in, k, secondsTime)
		return nil
	}
	return r.wrong(1, "it is no trace known: its first line is neither JSON with timestamp, input_length, output_length nor the header of an Azure or BurstGPT trace")
}

func (r *Reader) csvRows(c *csv.Reader, in *limited, k columns, timeOf func(string) (time.Duration, error)) func() (record, error) {
	last := 1 // line
	return func() (record, error) {
		in.left = maxLine
		row, err := c.Read()
		if errors.Is(err, errTooLong) {
			return record{}, r.wrong(last+1, "%v", errTooLong)
		}
		if errors.Is(err, io.EOF) {
			return record{}, io.EOF
		}
		if err != nil {
			return record{}, r.wordCSV(c, err)
		}
		line, _ := c.FieldPos(0)
		last = line
		rec := record{line: line}
		if rec.at, err = timeOf(strings.TrimSpace(row[k.at])); err != nil {
			return record{}, r.wrong(line, "%v", err)
		}
		for at, to := range map[int]*int{k.input: &rec.input, k.output: &rec.output} {
			if *to, err = tokens(strings.TrimSpace(row[at])); err != nil {
				return record{}, r.wrong(line, "%v", err)
			}
		}
		return rec, nil
	}
}

func (r *Reader) wordCSV(c *csv.Reader, err error) error {
	if p, ok := errors.AsType[*csv.ParseError](err); ok {
		return r.wrong(p.Line, "%v", p.Err)
	}
	return fmt.Errorf("trace %s: %w", r.name, err)
}

// tokens reads 7 and 7.0.
func tokens(s string) (int, error) {
	n, err := strconv.ParseFloat(s, 64)
	if err != nil || n != math.Trunc(n) || math.Abs(n) > maxTokens {
		return 0, fmt.Errorf("%q is no number of tokens", s)
	}
	return int(n), nil
}

// azureTime reads a time of day in UTC, with or without a zone.
func azureTime(s string) (time.Duration, error) {
	for _, layout := range []string{"2006-01-02 15:04:05.999999999", "2006-01-02 15:04:05.999999999Z07:00", time.RFC3339Nano} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.Sub(time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)), nil
		}
	}
	return 0, fmt.Errorf("%q is no time such as 2023-11-16 18:17:03.9799600", s)
}

// secondsTime reads seconds.
func secondsTime(s string) (time.Duration, error) {
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is no time in seconds", s)
	}
	return timeOf(v, time.Second)
}

func timeOf(v float64, unit time.Duration) (time.Duration, error) {
	if d := v * float64(unit); math.Abs(d) <= float64(maxTime) {
		return time.Duration(math.Round(d)), nil
	}
	return 0, fmt.Errorf("a time of %g in units of %v", v, unit)
}

// maxLine bounds a line, in bytes: hash_ids of a prompt of a million
// tokens are 20 kB.
const maxLine = 8 << 20

func (r *Reader) mooncake(in io.Reader) func() (record, error) {
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 1<<16), maxLine)
	n := 0
	return func() (record, error) {
		for lines.Scan() {
			n++
			text := bytes.TrimSpace(lines.Bytes())
			if len(text) == 0 {
				continue
			}
			var row struct {
				Timestamp *float64 `json:"timestamp"`
				Input     *float64 `json:"input_length"`
				Output    *float64 `json:"output_length"`
			}
			if err := json.Unmarshal(text, &row); err != nil {
				return record{}, r.wrong(n, "%v", err)
			}
			if row.Timestamp == nil || row.Input == nil || row.Output == nil {
				return record{}, r.wrong(n, "timestamp, input_length or output_length is missing")
			}
			rec := record{line: n}
			var err error
			if rec.at, err = timeOf(*row.Timestamp, time.Millisecond); err != nil {
				return record{}, r.wrong(n, "%v", err)
			}
			for _, c := range []struct {
				v  float64
				to *int
			}{{*row.Input, &rec.input}, {*row.Output, &rec.output}} {
				if c.v != math.Trunc(c.v) || math.Abs(c.v) > maxTokens {
					return record{}, r.wrong(n, "%g is no number of tokens", c.v)
				}
				*c.to = int(c.v)
			}
			return rec, nil
		}
		if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
			return record{}, r.wrong(n+1, "%v", errTooLong)
		} else if err != nil {
			return record{}, fmt.Errorf("trace %s: %w", r.name, err)
		}
		return record{}, io.EOF
	}
}
