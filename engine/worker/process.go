package worker

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"jouletop/gpu/clockguard"

	"jouletop/engine"
)

// process is a child from its start until it has been reaped.
type process struct {
	opt  Options
	env  []string // besides opt's
	pid  int
	cmd  *exec.Cmd
	conn net.Conn
	log  tail
	oom  int // kills before it started

	sending sync.Mutex // one frame at a time

	mu    sync.Mutex
	calls map[callID]*call
	next  callID
	cause string // why it was killed; "" while it was not
	hello hello

	greeted chan struct{} // closed at hello
	exited  chan struct{} // closed when reaped; state is set
	state   *os.ProcessState
	logged  chan struct{} // closed when standard error has ended
	done    chan struct{} // closed last; err is set, and no observer is called any more
	err     error

	pace pace // of the goroutine that calls Pass
	// onGPU: all of the model is, so that a GPU is what its work takes long for. On a CPU a
	// long prompt of a large model may take an hour.
	onGPU atomic.Bool

	// What the watchdog looks at.
	frames atomic.Int64 // all
	signs  atomic.Int64 // of progress: all but heartbeats
	cpu    atomic.Int64 // ns
}

// call is one Load, Run or CountTokens under way.
type call struct {
	progress func(float64)
	obs      engine.Observer
	size     int // of the batch
	passes   bool
	reply    chan reply
}

// start starts a child, with env besides what opt says, and returns without waiting for
// its hello.
func start(opt Options, env []string) (*process, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("socket to a worker process: %w", err)
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "worker"), os.NewFile(uintptr(fds[1]), "parent")
	defer theirs.Close()
	conn, err := net.FileConn(ours)
	_ = ours.Close() // FileConn has its own
	if err != nil {
		return nil, fmt.Errorf("socket to a worker process: %w", err)
	}
	logR, logW, err := os.Pipe()
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("pipe to a worker process: %w", err)
	}
	defer logW.Close()
	// The program's own file even if it has been replaced since; native code
	// sees a name, not /proc/self/exe.
	cmd := exec.Command("/proc/self/exe", opt.Args...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = slices.Concat(os.Environ(), opt.Env, env)
	cmd.Stdout, cmd.Stderr = logW, logW
	cmd.ExtraFiles = []*os.File{theirs}
	// A group of its own: Ctrl-C at the terminal is the program's to handle.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}

	p := &process{
		opt: opt, env: env, cmd: cmd, conn: conn, oom: oomKills(), calls: map[callID]*call{},
		greeted: make(chan struct{}), exited: make(chan struct{}), logged: make(chan struct{}), done: make(chan struct{}),
	}
	started := make(chan error)
	go p.own(started)
	if err := <-started; err != nil {
		_, _ = conn.Close(), logR.Close()
		return nil, fmt.Errorf("start a worker process: %w", err)
	}
	go p.readLog(logR)
	go p.watch()
	go p.follow()
	return p, nil
}

// own starts and reaps the process on a thread that lives exactly as long:
// PDEATHSIG is sent when the thread that forked ends, and a new process inherits
// that thread's priority.
func (p *process) own(started chan<- error) {
	runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
	if p.opt.Nice > 0 {
		if now, err := unix.Getpriority(unix.PRIO_PROCESS, 0); err == nil { // 20 less the nice value
			// Lowering one's own priority cannot fail.
			_ = unix.Setpriority(unix.PRIO_PROCESS, 0, min(20-now+p.opt.Nice, 19))
		}
	}
	if err := p.cmd.Start(); err != nil {
		started <- err
		return
	}
	p.pid = p.cmd.Process.Pid
	started <- nil
	_ = p.cmd.Wait() // its error is in ProcessState
	p.state = p.cmd.ProcessState
	close(p.exited)
}

// readLog hands the child's standard error on, line by line.
func (p *process) readLog(r *os.File) {
	defer close(p.logged)
	defer r.Close()
	in := bufio.NewReaderSize(r, 1<<16)
	for {
		line, err := in.ReadSlice('\n')
		if len(line) > 0 {
			if p.opt.Log != nil {
				_, _ = p.opt.Log.Write(line) // a log that fails must not stop a job
			}
			p.log.add(string(line[:len(line)-trailing(line)]))
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return
		}
	}
}

func trailing(line []byte) int {
	if line[len(line)-1] == '\n' {
		return 1
	}
	return 0
}

// follow reads the child's frames to their end, and then sees the process off.
func (p *process) follow() {
	if p.opt.Nice > 0 { // the child gives way to those who tell and set clocks
		clockguard.RaiseThread()
	}
	in := newFrameReader(p.conn)
	err := p.read(in)
	if errors.Is(err, errGarbage) {
		p.kill(err.Error())
	}
	select {
	case <-p.exited:
	case <-time.After(time.Second): // it is not ending by itself
		p.kill("closed its connection")
	}
	_ = p.conn.Close()
	// A process in the middle of a driver call goes only when that returns.
	select {
	case <-p.exited:
		select {
		case <-p.logged: // unless a process of its own holds it open
		case <-time.After(500 * time.Millisecond):
		}
	case <-time.After(5 * time.Second):
	}
	p.err = p.death()
	close(p.done)
}

// read hands out frames until there are no more.
func (p *process) read(in *frameReader) error {
	for {
		k, body, err := in.next()
		if err != nil {
			return err
		}
		if err := p.frame(k, body); err != nil {
			return err
		}
		if k != kindBeat {
			p.signs.Add(1)
		}
		p.frames.Add(1)
	}
}

