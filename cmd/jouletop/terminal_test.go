package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/creack/pty"
	"github.com/hinshun/vt10x"
	"golang.org/x/sys/unix"
)

// patience is how long a test waits for the screen to show something. It is no
// measure of speed: it only tells a loaded machine from a program that hangs.
const patience = 2 * time.Minute

// terminal is a terminal emulator on a pseudo-terminal, with jouletop in it.
type terminal struct {
	t      *testing.T
	home   string // working directory and home
	master *os.File
	slave  *os.File // kept open, so that the line's settings can be read afterwards
	before unix.Termios
	cmd    *exec.Cmd

	mu     sync.Mutex
	screen vt10x.Terminal
	filter sequences
	raw    bytes.Buffer  // all that was written
	held   []byte        // of it, the frame that has not ended
	fresh  chan struct{} // closed and made anew at each change
	exited chan struct{}
	code   int
}

// open starts jouletop with args in a terminal of w columns and h rows. env
// overrides the environment, which has nothing of the tester's own.
func open(t *testing.T, w, h int, env []string, args ...string) *terminal {
	t.Helper()
	return openIn(t, t.TempDir(), w, h, env, args...)
}

// openIn is open with a home folder that is there already.
func openIn(t *testing.T, home string, w, h int, env []string, args ...string) *terminal {
	t.Helper()
	x := &terminal{t: t, home: home, fresh: make(chan struct{}), exited: make(chan struct{})}
	var err error
	if x.master, x.slave, err = pty.Open(); err != nil {
		t.Skipf("no pseudo-terminal: %v", err)
	}
	x.screen = vt10x.New(vt10x.WithSize(w, h), vt10x.WithWriter(x.master))
	if err := pty.Setsize(x.master, &pty.Winsize{Cols: uint16(w), Rows: uint16(h)}); err != nil {
		t.Fatal(err)
	}
	x.before = x.settings()

	x.cmd = exec.Command("jouletop", args...)
	x.cmd.Dir = home
	x.cmd.Env = append(append(homeEnv(home), "PATH="+os.Getenv("PATH"), "TERM=xterm-256color", "COLORTERM=truecolor", "LANG=C.UTF-8"), env...)
	x.cmd.Stdin, x.cmd.Stdout, x.cmd.Stderr = x.slave, x.slave, x.slave
	x.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := x.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go x.read()
	go func() {
		_ = x.cmd.Wait()
		x.mu.Lock()
		x.code = x.cmd.ProcessState.ExitCode()
		x.mu.Unlock()
		close(x.exited)
		x.changed()
	}()
	t.Cleanup(func() {
		select {
		case <-x.exited:
		default:
			_ = x.cmd.Process.Kill()
			<-x.exited
		}
		_ = x.master.Close()
		_ = x.slave.Close()
	})
	return x
}

// homeEnv puts every folder of the user's into home.
func homeEnv(home string) []string {
	return []string{"HOME=" + home, "XDG_STATE_HOME=" + filepath.Join(home, "state"), "XDG_CONFIG_HOME=" + home, "XDG_CACHE_HOME=" + home, "XDG_RUNTIME_DIR=" + home}
}

func (x *terminal) settings() unix.Termios {
	x.t.Helper()
	s, err := unix.IoctlGetTermios(int(x.slave.Fd()), unix.TCGETS)
	if err != nil {
		x.t.Fatal(err)
	}
	return *s
}

// read feeds the emulator until the terminal is gone.
func (x *terminal) read() {
	buf := make([]byte, 1<<16)
	for {
		n, err := x.master.Read(buf)
		if n > 0 {
			x.mu.Lock()
			x.raw.Write(buf[:n])
			_, _ = x.screen.Write(x.filter.pass(x.frames(buf[:n])))
			x.mu.Unlock()
			x.changed()
		}
		if err != nil {
			x.mu.Lock()
			_, _ = x.screen.Write(x.filter.pass(x.held))
			x.mu.Unlock()
			x.changed()
			return
		}
	}
}

// frames returns what may be shown once b has come: a frame begun is held until it
// ends, as by a terminal that knows synchronised output (mode 2026). A pseudo-terminal
// hands over 4 KiB at most, and half of a frame is no screen to judge.
func (x *terminal) frames(b []byte) []byte {
	x.held = append(x.held, b...)
	whole := len(x.held)
	if begun := bytes.LastIndex(x.held, []byte("\x1b[?2026h")); begun >= 0 && !bytes.Contains(x.held[begun:], []byte("\x1b[?2026l")) {
		whole = begun
	}
	shown := x.held[:whole:whole]
	x.held = append([]byte(nil), x.held[whole:]...)
	return shown
}

