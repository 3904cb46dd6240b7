package tui_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/charmbracelet/x/term"
	"github.com/creack/pty"
	"github.com/hinshun/vt10x"

	"jouletop/tui"
	"jouletop/tui/internal/recorded"
)

// console is a terminal of our own with the dashboard running on it.
type console struct {
	t        *testing.T
	c        *recorded.Calls
	ptm, pts *os.File
	vt       vt10x.Terminal
	mu       sync.Mutex
	raw      strings.Builder // all that was written
	before   *term.State
	result   chan error
	stop     chan struct{}
}

func newConsole(t *testing.T, ctx context.Context, o tui.Options) *console {
	t.Helper()
	ptm, pts, err := pty.Open()
	if err != nil {
		t.Skipf("no pseudo-terminal: %v", err)
	}
	if err := pty.Setsize(ptm, &pty.Winsize{Rows: 40, Cols: 120}); err != nil {
		t.Fatal(err)
	}
	before, err := term.GetState(pts.Fd())
	if err != nil {
		t.Fatal(err)
	}
	s := opened(t, "run")
	k := &console{
		t: t, c: recorded.NewCalls(s), ptm: ptm, pts: pts, before: before, result: make(chan error, 1), stop: make(chan struct{}),
		vt: vt10x.New(vt10x.WithSize(120, 40)),
	}
	go func() {
		buf := make([]byte, 1<<16)
		for {
			n, err := ptm.Read(buf)
			k.mu.Lock()
			_, _ = k.vt.Write(buf[:n])
			k.raw.Write(buf[:n])
			k.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	go func() {
		player, start := recorded.NewPlayer(s), time.Now()
		for {
			select {
			case <-k.stop:
				return
			case <-time.After(10 * time.Millisecond):
				k.c.Put(player.Until(int64(2 * time.Since(start)))...)
			}
		}
	}()
	o.Source, o.Controller, o.Input, o.Output = k.c, k.c, pts, pts
	o.Simulated = true
	o.GPUs = s.GPUs
	o.Environ = []string{"TERM=xterm-256color", "COLORTERM=truecolor"}
	go func() { k.result <- tui.Run(ctx, o) }()
	t.Cleanup(func() {
		close(k.stop)
		_ = pts.Close()
		_ = ptm.Close()
	})
	return k
}

func (k *console) screen() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.vt.String()
}

// written is all that came, escape sequences and all.
func (k *console) written() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.raw.String()
}

// sees waits until the screen shows text.
func (k *console) sees(text string) {
	k.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !strings.Contains(k.screen(), text) {
		if time.Now().After(deadline) {
			k.t.Fatalf("the screen never showed %q:\n%s", text, k.screen())
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (k *console) keys(text string) {
	k.t.Helper()
	for _, r := range text { // one by one, as from a keyboard
		if _, err := k.ptm.WriteString(string(r)); err != nil {
			k.t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// ends waits for Run and checks that the terminal is as it was.
func (k *console) ends() error {
	k.t.Helper()
	var err error
	select {
	case err = <-k.result:
	case <-time.After(20 * time.Second):
		k.t.Fatalf("the dashboard did not end:\n%s", k.screen())
	}
	after, stateErr := term.GetState(k.pts.Fd())
	if stateErr != nil {
		k.t.Fatal(stateErr)
	}
	if *after != *k.before {
		k.t.Errorf("the terminal's modes are not restored: %+v, were %+v", after, k.before)
	}
	pairs := [][2]string{{"\x1b[?1049h", "\x1b[?1049l"}, {"\x1b[?25l", "\x1b[?25h"}, {"\x1b[?1002h", "\x1b[?1002l"}, {"\x1b[?2004h", "\x1b[?2004l"}}
	restored := func() bool {
		raw := k.written()
		for _, p := range pairs {
			if on, off := strings.LastIndex(raw, p[0]), strings.LastIndex(raw, p[1]); on < 0 || off < on {
				return false
			}
		}
		return true
	}
	// What was written is on its way to the reader.
	for deadline := time.Now().Add(5 * time.Second); !restored(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			k.t.Errorf("not all of %q was taken back", pairs)
			break
		}
	}
	return err
}

func TestRunOnATerminal(t *testing.T) {
	k := newConsole(t, t.Context(), tui.Options{})
	k.sees("D decode")
	k.sees("SIMULATED")
	k.keys("f990\r")
	k.sees("990 MHz asked for, all phases")
	k.keys("\x1b")
	time.Sleep(100 * time.Millisecond) // a lone Esc is told from a sequence by time
	k.keys("2")
	k.sees("Energy per token against SM clock")
	if err := pty.Setsize(k.ptm, &pty.Winsize{Rows: 24, Cols: 80}); err != nil {
		t.Fatal(err)
	}
	k.mu.Lock()
	k.vt.Resize(80, 24)
	k.mu.Unlock()
	_ = syscall.Kill(os.Getpid(), syscall.SIGWINCH)
	k.keys("1")
	k.sees("h100 none 1005→1005MHz")
	k.keys("qq")
	if err := k.ends(); err != nil {
		t.Errorf("Run: %v", err)
	}
	if got := k.c.Last(); got != "end" {
		t.Errorf("the last command was %q, want end", got)
	}
	if !strings.Contains(k.written(), "\x1b]2;jouletop SIMULATED sim:h100") {
		t.Error("no window title")
	}
}

func TestSignalsEndTheSession(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGHUP, syscall.SIGINT} {
		t.Run(sig.String(), func(t *testing.T) {
			k := newConsole(t, t.Context(), tui.Options{})
			k.sees("D decode")
			if err := syscall.Kill(os.Getpid(), sig); err != nil {
				t.Fatal(err)
			}
			if err := k.ends(); err != nil {
				t.Errorf("Run: %v", err)
			}
			if got := k.c.Last(); got != "end" {
				t.Errorf("the last command was %q, want end", got)
			}
		})
	}
}

func TestContextEndsTheSession(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	k := newConsole(t, ctx, tui.Options{})
	k.sees("D decode")
	cancel()
	if err := k.ends(); err != nil {
		t.Errorf("Run: %v", err)
	}
}

// A controller that never closes its stream can be left: Ctrl+C twice.
func TestLeavingAtOnce(t *testing.T) {
	k := newConsole(t, t.Context(), tui.Options{})
	k.sees("D decode")
	k.c.Endless()
	k.keys("\x03")
	k.sees("Ending after the running batch")
	k.keys("\x03")
	if err := k.ends(); !errors.Is(err, tui.ErrAbandoned) {
		t.Errorf("Run: %v, want ErrAbandoned", err)
	}
}

// A bug in a handler gives the terminal back, and the session is
// ended as always.
func TestPanicGivesTheTerminalBack(t *testing.T) {
	k := newConsole(t, t.Context(), tui.Options{Wall: func() time.Time { panic("kaboom") }})
	k.sees("D decode")
	k.keys("s") // the file's name tells the time
	err := k.ends()
	if err == nil || !strings.Contains(err.Error(), "kaboom") || strings.Contains(err.Error(), "\n") {
		t.Errorf("Run: %v, want one line that names the panic", err)
	}
	if got := k.c.Last(); got != "end" {
		t.Errorf("the last command was %q, want end", got)
	}
}
