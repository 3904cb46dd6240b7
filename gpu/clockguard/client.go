package clockguard

import (
	"errors"
	"fmt"
	"math"
	"sync"

	"jouletop/gpu"
	"jouletop/gpu/timebase"
)

// Timing tells when a clock call was made, in ns of the device's time base
// (CLOCK_MONOTONIC for a real GPU, read in the guard). Zero: no call was made.
type Timing struct {
	CallNS   int64 // the moment before the driver's call
	ReturnNS int64 // the moment after
}

// link carries requests to whoever makes the driver's calls.
type link interface {
	// do returns once the driver's call has; reply.err() holds its error.
	do(r order) reply
	// close gives the clock back and ends the link.
	close() error
	// heldUntil is the time up to which what was set is known to be in force.
	heldUntil() int64
}

// Loss tells that the guard ended by itself: the clock was given back, or will
// be, though nobody asked.
type Loss struct {
	HeldNS int64 // the clock was in force until then, ns of CLOCK_MONOTONIC
	Err    error // what became of the guard; ErrGuardLost
}

// Client is the program's handle on the clock of one GPU. It implements
// clocks.Control. All methods may be called from several goroutines; Set
// and Reset wait for the driver (some ms), so call them from a goroutine of
// their own.
type Client struct {
	info   gpu.Info
	dial   func() (link, error) // nil when clocks are never set
	now    func() int64
	notify func(string) // may be nil

	arming sync.Mutex // one Arm at a time
	mu     sync.Mutex // guards link; never held while waiting
	link   link
	lost   error // why the last link ended by itself
	onLoss func(Loss)
	notes  []string
}

// InProcess returns a client for a simulated GPU: the same checks, no process
// of its own, armed from the start. Simulated time is that of clock.
func InProcess(dev gpu.Device, clock timebase.Clock, o Options) (*Client, error) {
	if o.ReadOnly {
		return nil, gpu.ErrReadOnly
	}
	c := &Client{info: dev.Info(), now: clock.Now, notify: o.Notify}
	c.dial = func() (link, error) {
		return &local{control{dev: dev, info: dev.Info(), bounds: o.Bounds, now: clock.Now, log: o.Logger}}, nil
	}
	return c, c.Arm(true)
}

// local is a link to a control in this process.
type local struct{ ctl control }

func (l *local) do(r order) reply { return l.ctl.handle(r) }

func (l *local) heldUntil() int64 { return math.MaxInt64 }

func (l *local) close() error { return l.ctl.handle(order{op: opBye}).err() }

// Arm switches clock control on (starting the guard; this takes up to a second
// on a real GPU) or off (giving the clock back). Errors wrap ErrHeld,
// gpu.ErrNoPermission and the like.
func (c *Client) Arm(on bool) error {
	c.arming.Lock()
	defer c.arming.Unlock()
	if !on {
		return c.disarm()
	}
	if c.Armed() {
		return nil
	}
	_ = c.disarm() // what is left of a lost guard
	l, err := c.dial()
	if err != nil {
		return fmt.Errorf("arm clock control of GPU %d: %w", c.info.Index, err)
	}
	c.mu.Lock()
	c.link, c.lost = l, nil
	c.mu.Unlock()
	return nil
}

func (c *Client) disarm() error {
	c.mu.Lock()
	l := c.link
	c.link = nil
	c.mu.Unlock()
	if l == nil {
		return nil
	}
	return l.close()
}

// Armed tells whether Set may work: control is armed and the guard alive.
func (c *Client) Armed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.link != nil && c.lost == nil
}

// Set locks the SM clock to mhz and returns once the driver's call has. Errors
// wrap ErrNotArmed, gpu.ErrBadClock, ErrBounds, gpu.ErrNoPermission,
// gpu.ErrNotSupported, gpu.ErrLost, ErrGuardLost or ErrBusy.
func (c *Client) Set(mhz int) error {
	_, err := c.SetTimed(mhz)
	return err
}

// SetTimed is Set that also tells when the driver was called, also when the
// call failed.
func (c *Client) SetTimed(mhz int) (Timing, error) {
	t, _, err := c.do(opSet, gpu.KnobSM, mhz)
	return t, err
}

// SetKnob sets a knob to v, in the driver's unit (see gpu.KnobID), as SetTimed does the
// SM clock. got is what is in force then where that can be read, else v. Errors may
// also wrap gpu.ErrBadValue, ErrTaken or ErrClamped.
func (c *Client) SetKnob(k gpu.KnobID, v int) (t Timing, got int, err error) {
	return c.do(opSet, k, v)
}

// ResetKnob gives a knob back: a clock to the driver, another to what it was before
// this client set it, if it has, and nobody else has set it since.
func (c *Client) ResetKnob(k gpu.KnobID) (Timing, error) {
	t, _, err := c.do(opReset, k, 0)
	if errors.Is(err, ErrNotArmed) { // nothing can be set
		return Timing{}, nil
	}
	return t, err
}

// Reset gives the clock back to the driver, if this client has locked it.
func (c *Client) Reset() error {
	_, err := c.ResetTimed()
	return err
}

// ResetTimed is Reset that also tells when the driver was called.
func (c *Client) ResetTimed() (Timing, error) { return c.ResetKnob(gpu.KnobSM) }

func (c *Client) do(o op, k gpu.KnobID, v int) (t Timing, got int, err error) {
	c.mu.Lock()
	l, lost := c.link, c.lost
	c.mu.Unlock()
	if lost != nil {
		return Timing{}, -1, lost
	}
	if l == nil {
		return Timing{}, -1, ErrNotArmed
	}
	r := l.do(order{op: o, knob: k, value: v, sent: c.now()})
	err = r.err()
	if errors.Is(err, ErrGuardLost) {
		c.guardLost(l, err)
	}
	if err == nil && r.text != "" && c.notify != nil {
		c.notify(r.text)
	}
	return Timing{CallNS: r.called, ReturnNS: r.returned}, r.value, err
}

// guardLost notes that the guard of a link has ended by itself.
func (c *Client) guardLost(l link, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.link == l {
		c.lost = err
	}
}

// linkLost is guardLost by the link itself, which tells once.
func (c *Client) linkLost(l link, loss Loss) {
	c.guardLost(l, loss.Err)
	c.mu.Lock()
	f := c.onLoss
	c.mu.Unlock()
	if f != nil {
		f(loss)
	}
}

// OnLoss has f told when the guard ends by itself, from a goroutine of the
// client's and before any call says so. f must not call the client. There is one
// listener, the last.
func (c *Client) OnLoss(f func(Loss)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.onLoss = f
}

// HeldUntil returns the time, in ns of the device's time base, up to which the
// clock set last is known to have been in force: the guard says so ten times a
// second. math.MaxInt64 where nothing can take it away, or where there is no
// guard, whose end was told.
func (c *Client) HeldUntil() int64 {
	c.mu.Lock()
	l, lost := c.link, c.lost
	c.mu.Unlock()
	if l == nil || lost != nil {
		return math.MaxInt64
	}
	return l.heldUntil()
}

// Close gives the clock back and ends the guard. The client may be armed again.
// An error wraps ErrNotGivenBack and names the remedy.
func (c *Client) Close() error { return c.Arm(false) }

// Notes returns what the operator should know of how the client was opened: a
// clock that an earlier run left locked and that was given back.
func (c *Client) Notes() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.notes...)
}
