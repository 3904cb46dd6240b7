package rig

import (
	"jouletop/engine/simllm"
	"jouletop/workloads"
	"jouletop/workloads/features"
)

// simOptions lets the simulated model's quality follow the queries' features.
func simOptions() []simllm.Option {
	return []simllm.Option{simllm.WithFeatures(func(q workloads.Query) (entityDensity, causal float64, ok bool) {
		f, ok := features.Of(q)
		return f.EntityDensity, f.CausalScore, ok
	})}
}
