package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
	"gonum.org/v1/gonum/stat"

	"jouletop/engine/analysis/curve"
)

// interval is a mean with the half-width of its 95 % interval.
type interval struct{ mean, half float64 }

func intervalOf(v []float64) interval {
	mean, std := stat.MeanStdDev(v, nil)
	return interval{mean, curve.StudentT(float64(len(v)-1)) * std / math.Sqrt(float64(len(v)))}
}

// watched is a program in a terminal of 200×60.
type watched struct {
	cmd     *exec.Cmd
	tty     *os.File
	drained chan struct{}
	ended   bool
}

func start(name string, args ...string) (*watched, error) {
	w := &watched{cmd: exec.Command(name, args...), drained: make(chan struct{})}
	w.cmd.Env = append(os.Environ(), "TERM=xterm-256color", "COLORTERM=truecolor")
	var err error
	if w.tty, err = pty.StartWithSize(w.cmd, &pty.Winsize{Rows: 60, Cols: 200}); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		_, _ = io.Copy(io.Discard, w.tty) // ends with an error when the program does
		close(w.drained)
	}()
	return w, nil
}

func (w *watched) stop() {
	if w == nil || w.ended {
		return
	}
	w.ended = true
	_ = w.cmd.Process.Kill()
	_ = w.cmd.Wait()
	_ = w.tty.Close()
	<-w.drained
}

// leave has the program end by itself, and waits for that.
func (w *watched) leave() {
	_ = w.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-w.drained:
	case <-time.After(20 * time.Second):
	}
	w.stop()
}

// cpuSeconds is the CPU time that the process has taken.
func (w *watched) cpuSeconds() (float64, error) {
	var t unix.Timespec
	// The clock of another process: see clock_getcpuclockid(3).
	const schedClock = 2
	if err := unix.ClockGettime(int32(^w.cmd.Process.Pid<<3|schedClock), &t); err != nil {
		return 0, fmt.Errorf("the program has ended: %w", err)
	}
	return float64(t.Nano()) / 1e9, nil
}

// memory is what a process takes, MB.
type memory struct {
	own      float64 // that no file backs
	file     float64 // pages of its file that it read in the last seconds
	resident float64 // with all the pages of its file that the kernel mapped, up to 2 MB at a touch
}

// memory looks at the process's memory for some seconds.
func (w *watched) memory() (m memory, err error) {
	proc := fmt.Sprintf("/proc/%d/", w.cmd.Process.Pid)
	// See proc_pid_clear_refs(5): what is touched from now on counts as referenced.
	if err := os.WriteFile(proc+"clear_refs", []byte("1"), 0); err != nil {
		return m, fmt.Errorf("the program has ended: %w", err)
	}
	time.Sleep(part)
	b, err := os.ReadFile(proc + "smaps")
	if err != nil {
		return m, fmt.Errorf("the program has ended: %w", err)
	}
	return memoryOf(string(b))
}

// memoryOf reads what proc_pid_smaps(5) tells.
func memoryOf(smaps string) (m memory, err error) {
	var file bool // what is mapped
	var referenced float64
	for line := range strings.Lines(smaps) {
		f := strings.Fields(line)
		if len(f) < 3 || !strings.HasSuffix(f[0], ":") {
			file, referenced = len(f) > 5 && strings.HasPrefix(f[5], "/"), 0
			continue
		}
		kb, err := strconv.ParseFloat(f[1], 64)
		if err != nil {
			continue // flags
		}
		switch mb := kb * 1024 / 1e6; f[0] {
		case "Rss:":
			m.resident += mb
		case "Referenced:":
			referenced = mb
		case "Anonymous:": // the last of the three
			m.own += mb
			if file {
				m.file += max(referenced-mb, 0)
			}
		}
	}
	if m.resident == 0 {
		return m, errors.New("/proc/PID/smaps: no Rss")
	}
	return m, nil
}

// programs are those that are watched.
type programs struct {
	dir            string // of their sessions
	path           string // of jouletop
	jouletop, htop *watched
	since          time.Time
	took           interval // by jouletop, % of a core
}

// live are the arguments of a run of so many queries, 0.65 s each where they are answered
// by 100 tokens.
func (p *programs) live(what string, queries int, args ...string) ([]string, error) {
	var b strings.Builder
	for i := range queries {
		fmt.Fprintf(&b, `{"id": "q%d", "prompt": "Explain in a few sentences what a GPU does in step %d of its work, and what that costs."}`+"\n", i, i)
	}
	file := filepath.Join(p.dir, what+".jsonl")
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		return nil, err
	}
	return append([]string{"--gpu", "sim", "--batch", "1", "--dataset", "own=" + file, "--queries", strconv.Itoa(queries), "--session", filepath.Join(p.dir, what)}, args...), nil
}

