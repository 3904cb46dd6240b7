package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/creack/pty"
	"gonum.org/v1/gonum/stat"

	"jouletop/engine/analysis/curve"
)

// watched is what a program took while it ran in a terminal of 200×60.
type watched struct {
	cpu  float64 // % of one core, the mean over the parts of the time
	half float64 // half-width of its 95 % interval
	rss  float64 // MB, at the end
}

// parts of the time that a program is watched; what they differ by is luck.
const parts = 6

// watch runs a program in a terminal, lets it settle, and measures it for d.
func watch(d time.Duration, name string, args ...string) (watched, error) {
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "TERM=xterm-256color", "COLORTERM=truecolor")
	tty, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 60, Cols: 200})
	if err != nil {
		return watched{}, fmt.Errorf("start %s: %w", name, err)
	}
	drained := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, tty) // ends with an error when the program does
		close(drained)
	}()
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = tty.Close()
		<-drained
	}()
	time.Sleep(4 * time.Second)
	before, err := cpuSeconds(cmd.Process.Pid)
	if err != nil {
		return watched{}, err
	}
	var shares []float64
	for range parts {
		start := time.Now()
		time.Sleep(d / parts)
		after, err := cpuSeconds(cmd.Process.Pid)
		if err != nil {
			return watched{}, err
		}
		shares = append(shares, 100*(after-before)/time.Since(start).Seconds())
		before = after
	}
	mean, std := stat.MeanStdDev(shares, nil)
	w := watched{cpu: mean, half: curve.StudentT(parts-1) * std / math.Sqrt(parts)}
	w.rss, err = rssMB(cmd.Process.Pid)
	return w, err
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

// watchPrograms prints the whole program beside the bare one and htop.
func watchPrograms(program string, d time.Duration, long bool) {
	percent := func(w watched) string { return fmt.Sprintf("%.1f ±%.1f %%", w.cpu, w.half) }
	self, err := os.Executable()
	if err == nil {
		var w watched
		if w, err = watch(d, self, "-bare"); err == nil {
			note("bare Bubble Tea with four asciigraph charts, 10 frames/s", percent(w), "to compare with")
		}
	}
	if err != nil {
		note("bare Bubble Tea with four asciigraph charts", "-", err.Error())
	}
	if path, err := exec.LookPath("htop"); err != nil {
		note("htop -d 1", "-", "not installed")
	} else if w, err := watch(d, path, "-d", "1"); err != nil {
		note("htop -d 1", "-", err.Error())
	} else {
		note("htop -d 1", percent(w), "to compare with")
	}
	if _, err := os.Stat(program); err != nil {
		note("jouletop", "-", "no "+program+": build it first")
		return
	}
	dir, err := os.MkdirTemp("", "jouletop-bench")
	if err != nil {
		note("jouletop", "-", err.Error())
		failed = true
		return
	}
	defer os.RemoveAll(dir)
	run := func(what string, d time.Duration, args ...string) (watched, bool) {
		args = append([]string{"--gpu", "sim", "--queries", "100000", "--session", filepath.Join(dir, what)}, args...)
		w, err := watch(d, program, args...)
		if err != nil {
			row("jouletop, "+what, err.Error(), "", false)
			return w, false
		}
		return w, true
	}
	if w, ok := run("live", d); ok {
		row("jouletop, 200×60, 10 frames/s, 100 Hz sampling", percent(w), "4 % of a core", w.cpu-w.half < cpuLimit)
		row("its resident memory", fmt.Sprintf("%.0f MB", w.rss), "100 MB", w.rss < rssLimit)
	}
	if !long {
		return
	}
	// 8 h at 300x take 96 s.
	if w, ok := run("long", 96*time.Second, "--sim-speed", "300", "--samples", "none"); ok {
		row("resident memory after a simulated 8 h", fmt.Sprintf("%.0f MB", w.rss), "100 MB", w.rss < rssLimit)
	}
}
