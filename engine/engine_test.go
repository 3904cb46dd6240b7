package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"jouletop/engine"
	"jouletop/engine/event"
	"jouletop/engine/policy"
	"jouletop/engine/simllm"
	"jouletop/engine/stream"
	"jouletop/gpu"
	"jouletop/gpu/clockguard"
	"jouletop/gpu/simgpu"
	"jouletop/gpu/timebase"
	"jouletop/workloads"
)

// bench is an engine over simulated GPUs and a simulated model on the first.
type bench struct {
	clk    timebase.Clock
	gpus   []*simgpu.GPU
	engine *engine.Engine
	events []event.Event
	// wrap, if not nil, stands before the simulated model.
	wrap func(engine.Backend) engine.Backend
	// guard, if not nil, stands before the control of the first GPU's clock.
	guard *fakeGuard
	rearm bool
	// telemetry, if not nil, is what the server says of itself.
	telemetry engine.Telemetry
	real      bool  // the run is not marked simulated
	seed      int64 // of GPU and model; 0 is 7
}

func (b *bench) Record(e event.Event) { b.events = append(b.events, e) }
func (b *bench) Err() error           { return nil }
func (b *bench) Close() error         { return nil }

// simulate runs do on a simulated H100 within simulated time and returns what
// happened.
func simulate(t *testing.T, do func(b *bench)) *bench {
	t.Helper()
	return simulateOn(t, []string{"h100"}, do)
}

// simulateOn is simulate on GPUs of these profiles.
func simulateOn(t *testing.T, profiles []string, do func(b *bench)) *bench {
	t.Helper()
	return simulateIn(t, &bench{}, profiles, do)
}

func simulateIn(t *testing.T, b *bench, profiles []string, do func(b *bench)) *bench {
	t.Helper()
	clk := timebase.NewSim(0)
	b.clk = clk
	if b.seed == 0 {
		b.seed = 7
	}
	done := make(chan error, 1)
	clk.Go(func() {
		done <- func() (err error) {
			var gpus []engine.GPU
			for _, profile := range profiles {
				g, err := simgpu.New(profile, clk, b.seed, simgpu.WithTruth(), simgpu.WithGain(0))
				if err != nil {
					return err
				}
				control, err := clockguard.InProcess(g, clk, clockguard.Options{})
				if err != nil {
					return err
				}
				b.gpus = append(b.gpus, g)
				one := engine.GPU{Device: g, Sources: g.PowerSources(), Control: control}
				if b.guard != nil && len(gpus) == 0 {
					b.guard.Client, b.guard.gpu, b.guard.clk = control, g, clk
					one.Control = b.guard
				}
				gpus = append(gpus, one)
			}
			var backend engine.Backend = simllm.New(b.gpus[0], clk, b.seed)
			if b.wrap != nil {
				backend = b.wrap(backend)
			}
			b.engine, err = engine.New(engine.Config{
				Clock: clk, GPUs: gpus, Backend: backend, Stream: stream.New(b), Simulated: !b.real, Rearm: b.rearm, Telemetry: b.telemetry,
			})
			if err != nil {
				return err
			}
			b.engine.Start()
			do(b)
			return b.engine.Close()
		}()
	})
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return b
}

// point asks for n queries of a few hundred tokens, generating 100 each.
func point(model string, n, batch int, p engine.Policy) engine.PointPlan {
	pt := engine.PointPlan{
		Point: event.Point{PointID: "p." + model, Model: model, Dataset: "narrativeqa", BatchSize: batch, Repeat: 1, Queries: n},
		Spec:  engine.ModelSpec{Name: model}, MaxTokens: 100, Policy: p,
	}
	for i := range n {
		text := fmt.Sprintf("%d: %s Why?", i, bytes.Repeat([]byte("the old lighthouse keeper counts the ships "), 30))
		pt.Queries = append(pt.Queries, workloads.Query{Dataset: "narrativeqa", Style: workloads.NarrativeQA, ID: fmt.Sprint(i), Prompt: text, Text: text, Question: "Why?", Answer: -1, Answers: []string{"because"}})
	}
	return pt
}

func of[T event.Event](b *bench) []T {
	var out []T
	for _, e := range b.events {
		if e, ok := e.(T); ok {
			out = append(out, e)
		}
	}
	return out
}

