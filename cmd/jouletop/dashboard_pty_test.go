package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"jouletop/engine/event"
	"jouletop/engine/session"
)

// The dashboard in a real terminal, from opening to the shell's prompt. The
// simulated time of most tests runs faster than real time, to make them short;
// nothing waits for anything but what is on the screen or in a file.

// generate is a job whose requests generate text, long enough to be in its midst.
var generate = []string{"--gpu", "sim", "--dataset", "truthfulqa"}

// stored waits for a session's file to satisfy ok: the recorder writes once a second.
func (x *terminal) stored(name, what string, ok func(content string) bool) {
	x.t.Helper()
	path := filepath.Join(x.session(), name)
	x.until(name+" to have "+what, func(string) bool {
		b, err := os.ReadFile(path)
		return err == nil && ok(string(b))
	})
}

// inRun waits until a batch is decoding.
func (x *terminal) inRun() {
	x.t.Helper()
	decode := regexp.MustCompile(` D( decode)? +\d:\d\d:\d\d `)
	x.until("a decode phase", func(s string) bool { return decode.MatchString(row(s, -2)) })
}

// form fills the fields of the form that is open from its second typed field on:
// each value replaces what is there, an empty one leaves it.
func (x *terminal) form(values ...string) {
	x.t.Helper()
	for i, v := range values {
		if i > 0 {
			x.keys(downKey)
		}
		if v != "" {
			x.keys(wipeKey, v)
		}
	}
}

// quit leaves with q once nothing runs.
func (x *terminal) quit() {
	x.t.Helper()
	x.keys("1")
	x.shows("no job running")
	x.keys("q")
	if code := x.end(); code != 0 {
		x.t.Errorf("exit status %d, want 0", code)
	}
	x.restored()
}

