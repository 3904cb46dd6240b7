package engine_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"jouletop/engine"
	"jouletop/engine/event"
	"jouletop/engine/serving"
	"jouletop/workloads/arrivals"
)

// served is a point of n requests that come by a process; "" is a closed loop of 4.
func served(t *testing.T, n, slots int, process string) engine.PointPlan {
	pt := point("llama-3.1-8b", n, slots, nil)
	pt.Serving = &engine.Serving{Slots: slots, Chunk: 512, Schedule: serving.Mixed, Requests: n}
	if process == "" {
		pt.Serving.Concurrency = 4
		return pt
	}
	spec, err := arrivals.Parse(process)
	if err != nil {
		t.Fatal(err)
	}
	pt.Serving.Arrivals = func() (arrivals.Process, error) { return spec.Open(3) }
	return pt
}

func serve(t *testing.T, b *bench, pt engine.PointPlan, want error) *bench {
	t.Helper()
	return simulateIn(t, b, []string{"h100"}, func(b *bench) {
		if err := b.engine.Run(context.Background(), engine.Plan{Name: "run", Points: []engine.PointPlan{pt}, Idle: time.Second}); !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
	})
}

// balance checks that requests and iterations tell of the same tokens, and that each
// iteration tells of its members.
func balance(t *testing.T, b *bench) {
	t.Helper()
	read, made := map[string]int{}, map[string]int{}
	for _, it := range of[event.Iteration](b) {
		prompts, prefills, kv := 0, 0, 0
		for _, m := range it.Members {
			kv += m.Known
			if m.Prefill {
				prompts, prefills = prompts+m.Fresh, prefills+1
				read[m.RequestID] += m.Fresh
			} else {
				made[m.RequestID]++
			}
		}
		if prompts != it.PrefillTokens || prefills != it.PrefillRequests || len(it.Members)-prefills != it.DecodeRequests || kv != it.KVTokens || it.EndNS <= it.StartNS || it.EndNS != it.TimeNS {
			t.Fatalf("%+v", it)
		}
	}
	for _, r := range of[event.RequestDone](b) {
		if r.Err == "" && (read[r.RequestID] != r.InputTokens || made[r.RequestID]+1 != r.OutputTokens) {
			t.Errorf("%s: %d tokens of its prompt and %d of its text by iterations, %d and %d by itself", r.RequestID, read[r.RequestID], made[r.RequestID]+1, r.InputTokens, r.OutputTokens)
		}
	}
}

// Whoever comes is served whole, once, and in the order of coming; what each cost adds
// up to what all did.
func TestServesWhatComes(t *testing.T) {
	const n = 150
	for _, schedule := range []serving.Schedule{serving.Mixed, serving.PrefillFirst, serving.Static} {
		pt := served(t, n, 8, "poisson:12")
		pt.Serving.Schedule = schedule
		b := serve(t, &bench{}, pt, nil)
		balance(t, b)
		requests := of[event.RequestEnergy](b)
		if len(requests) != n || len(of[event.RequestDone](b)) != n {
			t.Fatalf("%s: %d requests with energy", schedule, len(requests))
		}
		slices.SortFunc(requests, func(a, b event.RequestEnergy) int { return int(a.ArrivalNS - b.ArrivalNS) })
		joules, waited, mixed := 0.0, 0, 0
		for i, r := range requests {
			joules += r.EnergyJ
			if r.QueueS > 0.01 {
				waited++
			}
			if i > 0 && (r.ArrivalNS <= requests[i-1].ArrivalNS || r.StartNS < requests[i-1].StartNS) {
				t.Errorf("%s: %s overtook the one before", schedule, r.RequestID)
			}
			ttft := r.QueueS + r.PrefillS
			if r.Err != "" || !(r.EnergyJ > 0) || r.Output.Text == "" || math.Abs(r.TTFTS-ttft) > 1e-9 || math.Abs(r.LatencyS()-ttft-r.DecodeS) > 1e-9 ||
				r.QueueS < 0 || r.BatchSize != 8 || r.OutputTokens > 1 && !(r.GapMaxS >= r.TPOTS() && r.GapMaxS <= r.DecodeS) {
				t.Errorf("%s: %+v", schedule, r)
			}
		}
		if waited == 0 {
			t.Errorf("%s: none had to wait", schedule)
		}
		whole := 0.0
		for _, p := range of[event.PhaseEnergy](b) {
			if p.Phase == event.Mixed {
				whole += p.EnergyJ
			}
		}
		if math.Abs(joules/whole-1) > 0.01 {
			t.Errorf("%s: requests cost %g J, all of it %g J", schedule, joules, whole)
		}
		for _, it := range of[event.Iteration](b) {
			if it.PrefillRequests > 0 && it.DecodeRequests > 0 {
				mixed++
			}
			if len(it.Members) > 8 || schedule != serving.Static && it.PrefillTokens > 512 {
				t.Fatalf("%s: %+v", schedule, it)
			}
		}
		if (mixed > 0) != (schedule == serving.Mixed) {
			t.Errorf("%s: %d mixed iterations", schedule, mixed)
		}
		if p := of[event.PointDone](b); len(p) != 1 || p[0].Queries != n || math.Abs(p[0].EnergyJ*n/whole-1) > 0.02 {
			t.Errorf("%s: point %+v of %g J", schedule, p, whole)
		}
	}
}

