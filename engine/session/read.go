package session

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"jouletop/engine/event"
	"jouletop/engine/nulljson"
	"jouletop/gpu/regular"
)

// Session is a recorded session, opened for reading.
type Session struct {
	Dir      string
	Manifest *Manifest
}

// Open opens the session in dir. Errors are ReadManifest's.
func Open(dir string) (*Session, error) {
	m, err := ReadManifest(dir)
	if err != nil {
		return nil, err
	}
	return &Session{Dir: dir, Manifest: m}, nil
}

// SameRecording tells whether two folders hold the same recording: they are one folder, or
// copies of one. Figures of both are not two measurements.
func SameRecording(a, b *Session) bool {
	if x, err := os.Stat(a.Dir); err == nil {
		if y, err := os.Stat(b.Dir); err == nil && os.SameFile(x, y) {
			return true
		}
	}
	m, n := a.Manifest, b.Manifest
	return !m.Start.IsZero() && m.Start.Equal(n.Start) && m.Host == n.Host && m.TimeBase == n.TimeBase
}

// OpenForeign opens a folder whose files have this layout but which has no
// manifest, such as a recording made elsewhere. At least power.csv or
// requests.csv must be there. Where a row names a simulated GPU the session is
// simulated, whatever else says.
func OpenForeign(dir string) (*Session, error) {
	s, err := Open(dir)
	if errors.Is(err, ErrNotSession) {
		for _, name := range []string{PowerFile, RequestsFile} {
			if _, e := os.Lstat(filepath.Join(dir, name)); e == nil {
				s, err = &Session{Dir: dir, Manifest: &Manifest{Schema: Schema, Name: "foreign"}}, nil
				break
			}
		}
	}
	if err != nil || s.Manifest.Simulated {
		return s, err
	}
	s.Manifest.Simulated, err = s.simulatedRows()
	return s, err
}

// simulatedRows tells whether a row names a simulated GPU. Of the telemetry, which
// is long, the first row speaks for all.
func (s *Session) simulatedRows() (bool, error) {
	found := false
	note := func(id string) { found = found || SimulatedGPU(id) }
	err := errors.Join(
		s.Requests(func(r *event.RequestEnergy) error { note(r.GPU); return nil }),
		s.Points(func(r *event.PointDone) error { note(r.GPU); return nil }),
		s.Phases(func(r *event.PhaseEnergy) error { note(r.GPU); return nil }),
		first(s.Power(func(r *event.Power) error { note(r.GPU); return errEnough })),
		first(s.Samples(func(r *event.Sample) error { note(r.GPU); return errEnough })),
	)
	return found, err
}

// first makes no error of having read enough.
func first(err error) error {
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// The readers call each for every complete row, in the file's order; a missing
// file has none. The row is not kept between calls. Errors wrap ErrRow where a
// row does not parse, and stop at each's error.

// Samples reads samples.csv.
func (s *Session) Samples(each func(*event.Sample) error) error {
	return samplesTable.read(s.Dir, each)
}

// Power reads power.csv.
func (s *Session) Power(each func(*event.Power) error) error { return powerTable.read(s.Dir, each) }

// Host reads host.csv.
func (s *Session) Host(each func(*event.HostPower) error) error { return hostTable.read(s.Dir, each) }

// Phases reads phases.csv.
func (s *Session) Phases(each func(*event.PhaseEnergy) error) error {
	return phasesTable.read(s.Dir, each)
}

// Iterations reads iterations.csv. Their members are in the events alone.
func (s *Session) Iterations(each func(*event.IterationEnergy) error) error {
	return iterationsTable.read(s.Dir, each)
}

// Requests reads requests.csv.
func (s *Session) Requests(each func(*event.RequestEnergy) error) error {
	return requestsTable.read(s.Dir, each)
}

// Clocks reads clocks.csv.
func (s *Session) Clocks(each func(*event.ClockChange) error) error {
	return clocksTable.read(s.Dir, each)
}

// Points reads points.csv.
func (s *Session) Points(each func(*event.PointDone) error) error {
	return pointsTable.read(s.Dir, each)
}

// Outputs reads outputs.jsonl.
func (s *Session) Outputs(each func(OutputLine) error) error {
	return eachLine(filepath.Join(s.Dir, OutputsFile), func(line []byte) error {
		var o OutputLine
		if err := nulljson.Unmarshal(line, &o); err != nil {
			return err
		}
		return each(o)
	})
}

// Events reads events.jsonl: everything but telemetry, in order of publication.
func (s *Session) Events(each func(event.Event) error) error {
	return eachLine(filepath.Join(s.Dir, EventsFile), func(line []byte) error {
		e, err := event.Unmarshal(line)
		if err != nil {
			return err
		}
		return each(e)
	})
}

// EventsOf reads the events of some kinds, as Events does all: of a long session most are
// others, which cost nothing so.
func (s *Session) EventsOf(each func(event.Event) error, kinds ...event.Event) error {
	var marks [][]byte
	for _, k := range kinds {
		marks = append(marks, []byte(`"kind":"`+k.Kind()+`"`))
	}
	return eachLine(filepath.Join(s.Dir, EventsFile), func(line []byte) error {
		if !slices.ContainsFunc(marks, func(m []byte) bool { return bytes.Contains(line, m) }) {
			return nil
		}
		e, err := event.Unmarshal(line)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(kinds, func(k event.Event) bool { return k.Kind() == e.Kind() }) {
			return nil // a text that looks like it
		}
		return each(e)
	})
}

// eachLine calls f for every complete line; a missing file has none.
func eachLine(path string, f func(line []byte) error) error {
	in, err := regular.OpenInside(path, os.O_RDONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read session: %w", err)
	}
	defer in.Close()
	r := bufio.NewReaderSize(in, 1<<16)
	var long []byte
	for n := 1; ; n++ {
		line, err := nextLine(r, &long)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", path, err)
		}
		if len(line) == 0 {
			continue
		}
		if err := f(line); err != nil {
			return &RowError{path, n, err.Error()}
		}
	}
}

