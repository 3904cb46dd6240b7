package report

import (
	"slices"

	"jouletop/engine/analysis/plot"
	"jouletop/engine/event"
	"jouletop/engine/session"
	"jouletop/gpu"
)

// courseBins is how many parts the time of a course is drawn in: more would be finer
// than a picture's pixels.
const courseBins = 480

// courseOf is how a session's passes, power and clock went; without bins where there are
// no passes. Of several GPUs that work together the first one's power and clock stand
// for all.
func courseOf(s *session.Session) (plot.Course, error) {
	var (
		c        plot.Course
		id       string
		from, to int64
	)
	if err := s.Iterations(func(r *event.IterationEnergy) error {
		if id == "" {
			id, from, to = gpu.MemberIDs(r.GPU)[0], r.StartNS, r.EndNS
		}
		from, to = min(from, r.StartNS), max(to, r.EndNS)
		return nil
	}); err != nil || id == "" || to <= from {
		return c, err
	}
	c = plot.NewCourse(float64(to-from)/1e9, courseBins)
	seconds := func(ns int64) float64 { return float64(ns-from) / 1e9 }
	if err := s.Iterations(func(r *event.IterationEnergy) error {
		c.Pass(seconds(r.StartNS), seconds(r.EndNS), r.DecodeRequests, r.PrefillRequests, r.Queued)
		return nil
	}); err != nil {
		return c, err
	}
	if err := s.Samples(func(r *event.Sample) error {
		if r.GPU == id && r.TimeNS >= from && r.TimeNS <= to && r.SMMHz >= 0 {
			c.Clock.Add(seconds(r.TimeNS), float64(r.SMMHz))
		}
		return nil
	}); err != nil {
		return c, err
	}
	source, err := finestSource(s, id)
	if err != nil {
		return c, err
	}
	c.PowerSource = source
	return c, s.Power(func(r *event.Power) error {
		if r.GPU == id && r.Source == source && r.Fresh && r.TimeNS >= from && r.TimeNS <= to && gpu.Plausible(r.PowerW) {
			c.Power.Add(seconds(r.TimeNS), r.PowerW)
		}
		return nil
	})
}

// finestSource is the power source of a GPU that tells the most; "" for none.
func finestSource(s *session.Session, id string) (string, error) {
	best := []string{gpu.SourceBuffer, gpu.SourceInstant, gpu.SourceCounter, gpu.SourceAverage}
	at := len(best)
	err := s.Power(func(r *event.Power) error {
		if i := slices.Index(best, r.Source); i >= 0 && r.GPU == id && gpu.Plausible(r.PowerW) {
			at = min(at, i)
		}
		return nil
	})
	if at == len(best) {
		return "", err
	}
	return best[at], err
}
