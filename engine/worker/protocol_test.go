package worker

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"

	"jouletop/engine"
	"jouletop/engine/event"
)

func TestFrames(t *testing.T) {
	var b []byte
	long := strings.Repeat("x", 3<<20)
	for _, text := range []string{"", "a", long, "b"} {
		b = appendFrame(b, kindToken, func(d []byte) []byte { return append(d, text...) })
	}
	r := newFrameReader(bytes.NewReader(b))
	for _, text := range []string{"", "a", long, "b"} {
		if k, body, err := r.next(); k != kindToken || string(body) != text || err != nil {
			t.Errorf("%d, %d bytes, %v; want %d bytes", k, len(body), err, len(text))
		}
	}
	if _, _, err := r.next(); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v", err)
	}
	if cap(r.body) > 1<<20 {
		t.Errorf("%d bytes are kept", cap(r.body))
	}
}

func TestFramesThatAreNone(t *testing.T) {
	whole := appendFrame(nil, kindBeat, func(d []byte) []byte { return append(d, 1, 2, 3, 4, 5, 6, 7, 8) })
	spoil := func(at int, v byte) []byte {
		b := bytes.Clone(whole)
		b[at] = v
		return b
	}
	for name, c := range map[string]struct {
		b    []byte
		want error
	}{
		"no magic":        {spoil(0, 0), errGarbage},
		"other version":   {spoil(2, version+1), errGarbage},
		"kind 0":          {spoil(3, 0), errGarbage},
		"kind unknown":    {spoil(3, byte(lastKind)+1), errGarbage},
		"longer than all": {spoil(7, 0xff), errGarbage},
		"other body":      {spoil(headerLen, 9), errGarbage},
		"other checksum":  {spoil(8, whole[8]+1), errGarbage},
		"cut head":        {whole[:5], io.ErrUnexpectedEOF},
		"cut body":        {whole[:headerLen+3], io.ErrUnexpectedEOF},
		"no body":         {whole[:headerLen], io.ErrUnexpectedEOF},
		"nothing":         {nil, io.EOF},
	} {
		if _, _, err := newFrameReader(bytes.NewReader(c.b)).next(); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	// A length that lies takes no memory: 64 MiB are claimed, three bytes come.
	b := spoil(7, 0x03)
	r := newFrameReader(bytes.NewReader(b))
	if _, _, err := r.next(); !errors.Is(err, io.ErrUnexpectedEOF) || cap(r.body) > 2<<20 {
		t.Errorf("%v, %d bytes taken", err, cap(r.body))
	}
}

// TestEveryFieldTravels fills every field of what crosses the pipe, so that one
// added later is not lost on the way.
func TestEveryFieldTravels(t *testing.T) {
	for _, v := range []any{&engine.Batch{}, &engine.ModelSpec{}, &reply{}, &hello{}} {
		n := 0
		fill(t, reflect.ValueOf(v).Elem(), &n)
		b, err := encode(v)
		if err != nil {
			t.Fatal(err)
		}
		got := reflect.New(reflect.TypeOf(v).Elem())
		if err := decode(b, got.Interface()); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got.Interface(), v) {
			t.Errorf("%T: %+v became %+v", v, v, got.Interface())
		}
		if n < 3 {
			t.Errorf("%T: only %d fields filled", v, n)
		}
	}
}

// fill sets every field to a value of its own; errors stay nil, they travel
// apart.
func fill(t *testing.T, v reflect.Value, n *int) {
	*n++
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i), n)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(t, v.Index(0), n)
		fill(t, v.Index(1), n)
	case reflect.String:
		v.SetString(strings.Repeat("s", *n%7+1) + "\xff")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(int64(*n) - 1<<40)
	case reflect.Uint8:
		v.SetUint(uint64(*n % 256))
	case reflect.Float64:
		v.SetFloat(float64(*n) + 0.5)
	case reflect.Interface:
	default:
		t.Fatalf("no way to fill a %v", v.Type())
	}
}

