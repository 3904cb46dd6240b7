package policy_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"jouletop/engine"
	"jouletop/engine/enginetest"
	"jouletop/engine/event"
	"jouletop/engine/policy"
	"jouletop/engine/simllm"
	"jouletop/gpu/simgpu"
	"jouletop/gpu/timebase"
	"jouletop/workloads"
)

// sim is an engine with its sampler, energy estimates and clock control over a
// simulated H100 and model.
type sim struct {
	clk    timebase.Clock
	gpu    *simgpu.GPU
	engine *engine.Engine
	events []event.Event
}

func (s *sim) heard(e event.Event) {
	if event.Telemetry(e) {
		return
	}
	s.events = append(s.events, e)
	if n, ok := e.(event.PolicyNote); ok && strings.Contains(n.Text, "settled") {
		s.clk.Go(func() { s.engine.StopRun() }) // what there was to see is over
	}
}

func ofKind[T event.Event](s *sim) []T {
	var out []T
	for _, e := range s.events {
		if e, ok := e.(T); ok {
			out = append(out, e)
		}
	}
	return out
}

// simulate runs a point under a policy, at least for minimum.
func simulate(t *testing.T, seed int64, pt engine.PointPlan, minimum time.Duration, opts ...simllm.Option) *sim {
	t.Helper()
	return simulateOn(t, seed, nil, pt, minimum, opts...)
}

// simulateOn is simulate on a GPU with options.
func simulateOn(t *testing.T, seed int64, on []simgpu.Option, pt engine.PointPlan, minimum time.Duration, opts ...simllm.Option) *sim {
	t.Helper()
	s := &sim{}
	world := enginetest.World{Seed: seed, GPU: append(on, simgpu.WithTruth()), Model: opts, Heard: s.heard}
	s.gpu = world.Run(t, func(clk timebase.Clock, e *engine.Engine) error {
		s.clk, s.engine = clk, e
		err := e.Run(context.Background(), engine.Plan{Name: "run", Points: []engine.PointPlan{pt}, MinPoint: minimum})
		if errors.Is(err, engine.ErrStopped) {
			return nil
		}
		return err
	})
	return s
}

// point asks for n queries of varying length, about 340 tokens, generating 100.
func point(model string, n, batch int, p engine.Policy) engine.PointPlan {
	pt := engine.PointPlan{
		Point: event.Point{PointID: "p", Model: model, Dataset: "narrativeqa", BatchSize: batch, Repeat: 1, Queries: n},
		Spec:  engine.ModelSpec{Name: model}, MaxTokens: 100, Policy: p,
	}
	for i := range n {
		text := strings.Repeat("the old lighthouse keeper counts the ships ", 35+(i*37)%30) + "Why?"
		pt.Queries = append(pt.Queries, workloads.Query{Dataset: "narrativeqa", Style: workloads.NarrativeQA,
			ID: fmt.Sprint(i), Prompt: text, Text: text, Question: "Why?", Answer: -1, Answers: []string{"because"}})
	}
	return pt
}

// use is what batches really took: s and J a batch, by the simulator's truth,
// over the second half of the run, when it is warm.
func (s *sim) use() (seconds, joules float64) {
	type span struct{ start, end int64 }
	var spans []span
	at := map[string]int{}
	for _, p := range ofKind[event.PhaseEnd](s) {
		if p.Phase == event.Idle {
			continue
		}
		i, ok := at[p.BatchID]
		if !ok {
			i = len(spans)
			at[p.BatchID] = i
			spans = append(spans, span{p.StartNS, p.EndNS})
		}
		spans[i].end = p.EndNS
	}
	spans = spans[len(spans)/2:]
	for _, p := range spans {
		seconds += float64(p.end-p.start) / 1e9
		joules += s.gpu.TrueEnergyJ(p.start, p.end)
	}
	return seconds / float64(len(spans)), joules / float64(len(spans))
}

// truth is what one batch takes at each supported clock.
type truth struct {
	clocks          []int
	seconds, joules []float64
}

