package rig

import (
	"path/filepath"
	"strings"

	"jouletop/engine"
	"jouletop/engine/event"
	"jouletop/engine/usage"
)

// Drafts tells whether something is to draft tokens.
func (o *Config) Drafts() bool { return o.DraftModel != "" || o.Draft != "" }

// DraftFlag is the flag that says what drafts, with its value.
func (o *Config) DraftFlag() string {
	if o.Draft != "" {
		return "--draft " + o.Draft
	}
	return "--draft-model " + o.DraftModel
}

func (o *Config) checkDrafts() error {
	switch {
	case !o.Drafts():
		return nil
	case o.Draft != "" && o.DraftModel != "":
		return usage.Errorf("--draft-model %s and --draft %s: give one", o.DraftModel, o.Draft)
	case o.Draft != "" && o.Draft != event.DraftNGram:
		return usage.Errorf("--draft %q: want %s; a model that drafts is --draft-model", o.Draft, event.DraftNGram)
	case o.URL != "" || o.Backend == "remote":
		return usage.Errorf("%s: a server drafts by itself, as it was started; leave it out", o.DraftFlag())
	}
	return nil
}

// drafter is what drafts tokens for a backend's models; the zero value where nothing does.
func (o *Config) drafter(backend string) (engine.Drafter, error) {
	d := engine.Drafter{Name: o.DraftModel}
	switch {
	case !o.Drafts():
		return engine.Drafter{}, nil
	case o.Draft != "":
		return engine.Drafter{Name: o.Draft}, nil
	case o.DraftModel == event.DraftSelf:
	case backend == "sim":
		if !simKnows(d.Name) {
			return d, usage.Errorf("--draft-model %s: want %s, or a shape that the simulated model knows: %s", d.Name, event.DraftSelf, strings.Join(SimNames(), ", "))
		}
	case backend == "llama":
		f, err := resolveModel(d.Name)
		if err != nil {
			return d, err
		}
		d.Path = f.Path
		if d.Path == d.Name {
			d.Name = strings.TrimSuffix(filepath.Base(d.Name), ".gguf")
		}
	}
	return d, nil
}