// Each way to divide passes divides the same: what all requests have adds up to what
// the passes cost, and so do the shares of tokens beside it.
func TestDividesPasses(t *testing.T) {
	by := map[event.Split]map[string]float64{}
	for _, split := range []event.Split{event.SplitMarginal, event.SplitTokens, event.SplitEqual} {
		pt := served(t, 40, 8, "poisson:8")
		pt.Serving.Split = split
		rows := []arrivals.Arrival{}
		for i := range 40 {
			rows = append(rows, arrivals.Arrival{At: time.Duration(i) * 90 * time.Millisecond, Input: 50 + 600*(i%3), Output: 20 + 7*(i%5)})
		}
		pt.Serving.Requests, pt.Serving.Arrivals = 0, func() (arrivals.Process, error) { return &listed{rows: rows}, nil }
		b := serve(t, &bench{}, pt, nil)
		by[split] = map[string]float64{}
		var whole, sum, tokens, capped float64
		for _, p := range of[event.PhaseEnergy](b) {
			if p.Phase == event.Mixed {
				whole += p.EnergyJ
			}
		}
		passes := 0.0
		for _, it := range of[event.IterationEnergy](b) {
			if it.EnergyJ > 0 {
				passes += it.EnergyJ
			}
		}
		for _, r := range of[event.RequestEnergy](b) {
			by[split][r.RequestID] = r.EnergyJ
			sum, tokens, capped = sum+r.EnergyJ, tokens+r.TokenJ, capped+r.CappedJ
			if r.Split != split || !(math.Abs(r.MarginalJ) < r.EnergyJ*1.5) || !(r.EnergyErrJ > 0 && r.EnergyErrJ < r.EnergyJ) || !(r.MarginalErrJ >= 0) || r.IdleJ != 0 {
				t.Errorf("%s: %s by %s: %g ± %g J, added %g ± %g J, idle %g J", split, r.RequestID, r.Split, r.EnergyJ, r.EnergyErrJ, r.MarginalJ, r.MarginalErrJ, r.IdleJ)
			}
			if split == event.SplitTokens && math.Abs(r.EnergyJ/r.TokenJ-1) > 1e-6 {
				t.Errorf("%g J by tokens, %g J beside it", r.EnergyJ, r.TokenJ)
			}
		}
		for _, x := range []float64{sum, tokens, capped} {
			if math.Abs(x/whole-1) > 1e-9 {
				t.Errorf("%s: %g J of %g J", split, x, whole)
			}
		}
		if math.Abs(passes/whole-1) > 0.05 {
			t.Errorf("%s: passes cost %g J of %g J", split, passes, whole)
		}
	}
	// Long prompts cost more than an equal part of the passes they are in.
	for i := 2; i < 40; i += 3 {
		id := fmt.Sprintf("p.llama-3.1-8b/q%d", i+1)
		if equal, marginal := by[event.SplitEqual][id], by[event.SplitMarginal][id]; !(equal < marginal) {
			t.Errorf("%s: %g J in equal parts, %g J by what it added", id, equal, marginal)
		}
	}
}

