package worker

import (
	"bytes"
	"errors"
	"reflect"
	"testing"

	"jouletop/engine"
	"jouletop/engine/serving"
)

// passes of all kinds, with what might come of them.
var somePasses = []struct {
	pass   serving.Pass
	passed engine.Passed
}{
	{},
	{serving.Pass{Members: []serving.Member{{ID: 1, Fresh: 512, Prefill: true}}}, engine.Passed{StartNS: 1, EndNS: 1 << 62}},
	{
		serving.Pass{Members: []serving.Member{
			{ID: 70_000, Slot: 31, Known: 131_071, Fresh: 1, Samples: true}, {ID: 5, Slot: 2, Known: 3, Fresh: 7, Prefill: true, Samples: true}, {ID: -1},
		}},
		engine.Passed{StartNS: 5, EndNS: 9, Tokens: []engine.Sampled{{ID: 70_000, Text: "a\xff\x00 – token", Ended: true}, {ID: 5}}},
	},
}

func TestPassesTravel(t *testing.T) {
	for i, c := range somePasses {
		there := appendPass(nil, c.pass)
		if got, err := decodePass(there); err != nil || !reflect.DeepEqual(got, c.pass) {
			t.Errorf("pass %d: %+v, %v", i, got, err)
		}
		back := appendPassed(nil, c.passed)
		if got, err := decodePassed(back); err != nil || !reflect.DeepEqual(got, c.passed) {
			t.Errorf("passed %d: %+v, %v", i, got, err)
		}
		// Cut short, or longer, they are none.
		for n := range there {
			if _, err := decodePass(there[:n]); !errors.Is(err, errGarbage) {
				t.Errorf("pass %d cut to %d bytes: %v", i, n, err)
			}
		}
		for n := range back {
			if _, err := decodePassed(back[:n]); !errors.Is(err, errGarbage) {
				t.Errorf("passed %d cut to %d bytes: %v", i, n, err)
			}
		}
		_, e1 := decodePass(append(there, 0))
		_, e2 := decodePassed(append(back, 0))
		if !errors.Is(e1, errGarbage) || !errors.Is(e2, errGarbage) {
			t.Errorf("%d with a byte more: %v, %v", i, e1, e2)
		}
	}
	// A count of more than there can be is not believed.
	if _, err := decodePass([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}); !errors.Is(err, errGarbage) {
		t.Error(err)
	}
}

// A pass is answered by what came of it, or by an error, and nothing else by that.
func TestAnswersToPasses(t *testing.T) {
	packed := func(r reply) []byte {
		body, err := encode(r)
		if err != nil {
			t.Fatal(err)
		}
		return body
	}
	for name, c := range map[string]struct {
		passes bool
		kind   kind
		body   []byte
		ok     bool
	}{
		"what came of it":      {true, kindPassed, appendPassed(nil, engine.Passed{EndNS: 1}), true},
		"an error":             {true, kindReply, packed(reply{Err: packError(engine.ErrTooLong)}), true},
		"a reply of no pass":   {true, kindReply, packed(reply{Tokens: 3}), false},
		"a pass nobody wanted": {false, kindPassed, appendPassed(nil, engine.Passed{EndNS: 1}), false},
	} {
		p := &process{calls: map[callID]*call{}, greeted: make(chan struct{})}
		id := p.begin(&call{passes: c.passes, reply: make(chan reply, 1)})
		if err := p.frame(c.kind, append(id.append(nil), c.body...)); (err == nil) != c.ok || err != nil && !errors.Is(err, errGarbage) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzPasses(f *testing.F) {
	for _, c := range somePasses {
		f.Add(appendPass(nil, c.pass))
		f.Add(appendPassed(nil, c.passed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := decodePass(b); err == nil {
			if again, err := decodePass(appendPass(nil, p)); err != nil || !reflect.DeepEqual(again, p) {
				t.Errorf("%+v, %v, were %+v", again, err, p)
			}
		}
		if p, err := decodePassed(b); err == nil {
			if out := appendPassed(nil, p); len(out) > len(b) || !bytes.Equal(out[:16], b[:16]) {
				t.Errorf("% x of % x", out, b)
			}
		}
	})
}

// BenchmarkPass is what a pass of 32 takes on its way to a child and back.
func BenchmarkPass(b *testing.B) {
	child, err := New(Options{Env: childAs("well")})
	if err != nil {
		b.Fatal(err)
	}
	defer child.Close()
	if _, err := child.Load(b.Context(), engine.ModelSpec{Name: "m"}, nil); err != nil {
		b.Fatal(err)
	}
	var p serving.Pass
	for id := range 32 {
		p.Members = append(p.Members, serving.Member{ID: id, Slot: id % 8, Known: 300, Fresh: 1, Samples: true})
	}
	for b.Loop() {
		if _, err := child.Pass(b.Context(), p); err != nil {
			b.Fatal(err)
		}
	}
}
