package session

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"jouletop/engine/event"
	"jouletop/engine/nulljson"
	"jouletop/gpu/regular"
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
	// flushEvery is half the second that a crash may cost, and that trouble may
	// take to be told.
	flushEvery = time.Second / 2
	// backlog bounds the memory of events waiting for a disk that stalls: at 150
	// events a second it is half an hour. Beyond it Record waits; where the disk
	// takes nothing, telemetry beyond it is lost, and counted.
	backlog = 1 << 18
	// wakeAt events waiting are written before the next flush. At 10 ms samples
	// that never happens: waking the writer for each would cost more than writing.
	wakeAt = 1 << 12
	// writeAt bytes of a file waiting are written.
	writeAt = 1 << 16
)

// Recorder writes a session folder as events come. It implements
// stream.Recorder: nothing is lost short of a crash, which loses at most the
// last second. Where the disk takes no more it keeps what comes, tries on, and
// tells of it (see OnTrouble).
type Recorder struct {
	dir      string
	keep     Keep
	lock     lock
	manifest struct {
		sync.Mutex
		Manifest
		stale bool // the file is not what Manifest is
	}

	mu      sync.Mutex
	waiting []event.Event
	room    *sync.Cond // backlog has room
	wake    chan struct{}
	closing bool
	err     error       // what keeps the disk from taking more; nil while it does
	lost    int         // events that are in no file and never will be
	trouble func(error) // see OnTrouble
	done    chan struct{}

	// Of the writing goroutine alone.
	files   map[string]*file
	scratch []byte
	thin    thinner
	failing bool // err is not nil
	durable bool // a point's requests are to survive the machine before its row does
}

// file is a file of the session, what waits for it in memory.
type file struct {
	out interface {
		io.WriteCloser
		Sync() error
	}
	buf []byte
}

// flush writes what waits. What the disk did not take goes on waiting, so that
// the file is whole once it does.
func (f *file) flush() error {
	if len(f.buf) == 0 {
		return nil
	}
	n, err := f.out.Write(f.buf)
	f.buf = f.buf[:copy(f.buf, f.buf[n:])]
	return err
}

// order in which files are flushed: a point's row comes after the rows it sums
// up, and only once the disk has those.
var order = []string{SamplesFile, PowerFile, HostFile, OutputsFile, EventsFile, PhasesFile, IterationsFile, RequestsFile, ClocksFile, PointsFile}

// Create makes dir and starts recording into it. The manifest's schema and
// sample keeping are filled in. Errors wrap ErrExists where dir holds anything.
func Create(dir string, m Manifest, keep Keep) (*Recorder, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("session folder: %w", err)
	}
	l, err := lockFolder(dir)
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		l.release()
		return nil, fmt.Errorf("session folder: %w", err)
	}
	for _, e := range entries {
		if e.Name() != filepath.Base(l.f.Path()) {
			l.release()
			return nil, fmt.Errorf("session folder %s: %w (--resume goes on with a session)", dir, ErrExists)
		}
	}
	m.Schema, m.SampleKeep, m.Flags = Schema, string(keep), event.FlagMeanings
	return start(dir, m, keep, l)
}

// start opens the files for appending, writing headers where they are new. The
// lock is the recorder's from here on.
func start(dir string, m Manifest, keep Keep, l lock) (*Recorder, error) {
	r := &Recorder{
		dir: dir, keep: keep, lock: l, files: map[string]*file{}, wake: make(chan struct{}, 1), done: make(chan struct{}),
		durable: m.TimeBase.Kind != simulatedTime,
	}
	r.room = sync.NewCond(&r.mu)
	r.manifest.Manifest = m
	if err := r.open(); err != nil {
		r.closeFiles()
		l.release()
		return nil, err
	}
	go r.write()
	return r, nil
}