// What is generated does not depend on who else is served.
func TestServedTextsAreThoseAlone(t *testing.T) {
	texts := func(pt engine.PointPlan) map[string]string {
		out := map[string]string{}
		for _, r := range of[event.RequestDone](serve(t, &bench{}, pt, nil)) {
			out[r.QueryID] = fmt.Sprint(r.InputTokens, r.OutputTokens, r.Quality, r.Output.Text)
		}
		return out
	}
	alone := texts(point("llama-3.1-8b", 40, 1, nil))
	for id, text := range texts(served(t, 40, 16, "poisson:100")) {
		if alone[id] != text || text == "" {
			t.Errorf("query %s: %q served, %q alone", id, text, alone[id])
		}
	}
}

// A closed loop keeps as many under way as it has clients, as long as there are any.
func TestClosedLoop(t *testing.T) {
	pt := served(t, 30, 8, "")
	pt.Serving.Chunk = 4096 // all prompts at once
	b := serve(t, &bench{}, pt, nil)
	balance(t, b)
	if n := len(of[event.RequestEnergy](b)); n != 30 {
		t.Fatalf("%d requests", n)
	}
	ended := 0
	for _, e := range b.events {
		switch e := e.(type) {
		case event.RequestDone:
			ended++
		case event.Iteration:
			if want := min(4, 30-ended); len(e.Members) != want {
				t.Fatalf("%d under way after %d had ended, want %d", len(e.Members), ended, want)
			}
		}
	}
	if s := of[event.BatchStart](b); len(s) != 1 || !s[0].Open {
		t.Errorf("busy times %+v", s)
	}
}

// A light load leaves pauses, which belong to no request.
func TestIdleBetweenArrivals(t *testing.T) {
	b := serve(t, &bench{}, served(t, 12, 8, "poisson:0.2"), nil)
	starts, ends := of[event.BatchStart](b), of[event.BatchEnd](b)
	if len(starts) < 6 || len(starts) != len(ends) {
		t.Fatalf("%d busy times, %d ended", len(starts), len(ends))
	}
	came := 0
	for _, e := range ends {
		came += e.Requests
	}
	if came != 12 || len(of[event.RequestEnergy](b)) != 12 {
		t.Errorf("%d requests in busy times, %d with energy", came, len(of[event.RequestEnergy](b)))
	}
	idle, woke := 0.0, 0
	for _, r := range of[event.RequestEnergy](b) {
		idle += r.IdleJ
		if r.IdleJ > 0 {
			woke++
		}
	}
	pauses := 0.0
	for i := range starts[1:] {
		pauses += float64(starts[i+1].TimeNS-ends[i].TimeNS) / 1e9
	}
	// An idle H100 draws some 120 W.
	if woke != len(starts)-1 || math.Abs(idle/pauses/120-1) > 0.1 {
		t.Errorf("%d requests ended %g s of pauses of %g J", woke, pauses, idle)
	}
	for _, p := range of[event.PhaseEnergy](b) {
		if d := float64(p.EndNS-p.StartNS) / 1e9; p.Phase == event.Mixed && d > 2.5 {
			t.Errorf("a phase of %g s", d)
		}
	}
}

