package clockguard

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"jouletop/gpu"
)

// Opener opens the GPU of an index; gpu/nvml's, handed in by cmd.
type Opener func(index int) (gpu.Device, error)

// guardConfig is what a guard is started with.
type guardConfig struct {
	dir    string
	bounds Bounds
	gpus   []int // allowed; empty: all
	open   Opener
	log    *slog.Logger
	watch  []string // the watcher's command line
}

// How long a guard waits for its client's greeting, and tries to reset a clock
// that resists before it leaves the record to the next start.
const (
	helloLimit    = 2 * time.Second
	resetPatience = 30 * time.Second
)

// guard serves one client and one GPU on one thread: it reads an order, makes
// the driver's call, answers. Only the watcher's heartbeat has goroutines of
// its own, so that a call that hangs does not look like a dead guard.
type guard struct {
	guardConfig
	sock     int // to the client, SOCK_SEQPACKET
	client   int // pidfd of the client; -1 unknown
	wake     int // eventfd: something happened beside the socket
	reason   atomic.Pointer[string]
	dev      gpu.Device
	ctl      *control
	lease    *lease
	watcher  *partner
	deadline int64 // when the lease runs out
	buf      [maxMessage + 1]byte
	refusals int
}

// runGuard serves the client at the other end of fd until it goes, and returns
// the exit status.
func runGuard(fd int, cfg guardConfig) int {
	runtime.LockOSThread()
	signal.Ignore(syscall.SIGINT, syscall.SIGHUP, syscall.SIGPIPE)
	raisePriority()
	g := &guard{guardConfig: cfg, sock: fd, client: -1, wake: -1}
	hello, err := g.start()
	if errors.Is(err, errHostAsked) {
		status := g.serveHost(hello)
		g.close()
		return status
	}
	r := reply{op: opHello, seq: hello.seq, code: codeOf(err)}
	if err != nil {
		// One that only connects, as often as it likes, has its line by the service,
		// which says a bounded number of them; each guard is a process of its own.
		if !errors.Is(err, errClientGone) {
			g.log.Warn("not serving", "error", err)
		}
		r.text = heldText(err)
		g.send(r)
		g.close()
		return 1
	}
	g.deadline = monotonic() + int64(leaseTime)
	g.send(r)
	status := g.finish(g.serve())
	g.close()
	return status
}

// heldText is an error's text; a HeldError travels as JSON so that the client
// can tell who it is.
func heldText(err error) string {
	var h *HeldError
	if errors.As(err, &h) {
		if b, jerr := json.Marshal(h); jerr == nil {
			return string(b)
		}
	}
	return err.Error()
}

// start greets the client, takes the lease, clears up after an earlier run and
// starts the watcher.
func (g *guard) start() (hello order, err error) {
	cred, err := peer(g.sock)
	if err != nil {
		return hello, err
	}
	if cred.Pid > 0 {
		if g.client, err = unix.PidfdOpen(int(cred.Pid), 0); err != nil {
			g.client = -1 // an old kernel, or gone already: the socket will tell
		}
	}
	hello, greet, err := g.hello()
	if err != nil {
		return hello, err
	}
	if len(g.gpus) > 0 && !slices.Contains(g.gpus, greet.Index) {
		return hello, fmt.Errorf("%w: GPU %d is not one that this guard may set", ErrRefused, greet.Index)
	}
	if g.dev, err = g.open(greet.Index); err != nil {
		return hello, err
	}
	info := g.dev.Info()
	if info.UUID != greet.UUID {
		return hello, fmt.Errorf("%w: GPU %d is %s, not %s", ErrRefused, greet.Index, info.UUID, greet.UUID)
	}
	holder := Holder{PID: int(cred.Pid), User: userName(cred.Uid), Program: greet.Program, Since: time.Now()}
	if g.lease, err = acquire(g.dir, info.UUID, holder); err != nil {
		return hello, err
	}
	g.ctl = &control{
		dev: g.dev, info: info, now: monotonic, log: g.log,
		bounds: g.bounds.within(greet.Bounds).within(Bounds{MinMHz: greet.MinMHz, MaxMHz: greet.MaxMHz}),
	}
	if _, err := restore(g.dir, info.UUID, g.dev, g.log); err != nil {
		return hello, err
	}
	if g.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return hello, fmt.Errorf("make an eventfd: %w", err)
	}
	if g.watcher, err = startWatcher(g.watch, info, g.log); err != nil {
		return hello, err
	}
	rec := Record{
		GPU: info.UUID, Index: greet.Index, Boot: bootID(), Since: time.Now(),
		Holder: holder, Guard: identify(os.Getpid()), Watcher: g.watcher.process,
	}
	g.ctl.keep = func(held []heldKnob) error {
		if len(held) == 0 {
			return dropRecord(g.dir, info.UUID)
		}
		rec.Knobs, rec.MHz = held, 0
		if held[0].Knob == gpu.KnobSM {
			rec.MHz = held[0].First
		}
		return rec.write(g.dir)
	}
	go g.watcher.watch(func(why string) { g.stop("the watcher " + why) })
	terms := make(chan os.Signal, 1)
	signal.Notify(terms, syscall.SIGTERM)
	go func() { g.stop((<-terms).String()) }()
	g.log.Info("serving", "gpu", info.UUID, "client", holder.PID, "user", holder.User, "bounds", g.ctl.bounds.String())
	return hello, nil
}

