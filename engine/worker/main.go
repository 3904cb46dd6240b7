package worker

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"jouletop/engine"
	"jouletop/engine/event"
	"jouletop/engine/nulljson"
)

// sockFD is the descriptor on which a child finds its parent.
const sockFD = 3

// beat is the time between heartbeats.
const beat = 200 * time.Millisecond

// Main is the child: it makes the backend with open and serves the parent until
// that closes it or ends. about, which may be nil, is anything that encodes as
// JSON; the parent reads it with Backend.About. Call it from the hidden
// subcommand, and return its error from there. A done ctx ends it.
func Main(ctx context.Context, open func() (b engine.Backend, about any, err error)) error {
	if kind, err := unix.GetsockoptInt(sockFD, unix.SOL_SOCKET, unix.SO_TYPE); err != nil || kind != unix.SOCK_STREAM {
		return errors.New("this subcommand is for jouletop itself, which runs inference in it")
	}
	unix.CloseOnExec(sockFD)
	introduce()
	s := &server{out: newSender(sockFD, exit), calls: map[callID]context.CancelFunc{}, work: make(chan func(), 16), ready: make(chan struct{})}
	s.in = newFrameReader(os.NewFile(sockFD, "parent"))
	closing := make(chan error, 1)
	go s.beats()
	go func() { closing <- s.receive() }()

	b, about, err := open()
	h := hello{Err: packError(err)}
	if err == nil {
		h.Name = b.Name()
		if about != nil {
			if h.About, err = nulljson.Marshal(about); err != nil {
				h.Err = packError(fmt.Errorf("describe the backend: %w", err))
			}
		}
	}
	body, encErr := encode(h)
	if err = errors.Join(err, encErr); err != nil && encErr != nil {
		return err
	}
	s.out.add(kindHello, true, func(d []byte) []byte { return append(d, body...) })
	if err != nil {
		s.out.finish(time.Second)
		return err
	}
	s.backend = b
	close(s.ready)
	go func() {
		// Libraries keep things by thread: OpenMP its team, CUDA its context.
		runtime.LockOSThread()
		for f := range s.work {
			f()
		}
	}()
	select {
	case err = <-closing:
	case <-ctx.Done():
		err = ctx.Err()
	}
	err = errors.Join(err, b.Close())
	s.out.finish(time.Second)
	return err
}

// introduce tells the kernel who this is, and whom to end first where memory
// runs out: a job can be run again, the program's session cannot.
func introduce() {
	// Both are best effort: a name to read in lists, a hint to the kernel.
	_ = os.WriteFile("/proc/self/comm", []byte("jouletop-worker"), 0)
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("600"), 0)
}

// server is the child's side of the connection.
type server struct {
	in      *frameReader
	out     *sender
	ready   chan struct{} // closed once backend is there
	backend engine.Backend
	work    chan func() // Load and Run, one after another

	mu    sync.Mutex
	calls map[callID]context.CancelFunc
}

// beats shows that this process runs, from a thread of its own, so that neither
// native code nor a busy scheduler holds it up; and what CPU time it has used,
// so that a backend that waits for ever is told from one that works.
func (s *server) beats() {
	runtime.LockOSThread()
	for ; ; time.Sleep(beat) {
		var u unix.Rusage
		cpu := int64(0)
		if unix.Getrusage(unix.RUSAGE_SELF, &u) == nil {
			cpu = u.Utime.Nano() + u.Stime.Nano()
		}
		s.out.add(kindBeat, true, func(b []byte) []byte { return binary.LittleEndian.AppendUint64(b, uint64(cpu)) })
	}
}

// receive takes the parent's frames until it closes the backend (nil). A parent
// that has gone, or talks nonsense, ends the process on the spot.
func (s *server) receive() error {
	for {
		k, body, err := s.in.next()
		if err != nil {
			exit()
		}
		if k == kindClose {
			s.cancelAll()
			return nil
		}
		id, body, err := cutCall(body)
		if err == nil {
			err = s.call(k, id, body)
		}
		if err != nil {
			return fmt.Errorf("from the parent: %w", err)
		}
	}
}

