package state

import "math"

// Progress is how far the run has come.
type Progress struct {
	Done, Total int
	What        string
	Left        float64 // s
}

// Share is the part done, 0 to 1.
func (p Progress) Share() float64 {
	if p.Total == 0 {
		return 0
	}
	return min(float64(p.Done)/float64(p.Total), 1)
}

// Progress counts requests of the run, or of the point where the run's number is
// not known.
func (s *State) Progress() Progress {
	var p Progress
	var since int64
	switch {
	case s.Run.Requests > 0 && !s.Ended:
		p = Progress{Done: s.Requests.Total - s.Requests.before, Total: s.Run.Requests, What: "requests"}
		since = s.Run.TimeNS
	case s.Work.InPoint && s.Work.Point.Queries > 0:
		p = Progress{Done: s.Work.DoneInPoint, Total: s.Work.Point.Queries, What: "requests"}
		since = s.Work.pointAt
	default:
		return p
	}
	p.Left = math.NaN()
	if p.Done > 0 && p.Total >= p.Done {
		p.Left = float64(s.Now-since) / 1e9 / float64(p.Done) * float64(p.Total-p.Done)
	}
	return p
}

// SweepProgress counts points of the run that is going.
func (st *State) SweepProgress() Progress {
	s := &st.Sweep
	p := Progress{Done: s.Count - s.base, Total: st.Run.Points, What: "points", Left: math.NaN()}
	if p.Total == 0 || p.Done > p.Total {
		p.Total = p.Done
		if s.Running {
			p.Total++
		}
	}
	if p.Done > 0 {
		per := float64(st.Now-st.Run.TimeNS) / 1e9 / float64(p.Done)
		p.Left = per * float64(p.Total-p.Done)
		if s.Running {
			p.Left = max(p.Left-float64(st.Now-s.Current.TimeNS)/1e9/2, 0)
		}
	}
	if st.Ended {
		p.Left = 0
	}
	return p
}
