package engine_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"jouletop/engine"
	"jouletop/engine/event"
)

// mortal is a backend that dies in some of its runs (the warm-ups not counted):
// before it begins, or within the prefill. Loading revives it.
type mortal struct {
	engine.Backend
	before, within func(run int) bool // whether to die in that run, from 1
	killer         string             // the id of a query that always kills
	fragile        int                // loads after the first that die
	runs, loads    int
	dead           bool
}

func (m *mortal) Load(ctx context.Context, spec engine.ModelSpec, progress func(float64)) (engine.ModelInfo, error) {
	m.loads++
	if m.dead && m.fragile > 0 {
		m.fragile--
		return engine.ModelInfo{}, engine.ErrBackendDied
	}
	m.dead = false
	return m.Backend.Load(ctx, spec, progress)
}

func (m *mortal) Run(ctx context.Context, b engine.Batch, obs engine.Observer) ([]engine.Result, error) {
	if slices.ContainsFunc(b.Requests, func(r engine.Request) bool { return r.Query.ID == m.killer }) {
		m.dead = true
		return nil, engine.ErrBackendDied
	}
	if b.ID == "warm-up" {
		return m.Backend.Run(ctx, b, obs)
	}
	m.runs++
	switch {
	case m.before != nil && m.before(m.runs), m.dead:
		m.dead = true
		return nil, engine.ErrBackendDied
	case m.within != nil && m.within(m.runs):
		m.dead = true
		_, err := m.Backend.Run(ctx, b, halfHeard{obs})
		return nil, errors.Join(engine.ErrBackendDied, err)
	}
	return m.Backend.Run(ctx, b, obs)
}

// in tells of these runs.
func in(runs ...int) func(int) bool { return func(n int) bool { return slices.Contains(runs, n) } }

// halfHeard hears no end.
type halfHeard struct{ engine.Observer }

func (h halfHeard) PhaseStart(p event.Phase, t int64, tokens int) {
	if p == event.Prefill {
		h.Observer.PhaseStart(p, t, tokens)
	}
}

func (halfHeard) PhaseEnd(event.Phase, int64, int) {}
func (halfHeard) Token(int, int64, string)         {}

func runMortal(t *testing.T, m *mortal, queries, batch int) (*bench, error) {
	t.Helper()
	var err error
	b := simulateIn(t, &bench{wrap: func(sim engine.Backend) engine.Backend { m.Backend = sim; return m }}, []string{"h100"}, func(b *bench) {
		p1, p2 := point("llama-3.2-1b", queries, batch, nil), point("llama-3.2-1b", queries, batch, nil)
		p2.PointID += ".2"
		err = b.engine.Run(context.Background(), engine.Plan{Name: "run", Points: []engine.PointPlan{p1, p2}, Idle: time.Second})
	})
	starts, ends := len(of[event.PhaseStart](b)), len(of[event.PhaseEnd](b))
	if starts != ends {
		t.Errorf("%d phases began, %d ended", starts, ends)
	}
	return b, err
}

// answered counts a bench's requests: done, and of those failed.
func answered(b *bench) (done, failed int) {
	for _, r := range of[event.RequestDone](b) {
		if done++; r.Err != "" {
			failed++
		}
	}
	return done, failed
}

// TestDeathBetweenBatches: nothing is lost with a backend that did nothing.
func TestDeathBetweenBatches(t *testing.T) {
	m := &mortal{before: in(2)}
	b, err := runMortal(t, m, 4, 2)
	if done, failed := answered(b); err != nil || m.loads != 2 || done != 8 || failed != 0 {
		t.Errorf("%d of %d requests failed, %d loads: %v", failed, done, m.loads, err)
	}
}

// TestDeathInPhase: the batch fails, its phase ends, what it cost is no query's,
// and all others run on a fresh backend.
func TestDeathInPhase(t *testing.T) {
	m := &mortal{within: in(2)}
	b, err := runMortal(t, m, 4, 2)
	if done, failed := answered(b); err != nil || m.loads != 2 || done != 8 || failed != 2 {
		t.Errorf("%d of %d requests failed, %d loads: %v", failed, done, m.loads, err)
	}
	done := of[event.PointDone](b)
	if len(done) != 2 || done[0].PointResult.Err == "" || done[1].PointResult.Err != "" || done[0].Flags != event.FlagsOf(event.FlagFailedRequests, event.FlagBackendDied) {
		t.Fatalf("points %+v", done)
	}
	if whole, half := done[1].EnergyJ, done[0].EnergyJ; half < 0.8*whole || half > 1.2*whole {
		t.Errorf("%.1f J a query where the backend died, %.1f J where not", half, whole)
	}
	if w := of[event.Warning](b); len(w) != 1 || !strings.Contains(w[0].Text, "is lost with its 2 requests") {
		t.Errorf("warnings %+v", w)
	}
}

// TestDeathsCostTheirBatches: five deaths in sixty queries, some of a backend
// that has just been started again.
func TestDeathsCostTheirBatches(t *testing.T) {
	m := &mortal{within: in(3, 4, 20, 31, 58), fragile: 2}
	b, err := runMortal(t, m, 30, 1)
	if done, failed := answered(b); err != nil || done != 60 || failed != 5 || m.loads != 1+5+2 {
		t.Errorf("%d of %d requests failed, %d loads: %v", failed, done, m.loads, err)
	}
}

// TestFirstQueryKills: the one that the backend warms up with.
func TestFirstQueryKills(t *testing.T) {
	m := &mortal{killer: "0"}
	b, err := runMortal(t, m, 6, 2)
	if done, failed := answered(b); err != nil || done != 12 || failed != 4 {
		t.Errorf("%d of %d requests failed: %v", failed, done, err)
	}
}

// TestPointIsGivenUp: where every batch kills, the point ends in time, and the
// run with it.
func TestPointIsGivenUp(t *testing.T) {
	m := &mortal{within: func(int) bool { return true }}
	b, err := runMortal(t, m, 20, 1)
	if done, failed := answered(b); done != 6 || failed != 6 || !errors.Is(err, engine.ErrBackendDied) || !strings.Contains(err.Error(), "given up after 3 batches in a row") {
		t.Errorf("%d of %d requests failed: %v", failed, done, err)
	}
	m = &mortal{within: in(2), fragile: 100}
	b, err = runMortal(t, m, 20, 1)
	if done, _ := answered(b); done != 2 || err == nil || !strings.Contains(err.Error(), "given up after 3 fresh starts") {
		t.Errorf("%d requests, %d loads: %v", done, m.loads, err)
	}
}

// TestLoadKills: a model that kills what loads it is not tried again.
func TestLoadKills(t *testing.T) {
	m := &mortal{dead: true, fragile: 100}
	if _, err := runMortal(t, m, 2, 1); !errors.Is(err, engine.ErrBackendDied) || m.loads != 2 { // one a point
		t.Errorf("%d loads: %v", m.loads, err)
	}
}