func measureTruth(t *testing.T, model string, batch int, clocks []int) truth {
	t.Helper()
	tr := truth{clocks: clocks}
	for _, mhz := range tr.clocks {
		s := simulate(t, 1, point(model, 24*batch, batch, policy.Fixed{MHz: mhz}), 40*time.Second, simllm.WithJitter(0))
		sec, j := s.use()
		tr.seconds, tr.joules = append(tr.seconds, sec), append(tr.joules, j)
	}
	return tr
}

// h100Clocks are the H100's supported clocks, every so many of them.
func h100Clocks(every int) []int {
	var c []int
	for mhz := 1980; mhz >= 345; mhz -= 15 * every {
		c = append([]int{mhz}, c...)
	}
	return c
}

// cost is the goal's value at the i-th clock.
func (tr truth) cost(goal policy.Goal, i int) float64 {
	if goal == policy.MinEDP {
		return tr.joules[i] * tr.seconds[i]
	}
	return tr.joules[i]
}

func (tr truth) slowdown(i int) float64 { return tr.seconds[i]/tr.seconds[len(tr.seconds)-1] - 1 }

// best is the index of the best clock that keeps the bound.
func (tr truth) best(goal policy.Goal, bound float64) int {
	best := len(tr.clocks) - 1
	for i := range tr.clocks {
		if tr.slowdown(i) <= bound && tr.cost(goal, i) < tr.cost(goal, best) {
			best = i
		}
	}
	return best
}

func (tr truth) index(mhz int) int { return slices.Index(tr.clocks, mhz) }

// firstSeed is JOULETOP_SEED, so that a bench can be run with noise nobody has seen; 0
// without it.
func firstSeed(t *testing.T) int {
	t.Helper()
	text := os.Getenv("JOULETOP_SEED")
	if text == "" {
		return 0
	}
	seed, err := strconv.Atoi(text)
	if err != nil || seed < 0 {
		t.Fatalf("JOULETOP_SEED=%s: not a seed", text)
	}
	return seed
}

// On the simulated H100 with its sensors as bad as real ones, the optimizer
// ends within 3 % of the best cost that keeps the bound, in at most 12 trials of
// at least 3 s, and latency never breaks the bound for longer than one trial.
func TestOnlineOnTheSimulatedGPU(t *testing.T) {
	cases := []struct {
		goal  policy.Goal
		model string
		batch int
	}{
		{policy.MinEnergy, "llama-3.1-8b", 1}, {policy.MinEnergy, "llama-3.2-1b", 4}, {policy.MinEDP, "llama-3.1-8b", 4},
	}
	seeds, every := 2, 6
	if os.Getenv("JOULETOP_BENCH") != "" {
		seeds, every = 100, 1
	} else {
		cases = cases[:1]
	}
	for _, tt := range cases {
		t.Run(fmt.Sprintf("%s/%s/%d", tt.goal, tt.model, tt.batch), func(t *testing.T) {
			t.Parallel()
			tr := measureTruth(t, tt.model, tt.batch, h100Clocks(every))
			best := tr.best(tt.goal, policy.DefaultMaxSlowdown)
			good, far, slow, broken, trials := 0, 0, 0, 0, 0
			for i := range seeds {
				seed := firstSeed(t) + i
				p := policy.NewOnline(tt.goal, tr.clocks, policy.DefaultMaxSlowdown)
				s := simulate(t, int64(seed), point(tt.model, 16*tt.batch, tt.batch, p), 250*time.Second)
				opt := p.Optimizer()
				if !opt.Done() {
					t.Fatalf("seed %d: not settled after 250 s and %d trials", seed, len(opt.Trials()))
				}
				trials += opt.Took()
				if opt.Took() > policy.MaxTrials {
					t.Errorf("seed %d: %d trials", seed, opt.Took())
				}
				end := tr.index(opt.Suggest())
				excess := tr.cost(tt.goal, end)/tr.cost(tt.goal, best) - 1
				run, longest := 0, 0
				for _, tl := range opt.Trials() {
					if tr.slowdown(tr.index(tl.MHz)) > policy.DefaultMaxSlowdown {
						run++
					} else {
						run = 0
					}
					longest = max(longest, run)
				}
				switch {
				case excess > 0.03:
					far++
				case tr.slowdown(end) > policy.DefaultMaxSlowdown:
					slow++
				case longest > 1:
					broken++
				default:
					good++
					continue
				}
				if t.Failed() || testing.Verbose() {
					t.Logf("seed %d: %d MHz, excess %.1f %%, %.2f %% slower, %d trials broken in a row", seed, opt.Suggest(), 100*excess, 100*tr.slowdown(end), longest)
					for _, n := range ofKind[event.PolicyNote](s) {
						t.Log("  ", n.Text)
					}
				}
			}
			fmt.Printf("%s, %s, batch %d: best %d MHz (saves %.1f %%, %.1f %% slower); good in %d of %d seeds (%d far, %d slow, %d broken), %.1f trials\n",
				tt.goal, tt.model, tt.batch, tr.clocks[best], 100*(1-tr.joules[best]/tr.joules[len(tr.joules)-1]), 100*tr.slowdown(best),
				good, seeds, far, slow, broken, float64(trials)/float64(seeds))
			if good < seeds-seeds/20 {
				t.Errorf("good in %d of %d seeds", good, seeds)
			}
		})
	}
}

