package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/creack/pty"
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
	shares  []float64 // % of one core that it took in each part of the time
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
	_ = w.cmd.Process.Kill()
	_ = w.cmd.Wait()
	_ = w.tty.Close()
	<-w.drained
}

// parts of the time that programs are watched; what they differ by is luck.
const parts = 10

// watch lets programs settle and then looks what each takes, all in the same parts of
// the time d.
func watch(d time.Duration, programs ...*watched) error {
	time.Sleep(4 * time.Second)
	before, at := make([]float64, len(programs)), time.Now()
	for part := range parts + 1 {
		length := time.Since(at).Seconds()
		at = time.Now()
		for i, w := range programs {
			now, err := cpuSeconds(w.cmd.Process.Pid)
			if err != nil {
				return err
			}
			if part > 0 {
				w.shares = append(w.shares, 100*(now-before[i])/length)
			}
			before[i] = now
		}
		if part < parts {
			time.Sleep(d / parts)
		}
	}
	return nil
}

// clockTicks is the unit of /proc/PID/stat's times, USER_HZ: 100 on Linux.
const clockTicks = 100

func cpuSeconds(pid int) (float64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("the program has ended: %w", err)
	}
	// The name may hold blanks: fields are counted from its end. utime and stime
	// are the 14th and 15th of all.
	f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	if len(f) < 13 {
		return 0, fmt.Errorf("read /proc/%d/stat: %q", pid, b)
	}
	u, err1 := strconv.ParseFloat(f[11], 64)
	s, err2 := strconv.ParseFloat(f[12], 64)
	if err1 != nil || err2 != nil {
		return 0, fmt.Errorf("read /proc/%d/stat: %q", pid, b)
	}
	return (u + s) / clockTicks, nil
}

func rssMB(pid int) (float64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("the program has ended: %w", err)
	}
	for line := range strings.SplitSeq(string(b), "\n") {
		if v, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, err := strconv.ParseFloat(strings.Fields(v)[0], 64)
			return kb / 1000, err
		}
	}
	return 0, fmt.Errorf("no VmRSS in /proc/%d/status", pid)
}

// watchPrograms prints what the whole program takes beside the bare one and htop, all
// three at the same time.
func watchPrograms(program string, d time.Duration, long bool) {
	dir, err := os.MkdirTemp("", "jouletop-bench")
	if err != nil {
		row("jouletop", err.Error(), "", false)
		return
	}
	defer os.RemoveAll(dir)
	self, err := os.Executable()
	if err != nil {
		row("bare Bubble Tea", err.Error(), "", false)
		return
	}
	live := func(what string, args ...string) []string {
		return append([]string{program, "--gpu", "sim", "--queries", "100000", "--session", filepath.Join(dir, what)}, args...)
	}
	names := []string{"bare Bubble Tea with four asciigraph charts, 10 frames/s", "htop -d 1", "jouletop, 200×60, 10 frames/s, 100 Hz sampling"}
	var shown []string
	var programs []*watched
	for i, args := range [][]string{{self, "-bare"}, {"htop", "-d", "1"}, live("live")} {
		if _, err := exec.LookPath(args[0]); err != nil {
			note(names[i], "-", err.Error())
			continue
		}
		w, err := start(args[0], args[1:]...)
		if err != nil {
			row(names[i], err.Error(), "", false)
			return
		}
		defer w.stop()
		shown, programs = append(shown, names[i]), append(programs, w)
	}
	if err := watch(d, programs...); err != nil {
		row("watch", err.Error(), "", false)
		return
	}
	for i, w := range programs {
		took := intervalOf(w.shares)
		text := fmt.Sprintf("%.1f ±%.1f %%", took.mean, took.half)
		if shown[i] != names[2] {
			note(shown[i], text, "to compare with")
			continue
		}
		row(shown[i], text, "4 % of a core", took.mean-took.half < cpuLimit)
		memory("its resident memory", w)
	}
	if !long || !slices.Contains(shown, names[2]) {
		return
	}
	args := live("long", "--sim-speed", "300", "--samples", "none")
	w, err := start(args[0], args[1:]...)
	if err != nil {
		row("jouletop, long", err.Error(), "", false)
		return
	}
	defer w.stop()
	time.Sleep(100 * time.Second) // 8 h at 300x take 96 s
	memory("resident memory after a simulated 8 h", w)
}

func memory(what string, w *watched) {
	mb, err := rssMB(w.cmd.Process.Pid)
	if err != nil {
		row(what, err.Error(), "100 MB", false)
		return
	}
	row(what, fmt.Sprintf("%.0f MB", mb), "100 MB", mb < rssLimit)
}
