package main

import (
	"strings"

	"jouletop/engine"
	"jouletop/engine/remote"
)

// newRemote opens a server; what its figures lack is told as warnings.
func newRemote(o *options, r *rig) (engine.Backend, error) {
	b, err := remote.New(remote.Options{URL: o.url, Warn: r.notify})
	if err != nil {
		return nil, usageError{err}
	}
	return b, nil
}

// backendNotes are what the backend's figures hold that one might not expect.
func (r *rig) backendNotes() []string {
	if r.backend == nil || r.backend.Name() != "remote" {
		return nil
	}
	return []string{"on a server a prefill ends with the first token: the time that a request waits there is in it"}
}

// refuseOverlap refuses clocks by phase where requests are in different phases
// at once.
func (o *options) refuseOverlap(r *rig, spec string) error {
	if r.backend == nil || r.backend.Name() != "remote" || !strings.HasPrefix(spec, "phase:") {
		return nil
	}
	for _, b := range o.batches {
		if b > 1 {
			return usagef("--policy %s: with %d requests at once on a server their phases overlap; use --batch 1 or a fixed clock", spec, b)
		}
	}
	return nil
}