func (p *process) frame(k kind, body []byte) error {
	switch k {
	case kindHello:
		var h hello
		if err := decode(body, &h); err != nil {
			return err
		}
		select {
		case <-p.greeted:
			return fmt.Errorf("%w: a second hello", errGarbage)
		default:
		}
		p.hello = h
		close(p.greeted)
		return nil
	case kindBeat:
		cpu, err := decodeBeat(body)
		p.cpu.Store(cpu)
		return err
	}
	id, body, err := cutCall(body)
	if err != nil {
		return err
	}
	p.mu.Lock()
	c, last := p.calls[id], p.next
	if k == kindReply || k == kindPassed {
		delete(p.calls, id)
	}
	p.mu.Unlock()
	if c == nil {
		if id == 0 || id > last {
			return fmt.Errorf("%w: kind %d for call %d, which was never made", errGarbage, k, id)
		}
		return nil // late news of a call that is over
	}
	return c.deliver(k, body)
}

func (c *call) deliver(k kind, body []byte) error {
	switch {
	case k == kindReply:
		var r reply
		if err := decode(body, &r); err != nil {
			return err
		}
		if c.passes && r.Err.Text == "" {
			return fmt.Errorf("%w: a pass answered by what is none", errGarbage)
		}
		c.reply <- r
	case k == kindPassed && c.passes:
		passed, err := decodePassed(body)
		if err != nil {
			return err
		}
		c.reply <- reply{Served: served{Passed: passed}}
	case k == kindProgress && c.progress != nil:
		share, err := decodeProgress(body)
		if err != nil {
			return err
		}
		c.progress(share)
	case k == kindPhase && c.obs != nil:
		m, err := decodePhase(body)
		if err != nil {
			return err
		}
		if m.end {
			c.obs.PhaseEnd(m.phase, m.t, m.tokens)
		} else {
			c.obs.PhaseStart(m.phase, m.t, m.tokens)
		}
	case k == kindToken && c.obs != nil:
		m, err := decodeToken(body, c.size)
		if err != nil {
			return err
		}
		engine.TellTokens(c.obs, m.index, m.t, m.text, 1)
	case k != kindProgress:
		return fmt.Errorf("%w: kind %d does not belong to this call", errGarbage, k)
	}
	return nil
}

// send writes a frame to the child; an error means that it is going.
func (p *process) send(k kind, body func([]byte) []byte) {
	p.sending.Lock()
	defer p.sending.Unlock()
	if _, err := p.conn.Write(appendFrame(nil, k, body)); err != nil {
		_ = p.conn.Close() // follow sees the rest to its end
	}
}

// begin registers a call.
func (p *process) begin(c *call) callID {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next++
	p.calls[p.next] = c
	return p.next
}

func (p *process) busy() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.calls) > 0
}

// kill ends the process for a reason; the first one counts.
func (p *process) kill(cause string) {
	p.mu.Lock()
	if p.cause == "" {
		p.cause = cause
	}
	p.mu.Unlock()
	_ = p.cmd.Process.Kill() // fails only when it has ended
	_ = p.conn.Close()
}

// alive tells whether the process may still be asked.
func (p *process) alive() bool {
	select {
	case <-p.done:
		return false
	case <-p.exited:
		return false
	default:
		return true
	}
}

// death words the end.
func (p *process) death() error {
	p.mu.Lock()
	how := p.cause
	p.mu.Unlock()
	lines, fatal := p.log.last()
	select {
	case <-p.exited:
		w, ok := p.state.Sys().(syscall.WaitStatus)
		ended := ok && !(w.Signaled() && w.Signal() == syscall.SIGKILL)
		if how == "" || ended && how == "closed its connection" {
			how = howEnded(w, fatal, oomKills() > p.oom)
		}
	default:
		how += ", and does not end though it was killed: its driver call does not return"
	}
	return &Death{PID: p.pid, How: how, Log: lines}
}

// watch kills a child that shows no life, that neither gets on with a call
// nor uses CPU time, or whose model is on a GPU and that only uses CPU time for several
// times as long: so one waits for a kernel that never ends. It counts its own ticks rather than read a clock: where the
// whole program was stopped for a while, the child's frames are read before it
// is judged.
func (p *process) watch() {
	const parts = 8
	const busyTimes = 6
	tick := p.opt.HungAfter / parts
	stallTicks := int(p.opt.StalledAfter / tick)
	t := time.NewTicker(tick)
	defer t.Stop()
	var frames, signs, cpu int64
	silent, stalled, still := 0, 0, 0
	for {
		select {
		case <-p.done:
			return
		case <-t.C:
		}
		if f := p.frames.Load(); f != frames {
			frames, silent = f, 0
		} else if silent++; silent >= parts {
			if held(p.pid) {
				p.kill(fmt.Sprintf("was stopped by a signal and did not go on for %v", p.opt.HungAfter))
			} else {
				p.kill(fmt.Sprintf("showed no life for %v", p.opt.HungAfter))
			}
			return
		}
		s, c := p.signs.Load(), p.cpu.Load()
		if !p.busy() || s != signs {
			stalled, still = 0, 0
		} else if still++; c-cpu > int64(tick)/50 {
			stalled = 0
		} else {
			stalled++
		}
		switch {
		case stallTicks <= 0:
		case stalled >= stallTicks:
			p.kill(fmt.Sprintf("hung: no progress and no CPU time for %v", p.opt.StalledAfter))
			return
		case p.onGPU.Load() && still >= busyTimes*stallTicks:
			p.kill(fmt.Sprintf("hung: busy, but no progress for %v", busyTimes*p.opt.StalledAfter))
			return
		}
		signs, cpu = s, c
	}
}
