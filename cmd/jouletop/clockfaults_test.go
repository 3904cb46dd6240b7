package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"jouletop/gpu/nvml/fakenvml"
)

// What the driver refuses is said at once, flagged in every row and no success.
func TestRefusedClockInARun(t *testing.T) {
	t.Parallel()
	server := newServer(t)
	for _, tt := range []struct {
		name, says string
		conf       fakenvml.Config
		without    func(t testing.TB, g *fakeGPU)
	}{
		{"not supported", "not supported", fakenvml.H100().With(fakenvml.Unsupported, fakenvml.NoLock), nil},
		{"no permission", "no permission", fakenvml.H100().With(fakenvml.Permission, fakenvml.Nobody), nil},
		{"driver error", "could not be set to 1005 MHz", fakenvml.H100().With(fakenvml.SetFault, fakenvml.CodeUnknown).With(fakenvml.SetFaultLeft, -1), nil},
		{"does not follow", "it runs at 1980 MHz", fakenvml.H100().With(fakenvml.Stuck, 1), nil},
		{"symbol missing", "not supported", fakenvml.H100(), func(t testing.TB, g *fakeGPU) { g.without(t, "nvmlDeviceSetGpuLockedClocks") }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g := newFakeGPU(t, tt.conf)
			if tt.without != nil {
				tt.without(t, g)
			}
			c, out := g.start(t, work(server, 12, "run", "--policy", "fixed:1005")...)
			eventually(t, "a word about it", func() bool { return strings.Contains(out.String(), tt.says) })
			if c.ProcessState != nil {
				t.Error("it was said at the end only")
			}
			_ = c.Wait() // the status is looked at
			if code := c.ProcessState.ExitCode(); code != exitFailure {
				t.Errorf("exit status %d: %s", code, out)
			}
			rec := g.recorded(t)
			if stuck := tt.conf.Fields[fakenvml.Stuck] == 1; len(rec.points) > 1 || len(rec.requests) == 0 && !stuck { // which ends the run
				t.Errorf("%d requests, %d points", len(rec.requests), len(rec.points))
			}
			if claim := rec.unflagged(); len(claim) > 0 || rec.Ended != "failed" {
				t.Errorf("unflagged: %q; ended %q", claim, rec.Ended)
			}
		})
	}
}

// Where no lease can be written nothing runs.
func TestNoRoomForALease(t *testing.T) {
	t.Parallel()
	server := newServer(t)
	for options, of := range map[string]string{"size=4k": "for a byte", "size=4k,nr_inodes=2": "for a file"} {
		for _, args := range [][]string{{"run", "--policy", "fixed:1005"}, {"sweep", "--clocks", "1005,1980", "--batch", "1"}} {
			t.Run(args[0]+", no room "+of, func(t *testing.T) {
				t.Parallel()
				g := newFakeGPU(t, fakenvml.H100())
				g.ownLeases(t, options, `head -c 5000 /dev/zero >"DIR/fill" 2>/dev/null`)
				code, out := g.run(t, work(server, 2, args...)...)
				if code != exitFailure || !strings.Contains(out, "take the clock lease: ") || !strings.Contains(out, "no space left on device") {
					t.Errorf("exit status %d: %s", code, out)
				}
				if calls := g.state.Log(); len(calls) != 0 {
					t.Errorf("clocks were set: %+v", calls)
				}
				if _, err := os.Stat(filepath.Join(g.home, "s", "points.csv")); err == nil {
					t.Error("points were run")
				}
			})
		}
	}
}

// The disk of the leases fills up before the first clock is set: none is set of which
// no record can be kept.
func TestLeaseDiskFillsUp(t *testing.T) {
	t.Parallel()
	g := newFakeGPU(t, fakenvml.H100())
	g.ownLeases(t, "size=64k", "true")
	c, out := g.start(t, work(newServer(t), 3, "run", "--policy", "fixed:1005")...)
	eventually(t, "a lease", g.leased)
	fillUp(filepath.Join(g.leases(), "big"))
	_ = c.Wait() // the status is looked at
	if code := c.ProcessState.ExitCode(); code != exitFailure || !strings.Contains(out.String(), "no record of it can be kept") {
		t.Errorf("exit status %d: %s", code, out)
	}
	if calls := g.state.Log(); len(calls) != 0 {
		t.Errorf("clocks were set: %+v", calls)
	}
	rec := g.recorded(t)
	if claim := rec.unflagged(); len(rec.requests) == 0 || len(claim) > 0 || rec.Ended != "failed" {
		t.Errorf("%d requests, unflagged: %q; ended %q", len(rec.requests), claim, rec.Ended)
	}
}

