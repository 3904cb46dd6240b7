package features

import (
	"hash/maphash"
	"sync"

	"jouletop/workloads"
)

// cache extracts a query's features once: a sweep runs the same queries
// at every point. The extractor is loaded when the first query is looked at.
type cache struct {
	load func() (*Extractor, error)
	mu   sync.Mutex
	seed maphash.Seed
	of   map[uint64]Features // by what a query says: its name may come to mean another text
}

var extracted = newCache()

func newCache() *cache {
	return &cache{load: sync.OnceValues(New), seed: maphash.MakeSeed(), of: map[uint64]Features{}}
}

func (c *cache) get(q workloads.Query) (Features, bool) {
	key := maphash.Comparable(c.seed, [3]string{q.Text, q.Prompt, q.Question})
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
