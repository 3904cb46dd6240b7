package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"jouletop/engine"
	"jouletop/engine/event"
	"jouletop/engine/serving"
	"jouletop/engine/simllm"
	"jouletop/engine/stream"
	"jouletop/gpu/simgpu"
	"jouletop/gpu/timebase"
	"jouletop/workloads"
	"jouletop/workloads/arrivals"
)

// loads are requests a second, from light to more than is served.
var loads = []float64{0.5, 3, 8, 25}

// requests of a run, by load.
const (
	requests = 120
	slots    = 16
	chunk    = 512
)

// idleW is about what the simulated H100 draws with a context open and nothing to do.
const idleW = 124

// truth is a simulated model that notes what each pass and each request in it cost.
type truth struct {
	*simllm.Backend
	gpu     *simgpu.GPU
	profile simgpu.Profile
	ids     map[int]string
	joules  map[string]float64 // by request
	alone   map[string]float64 // what each added
	passes  float64            // J
}

func (m *truth) Prepare(id int, q engine.Request) (prompt, most int, err error) {
	m.ids[id] = q.ID
	return m.Backend.Prepare(id, q)
}

// Pass runs a pass and divides what it cost: to each member what the pass would have
// cost less without it (more, where two are cheaper than one alone), and the rest the
// same to each.
func (m *truth) Pass(ctx context.Context, p serving.Pass) (engine.Passed, error) {
	whole := m.PassWork(p)
	out, err := m.Backend.Pass(ctx, p)
	if err != nil {
		return out, err
	}
	joules := m.gpu.TrueEnergyJ(out.StartNS, out.EndNS)
	mhz := m.gpu.TrueSMMHz((out.StartNS + out.EndNS) / 2)
	m.passes += joules
	own, lessS, sum := make([]float64, len(p.Members)), make([]float64, len(p.Members)), 0.0
	for i := range p.Members {
		own[i], lessS[i] = joules, float64(out.EndNS-out.StartNS)/1e9
		if len(p.Members) > 1 {
			rest := m.PassWork(serving.Pass{Members: slices.Delete(slices.Clone(p.Members), i, i+1)})
			own[i] = joules * (1 - m.profile.Joules(rest, mhz)/m.profile.Joules(whole, mhz))
			lessS[i] = m.profile.Seconds(whole, mhz) - m.profile.Seconds(rest, mhz)
		}
		sum += own[i]
	}
	fits := min(1, joules/max(sum, 1e-9))
	for i, member := range p.Members {
		id := m.ids[member.ID]
		m.joules[id] += own[i]*fits + (joules-sum*fits)/float64(len(p.Members))
		m.alone[id] += own[i]*fits - idleW*lessS[i]
	}
	return out, nil
}

// mix is a Poisson process of requests of all sizes.
type mix struct {
	rng  *rand.Rand
	rate float64
	at   float64 // s
	left int
}

func (m *mix) Next() (arrivals.Arrival, error) {
	if m.left == 0 {
		return arrivals.Arrival{}, io.EOF
	}
	m.left--
	m.at += m.rng.ExpFloat64() / m.rate
	// Long prompts are few, as they are in traces.
	in := int(64 * math.Exp(m.rng.Float64()*math.Log(1536/64)))
	return arrivals.Arrival{At: time.Duration(m.at * 1e9), Input: in, Output: 8 + m.rng.IntN(192)}, nil
}

func (m *mix) Close() error { return nil }

// run is what a simulated run came to.
type run struct {
	truth  *truth
	rows   []event.RequestEnergy
	whole  float64 // J, of the busy time by the sensors
	busy   float64 // J, in truth
	passes int

	start, end int64   // ns, of the first busy time and of the last
	drew       float64 // J, from the one to the other, in truth
}

// Record takes an event in: run is a stream's recorder.
func (r *run) Record(ev event.Event) {
	switch ev := ev.(type) {
	case event.RequestEnergy:
		r.rows = append(r.rows, ev)
	case event.PhaseEnergy:
		if ev.Phase == event.Mixed {
			r.whole += ev.EnergyJ
			r.busy += r.truth.gpu.TrueEnergyJ(ev.StartNS, ev.EndNS)
			if r.start == 0 {
				r.start = ev.StartNS
			}
			r.end = ev.EndNS
			r.drew = r.truth.gpu.TrueEnergyJ(r.start, r.end)
		}
	case event.IterationEnergy:
		r.passes++
	}
}

// Err is a stream.Recorder's.
func (r *run) Err() error { return nil }

// Close is a stream.Recorder's.
func (r *run) Close() error { return nil }

// How the passes of a simulated model are known.
const (
	ran   = iota // they were run by this program
	said         // by the streams of a server that says how prompts come forward, and how much it made
	told         // by a server that tells of each in its log
	timed        // by when the tokens of a server came
)

func simulate(rate float64, seed int64, known int) (*run, error) {
	return simulateLoad(func() arrivals.Process {
		return &mix{rng: rand.New(rand.NewPCG(uint64(seed), 77)), rate: rate, left: requests}
	}, seed, known)
}

