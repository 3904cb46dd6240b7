package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
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
	s, err := session.Open(dir)
	if err != nil {
		f.v.fail(&f.v.other, "session: %v: %s", err, f.out)
		return
	}
	var requests []event.RequestEnergy
	byPoint := map[string]int{}
	err = s.Requests(func(r *event.RequestEnergy) error {
		requests = append(requests, *r)
		byPoint[r.PointID]++
		return nil
	})
	for _, r := range requests {
		f.v.rows++
		claim := r.RequestedSMMHz
		if strings.HasPrefix(r.Policy, "fixed:") {
			claim, _ = strconv.Atoi(strings.TrimPrefix(r.Policy, "fixed:"))
		}
		if r.Flags.ClockFailed() {
			f.v.flagged++
			continue
		}
		// A fixed clock does not change within a request, whatever the row says.
		mixed := r.MixedClock && !strings.HasPrefix(r.Policy, "fixed:")
		if why := f.g.wrong(claim, r.StartNS, r.EndNS); why != "" && !mixed {
			f.v.fail(&f.v.lying, "%s claims %d MHz, unflagged, and %s", r.RequestID, claim, why)
		}
	}
	if perr := s.Phases(func(p *event.PhaseEnergy) error {
		f.v.rows++
		if why := f.g.wrong(p.RequestedSMMHz, p.StartNS, p.EndNS); why != "" && !p.Flags.ClockFailed() && !p.MixedClock && p.Phase != event.Idle {
			f.v.fail(&f.v.lying, "%s of %s claims %d MHz, unflagged, and %s", p.Phase, p.BatchID, p.RequestedSMMHz, why)
		}
		return nil
	}); err == nil {
		err = perr
	}
	var points []event.PointDone
	if perr := s.Points(func(p *event.PointDone) error {
		f.v.rows++
		points = append(points, *p)
		if p.PointResult.Err == "" && byPoint[p.PointID] < p.Queries {
			f.v.fail(&f.v.lost, "%s has %d of %d requests", p.PointID, byPoint[p.PointID], p.Queries)
		}
		for _, r := range requests {
			if r.PointID == p.PointID && r.Flags.ClockFailed() && !p.Flags.ClockFailed() {
				f.v.fail(&f.v.lying, "%s is not flagged, and %s is", p.PointID, r.RequestID)
			}
		}
		return nil
	}); err == nil {
		err = perr
	}
	if err != nil {
		f.v.fail(&f.v.lost, "session: %v", err)
	}
	f.judgeLines(dir, len(requests))
	f.judgeStatus(s, requests, points)
	if whole && (len(points) != 4 || len(requests) != 8) {
		f.v.fail(&f.v.lost, "resumed, and %d of 4 points, %d of 8 requests: %s", len(points), len(requests), f.out)
	}
}

// judgeStatus checks that exit status, manifest, clock events and rows say the same:
// 1 is right where the session holds a failure, and 0 where it holds none but between
// rows that is told to be mended, or after the last.
func (f *round) judgeStatus(s *session.Session, requests []event.RequestEnergy, points []event.PointDone) {
	code := f.cmd.ProcessState.ExitCode()
	if code != 0 && code != exitFailure && code != f.kind.status {
		f.v.fail(&f.v.status, "exit status %d, want 0 or %d: %s", code, f.kind.status, f.out)
	}
	m := s.Manifest
	want := map[int]event.How{0: event.HowDone, exitInterrupted: event.HowInterrupted}[code]
	if want != "" && m.Ended != want && f.fullDir == "" {
		f.v.fail(&f.v.status, "exit status %d, and the manifest says %q", code, m.Ended)
	}
	flagged, last := "", int64(0)
	for _, r := range requests {
		last = max(last, r.EndNS)
		if r.StartNS >= f.began && (r.Flags.ClockFailed() || r.Err != "") {
			flagged = fmt.Sprintf("%s has flags %q, error %q", r.RequestID, r.Flags, r.Err)
		}
	}
	for _, p := range points {
		if p.Flags.ClockFailed() { // of before a resume none is left
			flagged = fmt.Sprintf("%s has flags %q", p.PointID, p.Flags)
		}
	}
	failures, ranOut, lost := f.clockFailures(s)
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
	locked := strings.Contains(m.Error, "has not been given back")
	if len(failures) == 0 && !disk && !locked {
		f.v.fail(&f.v.status, "exit status 1, and the session holds no failure; manifest's error %q: %s", m.Error, f.out)
	}
	if !disk && m.Error == "" {
		f.v.fail(&f.v.status, "exit status 1, and the manifest has no error: ended %q", m.Ended)
	}
}

// clockFailures are why the clocks asked for since the program was started were not
// in force, by the session; ranOut tells whether the lease ran out, lost when one that
// was in force was lost first, in ns (0: none was).
func (f *round) clockFailures(s *session.Session) (failures []string, ranOut bool, lost int64) {
	err := s.Clocks(func(c *event.ClockChange) error {
		if c.TimeNS >= f.began && (c.Cause.Unasked() || c.Err != "") {
			failures = append(failures, c.Err)
			if c.Cause.Unasked() && lost == 0 {
				lost = c.TimeNS
			}
			ranOut = ranOut || strings.Contains(c.Err, "the program has not renewed the lease")
		}
		return nil
	})
	if err != nil {
		f.v.fail(&f.v.lost, "session: %v", err)
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

// sessionFiles are the files of a session in which no model serves.
func sessionFiles() []string {
	return slices.DeleteFunc(session.Files(), func(name string) bool { return name == session.IterationsFile })
}
