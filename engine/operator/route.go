package operator

import (
	"jouletop/engine"
	"jouletop/engine/command"
	"jouletop/engine/plan"
)

// routedModel stands for the routed models where the dashboard's operator
// chooses a model.
const routedModel = "routed"

// routedPlan makes the plan of a job whose queries are routed. On a real GPU the
// clock stays the operator's.
func (l *library) routedPlan(j command.Job) (engine.Plan, error) {
	o := *l.o
	o.Work.Batches = []int{max(j.Batch, 1)}
	if j.MaxTokens > 0 {
		o.Work.MaxTokens = j.MaxTokens
	}
	d, err := l.Dataset(j.Dataset)
	if err != nil {
		return engine.Plan{}, err
	}
	if j.Queries > 0 && j.Queries < len(d.Queries) {
		d.Queries = d.Queries[:j.Queries]
	}
	own := l.info.Simulated() && !o.Rig.ReadOnly
	s := plan.ByPolicy("none")
	if own {
		s.Spec = plan.PhaseAware(l.info).String()
	}
	pts, err := l.router.Split(&o.Work, l.info, l.specs, []plan.Dataset{d}, s, 1)
	if err != nil {
		return engine.Plan{}, err
	}
	job := l.nextJob()
	for i := range pts {
		pts[i].PointID = plan.JobID(job, pts[i].Point)
		if !own {
			pts[i].Policy = nil
		}
	}
	return plan.Job(pts), nil
}
