package main

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"

	"jouletop/engine/session"
	"jouletop/gpu/nvml/fakenvml"
	"jouletop/gpu/timebase"
)

// TestBenchFaults is `make bench-faults`.
func TestBenchFaults(t *testing.T) {
	rounds, _ := strconv.Atoi(os.Getenv("JOULETOP_FAULTS"))
	if rounds <= 0 {
		t.Skip("run by make bench-faults")
	}
	seed, _ := strconv.ParseUint(os.Getenv("JOULETOP_SEED"), 10, 64)
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	began := time.Now()
	total := judgeFaults(t, seed, rounds)
	limit := 240 * float64(rounds) / 100
	took := time.Since(began).Seconds()
	fmt.Printf("%d random faults at random moments of runs and sweeps (seed %d)\n", rounds, seed)
	fmt.Printf("  %-58s %9s %9s\n", "", "measured", "target")
	for _, row := range []struct {
		name             string
		measured, target int
	}{
		{fmt.Sprintf("rows claiming a clock not in force (of %d, %d flagged)", total.rows, total.flagged), total.lying, 0},
		{fmt.Sprintf("complete lines lost (of %d)", total.lines), total.lost, 0},
		{"exit statuses wrong", total.status, 0},
		{fmt.Sprintf("clocks not given back (slowest after %.2f s)", total.slowest.Seconds()), total.locked, 0},
		{"rounds that went wrong otherwise", total.other, 0},
	} {
		fmt.Printf("  %-58s %9d %9d\n", row.name, row.measured, row.target)
	}
	fmt.Printf("  %-58s %8.0fs %8.0fs\n", "time", took, limit)
	fmt.Printf("  %d leases ran out for want of processor time; this program itself waited up to %.2f s for it\n", total.busy, total.stall.Seconds())
	for _, name := range slices.Sorted(maps.Keys(total.kinds)) {
		fmt.Printf("    %-40s %4d times\n", name, total.kinds[name])
	}
	for _, f := range total.failures {
		t.Error(f)
	}
	if total.busy > rounds/20 && total.stall < 200*time.Millisecond {
		t.Errorf("%d leases ran out on a machine that was not busy", total.busy)
	}
	if took > limit {
		t.Errorf("took %.0f s, want %.0f", took, limit)
	}
}

// A few of them with every test run.
func TestSomeFaults(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a while")
	}
	t.Parallel()
	for _, f := range judgeFaults(t, 1, len(faultKinds)).failures {
		t.Error(f)
	}
}

// round is one fault and what was seen of it.
type round struct {
	t       *testing.T
	g       *fakeGPU
	r       *rand.Rand
	kind    faultKind
	sweep   bool
	cmd     *exec.Cmd
	out     *saying
	v       *verdict
	hangs   bool // the driver does not answer at the end
	tty     *os.File
	args    []string
	fullDir string
	began   int64 // when the program was started, ns of CLOCK_MONOTONIC
}

// faultKind is a fault and the exit status that is right after it beside 0; -1 is a
// death by signal, 1 a failure, which must stand in the session: see judgeStatus.
type faultKind struct {
	name   string
	hit    func(*round)
	status int
}

func (f *round) pid() int { return f.cmd.Process.Pid }

// freeze stops processes for a random while.
func (f *round) freeze(pids ...int) {
	hit(syscall.SIGSTOP, pids...)
	time.Sleep(time.Duration(200+f.r.IntN(1800)) * time.Millisecond)
	hit(syscall.SIGCONT, pids...)
}

var faultKinds = []faultKind{
	{"nothing", func(*round) {}, 0},
	{"SIGINT", func(f *round) { hit(syscall.SIGINT, f.pid()) }, 130},
	{"SIGTERM", func(f *round) { hit(syscall.SIGTERM, f.pid()) }, 130},
	{"SIGINT twice", func(f *round) {
		hit(syscall.SIGINT, f.pid())
		time.Sleep(time.Duration(f.r.IntN(100)) * time.Millisecond)
		hit(syscall.SIGINT, f.pid())
	}, 130},
	{"terminal closed", func(f *round) { _ = f.tty.Close() }, 130},
	{"program killed", func(f *round) { hit(syscall.SIGKILL, f.pid()) }, -1},
	{"program frozen", func(f *round) { f.freeze(f.pid()) }, 1},
	{"all frozen", func(f *round) {
		guard, watcher, _ := f.g.guards()
		f.freeze(f.pid(), guard, watcher)
	}, 1},
	{"guard killed", func(f *round) { f.g.hitGuard(syscall.SIGKILL) }, 1},
	{"guard frozen", func(f *round) {
		guard, _, _ := f.g.guards()
		f.freeze(guard)
	}, 1},
	{"watcher killed", func(f *round) { f.g.hitWatcher(syscall.SIGKILL) }, 1},
	{"watcher frozen", func(f *round) {
		_, watcher, _ := f.g.guards()
		f.freeze(watcher)
	}, 1},
	{"clock reset by somebody else", func(f *round) { f.g.resetByOthers() }, 1},
	{"set fails for a while", func(f *round) { f.g.failSet(int64(1+f.r.IntN(3)), fakenvml.CodeUnknown) }, 1},
	{"set not supported any more", func(f *round) { f.g.failSet(-1, fakenvml.CodeNotSupported) }, 1},
	{"set or reset hangs", func(f *round) { f.g.hang(1, int64(200+f.r.IntN(3000))) }, 1},
	{"reset fails for a while", func(f *round) { f.g.failReset(int64(1 + f.r.IntN(4))) }, 1},
	{"reset fails for good", func(f *round) { f.hangs = true; f.g.failReset(-1) }, 1},
	{"disk full", func(f *round) { f.fillDisk(filepath.Dir(f.fullDir)) }, 1},
	{"lease disk full", func(f *round) { f.fillDisk(f.g.leases()) }, 1},
}

