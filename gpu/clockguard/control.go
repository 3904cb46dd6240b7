package clockguard

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"jouletop/gpu"
)

// Bounds narrow the clocks that may be set, in MHz; 0 leaves an end open.
type Bounds struct{ MinMHz, MaxMHz int }

func (b Bounds) check(mhz int) error {
	if b.MinMHz > 0 && mhz < b.MinMHz || b.MaxMHz > 0 && mhz > b.MaxMHz {
		return fmt.Errorf("%w: %d MHz is not within %s", ErrBounds, mhz, b)
	}
	return nil
}

func (b Bounds) String() string {
	switch {
	case b.MinMHz > 0 && b.MaxMHz > 0:
		return fmt.Sprintf("%d to %d MHz", b.MinMHz, b.MaxMHz)
	case b.MinMHz > 0:
		return fmt.Sprintf("%d MHz and up", b.MinMHz)
	case b.MaxMHz > 0:
		return fmt.Sprintf("at most %d MHz", b.MaxMHz)
	}
	return "every supported clock"
}

// within returns the narrower of both.
func (b Bounds) within(o Bounds) Bounds {
	b.MinMHz = max(b.MinMHz, o.MinMHz)
	if b.MaxMHz == 0 || o.MaxMHz > 0 && o.MaxMHz < b.MaxMHz {
		b.MaxMHz = o.MaxMHz
	}
	return b
}

// setter is the part of gpu.Device that changes the clock.
type setter interface {
	SetSMClock(mhz int) error
	ResetSMClock() error
}

// control checks requests and makes the driver's calls: in the guard process
// for a real GPU, in process for a simulated one.
type control struct {
	dev    setter
	info   gpu.Info
	bounds Bounds
	now    func() int64
	log    *slog.Logger
	// keep notes, where it outlives this process, that a clock is about to be
	// locked; drop takes the note back. Either may be nil.
	keep func(mhz int) error
	drop func() error

	// mu is never held during a driver's call: in simulation that call waits
	// through the simulated clock.
	mu   sync.Mutex
	held bool // a clock may be locked by us
}

func (c *control) holding() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.held
}

func (c *control) setHeld(v bool) {
	c.mu.Lock()
	c.held = v
	c.mu.Unlock()
}

// handle carries out a set or a reset, logs it and says how it went.
func (c *control) handle(r order) reply {
	var err error
	out := reply{op: r.op, seq: r.seq, mhz: r.mhz}
	switch r.op {
	case opSet:
		err = c.set(r.mhz, &out)
	case opReset, opBye:
		err = c.reset(&out)
	default:
		err = fmt.Errorf("%w: operation %d", ErrRefused, r.op)
	}
	if out.code = codeOf(err); err != nil {
		out.text, out.cause = err.Error(), err
	}
	c.logReply(r, out)
	return out
}

func (c *control) set(mhz int, out *reply) error {
	if err := c.info.CheckSMClock(mhz); err != nil {
		return err
	}
	if err := c.bounds.check(mhz); err != nil {
		return err
	}
	first := !c.holding()
	if first {
		if c.keep != nil {
			if err := c.keep(mhz); err != nil {
				return fmt.Errorf("clock not locked, since no record of it can be kept: %w", err)
			}
		}
		c.setHeld(true)
	}
	out.called = c.now()
	err := c.dev.SetSMClock(mhz)
	out.returned = c.now()
	if err == nil {
		return nil
	}
	// These mean that the driver did nothing; of another error that isn't sure.
	nothing := errors.Is(err, gpu.ErrNoPermission) || errors.Is(err, gpu.ErrNotSupported) || errors.Is(err, gpu.ErrBadClock)
	if first && nothing {
		c.setHeld(false)
		if c.drop != nil {
			err = errors.Join(err, c.drop())
		}
	}
	return fmt.Errorf("set SM clock to %d MHz: %w", mhz, err)
}

// reset gives the clock back if a clock of ours may be locked.
func (c *control) reset(out *reply) error {
	if !c.holding() {
		return nil
	}
	out.called = c.now()
	err := c.dev.ResetSMClock()
	out.returned = c.now()
	if err != nil {
		return fmt.Errorf("reset SM clock: %w", err)
	}
	c.setHeld(false)
	if c.drop != nil {
		return c.drop()
	}
	return nil
}

func (c *control) logReply(r order, out reply) {
	if c.log == nil {
		return
	}
	attrs := []any{"gpu", c.info.UUID, "seq", r.seq}
	if r.op == opSet {
		attrs = append(attrs, "mhz", r.mhz)
	}
	if out.called != 0 {
		attrs = append(attrs, "sent_ns", r.sent, "called_ns", out.called, "returned_ns", out.returned)
	}
	if out.code != codeOK {
		c.log.Warn(opName(r.op)+" failed", append(attrs, "error", out.text)...)
		return
	}
	c.log.Info(opName(r.op), attrs...)
}

func opName(o op) string {
	switch o {
	case opHello:
		return "hello"
	case opRenew:
		return "renew"
	case opSet:
		return "set"
	case opReset:
		return "reset"
	case opBye:
		return "bye"
	}
	return fmt.Sprintf("operation %d", o)
}
