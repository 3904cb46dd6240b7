package clockguard

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"jouletop/gpu"
)

// callLimit is how long Set waits for the driver; the guard goes on waiting.
const callLimit = 2 * time.Second

// Open returns a client for a real GPU, not armed yet. A clock that an earlier
// run left locked is given back first; Notes says so. Errors wrap
// gpu.ErrReadOnly.
func Open(ctx context.Context, info gpu.Info, o Options) (*Client, error) {
	if o.ReadOnly {
		return nil, gpu.ErrReadOnly
	}
	c := &Client{info: info, now: monotonic, notify: o.Notify}
	c.dial = func() (link, error) { return dial(info, o, c.linkLost) }
	rec, found := Stale(info, o)
	if !found && os.Geteuid() != 0 {
		rec, found = ofRoot(info, o)
	}
	if found {
		text, err := Reset(ctx, info, o, false)
		if err != nil {
			text = fmt.Sprintf("GPU %d still has %s; it could not be given back: %v", info.Index, rec, err)
		}
		if text != "" {
			c.notes = append(c.notes, text)
		}
	}
	return c, nil
}

// remote is a link to a guard process.
type remote struct {
	conn   *net.UnixConn
	ended  chan struct{} // closed when the guard's end of the socket is
	info   gpu.Info
	onLost func(link, Loss)
	notify func(string)
	// given tells whether the clock has been given back; nil where that can't be
	// seen.
	given func() bool

	mu      sync.Mutex
	seq     uint32
	waiting map[uint32]chan reply
	late    map[uint32]bool // calls that the driver has not answered in time
	notice  error           // what the guard said of its end
	err     error           // why the link ended
	closing bool
	held    int64 // up to when the guard is known to hold the clock
	answers bool  // it answers renewals: it is none of an earlier version
	heard   bool  // of it since the last renewal
}

// dial starts a guard, or connects to the service, and has it take the GPU's
// lease.
func dial(info gpu.Info, o Options, onLost func(link, Loss)) (link, error) {
	conn, err := connect(o)
	if err != nil {
		return nil, err
	}
	l := &remote{
		conn: conn, ended: make(chan struct{}), info: info, onLost: onLost, notify: o.Notify,
		waiting: map[uint32]chan reply{}, late: map[uint32]bool{},
	}
	hello, err := json.Marshal(greeting{
		UUID: info.UUID, Index: info.Index, MinMHz: o.Bounds.MinMHz, MaxMHz: o.Bounds.MaxMHz, Bounds: o.Bounds,
		Program: filepath.Base(os.Args[0]),
	})
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	go l.read()
	r := l.call(order{op: opHello, sent: monotonic(), text: hello}, openLimit+helloLimit)
	if err := r.err(); err != nil {
		l.shut()
		if r.code == codeHeld {
			err = heldFrom(r.text)
		}
		return nil, err
	}
	// The record says whether the clock is locked: the service's as well, where
	// it is kept in the usual place.
	dir := o.dir()
	if o.service() != "" {
		dir = systemDir
	}
	if held(dir, info.UUID) {
		l.given = func() bool { _, locked := readRecord(dir, info.UUID); return !locked }
	}
	go l.renew()
	return l, nil
}

// connect returns a socket to a new guard.
func connect(o Options) (*net.UnixConn, error) {
	if path := o.service(); path != "" {
		conn, err := dialService(path)
		if err != nil {
			return nil, fmt.Errorf("reach the clock guard's service: %w", permission(err))
		}
		return conn, nil
	}
	if err := makeDir(o.dir()); err != nil {
		return nil, err
	}
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("start the clock guard: %w", err)
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "guard"), os.NewFile(uintptr(fds[1]), "client")
	defer func() { _ = ours.Close(); _ = theirs.Close() }()
	command := append(append(o.command(), "child", "--dir", o.dir(), "--log", o.logPath()), o.Bounds.flags()...)
	cmd := exec.Command(command[0], command[1:]...)
	cmd.ExtraFiles = []*os.File{theirs}
	// A session of its own: no signal of the terminal's reaches it. That its
	// parent died it learns from the socket and a pidfd; the signal that Linux
	// can send then would come when any thread of ours ends.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	conn, err := net.FileConn(ours)
	if err != nil {
		return nil, fmt.Errorf("start the clock guard: %w", err)
	}
	if err := cmd.Start(); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("start the clock guard: %w", err)
	}
	go func() { _ = cmd.Wait() }() // reaps it; how it ended is read from the socket
	return conn.(*net.UnixConn), nil
}

