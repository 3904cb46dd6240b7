package sampler

import (
	"fmt"
	"sync"
	"time"
)

// problems limits how often the same trouble is told.
type problems struct {
	tell func(error)
	mu   sync.Mutex
	last map[string]*problem
}

type problem struct {
	told  int64
	count int // since told
}

const problemEvery = int64(10 * time.Second)

func (p *problems) report(t int64, what string, err error) {
	p.mu.Lock()
	q, known := p.last[what]
	if !known {
		q = &problem{told: t}
		p.last[what] = q
	}
	q.count++
	count, due := q.count, !known || t-q.told >= problemEvery && !hopeless(err)
	if due {
		q.told, q.count = t, 0
	}
	p.mu.Unlock()
	switch {
	case due && count > 1:
		p.tell(fmt.Errorf("%w (%d times since last told)", err, count))
	case due && hopeless(err) && what == "poll":
		p.tell(fmt.Errorf("it stays unknown: %w", err))
	case due && hopeless(err):
		p.tell(fmt.Errorf("power source %s is no longer read: %w", what, err))
	case due:
		p.tell(err)
	}
}
