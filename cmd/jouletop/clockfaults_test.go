package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"jouletop/engine/event"
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
			m, requests, points, _ := g.recorded(t)
			if stuck := tt.conf.Fields[fakenvml.Stuck] == 1; len(points) > 1 || len(requests) == 0 && !stuck { // which ends the run
				t.Errorf("%d requests, %d points", len(requests), len(points))
			}
			for _, r := range requests {
				if !r.Flags.ClockFailed() {
					t.Errorf("%s claims %s at %d MHz: flags %q", r.RequestID, r.Policy, r.RequestedSMMHz, r.Flags)
				}
			}
			if m.Ended != "failed" {
				t.Errorf("ended %q", m.Ended)
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
	m, requests, _, _ := g.recorded(t)
	for _, r := range requests {
		if !r.Flags.ClockFailed() {
			t.Errorf("%s claims %s at %d MHz: flags %q", r.RequestID, r.Policy, r.RequestedSMMHz, r.Flags)
		}
	}
	if len(requests) == 0 || m.Ended != "failed" {
		t.Errorf("%d requests, ended %q", len(requests), m.Ended)
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
	if m, requests, points, changes := g.recorded(t); len(requests)+len(points) > 0 || len(changes) != 1 || m.Ended != "failed" {
		t.Errorf("%d requests, %d points, %d calls, ended %q", len(requests), len(points), len(changes), m.Ended)
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
		hit   func(t *testing.T, g *fakeGPU, parent int)
	}{
		{"guard killed", false, func(t *testing.T, g *fakeGPU, _ int) {
			guard, _, _ := g.guards()
			kill(t, guard, syscall.SIGKILL)
		}},
		{"guard stopped", false, func(t *testing.T, g *fakeGPU, _ int) {
			guard, _, _ := g.guards()
			kill(t, guard, syscall.SIGSTOP)
		}},
		{"watcher killed", false, func(t *testing.T, g *fakeGPU, _ int) {
			_, watcher, _ := g.guards()
			kill(t, watcher, syscall.SIGKILL)
		}},
		{"program stopped for 3 s", false, func(t *testing.T, _ *fakeGPU, parent int) {
			kill(t, parent, syscall.SIGSTOP)
			time.Sleep(3 * time.Second)
			kill(t, parent, syscall.SIGCONT)
		}},
		{"reset by somebody else", false, func(_ *testing.T, g *fakeGPU, _ int) { g.taken(g.Unlock) }},
		{"guard killed, armed again", true, func(t *testing.T, g *fakeGPU, _ int) {
			guard, _, _ := g.guards()
			kill(t, guard, syscall.SIGKILL)
		}},
		{"reset by somebody else, set again", true, func(_ *testing.T, g *fakeGPU, _ int) { g.taken(g.Unlock) }},
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
			tt.hit(t, g, c.Process.Pid)
			_ = c.Wait() // the status is looked at
			if code := c.ProcessState.ExitCode(); code != exitFailure {
				t.Errorf("exit status %d: %s", code, out)
			}
			m, requests, points, changes := g.recorded(t)
			lost := 0
			for _, ch := range changes {
				if ch.Cause.Unasked() {
					lost++
				}
			}
			if lost == 0 || !tt.rearm && lost > 1 { // a busy machine may lose it more than once
				t.Errorf("%d losses in clocks.csv: %+v", lost, changes)
			}
			claims(t, g, requests)
			if tt.rearm != (len(points) == 8) || m.Ended != "failed" {
				t.Errorf("%d points, ended %q", len(points), m.Ended)
			}
			if g.locked() != 0 {
				t.Error("the clock is still locked")
			}
			// A machine so busy that the program does not get to renew the lease loses the
			// clock again: then it says so, and is resumed again.
			for tries := 3; ; tries-- {
				code, out := g.run(t, append(args, "--resume")...)
				m, requests, points, changes = g.recorded(t)
				claims(t, g, requests)
				again := slices.ContainsFunc(changes, func(ch event.ClockChange) bool { return ch.Cause.Unasked() }) && code == exitFailure
				if code == 0 || tries == 1 || !again {
					if code != 0 {
						t.Errorf("resume: exit status %d: %s", code, out)
					}
					break
				}
			}
			if len(points) != 8 || len(requests) != 8*queries || m.Ended != "done" {
				t.Errorf("resumed: %d points, %d requests, ended %q", len(points), len(requests), m.Ended)
			}
			for _, p := range points {
				if p.Flags.ClockFailed() {
					t.Errorf("resumed: %s has flags %q", p.PointID, p.Flags)
				}
			}
		})
	}
}

func kill(t *testing.T, pid int, sig syscall.Signal) {
	t.Helper()
	if pid <= 0 {
		t.Fatal("nobody to hit")
	}
	if err := syscall.Kill(pid, sig); err != nil {
		t.Fatal(err)
	}
}