// dialService connects to the service. Where the queue of connections is full, which
// others may have filled, it stands in line for the next place for a while: who only
// looks now and then finds each taken by whoever tries all the time.
func dialService(path string) (*net.UnixConn, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	f := os.NewFile(uintptr(fd), path)
	defer func() { _ = f.Close() }() // the connection is a duplicate
	for end := time.Now().Add(callLimit); ; {
		left := unix.NsecToTimeval(max(int64(time.Millisecond), int64(time.Until(end))))
		if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &left); err != nil {
			return nil, os.NewSyscallError("setsockopt", err)
		}
		if err = unix.Connect(fd, &unix.SockaddrUnix{Name: path}); err != unix.EINTR {
			break
		}
	}
	if err == unix.EAGAIN {
		err = fmt.Errorf("no answer within %v: too many connect to it", callLimit)
	}
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: "unixpacket", Addr: &net.UnixAddr{Name: path, Net: "unixpacket"}, Err: os.NewSyscallError("connect", err)}
	}
	conn, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	return conn.(*net.UnixConn), nil
}

// permission makes the operating system's refusal gpu.ErrNoPermission.
func permission(err error) error {
	if errors.Is(err, os.ErrPermission) {
		return fmt.Errorf("%w: %v", gpu.ErrNoPermission, err)
	}
	return err
}

func (l *remote) do(r order) reply {
	l.mu.Lock()
	busy := len(l.late) > 0
	l.mu.Unlock()
	if busy && r.op == opSet {
		return failed(r, codeOther, ErrBusy)
	}
	return l.call(r, callLimit)
}

func failed(r order, c code, err error) reply {
	return reply{op: r.op, code: c, seq: r.seq, text: err.Error(), cause: err}
}

// send never waits. EAGAIN: the queue to the guard is full.
func (l *remote) send(r order) error {
	raw, err := l.conn.SyscallConn()
	if err != nil {
		return err
	}
	b := r.encode()
	cerr := raw.Control(func(fd uintptr) {
		err = unix.Sendto(int(fd), b, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, nil)
	})
	if cerr != nil {
		return cerr
	}
	return err
}

// call sends a request and waits for its answer.
func (l *remote) call(r order, limit time.Duration) reply {
	answer := make(chan reply, 1)
	l.mu.Lock()
	l.seq++
	r.seq = l.seq
	l.waiting[r.seq] = answer
	l.mu.Unlock()
	err := l.send(r)
	if err == unix.EAGAIN { // the queue is full: the guard has been in a call for long
		l.mu.Lock()
		delete(l.waiting, r.seq)
		l.mu.Unlock()
		return failed(r, codeOther, ErrBusy)
	}
	if err != nil {
		<-l.ended // reading fails as well, and knows why
	}
	t := time.NewTimer(limit)
	defer t.Stop()
	select {
	case a := <-answer:
		return a
	case <-l.ended:
		select {
		case a := <-answer: // came just before the end
			return a
		default:
			return failed(r, codeGuardLost, l.err) // set before ended was closed
		}
	case <-t.C:
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.late[r.seq] = true
	return failed(r, codeOther, fmt.Errorf("%w (%s, waited %v)", ErrBusy, opName(r.op), limit))
}

// read hands out answers until the guard ends, then says why it did.
func (l *remote) read() {
	buf := make([]byte, maxMessage+1)
	for again := true; ; {
		n, err := l.conn.Read(buf)
		if errors.Is(err, unix.ECONNRESET) && again {
			again = false // told before what the guard said last
			continue
		}
		if err != nil || n == 0 {
			break
		}
		r, err := decodeReply(buf[:n])
		if err != nil {
			l.mu.Lock()
			l.notice = err
			l.mu.Unlock()
			break
		}
		l.deliver(r)
	}
	_ = l.conn.Close()
	l.mu.Lock()
	closing, notice := l.closing, l.notice
	if notice == nil {
		notice = errors.New("it was killed")
	}
	l.err = fmt.Errorf("%w: %w", ErrGuardLost, notice)
	loss := Loss{HeldNS: l.held, Err: l.err}
	l.mu.Unlock()
	if !closing {
		l.onLost(l, loss) // before a call that waits hears of it
	}
	close(l.ended)
	if !closing {
		l.report(notice.Error())
	}
}

func (l *remote) deliver(r reply) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.heard = true
	l.held = max(l.held, r.returned)
	if r.op == opRenew {
		l.answers = true
		return
	}
	if r.op == opNotice {
		l.held = max(l.held, r.called)
		if l.notice = r.err(); l.notice == nil {
			l.notice = errors.New(r.text)
		}
		return
	}
	answer := l.waiting[r.seq]
	delete(l.waiting, r.seq)
	delete(l.late, r.seq)
	if answer != nil {
		answer <- r // has room: each call is answered once
	}
}

