package main

import (
	"bytes"
	"fmt"
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

	"jouletop/engine/event"
	"jouletop/engine/session"
	"jouletop/gpu/nvml/fakenvml"
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
	for _, name := range slices.Sorted(mapKeys(total.kinds)) {
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

func mapKeys(m map[string]int) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
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

// verdict is what rounds came to.
type verdict struct {
	rows, flagged, lying, lines, lost, status, locked, other int
	busy                                                     int // leases that ran out for want of processor time
	slowest                                                  time.Duration
	stall                                                    time.Duration // longest wait for the processor
	kinds                                                    map[string]int
	failures                                                 []string
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
}

// faultKind is a fault and the exit statuses that are right after it; -1 is a
// death by signal.
type faultKind struct {
	name   string
	hit    func(*round)
	status []int
}

func (f *round) pid() int { return f.cmd.Process.Pid }

func (f *round) kill(pid int, sig syscall.Signal) {
	if pid > 0 {
		_ = syscall.Kill(pid, sig) // it may have ended
	}
}

// freeze stops processes for a random while.
func (f *round) freeze(pids ...int) {
	for _, pid := range pids {
		f.kill(pid, syscall.SIGSTOP)
	}
	time.Sleep(time.Duration(200+f.r.IntN(1800)) * time.Millisecond)
	for _, pid := range pids {
		f.kill(pid, syscall.SIGCONT)
	}
}

var faultKinds = []faultKind{
	{"nothing", func(*round) {}, []int{0}},
	{"SIGINT", func(f *round) { f.kill(f.pid(), syscall.SIGINT) }, []int{130, 0}},
	{"SIGTERM", func(f *round) { f.kill(f.pid(), syscall.SIGTERM) }, []int{130, 0}},
	{"SIGINT twice", func(f *round) {
		f.kill(f.pid(), syscall.SIGINT)
		time.Sleep(time.Duration(f.r.IntN(100)) * time.Millisecond)
		f.kill(f.pid(), syscall.SIGINT)
	}, []int{130, 0}},
	{"terminal closed", func(f *round) { _ = f.tty.Close() }, []int{130, 0}},
	{"program killed", func(f *round) { f.kill(f.pid(), syscall.SIGKILL) }, []int{-1, 0}},
	{"program frozen", func(f *round) { f.freeze(f.pid()) }, []int{0, 1}},
	{"all frozen", func(f *round) {
		guard, watcher, _ := f.g.guards()
		f.freeze(f.pid(), guard, watcher)
	}, []int{0, 1}},
	{"guard killed", func(f *round) {
		guard, _, _ := f.g.guards()
		f.kill(guard, syscall.SIGKILL)
	}, []int{1, 0}},
	{"guard frozen", func(f *round) {
		guard, _, _ := f.g.guards()
		f.freeze(guard)
	}, []int{1, 0}},
	{"watcher killed", func(f *round) {
		_, watcher, _ := f.g.guards()
		f.kill(watcher, syscall.SIGKILL)
	}, []int{1, 0}},
	{"watcher frozen", func(f *round) {
		_, watcher, _ := f.g.guards()
		f.freeze(watcher)
	}, []int{1, 0}},
	{"clock reset by somebody else", func(f *round) { f.g.taken(f.g.Unlock) }, []int{1, 0}},
	{"set fails for a while", func(f *round) {
		f.g.Set(fakenvml.SetFaultLeft, int64(1+f.r.IntN(3)))
		f.g.Set(fakenvml.SetFault, fakenvml.CodeUnknown)
	}, []int{1, 0}},
	{"set not supported any more", func(f *round) {
		f.g.Set(fakenvml.SetFaultLeft, -1)
		f.g.Set(fakenvml.SetFault, fakenvml.CodeNotSupported)
	}, []int{1, 0}},
	{"set or reset hangs", func(f *round) {
		f.g.Set(fakenvml.HangLeft, 1)
		f.g.Set(fakenvml.HangMS, int64(200+f.r.IntN(3000)))
	}, []int{1, 0}},
	{"reset fails for a while", func(f *round) {
		f.g.Set(fakenvml.ResetFaultLeft, int64(1+f.r.IntN(4)))
		f.g.Set(fakenvml.ResetFault, fakenvml.CodeUnknown)
	}, []int{0, 1}},
	{"reset fails for good", func(f *round) {
		f.hangs = true
		f.g.Set(fakenvml.ResetFaultLeft, -1)
		f.g.Set(fakenvml.ResetFault, fakenvml.CodeUnknown)
	}, []int{1, 0}},
	{"disk full", func(f *round) { f.fillDisk(filepath.Dir(f.fullDir)) }, []int{1, 0}},
	{"lease disk full", func(f *round) { f.fillDisk(f.g.leases()) }, []int{1, 0}},
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
	if code := f.cmd.ProcessState.ExitCode(); !slices.Contains(f.kind.status, code) && !f.busy() {
		f.v.fail(&f.v.status, "exit status %d, want one of %v: %s", code, f.kind.status, f.out)
	}
	f.judgeClock()
	f.judgeSession(false)
	for _, pid := range []int{guard, watcher} { // of a driver that never answers
		if f.hangs {
			f.kill(pid, syscall.SIGKILL)
		}
	}
	for _, field := range []fakenvml.Field{fakenvml.SetFault, fakenvml.ResetFault, fakenvml.HangMS} {
		f.g.Set(field, 0)
	}
	f.unmount()
	if f.sweep {
		f.resume()
	}
}

func (f *round) start() error {
	f.out = &saying{}
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
	points := 0
	if perr := s.Points(func(p *event.PointDone) error {
		f.v.rows++
		points++
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
	f.judgeWords(s.Manifest, requests)
	if whole && (points != 4 || len(requests) != 8) {
		f.v.fail(&f.v.lost, "resumed, and %d of 4 points, %d of 8 requests: %s", points, len(requests), f.out)
	}
}

// judgeWords checks that status, manifest and rows say the same.
func (f *round) judgeWords(m *session.Manifest, requests []event.RequestEnergy) {
	code := f.cmd.ProcessState.ExitCode()
	want := map[int]string{0: "done", 130: "interrupted"}[code]
	if want != "" && m.Ended != want && f.fullDir == "" {
		f.v.fail(&f.v.status, "exit status %d, and the manifest says %q", code, m.Ended)
	}
	if code != 0 {
		return
	}
	for _, r := range requests {
		if r.Flags.ClockFailed() || r.Err != "" {
			f.v.fail(&f.v.status, "exit status 0, and %s has flags %q, error %q", r.RequestID, r.Flags, r.Err)
			return
		}
	}
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

// busy tells whether the program lost its lease because it got no processor time,
// as happens on a machine that does something else too; then it must have failed.
func (f *round) busy() bool {
	if f.cmd.ProcessState.ExitCode() != exitFailure || !strings.Contains(f.out.String(), "the program has not renewed the lease") {
		return false
	}
	f.v.busy++
	return true
}

// resume runs what is left of a sweep.
func (f *round) resume() {
	if _, err := session.Open(filepath.Join(f.g.home, "s")); err != nil {
		return // it never began
	}
	f.kind.name = "resume"
	if !slices.Contains(f.args, "--resume") {
		f.args = append(f.args, "--resume")
	}
	if err := f.start(); err != nil {
		f.v.fail(&f.v.other, "resume: %v", err)
		return
	}
	_ = f.cmd.Wait() // the status is looked at
	if f.busy() && f.v.busy < 5 {
		f.judgeClock()
		f.judgeSession(false)
		f.resume()
		return
	}
	if code := f.cmd.ProcessState.ExitCode(); code != 0 {
		f.v.fail(&f.v.status, "resume: exit status %d: %s", code, f.out)
		return
	}
	f.hangs = false
	f.judgeClock()
	f.judgeSession(true)
}

// mountSmall puts the session on a disk that fills up; false where this user
// may not.
func (f *round) mountSmall() bool {
	dir := filepath.Join(f.g.home, "disk")
	if err := os.Mkdir(dir, 0o700); err != nil {
		f.v.fail(&f.v.other, "%v", err)
		return false
	}
	if syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=2m") != nil {
		return false
	}
	f.fullDir = filepath.Join(dir, "s")
	f.t.Cleanup(f.unmount)
	f.args[slices.Index(f.args, "--session")+1] = f.fullDir
	return true
}

// fillDisk takes all the room there is on a disk, and may give it back after a while.
func (f *round) fillDisk(dir string) {
	big := filepath.Join(dir, "big")
	fillUp(big)
	time.Sleep(time.Duration(500+f.r.IntN(2000)) * time.Millisecond)
	if f.r.IntN(2) == 0 {
		_ = os.Remove(big)
	}
}

// fillUp writes a file until the disk is full.
func fillUp(path string) {
	file, err := os.Create(path)
	if err != nil {
		return // full already
	}
	for err == nil {
		_, err = file.Write(make([]byte, 4096))
	}
	_ = file.Close() // full
}

// unmount moves the session off the disk, with all the room it needs.
func (f *round) unmount() {
	if f.fullDir == "" {
		return
	}
	disk := filepath.Dir(f.fullDir)
	_ = os.CopyFS(filepath.Join(f.g.home, "s"), os.DirFS(f.fullDir)) // what could not be written is judged
	_ = syscall.Unmount(disk, syscall.MNT_DETACH)
	f.fullDir = ""
	f.args[slices.Index(f.args, "--session")+1] = "s"
}
