package engine_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"jouletop/engine"
	"jouletop/engine/enginetest"
	"jouletop/engine/event"
	"jouletop/gpu/simgpu"
	"jouletop/gpu/timebase"
)

// watched is what came of a command.
type watched struct {
	gpu      *simgpu.GPU
	requests []event.RequestEnergy
	phases   []event.PhaseEnergy
	points   []event.PointDone
	done     event.CommandDone
	warnings []string
}

// watch has a command run on a simulated GPU, which run does within its time.
func watch(t *testing.T, run func(clk timebase.Clock, told func(engine.WatchedPart)) engine.WatchedEnd) (w watched) {
	t.Helper()
	enginetest.World{Seed: 3, GPU: []simgpu.Option{simgpu.WithTruth()}, Heard: func(ev event.Event) {
		switch ev := ev.(type) {
		case event.RequestEnergy:
			w.requests = append(w.requests, ev)
		case event.PhaseEnergy:
			w.phases = append(w.phases, ev)
		case event.PointDone:
			w.points = append(w.points, ev)
		case event.CommandDone:
			w.done = ev
		case event.Warning:
			w.warnings = append(w.warnings, ev.Text)
		}
	}, Load: func(g *simgpu.GPU, p event.Phase) {
		w.gpu = g
		g.SetLoad(0, 0)
		if p == event.Mixed {
			g.SetLoad(0.014, 0.56)
		}
	}}.Run(t, func(clk timebase.Clock, e *engine.Engine) error {
		ctx := context.Background()
		return e.Watch(ctx, ctx, engine.Watched{Name: "bench", Query: "bench -x", Idle: time.Second, Run: func(told func(engine.WatchedPart)) engine.WatchedEnd {
			return run(clk, told)
		}})
	})
	return w
}

// right tells whether an energy is what the GPU drew, as its sensors see it.
func (w watched) right(t *testing.T, what string, e event.Energy, from, to int64) {
	t.Helper()
	truth := w.gpu.Gain() * w.gpu.TrueEnergyJ(from, to)
	if !(math.Abs(e.EnergyJ-truth) <= 2*e.EnergyErrJ+0.003*truth) || !(e.EnergyErrJ < 0.02*truth+5) {
		t.Errorf("%s: %.1f ± %.1f J, true %.1f", what, e.EnergyJ, e.EnergyErrJ, truth)
	}
}

// A command's time is cut into its parts and what lies between, and all adds up.
func TestWatchParts(t *testing.T) {
	w := watch(t, func(clk timebase.Clock, told func(engine.WatchedPart)) engine.WatchedEnd {
		sleep(clk, 20*time.Second)
		told(engine.WatchedPart{Name: "pp512", Model: "m", Phase: event.Prefill, EndNS: clk.Now(), Seconds: 5, Input: 1000})
		sleep(clk, 3*time.Second)
		told(engine.WatchedPart{Name: "tg128", Model: "m", Phase: event.Decode, EndNS: clk.Now(), Seconds: 3, Output: 300})
		sleep(clk, time.Second)
		told(engine.WatchedPart{Name: "long", EndNS: clk.Now(), Seconds: 100, Input: 7})
		told(engine.WatchedPart{Name: "nowhere", EndNS: clk.Now(), Seconds: math.NaN(), Input: 7})
		told(engine.WatchedPart{Name: "tomorrow", EndNS: clk.Now() + 1e12, Seconds: 1e3, Input: 7})
		sleep(clk, 6*time.Second)
		return engine.WatchedEnd{EndNS: clk.Now(), Input: 5, Output: 5, Flags: event.FlagsOf(event.FlagCommandFailed)}
	})
	var got []string
	sum := 0.0
	for _, r := range w.requests {
		got = append(got, fmt.Sprintf("%s %s %.1f s, %d+%d %s", r.PointID, r.Dataset, r.LatencyS(), r.InputTokens, r.OutputTokens, r.Flags))
		w.right(t, r.RequestID, r.Energy, r.StartNS, r.EndNS)
		sum += r.EnergyJ
	}
	want := "watch bench 15.0 s, 0+0 ; watch.1.pp512 pp512 5.0 s, 1000+0 ; watch.2.tg128 tg128 3.0 s, 0+300 ; watch bench 7.0 s, -1+-1 command-failed"
	if text := strings.Join(got, "; "); text != want {
		t.Errorf("%s\nwant %s", text, want)
	}
	w.right(t, "whole", w.done.Energy, w.done.StartNS, w.done.EndNS)
	if math.Abs(sum-w.done.EnergyJ) > 0.002*sum {
		t.Errorf("parts are %.1f J, the whole %.1f", sum, w.done.EnergyJ)
	}
	if idle := (w.done.EnergyJ - w.done.NetEnergyJ) / 30; idle < 60 || idle > 130 {
		t.Errorf("idle part of %.1f W", idle)
	}
	if len(w.points) != 3 || w.points[1].PointID != "watch.1.pp512" || !(w.points[1].AchievedSMMHz > 1900) {
		t.Errorf("points %+v", w.points)
	}
	for _, name := range []string{"long", "nowhere", "tomorrow"} {
		if !strings.Contains(strings.Join(w.warnings, "\n"), name+": when it ran is not known") {
			t.Errorf("nothing is said of %s: %q", name, w.warnings)
		}
	}
}

// One that lasts longer than readings are kept is known as a whole, at changing power.
func TestWatchForLong(t *testing.T) {
	w := watch(t, func(clk timebase.Clock, told func(engine.WatchedPart)) engine.WatchedEnd {
		sleep(clk, 17*time.Minute)
		// It reaches back into what is cut.
		told(engine.WatchedPart{Name: "late", EndNS: clk.Now(), Seconds: 900, Input: 7})
		return engine.WatchedEnd{EndNS: clk.Now(), Model: "m", Input: 4000, Output: 1000}
	})
	if len(w.requests) != 1 || w.requests[0].LatencyS() != 1020 {
		t.Fatalf("%+v", w.requests)
	}
	w.right(t, "request", w.requests[0].Energy, w.done.StartNS, w.done.EndNS)
	w.right(t, "whole", w.done.Energy, w.done.StartNS, w.done.EndNS)
	pieces, at := 0, w.done.StartNS
	for _, p := range w.phases {
		if p.Phase == event.Idle {
			continue
		}
		if pieces++; p.StartNS != at || p.EndNS-p.StartNS > int64(20*time.Second) || !(p.SMMHzMean > 1900) {
			t.Errorf("a piece from %d to %d after %d, %g MHz", p.StartNS, p.EndNS, at, p.SMMHzMean)
		}
		at = p.EndNS
	}
	if pieces != 51 || at != w.done.EndNS {
		t.Errorf("%d pieces to %d, want %d", pieces, at, w.done.EndNS)
	}
}

// Where it was interrupted before, the command never runs.
func TestWatchInterruptedBefore(t *testing.T) {
	enginetest.World{Seed: 3, GPU: []simgpu.Option{simgpu.WithTruth()}, Heard: func(event.Event) {}}.Run(t, func(clk timebase.Clock, e *engine.Engine) error {
		ctx, end := context.WithCancel(context.Background())
		end()
		if err := e.Watch(ctx, ctx, engine.Watched{Idle: time.Second, Run: func(func(engine.WatchedPart)) engine.WatchedEnd {
			t.Error("it runs")
			return engine.WatchedEnd{}
		}}); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		return nil
	})
}

func sleep(clk timebase.Clock, d time.Duration) { _ = clk.Sleep(context.Background(), d) }
