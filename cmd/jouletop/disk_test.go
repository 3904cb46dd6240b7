package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"jouletop/engine/analysis/report"
	"jouletop/engine/event"
	"jouletop/engine/session"
)

// limited runs the program where no file may grow beyond some KiB.
func limited(home, kib string, args ...string) *exec.Cmd {
	c := exec.Command("bash", append([]string{"-c", "ulimit -f " + kib + `; exec jouletop "$@"`, "jouletop"}, args...)...)
	c.Dir, c.Env = home, append(homeEnv(home), "PATH="+os.Getenv("PATH"))
	return c
}

// TestFullDisk fills the disk under a sweep. It is told at once, the sweep ends
// with status 1, and once there is room it goes on with every point whole.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	dir := filepath.Join(home, "s")
	sweep := []string{"sweep", "--dataset", "boolq", "--queries", "6", "--clocks", "345,1005,1980", "--batch", "1,2", "--repeats", "4", "--cool-down", "0s", "--session", "s"}
	c := limited(home, "24", sweep...)
	text, _ := c.CombinedOutput() // the status is looked at
	if code := c.ProcessState.ExitCode(); code != exitFailure || !strings.Contains(string(text), "recording failed") || !strings.Contains(string(text), "file too large") {
		t.Fatalf("exit status %d: %s", code, text)
	}
	if strings.Contains(string(text), "is saved") {
		t.Errorf("it says that all is saved: %s", text)
	}
	s, err := session.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	before := wholePoints(t, s)
	if before == 24 {
		t.Fatal("the sweep was done before the disk was full")
	}
	record(t, home, append(sweep, "--resume")...)
	if after := wholePoints(t, s); after != 24 {
		t.Errorf("%d of 24 points after it went on", after)
	}
}

// wholePoints counts the points and checks that each has its requests and phases.
func wholePoints(t *testing.T, s *session.Session) int {
	t.Helper()
	requests, phases := map[string]int{}, map[string]int{}
	if err := s.Requests(func(r *event.RequestEnergy) error { requests[r.PointID]++; return nil }); err != nil {
		t.Fatal(err)
	}
	if err := s.Phases(func(p *event.PhaseEnergy) error { phases[p.PointID]++; return nil }); err != nil {
		t.Fatal(err)
	}
	n := 0
	if err := s.Points(func(p *event.PointDone) error {
		n++
		if requests[p.PointID] != p.Queries || phases[p.PointID] < p.Queries/p.BatchSize {
			t.Errorf("point %s of %d queries has %d requests and %d phases", p.PointID, p.Queries, requests[p.PointID], phases[p.PointID])
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestFullDiskIsToldAtOnce: while a batch of half a minute runs.
func TestFullDiskIsToldAtOnce(t *testing.T) {
	t.Parallel()
	home, stderr := t.TempDir(), &saying{}
	c := limited(home, "16", "run", "--sim-speed", "1", "--max-tokens", "4000", "--dataset", "narrativeqa", "--session", "s")
	c.Stderr = stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill() })
	full := func() bool {
		st, err := os.Stat(filepath.Join(home, "s", session.PowerFile))
		return err == nil && st.Size() == 16<<10
	}
	eventually(t, "a file that may not grow", full)
	began := time.Now()
	eventually(t, "a word about it", func() bool { return strings.Contains(stderr.String(), "recording failed") })
	if late := time.Since(began); late > time.Second {
		t.Errorf("told after %v", late)
	}
	if err := c.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a word about the interrupt", func() bool { return strings.Contains(stderr.String(), "ending after the batch in hand") })
	_ = c.Process.Signal(syscall.SIGINT) // the batch has 30 s to go
	_ = c.Wait()                         // the status is looked at
	if code := c.ProcessState.ExitCode(); code != exitFailure {
		t.Errorf("exit status %d: %s", code, stderr)
	}
}

// TestInterruptedRunCountsWhatIsRecorded: the summary is of the requests on disk.
func TestInterruptedRunCountsWhatIsRecorded(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	c := exec.Command("jouletop", "run", "--sim-speed", "4", "--max-tokens", "400", "--dataset", "narrativeqa", "--queries", "30", "--session", "s", "--json")
	var out saying
	c.Dir, c.Env, c.Stdout = home, append(homeEnv(home), "PATH="+os.Getenv("PATH")), &out
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill() })
	eventually(t, "two requests", func() bool {
		b, _ := os.ReadFile(filepath.Join(home, "s", session.RequestsFile)) // not there at first
		return strings.Count(string(b), "\n") > 2
	})
	if err := c.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	_ = c.Wait() // the status is looked at
	if code := c.ProcessState.ExitCode(); code != exitInterrupted {
		t.Errorf("exit status %d", code)
	}
	s, err := session.Open(filepath.Join(home, "s"))
	if err != nil {
		t.Fatal(err)
	}
	n, joules := 0, 0.0
	if err := s.Requests(func(r *event.RequestEnergy) error { n++; joules += r.EnergyJ; return nil }); err != nil {
		t.Fatal(err)
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
	c := exec.Command("bash", "-c", `trap '' HUP; exec jouletop "$@"`, "jouletop", "run", "--sim-speed", "20", "--dataset", "narrativeqa", "--queries", "10", "--session", "s")
	c.Dir, c.Env = home, append(homeEnv(home), "PATH="+os.Getenv("PATH"))
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill() })
	eventually(t, "the run", func() bool {
		b, _ := os.ReadFile(filepath.Join(home, "s", session.EventsFile)) // not there at first
		return strings.Contains(string(b), "batch_start")
	})
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
