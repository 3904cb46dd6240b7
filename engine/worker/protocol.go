package worker

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
)

// The protocol: frames both ways on a stream socket. Numbers are little-endian.
//
//	magic u16, version u8, kind u8, length u32, crc u32 (Castagnoli, of the body), body
//
// A body that belongs to a call begins with the call's number (u32). What comes
// often (phases, tokens, passes, progress, heartbeats) is packed by hand; the rest is
// gob, each body complete in itself.
const (
	magic     = 0x574a // "JW"
	version   = 1
	headerLen = 12
	// maxBody is far above any batch: 4096 prompts of 16 KiB.
	maxBody = 64 << 20
)

type kind uint8

const (
	// Parent to child.
	kindLoad   kind = iota + 1 // call, gob engine.ModelSpec
	kindRun                    // call, gob engine.Batch
	kindCount                  // call, text
	kindServe                  // call, gob serve
	kindPass                   // call, pass (see pass.go)
	kindCancel                 // call
	kindClose                  // nothing

	// Child to parent.
	kindHello    // gob hello: the backend is there, or why not
	kindBeat     // cpu i64: the process's CPU time so far, ns
	kindProgress // call, share of the model loaded in 2^-32 u32
	kindPhase    // call, phase u8, end u8, tokens i64, t i64
	kindToken    // call, index u32, t i64, text
	kindReply    // call, gob reply
	kindPassed   // call, what came of a pass (see pass.go)
	lastKind     = kindPassed
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// errGarbage is wrapped by every error about bytes that are no frame.
var errGarbage = errors.New("sent what is no frame")

// appendFrame appends a frame whose body is written by body.
func appendFrame(dst []byte, k kind, body func([]byte) []byte) []byte {
	start := len(dst)
	dst = binary.LittleEndian.AppendUint16(dst, magic)
	dst = append(dst, version, byte(k), 0, 0, 0, 0, 0, 0, 0, 0)
	if body != nil {
		dst = body(dst)
	}
	b := dst[start+headerLen:]
	binary.LittleEndian.PutUint32(dst[start+4:], uint32(len(b)))
	binary.LittleEndian.PutUint32(dst[start+8:], crc32.Checksum(b, castagnoli))
	return dst
}

// frameReader reads frames from a peer that may have lost its mind.
type frameReader struct {
	r    *bufio.Reader
	head [headerLen]byte
	body []byte // of the newest frame
}

func newFrameReader(r io.Reader) *frameReader {
	return &frameReader{r: bufio.NewReaderSize(r, 1<<16)}
}

// next returns the next frame; its body is good until the call after. io.EOF
// means that the peer closed between two frames, io.ErrUnexpectedEOF within one;
// errGarbage that what came is no frame.
func (f *frameReader) next() (kind, []byte, error) {
	if _, err := io.ReadFull(f.r, f.head[:]); err != nil {
		return 0, nil, err
	}
	if m := binary.LittleEndian.Uint16(f.head[:]); m != magic {
		return 0, nil, fmt.Errorf("%w: it starts with % x", errGarbage, f.head)
	}
	if f.head[2] != version {
		return 0, nil, fmt.Errorf("%w: protocol version %d, want %d", errGarbage, f.head[2], version)
	}
	k := kind(f.head[3])
	if k == 0 || k > lastKind {
		return 0, nil, fmt.Errorf("%w: unknown kind %d", errGarbage, k)
	}
	n := binary.LittleEndian.Uint32(f.head[4:])
	if n > maxBody {
		return 0, nil, fmt.Errorf("%w: it claims %d bytes, the most is %d", errGarbage, n, maxBody)
	}
	if err := f.read(int(n)); err != nil {
		return 0, nil, err
	}
	if crc32.Checksum(f.body, castagnoli) != binary.LittleEndian.Uint32(f.head[8:]) {
		return 0, nil, fmt.Errorf("%w: checksum of %d bytes is wrong", errGarbage, n)
	}
	return k, f.body, nil
}

// read reads a body, in steps, so that a length that lies takes no memory.
func (f *frameReader) read(n int) error {
	const step = 1 << 20
	if cap(f.body) > step {
		f.body = nil // a large one is not kept
	}
	f.body = f.body[:0]
	for len(f.body) < n {
		at := len(f.body)
		f.body = slices.Grow(f.body, min(step, n-at))[:at+min(step, n-at)]
		if _, err := io.ReadFull(f.r, f.body[at:]); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
	}
	return nil
}
