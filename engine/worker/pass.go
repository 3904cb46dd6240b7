package worker

import (
	"encoding/binary"
	"fmt"

	"jouletop/engine"
	"jouletop/engine/serving"
)

// Passes come and go hundreds of times a second, and the GPU waits meanwhile: they are
// packed by hand. As gob, each complete in itself, a pass of 32 took 0.29 ms there and back
// on two cores of a server, so it takes 0.12 (BenchmarkPass).

// Bits of a member, and of a token.
const (
	memberPrefill = 1 << iota
	memberSamples
	tokenEnded = 1
)

// leastMember and leastToken are how many bytes one takes at least.
const leastMember, leastToken = 5, 3

func appendPass(b []byte, p serving.Pass) []byte {
	b = binary.AppendUvarint(b, uint64(len(p.Members)))
	for _, m := range p.Members {
		bits := byte(0)
		if m.Prefill {
			bits |= memberPrefill
		}
		if m.Samples {
			bits |= memberSamples
		}
		b = append(b, bits)
		for _, n := range []int{m.ID, m.Slot, m.Known, m.Fresh} {
			b = binary.AppendVarint(b, int64(n))
		}
	}
	return b
}

func decodePass(b []byte) (serving.Pass, error) {
	c := cutter{b: b}
	var p serving.Pass
	n := c.count(leastMember)
	if n > 0 {
		p.Members = make([]serving.Member, n)
	}
	for i := range p.Members {
		m := &p.Members[i]
		bits := c.byte()
		m.Prefill, m.Samples = bits&memberPrefill != 0, bits&memberSamples != 0
		m.ID, m.Slot, m.Known, m.Fresh = c.int(), c.int(), c.int(), c.int()
	}
	return p, c.end("pass")
}

func appendPassed(b []byte, p engine.Passed) []byte {
	b = binary.LittleEndian.AppendUint64(b, uint64(p.StartNS))
	b = binary.LittleEndian.AppendUint64(b, uint64(p.EndNS))
	b = binary.AppendUvarint(b, uint64(len(p.Tokens)))
	for _, t := range p.Tokens {
		bits := byte(0)
		if t.Ended {
			bits = tokenEnded
		}
		b = binary.AppendVarint(append(b, bits), int64(t.ID))
		b = append(binary.AppendUvarint(b, uint64(len(t.Text))), t.Text...)
	}
	return b
}

func decodePassed(b []byte) (engine.Passed, error) {
	c := cutter{b: b}
	var p engine.Passed
	p.StartNS, p.EndNS = c.int64(), c.int64()
	n := c.count(leastToken)
	if n > 0 {
		p.Tokens = make([]engine.Sampled, n)
	}
	for i := range p.Tokens {
		t := &p.Tokens[i]
		t.Ended = c.byte()&tokenEnded != 0
		t.ID = c.int()
		t.Text = string(c.cut(c.count(1)))
	}
	return p, c.end("passed")
}

// cutter cuts a body into its parts; what is too short, or no number, makes it bad, and
// all that follows zero.
type cutter struct {
	b   []byte
	bad bool
}

// cut cuts n bytes off.
func (c *cutter) cut(n int) []byte {
	if c.bad = c.bad || n > len(c.b); c.bad {
		return nil
	}
	head := c.b[:n]
	c.b = c.b[n:]
	return head
}

func (c *cutter) byte() byte {
	if b := c.cut(1); len(b) == 1 {
		return b[0]
	}
	return 0
}

func (c *cutter) int64() int64 {
	if b := c.cut(8); len(b) == 8 {
		return int64(binary.LittleEndian.Uint64(b))
	}
	return 0
}

func (c *cutter) int() int {
	v, n := binary.Varint(c.b)
	if c.bad = c.bad || n <= 0; c.bad {
		return 0
	}
	c.b = c.b[n:]
	return int(v)
}

// count cuts off how many parts follow, of at least so many bytes each: there must be as many.
func (c *cutter) count(least int) int {
	v, n := binary.Uvarint(c.b)
	if c.bad = c.bad || n <= 0 || v > uint64((len(c.b)-n)/least); c.bad {
		return 0
	}
	c.b = c.b[n:]
	return int(v)
}

// end is an error unless all was cut, and nothing bad.
func (c *cutter) end(what string) error {
	if c.bad || len(c.b) > 0 {
		return fmt.Errorf("%w: no %s", errGarbage, what)
	}
	return nil
}