// The phase-aware demo: what the session says of saving and slowdown is what
// the simulator knows, within one point.
func TestPhaseAwareDemoMatchesTheTruth(t *testing.T) {
	told := func(s *sim) (seconds, joules float64) {
		for _, r := range ofKind[event.RequestEnergy](s) {
			seconds += r.LatencyS()
			joules += r.EnergyJ
		}
		return seconds, joules
	}
	really := func(s *sim) (seconds, joules float64) {
		for _, p := range ofKind[event.PhaseEnd](s) {
			if p.Phase != event.Idle {
				seconds += float64(p.EndNS-p.StartNS) / 1e9
				joules += s.gpu.TrueEnergyJ(p.StartNS, p.EndNS)
			}
		}
		return seconds, joules
	}
	// Long prompts, so that both switches pay.
	long := func(p engine.Policy) engine.PointPlan {
		pt := point("llama-3.1-8b", 40, 4, p)
		for i := range pt.Queries {
			pt.Queries[i].Prompt = strings.Repeat(pt.Queries[i].Prompt, 4)
		}
		return pt
	}
	high := simulate(t, 3, long(policy.Fixed{MHz: 1980}), 0)
	clocks := event.PhaseClocks{Prefill: 1980, Decode: 1005, Score: 1980}
	aware := simulate(t, 3, long(policy.NewPhaseAware(clocks)), 0)
	th, jh := told(high)
	ta, ja := told(aware)
	rth, rjh := really(high)
	rta, rja := really(aware)
	saving, truly := 1-ja/jh, 1-rja/rjh
	slower, trulySlower := ta/th-1, rta/rth-1
	t.Logf("saving %.2f %%, truly %.2f %%; slowdown %.2f %%, truly %.2f %%", 100*saving, 100*truly, 100*slower, 100*trulySlower)
	if truly < 0.1 {
		t.Errorf("saves %.1f %%: nothing to demonstrate", 100*truly)
	}
	if math.Abs(saving-truly) > 0.01 || math.Abs(slower-trulySlower) > 0.01 {
		t.Error("told and true differ by more than a point")
	}
	// Each phase ran at its clock once the first switches had been seen.
	used := map[event.Phase]float64{}
	energies := ofKind[event.PhaseEnergy](aware)
	for _, p := range energies[len(energies)/2:] {
		used[p.Phase] = p.SMMHzMean
	}
	if used[event.Prefill] < 1700 || used[event.Decode] > 1050 {
		t.Errorf("mean clocks %v, want near 1980 in prefill and 1005 in decode", used)
	}
}

