package clockguard

import (
	"errors"
	"fmt"
	"time"

	"jouletop/gpu"
)

// Errors that a caller decides by; wrapped with what was tried.
var (
	// ErrNotArmed: clock control is not armed.
	ErrNotArmed = errors.New("clock control is not armed")
	// ErrHeld: another program holds the GPU's lease; see HeldError.
	ErrHeld = errors.New("clock control is held by another program")
	// ErrGuardLost: the guard has ended; the clock was given back by it or by
	// its watcher. Arming again starts a new one.
	ErrGuardLost = errors.New("clock guard has ended")
	// ErrNotGivenBack: clock control ended, and the clock may still be locked.
	ErrNotGivenBack = errors.New("the SM clock has not been given back")
	// ErrBusy: the driver has not answered an earlier call yet.
	ErrBusy = errors.New("driver has not answered the last clock call yet")
	// ErrBounds: a supported clock outside the bounds that were allowed.
	ErrBounds = errors.New("outside the allowed bounds")
	// ErrTaken: somebody else has changed the knob since it was set here.
	ErrTaken = errors.New("changed by somebody else")
	// ErrClamped: the driver took another value than it was asked to.
	ErrClamped = errors.New("the driver set another value")
	// ErrRefused: the request was malformed, stale or not allowed.
	ErrRefused = errors.New("request refused")
)

// HeldError says who holds a GPU's lease. It is ErrHeld.
type HeldError struct {
	GPU    string // UUID
	Holder Holder
	Holds  string // what it has set, in words; "" nothing
}

func (e *HeldError) Error() string {
	text := fmt.Sprintf("clock control of %s is held by %s", e.GPU, e.Holder)
	if e.Holds != "" {
		text += ", which has set " + e.Holds
	}
	return text
}

// Is makes errors.Is(err, ErrHeld) true.
func (e *HeldError) Is(target error) bool { return target == ErrHeld }

// Holder is the program that holds a lease.
type Holder struct {
	PID     int       `json:"pid"` // the program, not its guard; 0 unknown
	User    string    `json:"user"`
	Program string    `json:"program"`
	Since   time.Time `json:"since"`
}

func (h Holder) String() string {
	if h.PID == 0 {
		return "an unknown program"
	}
	return fmt.Sprintf("pid %d (%s, user %s) since %s", h.PID, h.Program, h.User, h.Since.Local().Format("15:04:05"))
}

// code is a result as it travels from the guard to its client.
type code uint8

const (
	codeOK code = iota
	codeNoPermission
	codeNotSupported
	codeLost
	codeBadClock
	codeNoGPU
	codeBounds
	codeHeld
	codeRefused
	codeGuardLost
	codeOther
	codeBadValue
	codeTaken
	codeClamped
)

// wire lists the errors that keep their identity between processes.
var wire = []struct {
	code code
	err  error
}{
	{codeNoPermission, gpu.ErrNoPermission},
	{codeNotSupported, gpu.ErrNotSupported},
	{codeLost, gpu.ErrLost},
	{codeBadClock, gpu.ErrBadClock},
	{codeNoGPU, gpu.ErrNoGPU},
	{codeBounds, ErrBounds},
	{codeHeld, ErrHeld},
	{codeRefused, ErrRefused},
	{codeGuardLost, ErrGuardLost},
	{codeBadValue, gpu.ErrBadValue},
	{codeTaken, ErrTaken},
	{codeClamped, ErrClamped},
}

func codeOf(err error) code {
	if err == nil {
		return codeOK
	}
	for _, w := range wire {
		if errors.Is(err, w.err) {
			return w.code
		}
	}
	return codeOther
}

// remoteError is an error told by another process: its text, and the sentinel
// it wraps.
type remoteError struct {
	text string
	is   error
}

func (e *remoteError) Error() string { return e.text }
func (e *remoteError) Unwrap() error { return e.is }

// errOf is the inverse of codeOf.
func errOf(c code, text string) error {
	if c == codeOK {
		return nil
	}
	for _, w := range wire {
		if w.code == c {
			return &remoteError{text, w.err}
		}
	}
	return errors.New(text)
}