func TestResultsAndTheirErrors(t *testing.T) {
	results := []engine.Result{{InputTokens: 1}, {Err: engine.ErrTooLong, OutputTokens: 2}}
	var r reply
	r.pack(results)
	if results[1].Err == nil {
		t.Error("pack changed its argument")
	}
	b, err := encode(&r)
	if err != nil {
		t.Fatal(err)
	}
	var back reply
	if err := decode(b, &back); err != nil {
		t.Fatal(err)
	}
	got, err := back.unpack()
	if err != nil || got[0].Err != nil || !errors.Is(got[1].Err, engine.ErrTooLong) || errors.Is(got[1].Err, engine.ErrModel) || got[1].OutputTokens != 2 {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := (&reply{Results: make([]engine.Result, 2), Errs: make([]wireError, 1)}).unpack(); !errors.Is(err, errGarbage) {
		t.Errorf("one error for two results: %v", err)
	}
	if err := packError(errors.New("")).unpack(); err == nil {
		t.Error("an error without a text is lost")
	}
}

func TestTailKeepsWhatMatters(t *testing.T) {
	var l tail
	for range 100 {
		l.add("loading")
	}
	l.add("ggml_cuda: CUDA error: out of memory\r")
	l.add("")
	l.add(strings.Repeat("y", 5000))
	l.add("SIGABRT: abort")
	l.add("goroutine 1 [syscall]:")
	lines, fatal := l.last()
	if fatal != "SIGABRT: abort" || len(lines) != keptLines || len(lines[keptLines-1]) > keptBytes+4 || lines[keptLines-2] != "ggml_cuda: CUDA error: out of memory" {
		t.Errorf("%q, %d lines, %q", fatal, len(lines), lines[keptLines-2:])
	}
}

// sink is an Observer that keeps nothing.
type sink struct{}

func (sink) PhaseStart(event.Phase, int64, int) {}
func (sink) PhaseEnd(event.Phase, int64, int)   {}
func (sink) Token(int, int64, string)           {}

// FuzzParent reads any bytes as what a child might send.
func FuzzParent(f *testing.F) {
	add := func(k kind, body func([]byte) []byte) { f.Add(appendFrame(nil, k, body)) }
	id := callID(1)
	add(kindBeat, func(b []byte) []byte { return binary.LittleEndian.AppendUint64(b, 1) })
	add(kindPhase, func(b []byte) []byte { return phaseMessage{event.Decode, true, 3, 4}.append(id.append(b)) })
	add(kindToken, func(b []byte) []byte { return tokenMessage{1, 2, "text"}.append(id.append(b)) })
	add(kindProgress, func(b []byte) []byte { return append(id.append(b), 0, 0, 0, 0x80) })
	for _, v := range []any{hello{Name: "llama"}, reply{Results: []engine.Result{{}}}} {
		body, err := encode(v)
		if err != nil {
			f.Fatal(err)
		}
		add(kindHello, func(b []byte) []byte { return append(b, body...) })
		add(kindReply, func(b []byte) []byte { return append(id.append(b), body...) })
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		p := &process{calls: map[callID]*call{}, greeted: make(chan struct{})}
		p.begin(&call{obs: sink{}, size: 2, reply: make(chan reply, 1)})
		p.begin(&call{progress: func(x float64) {
			if x < 0 || x > 1 {
				t.Errorf("progress %v", x)
			}
		}, reply: make(chan reply, 1)})
		if err := p.read(newFrameReader(bytes.NewReader(stream))); err == nil {
			t.Error("an end without an error")
		}
		// The same bytes as bodies, past the checksum.
		for k := kindHello; k <= lastKind; k++ {
			q := &process{calls: map[callID]*call{}, greeted: make(chan struct{})}
			q.begin(&call{obs: sink{}, size: 2, reply: make(chan reply, 1)})
			_ = q.frame(k, stream)
		}
	})
}