func (x *terminal) changed() {
	x.mu.Lock()
	close(x.fresh)
	x.fresh = make(chan struct{})
	x.mu.Unlock()
}

// text is the screen as it stands, with the tail of each line cut.
func (x *terminal) text() string {
	lines := strings.Split(x.screen.String(), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " \x00")
	}
	return strings.Join(lines, "\n")
}

// row is the screen's row y, from the bottom where y is negative.
func row(screen string, y int) string {
	lines := strings.Split(strings.TrimRight(screen, "\n"), "\n")
	if y < 0 {
		y += len(lines)
	}
	if y < 0 || y >= len(lines) {
		return ""
	}
	return lines[y]
}

// until waits for the screen to be as told and returns it.
func (x *terminal) until(what string, ok func(screen string) bool) string {
	x.t.Helper()
	give := time.After(patience)
	for {
		x.mu.Lock()
		fresh := x.fresh
		x.mu.Unlock()
		screen := x.text()
		if ok(screen) {
			return screen
		}
		select {
		case <-fresh:
		case <-time.After(100 * time.Millisecond): // files change unseen
		case <-give:
			x.t.Fatalf("waited in vain for %s; the screen:\n%s", what, screen)
		}
		select {
		case <-x.exited:
			// What it wrote last may still be on its way: look until it is still.
			if x.still(); ok(x.text()) {
				return x.text()
			}
			x.t.Fatalf("it ended (status %d) before %s; the screen:\n%s", x.code, what, x.text())
		default:
		}
	}
}

// still waits until nothing more comes from a program that has ended.
func (x *terminal) still() {
	for {
		x.mu.Lock()
		fresh := x.fresh
		x.mu.Unlock()
		select {
		case <-fresh:
		case <-time.After(200 * time.Millisecond):
			return
		}
	}
}

// shows waits for a text on the screen.
func (x *terminal) shows(text string) string {
	x.t.Helper()
	return x.until("“"+text+"”", func(s string) bool { return strings.Contains(s, text) })
}

// hides waits for a text to leave the screen.
func (x *terminal) hides(text string) string {
	x.t.Helper()
	return x.until("“"+text+"” to go", func(s string) bool { return !strings.Contains(s, text) })
}

// matches waits for a text and returns its groups.
func (x *terminal) matches(re string) []string {
	x.t.Helper()
	var found []string
	x.until("/"+re+"/", func(s string) bool {
		found = regexp.MustCompile(re).FindStringSubmatch(s)
		return found != nil
	})
	return found
}

// keys types each of its arguments.
func (x *terminal) keys(keys ...string) {
	x.t.Helper()
	for _, k := range keys {
		if _, err := io.WriteString(x.master, k); err != nil {
			x.t.Fatal(err)
		}
		if k == escKey {
			time.Sleep(200 * time.Millisecond) // by time alone is it told from the beginning of a sequence
		}
	}
}

// Keys as a terminal sends them.
const (
	enterKey = "\r"
	escKey   = "\x1b"
	tabKey   = "\t"
	upKey    = "\x1b[A"
	downKey  = "\x1b[B"
	rightKey = "\x1b[C"
	wipeKey  = "\x15" // Ctrl+U: the line typed so far
	ctrlC    = "\x03"
)

// resize changes the terminal's size, as a window manager does.
func (x *terminal) resize(w, h int) {
	x.t.Helper()
	x.screen.Resize(w, h)
	if err := pty.Setsize(x.master, &pty.Winsize{Cols: uint16(w), Rows: uint16(h)}); err != nil {
		x.t.Fatal(err)
	}
}

// fit resizes and waits until the dashboard fills the terminal: its mark stands
// at the right end of the first row, its status line above the last.
func (x *terminal) fit(w, h int) {
	x.t.Helper()
	x.resize(w, h)
	x.until("a screen that fills the terminal", func(s string) bool {
		lines := strings.Split(s, "\n")
		if len(lines) < h {
			return false
		}
		end := utf8.RuneCountInString(lines[0])
		return strings.HasSuffix(lines[0], "SIMULATED") && end >= w-2 && end <= w && strings.HasPrefix(lines[h-2], " SIMULATED")
	})
}

// signal sends the program a signal.
func (x *terminal) signal(s syscall.Signal) {
	x.t.Helper()
	if err := x.cmd.Process.Signal(s); err != nil {
		x.t.Fatal(err)
	}
}

