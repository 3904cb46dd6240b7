// Package operator runs sessions: it records a plan ([Record]), or answers a dashboard's
// operator over a running session ([Start]) or a recorded one ([Play]). It implements
// command.Controller.
package operator

import (
	"time"

	"jouletop/engine/plan"
	"jouletop/engine/rig"
	"jouletop/engine/session"
	"jouletop/engine/telemetry"
	"jouletop/engine/usage"
)

// Config is all that a recorded session is made from.
type Config struct {
	Rig   rig.Config
	Work  plan.Work
	Serve plan.Serving // how requests come, where they do by themselves
	SLO   string       // service level that they are counted by, for the dashboard; "" none

	Session string // folder; "" is a new one in the default place
	Samples string // telemetry to keep: full, thin, none
	Resume  bool
	Program string // name and version, for the manifest

	Telemetry telemetry.Options // where others are told what is measured while it runs
}

// Settle finds what is wrong with a configuration taken alone, and settles what follows
// from other parts of it.
func (o *Config) Settle() error {
	if err := o.Work.Check(); err != nil {
		return err
	}
	if err := o.Rig.Check(); err != nil {
		return err
	}
	if err := o.Work.SettleDrafts(o.Rig.Drafts()); err != nil {
		return err
	}
	if o.Rig.Drafts() && o.Serve.On() {
		return usage.Errorf("tokens are drafted for batches, not for requests that are served as they come: leave out %s, or --arrivals and --concurrency", o.Rig.DraftFlag())
	}
	if _, err := session.ParseKeep(o.Samples); err != nil {
		return usage.Wrap(err)
	}
	if push := o.Telemetry.Push; push != "" {
		if err := telemetry.CheckEndpoint("--otlp", push); err != nil {
			return err
		}
	}
	o.Rig.Template = o.Work.Chat
	if o.Work.Route != "" {
		o.Rig.SimModels = plan.RouteModels
	}
	return nil
}

// CreateSession starts recording into --session, or a new folder of the default
// place.
func (o *Config) CreateSession(m session.Manifest, what string) (*session.Recorder, error) {
	keep, err := session.ParseKeep(o.Samples)
	if err != nil {
		return nil, usage.Wrap(err)
	}
	dir := o.Session
	if dir == "" {
		if dir, err = session.NewFolder(session.DefaultDir(), time.Now().Format("2006-01-02-150405")+"-"+what); err != nil {
			return nil, err
		}
	}
	return session.Create(dir, m, keep)
}