func (r *Recorder) open() error {
	m := &r.manifest.Manifest
	if err := writeManifest(r.dir, m); err != nil {
		return err
	}
	if err := ReplaceFile(filepath.Join(r.dir, ReadmeFile), readme(m)); err != nil {
		return err
	}
	headers := map[string][]byte{
		SamplesFile: samplesTable.header(), PowerFile: powerTable.header(), PhasesFile: phasesTable.header(),
		RequestsFile: requestsTable.header(), ClocksFile: clocksTable.header(), OutputsFile: nil, EventsFile: nil,
	}
	if m.Name == "sweep" || m.Name == "dashboard" || m.Command != nil {
		headers[PointsFile] = pointsTable.header()
	}
	if len(m.HostSources) > 0 {
		headers[HostFile] = hostTable.header()
	}
	if m.Plan.Serving != nil {
		headers[IterationsFile] = iterationsTable.header()
	}
	for _, name := range order {
		header, wanted := headers[name]
		if !wanted {
			continue
		}
		f, err := appendTo(filepath.Join(r.dir, name), header)
		if err != nil {
			return fmt.Errorf("session folder: %w", err)
		}
		r.files[name] = f
	}
	return nil
}

func appendTo(path string, header []byte) (*file, error) {
	out, err := regular.OpenInside(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	f := &file{out: out}
	info, err := out.Stat()
	if err == nil && info.Size() == 0 {
		f.buf = append(f.buf, header...)
		err = f.flush()
	}
	if err != nil {
		_ = out.Close()
		return nil, err
	}
	return f, nil
}

// Dir returns the session folder.
func (r *Recorder) Dir() string { return r.dir }

// OnTrouble has tell called, in a goroutine of its own, when the disk takes no
// more, with the error (it wraps ErrRecord), and with nil when it does again and
// all that waited is written. It is called before anything is recorded.
func (r *Recorder) OnTrouble(tell func(error)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.trouble = tell
}

// Update changes the manifest and rewrites it. While the recording goes on, what
// could not be written is tried again, and told of like the rest.
func (r *Recorder) Update(change func(m *Manifest)) error {
	r.manifest.Lock()
	defer r.manifest.Unlock()
	change(&r.manifest.Manifest)
	return r.writeManifest()
}

func (r *Recorder) writeManifest() error {
	err := writeManifest(r.dir, &r.manifest.Manifest)
	r.manifest.stale = err != nil
	return err
}

// Record keeps e. It waits only when the disk is far behind.
func (r *Recorder) Record(e event.Event) {
	r.mu.Lock()
	for len(r.waiting) >= backlog && !r.closing && r.err == nil {
		r.room.Wait()
	}
	switch {
	case r.closing:
	case len(r.waiting) >= backlog && event.Telemetry(e):
		r.lost++
	default:
		r.waiting = append(r.waiting, e)
	}
	_, urgent := e.(event.PointDone)
	urgent = r.err == nil && (urgent || len(r.waiting) >= wakeAt)
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

// Err returns what keeps the disk from taking more, or says what was lost to it.
// The error wraps ErrRecord.
func (r *Recorder) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.err != nil:
		return r.err
	case r.lost > 0:
		return fmt.Errorf("%w: %d events are lost", ErrRecord, r.lost)
	}
	return nil
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
	r.lock.release()
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
		if r.failing && flush { // is there room again?
			r.settle(r.flush())
		}
		r.mu.Lock()
		closing := r.closing
		if !r.failing || closing {
			batch, r.waiting = r.waiting, batch[:0]
			r.room.Broadcast()
		}
		r.mu.Unlock()
		for i, e := range batch {
			r.put(e)
			if _, ok := e.(event.PointDone); ok {
				flush = true
			}
			batch[i] = nil
		}
		batch = batch[:0]
		if flush && !r.failing || closing {
			r.settle(r.flush())
		}
		if closing {
			r.closeFiles()
			return
		}
	}
}

// settle takes note of how writing went and tells of a change.
func (r *Recorder) settle(err error) {
	r.failing = err != nil
	if err != nil {
		err = fmt.Errorf("%w: %w", ErrRecord, err)
	}
	r.mu.Lock()
	changed := (err != nil) != (r.err != nil)
	r.err = err
	tell := r.trouble
	if changed {
		r.room.Broadcast()
	}
	r.mu.Unlock()
	if changed && tell != nil {
		go tell(err)
	}
}

