package report

import (
	"fmt"
	"os"

	"jouletop/engine/analysis/plot"
	"jouletop/engine/event"
	"jouletop/engine/session"
	"jouletop/gpu"
)

// Plot draws the pictures into dir and names them on stderr; slowdown bounds the latency
// of the clock that is marked as the one to run at.
func (r *Sessions) Plot(dir string, slowdown float64) error {
	files, err := r.pictures(dir, slowdown)
	if err != nil {
		return err
	}
	if len(files) == 0 {
		fmt.Fprintln(os.Stderr, "no plots: they need points at two clocks at least, or a run whose clock followed the phases")
	}
	for _, f := range files {
		fmt.Fprintln(os.Stderr, "wrote", f)
	}
	return nil
}

// pictures draws all there is to draw into dir, and returns the files' names.
func (r *Sessions) pictures(dir string, slowdown float64) ([]string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("plots: %w", err)
	}
	files, err := plot.Points(dir, r.points, slowdown, r.simulated)
	if err != nil {
		return nil, err
	}
	for _, s := range r.sessions {
		if s.Manifest.Plan.Serving != nil {
			continue // its passes are drawn
		}
		samples, phases, err := phaseAwareMoment(s)
		if err != nil {
			return nil, err
		}
		more, err := plot.Profile(dir, samples, phases, r.simulated)
		if err != nil {
			return nil, err
		}
		files = append(files, more...)
		if len(more) > 0 {
			break // one session's profile is the picture
		}
	}
	for _, s := range r.sessions {
		course, err := courseOf(s)
		if err != nil {
			return nil, err
		}
		more, err := plot.DrawCourse(dir, course, r.simulated)
		if err != nil {
			return nil, err
		}
		files = append(files, more...)
		if len(more) > 0 {
			break // as above
		}
	}
	if r.workload != nil {
		more, err := plot.Workload(r.workload.Workload, dir)
		if err != nil {
			return nil, err
		}
		files = append(files, more...)
	}
	return files, nil
}

// phaseAwareMoment picks the first batch in which the clock was changed at a
// phase boundary, with the samples around it.
func phaseAwareMoment(s *session.Session) ([]event.Sample, []event.PhaseSpan, error) {
	switched := map[int64]bool{}
	err := s.Clocks(func(c *event.ClockChange) error {
		if c.Err == "" && c.RequestedSMMHz > 0 {
			switched[c.TimeNS] = true
		}
		return nil
	})
	if err != nil || len(switched) == 0 {
		return nil, nil, err
	}
	var phases []event.PhaseSpan
	var batch string
	err = s.Phases(func(p *event.PhaseEnergy) error {
		if p.MixedClock && batch == "" {
			batch = p.BatchID
		}
		return nil
	})
	if err != nil || batch == "" {
		return nil, nil, err
	}
	if err := s.Phases(func(p *event.PhaseEnergy) error {
		if p.BatchID == batch {
			phases = append(phases, p.PhaseSpan)
		}
		return nil
	}); err != nil {
		return nil, nil, err
	}
	const around = 100e6 // ns either side
	from, to := phases[0].StartNS-around, phases[len(phases)-1].EndNS+around
	first := gpu.MemberIDs(phases[0].GPU)[0] // of GPUs that work together all do alike
	var samples []event.Sample
	err = s.Samples(func(r *event.Sample) error {
		if r.TimeNS >= from && r.TimeNS <= to && r.SMMHz >= 0 && r.GPU == first {
			samples = append(samples, *r)
		}
		return nil
	})
	return samples, phases, err
}
