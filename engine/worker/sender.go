package worker

import (
	"errors"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// tokenDelay is how long a token may wait for others, so that they travel
// together: a screen shows no more, and waking the parent for every token of a
// fast model costs more than all else here. Its own time travels with it.
const tokenDelay = 100 * time.Millisecond

// sender is the child's way out. add never waits: what the socket does not take
// at once (a parent that is stopped) is kept and sent when it does.
type sender struct {
	fd      int
	mu      sync.Mutex
	pending []byte
	blocked bool        // drain is waiting for the socket
	timer   *time.Timer // sends what waits for others
	armed   bool
	last    time.Time     // of the newest flush
	gone    func()        // the parent does not listen any more
	empty   chan struct{} // closed when pending is; nil while nobody waits
}

func newSender(fd int, gone func()) *sender {
	s := &sender{fd: fd, gone: gone}
	s.timer = time.AfterFunc(time.Hour, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.armed = false
		s.flush()
	})
	s.timer.Stop()
	return s
}

// add sends a frame, at once if urgent.
func (s *sender) add(k kind, urgent bool, body func([]byte) []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending = appendFrame(s.pending, k, body)
	if urgent || time.Since(s.last) >= tokenDelay {
		s.flush()
	} else if !s.armed {
		s.armed = true
		s.timer.Reset(tokenDelay)
	}
}

// flush, with s.mu held, hands the socket what it takes.
func (s *sender) flush() {
	if s.blocked {
		return
	}
	s.last = time.Now()
	if s.armed {
		s.armed = false
		s.timer.Stop()
	}
	sent := 0
	for sent < len(s.pending) {
		n, err := unix.SendmsgN(s.fd, s.pending[sent:], nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		if n > 0 {
			sent += n
		}
		switch {
		case err == nil || errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN):
			s.pending = s.pending[:copy(s.pending, s.pending[sent:])]
			s.blocked = true
			go s.drain()
			return
		default:
			s.gone()
			sent = len(s.pending)
		}
	}
	s.pending = s.pending[:0]
	if cap(s.pending) > 1<<20 {
		s.pending = nil
	}
	if s.empty != nil {
		close(s.empty)
		s.empty = nil
	}
}

// drain waits until the socket takes more.
func (s *sender) drain() {
	fds := []unix.PollFd{{Fd: int32(s.fd), Events: unix.POLLOUT}}
	for {
		if _, err := unix.Poll(fds, -1); err == nil || !errors.Is(err, unix.EINTR) {
			break
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.blocked = false
	s.flush()
}

// finish waits until everything has been sent, for at most d.
func (s *sender) finish(d time.Duration) {
	s.mu.Lock()
	s.flush()
	if len(s.pending) == 0 {
		s.mu.Unlock()
		return
	}
	if s.empty == nil {
		s.empty = make(chan struct{})
	}
	empty := s.empty
	s.mu.Unlock()
	select {
	case <-empty:
	case <-time.After(d):
	}
}

// exit ends this process at once: its parent has gone, and native code may be
// in the middle of something.
func exit() { unix.Exit(0) }