// lose counts an event that cannot be put in words.
func (r *Recorder) lose() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lost++
}

// flush writes what waits, in order, up to the first that the disk does not take.
func (r *Recorder) flush() error {
	err := r.inPlace()
	r.manifest.Lock()
	if err == nil && r.manifest.stale {
		err = r.writeManifest()
	}
	r.manifest.Unlock()
	for _, name := range order {
		f := r.files[name]
		if f == nil || err != nil {
			continue
		}
		if name == PointsFile && len(f.buf) > 0 && r.durable {
			err = errors.Join(r.files[OutputsFile].out.Sync(), r.files[PhasesFile].out.Sync(), r.files[RequestsFile].out.Sync())
		}
		if err == nil {
			err = f.flush()
		}
	}
	return err
}

// inPlace tells whether the folder is still the one that is written to.
func (r *Recorder) inPlace() error {
	events, ok := r.files[EventsFile].out.(interface{ Stat() (os.FileInfo, error) })
	if !ok {
		return nil
	}
	open, err := events.Stat()
	if err != nil {
		return err
	}
	if there, err := os.Lstat(filepath.Join(r.dir, EventsFile)); err != nil || !os.SameFile(open, there) {
		return fmt.Errorf("session folder %s has been moved or removed", r.dir)
	}
	return nil
}

func (r *Recorder) closeFiles() {
	for _, f := range r.files {
		if err := f.out.Close(); err != nil {
			r.settle(err)
		}
	}
}

// put writes e to the files it belongs in. What the disk does not take of one is no
// reason to leave it out of the next: it waits.
func (r *Recorder) put(e event.Event) {
	switch e := e.(type) {
	case event.Sample:
		if r.keep == Full || r.keep == Thin && r.thin.sample(e) {
			putRow(r, samplesTable, &e)
		}
		return
	case event.Power:
		if r.keep == Full || r.keep == Thin && r.thin.power(e) {
			putRow(r, powerTable, &e)
		}
		return
	case event.HostPower:
		if r.keep == Full || r.keep == Thin && r.thin.host(e) {
			putRow(r, hostTable, &e)
		}
		return
	case event.Token:
		if r.keep != Full {
			return // the text is in outputs.jsonl
		}
	case event.PhaseStart:
		r.thin.phase()
	case event.PhaseEnergy:
		putRow(r, phasesTable, &e)
	case event.RequestEnergy:
		putRow(r, requestsTable, &e)
	case event.RequestDone:
		r.putOutput(e)
	case event.IterationEnergy:
		putRow(r, iterationsTable, &e)
	case event.ClockChange:
		putRow(r, clocksTable, &e)
	case event.PointDone:
		putRow(r, pointsTable, &e)
	}
	line, err := event.Marshal(e)
	if err != nil {
		r.lose()
		return
	}
	r.putLine(EventsFile, append(line, '\n'))
}

func putRow[T any](r *Recorder, t table[T], row *T) {
	r.scratch = t.row(r.scratch[:0], row)
	r.putLine(t.file, r.scratch)
}

func (r *Recorder) putLine(name string, line []byte) {
	f := r.files[name]
	if f == nil {
		return
	}
	f.buf = append(f.buf, line...)
	if len(f.buf) >= writeAt && !r.failing {
		r.settle(r.flush())
	}
}

func (r *Recorder) putOutput(e event.RequestDone) {
	line, err := nulljson.Marshal(OutputLine{
		RequestID: e.RequestID, GPU: e.GPU, Text: e.Output.Text, Choice: e.Output.Choice, LogLikelihoods: e.Output.LogLikelihoods,
	})
	if err != nil {
		r.lose()
		return
	}
	r.putLine(OutputsFile, append(line, '\n'))
}

// OutputLine is a line of outputs.jsonl.
type OutputLine struct {
	RequestID      string    `json:"request_id"`
	GPU            string    `json:"gpu"`
	Text           string    `json:"text,omitempty"`
	Choice         int       `json:"choice"` // -1 for generated text
	LogLikelihoods []float64 `json:"log_likelihoods,omitempty"`
}
