package session

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/gofrs/flock"

	"jouletop/engine/event"
)

// Keep says how much telemetry goes to disk; measuring always uses all of it.
type Keep string

// Full keeps every sample, Thin about one a second and a phase, None none.
const (
	Full Keep = "full"
	Thin Keep = "thin"
	None Keep = "none"
)

// ParseKeep reads a --samples value.
func ParseKeep(s string) (Keep, error) {
	switch k := Keep(s); k {
	case Full, Thin, None:
		return k, nil
	}
	return "", fmt.Errorf("--samples %q: want full, thin or none", s)
}

const (
	flushEvery = time.Second
	// backlog bounds the memory of events waiting for a disk that stalls: at 150
	// events a second it is half an hour. Beyond it Record waits.
	backlog = 1 << 18
	// wakeAt events waiting are written before the next flush. At 10 ms samples
	// that never happens: waking the writer for each would cost more than writing.
	wakeAt = 1 << 12
)

// Recorder writes a session folder as events come. It implements
// engine.Recorder: nothing is lost short of a crash, which loses at most the
// last second.
type Recorder struct {
	dir      string
	keep     Keep
	lock     *flock.Flock
	manifest struct {
		sync.Mutex
		Manifest
	}

	mu      sync.Mutex
	waiting []event.Event
	room    *sync.Cond // backlog has room
	wake    chan struct{}
	closing bool
	err     error
	done    chan struct{}

	// Of the writing goroutine alone.
	files   map[string]*file
	scratch []byte
	thin    thinner
}

type file struct {
	f *os.File
	w *bufio.Writer
}

// order in which files are flushed: a point's row comes after the rows it sums
// up, so that a crash never leaves a point without its requests.
var order = []string{SamplesFile, PowerFile, OutputsFile, EventsFile, PhasesFile, RequestsFile, ClocksFile, PointsFile}

// Create makes dir and starts recording into it. The manifest's schema and
// sample keeping are filled in. Errors wrap ErrExists where dir holds anything.
func Create(dir string, m Manifest, keep Keep) (*Recorder, error) {
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return nil, fmt.Errorf("session folder %s: %w (--resume goes on with a session)", dir, ErrExists)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("session folder: %w", err)
	}
	m.Schema, m.SampleKeep, m.Flags = Schema, string(keep), event.FlagMeanings
	return start(dir, m, keep)
}

// start opens the files for appending, writing headers where they are new.
func start(dir string, m Manifest, keep Keep) (*Recorder, error) {
	lock := flock.New(filepath.Join(dir, ".lock"))
	ok, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("session folder %s: %w", dir, err)
	}
	if !ok {
		return nil, fmt.Errorf("%s: %w", dir, ErrInUse)
	}
	r := &Recorder{dir: dir, keep: keep, lock: lock, files: map[string]*file{}, wake: make(chan struct{}, 1), done: make(chan struct{})}
	r.room = sync.NewCond(&r.mu)
	r.manifest.Manifest = m
	if err := writeManifest(dir, &m); err != nil {
		_ = lock.Unlock()
		return nil, err
	}
	headers := map[string][]byte{
		SamplesFile: samplesTable.header(), PowerFile: powerTable.header(), PhasesFile: phasesTable.header(),
		RequestsFile: requestsTable.header(), ClocksFile: clocksTable.header(), OutputsFile: nil, EventsFile: nil,
	}
	if m.Name == "sweep" || m.Name == "dashboard" {
		headers[PointsFile] = pointsTable.header()
	}
	for _, name := range order {
		header, wanted := headers[name]
		if !wanted {
			continue
		}
		f, err := appendTo(filepath.Join(dir, name), header)
		if err != nil {
			r.closeFiles()
			_ = lock.Unlock()
			return nil, fmt.Errorf("session folder: %w", err)
		}
		r.files[name] = f
	}
	go r.write()
	return r, nil
}

