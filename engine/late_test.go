package engine_test

import (
	"context"
	"errors"
	"math"
	"testing"
	"time"

	"jouletop/engine"
	"jouletop/engine/event"
	"jouletop/gpu/timebase"
)

// server is a backend that sees its phases from outside: of two requests the
// second is turned away until the first has long ended.
type server struct {
	clk   timebase.Clock
	load  func(event.Phase)
	warms int
	warm  []error // of the warm-ups, in turn
}

const pause = 2 * time.Second

func (s *server) Name() string                    { return "remote" }
func (s *server) CountTokens(string) (int, error) { return 1, nil }
func (s *server) Close() error                    { return nil }
func (s *server) Load(context.Context, engine.ModelSpec, func(float64)) (engine.ModelInfo, error) {
	return engine.ModelInfo{Name: "m"}, nil
}

func (s *server) Run(ctx context.Context, b engine.Batch, o engine.Observer) ([]engine.Result, error) {
	var out []engine.Result
	for i := range b.Requests {
		if b.WarmUp {
			s.warms++
			r := engine.Result{Quality: math.NaN()}
			if len(s.warm) > 0 {
				r.Err, s.warm = s.warm[0], s.warm[1:]
			}
			out = append(out, r)
			continue
		}
		if i > 0 {
			o.PhaseStart(event.Idle, s.clk.Now(), 0)
			s.load(event.Idle)
			_ = s.clk.Sleep(ctx, pause)
			o.(engine.LateObserver).Phase(event.Idle, out[i-1].EndNS, s.clk.Now(), 0)
		}
		start := s.clk.Now()
		o.PhaseStart(event.Prefill, start, -1)
		s.load(event.Mixed)
		_ = s.clk.Sleep(ctx, time.Second)
		end := s.clk.Now()
		o.(engine.LateObserver).Phase(event.Mixed, start, end, 5)
		out = append(out, engine.Result{StartNS: start, EndNS: end, FirstTokenNS: start + 1e8, InputTokens: -1, OutputTokens: 5, CachedTokens: 3, Quality: math.NaN(), Flags: event.FlagsOf(event.FlagCachedTokens)})
	}
	return out, nil
}

func onServer(t *testing.T, warm []error, n, batch int) (*bench, *server) {
	t.Helper()
	s := &server{warm: warm}
	b := &bench{wrap: func(engine.Backend) engine.Backend { return s }}
	simulateIn(t, b, []string{"h100"}, func(b *bench) {
		s.clk = b.clk
		s.load = func(p event.Phase) {
			if p == event.Idle {
				b.gpus[0].SetLoad(0, 0)
			} else {
				b.gpus[0].SetLoad(0.014, 0.56)
			}
		}
		pt := point("m", n, batch, nil)
		_ = b.engine.Run(context.Background(), engine.Plan{Name: "run", Points: []engine.PointPlan{pt}, Idle: time.Second})
	})
	return b, s
}

// A pause within a batch, in which one of its requests waited to be accepted,
// is an idle phase of its own: it is in the energy, the time and the share of no
// request.
func TestPausesBelongToNoRequest(t *testing.T) {
	alone, _ := onServer(t, nil, 2, 1)
	both, _ := onServer(t, nil, 2, 2)
	want := of[event.RequestEnergy](alone)
	got := of[event.RequestEnergy](both)
	if len(want) != 2 || len(got) != 2 {
		t.Fatalf("%d and %d requests", len(want), len(got))
	}
	for i, r := range got {
		if math.Abs(r.EnergyJ/want[i].EnergyJ-1) > 0.05 || !(r.NetEnergyJ < r.EnergyJ) || math.Abs(r.NetEnergyJ/want[i].NetEnergyJ-1) > 0.05 {
			t.Errorf("%.1f J (net %.1f) with a pause beside it, %.1f J (net %.1f) alone", r.EnergyJ, r.NetEnergyJ, want[i].EnergyJ, want[i].NetEnergyJ)
		}
		if !math.IsNaN(r.PrefillS) || !math.IsNaN(r.DecodeS) || r.CachedTokens != 3 || math.Abs(r.TTFTS-0.1) > 1e-9 {
			t.Errorf("%+v", r.Request)
		}
	}
	var pauses int
	for _, p := range of[event.PhaseEnergy](both) {
		if p.Phase == event.Idle && p.BatchID != "" {
			pauses++
			if seconds := float64(p.EndNS-p.StartNS) / 1e9; math.Abs(seconds-pause.Seconds()) > 1e-6 || !(p.EnergyJ > 0) {
				t.Errorf("a pause of %g s, %g J", seconds, p.EnergyJ)
			}
		}
	}
	if pauses != 1 {
		t.Errorf("%d pauses", pauses)
	}
	a, b := of[event.PointDone](alone)[0], of[event.PointDone](both)[0]
	if math.Abs(b.EnergyJ/a.EnergyJ-1) > 0.05 || math.Abs(b.MeanPowerW/a.MeanPowerW-1) > 0.05 || !math.IsNaN(b.PrefillEnergyJ) || !math.IsNaN(b.InputTokens) || b.OutputTokens != 5 {
		t.Errorf("point %+v, alone %+v", b, a)
	}
	if !b.Flags.Has(event.FlagCachedTokens) {
		t.Errorf("flags %s", b.Flags)
	}
}

func TestWarmUpMustSucceed(t *testing.T) {
	broken := errors.New("the model could not be loaded")
	for name, c := range map[string]struct {
		warm  []error
		warms int
		err   bool
	}{
		"well":                          {nil, 1, false},
		"the server's fault":            {[]error{broken}, 1, true},
		"the query's fault":             {[]error{engine.ErrTooLong, engine.ErrNoAnswer}, 3, false},
		"the query's, then the servers": {[]error{engine.ErrTooLong, broken}, 2, true},
		"all queries' fault":            {[]error{engine.ErrTooLong, engine.ErrTooLong, engine.ErrTooLong}, 3, true},
	} {
		b, s := onServer(t, c.warm, 3, 1)
		p := of[event.PointDone](b)
		if len(p) != 1 || (p[0].PointResult.Err != "") != c.err || s.warms != c.warms {
			t.Errorf("%s: %d warm-ups, points %+v", name, s.warms, p)
		}
		loads := of[event.ModelLoading](b)
		if !c.err && (len(loads) == 0 || loads[len(loads)-1].Progress != 1) {
			t.Errorf("%s: loading %+v", name, loads)
		}
	}
}
