package operator

import (
	"time"

	"jouletop/engine"
	"jouletop/engine/event"
	"jouletop/engine/plan"
	"jouletop/engine/rig"
	"jouletop/engine/usage"
)

// PlanRun lays out what `jouletop run` does with models and datasets: in batches, routed,
// or served. It arms clock control where that is asked to set clocks. routed tells whether
// queries go to the model that their class asks for.
func (o *Config) PlanRun(r *rig.Rig, specs []engine.ModelSpec, data []plan.Dataset, serve *plan.Serving) (todo engine.Plan, routed bool, err error) {
	o.Work.Knobs = r.Knobs
	router, err := plan.NewRouter(&o.Work, specs)
	if err != nil {
		return todo, false, err
	}
	if o.Work.Until != "" && (router != nil || serve.On()) {
		return todo, false, usage.Errorf("--until repeats batches of the same queries; leave out --route, --arrivals and --concurrency")
	}
	s, base := plan.ByPolicy(o.Work.Policy), (*plan.Setting)(nil)
	if router != nil {
		s, base = plan.RouteSettings(&o.Work, r.Info, r.Controlled())
	}
	if event.PolicyOf(s.Spec).Kind != event.NoPolicy {
		if o.Rig.ReadOnly {
			return todo, false, usage.Errorf("--policy %s sets clocks or limits; leave --read-only out", o.Work.Policy)
		}
		if err := r.ArmForRun(); err != nil {
			return todo, false, err
		}
	}
	todo = engine.Plan{Name: "run", Idle: plan.IdleTime}
	if router != nil {
		todo.Points, err = router.Plan(&o.Work, r.Info, specs, data, s, base, o.Work.Repeats)
	} else {
		list := o.points(r, specs, data, []plan.Setting{s})
		if todo.Points, err = list(o.Work.Repeats); err == nil {
			err = o.repeatUntil(&todo, list)
		}
	}
	if err == nil && serve.On() {
		err = plan.Serve(&o.Work, serve, todo.Points, o.Rig.Seed)
	}
	if o.Work.Blocks {
		todo.Blocks = plan.BlockTime
	}
	return todo, router != nil, err
}

// points lists what the work is made of with so many repeats each.
func (o *Config) points(r *rig.Rig, specs []engine.ModelSpec, data []plan.Dataset, settings []plan.Setting) func(repeats int) ([]engine.PointPlan, error) {
	return func(repeats int) ([]engine.PointPlan, error) {
		return plan.Points(&o.Work, r.Info, specs, data, settings, repeats)
	}
}

// repeatUntil has todo go on until its points are known as well as --until asks.
func (o *Config) repeatUntil(todo *engine.Plan, list func(repeats int) ([]engine.PointPlan, error)) error {
	u, err := plan.NewUntil(o.Work.Until, list)
	if u != nil {
		todo.More = u.More
	}
	return err
}

// coolMargin is how much warmer than at the start, in °C, a point may begin.
const coolMargin = 3

// PlanSweep lays out a sweep: each point runs for minPoint at least, and waits up to
// coolDown for the GPU to be as cool as at the start. It arms clock control. axes are the
// knobs that the sweep goes through.
func (o *Config) PlanSweep(r *rig.Rig, specs []engine.ModelSpec, data []plan.Dataset, minPoint, coolDown time.Duration) (todo engine.Plan, axes []plan.Axis, err error) {
	o.Work.Knobs = r.Knobs
	if r.Note != "" {
		return todo, nil, usage.Errorf("sweep: %s", r.Note)
	}
	if err := r.ArmForRun(); err != nil {
		return todo, nil, err
	}
	if axes, err = plan.ParseAxes(o.Work.Clocks, o.Work.Sweeps, r.Info, r.Knobs); err != nil {
		return todo, nil, err
	}
	settings := plan.Settings(axes)
	if event.PolicyOf(o.Work.Policy).Kind != event.NoPolicy {
		settings = append(settings, plan.ByPolicy(o.Work.Policy))
	}
	list := o.points(r, specs, data, settings)
	points, err := list(o.Work.Repeats)
	if err != nil {
		return todo, nil, err
	}
	todo = plan.Sweep(points, o.Rig.Seed)
	if err := o.repeatUntil(&todo, list); err != nil {
		return todo, nil, err
	}
	todo.MinPoint, todo.Cooldown, todo.CoolMargin = minPoint, coolDown, coolMargin
	if o.Work.Blocks {
		todo.Blocks = plan.BlockTime
	}
	return todo, axes, nil
}