// judgeFaults plays rounds, some at once.
func judgeFaults(t *testing.T, seed uint64, rounds int) verdict {
	const atOnce = 5
	server := newServer(t)
	var (
		mu  sync.Mutex
		wg  sync.WaitGroup
		all = verdict{kinds: map[string]int{}}
		n   int
	)
	done := make(chan struct{})
	stall := longestWait(done)
	for range atOnce {
		wg.Go(func() {
			for {
				mu.Lock()
				i := n
				n++
				mu.Unlock()
				if i >= rounds {
					return
				}
				r := rand.New(rand.NewPCG(seed, uint64(i)))
				kind := faultKinds[r.IntN(len(faultKinds))]
				if i < len(faultKinds) { // each once
					kind = faultKinds[i]
				}
				var v verdict
				t.Run(fmt.Sprintf("%d", i), func(t *testing.T) {
					f := &round{t: t, g: newFakeGPU(t, fakenvml.H100()), r: r, kind: kind, sweep: r.IntN(2) == 0, v: &v}
					f.play(server)
				})
				mu.Lock()
				all.add(v, fmt.Sprintf("round %d (%s, seed %d): ", i, kind.name, seed))
				all.kinds[kind.name]++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	close(done)
	all.stall = <-stall
	return all
}

// longestWait tells, once done is closed, by how much a sleep was longest late.
func longestWait(done <-chan struct{}) <-chan time.Duration {
	out := make(chan time.Duration, 1)
	go func() {
		const nap = 20 * time.Millisecond
		for worst := time.Duration(0); ; {
			select {
			case <-done:
				out <- worst
				return
			default:
				began := time.Now()
				time.Sleep(nap)
				worst = max(worst, time.Since(began)-nap)
			}
		}
	}()
	return out
}

// play runs a job, hits it, and judges what is left; an interrupted or failed
// sweep is resumed and judged again.
func (f *round) play(server string) {
	f.args = work(server, 10, "run", "--policy", []string{"fixed:1005", "phase:1980/1005"}[f.r.IntN(2)])
	if f.sweep {
		f.args = work(server, 2, "sweep", "--clocks", "1005,1500", "--batch", "1", "--repeats", "2", "--cool-down", "0")
	}
	if f.r.IntN(4) == 0 {
		f.args = append(f.args, "--on-clock-loss", "rearm")
	}
	if f.kind.name == "disk full" && !f.mountSmall() {
		return
	}
	if f.kind.name == "lease disk full" {
		f.g.ownLeases(f.t, "size=64k", "true")
	}
	early := strings.HasPrefix(f.kind.name, "set ") && f.r.IntN(2) == 0
	if early {
		f.kind.hit(f)
	}
	if err := f.start(); err != nil {
		f.v.fail(&f.v.other, "start: %v", err)
		return
	}
	// From when the first clock is set to when the job is about to end; for a disk of
	// leases also before.
	soon := f.kind.name == "lease disk full" && f.r.IntN(2) == 0
	ready := func() bool { return f.g.locked() != 0 || soon && f.g.leased() }
	for end := time.Now().Add(20 * time.Second); !early && !ready() && time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
	}
	if !early && !soon {
		time.Sleep(time.Duration(f.r.IntN(2000)) * time.Millisecond)
	}
	guard, watcher, _ := f.g.guards()
	ended := make(chan struct{})
	go func() {
		_ = f.cmd.Wait() // the status is looked at
		close(ended)
	}()
	if !early {
		f.kind.hit(f)
	}
	select {
	case <-ended:
	case <-time.After(60 * time.Second):
		f.v.fail(&f.v.other, "did not end: %s", f.out)
		_ = f.cmd.Process.Kill()
		<-ended
	}
	f.judgeClock()
	f.judgeSession(false)
	if f.hangs { // of a driver that never answers
		hit(syscall.SIGKILL, guard, watcher)
	}
	f.g.heal()
	f.unmount()
	if f.sweep {
		f.resume()
	}
}

func (f *round) start() error {
	f.out, f.began = &saying{}, timebase.Monotonic().Now()
	f.cmd = f.g.command(f.out, f.args...)
	if f.kind.name == "terminal closed" {
		master, slave, err := pty.Open()
		if err != nil {
			return err
		}
		defer slave.Close()
		f.tty = master
		f.cmd.Stdin, f.cmd.SysProcAttr.Setctty = slave, true
	}
	if err := f.cmd.Start(); err != nil {
		return err
	}
	f.g.started(f.cmd)
	return nil
}

// resume runs what is left of a sweep.
func (f *round) resume() {
	if _, err := session.Open(filepath.Join(f.g.home, "s")); err != nil {
		return // it never began
	}
	f.kind = faultKind{name: "resume"}
	if !slices.Contains(f.args, "--resume") {
		f.args = append(f.args, "--resume")
	}
	if err := f.start(); err != nil {
		f.v.fail(&f.v.other, "resume: %v", err)
		return
	}
	_ = f.cmd.Wait() // the status is looked at
	f.hangs = false
	f.judgeClock()
	busy := f.v.busy
	f.judgeSession(f.cmd.ProcessState.ExitCode() == 0)
	if f.v.busy > busy && busy < 5 { // it takes another try
		f.resume()
	}
}