// A sweep ends at the first clock that will never be set, and measures nothing.
func TestRefusedClockInASweep(t *testing.T) {
	t.Parallel()
	server := newServer(t)
	g := newFakeGPU(t, fakenvml.H100().With(fakenvml.Unsupported, fakenvml.NoLock))
	code, out := g.run(t, work(server, 2, "sweep", "--clocks", "1005,1980", "--batch", "1", "--repeats", "2")...)
	if code != exitFailure || !strings.Contains(out, "not supported") {
		t.Errorf("exit status %d: %s", code, out)
	}
	if rec := g.recorded(t); len(rec.requests)+len(rec.points) > 0 || len(rec.changes) != 1 || rec.Ended != "failed" {
		t.Errorf("%d requests, %d points, %d calls, ended %q", len(rec.requests), len(rec.points), len(rec.changes), rec.Ended)
	}
}

// A guard that is lost ends a sweep; what it touched is flagged or has no row,
// and resume runs it again.
func TestGuardLostInASweep(t *testing.T) {
	t.Parallel()
	const queries = 12 // a point is some 2 s of work, between half a second of waiting
	server := newServer(t)
	for _, tt := range []struct {
		name  string
		rearm bool
		hit   func(g *fakeGPU, parent int)
	}{
		{"guard killed", false, func(g *fakeGPU, _ int) { g.hitGuard(syscall.SIGKILL) }},
		{"guard stopped", false, func(g *fakeGPU, _ int) { g.hitGuard(syscall.SIGSTOP) }},
		{"watcher killed", false, func(g *fakeGPU, _ int) { g.hitWatcher(syscall.SIGKILL) }},
		{"program stopped for 3 s", false, func(_ *fakeGPU, parent int) {
			hit(syscall.SIGSTOP, parent)
			time.Sleep(3 * time.Second)
			hit(syscall.SIGCONT, parent)
		}},
		{"reset by somebody else", false, func(g *fakeGPU, _ int) { g.resetByOthers() }},
		{"guard killed, armed again", true, func(g *fakeGPU, _ int) { g.hitGuard(syscall.SIGKILL) }},
		{"reset by somebody else, set again", true, func(g *fakeGPU, _ int) { g.resetByOthers() }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g := newFakeGPU(t, fakenvml.H100())
			args := work(server, queries, "sweep", "--clocks", "1005,1500", "--batch", "1", "--repeats", "4", "--cool-down", "0")
			if tt.rearm {
				args = append(args, "--on-clock-loss", "rearm")
			}
			c, out := g.start(t, args...)
			g.begun(t, queries+3) // so that it is hit while a batch of the second point runs
			tt.hit(g, c.Process.Pid)
			_ = c.Wait() // the status is looked at
			if code := c.ProcessState.ExitCode(); code != exitFailure {
				t.Errorf("exit status %d: %s", code, out)
			}
			rec := g.recorded(t)
			if n := rec.losses(); n == 0 || !tt.rearm && n > 1 { // a busy machine may lose it more than once
				t.Errorf("%d losses in clocks.csv: %+v", n, rec.changes)
			}
			if lies := g.lies(rec); len(lies) > 0 {
				t.Error(lies)
			}
			if tt.rearm != (len(rec.points) == 8) || rec.Ended != "failed" {
				t.Errorf("%d points, ended %q", len(rec.points), rec.Ended)
			}
			if g.locked() != 0 {
				t.Error("the clock is still locked")
			}
			// A machine so busy that the program does not get to renew the lease loses the
			// clock again: then it says so, and is resumed again.
			for tries := 3; ; tries-- {
				before := rec.losses()
				code, out := g.run(t, append(args, "--resume")...)
				rec = g.recorded(t)
				if wrong := append(g.lies(rec), rec.halves()...); len(wrong) > 0 {
					t.Error(wrong)
				}
				if code == exitFailure && rec.losses() > before && tries > 1 {
					continue
				}
				if code != 0 {
					t.Errorf("resume: exit status %d: %s", code, out)
				}
				break
			}
			claim := rec.unflagged()
			if len(rec.points) != 8 || len(rec.requests) != 8*queries || len(claim) != 8+8*queries || rec.Ended != "done" {
				t.Errorf("resumed: %d points, %d requests, %d of both unflagged, ended %q", len(rec.points), len(rec.requests), len(claim), rec.Ended)
			}
		})
	}
}

