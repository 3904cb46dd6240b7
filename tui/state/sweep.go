package state

import "jouletop/engine/event"

// Sweep folds points.
type Sweep struct {
	Points
	Current event.PointStart
	Running bool
	Count   int // finished, also those no longer kept
	base    int // finished before this run's plan began
}

func (s *Sweep) reset() { *s = Sweep{Points: Points{version: s.version + 1}} }

func (s *Sweep) start(e event.PointStart) { s.Current, s.Running = e, true }

func (s *Sweep) finish(e event.PointDone) {
	if s.Running && s.Current.PointID == e.PointID {
		s.Running = false
	}
	s.Count++
	s.add(e)
}
