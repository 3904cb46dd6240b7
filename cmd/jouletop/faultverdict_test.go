package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"jouletop/engine/event"
	"jouletop/engine/session"
)

// verdict is what rounds came to.
type verdict struct {
	rows, flagged, lying, lines, lost, status, locked, other int
	busy                                                     int // leases that ran out for want of processor time
	slowest                                                  time.Duration
	stall                                                    time.Duration // longest wait for the processor
	kinds                                                    map[string]int
	failures                                                 []string
}

func (v *verdict) add(o verdict, where string) {
	v.rows, v.lying, v.lines, v.lost = v.rows+o.rows, v.lying+o.lying, v.lines+o.lines, v.lost+o.lost
	v.flagged, v.busy = v.flagged+o.flagged, v.busy+o.busy
	v.status, v.locked, v.other, v.slowest = v.status+o.status, v.locked+o.locked, v.other+o.other, max(v.slowest, o.slowest)
	for _, f := range o.failures {
		v.failures = append(v.failures, where+f)
	}
}

func (v *verdict) fail(count *int, format string, args ...any) {
	*count++
	v.failures = append(v.failures, fmt.Sprintf(format, args...))
}

// judgeClock waits for the clock to be the driver's again.
func (f *round) judgeClock() {
	if f.hangs {
		locked := f.g.locked() != 0
		if code := f.cmd.ProcessState.ExitCode(); locked && (code == 0 || !strings.Contains(f.out.String(), "gpu reset")) {
			f.v.fail(&f.v.status, "exit status %d with a locked clock, and said: %s", code, f.out)
		}
		return
	}
	began := time.Now()
	for f.g.locked() != 0 {
		if time.Since(began) > 5*time.Second {
			f.v.fail(&f.v.locked, "still locked at %d MHz: %s", f.g.locked(), f.out)
			f.g.Unlock()
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	f.v.slowest = max(f.v.slowest, time.Since(began))
}

// judgeSession reads what was recorded.
func (f *round) judgeSession(whole bool) {
	dir := filepath.Join(f.g.home, "s")
	if f.fullDir != "" {
		dir = f.fullDir
	}
	rec, err := readRecording(dir)
	if rec == nil {
		f.v.fail(&f.v.other, "session: %v: %s", err, f.out)
		return
	}
	if err != nil {
		f.v.fail(&f.v.lost, "session: %v", err)
	}
	f.v.rows += len(rec.requests) + len(rec.phases) + len(rec.points)
	f.v.flagged += len(rec.requests) + len(rec.points) - len(rec.unflagged())
	for _, lie := range f.g.lies(rec) {
		f.v.fail(&f.v.lying, "%s", lie)
	}
	for _, half := range rec.halves() {
		f.v.fail(&f.v.lost, "%s", half)
	}
	f.judgeLines(dir, len(rec.requests))
	f.judgeStatus(rec)
	if whole && (len(rec.points) != 4 || len(rec.requests) != 8) {
		f.v.fail(&f.v.lost, "resumed, and %d of 4 points, %d of 8 requests: %s", len(rec.points), len(rec.requests), f.out)
	}
}

// judgeStatus checks that exit status, manifest, clock events and rows say the same:
// 1 is right where the session holds a failure, and 0 where it holds none but between
// rows that is told to be mended, or after the last.
func (f *round) judgeStatus(rec *recording) {
	code := f.cmd.ProcessState.ExitCode()
	if code != 0 && code != exitFailure && code != f.kind.status {
		f.v.fail(&f.v.status, "exit status %d, want 0 or %d: %s", code, f.kind.status, f.out)
	}
	want := map[int]event.How{0: event.HowDone, exitInterrupted: event.HowInterrupted}[code]
	if want != "" && rec.Ended != want && f.fullDir == "" {
		f.v.fail(&f.v.status, "exit status %d, and the manifest says %q", code, rec.Ended)
	}
	flagged, last := "", int64(0)
	for _, r := range rec.requests {
		last = max(last, r.EndNS)
		if r.StartNS >= f.began && (r.Flags.ClockFailed() || r.Err != "") {
			flagged = fmt.Sprintf("%s has flags %q, error %q", r.RequestID, r.Flags, r.Err)
		}
	}
	for _, p := range rec.points {
		if p.Flags.ClockFailed() { // of before a resume none is left
			flagged = fmt.Sprintf("%s has flags %q", p.PointID, p.Flags)
		}
	}
	failures, ranOut, lost := f.clockFailures(rec)
	if code == 0 && lost < last && lost != 0 && !slices.Contains(f.args, "rearm") {
		f.v.fail(&f.v.status, "exit status 0, and in the middle a clock was lost: %q", failures)
	}
	if code == 0 && flagged != "" {
		f.v.fail(&f.v.status, "exit status 0, and %s", flagged)
	}
	// On a machine that does something else too, the program may get no processor
	// time for as long as its lease lasts.
	if f.kind.status != exitFailure && len(failures) > 0 {
		if f.v.busy++; !ranOut {
			f.v.fail(&f.v.status, "a clock was lost for no reason: %q", failures)
		}
	}
	if code != exitFailure {
		return
	}
	disk := f.fullDir != "" && strings.Contains(f.out.String(), "recording failed")
	locked := strings.Contains(rec.Error, "has not been given back")
	if len(failures) == 0 && !disk && !locked {
		f.v.fail(&f.v.status, "exit status 1, and the session holds no failure; manifest's error %q: %s", rec.Error, f.out)
	}
	if !disk && rec.Error == "" {
		f.v.fail(&f.v.status, "exit status 1, and the manifest has no error: ended %q", rec.Ended)
	}
}

// clockFailures are why the clocks asked for since the program was started were not
// in force, by the session; ranOut tells whether the lease ran out, lost when one that
// was in force was lost first, in ns (0: none was).
func (f *round) clockFailures(rec *recording) (failures []string, ranOut bool, lost int64) {
	for _, c := range rec.changes {
		if c.TimeNS < f.began || !c.Cause.Unasked() && c.Err == "" {
			continue
		}
		failures = append(failures, c.Err)
		if c.Cause.Unasked() && lost == 0 {
			lost = c.TimeNS
		}
		ranOut = ranOut || strings.Contains(c.Err, "the program has not renewed the lease")
	}
	return failures, ranOut, lost
}

// judgeLines checks that files are whole but for a torn last line, and that
// who ended in order has a row of each request that ended.
func (f *round) judgeLines(dir string, requests int) {
	done := 0
	for _, name := range session.Files() {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			continue // a run has no points.csv
		}
		f.v.lines += bytes.Count(b, []byte("\n"))
		torn := len(b) > 0 && b[len(b)-1] != '\n'
		if code := f.cmd.ProcessState.ExitCode(); torn && code >= 0 && f.fullDir == "" {
			f.v.fail(&f.v.lost, "%s ends in a torn line after exit status %d", name, code)
		}
		if name == session.EventsFile {
			done = bytes.Count(b, []byte(`"kind":"request_done"`))
		}
	}
	if code := f.cmd.ProcessState.ExitCode(); code >= 0 && f.fullDir == "" && !slices.Contains(f.args, "--resume") && requests < done {
		f.v.fail(&f.v.lost, "%d requests ended, %d have a row: %s", done, requests, f.out)
	}
}

// sessionFiles are the files of a session in which no model serves, on a machine that
// tells nothing of its host.
func sessionFiles() []string {
	return slices.DeleteFunc(session.Files(), func(name string) bool { return name == session.IterationsFile || name == session.HostFile })
}
