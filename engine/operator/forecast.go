package operator

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"sync"

	"jouletop/engine"
	"jouletop/engine/event"
)

// forecast learns from the points that have run how long others will take. It observes
// the stream.
type forecast struct {
	mu      sync.Mutex
	started map[string]underway // points that run
	ended   map[string]bool     // points that are done
	took    map[work]map[setting]mean
}

// underway is a point that runs.
type underway struct {
	event.Point
	began, last int64 // ns: its start, and the end of the last request that ended
	done        int   // requests that have
}

// setting is the clock, MHz, or the policy where that chooses it.
type setting struct {
	mhz    int
	policy string
}

func settingOf(p event.Point) setting {
	if p.RequestedSMMHz > 0 {
		return setting{mhz: p.RequestedSMMHz}
	}
	return setting{policy: p.Policy}
}

// work is what points of the same kind have in common but for the clock.
type work struct {
	model, dataset string
	batch          int
	event.Drafting
}

// mean is of seconds a query.
type mean struct {
	sum float64
	n   int
}

func (m mean) value() float64 { return m.sum / float64(m.n) }

func newForecast() *forecast {
	return &forecast{started: map[string]underway{}, ended: map[string]bool{}, took: map[work]map[setting]mean{}}
}

// observe takes an event of the stream.
func (f *forecast) observe(e event.Event) []event.Event {
	switch e := e.(type) {
	case event.PointStart:
		f.mu.Lock()
		f.started[e.PointID] = underway{Point: e.Point, began: e.TimeNS}
		f.mu.Unlock()
	case event.RequestDone:
		f.mu.Lock()
		if u, ok := f.started[e.PointID]; ok && e.Request.Err == "" {
			u.done, u.last = u.done+1, max(u.last, e.EndNS)
			f.started[e.PointID] = u
		}
		f.mu.Unlock()
	case event.RunEnd:
		f.mu.Lock()
		clear(f.started) // what was cut short has no result
		f.mu.Unlock()
	case event.PointDone:
		f.mu.Lock()
		defer f.mu.Unlock()
		u, ok := f.started[e.PointID]
		delete(f.started, e.PointID)
		f.ended[e.PointID] = true
		seconds := float64(e.TimeNS-u.began) / 1e9
		if !ok || e.PointResult.Err != "" || e.Queries <= 0 || !(seconds > 0) {
			break
		}
		w := work{e.Model, e.Dataset, e.BatchSize, e.Drafting}
		if f.took[w] == nil {
			f.took[w] = map[setting]mean{}
		}
		m := f.took[w][settingOf(e.Point)]
		f.took[w][settingOf(e.Point)] = mean{m.sum + seconds/float64(e.Queries), m.n + 1}
	}
	return nil
}

// seen is what is known of how long work takes: by points that are done, and, of settings
// without one, by those that run.
func (f *forecast) seen() map[work]map[setting]mean {
	out := map[work]map[setting]mean{}
	for w, by := range f.took {
		out[w] = maps.Clone(by)
	}
	for _, u := range f.started {
		w, s := work{u.Model, u.Dataset, u.BatchSize, u.Drafting}, settingOf(u.Point)
		if _, known := out[w][s]; known || u.done == 0 || u.last <= u.began {
			continue
		}
		if out[w] == nil {
			out[w] = map[setting]mean{}
		}
		out[w][s] = mean{float64(u.last-u.began) / 1e9 / float64(u.done), 1}
	}
	return out
}

// seconds is how long a point takes, about; NaN where nothing of its model has run.
// Where the same work ran at other clocks the time is taken to be a + b/clock: what
// waits for memory, and what waits for the SMs. rough: only other work of the model ran.
func (f *forecast) seconds(p event.Point) (s float64, rough bool) { return secondsOf(p, f.seen()) }

func secondsOf(p event.Point, seen map[work]map[setting]mean) (s float64, rough bool) {
	queries := float64(max(p.Queries, 1))
	clocks := seen[work{p.Model, p.Dataset, p.BatchSize, p.Drafting}]
	if m, ok := clocks[settingOf(p)]; ok {
		return m.value() * queries, false
	}
	if len(clocks) > 0 {
		return atClock(clocks, p.RequestedSMMHz) * queries, false
	}
	var all mean
	for w, clocks := range seen {
		if w.model != p.Model {
			continue
		}
		for _, m := range clocks {
			// A batch takes about as long whatever its size.
			all.sum += m.value() * float64(max(w.batch, 1)) / float64(max(p.BatchSize, 1))
			all.n++
		}
	}
	return all.value() * queries, true // NaN of none
}

// atClock is the seconds a query at a clock that work did not run at.
func atClock(clocks map[setting]mean, mhz int) float64 {
	var n, sx, sy, sxx, sxy float64
	known := slices.SortedFunc(maps.Keys(clocks), func(a, b setting) int { return cmp.Or(a.mhz-b.mhz, cmp.Compare(a.policy, b.policy)) })
	for _, at := range known {
		if y := clocks[at].value(); at.mhz > 0 {
			x := 1 / float64(at.mhz)
			n, sx, sy, sxx, sxy = n+1, sx+x, sy+y, sxx+x*x, sxy+x*y
		}
	}
	if d := n*sxx - sx*sx; mhz > 0 && n >= 2 && d > 0 {
		b := max((n*sxy-sx*sy)/d, 0)
		a := (sy - b*sx) / n
		if t := a + b/float64(mhz); t > 0 {
			return t
		}
	}
	var all mean
	for _, at := range known {
		all.sum, all.n = all.sum+clocks[at].value(), all.n+1
	}
	return all.value()
}

// left is how long those of the points take that are not done, how many are, and of how
// many it is not known: they are not in the seconds, which are NaN where that is all.
func (f *forecast) left(points []engine.PointPlan, now int64) (seconds float64, rough bool, done, unknown int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	seen := f.seen()
	for _, p := range points {
		if f.ended[p.PointID] {
			done++
			continue
		}
		s, r := secondsOf(p.Point, seen)
		if math.IsNaN(s) {
			unknown++
			continue
		}
		if u, runs := f.started[p.PointID]; runs {
			s = max(s-float64(now-u.began)/1e9, 0)
		}
		seconds += s
		rough = rough || r
	}
	if unknown > 0 && unknown == len(points)-done {
		seconds = math.NaN()
	}
	return seconds, rough, done, unknown
}