// hello reads the greeting; a client that is slow or sends something else is
// turned away.
func (g *guard) hello() (order, greeting, error) {
	fds := []unix.PollFd{{Fd: int32(g.sock), Events: unix.POLLIN}}
	if err := poll(fds, helloLimit); err != nil || fds[0].Revents == 0 {
		return order{}, greeting{}, fmt.Errorf("%w: no greeting within %v", ErrRefused, helloLimit)
	}
	r, err := g.receive()
	if err != nil {
		return order{}, greeting{}, err
	}
	var greet greeting
	if r.op == opHost {
		return r, greet, errHostAsked
	}
	if r.op != opHello {
		return r, greet, fmt.Errorf("%w: %s before hello", ErrRefused, opName(r.op))
	}
	if err := json.Unmarshal(r.text, &greet); err != nil {
		return r, greet, fmt.Errorf("%w: greeting: %v", ErrRefused, err)
	}
	if greet.UUID == "" || greet.Index < 0 || len(greet.Program) > 64 {
		return r, greet, fmt.Errorf("%w: greeting names no GPU", ErrRefused)
	}
	return r, greet, nil
}

var errClientGone = errors.New("the program has ended")

// receive reads one datagram. Errors wrap ErrRefused, or are errClientGone.
func (g *guard) receive() (order, error) {
	n, _, err := unix.Recvfrom(g.sock, g.buf[:], unix.MSG_DONTWAIT)
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		return order{op: opRenew}, nil // sent 0: renews nothing
	case err != nil || n <= 0:
		return order{}, errClientGone
	}
	return decodeOrder(g.buf[:n]) // a longer datagram filled the buffer and is refused
}

// serve answers requests until there is a reason to end, which it returns.
func (g *guard) serve() string {
	fds := []unix.PollFd{
		{Fd: int32(g.sock), Events: unix.POLLIN | unix.POLLRDHUP},
		{Fd: int32(g.wake), Events: unix.POLLIN},
		{Fd: int32(g.client), Events: unix.POLLIN}, // ignored where -1
	}
	for {
		left := max(0, g.deadline-monotonic())
		if err := poll(fds, time.Duration(left)); err != nil {
			return err.Error()
		}
		// A client that is gone has no wishes any more, whatever it sent before.
		if fds[0].Revents&(unix.POLLHUP|unix.POLLRDHUP|unix.POLLERR) != 0 || fds[2].Revents != 0 {
			return errClientGone.Error()
		}
		if fds[1].Revents != 0 {
			return *g.reason.Load()
		}
		if fds[0].Revents == 0 {
			// Only now, with nothing left to read: a driver's call may have taken
			// long, and renewals came in the meantime.
			if monotonic() >= g.deadline {
				return "the program has not renewed the lease"
			}
			continue
		}
		r, err := g.receive()
		if errors.Is(err, errClientGone) {
			return err.Error()
		}
		if err != nil {
			g.refuse(r, err)
			continue
		}
		if why := g.answer(r); why != "" {
			return why
		}
	}
}

