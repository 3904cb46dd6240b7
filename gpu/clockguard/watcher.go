package clockguard

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"jouletop/gpu"
)

// What guard and watcher send each other.
const (
	beat  = 'b' // I live
	ready = 'r' // the watcher is ready
	bye   = 'q' // the guard has given the clock back and ends
)

// partner is the other one of guard and watcher.
type partner struct {
	process
	fd  int
	log *slog.Logger
}

// send never waits: a partner that doesn't read is stopped, and found out.
func (p *partner) send(b byte) {
	_ = unix.Sendto(p.fd, []byte{b}, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, nil)
}

// next returns what the partner sends next, or an error that says how it fell
// silent. A message that is already there counts, however late this process
// comes to read it.
func (p *partner) next(limit time.Duration) (byte, error) {
	end := monotonic() + int64(limit)
	for {
		fds := []unix.PollFd{{Fd: int32(p.fd), Events: unix.POLLIN}}
		if err := poll(fds, max(0, time.Duration(end-monotonic()))); err != nil {
			return 0, err
		}
		if fds[0].Revents != 0 {
			var b [1]byte
			n, _, err := unix.Recvfrom(p.fd, b[:], unix.MSG_DONTWAIT)
			if err == nil && n == 1 {
				return b[0], nil
			}
			if err != unix.EAGAIN && err != unix.EINTR {
				return 0, errors.New("has ended")
			}
		}
		if monotonic() >= end {
			return 0, fmt.Errorf("has not been heard of for %v", limit)
		}
	}
}

func (p *partner) beatForever() {
	for {
		p.send(beat)
		time.Sleep(beatEvery)
	}
}

// startWatcher starts the guard's watcher and waits until it can reset clocks.
func startWatcher(command []string, info gpu.Info, log *slog.Logger) (*partner, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("start the clock guard's watcher: %w", err)
	}
	theirs := os.NewFile(uintptr(fds[1]), "watcher")
	cmd := exec.Command(command[0], append(command[1:len(command):len(command)], strconv.Itoa(info.Index), info.UUID)...)
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Start()
	_ = theirs.Close()
	if err != nil {
		_ = unix.Close(fds[0])
		return nil, fmt.Errorf("start the clock guard's watcher: %w", err)
	}
	p := &partner{process: identify(cmd.Process.Pid), fd: fds[0], log: log}
	go func() { _ = cmd.Wait() }() // reaps it; how it ended is read from the socket
	b, err := p.next(openLimit)
	if err == nil && b != ready {
		err = errors.New("is not one")
	}
	if err != nil {
		p.kill(time.Second)
		return nil, fmt.Errorf("start the clock guard's watcher: it %w", err)
	}
	go p.beatForever()
	return p, nil
}

// openLimit is how long opening a GPU may take: NVML may have to start the
// driver.
const openLimit = 15 * time.Second

// watch tells once the watcher is lost; it is killed for good, so that it
// cannot come back and reset a clock that is somebody else's by then.
func (p *partner) watch(lost func(why string)) {
	for {
		if _, err := p.next(beatLimit); err != nil {
			p.log.Warn("watcher lost", "error", err)
			p.kill(time.Second)
			lost(err.Error())
			return
		}
	}
}

// bye lets the watcher go.
func (p *partner) bye() { p.send(bye) }

// runWatcher watches the guard at the other end of fd and gives the clock back
// when it is lost. It returns the exit status.
func runWatcher(fd int, dir string, index int, uuid string, open Opener, log *slog.Logger) int {
	signal.Ignore(syscall.SIGINT, syscall.SIGHUP, syscall.SIGPIPE, syscall.SIGTERM)
	raisePriority()
	cred, err := peer(fd)
	if err != nil {
		log.Error("watcher", "error", err)
		return 1
	}
	dev, err := open(index)
	if err != nil {
		log.Error("watcher cannot open the GPU", "error", err)
		return 1
	}
	defer func() { _ = dev.Close() }()
	g := &partner{process: identify(int(cred.Pid)), fd: fd, log: log}
	g.send(ready)
	go g.beatForever()
	for {
		b, err := g.next(beatLimit)
		switch {
		case err != nil:
			log.Warn("guard lost", "error", err)
			return takeOver(g.process, dir, uuid, dev, log)
		case b == bye:
			return 0
		}
	}
}

// takeOver gives back what is set in place of a guard that is dead or stopped. What
// is stopped is killed first: it could otherwise set it again.
func takeOver(guard process, dir, uuid string, dev tuner, log *slog.Logger) int {
	pause := 10 * time.Millisecond
	for end := monotonic() + int64(resetPatience); monotonic() < end; pause = min(2*pause, time.Second) {
		// A guard in the middle of a driver call goes when that returns; the
		// clock is reset now and once more after.
		if takeOverOnce(guard, guard.kill(100*time.Millisecond), dir, uuid, dev, log) {
			return 0
		}
		time.Sleep(pause)
	}
	log.Error("clock not given back; the next start will try again", "gpu", uuid)
	return 1
}

// takeOverOnce tells whether nothing is left to do.
func takeOverOnce(guard process, gone bool, dir, uuid string, dev tuner, log *slog.Logger) bool {
	rec, found := readRecord(dir, uuid)
	if !found || rec.Guard.PID != 0 && rec.Guard != guard {
		return gone // nothing locked, or somebody else's
	}
	done, err := rec.giveAllBack(dev)
	log.Info("reset by the watcher", "gpu", uuid, "guard_gone", gone, "error", err, "notes", done)
	if err != nil || !gone {
		return false
	}
	if err = dropRecord(dir, uuid); err != nil {
		log.Error("watcher", "error", err)
	}
	return err == nil
}
