package clockguard

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"jouletop/gpu/host"
)

// The service also reads what only root may: RAPL's counters of processors and memory.
// A client whose first order is opHost gets them, and a guard that takes no lease, opens
// no GPU and does nothing else. An order names in its value the first counter that is wanted;
// the answer's text has a line a counter, as many as fit, and its value is the first that
// did not, 0 where all did.
//
// From such counters, read often, it can be learned what others compute (PLATYPUS,
// CVE-2020-8694), which is why the kernel keeps them for root. Who may set clocks here
// gets them no more often than hostEvery.
const opHost = opNotice + 1

const (
	hostEvery = 20 * time.Millisecond
	hostIdle  = 30 * time.Second // a client that asks for so long for nothing has gone
)

// errHostAsked: the client asks for the host's counters, and for no GPU.
var errHostAsked = errors.New("host counters asked for")

// serveHost answers such a client until it goes, and returns the exit status.
func (g *guard) serveHost(first order) int {
	h := hostCounters{read: func() ([]host.Counter, error) { return host.ReadRAPL(host.Root()) }, now: monotonic}
	g.log.Info("reading host counters")
	g.send(h.answer(first))
	fds := []unix.PollFd{
		{Fd: int32(g.sock), Events: unix.POLLIN | unix.POLLRDHUP},
		{Fd: int32(g.client), Events: unix.POLLIN}, // ignored where -1
	}
	for {
		if err := poll(fds, hostIdle); err != nil {
			return 1
		}
		// Nothing at all for so long, or the client's end.
		if fds[0].Revents != unix.POLLIN || fds[1].Revents != 0 {
			return 0
		}
		r, err := g.receive()
		switch {
		case errors.Is(err, errClientGone):
			return 0
		case err == nil && r.op == opHost:
			g.send(h.answer(r))
		case err == nil:
			g.refuse(r, fmt.Errorf("%w: %s of a reader", ErrRefused, opName(r.op)))
		default:
			g.refuse(r, err)
		}
	}
}

// hostCounters are the counters as read last.
type hostCounters struct {
	read  func() ([]host.Counter, error)
	now   func() int64
	at    int64
	known []host.Counter
	err   error
}

func (h *hostCounters) answer(r order) reply {
	// What follows a first page belongs to it.
	if t := h.now(); h.at == 0 || r.value == 0 && t-h.at >= int64(hostEvery) {
		h.known, h.err = h.read()
		h.at = t
	}
	if h.err != nil {
		return reply{op: opHost, seq: r.seq, code: codeOf(h.err), text: h.err.Error()}
	}
	a := reply{op: opHost, seq: r.seq, called: h.at, returned: h.now()}
	for i := r.value; i < len(h.known); i++ {
		c := h.known[i]
		line := fmt.Sprintf("%s\t%s\t%d\t%d\n", c.Zone, c.Domain, c.Range, c.Energy)
		if len(a.text)+len(line) > maxText {
			a.value = i
			break
		}
		a.text += line
	}
	return a
}

// mostCounters bounds what is believed of a machine.
const mostCounters = 1024

// parseCounters reads the lines of an answer.
func parseCounters(text string) ([]host.Counter, error) {
	var out []host.Counter
	for line := range strings.Lines(text) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(f) != 4 || f[0] == "" || f[1] == "" {
			return nil, fmt.Errorf("clock guard sent %q, no counter", line)
		}
		r, err := strconv.ParseUint(f[2], 10, 63)
		e, err2 := strconv.ParseUint(f[3], 10, 63)
		if err = errors.Join(err, err2); err != nil {
			return nil, fmt.Errorf("clock guard sent %q, no counter", line)
		}
		out = append(out, host.Counter{Zone: f[0], Domain: f[1], Range: r, Energy: e})
	}
	return out, nil
}

// HostCounters reads RAPL's counters through the clock guard's service at path.
func HostCounters(path string) host.Counters {
	return &hostReader{path: path, tried: math.MinInt64}
}

// hostReader keeps one connection.
type hostReader struct {
	path string

	mu    sync.Mutex
	fd    int
	open  bool
	seq   uint32
	tried int64 // when it was connected last, ns
	err   error // why that failed
}

// Name implements host.Counters.
func (h *hostReader) Name() string { return "the clock guard's service" }

// Read implements host.Counters.
func (h *hostReader) Read() ([]host.Counter, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.connect(); err != nil {
		return nil, err
	}
	var all []host.Counter
	for from := 0; ; {
		a, err := h.ask(from)
		if err == nil {
			var some []host.Counter
			if some, err = parseCounters(a.text); err == nil && a.value != 0 && (len(some) == 0 || a.value != len(all)+len(some)) || len(all)+len(some) > mostCounters {
				err = errors.New("clock guard sent counters out of order")
			}
			all = slices.Concat(all, some)
		}
		if err != nil {
			h.shut()
			return nil, err
		}
		if from = a.value; from == 0 {
			return all, nil
		}
	}
}

// connect connects, at most once a second.
func (h *hostReader) connect() error {
	if h.open {
		return nil
	}
	if now := monotonic(); h.tried != math.MinInt64 && now-h.tried < int64(time.Second) {
		return h.err
	}
	h.err = h.dial()
	h.tried = monotonic()
	return h.err
}

func (h *hostReader) dial() error {
	conn, err := dialService(h.path)
	if err != nil {
		return fmt.Errorf("reach the clock guard's service: %w", permission(err))
	}
	defer func() { _ = conn.Close() }() // the descriptor is a duplicate
	f, err := conn.File()
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	if h.fd, err = unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0); err != nil {
		return err
	}
	// The guard is a process that is started first.
	limit := unix.NsecToTimeval(int64(callLimit))
	for _, opt := range []int{unix.SO_RCVTIMEO, unix.SO_SNDTIMEO} {
		if err = unix.SetsockoptTimeval(h.fd, unix.SOL_SOCKET, opt, &limit); err != nil {
			_ = unix.Close(h.fd)
			return err
		}
	}
	h.open = true
	return nil
}

func (h *hostReader) shut() {
	if h.open {
		_ = unix.Close(h.fd)
		h.open = false
	}
}

// ask asks for the counters from a number on.
func (h *hostReader) ask(from int) (reply, error) {
	h.seq++
	if err := unix.Sendto(h.fd, order{op: opHost, seq: h.seq, value: from, sent: monotonic()}.encode(), unix.MSG_NOSIGNAL, nil); err != nil {
		return reply{}, fmt.Errorf("%w: %w", ErrGuardLost, err)
	}
	buf := make([]byte, maxMessage+1)
	for {
		n, _, err := unix.Recvfrom(h.fd, buf, 0)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN:
			return reply{}, fmt.Errorf("%w (host counters, waited %v)", ErrBusy, callLimit)
		case err != nil || n == 0:
			return reply{}, fmt.Errorf("%w: it ended", ErrGuardLost)
		}
		a, err := decodeReply(buf[:n])
		if err != nil {
			return reply{}, err
		}
		if a.op == opHost && a.seq == h.seq {
			return a, a.err()
		}
		if err := a.err(); err != nil { // a notice, or an earlier version's refusal
			return reply{}, err
		}
	}
}
