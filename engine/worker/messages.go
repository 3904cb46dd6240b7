package worker

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/gob"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"jouletop/engine"
	"jouletop/engine/event"
)

// callID numbers the calls of one child, from 1.
type callID uint32

func (id callID) append(b []byte) []byte { return binary.LittleEndian.AppendUint32(b, uint32(id)) }

func cutCall(b []byte) (callID, []byte, error) {
	if len(b) < 4 {
		return 0, nil, fmt.Errorf("%w: a body of %d bytes names no call", errGarbage, len(b))
	}
	return callID(binary.LittleEndian.Uint32(b)), b[4:], nil
}

// hello is the child's first word once its backend is there.
type hello struct {
	Name  string // of the backend
	About []byte // JSON
	Err   wireError
}

// reply ends a call.
type reply struct {
	Info    engine.ModelInfo // of Load
	Tokens  int              // of CountTokens
	Served  served           // of engine.Server's methods
	Results []engine.Result  // of Run, without their errors
	Errs    []wireError      // of the results; empty if none has one
	Err     wireError
}

// pack takes the results' errors out, which are interfaces.
func (r *reply) pack(results []engine.Result) {
	r.Results = slices.Clone(results)
	for i := range r.Results {
		if err := r.Results[i].Err; err != nil {
			if r.Errs == nil {
				r.Errs = make([]wireError, len(results))
			}
			r.Errs[i] = packError(err)
			r.Results[i].Err = nil
		}
	}
}

// unpack puts them back.
func (r *reply) unpack() ([]engine.Result, error) {
	if len(r.Errs) != 0 && len(r.Errs) != len(r.Results) {
		return nil, fmt.Errorf("%w: %d errors for %d results", errGarbage, len(r.Errs), len(r.Results))
	}
	for i, e := range r.Errs {
		r.Results[i].Err = e.unpack()
	}
	return r.Results, nil
}

// sentinels are the errors that a caller decides by; their order is part of the
// protocol.
var sentinels = []error{
	engine.ErrModel, engine.ErrTooLong, engine.ErrBackendDied,
	context.Canceled, context.DeadlineExceeded, fs.ErrNotExist, fs.ErrPermission,
}

// wireError is an error as it travels: its text and which sentinels it wraps.
// The zero value is no error.
type wireError struct {
	Text string
	Is   []int // indices into sentinels
}

func packError(err error) wireError {
	if err == nil {
		return wireError{}
	}
	w := wireError{Text: err.Error()}
	if w.Text == "" {
		w.Text = "unnamed error"
	}
	for i, s := range sentinels {
		if errors.Is(err, s) {
			w.Is = append(w.Is, i)
		}
	}
	return w
}

func (w wireError) unpack() error {
	if w.Text == "" {
		return nil
	}
	return &childError{w}
}

// childError is an error that a child returned.
type childError struct{ w wireError }

func (e *childError) Error() string { return e.w.Text }

func (e *childError) Is(target error) bool {
	return slices.ContainsFunc(e.w.Is, func(i int) bool { return i >= 0 && i < len(sentinels) && sentinels[i] == target })
}

// encode writes v as gob, complete in itself.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	if err := gob.NewEncoder(&b).Encode(v); err != nil {
		return nil, fmt.Errorf("encode %T: %w", v, err)
	}
	if b.Len() > maxBody-4 {
		return nil, fmt.Errorf("%T of %d bytes: the most is %d", v, b.Len(), maxBody-4)
	}
	return b.Bytes(), nil
}

// decode reads what encode wrote.
func decode(b []byte, v any) error {
	if err := gob.NewDecoder(bytes.NewReader(b)).Decode(v); err != nil {
		return fmt.Errorf("%w: %T: %w", errGarbage, v, err)
	}
	return nil
}

// phases in the order of their numbers on the wire.
var phases = []event.Phase{event.Prefill, event.Decode, event.Score, event.Mixed, event.Draft, event.Verify}

type phaseMessage struct {
	phase  event.Phase
	end    bool
	tokens int
	t      int64 // ns
}

func (m phaseMessage) append(b []byte) []byte {
	end := byte(0)
	if m.end {
		end = 1
	}
	b = append(b, byte(slices.Index(phases, m.phase)), end)
	b = binary.LittleEndian.AppendUint64(b, uint64(m.tokens))
	return binary.LittleEndian.AppendUint64(b, uint64(m.t))
}

func decodePhase(b []byte) (phaseMessage, error) {
	if len(b) != 18 || int(b[0]) >= len(phases) || b[1] > 1 {
		return phaseMessage{}, fmt.Errorf("%w: no phase: % x", errGarbage, clip(b))
	}
	return phaseMessage{
		phase: phases[b[0]], end: b[1] == 1,
		tokens: int(binary.LittleEndian.Uint64(b[2:])), t: int64(binary.LittleEndian.Uint64(b[10:])),
	}, nil
}

type tokenMessage struct {
	index int
	t     int64 // ns
	text  string
}

func (m tokenMessage) append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(m.index))
	b = binary.LittleEndian.AppendUint64(b, uint64(m.t))
	return append(b, m.text...)
}

// decodeToken reads a token of a batch of size requests.
func decodeToken(b []byte, size int) (tokenMessage, error) {
	if len(b) < 12 {
		return tokenMessage{}, fmt.Errorf("%w: no token: % x", errGarbage, b)
	}
	index := binary.LittleEndian.Uint32(b)
	if uint64(index) >= uint64(size) {
		return tokenMessage{}, fmt.Errorf("%w: token of request %d of %d", errGarbage, index, size)
	}
	return tokenMessage{int(index), int64(binary.LittleEndian.Uint64(b[4:])), string(b[12:])}, nil
}

func decodeProgress(b []byte) (float64, error) {
	if len(b) != 4 {
		return 0, fmt.Errorf("%w: no progress: % x", errGarbage, clip(b))
	}
	return float64(binary.LittleEndian.Uint32(b)) / (1<<32 - 1), nil
}

func decodeBeat(b []byte) (cpu int64, err error) {
	if len(b) != 8 {
		return 0, fmt.Errorf("%w: no heartbeat: % x", errGarbage, clip(b))
	}
	return int64(binary.LittleEndian.Uint64(b)), nil
}

func clip(b []byte) []byte { return b[:min(len(b), 32)] }