// start starts a jouletop with such a run.
func (p *programs) start(what string, queries int, args ...string) (*watched, error) {
	args, err := p.live(what, queries, args...)
	if err != nil {
		return nil, err
	}
	return start(p.path, args...)
}

// liveQueries last for as long as programs are watched.
const liveQueries = 700

// coldFile has the kernel read a file anew where nobody uses it: of one that was just
// written it maps larger pieces than of one that was installed.
func coldFile(path string) {
	f, err := os.Open(path)
	if err != nil {
		return
	}
	defer f.Close()
	if f.Sync() == nil {
		_ = unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED) // it is no matter of right or wrong
	}
}

// startPrograms starts jouletop and htop, those that there are.
func startPrograms(path string) *programs {
	p := &programs{path: path, since: time.Now()}
	var err error
	if p.dir, err = os.MkdirTemp("", "jouletop-bench"); err != nil {
		row("jouletop", err.Error(), "", false)
		return p
	}
	if _, err := exec.LookPath(path); err != nil {
		note("jouletop", "-", err.Error()+": make build")
		return p
	}
	coldFile(path)
	if p.jouletop, err = p.start("live", liveQueries); err != nil {
		row("jouletop", err.Error(), "", false)
	}
	if _, err := exec.LookPath("htop"); err != nil {
		note("htop", "-", "there is none to compare with: apt-get install htop")
		return p
	}
	if p.htop, err = start("htop"); err != nil {
		row("htop", err.Error(), "", false)
	}
	return p
}

func (p *programs) stop() {
	p.jouletop.stop()
	p.htop.stop()
	if p.dir != "" {
		_ = os.RemoveAll(p.dir)
	}
}

// part is how long programs are looked at at a time, what differs between parts is luck:
// two of htop's periods.
const part = 3 * time.Second

// watch looks what each program takes in the same parts of the time d, and of as much
// before it with the processes alone that there happen to be: htop reads every process, so
// what it takes is theirs. It is compared on what a server runs.
func (p *programs) watch(d time.Duration, processes int) {
	if p.jouletop == nil {
		return
	}
	warm := time.Since(p.since)
	phases := filepath.Join(p.dir, "live", "phases.csv")
	began, err := lasted(phases)
	if err != nil {
		row("watch", err.Error(), "", false)
		return
	}
	before, err := p.beside(d / 2)
	if err != nil {
		row("watch", err.Error(), "", false)
		return
	}
	alone := running()
	idle, err := crowd(processes - alone)
	defer idle.stop()
	if err != nil {
		row("processes", err.Error(), "", false)
		return
	}
	there := running()
	among, err := p.beside(d)
	if err != nil {
		row("watch", err.Error(), "", false)
		return
	}
	if ended, err := lasted(phases); err != nil || (ended-began)*3600 < d.Seconds()*3/4 {
		row("a run that is live", fmt.Sprintf("%.0f s of it", (ended-began)*3600), fmt.Sprintf("%.0f s", d.Seconds()*3/2), false)
	}
	p.took = intervalOf(among.jouletop)
	percent := func(of []float64) string { i := intervalOf(of); return fmt.Sprintf("%.2f ±%.2f %%", i.mean, i.half) }
	note("jouletop, 200×60, a run live, 100 Hz sampling", percent(among.jouletop), fmt.Sprintf("of a core, from its %.0fth second on", warm.Seconds()))
	if p.htop != nil {
		note("htop, 200×60, as it comes: every 1.5 s", percent(among.htop), fmt.Sprintf("of a core, of %d processes", there))
		low, mean, high := among.ratio()
		row("jouletop against htop, in the same parts of the time", fmt.Sprintf("%.2f (%.2f–%.2f)", mean, low, high), fmt.Sprintf("%.1f", htopLimit), low < htopLimit)
		low, mean, high = before.ratio()
		note("… with no more processes than there happened to be", fmt.Sprintf("%.2f (%.2f–%.2f)", mean, low, high), fmt.Sprintf("htop %s, of %d", percent(before.htop), alone))
	}
	p.jouletop.weigh("memory: its own, and the pages of its file that it reads")
}

// shares are what the programs took in the same parts of the time, % of a core.
type shares struct{ jouletop, htop []float64 }

// ratio is what jouletop took against htop, with its 95 % interval.
func (s shares) ratio() (low, mean, high float64) {
	var logs []float64
	for i, own := range s.jouletop {
		logs = append(logs, math.Log(own/s.htop[i]))
	}
	of := intervalOf(logs)
	return math.Exp(of.mean - of.half), math.Exp(of.mean), math.Exp(of.mean + of.half)
}

// beside looks what the programs take for d.
func (p *programs) beside(d time.Duration) (took shares, err error) {
	of := []struct {
		w    *watched
		into *[]float64
	}{{p.jouletop, &took.jouletop}, {p.htop, &took.htop}}
	before, at := make([]float64, len(of)), time.Now()
	for i := range int(d/part) + 1 {
		length := time.Since(at).Seconds()
		at = time.Now()
		for k, o := range of {
			if o.w == nil {
				continue
			}
			now, err := o.w.cpuSeconds()
			if err != nil {
				return took, err
			}
			if i > 0 {
				*o.into = append(*o.into, 100*(now-before[k])/length)
			}
			before[k] = now
		}
		if i < int(d/part) {
			time.Sleep(part)
		}
	}
	return took, nil
}

