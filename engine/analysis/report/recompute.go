package report

import (
	"cmp"
	"fmt"

	"jouletop/engine/account"
	"jouletop/engine/analysis/table"
	"jouletop/engine/event"
	"jouletop/engine/session"
	"jouletop/gpu"
)

// Recompute estimates a session's energies again and replaces its
// phases.csv, requests.csv and, where it has them, iterations.csv and points.csv. Passes
// are divided among requests by split; "" as they were. It returns the power found of
// each kind of phase.
func Recompute(dir string, split event.Split) (table.Table, error) {
	var none table.Table
	s, err := session.OpenForeign(dir)
	if err != nil {
		return none, err
	}
	release, err := s.Lock()
	if err != nil {
		return none, err
	}
	defer release()
	if s.Manifest.SampleKeep == string(session.Thin) || s.Manifest.SampleKeep == string(session.None) {
		return none, fmt.Errorf("%s: recorded with --samples %s: too few readings are left to estimate from", dir, s.Manifest.SampleKeep)
	}
	var phases []event.PhaseEnergy
	if err := s.Phases(func(p *event.PhaseEnergy) error { phases = append(phases, *p); return nil }); err != nil {
		return none, err
	}
	var requests []event.RequestEnergy
	if err := s.Requests(func(r *event.RequestEnergy) error { requests = append(requests, *r); return nil }); err != nil {
		return none, err
	}
	sources, limits := map[string][]gpu.PowerSource{}, map[string]float64{}
	for _, g := range s.Manifest.GPUs {
		sources[g.ID], limits[g.ID] = g.Sensors, g.Info.MostPowerLimitW()
	}
	by := account.Served{Split: split}
	if p := s.Manifest.Plan.Serving; p != nil {
		by.Split = cmp.Or(split, event.Split(p.EnergySplit))
		if err := s.Events(func(ev event.Event) error {
			if it, ok := ev.(event.Iteration); ok {
				by.Iterations = append(by.Iterations, it)
			}
			return nil
		}); err != nil {
			return none, err
		}
	}
	r := account.NewRecomputer(phases, requests, by, sources, limits)
	readings := 0
	if err := s.Power(func(p *event.Power) error { r.Power(*p); readings++; return nil }); err != nil {
		return none, err
	}
	if readings == 0 {
		return none, fmt.Errorf("%s: %s has no reading to estimate from", dir, session.PowerFile)
	}
	newPhases, newRequests := r.Rows()
	if err := s.WritePhases(newPhases); err != nil {
		return none, err
	}
	if err := s.WriteRequests(newRequests); err != nil {
		return none, err
	}
	if err := recomputeIterations(s, r); err != nil {
		return none, err
	}
	return PhasePowers(r.Powers()), recomputePoints(s, r)
}

// recomputePoints puts the points' new energies into points.csv.
func recomputePoints(s *session.Session, r *account.Recomputer) error {
	var points []event.PointDone
	if err := s.Points(func(p *event.PointDone) error { points = append(points, *p); return nil }); err != nil || len(points) == 0 {
		return err
	}
	for i := range points {
		r.Point(&points[i])
	}
	return s.WritePoints(points)
}

// recomputeIterations puts the passes' new energies into iterations.csv; what the rows
// say of clocks stays.
func recomputeIterations(s *session.Session, r *account.Recomputer) error {
	rows := r.Iterations()
	if len(rows) == 0 {
		return nil
	}
	was := map[string]event.IterationEnergy{}
	if err := s.Iterations(func(it *event.IterationEnergy) error { was[it.IterationID] = *it; return nil }); err != nil {
		return err
	}
	for i := range rows {
		if old, ok := was[rows[i].IterationID]; ok {
			rows[i].SMMHzMean, rows[i].Flags = old.SMMHzMean, old.Flags.Union(rows[i].Flags)
		}
	}
	return s.WriteIterations(rows)
}