func appendTo(path string, header []byte) (*file, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	w := bufio.NewWriterSize(f, 1<<16)
	info, err := f.Stat()
	if err == nil && info.Size() == 0 {
		_, err = w.Write(header)
		if err == nil {
			err = w.Flush()
		}
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return &file{f, w}, nil
}

// Dir returns the session folder.
func (r *Recorder) Dir() string { return r.dir }

// Update changes the manifest and rewrites it.
func (r *Recorder) Update(change func(m *Manifest)) error {
	r.manifest.Lock()
	defer r.manifest.Unlock()
	change(&r.manifest.Manifest)
	return writeManifest(r.dir, &r.manifest.Manifest)
}

// Record keeps e. It waits only when the disk is far behind.
func (r *Recorder) Record(e event.Event) {
	r.mu.Lock()
	for len(r.waiting) >= backlog && !r.closing {
		r.room.Wait()
	}
	if !r.closing {
		r.waiting = append(r.waiting, e)
	}
	_, urgent := e.(event.PointDone)
	urgent = urgent || len(r.waiting) >= wakeAt
	r.mu.Unlock()
	if urgent {
		r.wakeUp()
	}
}

// wakeUp has the writing goroutine write at once, not at the next flush.
func (r *Recorder) wakeUp() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Err returns the first write error.
func (r *Recorder) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// Close writes what waits and ends the recording. The manifest is left as it
// was updated last.
func (r *Recorder) Close() error {
	r.mu.Lock()
	if r.closing {
		r.mu.Unlock()
		<-r.done
		return r.Err()
	}
	r.closing = true
	r.room.Broadcast()
	r.mu.Unlock()
	r.wakeUp()
	<-r.done
	if err := r.lock.Unlock(); err == nil {
		_ = os.Remove(r.lock.Path())
	}
	return r.Err()
}

// write is the writing goroutine.
func (r *Recorder) write() {
	defer close(r.done)
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	var batch []event.Event
	for {
		var flush bool
		select {
		case <-r.wake:
		case <-tick.C:
			flush = true
		}
		r.mu.Lock()
		batch, r.waiting = r.waiting, batch[:0]
		closing := r.closing
		r.room.Broadcast()
		r.mu.Unlock()
		for i, e := range batch {
			if err := r.put(e); err != nil {
				r.fail(err)
			}
			if _, ok := e.(event.PointDone); ok {
				flush = true
			}
			batch[i] = nil
		}
		if flush || closing {
			r.fail(r.flush())
		}
		if closing {
			r.closeFiles()
			return
		}
	}
}

func (r *Recorder) fail(err error) {
	if err == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		r.err = fmt.Errorf("record session: %w", err)
	}
}

func (r *Recorder) flush() error {
	var errs []error
	for _, name := range order {
		if f := r.files[name]; f != nil {
			errs = append(errs, f.w.Flush())
		}
	}
	return errors.Join(errs...)
}

func (r *Recorder) closeFiles() {
	for _, f := range r.files {
		r.fail(f.f.Close())
	}
}

// put writes e to the files it belongs in.
func (r *Recorder) put(e event.Event) error {
	switch e := e.(type) {
	case event.Sample:
		if r.keep == Full || r.keep == Thin && r.thin.sample(e) {
			return putRow(r, samplesTable, &e)
		}
		return nil
	case event.Power:
		if r.keep == Full || r.keep == Thin && r.thin.power(e) {
			return putRow(r, powerTable, &e)
		}
		return nil
	case event.Token:
		if r.keep != Full {
			return nil // the text is in outputs.jsonl
		}
	case event.PhaseStart:
		r.thin.phase()
	case event.PhaseEnergy:
		if err := putRow(r, phasesTable, &e); err != nil {
			return err
		}
	case event.RequestEnergy:
		if err := putRow(r, requestsTable, &e); err != nil {
			return err
		}
	case event.RequestDone:
		if err := r.putOutput(e); err != nil {
			return err
		}
	case event.ClockChange:
		if err := putRow(r, clocksTable, &e); err != nil {
			return err
		}
	case event.PointDone:
		if err := putRow(r, pointsTable, &e); err != nil {
			return err
		}
	}
	line, err := event.Marshal(e)
	if err != nil {
		return err
	}
	return r.putLine(EventsFile, append(line, '\n'))
}

func putRow[T any](r *Recorder, t table[T], row *T) error {
	r.scratch = t.row(r.scratch[:0], row)
	return r.putLine(t.file, r.scratch)
}

func (r *Recorder) putLine(name string, line []byte) error {
	f := r.files[name]
	if f == nil {
		return nil
	}
	_, err := f.w.Write(line)
	return err
}

func (r *Recorder) putOutput(e event.RequestDone) error {
	line, err := json.Marshal(OutputLine{
		RequestID: e.RequestID, GPU: e.GPU, Text: e.Output.Text, Choice: e.Output.Choice, LogLikelihoods: e.Output.LogLikelihoods,
	})
	if err != nil {
		return fmt.Errorf("outputs.jsonl: %w", err)
	}
	return r.putLine(OutputsFile, append(line, '\n'))
}

// OutputLine is a line of outputs.jsonl.
type OutputLine struct {
	RequestID      string    `json:"request_id"`
	GPU            string    `json:"gpu"`
	Text           string    `json:"text,omitempty"`
	Choice         int       `json:"choice"` // -1 for generated text
	LogLikelihoods []float64 `json:"log_likelihoods,omitempty"`
}

// thinner lets through about one row a second and a phase.
type thinner struct {
	sampleAt map[string]int64    // by GPU
	powerAt  map[[2]string]int64 // by GPU and source
}

const thinEvery = int64(time.Second)

func (t *thinner) sample(e event.Sample) bool {
	if t.sampleAt == nil {
		t.sampleAt = map[string]int64{}
	}
	return due(t.sampleAt, e.GPU, e.TimeNS)
}

func (t *thinner) power(e event.Power) bool {
	if t.powerAt == nil {
		t.powerAt = map[[2]string]int64{}
	}
	return due(t.powerAt, [2]string{e.GPU, e.Source}, e.TimeNS)
}

// due tells whether t is late enough after the row let through last.
func due[K comparable](last map[K]int64, k K, t int64) bool {
	if at, seen := last[k]; seen && t-at < thinEvery {
		return false
	}
	last[k] = t
	return true
}

// phase lets the next row of each kind through.
func (t *thinner) phase() {
	clear(t.sampleAt)
	clear(t.powerAt)
}