func (s *server) call(k kind, id callID, body []byte) error {
	<-s.ready
	switch k {
	case kindCancel:
		s.mu.Lock()
		defer s.mu.Unlock()
		if cancel := s.calls[id]; cancel != nil {
			cancel()
		}
	case kindLoad:
		var spec engine.ModelSpec
		if err := decode(body, &spec); err != nil {
			return err
		}
		ctx := s.begin(id)
		s.work <- func() { s.reply(id, s.load(ctx, id, spec)) }
	case kindRun:
		var batch engine.Batch
		if err := decode(body, &batch); err != nil {
			return err
		}
		ctx := s.begin(id)
		s.work <- func() { s.reply(id, s.run(ctx, id, batch)) }
	case kindServe:
		var c serve
		if err := decode(body, &c); err != nil {
			return err
		}
		s.begin(id)
		s.work <- func() { s.reply(id, s.serve(c)) }
	case kindPass:
		pass, err := decodePass(body)
		if err != nil {
			return err
		}
		ctx := s.begin(id)
		s.work <- func() { s.pass(ctx, id, pass) }
	case kindCount:
		text := string(body)
		s.begin(id)
		go func() {
			n, err := s.backend.CountTokens(text)
			s.reply(id, reply{Tokens: n, Err: packError(err)})
		}()
	default:
		return fmt.Errorf("%w: kind %d is none of the parent's", errGarbage, k)
	}
	return nil
}

func (s *server) begin(id callID) context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[id] = cancel
	return ctx
}

func (s *server) cancelAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, cancel := range s.calls {
		cancel()
	}
}

func (s *server) load(ctx context.Context, id callID, spec engine.ModelSpec) reply {
	shown := -1
	info, err := s.backend.Load(ctx, spec, func(p float64) {
		// A model has hundreds of tensors; nobody sees more than whole percents.
		if pct := int(100 * p); pct > shown && p >= 0 && p <= 1 {
			shown = pct
			s.out.add(kindProgress, false, func(b []byte) []byte {
				return binary.LittleEndian.AppendUint32(id.append(b), uint32(p*math.MaxUint32))
			})
		}
	})
	return reply{Info: info, Err: packError(err)}
}

func (s *server) run(ctx context.Context, id callID, batch engine.Batch) reply {
	results, err := s.backend.Run(ctx, batch, &forward{s.out, id})
	r := reply{Err: packError(err)}
	r.pack(results)
	return r
}

// over forgets a call that is answered.
func (s *server) over(id callID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if cancel := s.calls[id]; cancel != nil {
		cancel()
		delete(s.calls, id)
	}
}

func (s *server) reply(id callID, r reply) {
	s.over(id)
	body, err := encode(r)
	if err != nil {
		body, _ = encode(reply{Err: packError(err)}) // a text, which always encodes
	}
	s.out.add(kindReply, true, func(b []byte) []byte { return append(id.append(b), body...) })
}

// forward is the Observer that a backend in a child reports to.
type forward struct {
	out *sender
	id  callID
}

func (f *forward) PhaseStart(p event.Phase, t int64, tokens int) {
	f.phase(phaseMessage{p, false, tokens, t})
}

func (f *forward) PhaseEnd(p event.Phase, t int64, tokens int) {
	f.phase(phaseMessage{p, true, tokens, t})
}

// phase sends a boundary at once: whoever sets clocks by it waits for nothing.
func (f *forward) phase(m phaseMessage) {
	f.out.add(kindPhase, true, func(b []byte) []byte { return m.append(f.id.append(b)) })
}

func (f *forward) Token(index int, t int64, text string) {
	m := tokenMessage{index, t, text}
	f.out.add(kindToken, false, func(b []byte) []byte { return m.append(f.id.append(b)) })
}
