package clockguard

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"jouletop/gpu"
)

// control checks requests and makes the driver's calls: in the guard process
// for a real GPU, in process for a simulated one.
type control struct {
	dev    tuner
	info   gpu.Info
	bounds Bounds
	now    func() int64
	log    *slog.Logger
	// keep notes, where it outlives this process, which knobs are or are about to be
	// set; with none it takes the note back. It may be nil.
	keep func(held []heldKnob) error

	// mu is never held during a driver's call: in simulation that call waits
	// through the simulated clock.
	mu    sync.Mutex
	held  []heldKnob // that may be set by us
	knobs []gpu.Knob // as found when one beside the SM clock was asked for
}

func (c *control) holding() []heldKnob {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.held)
}

// of returns what is held of a knob.
func (c *control) of(k gpu.KnobID) (h heldKnob, held bool) {
	for _, h := range c.holding() {
		if h.Knob == k {
			return h, true
		}
	}
	return heldKnob{Knob: k}, false
}

// hold notes what is held of a knob, and let that nothing is any more; first where it
// outlives this process.
func (c *control) hold(h heldKnob) error  { return c.update(h.Knob, &h) }
func (c *control) let(k gpu.KnobID) error { return c.update(k, nil) }

func (c *control) update(k gpu.KnobID, h *heldKnob) error {
	all := slices.DeleteFunc(c.holding(), func(x heldKnob) bool { return x.Knob == k })
	if h != nil {
		all = append(all, *h)
		slices.SortFunc(all, func(a, b heldKnob) int { return cmp.Compare(a.Knob, b.Knob) })
	}
	if c.keep != nil {
		if err := c.keep(all); err != nil {
			return err
		}
	}
	c.mu.Lock()
	c.held = all
	c.mu.Unlock()
	return nil
}

// handle carries out a set or a reset, logs it and says how it went.
func (c *control) handle(r order) reply {
	var err error
	out := reply{op: r.op, knob: r.knob, seq: r.seq, value: r.value}
	switch r.op {
	case opSet:
		err = c.set(r.knob, r.value, &out)
	case opReset:
		err = c.reset(r.knob, &out)
	case opBye:
		var errs []error
		for _, h := range c.holding() {
			errs = append(errs, c.reset(h.Knob, &out))
		}
		err = errors.Join(errs...)
	default:
		err = fmt.Errorf("%w: operation %d", ErrRefused, r.op)
	}
	if out.code = codeOf(err); err != nil {
		out.text, out.cause = err.Error(), err
	}
	c.logReply(r, out)
	return out
}

// check tells whether a value may be set.
func (c *control) check(k gpu.KnobID, v int) error {
	err := c.info.CheckSMClock(v)
	if k != gpu.KnobSM {
		err = c.knob(k).Check(v)
	}
	if err != nil {
		return err
	}
	return c.bounds.check(k, v)
}

// knob describes a knob beside the SM clock; looking for them takes a moment, once.
func (c *control) knob(k gpu.KnobID) gpu.Knob {
	c.mu.Lock()
	knobs := c.knobs
	c.mu.Unlock()
	if t, ok := c.dev.(gpu.Tuner); ok && knobs == nil {
		knobs = t.Knobs()
		c.mu.Lock()
		c.knobs = knobs
		c.mu.Unlock()
	}
	for _, have := range knobs {
		if have.ID == k {
			return have
		}
	}
	return gpu.NewKnob(k, "this GPU does not have it")
}

