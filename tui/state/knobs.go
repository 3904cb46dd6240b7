package state

import (
	"math"

	"jouletop/engine/analysis/curve"
	"jouletop/engine/event"
	"jouletop/gpu"
)

// Knob is the newest change of another knob than the SM clock; ok is false where there
// was none.
func (t *Telemetry) Knob(k gpu.KnobID) (c event.KnobChange, ok bool) {
	c, ok = t.knobs[k]
	return c, ok
}

// Set is what was asked for of another knob than the SM clock and is in force, in the
// driver's unit; 0 nothing, as far as events tell.
func (t *Telemetry) Set(k gpu.KnobID) int {
	c, ok := t.knobs[k]
	if !ok || c.Requested <= 0 || c.Achieved <= 0 || c.Cause.Unasked() {
		return 0
	}
	return c.Achieved
}

func (s *State) knobChange(e event.KnobChange) {
	t := s.GPU(e.GPU)
	if t.knobs == nil {
		t.knobs = map[gpu.KnobID]event.KnobChange{}
	}
	if before, ok := t.knobs[e.Knob]; ok && e.Err != "" && e.Achieved <= 0 {
		before.Err, before.At = e.Err, e.At // what was refused changed nothing
		t.knobs[e.Knob] = before
	} else {
		t.knobs[e.Knob] = e
	}
	s.Versions.Run++
	if e.Cause.By == event.ByPolicy && e.Err == "" {
		t.PolicyChanges++
		return
	}
	s.note(e)
}

// limitOf is the power limit that a point ran under, W; NaN unknown.
func (s *State) limitOf(p event.PointDone) float64 {
	switch {
	case p.AchievedLimitW > 0:
		return p.AchievedLimitW
	case p.Knobs.PowerW > 0:
		return float64(p.Knobs.PowerW)
	}
	return math.NaN()
}

// Caps are sentences on which power limit held the clock in which phase of the points.
func (p *Points) Caps() []string {
	if p.capsOf != p.version+1 {
		p.caps, p.capsOf = nil, p.version+1
		for _, c := range curve.Of(p.Done) {
			p.caps = append(p.caps, c.CapVerdicts()...)
		}
	}
	return p.caps
}
