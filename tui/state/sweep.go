package state

import "jouletop/engine/event"

// Sweep folds points.
type Sweep struct {
	Done    []event.PointDone
	Current event.PointStart
	Running bool
	Count   int // finished, also those no longer kept
	base    int // finished before this run's plan began
}

func (s *Sweep) reset() { *s = Sweep{} }

func (s *Sweep) start(e event.PointStart) { s.Current, s.Running = e, true }

func (s *Sweep) finish(e event.PointDone) {
	if s.Running && s.Current.PointID == e.PointID {
		s.Running = false
	}
	s.Count++
	if len(s.Done) == keepPoints {
		s.Done = append(s.Done[:0], s.Done[keepPoints/2:]...)
	}
	s.Done = append(s.Done, e)
}