// By phase, decode's clock is found while prefill keeps the highest, and more is
// saved than with one clock for both.
func TestOnlineByPhase(t *testing.T) {
	long := func(p engine.Policy) engine.PointPlan {
		pt := point("llama-3.1-8b", 32, 4, p)
		for i := range pt.Queries {
			pt.Queries[i].Prompt = strings.Repeat(pt.Queries[i].Prompt, 4)
		}
		return pt
	}
	settled := func(p *policy.Online) (int, policy.Estimate) {
		s := simulate(t, 5, long(p), 400*time.Second)
		opt := p.Optimizer()
		if !opt.Done() {
			t.Fatalf("%s: not settled after %d trials", p.Name(), len(opt.Trials()))
		}
		for _, n := range ofKind[event.PolicyNote](s) {
			t.Log(n.Text)
		}
		e, _ := opt.Estimate(opt.Suggest())
		return opt.Suggest(), e
	}
	one, e1 := settled(policy.NewOnline(policy.MinEnergy, h100Clocks(1), 0.03))
	byPhase, e2 := settled(policy.NewOnlineByPhase(policy.MinEnergy, h100Clocks(1), 0.03))
	t.Logf("one clock: %d MHz saves %.1f %%; by phase: decode at %d MHz saves %.1f %%", one, 100*e1.Saving, byPhase, 100*e2.Saving)
	if byPhase >= one || e2.Saving <= e1.Saving || e2.Slowdown > 0.03 {
		t.Errorf("by phase saves %.1f %% at %d MHz, %.1f %% slower; one clock %.1f %% at %d MHz",
			100*e2.Saving, byPhase, 100*e2.Slowdown, 100*e1.Saving, one)
	}
}

// Short prompts keep decode's clock, and the break-even length is told.
func TestPhaseAwareSkipsShortPrefills(t *testing.T) {
	clocks := event.PhaseClocks{Prefill: 1980, Decode: 1005, Score: 1980}
	s := simulate(t, 3, point("llama-3.1-8b", 30, 1, policy.NewPhaseAware(clocks)), 0)
	var notes []string
	for _, n := range ofKind[event.PolicyNote](s) {
		notes = append(notes, n.Text)
	}
	if text := strings.Join(notes, "\n"); !strings.Contains(text, "break-even prompt length") || len(notes) > 4 {
		t.Errorf("notes:\n%s", text)
	}
	if n := len(ofKind[event.ClockChange](s)); n == 0 || n > 8 {
		t.Errorf("%d clock changes in 30 requests whose prefill is too short", n)
	}
}

// On a GPU whose clock has not settled when the next phase begins, each change is told
// of after the next has been asked for. The policy goes by what it asked for all the
// same: one change a phase, to that phase's clock.
func TestPhaseAwareHearsOfItsChangesLate(t *testing.T) {
	pt := point("llama-3.1-8b", 16*12, 16, policy.NewPhaseAware(event.PhaseClocks{Prefill: 1980, Decode: 1005, Score: 1980}))
	for i := range pt.Queries {
		pt.Queries[i].Prompt = strings.Repeat(pt.Queries[i].Prompt, 2)
	}
	pt.MaxTokens = 60
	s := simulateOn(t, 3, []simgpu.Option{simgpu.WithClockLatency(4*time.Millisecond, 900*time.Millisecond)}, pt, 0)
	want := map[event.Phase]int{event.Prefill: 1980, event.Decode: 1005}
	var running event.Phase
	phases, changes, late := 0, 0, 0
	for _, e := range s.events {
		switch e := e.(type) {
		case event.PhaseStart:
			if running = e.Phase; running != event.Idle {
				phases++
			}
		case event.ClockChange:
			if e.Cause.Phase == "" {
				continue // the start's, and the end's
			}
			changes++
			if e.RequestedSMMHz != want[e.Cause.Phase] {
				t.Errorf("%d MHz asked for %s", e.RequestedSMMHz, e.Cause.Phase)
			}
			if e.Cause.Phase != running {
				late++
			}
		}
	}
	if phases != 24 || changes != phases-1 { // the first prefill's clock is there from the start
		t.Errorf("%d changes in %d phases", changes, phases)
	}
	if late < changes/2 {
		t.Errorf("%d of %d changes were told of late: nothing is tested", late, changes)
	}
}
