package features

import (
	"sync"

	"jouletop/workloads"
)

// cache extracts a query's features once: a sweep runs the same queries
// at every point. The extractor is loaded when the first query is looked at.
type cache struct {
	load func() (*Extractor, error)
	mu   sync.Mutex
	of   map[[2]string]Features
}

var extracted = &cache{load: sync.OnceValues(New), of: map[[2]string]Features{}}

func (c *cache) get(q workloads.Query) (Features, bool) {
	key := [2]string{q.Dataset, q.ID}
	c.mu.Lock()
	defer c.mu.Unlock()
	if f, ok := c.of[key]; ok {
		return f, true
	}
	x, err := c.load()
	if err != nil {
		return Features{}, false
	}
	f := x.Extract(q)
	c.of[key] = f
	return f, true
}

// Of returns the query's features, extracted once; ok is false where they
// cannot be had.
func Of(q workloads.Query) (f Features, ok bool) { return extracted.get(q) }

// ClassOf is the query's difficulty class by the rule: easy or hard; empty where
// the features cannot be had.
func ClassOf(q workloads.Query) string {
	f, ok := Of(q)
	if !ok {
		return ""
	}
	return string(f.Class)
}