// WritePhases replaces phases.csv, and WriteRequests requests.csv, in one step.
func (s *Session) WritePhases(rows []event.PhaseEnergy) error {
	return writeAll(s.Dir, phasesTable, rows)
}

// WriteIterations replaces iterations.csv in one step; see WritePhases.
func (s *Session) WriteIterations(rows []event.IterationEnergy) error {
	return writeAll(s.Dir, iterationsTable, rows)
}

// WriteRequests replaces requests.csv in one step; see WritePhases.
func (s *Session) WriteRequests(rows []event.RequestEnergy) error {
	return writeAll(s.Dir, requestsTable, rows)
}

func writeAll[T any](dir string, t table[T], rows []T) error {
	b := t.header()
	for i := range rows {
		b = t.row(b, &rows[i])
	}
	return ReplaceFile(filepath.Join(dir, t.file), b)
}

// Rows counts the complete rows of one of the CSV files: of what was recorded,
// however the session ended. It stops at what is damaged; 0 where there is no file.
func (s *Session) Rows(name string) int {
	n := 0
	_ = eachLine(filepath.Join(s.Dir, name), func([]byte) error { n++; return nil }) // what was read counts
	return max(n-1, 0)
}

// Files lists the names of the files that a session is read from, the manifest first.
func Files() []string { return append([]string{ManifestFile}, order...) }

// Export copies the session in dir to path, a folder that must be empty or not
// be there: each file's complete lines as they are at this moment. The session
// may still be recording.
func Export(dir, path string) error {
	if entries, err := os.ReadDir(path); err == nil && len(entries) > 0 {
		return fmt.Errorf("export to %s: %w", path, ErrExists)
	}
	if err := os.MkdirAll(path, 0o755); err != nil {
		return fmt.Errorf("export: %w", err)
	}
	for _, name := range append(Files(), ReadmeFile) {
		if err := copyFile(filepath.Join(dir, name), filepath.Join(path, name)); err != nil {
			return fmt.Errorf("export: %w", err)
		}
	}
	return nil
}

// copyFile copies the complete lines of a file to a new one.
func copyFile(from, to string) error {
	in, err := regular.OpenInside(from, os.O_RDONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer in.Close()
	f, err := regular.OpenInside(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(f, 1<<16)
	err = copyLines(out, bufio.NewReaderSize(in, 1<<16))
	return errors.Join(err, out.Flush(), f.Close())
}

func copyLines(out *bufio.Writer, in *bufio.Reader) error {
	var long []byte
	for {
		line, err := nextLine(in, &long)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		_, _ = out.Write(line) // Flush tells
		if err := out.WriteByte('\n'); err != nil {
			return err
		}
	}
}

// WritePoints replaces points.csv in one step; see WritePhases.
func (s *Session) WritePoints(rows []event.PointDone) error {
	return writeAll(s.Dir, pointsTable, rows)
}
