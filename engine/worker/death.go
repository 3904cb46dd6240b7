package worker

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"jouletop/engine"
)

// Death is the end of a child that nobody asked for. It wraps
// engine.ErrBackendDied.
type Death struct {
	PID int
	How string // "was killed (SIGKILL)", "aborted (SIGABRT: abort)", …
	// Log is the last lines of its standard error, oldest first: what llama.cpp
	// said before it gave up.
	Log []string
}

// shownLines is how much of the log an error's text quotes.
const shownLines = 4

var _ engine.Death = (*Death)(nil)

// Error returns one line.
func (d *Death) Error() string {
	text, lastWords := d.Brief()
	if lastWords != "" {
		text += "; its last words: " + lastWords
	}
	return text
}

// Brief implements engine.Death.
func (d *Death) Brief() (text, lastWords string) {
	text = fmt.Sprintf("%v: process %d %s", engine.ErrBackendDied, d.PID, d.How)
	return text, strings.Join(d.Log[max(0, len(d.Log)-shownLines):], " | ")
}

// Unwrap returns engine.ErrBackendDied.
func (d *Death) Unwrap() error { return engine.ErrBackendDied }

// howEnded words a process's end; fatal is the line in which Go's runtime said
// why, "" if it did not; oom tells whether the kernel ran out of memory
// meanwhile.
func howEnded(w syscall.WaitStatus, fatal string, oom bool) string {
	switch {
	case w.Signaled() && w.Signal() == syscall.SIGKILL && oom:
		return "was killed (SIGKILL) as the system ran out of memory"
	case w.Signaled():
		return fmt.Sprintf("was killed (%s)", signalName(w.Signal()))
	case strings.HasPrefix(fatal, "SIG"):
		return "crashed (" + fatal + ")"
	case fatal != "":
		return "ended: " + fatal
	}
	return fmt.Sprintf("exited with status %d", w.ExitStatus())
}

func signalName(s syscall.Signal) string {
	switch s {
	case syscall.SIGKILL:
		return "SIGKILL"
	case syscall.SIGABRT:
		return "SIGABRT"
	case syscall.SIGSEGV:
		return "SIGSEGV"
	case syscall.SIGBUS:
		return "SIGBUS"
	case syscall.SIGTERM:
		return "SIGTERM"
	}
	return s.String()
}

// oomKills returns how many processes the kernel has killed for want of memory
// since boot; 0 where it does not say.
func oomKills() int {
	b, err := os.ReadFile("/proc/vmstat")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if n, ok := strings.CutPrefix(line, "oom_kill "); ok {
			kills, _ := strconv.Atoi(strings.TrimSpace(n)) // 0 where the kernel's format changed
			return kills
		}
	}
	return 0
}

// held tells whether the process is stopped by a signal (SIGSTOP, a debugger).
func held(pid int) bool {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	i := bytes.LastIndexByte(b, ')') // the name before it may hold anything
	return i >= 0 && len(b) > i+2 && (b[i+2] == 'T' || b[i+2] == 't')
}

// keptLines and keptBytes bound what a tail keeps.
const (
	keptLines = 40
	keptBytes = 2048 // of a line
)

// tail keeps the last lines of a child's standard error. Where Go's runtime
// explains a crash, its first line is kept apart and the stacks that follow are
// not: the lines before are the ones that tell why.
type tail struct {
	mu    sync.Mutex
	lines []string
	fatal string
}

func (t *tail) add(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.fatal != "" {
		return
	}
	line = strings.TrimRight(line, " \t\r")
	if line == "" {
		return
	}
	if len(line) > keptBytes {
		line = line[:keptBytes] + "…"
	}
	for _, p := range []string{"SIGABRT:", "SIGSEGV:", "SIGBUS:", "SIGFPE:", "SIGILL:", "panic:", "fatal error:"} {
		if strings.HasPrefix(line, p) {
			t.fatal = line
			return
		}
	}
	if t.lines = append(t.lines, line); len(t.lines) > keptLines {
		t.lines = t.lines[1:]
	}
}

// last returns the lines kept and the runtime's word on a crash.
func (t *tail) last() (lines []string, fatal string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]string(nil), t.lines...), t.fatal
}
