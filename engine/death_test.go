package engine_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"jouletop/engine"
	"jouletop/engine/event"
)

// mortal is a backend that dies in some of its runs (the warm-ups not counted):
// before it begins, or within the prefill. Loading revives it.
type mortal struct {
	engine.Backend
	before, within int // the run to die in, from 1; 0 never
	runs, loads    int
	dead           bool
}

func (m *mortal) Load(ctx context.Context, spec engine.ModelSpec, progress func(float64)) (engine.ModelInfo, error) {
	m.loads++
	m.dead = false
	return m.Backend.Load(ctx, spec, progress)
}

func (m *mortal) Run(ctx context.Context, b engine.Batch, obs engine.Observer) ([]engine.Result, error) {
	if b.ID == "warm-up" {
		return m.Backend.Run(ctx, b, obs)
	}
	m.runs++
	switch {
	case m.runs == m.before, m.dead:
		m.dead = true
		return nil, engine.ErrBackendDied
	case m.runs == m.within:
		m.dead = true
		_, err := m.Backend.Run(ctx, b, halfHeard{obs})
		return nil, errors.Join(engine.ErrBackendDied, err)
	}
	return m.Backend.Run(ctx, b, obs)
}

// halfHeard hears no end.
type halfHeard struct{ engine.Observer }

func (h halfHeard) PhaseStart(p event.Phase, t int64, tokens int) {
	if p == event.Prefill {
		h.Observer.PhaseStart(p, t, tokens)
	}
}

func (halfHeard) PhaseEnd(event.Phase, int64, int) {}
func (halfHeard) Token(int, int64, string)         {}

func runMortal(t *testing.T, m *mortal) (*bench, error) {
	t.Helper()
	var err error
	b := simulateIn(t, &bench{wrap: func(sim engine.Backend) engine.Backend { m.Backend = sim; return m }}, []string{"h100"}, func(b *bench) {
		p1, p2 := point("llama-3.2-1b", 4, 2, nil), point("llama-3.2-1b", 4, 2, nil)
		p2.PointID += ".2"
		err = b.engine.Run(context.Background(), engine.Plan{Name: "run", Points: []engine.PointPlan{p1, p2}, Idle: time.Second})
	})
	return b, err
}

// TestDeathBetweenBatches: nothing is lost with a backend that did nothing.
func TestDeathBetweenBatches(t *testing.T) {
	m := &mortal{before: 2}
	b, err := runMortal(t, m)
	if err != nil || m.loads != 2 {
		t.Fatal(m.loads, err)
	}
	for _, r := range of[event.RequestDone](b) {
		if r.Err != "" {
			t.Errorf("%s: %s", r.RequestID, r.Err)
		}
	}
	if n := len(of[event.RequestDone](b)); n != 8 {
		t.Errorf("%d requests", n)
	}
}

// TestDeathInPhase: the point fails, its phase ends, what it cost is no query's,
// and the next point runs on a fresh backend.
func TestDeathInPhase(t *testing.T) {
	m := &mortal{within: 2}
	b, err := runMortal(t, m)
	if err != nil || m.loads != 2 {
		t.Fatal(m.loads, err)
	}
	starts, ends := len(of[event.PhaseStart](b)), len(of[event.PhaseEnd](b))
	if starts != ends {
		t.Errorf("%d phases began, %d ended", starts, ends)
	}
	done := of[event.PointDone](b)
	if len(done) != 2 || done[0].PointResult.Err == "" || done[1].PointResult.Err != "" {
		t.Fatalf("points %+v", done)
	}
	if whole, half := done[1].EnergyJ, done[0].EnergyJ; half < 0.8*whole || half > 1.2*whole {
		t.Errorf("%.1f J a query where the backend died, %.1f J where not", half, whole)
	}
}
