package main

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"jouletop/engine/analysis/report"
	"jouletop/engine/event"
	"jouletop/engine/session"
)

// TestFullDisk fills the disk under a sweep. It is told at once, the sweep ends
// with status 1, and once there is room it goes on with every point whole.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	sweep := []string{"sweep", "--dataset", "boolq", "--queries", "6", "--clocks", "345,1005,1980", "--batch", "1,2", "--repeats", "4", "--cool-down", "0s", "--session", "s"}
	c := limited(home, "24", sweep...)
	text, _ := c.CombinedOutput() // the status is looked at
	if code := c.ProcessState.ExitCode(); code != exitFailure || !strings.Contains(string(text), "recording failed") || !strings.Contains(string(text), "file too large") {
		t.Fatalf("exit status %d: %s", code, text)
	}
	if strings.Contains(string(text), "is saved") {
		t.Errorf("it says that all is saved: %s", text)
	}
	whole := func() int {
		t.Helper()
		rec, err := readRecording(filepath.Join(home, "s"))
		if err != nil {
			t.Fatal(err)
		}
		if halves := rec.halves(); len(halves) > 0 {
			t.Error(halves)
		}
		return len(rec.points)
	}
	if whole() == 24 {
		t.Fatal("the sweep was done before the disk was full")
	}
	record(t, home, append(sweep, "--resume")...)
	if n := whole(); n != 24 {
		t.Errorf("%d of 24 points after it went on", n)
	}
}

// TestFullDiskIsToldAtOnce: while a batch of half a minute runs.
func TestFullDiskIsToldAtOnce(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	const kib = 32 // more than what a session begins with
	c := limited(home, strconv.Itoa(kib), "run", "--sim-speed", "1", "--max-tokens", "4000", "--dataset", "narrativeqa", "--session", "s")
	stderr := begin(t, c)
	full := func() bool { // whichever is the first
		entries, _ := os.ReadDir(filepath.Join(home, "s"))
		return slices.ContainsFunc(entries, func(e os.DirEntry) bool {
			st, err := e.Info()
			return err == nil && st.Size() == kib<<10
		})
	}
	eventually(t, "a file that may not grow", full)
	began := time.Now()
	eventually(t, "a word about it", func() bool { return strings.Contains(stderr.String(), "recording failed") })
	if late := time.Since(began); late > time.Second {
		t.Errorf("told after %v", late)
	}
	began = time.Now()
	if err := c.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	_ = c.Wait() // the status is looked at
	if code := c.ProcessState.ExitCode(); code != exitFailure {
		t.Errorf("exit status %d: %s", code, stderr)
	}
	if took := time.Since(began); took > 20*time.Second { // the batch has 30 s to go
		t.Errorf("it was ending already, and took %v more", took)
	}
}

// TestRecordedElsewhere: what another program writes nobody else changes.
func TestRecordedElsewhere(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	sweep := []string{"sweep", "--dataset", "boolq", "--queries", "2", "--clocks", "345,1980", "--batch", "1", "--repeats", "1", "--cool-down", "0s", "--session", "s"}
	record(t, home, sweep...)
	s, err := session.Open(filepath.Join(home, "s"))
	if err != nil {
		t.Fatal(err)
	}
	release, err := s.Lock()
	if err != nil {
		t.Fatal(err)
	}
	before := files(t, s.Dir)
	for _, args := range [][]string{{"report", "s", "--recompute"}, append(sweep, "--resume")} {
		out, err := command(home, "jouletop", args...).CombinedOutput()
		if err == nil || !strings.Contains(string(out), "recorded by another program") {
			t.Errorf("%s: %v: %s", args[0], err, out)
		}
	}
	if !maps.EqualFunc(before, files(t, s.Dir), bytes.Equal) {
		t.Error("files have changed")
	}
	release()
	record(t, home, "report", "s", "--recompute")
}

// TestInterruptedRunCountsWhatIsRecorded: the summary is of the requests on disk.
func TestInterruptedRunCountsWhatIsRecorded(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	c := command(home, "jouletop", "run", "--sim-speed", "4", "--max-tokens", "400", "--dataset", "narrativeqa", "--queries", "30", "--session", "s", "--json")
	var out saying
	c.Stdout = &out
	begin(t, c)
	written(t, filepath.Join(home, "s", session.RequestsFile), "\n", 3) // two and the header
	if err := c.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	_ = c.Wait() // the status is looked at
	if code := c.ProcessState.ExitCode(); code != exitInterrupted {
		t.Errorf("exit status %d", code)
	}
	rec, err := readRecording(filepath.Join(home, "s"))
	if err != nil {
		t.Fatal(err)
	}
	n, joules := len(rec.requests), 0.0
	for _, r := range rec.requests {
		joules += r.EnergyJ
	}
	var sum report.Summary
	if err := json.Unmarshal([]byte(out.String()), &sum); err != nil {
		t.Fatal(err)
	}
	if sum.Requests != n || sum.EnergyJ == nil || *sum.EnergyJ < 0.999*joules || *sum.EnergyJ > 1.001*joules {
		t.Errorf("%d requests, %v J in the summary; %d, %g J on disk", sum.Requests, sum.EnergyJ, n, joules)
	}
	if len(sum.Points) != 1 || !strings.Contains(sum.Points[0].Flags, string(event.FlagUnfinished)) {
		t.Errorf("points: %+v", sum.Points)
	}
}

// TestNohup: a hangup that was ignored at the start ends nothing.
func TestNohup(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	c := command(home, "bash", "-c", `trap '' HUP; exec jouletop "$@"`, "jouletop", "run", "--sim-speed", "20", "--dataset", "narrativeqa", "--queries", "10", "--session", "s")
	begin(t, c)
	written(t, filepath.Join(home, "s", session.EventsFile), "batch_start", 1)
	if err := c.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if err := c.Wait(); err != nil {
		t.Errorf("%v", err)
	}
	if s, err := session.Open(filepath.Join(home, "s")); err != nil || s.Manifest.Ended != "done" {
		t.Errorf("session: %v, ended %q", err, s.Manifest.Ended)
	}
}
