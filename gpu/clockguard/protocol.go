package clockguard

import (
	"encoding/binary"
	"fmt"

	"jouletop/gpu"
)

// The protocol between client and guard: one datagram a message on a
// SOCK_SEQPACKET socket, so that there is no framing to get wrong. Numbers are
// little-endian; times are ns of CLOCK_MONOTONIC.
//
//	order:   magic u32, version u8, op u8, knob u8, zero u8, seq u32, value u32,
//	         sent i64, text (hello: a JSON greeting; otherwise none)
//	reply:   magic u32, version u8, op u8, code u8, knob u8, seq u32, value u32,
//	         called i64, returned i64, text (UTF-8)
//
// A value is in the driver's unit of its knob. A guard of an earlier version knows the
// SM clock alone, knob 0, and refuses others.
const (
	magic      = 0x4754434a // "JTCG"
	version    = 1
	orderLen   = 24
	replyLen   = 32
	maxText    = 1024
	maxMessage = replyLen + maxText
)

type op uint8

const (
	opHello  op = iota + 1 // asks for a GPU's lease
	opRenew                // renews it; the answer says that the guard lives and holds
	opSet                  // sets a knob
	opReset                // gives it back
	opBye                  // gives all back, answers and ends
	opNotice               // guard to client: something the operator should know
)

type order struct {
	op    op
	knob  gpu.KnobID
	seq   uint32
	value int
	sent  int64 // when it was sent
	text  []byte
}

func (r order) encode() []byte {
	b := make([]byte, orderLen, orderLen+len(r.text))
	binary.LittleEndian.PutUint32(b, magic)
	b[4], b[5], b[6] = version, byte(r.op), byte(r.knob)
	binary.LittleEndian.PutUint32(b[8:], r.seq)
	binary.LittleEndian.PutUint32(b[12:], uint32(r.value))
	binary.LittleEndian.PutUint64(b[16:], uint64(r.sent))
	return append(b, r.text...)
}

// decodeOrder reads one datagram from a client that is not trusted; errors
// wrap ErrRefused.
func decodeOrder(b []byte) (order, error) {
	if len(b) < orderLen || len(b) > orderLen+maxText {
		return order{}, fmt.Errorf("%w: message of %d bytes, want %d to %d", ErrRefused, len(b), orderLen, orderLen+maxText)
	}
	if m := binary.LittleEndian.Uint32(b); m != magic {
		return order{}, fmt.Errorf("%w: not a clock request (starts with %#08x)", ErrRefused, m)
	}
	if b[4] != version {
		return order{}, fmt.Errorf("%w: protocol version %d, this guard speaks %d", ErrRefused, b[4], version)
	}
	r := order{
		op:   op(b[5]),
		seq:  binary.LittleEndian.Uint32(b[8:]),
		sent: int64(binary.LittleEndian.Uint64(b[16:])),
		text: b[orderLen:],
	}
	r.knob = gpu.KnobID(b[6])
	value := binary.LittleEndian.Uint32(b[12:])
	switch {
	case (r.op < opHello || r.op > opBye) && r.op != opHost:
		return order{}, fmt.Errorf("%w: unknown operation %d", ErrRefused, r.op)
	case b[7] != 0:
		return order{}, fmt.Errorf("%w: reserved bytes are not zero", ErrRefused)
	case !r.knob.Known():
		return order{}, fmt.Errorf("%w: unknown knob %d", ErrRefused, b[6])
	case len(r.text) > 0 && r.op != opHello:
		return order{}, fmt.Errorf("%w: %d bytes too many", ErrRefused, len(r.text))
	case value > mostValue[r.knob]:
		return order{}, fmt.Errorf("%w: %s", ErrRefused, r.knob.Text(int(value)))
	}
	r.value = int(value)
	return r, nil
}

// mostValue is more than any GPU takes: none runs at a THz or draws a MW. It keeps the
// conversion to int plain.
var mostValue = map[gpu.KnobID]uint32{gpu.KnobSM: 1 << 20, gpu.KnobMem: 1 << 20, gpu.KnobPower: 1e9, gpu.KnobProfile: 1<<gpu.MostProfiles - 1}

type reply struct {
	op       op
	code     code
	knob     gpu.KnobID
	seq      uint32
	value    int   // that is in force, as far as it can be read
	called   int64 // just before the driver's call; 0: none was made
	returned int64 // just after
	text     string
	cause    error // the error itself where it never left this process
}

func (r reply) err() error {
	if r.cause != nil {
		return r.cause
	}
	return errOf(r.code, r.text)
}

func (r reply) encode() []byte {
	text := r.text[:min(len(r.text), maxText)]
	b := make([]byte, replyLen, replyLen+len(text))
	binary.LittleEndian.PutUint32(b, magic)
	b[4], b[5], b[6], b[7] = version, byte(r.op), byte(r.code), byte(r.knob)
	binary.LittleEndian.PutUint32(b[8:], r.seq)
	binary.LittleEndian.PutUint32(b[12:], uint32(r.value))
	binary.LittleEndian.PutUint64(b[16:], uint64(r.called))
	binary.LittleEndian.PutUint64(b[24:], uint64(r.returned))
	return append(b, text...)
}

// decodeReply reads one datagram from a guard.
func decodeReply(b []byte) (reply, error) {
	if len(b) < replyLen || len(b) > maxMessage {
		return reply{}, fmt.Errorf("clock guard sent a message of %d bytes", len(b))
	}
	if m := binary.LittleEndian.Uint32(b); m != magic || b[4] != version {
		return reply{}, fmt.Errorf("clock guard speaks another protocol (%#08x, version %d)", m, b[4])
	}
	return reply{
		op:       op(b[5]),
		code:     code(b[6]),
		knob:     gpu.KnobID(b[7]),
		seq:      binary.LittleEndian.Uint32(b[8:]),
		value:    int(binary.LittleEndian.Uint32(b[12:])),
		called:   int64(binary.LittleEndian.Uint64(b[16:])),
		returned: int64(binary.LittleEndian.Uint64(b[24:])),
		text:     string(b[replyLen:]),
	}, nil
}

// greeting is the text of a hello.
type greeting struct {
	UUID    string `json:"uuid"`
	Index   int    `json:"index"`
	MinMHz  int    `json:"min_mhz"` // bounds that the client sets itself, for guards of earlier versions; 0: none
	MaxMHz  int    `json:"max_mhz"`
	Bounds  Bounds `json:"bounds"`
	Program string `json:"program"`
}
