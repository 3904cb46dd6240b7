package state_test

import (
	"testing"

	"jouletop/engine/event"
	"jouletop/tui/internal/recorded"
	"jouletop/tui/state"
)

// In a run whose policy switches the clock with every phase, as the simulator
// recorded it, the log keeps what was not the policy's, and the rest is counted.
func TestPhaseSwitchesDoNotFloodTheLog(t *testing.T) {
	played, err := recorded.Open("../testdata/sessions/run")
	if err != nil {
		t.Fatal(err)
	}
	s := state.New()
	switches, others, notes := 0, 0, 0
	for _, e := range played.Events {
		s.Apply(e)
		switch e := e.(type) {
		case event.ClockChange:
			if e.Cause.By == event.ByPolicy {
				switches++
			} else {
				others++
			}
		case event.PolicyNote:
			notes++
		}
	}
	if switches < 10 {
		t.Fatalf("the recorded run has %d switches: it is no test of this", switches)
	}
	gpu := s.GPU(played.GPUs[0].ID())
	if gpu.PolicyChanges != switches {
		t.Errorf("%d of %d switches counted", gpu.PolicyChanges, switches)
	}
	logged := 0
	for i := range s.Log.Len() {
		if _, ok := (*s.Log.At(i)).(event.ClockChange); ok {
			logged++
		}
	}
	if logged != others {
		t.Errorf("%d clock changes in the log, want the %d that were not the policy's", logged, others)
	}
	if s.Log.Len() > logged+notes+1 { // and the run's end
		t.Errorf("%d entries in the log of %d clocks and %d notes", s.Log.Len(), logged, notes)
	}
}
