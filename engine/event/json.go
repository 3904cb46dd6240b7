package event

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
)

// Marshal writes e as one JSON object (a line of events.jsonl, without its end):
// its kind first, unknown numbers (NaN) and infinities as null, which
// encoding/json cannot write.
func Marshal(e Event) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString(`{"kind":` + strconv.Quote(e.Kind()))
	if err := encodeFields(&b, reflect.ValueOf(e)); err != nil {
		return nil, fmt.Errorf("encode %s event: %w", e.Kind(), err)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// Unmarshal reads what Marshal wrote. Numbers that are null or missing become NaN.
func Unmarshal(line []byte) (Event, error) {
	var head struct {
		Kind string `json:"kind"`
	}
	if err := json.Unmarshal(line, &head); err != nil {
		return nil, fmt.Errorf("decode event: %w", err)
	}
	zero, ok := kinds[head.Kind]
	if !ok {
		return nil, fmt.Errorf("decode event: unknown kind %q", head.Kind)
	}
	v := reflect.New(reflect.TypeOf(zero))
	fillNaN(v.Elem())
	if err := json.Unmarshal(line, v.Interface()); err != nil {
		return nil, fmt.Errorf("decode %s event: %w", head.Kind, err)
	}
	return v.Elem().Interface().(Event), nil
}

// kinds has every event that goes to events.jsonl.
var kinds = func() map[string]Event {
	m := map[string]Event{}
	for _, e := range []Event{
		RunStart{}, RunEnd{}, ModelLoading{}, PointStart{}, PointDone{}, BatchStart{}, PhaseStart{}, PhaseEnd{},
		Token{}, RequestDone{}, PhaseEnergy{}, RequestEnergy{}, ClockChange{}, PolicyNote{}, Mark{}, Warning{}, Error{}, State{},
	} {
		m[e.Kind()] = e
	}
	return m
}()

// encodeFields appends v's exported fields, embedded ones flattened.
func encodeFields(b *bytes.Buffer, v reflect.Value) error {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if f.Anonymous && f.Type.Kind() == reflect.Struct {
			if err := encodeFields(b, v.Field(i)); err != nil {
				return err
			}
			continue
		}
		name, opts, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" || opts == "omitempty" && v.Field(i).IsZero() {
			continue
		}
		if name == "" {
			name = f.Name
		}
		b.WriteString("," + strconv.Quote(name) + ":")
		if err := encodeValue(b, v.Field(i)); err != nil {
			return err
		}
	}
	return nil
}

func encodeValue(b *bytes.Buffer, v reflect.Value) error {
	switch _, text := v.Interface().(encoding.TextMarshaler); {
	case v.Kind() == reflect.Float64:
		encodeFloat(b, v.Float())
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Float64:
		b.WriteByte('[')
		for i := range v.Len() {
			if i > 0 {
				b.WriteByte(',')
			}
			encodeFloat(b, v.Index(i).Float())
		}
		b.WriteByte(']')
	case v.Kind() == reflect.Struct && !text:
		var inner bytes.Buffer
		if err := encodeFields(&inner, v); err != nil {
			return err
		}
		b.WriteByte('{')
		b.Write(bytes.TrimPrefix(inner.Bytes(), []byte(",")))
		b.WriteByte('}')
	default:
		text, err := json.Marshal(v.Interface())
		if err != nil {
			return err
		}
		b.Write(text)
	}
	return nil
}

func encodeFloat(b *bytes.Buffer, x float64) {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		b.WriteString("null")
		return
	}
	b.Write(strconv.AppendFloat(b.AvailableBuffer(), x, 'g', -1, 64))
}

func fillNaN(v reflect.Value) {
	for i := range v.NumField() {
		switch f := v.Field(i); f.Kind() {
		case reflect.Float64:
			f.SetFloat(math.NaN())
		case reflect.Struct:
			fillNaN(f)
		}
	}
}