func TestRunAccountsForEveryRequest(t *testing.T) {
	b := simulate(t, func(b *bench) {
		plan := engine.Plan{Name: "run", Points: []engine.PointPlan{point("llama-3.1-8b", 10, 4, nil)}, Idle: time.Second}
		if err := b.engine.Run(context.Background(), plan); err != nil {
			t.Error(err)
		}
	})
	requests := of[event.RequestEnergy](b)
	if len(requests) != 10 || len(of[event.RequestDone](b)) != 10 {
		t.Fatalf("%d requests with energy, %d done", len(requests), len(of[event.RequestDone](b)))
	}
	sum := 0.0
	for _, r := range requests {
		if d := r.PrefillS + r.DecodeS - r.LatencyS(); math.Abs(d) > 1e-9 {
			t.Errorf("%s: prefill %g + decode %g is not its latency %g", r.RequestID, r.PrefillS, r.DecodeS, r.LatencyS())
		}
		if r.OutputTokens < 1 || r.Output.Text == "" {
			t.Errorf("%s: no text", r.RequestID)
		}
		if !(r.NetEnergyJ < r.EnergyJ) {
			t.Errorf("%s: net %g J of %g J", r.RequestID, r.NetEnergyJ, r.EnergyJ)
		}
		sum += r.EnergyJ
	}
	truth := 0.0
	phases := map[string][2]int64{}
	for _, p := range of[event.PhaseEnd](b) {
		if p.Phase == event.Idle {
			continue
		}
		span, ok := phases[p.BatchID]
		if !ok {
			span = [2]int64{p.StartNS, p.EndNS}
		}
		phases[p.BatchID] = [2]int64{min(span[0], p.StartNS), max(span[1], p.EndNS)}
	}
	for _, s := range phases {
		truth += b.gpus[0].TrueEnergyJ(s[0], s[1])
	}
	if rel := sum/truth - 1; math.Abs(rel) > 0.02 {
		t.Errorf("requests add up to %.4g J, the truth is %.4g J (%+.1f %%)", sum, truth, 100*rel)
	}
	points := of[event.PointDone](b)
	if len(points) != 1 || math.Abs(points[0].EnergyJ*10-sum) > 0.002*sum {
		t.Errorf("points: %+v", points)
	}
}

func TestSharesOfABatchAddUp(t *testing.T) {
	b := simulate(t, func(b *bench) {
		if err := b.engine.Run(context.Background(), engine.Plan{Name: "run", Points: []engine.PointPlan{point("llama-3.2-1b", 16, 8, nil)}}); err != nil {
			t.Error(err)
		}
	})
	phases := map[string]float64{}
	resolved := map[string]bool{}
	for _, p := range of[event.PhaseEnergy](b) {
		phases[p.BatchID] += p.EnergyJ
		resolved[p.BatchID] = !math.IsNaN(phases[p.BatchID])
	}
	requests, errs := map[string]float64{}, map[string]float64{}
	for _, r := range of[event.RequestEnergy](b) {
		requests[r.BatchID] += r.EnergyJ
		errs[r.BatchID] += r.EnergyErrJ
	}
	if len(requests) != 2 {
		t.Fatalf("%d batches", len(requests))
	}
	for id, j := range requests {
		if resolved[id] && math.Abs(phases[id]-j) > errs[id] {
			t.Errorf("%s: phases %.4g J, requests %.4g ± %.2g J", id, phases[id], j, errs[id])
		}
	}
}

func TestClockChangesInMidRun(t *testing.T) {
	b := simulate(t, func(b *bench) {
		changed := false
		pt := point("llama-3.1-8b", 2, 1, policy.Fixed{MHz: 1980})
		pt.Class = func(workloads.Query) string { return "" }
		plan := engine.Plan{Name: "run", Points: []engine.PointPlan{pt, point("llama-3.1-8b", 2, 1, nil)}}
		plan.Points[1].PointID = "p2"
		plan.Points[1].Class = func(workloads.Query) string {
			if !changed { // as the second point's first batch begins
				changed = true
				b.engine.SetPolicy(policy.Fixed{MHz: 1005}, event.ByOperator, true)
			}
			return ""
		}
		if err := b.engine.Run(context.Background(), plan); err != nil {
			t.Error(err)
		}
	})
	var got []int
	for _, c := range of[event.ClockChange](b) {
		got = append(got, c.RequestedSMMHz)
		if c.RequestedSMMHz != 0 && (c.Err != "" || math.IsNaN(c.SettleMS) || math.Abs(float64(c.AchievedSMMHz-c.RequestedSMMHz)) > 15) {
			t.Errorf("change %+v", c)
		}
	}
	if fmt.Sprint(got) != "[1980 1005 0]" {
		t.Errorf("clocks requested: %v; the last must give it back", got)
	}
	mixed := false
	for _, r := range of[event.RequestEnergy](b) {
		mixed = mixed || r.MixedClock
		if r.PointID == "p2" && r.RequestID == "p2/b2.0" && r.RequestedSMMHz != 1005 {
			t.Errorf("%s at %d MHz", r.RequestID, r.RequestedSMMHz)
		}
	}
	if !mixed {
		t.Error("no request is marked as having seen two clocks")
	}
}