// A clock that cannot be given back at the end is told, with the remedy.
func TestResetFailsAtExit(t *testing.T) {
	t.Parallel()
	server := newServer(t)
	for _, tt := range []struct {
		name   string
		fault  func(g *fakeGPU)
		args   []string
		signal bool
	}{
		{"fails", func(g *fakeGPU) { g.failReset(-1) }, nil, false},
		{"hangs", func(g *fakeGPU) { g.hang(-1, 20_000) }, nil, false},
		{"fails after Ctrl-C", func(g *fakeGPU) { g.failReset(-1) }, nil, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g := newFakeGPU(t, fakenvml.H100())
			c, out := g.start(t, work(server, 10, "run", "--policy", "fixed:1005")...)
			g.begun(t, 3)
			tt.fault(g)
			if tt.signal {
				hit(syscall.SIGINT, c.Process.Pid)
			}
			_ = c.Wait() // the status is looked at
			if code := c.ProcessState.ExitCode(); code != exitFailure || !strings.Contains(out.String(), "jouletop gpu reset") || !strings.Contains(out.String(), "has not been given back") {
				t.Errorf("exit status %d: %s", code, out)
			}
			if rec := g.recorded(t); !strings.Contains(rec.Error, "has not been given back") {
				t.Errorf("manifest: ended %q, error %q", rec.Ended, rec.Error)
			}
			g.heal()
			g.hitGuard(syscall.SIGKILL) // a hanging one
			eventually(t, "the clock given back", func() bool { return g.locked() == 0 })
		})
	}
}

// What an earlier run left is told on stderr and in the manifest; who may not
// set clocks is told whose setting the card has.
func TestClockLeftLocked(t *testing.T) {
	t.Parallel()
	server := newServer(t)
	t.Run("next run", func(t *testing.T) {
		t.Parallel()
		g := leftLocked(t, server)
		code, out := g.run(t, work(server, 2, "run")...)
		m := g.recorded(t)
		if code != 0 || strings.Count(out, "never given back: reset") != 1 || !strings.Contains(strings.Join(m.Warnings, "\n"), "never given back: reset") || g.locked() != 0 {
			t.Errorf("exit status %d, locked %d, warnings %q: %s", code, g.locked(), m.Warnings, out)
		}
	})
	t.Run("read-only", func(t *testing.T) {
		t.Parallel()
		g := leftLocked(t, server)
		code, out := g.run(t, work(server, 12, "run", "--read-only")...)
		m := g.recorded(t)
		for _, want := range []string{"never given back", "runs at 1005 of 1980 MHz for a clock setting that is not this program's"} {
			if code != 0 || !strings.Contains(out, want) || !strings.Contains(strings.Join(m.Warnings, "\n"), want) || g.locked() != 1005 {
				t.Errorf("exit status %d, locked %d, warnings %q: %s; want %q", code, g.locked(), m.Warnings, out, want)
			}
		}
		if code, out := g.run(t, "gpu", "reset"); code != 0 || g.locked() != 0 {
			t.Errorf("reset: exit status %d, locked %d: %s", code, g.locked(), out)
		}
	})
}

// leftLocked is a GPU that a run left locked at 1005 MHz: all that could give the
// clock back was killed.
func leftLocked(t *testing.T, server string) *fakeGPU {
	t.Helper()
	g := newFakeGPU(t, fakenvml.H100())
	c, _ := g.start(t, work(server, 60, "run", "--policy", "fixed:1005")...)
	g.begun(t, 1)
	guard, watcher, _ := g.guards()
	all := []int{c.Process.Pid, watcher, guard, c.Process.Pid}
	hit(syscall.SIGSTOP, all...)
	hit(syscall.SIGKILL, all[1:]...)
	_ = c.Wait() // killed
	if g.locked() != 1005 {
		t.Fatalf("locked at %d MHz", g.locked())
	}
	if err := os.RemoveAll(filepath.Join(g.home, "s")); err != nil {
		t.Fatal(err)
	}
	return g
}
