package clockguard

import (
	"bytes"
	"errors"
	"testing"

	"jouletop/gpu"

	"github.com/google/go-cmp/cmp"
)

func TestProtocolRoundTrip(t *testing.T) {
	for _, r := range []order{
		{op: opHello, seq: 1, sent: 5, text: []byte(`{"uuid":"GPU-1"}`)},
		{op: opSet, seq: 1 << 31, value: 1980, sent: 1 << 60, text: []byte{}},
		{op: opSet, knob: gpu.KnobPower, seq: 2, value: 700_000, sent: 1, text: []byte{}},
		{op: opBye, text: []byte{}},
	} {
		got, err := decodeOrder(r.encode())
		if err != nil || !cmp.Equal(got, r, cmp.AllowUnexported(order{})) {
			t.Errorf("%+v came back as %+v, %v", r, got, err)
		}
	}
	want := reply{op: opSet, knob: gpu.KnobMem, code: codeLost, seq: 7, value: 1005, called: 1, returned: 2, text: "gone"}
	got, err := decodeReply(want.encode())
	if err != nil || !cmp.Equal(got, want, cmp.AllowUnexported(reply{})) {
		t.Errorf("%+v came back as %+v, %v", want, got, err)
	}
	if !errors.Is(got.err(), gpu.ErrLost) || got.err().Error() != "gone" {
		t.Errorf("error came back as %v", got.err())
	}
}

func TestBadRequests(t *testing.T) {
	good := order{op: opSet, value: 1005}.encode()
	change := func(at int, v byte) []byte {
		b := bytes.Clone(good)
		b[at] = v
		return b
	}
	for name, b := range map[string][]byte{
		"empty": nil, "short": good[:orderLen-1], "long": append(bytes.Clone(good), 0),
		"magic": change(0, 0), "version": change(4, 9), "operation 0": change(5, 0), "operation": change(5, byte(opNotice)),
		"knob": change(6, 4), "reserved": change(7, 1), "THz": change(15, 1), "huge": make([]byte, maxMessage+1),
	} {
		if r, err := decodeOrder(b); !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %+v, %v; want %v", name, r, err, ErrRefused)
		}
	}
}

func FuzzDecodeRequest(f *testing.F) {
	f.Add(order{op: opSet, value: 1005, seq: 3, sent: 9}.encode())
	f.Add(order{op: opHello, text: []byte(`{"uuid":"GPU-1","index":0}`)}.encode())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decodeOrder(b)
		if err != nil {
			if !errors.Is(err, ErrRefused) {
				t.Fatalf("%v is not %v", err, ErrRefused)
			}
			return
		}
		if !bytes.Equal(r.encode(), b) {
			t.Fatalf("%x decoded as %+v", b, r)
		}
	})
}

func FuzzDecodeReply(f *testing.F) {
	f.Add(reply{op: opSet, code: codeOther, text: "no"}.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decodeReply(b)
		if err == nil && (r.err() == nil) != (r.code == codeOK) {
			t.Fatalf("%+v: %v", r, r.err())
		}
	})
}
