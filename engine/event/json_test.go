package event

import (
	"math"
	"reflect"
	"strings"
	"testing"

	"jouletop/gpu"
)

// sameNaN compares two events, NaN being equal to NaN.
func same(a, b reflect.Value) bool {
	switch a.Kind() {
	case reflect.Float64:
		return a.Float() == b.Float() || math.IsNaN(a.Float()) && math.IsNaN(b.Float())
	case reflect.Struct:
		for i := range a.NumField() {
			if !same(a.Field(i), b.Field(i)) {
				return false
			}
		}
		return true
	case reflect.Slice:
		for i := range a.Len() {
			if a.Len() != b.Len() || !same(a.Index(i), b.Index(i)) {
				return false
			}
		}
		return a.Len() == b.Len()
	}
	return reflect.DeepEqual(a.Interface(), b.Interface())
}

func TestRoundTrip(t *testing.T) {
	nan := math.NaN()
	for _, e := range []Event{
		RunStart{At: At{7}, Name: "run", GPU: "sim:h100", Simulated: true},
		ClockChange{At: At{9}, GPU: "sim:h100", RequestedSMMHz: 1005, AchievedSMMHz: -1, CallMS: 2.5, SettleMS: nan, DelayMS: nan, Cause: Cause{ByPolicy, "phase:1980/1005", Decode}},
		RequestEnergy{At: At{3}, Request: Request{RequestID: "r1", Quality: nan, TTFTS: 0.5, Output: Output{Text: "two\nlines", Choice: -1}}, Energy: Energy{EnergyJ: nan, EnergyErrJ: nan, Method: "unresolved"}, NetEnergyJ: nan},
		PhaseEnd{At: At{5}, PhaseSpan: PhaseSpan{BatchID: "b1", Phase: Score, StartNS: 1, EndNS: 5, BatchSize: 4, Tokens: 99}},
		Sleep{At: At{4}, GPU: "0:GPU-1a2b3c4d", Asleep: true},
		Processes{At: At{6}, GPU: "sim:h100", Energy: Energy{EnergyJ: nan, EnergyErrJ: nan}, IdleEnergyJ: nan, KnownS: 1, Rule: "SM time", List: []ProcessEnergy{
			{Process: gpu.Process{PID: 7, Name: "x", MemoryMiB: -1}, SMPct: nan, DRAMPct: nan, EnergyJ: nan, EnergyErrJ: nan}, {Process: gpu.Process{PID: 8}, SMPct: 3, EnergyJ: 2.5, Gone: true},
		}},
	} {
		line, err := Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(line), "\n") {
			t.Errorf("%s: not one line: %s", e.Kind(), line)
		}
		got, err := Unmarshal(line)
		if err != nil {
			t.Fatal(err)
		}
		if !same(reflect.ValueOf(e), reflect.ValueOf(got)) {
			t.Errorf("%s:\nsent %+v\ngot  %+v\nline %s", e.Kind(), e, got, line)
		}
	}
}

func TestUnmarshalRejects(t *testing.T) {
	for _, line := range []string{"", "{", `{"kind":"no such"}`, `{"kind":"mark","t_ns":"x"}`, `[]`} {
		if e, err := Unmarshal([]byte(line)); err == nil {
			t.Errorf("%q decoded to %+v", line, e)
		}
	}
}

func FuzzUnmarshal(f *testing.F) {
	f.Add([]byte(`{"kind":"mark","t_ns":5,"note":"x"}`))
	f.Add([]byte(`{"kind":"request_done","t_ns":5,"quality":null,"output":{"choice":-1,"log_likelihoods":[null,-1.5]}}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		e, err := Unmarshal(line)
		if err != nil {
			return
		}
		again, err := Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Unmarshal(again); err != nil {
			t.Fatalf("%s: %v", again, err)
		}
	})
}