func TestDashboardFromOpenToQuit(t *testing.T) {
	t.Parallel()
	x := open(t, 120, 40, nil, append(generate, "--sim-speed", "4")...)
	x.shows("SIMULATED")
	x.inRun()
	x.shows("auto→1980 MHz")

	// Another clock in mid-run: the achieved one follows, on screen and on disk.
	x.keys("f")
	x.shows("type to jump")
	x.keys("1005")
	x.shows("MHz 1005")
	x.keys(enterKey)
	x.shows("1005→1005 MHz")
	x.keys(escKey)
	x.hides("Enter set")
	x.shows("requested 1005 → achieved 1005 MHz")
	if left := x.matches(`(\d+)/62 requests`)[1]; left == "62" {
		t.Error("the run had ended before the clock was changed; nothing was shown")
	}
	x.stored(session.ClocksFile, "the change", func(s string) bool {
		return regexp.MustCompile(`(?m)^\d+,sim:h100,1005,1005,[^,]*,[^,]*,operator,$`).MatchString(s)
	})

	// A sweep of three clocks: three points in the table and on each curve.
	x.keys("x")
	x.shows("no job running")
	x.keys("3", "n")
	x.shows("New sweep")
	x.keys(downKey, downKey)
	x.form("510,1005,1980", "", "1", "2", "60")
	x.shows("510,1005,1980")
	x.keys(enterKey)
	x.shows("3/3 points")
	x.keys("2")
	screen := x.until("three points on the curve", func(s string) bool {
		chart, rest, _ := strings.Cut(s, "Latency per request")
		return marks(chart) == 3 && marks(rest) >= 6
	})
	if !strings.Contains(screen, "llama-3.1-8b") {
		t.Errorf("the curve has no name:\n%s", screen)
	}
	// The sweep's clocks were its own: the operator's is in force again.
	x.until("the operator's clock", func(s string) bool { return strings.Contains(row(s, -2), "fixed:1005 1005→1005 MHz") })

	x.keys("e")
	x.shows("export to")
	x.keys("out", enterKey)
	x.shows("exported to")
	for _, name := range sessionFiles() {
		if st, err := os.Stat(filepath.Join(x.home, "out", name)); err != nil || st.Size() == 0 {
			t.Errorf("export has no %s: %v", name, err)
		}
	}

	x.quit()
	if !strings.Contains(x.text(), "session: ~/state/jouletop/sessions/") {
		t.Errorf("it does not say where the session is:\n%s", x.text())
	}
	s := whole(t, x.session(), "done")
	if d := s.Manifest.Datasets; len(d) != 1 || d[0].Name != "truthfulqa" || d[0].Rows != 62 {
		t.Errorf("datasets in the manifest: %+v", d)
	}
	var clocks []int
	if err := s.Points(func(p *event.PointDone) error {
		if p.RequestedSMMHz > 0 {
			clocks = append(clocks, p.RequestedSMMHz)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	slices.Sort(clocks)
	if !slices.Equal(clocks, []int{510, 1005, 1980}) {
		t.Errorf("points.csv has a sweep of %v", clocks)
	}
}

// marks counts a chart's points; a legend's mark is followed by a blank.
func marks(chart string) int {
	return strings.Count(chart, "●") - len(regexp.MustCompile(`● (llama|qwen)`).FindAllString(chart, -1))
}

// whole checks that a session is complete: closed by its manifest and its last
// run, every line whole, every request that ended with its row, and the clock
// given back if it was ever set.
func whole(t *testing.T, dir string, ended event.How) *session.Session {
	t.Helper()
	s, err := session.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if s.Manifest.Ended != ended || s.Manifest.End.Before(s.Manifest.Start) {
		t.Errorf("manifest: ended %q at %v, started %v; want %q", s.Manifest.Ended, s.Manifest.End, s.Manifest.Start, ended)
	}
	for _, name := range sessionFiles() {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Error(err)
		} else if len(b) == 0 || b[len(b)-1] != '\n' {
			t.Errorf("%s: the last line is torn", name)
		}
	}
	running, last := 0, event.How("")
	began, done, rows, outputs := map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]bool{}
	err = s.Events(func(ev event.Event) error {
		switch ev := ev.(type) {
		case event.RunStart:
			running++
		case event.RunEnd:
			running--
			last = ev.How
		case event.BatchStart:
			began[ev.BatchID] = true
		case event.RequestDone:
			done[ev.RequestID] = true
			delete(began, ev.BatchID)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if running != 0 || last != ended && ended != "done" {
		t.Errorf("%d runs without an end, the last one %q, want %q", running, last, ended)
	}
	if len(began) > 0 && ended != "interrupted" {
		t.Errorf("batches that never ended: %v", began)
	}
	if err := s.Requests(func(r *event.RequestEnergy) error { rows[r.RequestID] = true; return nil }); err != nil {
		t.Fatal(err)
	}
	if err := s.Outputs(func(o session.OutputLine) error { outputs[o.RequestID] = true; return nil }); err != nil {
		t.Fatal(err)
	}
	if len(done) == 0 || len(rows) != len(done) || len(outputs) != len(done) {
		t.Errorf("%d requests ended, %d have a row, %d an output", len(done), len(rows), len(outputs))
	}
	requested := 0
	if err := s.Clocks(func(c *event.ClockChange) error { requested = c.RequestedSMMHz; return nil }); err != nil {
		t.Fatal(err)
	}
	if requested != 0 {
		t.Errorf("the clock was left at %d MHz", requested)
	}
	return s
}

func TestDashboardQuitInRunAsksOnce(t *testing.T) {
	t.Parallel()
	x := open(t, 80, 24, nil, generate...)
	x.inRun()
	x.keys("f", "1200")
	x.shows("MHz 1200")
	x.keys(enterKey)
	x.shows("1200→1200MHz")
	x.keys(escKey)
	x.hides("Enter set")

	const question = "A run is going."
	x.keys("q")
	x.shows(question)
	x.keys("n") // any other key goes on
	x.hides(question)
	before := x.matches(`(\d+)/62 requests`)[1]
	x.until("the run to go on", func(s string) bool {
		m := regexp.MustCompile(`(\d+)/62 requests`).FindStringSubmatch(s)
		return m != nil && m[1] != before
	})
	x.keys("q")
	x.shows(question)
	x.keys("q")
	if code := x.end(); code != 0 {
		t.Errorf("exit status %d, want 0", code)
	}
	x.restored()
	whole(t, x.session(), "stopped")
}

func TestDashboardDisarmedInRun(t *testing.T) {
	t.Parallel()
	x := open(t, 120, 40, nil, append(generate, "--sim-speed", "2", "--policy", "fixed:1200")...)
	x.inRun()
	x.shows("fixed:1200 1200→1200 MHz")
	x.keys("a")
	x.shows("clock control is off")
	x.until("the driver's clock", func(s string) bool {
		return strings.Contains(row(s, -2), "none auto→1980 MHz") && strings.Contains(row(s, -2), "not armed")
	})
	// The run goes on, and sets no clock.
	before := x.matches(`(\d+)/62 requests`)[1]
	x.keys("f", "1005", enterKey)
	x.shows("not armed: arm it first (a)")
	x.keys("f")
	x.until("the run to go on", func(s string) bool {
		m := regexp.MustCompile(`(\d+)/62 requests`).FindStringSubmatch(s)
		return m != nil && m[1] != before
	})
	x.keys("a")
	x.shows("clock control armed")
	x.keys("f", "1005", enterKey)
	x.shows("1005→1005 MHz")
	x.keys("f")
	x.hides("Enter set")
	x.keys("r")
	x.until("the driver's clock", func(s string) bool { return strings.Contains(row(s, -2), "none auto→1980 MHz") })
	x.keys("x")
	x.quit()
	whole(t, x.session(), "done")
}

func TestDashboardToldToEnd(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  func(x *terminal)
	}{
		{"Ctrl-C", func(x *terminal) { x.keys(ctrlC) }},
		{"SIGTERM", func(x *terminal) { x.signal(syscall.SIGTERM) }},
		{"SIGINT", func(x *terminal) { x.signal(syscall.SIGINT) }},
		{"SIGHUP", func(x *terminal) { x.signal(syscall.SIGHUP) }},
		{"SIGHUP of terminal and shell, then SIGTERM", func(x *terminal) {
			x.signal(syscall.SIGHUP)
			x.signal(syscall.SIGHUP)
			x.signal(syscall.SIGTERM)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			x := open(t, 120, 40, nil, generate...)
			x.inRun()
			tt.end(x)
			if code := x.end(); code != 0 {
				t.Errorf("exit status %d, want 0; the screen:\n%s", code, x.text())
			}
			x.restored()
			whole(t, x.session(), "stopped")
		})
	}
}

func TestDashboardTwiceInterruptedDoesNotWait(t *testing.T) {
	t.Parallel()
	// A batch of 4096 generated tokens each takes about half a minute.
	x := open(t, 120, 40, nil, append(generate, "--max-tokens", "4000")...)
	x.inRun()
	x.keys(ctrlC)
	x.shows("STOPPING after this batch")
	x.keys(ctrlC)
	if code := x.end(); code != exitInterrupted {
		t.Errorf("exit status %d, want %d", code, exitInterrupted)
	}
	x.restored()
	s, err := session.Open(x.session())
	if err != nil || s.Manifest.Ended != "interrupted" {
		t.Errorf("session: %v, ended %q", err, s.Manifest.Ended)
	}
}

func TestDashboardTerminalLost(t *testing.T) {
	t.Parallel()
	x := open(t, 120, 40, nil, generate...)
	x.inRun()
	if err := x.master.Close(); err != nil { // the kernel sends SIGHUP
		t.Fatal(err)
	}
	if code := x.end(); code != 0 {
		t.Errorf("exit status %d, want 0", code)
	}
	whole(t, x.session(), "stopped")
}

func TestDashboardPromptMarkAndSavedScreen(t *testing.T) {
	t.Parallel()
	x := open(t, 120, 40, nil, append(generate, "--sim-speed", "4")...)
	x.inRun()
	x.keys("m")
	x.shows("note:")
	x.keys("the fan is loud", enterKey)
	x.shows("marked")

	x.keys("p")
	x.shows("─ Prompt ─")
	x.keys("Why is the sky blue?", enterKey)
	x.shows("prompt queued")
	x.keys("x") // what waits is dropped with the run, so ask once it has ended
	x.shows("no job running")
	x.keys("k") // skips nothing that is yet to come
	x.shows("no point to skip")
	x.keys("p")
	x.shows("─ Prompt ─")
	x.keys("Why is the grass green?", enterKey)
	// Its text appears, and its row among the recent requests.
	x.shows("› Why is the grass green?")
	x.until("the generated text", func(s string) bool {
		return regexp.MustCompile(`green\?.*\n +(\[simulated\] )?(\w+ ){3}`).MatchString(s)
	})
	x.matches(`prompt +\d+ +\d+ `)

	x.keys("s")
	base := x.matches(`saved (jouletop-[0-9-]+)\.txt`)[1]
	plain, err := os.ReadFile(filepath.Join(x.home, base+".txt"))
	if err != nil || bytes.ContainsRune(plain, 0x1b) || !bytes.Contains(plain, []byte("Why is the grass green?")) {
		t.Errorf("saved screen (%v):\n%s", err, plain)
	}
	colour, err := os.ReadFile(filepath.Join(x.home, base+".ansi"))
	if err != nil || !bytes.Contains(colour, []byte("\x1b[")) {
		t.Errorf("saved screen has no colour (%v):\n%q", err, colour)
	}

	x.keys("6")
	x.shows("the fan is loud")
	x.quit()
	s := whole(t, x.session(), "done")
	var notes []string
	if err := s.Events(func(ev event.Event) error {
		if m, ok := ev.(event.Mark); ok {
			notes = append(notes, m.Note)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(notes, []string{"the fan is loud"}) {
		t.Errorf("marks %q", notes)
	}
}

func TestDashboardMonitor(t *testing.T) {
	t.Parallel()
	x := open(t, 120, 40, nil, "--monitor", "--gpu", "sim")
	x.shows("MONITOR: watching only")
	x.shows("achieved")
	x.keys("n")
	x.shows("nothing is run in this mode")
	x.keys("f", "1005", enterKey) // no clock is set either
	x.shows("nothing is run in this mode")
	x.keys(escKey)
	x.stored(session.SamplesFile, "samples", func(s string) bool { return strings.Count(s, "\n") > 10 })
	x.keys("q")
	if code := x.end(); code != 0 {
		t.Errorf("exit status %d, want 0", code)
	}
	x.restored()
	s, err := session.Open(x.session())
	if err != nil || s.Manifest.Name != "monitor" || s.Manifest.Ended != "done" {
		t.Errorf("session: %v, %+v", err, s)
	}
	if err := s.Clocks(func(c *event.ClockChange) error { t.Errorf("a clock was set: %+v", c); return nil }); err != nil {
		t.Error(err)
	}
}

// What config.toml says holds in the dashboard, and what is chosen there is there again
// the next time; the file stays as it is.
func TestDashboardOfOnesOwn(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	path := filepath.Join(home, "jouletop", "config.toml")
	config := "window = \"1m\"\nthme = \"dark\"\n[keys]\nclock = \"Ctrl+K\"\n[flags.dashboard]\ngpu = \"sim:rtx-pro-6000\"\nqueries = 1\n"
	if err := errors.Join(os.Mkdir(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(config), 0o644)); err != nil {
		t.Fatal(err)
	}
	for i, size := range [][2]int{{80, 24}, {200, 60}} {
		x := openIn(t, home, size[0], size[1], nil)
		x.shows("unknown key \"thme\"")
		x.keys("2", "1")
		x.shows("Ctrl+K clock")
		x.shows("rtx-pro-6000")
		x.shows("window 1 min")
		x.shows("no job running")
		x.keys("\x0b")
		x.shows("type to jump")
		x.keys(escKey)
		x.hides("type to jump")
		x.keys("n")
		x.shows("New job")
		if i == 0 {
			x.keys(downKey, downKey, wipeKey, "7", escKey)
			x.hides("New job")
			x.keys("t")
			x.shows("theme: light")
		} else {
			x.shows("batch size   7")
			x.keys(escKey)
			x.hides("New job")
			x.keys("t")
			x.shows("theme: dark16")
		}
		x.quit()
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != config {
		t.Errorf("the file is now %q, %v", b, err)
	}
}
