package state

import (
	"jouletop/engine/event"
	"jouletop/gpu"
	"jouletop/tui/history"
)

// turns are the phases that take turns where tokens are drafted, each some ms long: to the
// profiles they are one decode, from the first of them to the end of their requests.
type turns struct {
	batch string // "" none
	from  int64  // ns
}

// begin takes a phase that begins in, and tells whether it goes on with what runs.
func (t *turns) begin(e event.PhaseStart) bool {
	if t.batch != "" && t.batch == e.BatchID && e.Phase.Decoding() == event.Decode {
		return true
	}
	*t = turns{}
	if e.Phase == event.Draft || e.Phase == event.Verify {
		*t = turns{e.BatchID, e.TimeNS}
	}
	return false
}

// goOn tells whether others follow a phase that has ended.
func (t *turns) goOn(e event.PhaseEnd) bool {
	return t.batch != "" && t.batch == e.BatchID && e.Phase.Decoding() == event.Decode
}

// endTurns ends the decode of a request for which tokens were drafted.
func (s *State) endTurns(e event.RequestDone) {
	t := s.Work.turns
	if t.batch == "" || t.batch != e.BatchID || e.EndNS <= t.from {
		return
	}
	for _, id := range gpu.MemberIDs(e.GPU) {
		s.GPU(id).Track.End(history.Decode, t.from, e.EndNS)
	}
	if e.OutputTokens > 1 && e.DecodeS > 0 {
		s.Work.DecodeRate = float64(e.OutputTokens-1) / e.DecodeS
	}
}
