package main

import (
	"sync"

	"jouletop/engine/simllm"
	"jouletop/workloads"
	"jouletop/workloads/features"
)

// featureCache extracts a query's features once: a sweep runs the same queries
// at every point. The extractor is loaded when the first query is looked at.
type featureCache struct {
	load func() (*features.Extractor, error)
	mu   sync.Mutex
	of   map[[2]string]features.Features
}

var queryFeatures = &featureCache{load: sync.OnceValues(features.New), of: map[[2]string]features.Features{}}

func (c *featureCache) get(q workloads.Query) (features.Features, bool) {
	key := [2]string{q.Dataset, q.ID}
	c.mu.Lock()
	defer c.mu.Unlock()
	if f, ok := c.of[key]; ok {
		return f, true
	}
	x, err := c.load()
	if err != nil {
		return features.Features{}, false
	}
	f := x.Extract(q)
	c.of[key] = f
	return f, true
}

// classOf is the query's difficulty class by the rule: easy or hard; empty where
// the features cannot be had.
func classOf(q workloads.Query) string {
	f, ok := queryFeatures.get(q)
	if !ok {
		return ""
	}
	return string(f.Class)
}

// simOptions lets the simulated model's quality follow the queries' features.
func simOptions() []simllm.Option {
	return []simllm.Option{simllm.WithFeatures(func(q workloads.Query) (entityDensity, causal float64, ok bool) {
		f, ok := queryFeatures.get(q)
		return f.EntityDensity, f.CausalScore, ok
	})}
}
