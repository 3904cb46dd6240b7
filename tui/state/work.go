package state

import (
	"slices"
	"strings"

	"jouletop/engine/event"
	"jouletop/gpu"
	"jouletop/tui/history"
)

// Work is what is running now.
type Work struct {
	Model       string
	Loading     float64 // 0 to 1; NaN when no model is loading
	Point       event.Point
	InPoint     bool
	pointAt     int64
	DoneInPoint int // requests of the point
	Batch       event.BatchStart
	Phase       event.PhaseStart
	InPhase     bool
	Streams     []string
	// newest rates, tokens/s
	PrefillRate, DecodeRate float64
	turns                   turns
}

// Letter is the phase letter for the status line, '-' for idle.
func (w *Work) Letter() byte {
	if l := phaseLetter(w.Phase.Phase); w.InPhase && l != ' ' {
		return l
	}
	return '-'
}

func phaseLetter(p event.Phase) byte { return history.Letters[PhaseIndex(p)] }

// PhaseIndex is the phase as the history numbers it. Drafting and verifying take turns
// that are shorter than what it tells apart: both are decoding there.
func PhaseIndex(p event.Phase) int {
	switch p.Decoding() {
	case event.Prefill:
		return history.Prefill
	case event.Decode:
		return history.Decode
	case event.Score:
		return history.Score
	case event.Mixed:
		return history.Mixed
	}
	return history.Idle
}

// restartNS is how far back in time a run must begin for the stream to have
// begun again; less is telemetry that came before it.
const restartNS = 1_000_000_000

func (s *State) phaseStart(e event.PhaseStart) {
	w := &s.Work
	w.Phase, w.InPhase = e, true
	s.Versions.Work++
	if w.turns.begin(e) {
		return
	}
	for _, id := range gpu.MemberIDs(e.GPU) {
		s.GPU(id).Track.Begin(PhaseIndex(e.Phase), e.TimeNS)
	}
}

func (s *State) phaseEnd(e event.PhaseEnd) {
	w := &s.Work
	if w.InPhase && w.Phase.BatchID == e.BatchID && w.Phase.Phase == e.Phase {
		w.InPhase = false
	}
	if w.turns.goOn(e) {
		s.Versions.Work++
		return
	}
	for _, id := range gpu.MemberIDs(e.GPU) {
		s.GPU(id).Track.End(PhaseIndex(e.Phase), e.StartNS, e.EndNS)
	}
	if sec := float64(e.EndNS-e.StartNS) / 1e9; sec > 0 && e.Tokens > 0 {
		switch e.Phase {
		case event.Prefill, event.Score:
			w.PrefillRate = float64(e.Tokens) / sec
		case event.Decode:
			w.DecodeRate = float64(e.Tokens) / sec
		}
	}
	s.Versions.Work++
}

// closePhases ends what a run left open.
func (s *State) closePhases(at int64) {
	for _, id := range s.GPUs {
		s.tele[id].Track.Begin(history.Idle, at)
	}
}

func (s *State) token(e event.Token) {
	w := &s.Work
	if e.BatchID != w.Batch.BatchID || e.Index < 0 || e.Index >= keepStreams {
		return
	}
	for len(w.Streams) <= e.Index {
		w.Streams = append(w.Streams, "")
	}
	w.Streams[e.Index] = newest(w.Streams[e.Index] + e.Text)
	s.Versions.Text++
}

// answered shows the text of a request of the running batch where it was not told
// token by token, as in a session that was recorded without.
func (w *Work) answered(r event.Request) {
	i := slices.Index(w.Batch.Queries, r.QueryID)
	if r.BatchID != w.Batch.BatchID || i < 0 || i >= keepStreams || i < len(w.Streams) && w.Streams[i] != "" {
		return
	}
	for len(w.Streams) <= i {
		w.Streams = append(w.Streams, "")
	}
	w.Streams[i] = newest(r.Output.Text)
}

// newest is the end of a text, at most keepText bytes.
func newest(text string) string {
	if len(text) <= keepText {
		return text
	}
	return strings.ToValidUTF8(text[len(text)-keepText/2:], "")
}
