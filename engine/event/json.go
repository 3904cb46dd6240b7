package event

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strconv"

	"jouletop/engine/nulljson"
)

// Marshal writes e as one JSON object (a line of events.jsonl, without its end):
// its kind first, unknown numbers (NaN) and infinities as null.
func Marshal(e Event) ([]byte, error) {
	fields, err := nulljson.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encode %s event: %w", e.Kind(), err)
	}
	line := []byte(`{"kind":` + strconv.Quote(e.Kind()))
	if string(fields) != "{}" {
		line = append(line, ',')
	}
	return append(line, fields[1:]...), nil
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
	if err := nulljson.Unmarshal(line, v.Interface()); err != nil {
		return nil, fmt.Errorf("decode %s event: %w", head.Kind, err)
	}
	return v.Elem().Interface().(Event), nil
}

// kinds has every event that goes to events.jsonl.
var kinds = func() map[string]Event {
	m := map[string]Event{}
	for _, e := range []Event{
		RunStart{}, RunMore{}, RunEnd{}, ModelLoading{}, PointStart{}, PointDone{}, BatchStart{}, BatchEnd{}, CommandDone{}, Iteration{}, PhaseStart{}, PhaseEnd{},
		Token{}, RequestDone{}, PhaseEnergy{}, IterationEnergy{}, RequestEnergy{}, ClockChange{}, KnobChange{}, LimitTimes{}, Bound{}, PolicyNote{}, ServerWord{}, Sleep{}, Processes{}, Mark{}, Warning{}, Error{}, State{},
	} {
		m[e.Kind()] = e
	}
	return m
}()

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
