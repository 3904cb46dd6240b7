package operator

import (
	"context"
	"errors"
	"runtime/debug"
	"slices"

	"jouletop/engine"
	"jouletop/engine/event"
	"jouletop/engine/plan"
	"jouletop/engine/rig"
	"jouletop/engine/session"
	"jouletop/engine/stream"
	"jouletop/engine/usage"
)

// Record runs the plan into rec, after the points before of a
// sweep taken up again. show is given the stream, and the trouble that ends the run. A
// done ctx ends it after the batch in hand, and so do a disk that takes no more and a
// clock that is lost; a done hard ends it at once, and so does a done ctx where it was
// ending already. That a point came to nothing is an error. observers hear every event
// too.
func Record(ctx, hard context.Context, r *rig.Rig, rec *session.Recorder, plan engine.Plan, data []plan.Dataset, before []event.PointDone, show func(sub *stream.Subscriber, trouble <-chan error), observers ...stream.Observe) (*Collected, error) {
	// Events live a moment. Simulated, they come by the million: collect them
	// seldom. Else memory is worth more than the little time.
	percent := 50
	if r.Sim != nil {
		percent = 400
	}
	defer debug.SetGCPercent(debug.SetGCPercent(percent))
	if more := plan.More; more != nil && len(before) > 0 {
		plan.More = func(done []event.PointDone) ([]engine.PointPlan, []string) {
			return more(slices.Concat(before, done))
		}
	}
	got := newCollector(before)
	var shown chan struct{}
	err := r.Do(func() error {
		trouble := make(chan error, 1)
		c, err := startRecording(r, rec, nil, func(e *engine.Engine, err error) {
			e.StopRun()
			trouble <- err
		})
		if err != nil {
			return errors.Join(err, rec.Close())
		}
		c.stream.Observe(got.observe)
		for _, o := range observers {
			c.stream.Observe(o)
		}
		c.describe()
		sub := c.stream.Subscribe(1000)
		shown = make(chan struct{})
		go func() {
			defer close(shown)
			show(sub, trouble)
		}()
		c.sayNotes()
		hard, end := context.WithCancel(hard)
		defer end()
		defer context.AfterFunc(ctx, func() {
			if c.engine.StopRun() {
				end()
			}
		})()
		for _, d := range data {
			for _, n := range d.Notes() {
				c.engine.Warn(n)
			}
		}
		err = c.watchOthers()
		if err == nil {
			err = c.engine.Run(hard, plan)
		}
		switch {
		case c.trouble.Load() != nil && errors.Is(err, engine.ErrStopped):
			err = rec.Err() // it ended the run
		case ctx.Err() != nil && (errors.Is(err, engine.ErrStopped) || hard.Err() != nil):
			err = ErrInterrupted
		case err == nil:
			err = errors.Join(got.failed(), got.clockFailed())
		}
		return errors.Join(err, c.finish(err))
	})
	if shown != nil {
		<-shown
	}
	return got, err
}

// RefuseMeaningless refuses what would look at joules that mean nothing.
func (o *Config) RefuseMeaningless(r *rig.Rig) error {
	if r.Note != "" && event.PolicyOf(o.Work.Policy).Searches() {
		return usage.Errorf("--policy %s: %s", o.Work.Policy, r.Note)
	}
	return r.RefuseOverlap(o.Work.Policy, o.Work.Batches)
}
