package session

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"jouletop/engine/event"
)

// disk is a disk with so much room left, shared by a session's files.
type disk struct {
	mu   sync.Mutex
	room int
}

func (d *disk) make(room int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.room += room
}

// diskFile writes to f what the disk has room for.
type diskFile struct {
	*os.File
	disk *disk
}

func (f diskFile) Write(b []byte) (int, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	n := min(len(b), f.disk.room)
	f.disk.room -= n
	n, err := f.File.Write(b[:n])
	if err == nil && n < len(b) {
		err = unix.ENOSPC
	}
	return n, err
}

// on puts a recorder's files on a disk.
func (d *disk) on(r *Recorder) {
	for _, f := range r.files {
		f.out = diskFile{f.out.(*os.File), d}
	}
}

// points records n points of a request each, with what belongs to them.
func points(r *Recorder, from, to int) {
	for i := from; i < to; i++ {
		_, _, ph, rq, _, pd := rows()
		id := fmt.Sprintf("p%d", i)
		ph.BatchID, ph.PointID, rq.BatchID, rq.PointID, rq.RequestID, pd.PointID = id+"/b1", id, id+"/b1", id, id+"/b1.0", id
		for _, e := range []event.Event{event.RequestDone{At: rq.At, Request: rq.Request}, ph, rq, pd} {
			r.Record(e)
		}
	}
}

func TestFullDiskIsToldWithinASecondAndLosesNothingOnceThereIsRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, err := Create(filepath.Join(t.TempDir(), "s"), manifest(), Full)
		if err != nil {
			t.Fatal(err)
		}
		told := make(chan error, 8)
		r.OnTrouble(func(err error) { told <- err })
		d := &disk{room: 20_000}
		d.on(r)
		began := time.Now()
		points(r, 0, 100)
		if err := <-told; !errors.Is(err, unix.ENOSPC) || !errors.Is(err, ErrRecord) {
			t.Fatal(err)
		}
		if late := time.Since(began); late > time.Second {
			t.Errorf("told after %v", late)
		}
		if r.Err() == nil {
			t.Error("no error while the disk is full")
		}
		points(r, 100, 120)
		time.Sleep(10 * time.Second)
		d.make(1 << 20)
		if err := <-told; err != nil {
			t.Fatal(err)
		}
		points(r, 120, 130)
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		s, err := Open(r.Dir())
		if err != nil {
			t.Fatal(err)
		}
		if p, q, ph := len(all(t, s.Points)), len(all(t, s.Requests)), len(all(t, s.Phases)); p != 130 || q != 130 || ph != 130 {
			t.Errorf("%d points, %d requests, %d phases, want 130 each", p, q, ph)
		}
		events := 0
		if err := s.Events(func(event.Event) error { events++; return nil }); err != nil || events != 4*130 {
			t.Errorf("%d events, %v", events, err)
		}
	})
}

// What the disk refuses in the middle of an event is no reason to leave the rest of the
// event out: a row that stands in a table stands in the events too.
func TestFullDiskLosesNoEventOfARowThatItRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, err := Create(filepath.Join(t.TempDir(), "s"), manifest(), Full)
		if err != nil {
			t.Fatal(err)
		}
		d := &disk{}
		d.on(r)
		const n = 4
		for i := range n {
			_, _, ph, rq, _, _ := rows()
			rq.RequestID, rq.Output.Text = fmt.Sprintf("r%d", i), strings.Repeat("word ", writeAt/4)
			for _, e := range []event.Event{event.RequestDone{At: rq.At, Request: rq.Request}, ph, rq} {
				r.Record(e)
			}
		}
		time.Sleep(5 * time.Second)
		d.make(1 << 30)
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		s, err := Open(r.Dir())
		if err != nil {
			t.Fatal(err)
		}
		events := 0
		if err := s.Events(func(event.Event) error { events++; return nil }); err != nil || events != 3*n {
			t.Errorf("%d events of %d, %v", events, 3*n, err)
		}
		if q, ph, o := len(all(t, s.Requests)), len(all(t, s.Phases)), s.Rows(OutputsFile)+1; q != n || ph != n || o != n {
			t.Errorf("%d requests, %d phases, %d outputs, want %d each", q, ph, o, n)
		}
	})
}

