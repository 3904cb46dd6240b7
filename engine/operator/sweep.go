package operator

import (
	"slices"

	"jouletop/engine/event"
	"jouletop/engine/session"
	"jouletop/engine/usage"
)

// OpenSweep creates the session, or takes up the one to resume, whose plan must
// be this one.
func OpenSweep(o *Config, m session.Manifest) (*session.Recorder, []event.PointDone, error) {
	if !o.Resume {
		rec, err := o.CreateSession(m, "sweep")
		return rec, nil, err
	}
	old, err := session.ReadManifest(o.Session)
	if err != nil {
		return nil, nil, err
	}
	switch {
	case old.Name != "sweep":
		return nil, nil, usage.Errorf("--resume: %s is no sweep", o.Session)
	case !slices.EqualFunc(old.GPUs, m.GPUs, func(a, b session.GPU) bool { return a.ID == b.ID }):
		return nil, nil, usage.Errorf("--resume: the sweep in %s ran on another GPU", o.Session)
	case old.Plan.Chat != m.Plan.Chat:
		return nil, nil, usage.Errorf("--resume: the sweep in %s ran %s --chat; give the same flags as at its start", o.Session, withOrWithout(old.Plan.Chat))
	case old.Seed != m.Seed || old.Plan.MaxTokens != m.Plan.MaxTokens || old.Plan.Queries != m.Plan.Queries ||
		!slices.Equal(old.Plan.Points, m.Plan.Points):
		return nil, nil, usage.Errorf("--resume: the sweep in %s had another plan; give the same flags as at its start", o.Session)
	}
	return session.Resume(o.Session)
}

func withOrWithout(on bool) string {
	if on {
		return "with"
	}
	return "without"
}