func (c *control) set(k gpu.KnobID, v int, out *reply) error {
	if err := c.check(k, v); err != nil {
		return err
	}
	h, held := c.of(k)
	if !held {
		h.First = v
	}
	if !k.Resets() {
		now, err := others(c.dev).State(k)
		switch {
		case err != nil:
			return fmt.Errorf("%s not set, since what to give back cannot be read: %w", k.Title(), err)
		case !held:
			h.Before = now
		case !h.ours(now) && !h.between(now):
			return fmt.Errorf("%w: the %s is %s now, and was %s by jouletop: it is left at that; disarm and arm again to go on from there",
				ErrTaken, k.Title(), k.Text(now), k.Text(h.Ours[len(h.Ours)-1]))
		}
		h.Ours, h.Changing = []int{now, v}, true
	}
	if !held || !k.Resets() {
		if err := c.hold(h); err != nil {
			return fmt.Errorf("%s not set, since no record of it can be kept: %w", strings.TrimPrefix(k.Title(), "SM "), err)
		}
	}
	out.called = c.now()
	err := set(c.dev, k, v)
	out.returned = c.now()
	if err == nil {
		return c.verify(h, v, out)
	}
	if c.unchanged(h, err) {
		err = errors.Join(err, c.refused(h, held))
	}
	return fmt.Errorf("set %s to %s: %w", k.Title(), k.Text(v), err)
}

// unchanged tells whether a call that returned err did nothing. Of some errors that isn't
// sure, nor of profiles, which take two calls.
func (c *control) unchanged(h heldKnob, err error) bool {
	if !errors.Is(err, gpu.ErrNoPermission) && !errors.Is(err, gpu.ErrNotSupported) && !errors.Is(err, gpu.ErrBadClock) && !errors.Is(err, gpu.ErrBadValue) {
		return false
	}
	if h.Knob.Resets() {
		return true
	}
	now, err := others(c.dev).State(h.Knob)
	return err == nil && now == h.Ours[0]
}

// refused takes back the note of a change that was not made.
func (c *control) refused(h heldKnob, held bool) error {
	switch {
	case !held:
		return c.let(h.Knob)
	case h.Knob.Resets():
		return nil
	}
	h.Ours, h.Changing = h.Ours[:1], false
	return c.hold(h)
}

// verify reads back what the driver made of a knob whose state can be read.
func (c *control) verify(h heldKnob, v int, out *reply) error {
	if h.Knob.Resets() {
		return nil
	}
	got, err := others(c.dev).State(h.Knob)
	if err != nil {
		return fmt.Errorf("%s was set to %s, and cannot be read back: %w", h.Knob.Title(), h.Knob.Text(v), err)
	}
	was := h
	out.value, h.Ours, h.Changing = got, []int{got}, false
	if err := c.hold(h); err != nil {
		// By the record that there is, another value would be taken for somebody else's.
		_, _, back := was.giveBack(c.dev)
		return errors.Join(fmt.Errorf("%s given back, since no record of it can be kept: %w", h.Knob.Title(), err), back)
	}
	if got != v {
		return fmt.Errorf("%w: %s to %s: it is %s", ErrClamped, h.Knob.Title(), h.Knob.Text(v), h.Knob.Text(got))
	}
	return nil
}

// reset gives a knob back if it may be set by us.
func (c *control) reset(k gpu.KnobID, out *reply) error {
	h, held := c.of(k)
	if !held {
		return nil
	}
	called := c.now()
	note, changed, err := h.giveBack(c.dev)
	if changed {
		if out.returned = c.now(); out.called == 0 {
			out.called = called
		}
	}
	if err != nil {
		return err
	}
	if note != "" {
		out.text = strings.TrimPrefix(out.text+"; "+note, "; ")
	}
	return c.let(k)
}

func (c *control) logReply(r order, out reply) {
	if c.log == nil {
		return
	}
	attrs := []any{"gpu", c.info.UUID, "seq", r.seq}
	switch {
	case r.op == opSet && r.knob == gpu.KnobSM:
		attrs = append(attrs, "mhz", r.value)
	case r.op == opSet:
		attrs = append(attrs, "knob", r.knob.String(), "value", r.knob.Text(r.value))
	case r.op == opReset && r.knob != gpu.KnobSM:
		attrs = append(attrs, "knob", r.knob.String())
	}
	if out.called != 0 {
		attrs = append(attrs, "sent_ns", r.sent, "called_ns", out.called, "returned_ns", out.returned)
	}
	if out.code != codeOK {
		c.log.Warn(opName(r.op)+" failed", append(attrs, "error", out.text)...)
		return
	}
	if out.text != "" {
		attrs = append(attrs, "note", out.text)
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
	case opHost:
		return "host counters"
	}
	return fmt.Sprintf("operation %d", o)
}