// Lengths and times of a trace are kept.
func TestServesATrace(t *testing.T) {
	rows := []arrivals.Arrival{
		{Input: 700, Output: 5}, {At: time.Second, Input: 20, Output: 1}, {At: time.Second, Input: 1, Output: 30}, {At: 3 * time.Second, Input: 200_000, Output: 5},
	}
	pt := served(t, 2, 8, "")
	pt.Serving.Requests, pt.Serving.Arrivals = 0, func() (arrivals.Process, error) { return &listed{rows: rows}, nil }
	b := serve(t, &bench{}, pt, nil)
	balance(t, b)
	done := of[event.RequestDone](b)
	slices.SortFunc(done, func(a, b event.RequestDone) int { return strings.Compare(a.RequestID, b.RequestID) })
	if len(done) != len(rows) {
		t.Fatalf("%d requests", len(done))
	}
	for i, r := range done {
		if at := time.Duration(r.ArrivalNS - done[0].ArrivalNS); at != rows[i].At {
			t.Errorf("%s came after %v", r.RequestID, at)
		}
		if i == 3 {
			if !strings.Contains(r.Err, engine.ErrTooLong.Error()) {
				t.Errorf("%+v", r)
			}
		} else if r.Err != "" || r.InputTokens != rows[i].Input || r.OutputTokens != rows[i].Output {
			t.Errorf("%+v", r)
		}
	}
	broken := errors.New("the trace is broken")
	pt.Serving.Arrivals = func() (arrivals.Process, error) { return &listed{rows: rows[:2], err: broken}, nil }
	b = serve(t, &bench{}, pt, broken)
	if done := of[event.RequestDone](b); len(done) > 2 {
		t.Errorf("%d requests of a broken trace", len(done))
	}
}

// listed is a process of given arrivals.
type listed struct {
	rows []arrivals.Arrival
	err  error
}

func (l *listed) Next() (arrivals.Arrival, error) {
	if len(l.rows) == 0 {
		if l.err != nil {
			return arrivals.Arrival{}, l.err
		}
		return arrivals.Arrival{}, io.EOF
	}
	a := l.rows[0]
	l.rows = l.rows[1:]
	return a, nil
}

func (l *listed) Close() error { return nil }

// brittle is a Server that dies in some of its passes, and then knows nothing until it
// is loaded again.
type brittle struct {
	engine.Server
	die    func(pass int) bool
	passes int
	dead   bool
}

func (m *brittle) Load(ctx context.Context, spec engine.ModelSpec, progress func(float64)) (engine.ModelInfo, error) {
	m.dead = false
	return m.Server.Load(ctx, spec, progress)
}

func (m *brittle) Pass(ctx context.Context, p serving.Pass) (engine.Passed, error) {
	m.passes++
	if m.dead = m.dead || m.die(m.passes); m.dead {
		for _, member := range p.Members {
			m.End(member.ID)
		}
		return engine.Passed{}, engine.ErrBackendDied
	}
	return m.Server.Pass(ctx, p)
}

// Where the backend dies, those under way are lost and the rest is served.
func TestServingOutlivesItsBackend(t *testing.T) {
	const n, slots = 60, 4
	b := &bench{wrap: func(inner engine.Backend) engine.Backend {
		return &brittle{Server: inner.(engine.Server), die: in(20, 300, 301, 500)}
	}}
	serve(t, b, served(t, n, slots, "poisson:50"), nil)
	balance(t, b)
	failed := map[string]bool{}
	for _, r := range of[event.RequestDone](b) {
		if r.Err != "" {
			failed[r.RequestID] = true
		}
	}
	if all := len(of[event.RequestEnergy](b)); all != n || len(failed) < 4 || len(failed) > 4*slots {
		t.Errorf("%d requests, %d lost", all, len(failed))
	}
	b = &bench{wrap: func(inner engine.Backend) engine.Backend {
		return &brittle{Server: inner.(engine.Server), die: func(pass int) bool { return pass > 50 }}
	}}
	serve(t, b, served(t, n, slots, "poisson:50"), engine.ErrBackendDied)
}

// choosy is a Server that must load its model again to serve with it, or does not.
type choosy struct {
	engine.Server
	fits  bool
	loads int
}

func (c *choosy) Load(ctx context.Context, spec engine.ModelSpec, progress func(float64)) (engine.ModelInfo, error) {
	c.loads++
	return c.Server.Load(ctx, spec, progress)
}

func (c *choosy) Fits(engine.ModelSpec) bool { return c.fits }

