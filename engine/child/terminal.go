package child

import (
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// terminal is the terminal that a program is given, and may stop on.
type terminal struct {
	fd    int // -1 none
	group int // that it belongs to: this process's, where it is in the foreground
}

func terminalOf(stdin *os.File) terminal {
	t := terminal{fd: -1}
	if stdin == nil || !term.IsTerminal(int(stdin.Fd())) {
		return t
	}
	t.fd = int(stdin.Fd())
	if g, err := unix.IoctlGetInt(t.fd, unix.TIOCGPGRP); err == nil {
		t.group = g
	}
	return t
}

// ours tells whether the terminal is this process's to give.
func (t terminal) ours() bool { return t.fd >= 0 && t.group == unix.Getpgrp() }

// take takes it back.
func (t terminal) take() {
	if t.ours() {
		t.give(t.group)
	}
}

// give makes a group the foreground's. The kernel stops whoever does so from the
// background, unless it is told not to.
func (t terminal) give(group int) {
	signal.Ignore(syscall.SIGTTOU)
	defer signal.Reset(syscall.SIGTTOU)
	_ = unix.IoctlSetPointerInt(t.fd, unix.TIOCSPGRP, group) // it may have hung up
}

// wait waits until the program has ended, and leaves its status to be waited for. Where
// it is stopped (Ctrl-Z) this process stops too, so that the shell knows, and where this
// one is continued so is the program.
func (t terminal) wait(pid int) {
	for {
		var info unix.Siginfo
		err := unix.Waitid(unix.P_PID, pid, &info, unix.WEXITED|unix.WSTOPPED|unix.WNOWAIT, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil || !stopped(&info) {
			return
		}
		_ = unix.Waitid(unix.P_PID, pid, &info, unix.WSTOPPED|unix.WNOHANG, nil) // it is told of this stop once
		if !t.ours() {
			continue // somebody else stopped it, and will have it go on
		}
		t.take()
		_ = unix.Kill(unix.Getpid(), unix.SIGSTOP) // until it is continued
		if g, err := unix.IoctlGetInt(t.fd, unix.TIOCGPGRP); err == nil && g == t.group {
			t.give(pid)
		}
		_ = unix.Kill(-pid, unix.SIGCONT)
	}
}

// stopped tells a stop from an end.
func stopped(info *unix.Siginfo) bool {
	const cldStopped = 5 // CLD_STOPPED of signal.h
	return info.Code == cldStopped
}