func TestPhaseAwarePolicySwitches(t *testing.T) {
	p, err := policy.Parse("phase:1980/1005", mustInfo(t), policy.Options{})
	if err != nil {
		t.Fatal(err)
	}
	b := simulate(t, func(b *bench) {
		if err := b.engine.Run(context.Background(), engine.Plan{Name: "run", Points: []engine.PointPlan{point("llama-3.1-8b", 6, 8, p)}}); err != nil {
			t.Error(err)
		}
	})
	seen := map[int]bool{}
	for _, c := range of[event.ClockChange](b) {
		seen[c.RequestedSMMHz] = true
		if c.Cause.String() == "phase:1980/1005:decode" && !(c.DelayMS >= 0 && c.DelayMS < 50) {
			t.Errorf("delay %g ms", c.DelayMS)
		}
	}
	if !seen[1005] || !seen[1980] {
		t.Errorf("clocks set: %v", seen)
	}
	// What the engine writes is what its readers look for.
	for i, c := range of[event.ClockChange](b) {
		if last := c.Cause.By == event.ByExit; !last && (c.Cause.By != event.ByPolicy || i > 0 && (c.Cause.Policy != p.Name() || c.Cause.Phase == "")) {
			t.Errorf("change %d has cause %+v", i, c.Cause)
		}
	}
	// Told late of its own changes, the policy still knows what it asked for.
	for i, ph := range of[event.PhaseEnergy](b) {
		if want := map[event.Phase]int{event.Prefill: 1980, event.Decode: 1005}[ph.Phase]; ph.RequestedSMMHz != want {
			t.Errorf("phase %d, %s at %d MHz", i, ph.Phase, ph.RequestedSMMHz)
		}
	}
}

func mustInfo(t *testing.T) gpu.Info {
	t.Helper()
	g, err := simgpu.New("h100", timebase.NewSim(0), 1)
	if err != nil {
		t.Fatal(err)
	}
	return g.Info()
}

func TestPauseSkipStop(t *testing.T) {
	b := simulate(t, func(b *bench) {
		pts := []engine.PointPlan{point("llama-3.2-1b", 4, 1, nil), point("llama-3.2-1b", 4, 1, nil), point("llama-3.2-1b", 4, 1, nil)}
		for i := range pts {
			pts[i].PointID = fmt.Sprintf("p%d", i)
			calls := 0
			pts[i].Class = func(workloads.Query) string {
				// The second query is looked at while the first runs.
				if calls++; calls == 2 && i == 0 {
					b.engine.Skip()
				} else if calls == 2 && i == 2 {
					b.engine.StopRun()
				}
				return ""
			}
		}
		if err := b.engine.Run(context.Background(), engine.Plan{Name: "run", Points: pts}); !errors.Is(err, engine.ErrStopped) {
			t.Errorf("ended with %v", err)
		}
	})
	count := map[string]int{}
	for _, r := range of[event.RequestEnergy](b) {
		count[r.PointID]++
	}
	if fmt.Sprint(count) != "map[p0:1 p1:4 p2:1]" {
		t.Errorf("requests by point: %v", count)
	}
	if pts := of[event.PointDone](b); len(pts) != 1 || pts[0].PointID != "p1" {
		t.Errorf("points done: %+v", pts)
	}
	ends := of[event.RunEnd](b)
	if len(ends) != 1 || ends[0].How != "stopped" {
		t.Errorf("ends: %+v", ends)
	}
}

func TestRunIsDeterministic(t *testing.T) {
	run := func() string {
		b := simulate(t, func(b *bench) {
			p, err := policy.Parse("phase:1980/1005", mustInfo(t), policy.Options{})
			if err != nil {
				t.Error(err)
			}
			plan := engine.Plan{Name: "run", Idle: time.Second, Points: []engine.PointPlan{point("llama-3.2-1b", 6, 4, nil), point("llama-3.1-8b", 6, 4, p)}}
			if err := b.engine.Run(context.Background(), plan); err != nil {
				t.Error(err)
			}
		})
		var out bytes.Buffer
		for _, e := range b.events {
			fmt.Fprintf(&out, "%+v\n", e)
		}
		return out.String()
	}
	first := run()
	for range 3 {
		if again := run(); again != first {
			a, b := bytes.Split([]byte(first), []byte("\n")), bytes.Split([]byte(again), []byte("\n"))
			for i := range min(len(a), len(b)) {
				if !bytes.Equal(a[i], b[i]) {
					t.Fatalf("two runs differ at event %d:\n%s\n%s", i, a[i], b[i])
				}
			}
			t.Fatalf("two runs differ in length: %d and %d", len(a), len(b))
		}
	}
}