// A model that ran batches serves without being loaded again, unless its backend says that
// it must be.
func TestServingAfterBatches(t *testing.T) {
	for fits, loads := range map[bool]int{true: 1, false: 3} {
		var model *choosy
		b := &bench{wrap: func(inner engine.Backend) engine.Backend {
			model = &choosy{Server: inner.(engine.Server), fits: fits}
			return model
		}}
		simulateIn(t, b, []string{"h100"}, func(b *bench) {
			points := []engine.PointPlan{point("llama-3.1-8b", 4, 2, nil), served(t, 6, 4, ""), served(t, 6, 4, ""), point("llama-3.1-8b", 4, 2, nil)}
			for i := range points {
				points[i].PointID = fmt.Sprint("p", i)
				points[i].Spec.Serves = points[i].Serving != nil
			}
			if err := b.engine.Run(context.Background(), engine.Plan{Name: "run", Points: points}); err != nil {
				t.Error(err)
			}
		})
		if model.loads != loads {
			t.Errorf("fits %t: loaded %d times, want %d", fits, model.loads, loads)
		}
	}
}

// Where the operator stops, those under way go on to their end; those that wait are no
// result.
func TestStopWhileServing(t *testing.T) {
	pt := served(t, 100, 4, "poisson:50")
	b := &bench{}
	simulateIn(t, b, []string{"h100"}, func(b *bench) {
		b.clk.Go(func() {
			_ = b.clk.Sleep(context.Background(), 4*time.Second)
			b.engine.StopRun()
		})
		if err := b.engine.Run(context.Background(), engine.Plan{Name: "run", Points: []engine.PointPlan{pt}, Idle: time.Second}); !errors.Is(err, engine.ErrStopped) {
			t.Error(err)
		}
	})
	balance(t, b)
	n := len(of[event.RequestDone](b))
	if n < 4 || n > 60 || len(of[event.RequestEnergy](b)) != n || len(of[event.PointDone](b)) != 0 {
		t.Errorf("%d done, %d with energy", n, len(of[event.RequestEnergy](b)))
	}
	for _, r := range of[event.RequestDone](b) {
		if r.Err != "" {
			t.Errorf("%s: %s", r.RequestID, r.Err)
		}
	}
}

// Not every backend can serve.
func TestCannotServe(t *testing.T) {
	b := &bench{wrap: func(inner engine.Backend) engine.Backend { return struct{ engine.Backend }{inner} }}
	serve(t, b, served(t, 3, 4, "poisson:50"), engine.ErrCannotServe)
	if p := of[event.PointDone](b); len(p) != 1 || !strings.Contains(p[0].PointResult.Err, "cannot serve") {
		t.Errorf("%+v", p)
	}
}

// Requests of an open loop can be made to come faster in the middle of a run, and one
// whose requests come by no rate cannot.
func TestChangePace(t *testing.T) {
	pt := served(t, 200, 16, "poisson:5")
	b := &bench{}
	simulateIn(t, b, []string{"h100"}, func(b *bench) {
		if _, err := b.engine.ChangePace(2); !errors.Is(err, engine.ErrNoPace) {
			t.Error(err)
		}
		b.clk.Go(func() {
			_ = b.clk.Sleep(context.Background(), 12*time.Second)
			if times, err := b.engine.ChangePace(4); times != 4 || err != nil {
				t.Error(times, err)
			}
		})
		if err := b.engine.Run(context.Background(), engine.Plan{Name: "run", Points: []engine.PointPlan{pt}, Idle: time.Second}); err != nil {
			t.Error(err)
		}
	})
	balance(t, b)
	var at []int64
	for _, r := range of[event.RequestDone](b) {
		at = append(at, r.ArrivalNS)
	}
	slices.Sort(at)
	slow, fast := 0, 0
	changed := at[0] + 10e9 // about
	for _, t := range at {
		switch {
		case t < changed-1e9:
			slow++
		case t > changed+2e9 && t < changed+7e9:
			fast++
		}
	}
	if perS := float64(slow) / 9; perS < 3 || perS > 7 || float64(fast)/5 < 14 || float64(fast)/5 > 27 || len(at) != 200 {
		t.Errorf("%d requests: %g a second, then %g", len(at), perS, float64(fast)/5)
	}
}
