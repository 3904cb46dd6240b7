package rig

import (
	"fmt"

	"jouletop/engine"
	"jouletop/engine/llama"
	"jouletop/engine/models"
	"jouletop/engine/simllm"
)

// FitTokens is how many tokens the request has for which a model must fit.
const FitTokens = 1024

// resolveModel finds a model's file and reads its header, so that a file that is
// no model is refused, with the reason that `jouletop models` gives, before
// anything has begun.
func resolveModel(name string) (models.Found, error) {
	f, err := models.Resolve(models.Options{}, name)
	if err != nil {
		return f, err
	}
	if f = models.Inspect(f.Path); f.Problem != "" {
		return f, fmt.Errorf("model %s: %w: %s", name, engine.ErrModel, f.Problem)
	}
	if f.Unknown != "" && !llama.Installed() {
		return f, fmt.Errorf("model %s: %w: %s, which the llama.cpp in this program does not have: make LLAMA_SRC=FOLDER builds it with a newer one", name, engine.ErrModel, f.Unknown)
	}
	return f, nil
}

// simKnows tells whether the simulated model has a shape of that name.
func simKnows(name string) bool {
	_, err := simllm.ShapeByName(name)
	return err == nil
}

// SimNames lists the shapes of the simulated model.
func SimNames() []string {
	var out []string
	for _, s := range simllm.Shapes() {
		out = append(out, s.Name)
	}
	return out
}