// simulateLoad runs a load on the simulated GPU.
func simulateLoad(load func() arrivals.Process, seed int64, known int) (*run, error) {
	clk := timebase.NewSim(0)
	done := make(chan error, 1)
	r := &run{}
	clk.Go(func() {
		done <- func() error {
			g, err := simgpu.New("h100", clk, seed, simgpu.WithTruth(), simgpu.WithGain(0))
			if err != nil {
				return err
			}
			profile, err := simgpu.ProfileByName("h100")
			if err != nil {
				return err
			}
			r.truth = &truth{Backend: simllm.New(g, clk, seed), gpu: g, profile: profile, ids: map[int]string{}, joules: map[string]float64{}, alone: map[string]float64{}}
			var model engine.Backend = r.truth
			var says engine.Telemetry
			if known != ran {
				s, err := streamOf(r.truth, clk, seed, known)
				if err != nil {
					return err
				}
				model = s
				if known == told {
					says = s
				}
			}
			e, err := engine.New(engine.Config{
				Clock: clk, GPUs: []engine.GPU{{Device: g, Sources: g.PowerSources()}}, Backend: model, Stream: stream.New(r), Simulated: true, Telemetry: says,
			})
			if err != nil {
				return err
			}
			text := "the old lighthouse keeper counts the ships that pass"
			pt := engine.PointPlan{
				Point: event.Point{PointID: "p1", Model: "llama-3.1-8b", Dataset: "mix", BatchSize: slots, Repeat: 1, Queries: requests},
				Spec:  engine.ModelSpec{Name: "llama-3.1-8b"}, MaxTokens: 100,
				Queries: []workloads.Query{{Dataset: "mix", Style: workloads.NarrativeQA, ID: "q", Prompt: text, Text: text, Question: text, Answer: -1, Answers: []string{text}}},
				Serving: &engine.Serving{Slots: slots, Chunk: chunk, Schedule: serving.Mixed, Arrivals: func() (arrivals.Process, error) { return load(), nil }},
			}
			e.Start()
			err = e.Run(context.Background(), engine.Plan{Name: "run", Points: []engine.PointPlan{pt}, Idle: time.Second})
			if closed := e.Close(); err == nil {
				err = closed
			}
			return err
		}()
	})
	return r, <-done
}

// simulated judges the simulator's requests.
func simulated(seeds int) error {
	fmt.Printf("simulated H100, 8B, %d slots, %d requests of 64 to 1536 tokens and 8 to 199 out, %d seeds\n", slots, requests, seeds)
	for known, how := range []string{"", "a server's, by what its streams say: ", "a server's, by what it tells of passes: ", "a server's, by when tokens came: "} {
		for _, rate := range loads {
			if known != ran && rate == loads[1] && seeds > 1 {
				continue // between two others
			}
			if err := judge(how, rate, seeds, known); err != nil {
				return err
			}
		}
	}
	return nil
}

func judge(how string, rate float64, seeds, known int) error {
	var errs, tokens, capped, z []float64
	sum, resolved, n, passes := 0.0, 0, 0, 0
	start := time.Now()
	for seed := range int64(seeds) {
		r, err := simulate(rate, seed+1, known)
		if err != nil {
			return err
		}
		stated := 0.0
		passes += r.passes
		for _, q := range r.rows {
			true := r.truth.joules[q.RequestID]
			stated += q.EnergyJ
			n++
			if math.IsNaN(q.EnergyJ) {
				continue
			}
			resolved++
			errs = append(errs, math.Abs(q.EnergyJ/true-1))
			tokens, capped = append(tokens, math.Abs(q.TokenJ/true-1)), append(capped, math.Abs(q.CappedJ/true-1))
			z = append(z, math.Abs(q.EnergyJ-true)/q.EnergyErrJ)
		}
		sum = max(sum, math.Abs(stated/r.busy-1))
	}
	inside := 0.0
	for _, x := range z {
		if x <= 1 {
			inside++
		}
	}
	most := 5.0
	if known == timed {
		most = 10
	}
	name := fmt.Sprintf("%s%g requests/s: ", how, rate)
	check(name+"sum of requests off the truth, worst seed", 100*sum, "%", 0, 1)
	check(name+"median error of a request", 100*median(errs), "%", 0, most)
	check(name+"requests inside their 95 % interval", 100*inside/float64(len(z)), "%", 93, 99)
	fmt.Printf("    by token share %.3g %%, by capped token share %.3g %%; worst %.3g %%; %d of %d resolved; %d passes; %.1f s\n",
		100*median(tokens), 100*median(capped), 100*slices.Max(errs), resolved, n, passes, time.Since(start).Seconds())
	return nil
}

func median(x []float64) float64 {
	if len(x) == 0 {
		return math.NaN()
	}
	x = slices.Clone(x)
	slices.Sort(x)
	return x[len(x)/2]
}
