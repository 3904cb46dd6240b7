package serverword

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"net/http"
	"os"
	"sync"
	"time"

	"jouletop/engine/event"
	"jouletop/gpu/timebase"
)

// Options say where a server tells.
type Options struct {
	// Page gets a page of the server ("metrics", "slots") and its Date header; nil: none.
	Page func(ctx context.Context, path string) (body []byte, date string, err error)
	// File is a log of vLLM or a file of Dynamo's metrics that is being written; "" none.
	File  string
	Clock timebase.Clock
	// Optional: pages are looked at again and again only once they have told something.
	Optional bool
}

// Timed is a reading at a time (ns of the time base), between Asked and it.
type Timed struct {
	AskedNS, TimeNS int64
	Reading
	Slots
}

// Told is what a server said since it was asked before.
type Told struct {
	Readings []Timed
	Passes   []Pass
}

// Watch looks at a server until it is closed.
type Watch struct {
	opt    Options
	cancel context.CancelFunc
	done   sync.WaitGroup
	looks  sync.Mutex // one look at a time

	mu      sync.Mutex
	told    Told
	word    event.ServerTelemetry
	kinds   map[Kind]bool
	skew    Skew
	last    Reading          // counters before
	numbers map[string]int64 // of the newest record, by worker
	noSlots bool
	silent  int // looks in a row that failed
}

// ErrNothing: the server tells nothing that is known.
var ErrNothing = errors.New("the server tells nothing of itself")

// How often is looked, and how much is kept for who asks seldom.
const (
	lookEvery = 500 * time.Millisecond
	tailEvery = 20 * time.Millisecond
	mostKept  = 1 << 16
	// silence is how many looks in a row may fail before the server counts as silent.
	silence = 4
)

// Open begins to look at a server, until Close. The error is the system's, of a file
// that cannot be opened.
func Open(opt Options) (*Watch, error) {
	w := &Watch{opt: opt, kinds: map[Kind]bool{}, numbers: map[string]int64{}, last: unknownReading()}
	life, cancel := context.WithCancel(context.Background())
	w.cancel = cancel
	if opt.File != "" {
		f, err := os.Open(opt.File)
		if err == nil {
			_, err = f.Seek(0, io.SeekEnd) // what was before is of others
		}
		if err != nil {
			cancel()
			return nil, fmt.Errorf("server telemetry: %w", err)
		}
		w.done.Go(func() { w.follow(life, f) })
	}
	if opt.Page != nil {
		w.done.Go(func() { w.poll(life) })
	}
	return w, nil
}

func unknownReading() Reading {
	return Reading{Running: math.NaN(), Waiting: math.NaN(), Read: math.NaN(), Made: math.NaN(), Passes: math.NaN()}
}

// Optional tells whether nobody asked for it by name.
func (w *Watch) Optional() bool { return w.opt.Optional }

// Close ends it.
func (w *Watch) Close() error {
	w.cancel()
	w.done.Wait()
	return nil
}