// A folder that is moved or removed under the recorder is told like a full disk: what
// is written then is where nobody finds it. Put back, the recording goes on.
func TestFolderThatIsGoneIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "s")
		r, err := Create(dir, manifest(), Full)
		if err != nil {
			t.Fatal(err)
		}
		told := make(chan error, 8)
		r.OnTrouble(func(err error) { told <- err })
		points(r, 0, 10)
		time.Sleep(2 * time.Second)
		if err := os.Rename(dir, dir+".moved"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		select {
		case err := <-told:
			if !errors.Is(err, ErrRecord) || !strings.Contains(err.Error(), "moved or removed") {
				t.Error(err)
			}
		default:
			t.Error("not told")
		}
		points(r, 10, 20)
		if err := os.Rename(dir+".moved", dir); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		select {
		case err := <-told:
			if err != nil {
				t.Error(err)
			}
		default:
			t.Error("not told that it goes on")
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		s, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		if p, q := len(all(t, s.Points)), len(all(t, s.Requests)); p != 20 || q != 20 {
			t.Errorf("%d points, %d requests, want 20 each", p, q)
		}
	})
}

// Wherever the disk is full, a point's row is there only if its requests and
// phases are, and a resumed sweep repeats every other.
func TestPointsNeverComeBeforeTheirRequests(t *testing.T) {
	for room := 0; room < 30_000; room += 1171 {
		r, err := Create(filepath.Join(t.TempDir(), "s"), manifest(), Full)
		if err != nil {
			t.Fatal(err)
		}
		(&disk{room: room}).on(r)
		points(r, 0, 60)
		if err := r.Close(); !errors.Is(err, ErrRecord) {
			t.Fatalf("room for %d bytes: %v", room, err)
		}
		have := map[string]int{}
		s, err := Open(r.Dir())
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range all(t, s.Requests) {
			have[q.PointID] |= 1
		}
		for _, p := range all(t, s.Phases) {
			have[p.PointID] |= 2
		}
		whole := 0
		for _, p := range all(t, s.Points) {
			whole++
			if have[p.PointID] != 3 {
				t.Errorf("room for %d bytes: point %s has its row and not its requests or phases", room, p.PointID)
			}
		}
		r, done, err := Resume(r.Dir())
		if err != nil || len(done) != whole {
			t.Fatalf("room for %d bytes: %d of %d points kept, %v", room, len(done), whole, err)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestResumeRepeatsPointsWhoseRequestsAreMissing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "s")
	r, err := Create(dir, manifest(), Full)
	if err != nil {
		t.Fatal(err)
	}
	points(r, 0, 3)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, RequestsFile)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(text), "\n")
	if err := os.WriteFile(path, []byte(lines[0]+lines[1]+lines[3][:20]), 0o644); err != nil {
		t.Fatal(err)
	}
	r, done, err := Resume(dir)
	if err != nil || len(done) != 1 || done[0].PointID != "p0" {
		t.Fatal(done, err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestWhoeverWritesHoldsTheLock(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "s")
	r, err := Create(dir, manifest(), Full)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Lock(); !errors.Is(err, ErrInUse) {
		t.Errorf("while recording: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	release, err := s.Lock()
	if err != nil {
		t.Fatal(err)
	}
	// A recording's half line would be cut off under it.
	before, _ := os.ReadFile(filepath.Join(dir, EventsFile))
	if err := os.WriteFile(filepath.Join(dir, EventsFile), append(before, "{\"to"...), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Resume(dir); !errors.Is(err, ErrInUse) {
		t.Errorf("resume: %v", err)
	}
	if after, _ := os.ReadFile(filepath.Join(dir, EventsFile)); len(after) != len(before)+4 {
		t.Error("resume changed a file without the lock")
	}
	release()
	if _, err := os.Stat(filepath.Join(dir, ".lock")); err == nil {
		t.Error("the lock file stays behind")
	}
}

func TestNewFolderNeverGivesOneTwice(t *testing.T) {
	parent := filepath.Join(t.TempDir(), "sessions")
	var mu sync.Mutex
	var wg sync.WaitGroup
	seen := map[string]bool{}
	for range 20 {
		wg.Go(func() {
			dir, err := NewFolder(parent, "2026-01-01-run")
			mu.Lock()
			defer mu.Unlock()
			if err != nil || seen[dir] {
				t.Error(dir, err)
			}
			seen[dir] = true
		})
	}
	wg.Wait()
}

// What lies in a file's place is refused at once: it hangs nobody, takes no
// memory, and leads no writer elsewhere.
func TestOnlyRegularFilesOfABoundedKind(t *testing.T) {
	victim := filepath.Join(t.TempDir(), "victim")
	if err := os.WriteFile(victim, []byte("keep me"), 0o644); err != nil {
		t.Fatal(err)
	}
	kinds := map[string]func(path string) error{
		"fifo":   func(path string) error { return unix.Mkfifo(path, 0o600) },
		"link":   func(path string) error { return os.Symlink(victim, path) },
		"folder": func(path string) error { return os.Mkdir(path, 0o755) },
		"giant": func(path string) error {
			return errors.Join(os.WriteFile(path, []byte("point_id\n"), 0o644), os.Truncate(path, 1<<40))
		},
	}
	for kind, place := range kinds {
		for _, name := range Files() {
			dir := filepath.Join(t.TempDir(), "s")
			record(t, dir)
			path := filepath.Join(dir, name)
			if err := errors.Join(os.Remove(path), place(path)); err != nil {
				t.Fatal(err)
			}
			if _, _, err := Resume(dir); err == nil {
				t.Errorf("%s in the place of %s: resumed", kind, name)
			}
			s, err := Open(dir)
			if err == nil {
				err = errors.Join(
					s.Samples(func(*event.Sample) error { return nil }), s.Power(func(*event.Power) error { return nil }), s.Host(func(*event.HostPower) error { return nil }),
					s.Phases(func(*event.PhaseEnergy) error { return nil }), s.Iterations(func(*event.IterationEnergy) error { return nil }), s.Requests(func(*event.RequestEnergy) error { return nil }),
					s.Clocks(func(*event.ClockChange) error { return nil }), s.Points(func(*event.PointDone) error { return nil }),
					s.Outputs(func(OutputLine) error { return nil }), s.Events(func(event.Event) error { return nil }),
				)
			}
			if err == nil {
				t.Errorf("%s in the place of %s: read", kind, name)
			}
			if err := Export(dir, filepath.Join(t.TempDir(), "out")); err == nil {
				t.Errorf("%s in the place of %s: exported", kind, name)
			}
		}
	}
	if text, _ := os.ReadFile(victim); string(text) != "keep me" {
		t.Errorf("written through a link: %q", text)
	}
}

// A simulated session stays one, whatever of it is damaged.
func TestSimulatedStaysSimulated(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "s")
	record(t, dir)
	path := filepath.Join(dir, ManifestFile)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for cut := 1; cut < len(bytes.TrimSpace(whole)); cut += 37 {
		if err := os.WriteFile(path, whole[:cut], 0o644); err != nil {
			t.Fatal(err)
		}
		if s, err := OpenForeign(dir); err == nil {
			t.Fatalf("a manifest cut at byte %d: opened as %s", cut, s.Manifest.Name)
		}
	}
	real := strings.Replace(string(whole), `"simulated": true`, `"simulated": false`, 1)
	if err := os.WriteFile(path, []byte(real), 0o644); err != nil {
		t.Fatal(err)
	}
	if s, err := OpenForeign(dir); err != nil || !s.Manifest.Simulated {
		t.Error("the manifest says real, the rows say simulated:", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if s, err := OpenForeign(dir); err != nil || !s.Manifest.Simulated {
		t.Error("no manifest, the rows say simulated:", err)
	}
}

func TestFormulasAreText(t *testing.T) {
	for _, text := range []string{`=cmd|' /C calc'!A0`, "+1", "-2+3", "@SUM(A1)", "\tx", "'=1", "''+1", "'quoted'", "", "'", "a=b"} {
		var c = requestsTable.columns[7] // query_id
		row := event.RequestEnergy{Request: event.Request{QueryID: text}}
		cell := string(c.put(nil, &row))
		if bare := strings.TrimPrefix(cell, `"`); bare != "" && strings.ContainsAny(bare[:1], "=+-@\t\r") {
			t.Errorf("%q is written %s: a formula", text, cell)
		}
		value, _, _, err := cutCell([]byte(cell))
		var back event.RequestEnergy
		if err != nil || c.set(&back, value) != nil || back.QueryID != text {
			t.Errorf("%q is written %s and read %q, %v", text, cell, back.QueryID, err)
		}
	}
}