// answer carries out one order; the text is a reason to end.
func (g *guard) answer(r order) string {
	now := monotonic()
	// A time in the future would be a lease without an end.
	if r.sent > now {
		g.refuse(r, fmt.Errorf("%w: sent in the future", ErrRefused))
		return ""
	}
	g.deadline = max(g.deadline, r.sent+int64(leaseTime))
	switch r.op {
	case opRenew:
		if r.sent != 0 {
			g.send(reply{op: opRenew, seq: r.seq, returned: now})
		}
	case opSet, opReset:
		if now-r.sent > int64(leaseTime) {
			g.refuse(r, fmt.Errorf("%w: %v old", ErrRefused, time.Duration(now-r.sent)))
			return ""
		}
		g.send(g.ctl.handle(r))
	case opBye:
		g.send(g.ctl.handle(r))
		return "the program said goodbye"
	default:
		g.refuse(r, fmt.Errorf("%w: %s while serving", ErrRefused, opName(r.op)))
	}
	return ""
}

// refuse answers and logs a bad order; a client that sends nothing else
// fills no disk.
func (g *guard) refuse(r order, err error) {
	if g.refusals++; g.refusals <= 20 || g.refusals%1000 == 0 {
		g.log.Warn("request refused", "error", err, "refused_so_far", g.refusals)
	}
	g.send(reply{op: r.op, seq: r.seq, code: codeOf(err), text: err.Error()})
}

// stop makes serve return; the first reason stands.
func (g *guard) stop(reason string) {
	if g.reason.CompareAndSwap(nil, &reason) {
		_, _ = unix.Write(g.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0}) // an eventfd takes a uint64
	}
}

// send answers without waiting: a client that doesn't read is no reason to
// stand still.
func (g *guard) send(r reply) {
	if err := unix.Sendto(g.sock, r.encode(), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, nil); err != nil && !errors.Is(err, unix.EPIPE) {
		g.log.Debug("reply not sent", "error", err)
	}
}

// finish gives the clock back, trying again where the driver fails, and tells
// client and watcher. It returns the exit status.
func (g *guard) finish(reason string) int {
	had := len(g.ctl.holding()) > 0
	var err error
	notes := ""
	var called int64 // first: from then on the clock is not held
	pause := 10 * time.Millisecond
	for end := monotonic() + int64(resetPatience); ; {
		r := g.ctl.handle(order{op: opBye})
		if called == 0 {
			called = r.called
		}
		if r.code == codeOK && r.text != "" {
			notes = "; " + r.text
		}
		if err = r.err(); err == nil || monotonic() > end {
			break
		}
		time.Sleep(pause)
		pause = min(2*pause, time.Second)
	}
	text := reason
	switch {
	case err != nil:
		text += fmt.Sprintf("; the clock could not be given back: %v", err)
	case had:
		text += "; the clock was given back"
	}
	text += notes
	g.log.Info("ending", "reason", text)
	g.send(reply{op: opNotice, text: text, called: called})
	if err != nil {
		return 1 // the watcher tries on, and the record stays
	}
	g.watcher.bye()
	return 0
}

func (g *guard) close() {
	g.lease.release()
	if g.dev != nil {
		_ = g.dev.Close()
	}
	_ = unix.Close(g.sock)
}

// poll waits for one of fds, for at most d. An interrupted wait counts as one
// that nothing came of.
func poll(fds []unix.PollFd, d time.Duration) error {
	for i := range fds {
		fds[i].Revents = 0
	}
	// Rounded up: a timeout cut to 0 ms would spin until the deadline.
	_, err := unix.Poll(fds, int((d+time.Millisecond-1)/time.Millisecond))
	if err != nil && err != unix.EINTR {
		return fmt.Errorf("poll: %w", err)
	}
	return nil
}

// restore gives back what an earlier run left set, and says so; "" when there was
// nothing. The caller holds the lease.
func restore(dir, uuid string, dev tuner, log *slog.Logger) (string, error) {
	rec, found := readRecord(dir, uuid)
	if !found {
		return "", nil
	}
	// Whoever is left of that run must not change it once it is ours.
	rec.Watcher.kill(2 * time.Second)
	rec.Guard.kill(2 * time.Second)
	if rec.Boot != bootID() {
		log.Info("record of an earlier boot dropped", "gpu", uuid)
		return "", dropRecord(dir, uuid)
	}
	done, err := rec.giveAllBack(dev)
	if err != nil {
		return "", fmt.Errorf("give back %s: %w", rec, err)
	}
	text := fmt.Sprintf("GPU %s had %s, which was never given back: %s", uuid, rec, strings.Join(done, "; "))
	log.Warn(text)
	return text, dropRecord(dir, uuid)
}