func (w *Watch) poll(ctx context.Context) {
	for ctx.Err() == nil {
		w.mu.Lock()
		wait := lookEvery
		if at := w.skew.Ask(time.Now()); at > lookEvery/5 && at < 2*lookEvery {
			wait = at
		}
		w.mu.Unlock()
		if !sleep(ctx, wait) {
			return
		}
		w.mu.Lock()
		idle := w.opt.Optional && w.word.Looks == w.word.Failed
		w.mu.Unlock()
		if !idle {
			_ = w.Look(ctx) // counted
		}
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// Look reads the server's pages now. One that cannot be read is counted; the error, which
// wraps ErrNothing, says that none could.
func (w *Watch) Look(ctx context.Context) error {
	if w.opt.Page == nil {
		return nil
	}
	w.looks.Lock()
	defer w.looks.Unlock()
	const patience = 3 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	t := Timed{AskedNS: w.opt.Clock.Now(), Reading: unknownReading()}
	asked := time.Now()
	text, date, err := w.opt.Page(ctx, "metrics")
	if err == nil {
		w.mu.Lock()
		w.skew.See(date, asked, time.Now())
		w.mu.Unlock()
		t.Reading, err = ParseMetrics(bytes.NewReader(text))
	}
	var slotsErr error
	if w.wantsSlots(t.Kind) {
		var list []byte
		if list, _, slotsErr = w.opt.Page(ctx, "slots"); slotsErr == nil {
			t.Slots, slotsErr = ParseSlots(list)
		}
		if slotsErr == nil {
			t.Kind = LlamaServer
		}
	}
	t.TimeNS = w.opt.Clock.Now()
	w.take(t, err, slotsErr)
	if err != nil && t.All == 0 {
		return fmt.Errorf("%w: %w", ErrNothing, err)
	}
	return nil
}

func (w *Watch) wantsSlots(k Kind) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.noSlots && (k == LlamaServer || k == Unknown)
}

// take takes a look in.
func (w *Watch) take(t Timed, err, slotsErr error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.word.Looks++
	if errors.Is(err, ErrMalformed) || errors.Is(slotsErr, ErrMalformed) {
		w.word.Malformed++
	}
	if slotsErr != nil && t.All == 0 && w.word.Slots == 0 {
		w.noSlots = true // --no-slots
	}
	if err != nil && (t.All == 0) {
		w.word.Failed++
		w.silent++
		return
	}
	w.silent = 0
	w.kinds[t.Kind] = true
	if w.word.Slots = max(w.word.Slots, t.All); t.Busy > 0 && math.IsNaN(t.Running) {
		t.Running = float64(t.Busy)
	}
	w.word.Impossible += t.Impossible
	if t.Read < w.last.Read || t.Made < w.last.Made || t.Passes < w.last.Passes {
		w.word.Restarts++
	}
	w.last = t.Reading
	if len(w.told.Readings) < mostKept {
		w.told.Readings = append(w.told.Readings, t)
	}
}

// Take returns what was told since it was called before.
func (w *Watch) Take() Told {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.told
	w.told = Told{}
	return t
}

// Word returns what all of it is worth so far.
func (w *Watch) Word() event.ServerTelemetry {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := w.word
	for _, k := range []Kind{LlamaServer, VLLM, SGLang, Dynamo} {
		if w.kinds[k] {
			out.Kinds = append(out.Kinds, string(k))
		}
	}
	out.SkewS, out.SkewMostS = w.skew.Bound()
	out.SkewSteps = w.skew.Steps
	out.Workers = len(w.numbers)
	if w.word.Records > 0 {
		out.Workers = max(out.Workers, 1)
	}
	out.Stopped = w.silent >= silence
	return out
}

// maxLine bounds a line of a log, in bytes.
const maxLine = 64 << 10

// follow reads what is appended to a file, and begins anew where another takes its place.
func (w *Watch) follow(ctx context.Context, f *os.File) {
	defer func() { _ = f.Close() }()
	var rest []byte // of a line
	skip := false   // the line is too long
	buf := make([]byte, maxLine)
	for {
		n, err := f.Read(buf)
		now := w.opt.Clock.Now()
		for part := buf[:n]; len(part) > 0; {
			line, after, whole := bytes.Cut(part, []byte("\n"))
			part = after
			if len(rest)+len(line) > maxLine {
				skip, rest = true, rest[:0]
			}
			if !skip {
				rest = append(rest, line...)
			}
			if whole {
				w.line(rest, now, skip)
				rest, skip = rest[:0], false
			}
		}
		if n > 0 && err == nil {
			continue
		}
		if !sleep(ctx, tailEvery) {
			return
		}
		if other := w.replaced(f); other != nil {
			_ = f.Close()
			f, rest, skip = other, rest[:0], false
		}
	}
}

// replaced opens the file anew where it was cut, or another has its name; else nil.
func (w *Watch) replaced(f *os.File) *os.File {
	now, err := os.Stat(w.opt.File)
	was, err2 := f.Stat()
	at, err3 := f.Seek(0, io.SeekCurrent)
	if err := errors.Join(err, err2, err3); err != nil {
		return nil // for now
	}
	if os.SameFile(now, was) && now.Size() >= at {
		return nil
	}
	other, err := os.Open(w.opt.File)
	if err != nil {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.word.Restarts++
	clear(w.numbers)
	return other
}

// line takes a line of a file in, read at now.
func (w *Watch) line(text []byte, now int64, tooLong bool) {
	text = bytes.TrimSpace(text)
	if len(text) == 0 && !tooLong {
		return
	}
	var p Pass
	var some bool
	var err error
	kind := VLLM
	switch {
	case tooLong:
		err = ErrMalformed
	case text[0] == '{':
		kind = Dynamo
		p, some, err = ParseDynamo(text)
	default:
		p, some, err = ParseVLLM(text)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		w.word.Malformed++
		return
	}
	if p.Number >= 0 {
		before, known := w.numbers[p.Worker]
		w.numbers[p.Worker] = p.Number
		switch d := p.Number - before; {
		case !known:
		case d <= 0:
			w.word.Restarts++
		default:
			w.word.Lost += min(d-1, maxLost)
		}
	}
	if !some {
		return
	}
	p.ReadNS = now
	w.kinds[kind] = true
	w.word.Records++
	if len(w.told.Passes) < mostKept {
		w.told.Passes = append(w.told.Passes, p)
	} else {
		w.word.Lost++
	}
}

// maxLost is how many missing records are counted at once: a number may say anything.
const maxLost = 1 << 20

// PageOf returns an Options.Page of a server at an address of its own (of its pages'
// folder, without a key).
func PageOf(client *http.Client, address string) func(ctx context.Context, path string) ([]byte, string, error) {
	return func(ctx context.Context, path string) ([]byte, string, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, address+"/"+path, nil)
		if err != nil {
			return nil, "", err
		}
		resp, err := client.Do(req)
		if err != nil {
			return nil, "", err
		}
		defer func() { _ = resp.Body.Close() }()
		if resp.StatusCode != http.StatusOK {
			return nil, "", fmt.Errorf("%s: %s", path, resp.Status)
		}
		text, err := io.ReadAll(io.LimitReader(resp.Body, maxMetrics+1))
		return text, resp.Header.Get("Date"), err
	}
}

// IsFile tells whether what an operator named is a file.
func IsFile(name string) bool {
	s, err := os.Stat(name)
	return err == nil && s.Mode()&fs.ModeType == 0
}