// end waits for the program to end and returns its exit status.
func (x *terminal) end() int {
	x.t.Helper()
	select {
	case <-x.exited:
	case <-time.After(patience):
		x.t.Fatalf("it does not end; the screen:\n%s", x.text())
	}
	return x.code
}

var privateMode = regexp.MustCompile(`\x1b\[\?([0-9;]+)([hl])`)

// restored checks that the ended program left the terminal as it was.
func (x *terminal) restored() {
	x.t.Helper()
	x.still()
	if now := x.settings(); now != x.before {
		x.t.Errorf("the line's settings were %+v and are %+v", x.before, now)
	}
	x.mu.Lock()
	raw := x.raw.String()
	x.mu.Unlock()
	// Every mode switched on is off again, and the cursor, switched off, is on.
	modes := map[string]string{}
	for _, m := range privateMode.FindAllStringSubmatch(raw, -1) {
		for _, n := range strings.Split(m[1], ";") {
			modes[n] = m[2]
		}
	}
	for n, state := range modes {
		if want := map[bool]string{true: "h", false: "l"}[n == "25"]; state != want {
			x.t.Errorf("mode ?%s was left at %q", n, state)
		}
	}
	for _, n := range []string{"1049", "25"} {
		if modes[n] == "" {
			x.t.Errorf("mode ?%s was never set: is this the dashboard?", n)
		}
	}
	if x.screen.Mode()&vt10x.ModeAltScreen != 0 || !x.screen.CursorVisible() {
		x.t.Errorf("alternate screen or hidden cursor left; the screen:\n%s", x.text())
	}
	// Pushed keyboard flags and titles are popped.
	for _, pair := range [][2]string{{"\x1b[>1u", "\x1b[<1u"}, {"\x1b[22;2t", "\x1b[23;2t"}} {
		if on, off := strings.Count(raw, pair[0]), strings.Count(raw, pair[1]); off < min(on, 1) {
			x.t.Errorf("%q was sent %d times, %q %d times", pair[0], on, pair[1], off)
		}
	}
}

// session returns the only session folder in the terminal's home.
func (x *terminal) session() string {
	x.t.Helper()
	dirs, err := filepath.Glob(filepath.Join(x.home, "state", "jouletop", "sessions", "*"))
	if err != nil || len(dirs) != 1 {
		x.t.Fatalf("sessions %v (%v), want one", dirs, err)
	}
	return dirs[0]
}

// sequences keeps from the emulator what it would take for something else:
// control sequences with a private marker (keyboard protocols: it knows only the
// modes of `?`, and takes `CSI ? u` for a cursor movement), and halves of
// sequences and of runes, which wait for the rest.
type sequences struct{ rest []byte }

func (f *sequences) pass(b []byte) []byte {
	in := append(f.rest, b...)
	var out []byte
	for len(in) > 0 {
		if in[0] != 0x1b {
			if !utf8.FullRune(in) {
				break
			}
			_, n := utf8.DecodeRune(in)
			out, in = append(out, in[:n]...), in[n:]
			continue
		}
		n, drop, whole := sequence(in)
		if !whole {
			break
		}
		if !drop {
			out = append(out, in[:n]...)
		}
		in = in[n:]
	}
	f.rest = bytes.Clone(in)
	return out
}

// sequence measures the escape sequence that b begins with.
func sequence(b []byte) (n int, drop, whole bool) {
	if len(b) < 2 {
		return 0, false, false
	}
	if b[1] != '[' {
		return 2, false, true // the emulator follows strings itself
	}
	for i := 2; i < len(b); i++ {
		if c := b[i]; c >= 0x40 && c <= 0x7e {
			mark := b[2]
			drop = mark >= '<' && mark <= '>' || mark == '?' && c != 'h' && c != 'l' || c == 't'
			return i + 1, drop, true
		}
	}
	return 0, false, false
}

func TestSequencesKeepWhatIsHalf(t *testing.T) {
	const all = "a\x1b[?u\x1b[>4;2m\x1b[1mé\x1b[?25l│\x1b]2;x\a\x1b[2;3H\x1b[22;2t."
	const want = "a\x1b[1mé\x1b[?25l│\x1b]2;x\a\x1b[2;3H."
	for size := 1; size <= len(all); size++ {
		var f sequences
		var got []byte
		for from := 0; from < len(all); from += size {
			got = append(got, f.pass([]byte(all)[from:min(from+size, len(all))])...)
		}
		if string(got) != want {
			t.Fatalf("in pieces of %d: %q, want %q", size, got, want)
		}
	}
}
