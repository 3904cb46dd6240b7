package operator

import (
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
	started map[string]int64 // points that run, ns
	ended   map[string]bool  // points that are done
	took    map[work]map[int]mean
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
	return &forecast{started: map[string]int64{}, ended: map[string]bool{}, took: map[work]map[int]mean{}}
}

// observe takes an event of the stream.
func (f *forecast) observe(e event.Event) []event.Event {
	switch e := e.(type) {
	case event.PointStart:
		f.mu.Lock()
		f.started[e.PointID] = e.TimeNS
		f.mu.Unlock()
	case event.PointDone:
		f.mu.Lock()
		defer f.mu.Unlock()
		began, ok := f.started[e.PointID]
		delete(f.started, e.PointID)
		f.ended[e.PointID] = true
		seconds := float64(e.TimeNS-began) / 1e9
		if !ok || e.PointResult.Err != "" || e.Queries <= 0 || !(seconds > 0) {
			break
		}
		w := work{e.Model, e.Dataset, e.BatchSize, e.Drafting}
		if f.took[w] == nil {
			f.took[w] = map[int]mean{}
		}
		m := f.took[w][e.RequestedSMMHz]
		f.took[w][e.RequestedSMMHz] = mean{m.sum + seconds/float64(e.Queries), m.n + 1}
	}
	return nil
}

// seconds is how long a point takes, about; NaN where nothing of its model has run.
// Where the same work ran at other clocks the time is taken to be a + b/clock: what
// waits for memory, and what waits for the SMs. rough: only other work of the model ran.
func (f *forecast) seconds(p event.Point) (s float64, rough bool) {
	queries := float64(max(p.Queries, 1))
	clocks := f.took[work{p.Model, p.Dataset, p.BatchSize, p.Drafting}]
	if m, ok := clocks[p.RequestedSMMHz]; ok {
		return m.value() * queries, false
	}
	if len(clocks) > 0 {
		return atClock(clocks, p.RequestedSMMHz) * queries, false
	}
	var all mean
	for w, clocks := range f.took {
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
func atClock(clocks map[int]mean, mhz int) float64 {
	var n, sx, sy, sxx, sxy float64
	for _, at := range slices.Sorted(maps.Keys(clocks)) {
		if y := clocks[at].value(); at > 0 {
			x := 1 / float64(at)
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
	for _, m := range clocks {
		all.sum, all.n = all.sum+m.value(), all.n+1
	}
	return all.value()
}

// left is how long those of the points take that are not done, and how many are.
func (f *forecast) left(points []engine.PointPlan, now int64) (seconds float64, rough bool, done int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range points {
		if f.ended[p.PointID] {
			done++
			continue
		}
		s, r := f.seconds(p.Point)
		if began, runs := f.started[p.PointID]; runs {
			s = max(s-float64(now-began)/1e9, 0)
			if math.IsNaN(s) {
				return s, true, done
			}
		}
		seconds += s
		rough = rough || r
	}
	return seconds, rough, done
}
