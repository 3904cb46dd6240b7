package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"jouletop/engine/event"
	"jouletop/engine/session"
	"jouletop/gpu/nvml/fakenvml"
)

// What goes wrong, on the smallest screen, and a large one.

// A clock that somebody left locked is told to who only watches, whoever that was.
func TestMonitorSaysThatTheClockIsLocked(t *testing.T) {
	t.Parallel()
	server := newServer(t)
	for i, ours := range []bool{true, false, true, false} {
		size := itemSizes[i/2]
		name := map[bool]string{true: "by a run", false: "by another tool"}[ours]
		t.Run(fmt.Sprintf("%s, %d×%d", name, size[0], size[1]), func(t *testing.T) {
			t.Parallel()
			g := leftLocked(t, server)
			if !ours {
				if err := os.Remove(filepath.Join(g.leases(), g.uuid+".locked")); err != nil {
					t.Fatal(err)
				}
			}
			x := openIn(t, g.home, size[0], size[1], g.env, "--monitor")
			x.shows("MONITOR: watching only")
			x.until("the warning, over lines of its own", func(s string) bool {
				return strings.Contains(strings.Join(strings.Fields(s), " "), "runs at 1005 of 1980 MHz for a clock setting that is not this program's")
			})
			const foreign = "runs at 1005 of 1980 MHz for a clock setting"
			warned := func(text string) func(string) bool {
				return func(content string) bool { return strings.Contains(content, text) }
			}
			x.stored(session.EventsFile, "the warning", warned(foreign))
			if ours {
				x.stored(session.EventsFile, "who it was", warned("never given back"))
			}
			x.keys("2", "3", "1")
			seen := func(s string) bool { return strings.Contains(strings.Join(strings.Fields(s), " "), "(Esc: seen") }
			x.until("the warning over every page", seen)
			x.keys(escKey)
			x.until("no warning once it was seen", func(s string) bool { return !seen(s) })
			x.keys("q")
			if code := x.end(); code != 0 {
				t.Errorf("exit status %d", code)
			}
			if g.locked() != 1005 {
				t.Errorf("locked at %d MHz after who only watched", g.locked())
			}
		})
	}
}

// A guard that is lost is a banner over whatever is open; armed again, the same clock
// is set again.
func TestGuardLossIsABanner(t *testing.T) {
	t.Parallel()
	server := newServer(t)
	for _, size := range itemSizes {
		t.Run(fmt.Sprintf("%d×%d", size[0], size[1]), func(t *testing.T) {
			t.Parallel()
			g := newFakeGPU(t, fakenvml.H100())
			x := openIn(t, g.home, size[0], size[1], g.env, "--url", server, "--model", "m", "--dataset", "narrativeqa", "--max-tokens", "8")
			set := func() {
				t.Helper()
				x.shows("not armed")
				x.keys("a")
				x.shows("Before knobs are set")
				x.keys("y")
				x.shows("ARMED")
				x.keys("f")
				x.shows("type to jump")
				x.keys("1005", enterKey)
				x.until("a clock that is set", func(string) bool { return g.locked() == 1005 })
			}
			set()
			g.hitGuard(syscall.SIGKILL)
			x.shows("clock guard ended: it was killed; the clock is the driver's again")
			if g.locked() != 0 {
				t.Errorf("locked at %d MHz", g.locked())
			}
			x.keys(escKey)
			x.shows("the clock is the driver's again") // still
			set()
			x.keys(escKey)
			x.hides("Enter set")
			x.quit()
			if g.locked() != 0 {
				t.Errorf("locked at %d MHz at the end", g.locked())
			}
		})
	}
}

// A full disk is a banner over a run that pauses, a long one, so that a busy machine does not
// find it ended; with room again all that waited is written, and the run goes on.
func TestFullDiskIsABanner(t *testing.T) {
	t.Parallel()
	for _, size := range itemSizes {
		t.Run(fmt.Sprintf("%d×%d", size[0], size[1]), func(t *testing.T) {
			t.Parallel()
			x := open(t, size[0], size[1], nil, append(generate, "--sim-speed", "4", "--queries", "60")...)
			x.inRun()
			room := func(bytes uint64) {
				t.Helper()
				if err := unix.Prlimit(x.cmd.Process.Pid, unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: bytes, Max: unix.RLIM_INFINITY}, nil); err != nil {
					t.Fatal(err)
				}
			}
			room(1)
			x.shows("make room, then resume it")
			x.keys("4", escKey)
			x.shows("make room, then resume it") // still
			x.shows("RUN PAUSED")
			room(unix.RLIM_INFINITY)
			x.hides("make room, then resume it")
			x.shows("RUN PAUSED")
			x.keys("z")
			x.hides("RUN PAUSED")
			x.stored(session.EventsFile, "all requests", func(s string) bool { return strings.Count(s, `"kind":"request_done"`) == 60 })
			x.quit()
			rec, err := readRecording(x.session())
			if err != nil || len(rec.requests) != 60 || len(rec.points) != 1 || len(rec.halves()) > 0 || rec.Ended != event.HowDone {
				t.Fatalf("%v; %+v", err, rec)
			}
			if !strings.Contains(strings.Join(rec.Warnings, "\n"), "the recording goes on") {
				t.Errorf("warnings: %q", rec.Warnings)
			}
		})
	}
}
