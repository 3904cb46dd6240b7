package operator

import (
	"errors"

	"jouletop/engine"
	"jouletop/engine/event"
	"jouletop/engine/policy"
	"jouletop/engine/rig"
	"jouletop/engine/session"
	"jouletop/engine/stream"
	"jouletop/engine/usage"
)

// open starts the recording and queues the first job.
func open(r *rig.Rig, rec *session.Recorder, lib *library, o *Config, observers []stream.Observe) (*Controller, error) {
	rc, err := startRecording(r, rec, nil, func(e *engine.Engine, _ error) { e.Pause() })
	if err != nil {
		return nil, errors.Join(err, rec.Close())
	}
	rc.describe()
	c := &Controller{recording: rc, lib: lib, o: o, events: rc.stream.Subscribe(4096), policy: engine.NoPolicy{}, times: newForecast()}
	rc.stream.Observe(c.lost)
	rc.stream.Observe(c.times.observe)
	for _, observe := range observers {
		rc.stream.Observe(observe)
	}
	rc.sayNotes()
	c.jobs = newJobQueue(rc.engine, r.Clock, c.restore)
	if err := errors.Join(rc.watchOthers(), c.begin(o.Work.Policy)); err != nil {
		return nil, errors.Join(err, rc.finish(err))
	}
	if r.Backend == nil {
		return c, nil
	}
	plan, err := lib.firstPlan()
	if err != nil {
		rc.engine.Warn(err.Error())
		return c, nil
	}
	return c, c.enqueue(job{name: "every dataset with the first model", plan: plan}, false)
}

// Start opens the session and works what is asked for, within the rig's clock, until it
// ends; wait returns how it ended. observers hear every event too.
func Start(r *rig.Rig, rec *session.Recorder, lib *library, o *Config, observers ...stream.Observe) (c *Controller, wait func() error, err error) {
	opened, ended := make(chan *Controller, 1), make(chan error, 1)
	go func() {
		ended <- r.Do(func() error {
			c, err := open(r, rec, lib, o, observers)
			if err != nil {
				close(opened)
				return err
			}
			opened <- c
			return c.finish(c.jobs.run())
		})
	}()
	if c, ok := <-opened; ok {
		return c, func() error { return <-ended }, nil
	}
	return nil, nil, <-ended
}

// Abandon ends the session without waiting for the batch in hand.
func (c *Controller) Abandon() { c.jobs.abandon() }

// Source is the stream as the dashboard reads it.
func (c *Controller) Source() *stream.Subscriber { return c.events }

// CheckPolicy finds what is wrong with --policy before anything is recorded.
func (o *Config) CheckPolicy(r *rig.Rig) error {
	if event.PolicyOf(o.Work.Policy).Kind != event.NoPolicy && !r.Controlled() {
		return usage.Errorf("--policy %s sets clocks; leave --read-only out", o.Work.Policy)
	}
	if _, err := policy.Parse(o.Work.Policy, r.Info, policy.Options{Knobs: r.Knobs}); err != nil {
		return usage.Wrap(err)
	}
	return o.RefuseMeaningless(r)
}

// CheckServe finds what is wrong with serving requests on what was opened, and begins to
// read what a server that is to serve them tells of itself.
func (o *Config) CheckServe(r *rig.Rig) error {
	if o.Serve.On() && r.Backend != nil && !engine.CanServe(r.Backend) {
		return usage.Errorf("--arrivals and --concurrency: --backend %s runs batches alone", r.Backend.Name())
	}
	if !o.Serve.On() {
		return nil
	}
	return r.WatchServer(&o.Rig)
}
