package clockguard

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// process identifies a process beyond the reuse of its pid.
type process struct {
	PID int `json:"pid"`
	// Start is when it started, in clock ticks since boot (field 22 of
	// /proc/PID/stat).
	Start uint64 `json:"start"`
}

// identify returns the identity of a running process; zero when there is none.
func identify(pid int) process {
	start, _, err := procStat(pid)
	if err != nil {
		return process{}
	}
	return process{pid, start}
}

func (p process) alive() bool {
	start, state, err := procStat(p.PID)
	return err == nil && start == p.Start && state != 'Z' && state != 'X'
}

// stopped tells whether the process is held by SIGSTOP or the like.
func (p process) stopped() bool {
	start, state, err := procStat(p.PID)
	return err == nil && start == p.Start && (state == 'T' || state == 't')
}

// halted tells whether the process does not run, for so long that its lease is
// over: it is stopped, or frozen by its control group (as `docker pause` does). One
// that lives is seen within a beat.
func (p process) halted() bool {
	limit := 2 * leaseTime
	if p.stopped() {
		limit = leaseTime
	}
	before, ok := p.switches()
	for end := time.Now().Add(limit); ok && time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if now, there := p.switches(); !there || now != before {
			return false
		}
	}
	return ok
}

// switches counts how often the process's threads have been scheduled.
func (p process) switches() (n uint64, ok bool) {
	if !p.alive() {
		return 0, false
	}
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", p.PID)) // the pattern is well formed
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			continue // the thread has ended, which is a sign of life
		}
		for line := range strings.Lines(string(b)) {
			if name, value, _ := strings.Cut(line, ":"); strings.HasSuffix(name, "voluntary_ctxt_switches") {
				v, _ := strconv.ParseUint(strings.TrimSpace(value), 10, 64) // the kernel's number
				n += v
			}
		}
	}
	return n, len(files) > 0
}

// procStat reads a process's start time and state (R, S, D, T, Z, …).
func procStat(pid int) (start uint64, state byte, err error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, 0, err
	}
	// The second field, the name in parentheses, may hold anything.
	i := bytes.LastIndexByte(b, ')')
	if i < 0 {
		return 0, 0, fmt.Errorf("/proc/%d/stat: no name", pid)
	}
	f := strings.Fields(string(b[i+1:]))
	if len(f) < 20 {
		return 0, 0, fmt.Errorf("/proc/%d/stat: too short", pid)
	}
	start, err = strconv.ParseUint(f[19], 10, 64)
	return start, f[0][0], err
}

// kill ends a process for good and waits until it has gone, for at most
// patience; true when it has. A process in the middle of a driver call goes
// only when the call returns.
func (p process) kill(patience time.Duration) bool {
	if p.PID <= 0 || !p.alive() {
		return true
	}
	fd, err := unix.PidfdOpen(p.PID, 0)
	if err != nil {
		return errors.Is(err, unix.ESRCH)
	}
	defer func() { _ = unix.Close(fd) }()
	if !p.alive() { // the pid may have been reused before it was opened
		return true
	}
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return false
	}
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for end := time.Now().Add(patience); ; {
		n, err := unix.Poll(fds, int(max(0, time.Until(end).Milliseconds())))
		if n > 0 {
			return true
		}
		if err != unix.EINTR {
			return false
		}
	}
}

// monotonic returns CLOCK_MONOTONIC in ns, read afresh: a guard lives longer
// than it trusts a difference to stay exact.
func monotonic() int64 {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) // cannot fail on Linux
	return ts.Nano()
}

// bootID tells one boot from another; a reboot undoes every lock.
func bootID() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// raisePriority lets this process's threads run before others where it may: a
// guard that waits for a core behind the inference it serves is late. A low
// realtime priority is what holds across sessions, which the scheduler groups;
// it sleeps all but a few µs of the time, and the kernel leaves other tasks 5 %
// even of a core on which a driver call spins.
func raisePriority() {
	PreferLatency()
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return
	}
	for _, t := range tasks {
		if tid, err := strconv.Atoi(t.Name()); err == nil {
			rt := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 1}
			_ = unix.SchedSetAttr(tid, &rt, 0)
		}
	}
}

// RaiseThread ties the calling goroutine to its thread and has that run before
// others where it may (see raisePriority), as far as it may otherwise; it tells
// whether it runs in real time. It is for the few goroutines between a phase's
// boundary and the guard; threads that they start are not raised.
func RaiseThread() bool {
	runtime.LockOSThread()
	rt := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 1, Flags: unix.SCHED_FLAG_RESET_ON_FORK}
	return unix.SchedSetAttr(0, &rt, 0) == nil
}

// PreferLatency asks the scheduler to let this process's threads run for short
// but soon when they wake, which needs no privilege (a slice of 0.1 ms, Linux
// 6.12 and later; without effect before). Threads started later inherit it.
func PreferLatency() {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return
	}
	for _, t := range tasks {
		tid, err := strconv.Atoi(t.Name())
		if err != nil {
			continue
		}
		attr, err := unix.SchedGetAttr(tid, 0)
		if err != nil || attr.Policy != unix.SCHED_NORMAL {
			continue
		}
		attr.Runtime = uint64(100 * time.Microsecond)
		_ = unix.SchedSetAttr(tid, attr, 0)
	}
}

// peer returns who is at the other end of a Unix socket.
func peer(fd int) (*unix.Ucred, error) {
	cred, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return nil, fmt.Errorf("read the peer's credentials: %w", err)
	}
	return cred, nil
}

// peerGroups returns the supplementary groups of who is at the other end of a Unix
// socket, as they were when it connected.
func peerGroups(fd int) []uint32 {
	const most = 1 << 16 // NGROUPS_MAX
	groups := make([]uint32, most)
	size := uint32(most * 4)
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_PEERGROUPS,
		uintptr(unsafe.Pointer(&groups[0])), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return nil
	}
	return groups[:min(size/4, most)]
}

func userName(uid uint32) string {
	id := strconv.FormatUint(uint64(uid), 10)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return id
}