// report tells the operator that the guard ended, and waits a little to see
// the clock given back.
func (l *remote) report(notice string) {
	if l.notify == nil {
		return
	}
	text := "clock guard ended: " + notice
	if l.given != nil {
		if l.givenBack() {
			text += "; the clock is the driver's again"
		} else {
			text += "; the clock may still be locked: `jouletop gpu reset` gives it back"
		}
	}
	l.notify(text)
}

// givenBack waits a little to see the clock given back.
func (l *remote) givenBack() bool {
	for range 40 {
		if l.given() {
			return true
		}
		time.Sleep(50 * time.Millisecond)
	}
	return false
}

// silence is how many renewals may go unanswered, while no call is under way,
// before a guard is taken for frozen.
const silence = int((leaseTime + 2*beatLimit) / renewEvery)

// renew keeps the lease.
func (l *remote) renew() {
	tick := time.NewTicker(renewEvery)
	defer tick.Stop()
	for unheard := 0; ; {
		select {
		case <-l.ended:
			return
		case <-tick.C:
			// Failing, it has nothing to tell: the guard is in a long call with a full
			// queue, or gone, which read finds out.
			err := l.send(order{op: opRenew, sent: monotonic()})
			l.mu.Lock()
			if err == nil && !l.answers {
				l.held = monotonic() // all that is known of it: its end of the socket is open
			}
			// Counted, not timed: this process may have been stopped itself.
			if unheard++; l.heard || !l.answers || len(l.waiting) > 0 {
				unheard = 0
			}
			l.heard = false
			frozen := unheard >= silence
			if frozen && l.notice == nil {
				l.notice = errors.New("it does not answer any more")
			}
			l.mu.Unlock()
			if frozen {
				_ = l.conn.Close() // read says the rest
				return
			}
		}
	}
}

func (l *remote) heldUntil() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.held
}

// close has the guard give the clock back and end. Where the driver hangs or
// fails, the guard goes on trying.
func (l *remote) close() error {
	l.mu.Lock()
	l.closing = true
	l.mu.Unlock()
	r := l.call(order{op: opBye, sent: monotonic()}, callLimit)
	l.shut()
	err := r.err()
	if err == nil && r.text != "" && l.notify != nil {
		l.notify(r.text)
	}
	if err == nil || l.given != nil && l.givenBack() || l.given == nil && r.code == codeGuardLost {
		return nil
	}
	return fmt.Errorf("%w: GPU %d (%s): %w; its guard goes on trying for %v: if the clock is still locked then, `jouletop gpu reset` gives it back",
		ErrNotGivenBack, l.info.Index, l.info.UUID, err, resetPatience)
}

func (l *remote) shut() {
	l.mu.Lock()
	l.closing = true
	l.mu.Unlock()
	_ = l.conn.Close()
	<-l.ended
}
