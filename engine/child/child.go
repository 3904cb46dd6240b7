// Package child runs somebody else's program as if this one were not there: its input,
// output and errors are this process's own, a terminal stays one, signals reach it, and a
// copy of its output is read on the way. Nothing of it is left behind.
package child

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// Exit statuses of a program that did not run, as a shell's.
const (
	StatusCannotRun = 126
	StatusNotFound  = 127
)

// Command is a program to run.
type Command struct {
	Args []string
	// Stdin, Stdout and Stderr are what the program gets. Where Stdout is a terminal it
	// gets another of the same size, and what it writes is passed on.
	Stdin, Stdout, Stderr *os.File
	// Output, if not nil, is given what the program writes to Stdout, once it is passed on.
	Output func(p []byte)
	// Patience is how long processes of the program's group that outlive it have to end
	// once they are asked to; 0 is two seconds.
	Patience time.Duration
}

// End is how a program ended.
type End struct {
	Status int    // its exit status, or 128 and the number of the signal that ended it
	Signal string // that signal's name; "" none
	Err    error  // it could not be run
	Left   bool   // processes of its group outlived it, and were ended
}

func (e End) String() string {
	switch {
	case e.Err != nil:
		return e.Err.Error()
	case e.Signal != "":
		return "ended by " + e.Signal
	}
	return fmt.Sprintf("exit status %d", e.Status)
}

// forwarded are the signals that are passed on. Those that a terminal's keys send reach
// the program's group without this process, where the terminal is its.
var forwarded = []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGWINCH}

// Run runs the program to its end.
func (c Command) Run() End {
	// The kernel ends the program with the thread that started it.
	done := make(chan End, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		done <- c.run()
	}()
	return <-done
}

func (c Command) run() End {
	signals := make(chan os.Signal, 16)
	wanted := forwarded
	if signal.Ignored(syscall.SIGHUP) { // under nohup
		wanted = append([]os.Signal{}, forwarded...)
		wanted = append(wanted[:2], wanted[3:]...)
	}
	signal.Notify(signals, wanted...)
	defer signal.Stop(signals)
	// A reader that goes away ends the program, not this one.
	broken := make(chan os.Signal, 1)
	signal.Notify(broken, syscall.SIGPIPE)
	defer signal.Stop(broken)

	cmd := exec.Command(c.Args[0], c.Args[1:]...)
	cmd.Stdin, cmd.Stderr = c.Stdin, c.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	t := terminalOf(c.Stdin)
	if t.ours() {
		cmd.SysProcAttr.Foreground, cmd.SysProcAttr.Ctty = true, t.fd
	}
	read, write, err := c.output()
	if err != nil {
		return End{Status: StatusCannotRun, Err: fmt.Errorf("run %s: %w", c.Args[0], err)}
	}
	defer read.Close()
	cmd.Stdout = write
	// Orphans of the program come to this one, which sees to their end.
	_ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
	defer func() { _ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0) }()
	// What this program ignores the other is not to.
	signal.Reset(syscall.SIGXFSZ)
	err = cmd.Start()
	signal.Ignore(syscall.SIGXFSZ)
	_ = write.Close()
	if err != nil {
		t.take()
		return notRun(c.Args[0], err)
	}
	copied := make(chan struct{})
	go func() {
		defer close(copied)
		c.pass(read)
	}()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		t.wait(cmd.Process.Pid)
	}()
	for running := true; running; {
		select {
		case s := <-signals:
			if s == syscall.SIGWINCH {
				resize(read, c.Stdout)
			}
			_ = unix.Kill(-cmd.Process.Pid, s.(syscall.Signal)) // it may just have ended
		case <-ended:
			running = false
		}
	}
	err = cmd.Wait()
	t.take()
	patience := cmp.Or(c.Patience, 2*time.Second)
	end := End{Left: endGroup(cmd.Process.Pid, patience)}
	// One that left the group may hold the output open, for as long as it likes.
	select {
	case <-copied:
	case <-time.After(patience):
	}
	status, _ := cmd.ProcessState.Sys().(syscall.WaitStatus)
	switch {
	case status.Signaled():
		end.Status, end.Signal = 128+int(status.Signal()), unix.SignalName(status.Signal())
	default:
		end.Status = status.ExitStatus()
	}
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		end.Err = err
	}
	return end
}

func notRun(name string, err error) End {
	e := End{Status: StatusCannotRun, Err: fmt.Errorf("run %s: %w", name, err)}
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) {
		e.Status = StatusNotFound
	}
	return e
}

// output makes what the program writes to: a terminal for a terminal, else a pipe.
func (c Command) output() (read, write *os.File, err error) {
	if !term.IsTerminal(int(c.Stdout.Fd())) {
		return os.Pipe()
	}
	read, write, err = pty.Open()
	if err != nil {
		return nil, nil, err
	}
	resize(read, c.Stdout)
	// The terminal behind does what is to be done to lines, once.
	if _, err = term.MakeRaw(int(write.Fd())); err != nil {
		return nil, nil, errors.Join(err, read.Close(), write.Close())
	}
	return read, write, nil
}

// resize gives the program's terminal the size of the one behind.
func resize(to, from *os.File) {
	if size, err := unix.IoctlGetWinsize(int(from.Fd()), unix.TIOCGWINSZ); err == nil {
		_ = unix.IoctlSetWinsize(int(to.Fd()), unix.TIOCSWINSZ, size) // a pipe has none
	}
}

// pass passes on what the program writes. Where nobody takes it, the program's next write
// fails as it would have without us.
func (c Command) pass(read *os.File) {
	buf := make([]byte, 32<<10)
	for {
		n, err := read.Read(buf)
		if n > 0 {
			if _, e := c.Stdout.Write(buf[:n]); e != nil {
				_ = read.Close()
				return
			}
			if c.Output != nil {
				c.Output(buf[:n])
			}
		}
		if err != nil { // io.EOF, or EIO of a terminal that nobody has open
			return
		}
	}
}

// endGroup ends what is left of a group; it tells whether anything was.
func endGroup(pgid int, patience time.Duration) bool {
	if gone(pgid) {
		return false
	}
	_ = unix.Kill(-pgid, unix.SIGTERM)
	_ = unix.Kill(-pgid, unix.SIGCONT) // what is stopped takes no other signal
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if gone(pgid) {
			return true
		}
	}
	_ = unix.Kill(-pgid, unix.SIGKILL)
	for end := time.Now().Add(patience); time.Now().Before(end) && !gone(pgid); time.Sleep(time.Millisecond) {
	}
	return true
}

// gone tells whether a group has nobody any more; those who have ended are taken note of.
func gone(pgid int) bool {
	for {
		if pid, err := unix.Wait4(-pgid, nil, unix.WNOHANG, nil); pid <= 0 && err != unix.EINTR {
			return unix.Kill(-pgid, 0) != nil
		}
	}
}