// idle are processes that do nothing.
type idle []*exec.Cmd

// crowd starts n of them.
func crowd(n int) (all idle, err error) {
	for range n {
		c := exec.Command("sleep", "infinity")
		// None outlives the bench, however that ends.
		c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if err := c.Start(); err != nil {
			return all, fmt.Errorf("start an idle process: %w", err)
		}
		all = append(all, c)
	}
	time.Sleep(part) // htop finds them
	return all, nil
}

func (all idle) stop() {
	for _, c := range all {
		_ = c.Process.Kill()
	}
	for _, c := range all {
		_ = c.Wait()
	}
}

// running counts the processes that htop reads.
func running() (n int) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return 0
	}
	for _, e := range entries {
		if _, err := strconv.Atoi(e.Name()); err == nil {
			n++
		}
	}
	return n
}

// weigh prints what a program takes of the memory. The pages of its file are the kernel's
// cache, there whoever runs it, and given up where memory is short: those count that it reads.
func (w *watched) weigh(what string) {
	limit := fmt.Sprintf("%d MB", memoryLimit)
	m, err := w.memory()
	if err != nil {
		row(what, err.Error(), limit, false)
		return
	}
	takes := m.own + m.file
	row(what, fmt.Sprintf("%.0f MB", takes), limit, takes < memoryLimit)
	note("… resident, with what the kernel mapped of its file", fmt.Sprintf("%.0f MB", m.resident), fmt.Sprintf("%.0f MB of it its own", m.own))
}

// split tells where a live run's time goes, by looking into another one, and, where long,
// what a long one's memory is.
func (p *programs) split(long bool) {
	if p.jouletop == nil {
		return
	}
	p.jouletop.stop()
	p.htop.stop()
	if err := p.look(); err != nil {
		if err := p.profile(); err != nil {
			row("where the time goes", err.Error(), "", false)
		}
	}
	if long {
		p.eightHours()
	}
}

// looked is for how long a run is looked into.
const looked = 30 * time.Second

// look looks into a run by perf.
func (p *programs) look() error {
	w, err := p.start("look", liveQueries)
	if err != nil {
		return err
	}
	defer w.stop()
	time.Sleep(5 * time.Second)
	seen, err := perf(w.cmd.Process.Pid, filepath.Join(p.dir, "perf"), looked)
	if err != nil {
		return err
	}
	return printSplit("perf", seen, 0, p.took.mean)
}

// profile looks into a run by its own profile.
func (p *programs) profile() error {
	file := filepath.Join(p.dir, "cpu")
	w, err := p.start("profile", liveQueries, "--cpu-profile", file)
	if err != nil {
		return err
	}
	defer w.stop()
	time.Sleep(looked)
	cpu, err := w.cpuSeconds()
	if err != nil {
		return err
	}
	w.leave()
	seen, err := profileTraces(p.path, file)
	if err != nil {
		return err
	}
	return printSplit("its profile (perf, where there is one, sees more)", seen, time.Duration(cpu*1e9), p.took.mean)
}

// eightHours runs jouletop through a session of eight hours, as far as the machine comes in
// 75 s, and looks at its memory.
func (p *programs) eightHours() {
	// 4300 queries answered by 1100 tokens take 8 h.
	w, err := p.start("long", 4300, "--max-tokens", "1100", "--sim-speed", "400", "--samples", "none")
	if err != nil {
		row("jouletop, long", err.Error(), "", false)
		return
	}
	defer w.stop()
	hours := 0.0
	for end := time.Now().Add(75 * time.Second); hours < 7.9 && time.Now().Before(end); time.Sleep(time.Second) {
		if h, err := lasted(filepath.Join(p.dir, "long", "phases.csv")); err == nil {
			hours = h
		}
	}
	w.weigh(fmt.Sprintf("memory after simulated %.1f h", hours))
}

// lasted is how many hours a recorded session has lasted, by its last whole phase.
func lasted(phases string) (hours float64, err error) {
	b, err := os.ReadFile(phases)
	if err != nil {
		return 0, err
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	column := -1
	for i, name := range strings.Split(lines[0], ",") {
		if name == "end_ns" {
			column = i
		}
	}
	cells := strings.Split(lines[max(len(lines)-2, 0)], ",") // the last may be torn
	if column < 0 || column >= len(cells) {
		return 0, fmt.Errorf("%s: no end_ns", phases)
	}
	ns, err := strconv.ParseFloat(cells[column], 64)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", phases, err)
	}
	return ns / 3600e9, nil
}