// claims checks each request's claim of a clock against the calls that the
// driver saw.
func claims(t *testing.T, g *fakeGPU, requests []event.RequestEnergy) {
	t.Helper()
	for _, r := range requests {
		if why := g.wrong(r.RequestedSMMHz, r.StartNS, r.EndNS); why != "" && !r.Flags.ClockFailed() && !r.MixedClock {
			t.Errorf("%s claims %d MHz, unflagged, and %s", r.RequestID, r.RequestedSMMHz, why)
		}
	}
}

// taken notes when somebody else takes the clock away, which the driver's log
// lacks.
func (g *fakeGPU) taken(by func()) {
	by()
	g.takenNS = time.Now().UnixNano() - g.epoch
}

// wrong says what the driver's log holds against a clock's having been in force
// all the time from t0 to t1, but for what a call takes: "" nothing.
func (g *fakeGPU) wrong(mhz int, t0, t1 int64) string {
	const slack = int64(20 * time.Millisecond)
	type change struct {
		from, to int64 // of the call
		mhz      int
	}
	var changes []change
	for _, c := range g.state.Log() {
		switch {
		case c.Return != 0:
		case c.Reset:
			changes = append(changes, change{c.StartNS, c.EndNS, 0})
		default:
			changes = append(changes, change{c.StartNS, c.EndNS, c.MaxMHz})
		}
	}
	if g.takenNS != 0 {
		// What then is in force is the clock of an unlocked card: a claim of that holds.
		changes = append(changes, change{g.takenNS, g.takenNS, int(g.Get(fakenvml.UnlockedMHz))})
	}
	slices.SortFunc(changes, func(a, b change) int { return cmp.Compare(a.to, b.to) })
	now := 0
	for _, c := range changes {
		switch {
		case c.to == 0: // never returned
		case c.to <= t0+slack:
			now = c.mhz
		case c.from < t1-slack && c.to < t1-slack && c.mhz != mhz:
			return fmt.Sprintf("%d MHz was set meanwhile", c.mhz)
		}
	}
	if now != mhz {
		return fmt.Sprintf("%d MHz had been set before", now)
	}
	return ""
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
		{"fails", func(g *fakeGPU) { g.Set(fakenvml.ResetFaultLeft, -1); g.Set(fakenvml.ResetFault, fakenvml.CodeUnknown) }, nil, false},
		{"hangs", func(g *fakeGPU) { g.Set(fakenvml.HangLeft, -1); g.Set(fakenvml.HangMS, 20_000) }, nil, false},
		{"fails after Ctrl-C", func(g *fakeGPU) { g.Set(fakenvml.ResetFaultLeft, -1); g.Set(fakenvml.ResetFault, fakenvml.CodeUnknown) }, nil, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g := newFakeGPU(t, fakenvml.H100())
			c, out := g.start(t, work(server, 10, "run", "--policy", "fixed:1005")...)
			g.begun(t, 3)
			tt.fault(g)
			if tt.signal {
				kill(t, c.Process.Pid, syscall.SIGINT)
			}
			_ = c.Wait() // the status is looked at
			if code := c.ProcessState.ExitCode(); code != exitFailure || !strings.Contains(out.String(), "jouletop gpu reset") || !strings.Contains(out.String(), "has not been given back") {
				t.Errorf("exit status %d: %s", code, out)
			}
			if m, _, _, _ := g.recorded(t); !strings.Contains(m.Error, "has not been given back") {
				t.Errorf("manifest: ended %q, error %q", m.Ended, m.Error)
			}
			g.Set(fakenvml.ResetFault, 0)
			g.Set(fakenvml.HangMS, 0)
			guard, _, _ := g.guards()
			_ = syscall.Kill(guard, syscall.SIGKILL) // a hanging one
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
		m, _, _, _ := g.recorded(t)
		if code != 0 || strings.Count(out, "never given back: reset") != 1 || !strings.Contains(strings.Join(m.Warnings, "\n"), "never given back: reset") || g.locked() != 0 {
			t.Errorf("exit status %d, locked %d, warnings %q: %s", code, g.locked(), m.Warnings, out)
		}
	})
	t.Run("read-only", func(t *testing.T) {
		t.Parallel()
		g := leftLocked(t, server)
		code, out := g.run(t, work(server, 12, "run", "--read-only")...)
		m, _, _, _ := g.recorded(t)
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
	kill(t, c.Process.Pid, syscall.SIGSTOP)
	for _, pid := range []int{watcher, guard, c.Process.Pid} {
		kill(t, pid, syscall.SIGSTOP)
	}
	for _, pid := range []int{watcher, guard, c.Process.Pid} {
		kill(t, pid, syscall.SIGKILL)
	}
	_ = c.Wait() // killed
	if g.locked() != 1005 {
		t.Fatalf("locked at %d MHz", g.locked())
	}
	if err := os.RemoveAll(filepath.Join(g.home, "s")); err != nil {
		t.Fatal(err)
	}
	return g
}
