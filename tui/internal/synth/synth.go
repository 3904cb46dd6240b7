// Package synth makes up sessions for the dashboard's tests, benchmarks and
// demonstration: a GPU and a model that behave plausibly, step by step, the same
// for the same seed. It is no simulation of any real device; gpu/simgpu is.
package synth

import (
	"fmt"
	"math"
	"math/rand/v2"

	"jouletop/engine/event"
	"jouletop/gpu"
)

// ID is the synthetic GPU's.
const ID = "sim:h100"

// Info describes the synthetic GPU.
func Info() gpu.Info {
	var clocks []int
	for mhz := 345; mhz <= 1980; mhz += 15 {
		clocks = append(clocks, mhz)
	}
	return gpu.Info{
		UUID: "GPU-00000000", Name: "NVIDIA H100 80GB HBM3", Driver: "simulated", Profile: "h100",
		SMClocks: clocks, MemMHz: 2619, PowerLimitW: 700, MemoryMiB: 81559,
	}
}

// Job is one point to run.
type Job struct {
	event.Point
	MaxTokens int
	Scored    bool
	// Phase clocks, MHz; 0 leaves the phase to the driver.
	Prefill, Decode int
}

// Gen makes events up to the time it is advanced to.
type Gen struct {
	rng        *rand.Rand
	now        int64
	out        []event.Event
	jobs       []Job
	next       int // of jobs
	cur        *Job
	done       int // requests of the point
	reqs       int
	batch      int
	phase      event.Phase
	phaseFrom  int64
	phaseTo    int64
	step       int // decode steps done
	stepTo     int64
	steps      int
	start      int64 // of the batch
	prefillEnd int64
	joules     map[event.Phase]float64
	requested  int
	achieved   float64
	temp       float64
	sampleNS   int64
	powerNS    int64
	held       []event.Event // power waiting for the driver's buffer
	flushNS    int64
	sums       pointSums
	idleTo     int64
	Manual     Clocks // set by an operator
	SampleMS   int64  // period of the samples
	Paused     bool
	Stopping   bool
	ended      bool
}

// Clocks are clocks by phase, MHz; 0 for the driver's.
type Clocks struct {
	On              bool
	Prefill, Decode int
}

type pointSums struct {
	n, in, out                         int
	prefill, decode, latency           float64
	joules, prefillJ, decodeJ, quality float64
	start                              int64
	clock, clockN                      float64
}

// New returns a generator.
func New(seed uint64) *Gen {
	return &Gen{rng: rand.New(rand.NewPCG(seed, 7)), achieved: 1980, temp: 38, SampleMS: 10, joules: map[event.Phase]float64{}}
}

// Add queues jobs.
func (g *Gen) Add(jobs ...Job) { g.jobs = append(g.jobs, jobs...) }

// Begin opens the run.
func (g *Gen) Begin(name, policy string) {
	requests := 0
	for _, j := range g.jobs[g.next:] {
		requests += j.Queries
	}
	g.put(event.RunStart{At: g.at(), Name: name, GPU: ID, Simulated: true, Policy: policy, Points: len(g.jobs) - g.next, Requests: requests})
	g.put(event.State{At: g.at(), State: "running"})
	g.ended = false
}

// Now returns the generator's time, ns.
func (g *Gen) Now() int64 { return g.now }

// Put adds an event of the caller's at the present time.
func (g *Gen) Put(make func(at event.At) event.Event) { g.put(make(g.at())) }

func (g *Gen) at() event.At      { return event.At{TimeNS: g.now} }
func (g *Gen) put(e event.Event) { g.out = append(g.out, e) }

const ms = 1_000_000

// Advance makes the events until t (ns).
func (g *Gen) Advance(t int64) []event.Event {
	for g.now < t {
		g.now += 10 * ms
		g.work()
		g.sense()
	}
	out := g.out
	g.out = nil
	return out
}

// Idle tells whether all jobs are done.
func (g *Gen) Idle() bool { return g.cur == nil && g.next == len(g.jobs) }

func (g *Gen) work() {
	if g.now < g.idleTo {
		return
	}
	switch {
	case g.phase == event.Prefill && g.now >= g.phaseTo:
		g.endPhase(g.batchSize() * 340)
		g.prefillEnd = g.phaseTo
		if g.cur.Scored {
			g.begin(event.Score, g.batchSize()*12, 6)
			return
		}
		g.steps = g.cur.MaxTokens - g.done*7%max(g.cur.MaxTokens/2, 1)
		g.step = 0
		g.begin(event.Decode, g.batchSize()*g.cur.MaxTokens, 0)
		g.stepTo = g.now + g.stepNS()
	case g.phase == event.Decode:
		for g.now >= g.stepTo && g.step < g.steps {
			g.step++
			for i := range g.batchSize() {
				g.put(event.Token{At: event.At{TimeNS: g.stepTo}, BatchID: g.batchID(), Index: i, Text: word(g.step*7 + i*3 + g.batch)})
			}
			g.stepTo += g.stepNS()
		}
		if g.step >= g.steps {
			g.phaseTo = g.now
			g.endPhase(g.batchSize() * g.steps)
			g.endBatch()
		}
	case g.phase == event.Score && g.now >= g.phaseTo:
		g.endPhase(g.batchSize() * 12)
		g.endBatch()
	case g.phase == "" && !g.Paused:
		g.nextBatch()
	}
}

// stepNS is a decode step: memory-bound, hardly slower at low clocks.
func (g *Gen) stepNS() int64 {
	f := g.achieved / 1980
	return int64((4.9 + 0.5/f + 0.12*float64(g.batchSize()) + g.rng.Float64()*0.1) * g.weight() * ms)
}

// weight is how heavy the model is against the smallest.
func (g *Gen) weight() float64 {
	switch g.cur.Model {
	case "llama-3.1-8b":
		return 1.7
	case "llama-3.2-3b":
		return 1.3
	}
	return 1
}

func (g *Gen) batchSize() int  { return min(g.cur.BatchSize, g.cur.Queries-g.done) }
func (g *Gen) batchID() string { return fmt.Sprintf("b%d", g.batch) }

func (g *Gen) nextBatch() {
	if g.cur == nil {
		if g.next >= len(g.jobs) || g.Stopping {
			if !g.ended && g.next > 0 {
				g.ended = true
				g.put(event.RunEnd{At: g.at(), How: "done"})
			}
			return
		}
		g.cur = &g.jobs[g.next]
		g.next++
		g.done = 0
		g.sums = pointSums{start: g.now}
		g.put(event.PointStart{At: g.at(), Point: g.cur.Point})
	}
	g.batch++
	g.start = g.now
	g.joules = map[event.Phase]float64{}
	queries := make([]string, g.batchSize())
	for i := range queries {
		queries[i] = g.queryID(i)
	}
	g.put(event.BatchStart{At: g.at(), BatchID: g.batchID(), PointID: g.cur.PointID, Queries: queries, Prompt: prompts[g.batch%len(prompts)], Class: []string{"easy", "hard"}[g.batch%2]})
	f := g.achieved / 1980
	g.begin(event.Prefill, g.batchSize()*340, int64((9+14*float64(g.batchSize())/f)*g.weight()))
}

func (g *Gen) queryID(i int) string { return fmt.Sprintf("%s-%03d", g.cur.Dataset, g.done+i) }

func (g *Gen) begin(p event.Phase, tokens int, lastsMS int64) {
	g.phase, g.phaseFrom, g.phaseTo = p, g.now, g.now+lastsMS*ms
	g.put(event.PhaseStart{At: g.at(), BatchID: g.batchID(), GPU: ID, Phase: p, BatchSize: g.batchSize(), Tokens: tokens})
	want := g.cur.Decode
	if p == event.Prefill {
		want = g.cur.Prefill
	}
	if g.Manual.On {
		want = g.Manual.Decode
		if p == event.Prefill {
			want = g.Manual.Prefill
		}
	}
	g.Request(want, event.Cause{By: event.ByPolicy, Policy: "phase", Phase: p})
}

// Request asks for a clock, 0 for the driver's own.
func (g *Gen) Request(mhz int, cause event.Cause) {
	if mhz == g.requested {
		return
	}
	g.requested = mhz
	g.put(event.ClockChange{At: g.at(), GPU: ID, RequestedSMMHz: mhz, AchievedSMMHz: int(g.target()), CallMS: 3 + g.rng.Float64(),
		SettleMS: 18 + 6*g.rng.Float64(), DelayMS: 0.2, Cause: cause})
}

func (g *Gen) target() float64 {
	if g.requested > 0 {
		return float64(g.requested)
	}
	return 1980
}

func (g *Gen) endPhase(tokens int) {
	span := event.PhaseSpan{BatchID: g.batchID(), GPU: ID, Phase: g.phase, StartNS: g.phaseFrom, EndNS: g.now, BatchSize: g.batchSize(), Tokens: tokens, RequestedSMMHz: g.requested}
	g.put(event.PhaseEnd{At: g.at(), PhaseSpan: span})
	e := g.joules[g.phase]
	g.put(event.PhaseEnergy{At: g.at(), PhaseSpan: span, SMMHzMean: g.achieved, Energy: event.Energy{EnergyJ: e, EnergyErrJ: e * 0.03, Method: "fit"}})
	g.phase = ""
}

func (g *Gen) endBatch() {
	nan := math.NaN()
	b := g.batchSize()
	prefill, rest := float64(g.prefillEnd-g.start)/1e9, float64(g.now-g.prefillEnd)/1e9
	joules := (g.joules[event.Prefill] + g.joules[event.Decode] + g.joules[event.Score]) / float64(b)
	for i := range b {
		g.reqs++
		// The first step is the first token's: it is no time per output token after it.
		step := float64(g.stepNS()) / 1e9
		out, ttft, after := g.steps, prefill+step, rest-step
		if g.cur.Scored {
			out, ttft, after = 0, nan, rest
		}
		requested := g.requested
		if g.cur.Prefill != g.cur.Decode {
			requested = 0
		}
		r := event.Request{
			RequestID: fmt.Sprintf("r%d", g.reqs), BatchID: g.batchID(), PointID: g.cur.PointID, Repeat: g.cur.Repeat, GPU: ID,
			Model: g.cur.Model, Dataset: g.cur.Dataset, QueryID: g.queryID(i), Class: []string{"easy", "hard"}[i%2], BatchSize: b, Policy: g.cur.Policy,
			RequestedSMMHz: requested, StartNS: g.start, EndNS: g.now, InputTokens: 320 + g.rng.IntN(40), OutputTokens: out,
			PrefillS: prefill, DecodeS: after, TTFTS: ttft, Quality: 0.4 + 0.2*g.rng.Float64(), QualityMetric: "rouge-l", Output: event.Output{Choice: -1},
		}
		g.put(event.RequestDone{At: g.at(), Request: r})
		j := joules * (0.97 + 0.06*g.rng.Float64())
		g.put(event.RequestEnergy{At: g.at(), Request: r, Energy: event.Energy{EnergyJ: j, EnergyErrJ: j * 0.04, Method: "fit"}, NetEnergyJ: j * 0.8, MixedClock: g.cur.Prefill != g.cur.Decode})
		g.sums.n++
		g.sums.in += r.InputTokens
		g.sums.out += out
		g.sums.latency += r.LatencyS()
		g.sums.quality += r.Quality
		g.sums.joules += j
	}
	g.sums.prefill += prefill * float64(b)
	g.sums.decode += rest * float64(b)
	g.sums.prefillJ += g.joules[event.Prefill]
	g.sums.decodeJ += g.joules[event.Decode] + g.joules[event.Score]
	g.done += b
	g.idleTo = g.now + int64(20+g.rng.IntN(40))*ms
	if g.done >= g.cur.Queries || g.Stopping {
		g.endPoint()
	}
}

func (g *Gen) endPoint() {
	s := g.sums
	n := float64(s.n)
	tokens := float64(s.out)
	if tokens == 0 {
		tokens = float64(s.in)
	}
	j, lat := s.joules/n, s.latency/n
	g.put(event.PointDone{At: g.at(), Point: g.cur.Point, PointResult: event.PointResult{
		AchievedSMMHz: s.clock / s.clockN, InputTokens: float64(s.in) / n, OutputTokens: float64(s.out) / n, PrefillS: s.prefill / n, DecodeS: s.decode / n,
		LatencyS: lat, TokensPerS: tokens / (float64(g.now-s.start) / 1e9), Energy: event.Energy{EnergyJ: j, EnergyErrJ: j * 0.02, Method: "fit"},
		NetEnergyJ: j * 0.8, PrefillEnergyJ: s.prefillJ / n, DecodeEnergyJ: s.decodeJ / n, JoulesPerToken: s.joules / tokens, EDPJS: j * lat,
		MeanPowerW: s.joules / (float64(g.now-s.start) / 1e9), Quality: s.quality / n, TempStartC: 40, TempEndC: g.temp,
	}})
	g.cur = nil
}

// Skip gives up the running point after its batch.
func (g *Gen) Skip() {
	if g.cur != nil {
		g.cur.Queries = g.done + g.batchSize()
	}
}

// watts is the power now: idle, plus activity by V²f with V flat below a knee.
func (g *Gen) watts() float64 {
	f := g.achieved / 1980
	v := 0.72
	if g.achieved > 1005 {
		v = 0.72 + 0.28*(g.achieved-1005)/975
	}
	act, mem := 0.0, 0.0
	switch g.phase {
	case event.Prefill:
		act, mem = 470, 60
	case event.Decode:
		act, mem = 200, 190
	case event.Score:
		act, mem = 400, 80
	}
	w := 118 + act*v*v*f + mem + (g.rng.Float64()-0.5)*14
	if g.phase == "" {
		w = 118 + (g.rng.Float64()-0.5)*4
	}
	return w
}

func (g *Gen) sense() {
	g.achieved += (g.target() - g.achieved) * 0.6
	if math.Abs(g.achieved-g.target()) < 8 {
		g.achieved = g.target()
	}
	w := g.watts()
	if g.phase != "" {
		g.joules[g.phase] += w * 0.01
	}
	g.temp += (36 + w/22 - g.temp) * 0.0008
	if g.cur != nil {
		g.sums.clock += g.achieved
		g.sums.clockN++
	}
	if g.now >= g.sampleNS {
		g.sampleNS = g.now + g.SampleMS*ms
		g.put(event.Sample{At: g.at(), GPU: ID, RequestedSMMHz: g.requested, Sample: g.sample(w)})
	}
	if g.now >= g.powerNS {
		g.powerNS = g.now + 20*ms
		g.held = append(g.held, event.Power{GPU: ID, PowerReading: gpu.PowerReading{TimeNS: g.now, Source: gpu.SourceBuffer, PowerW: w, CounterJ: math.NaN(), Fresh: true}})
	}
	if g.now >= g.flushNS {
		g.flushNS = g.now + 300*ms
		g.out = append(g.out, g.held...)
		g.held = g.held[:0]
	}
}

func (g *Gen) sample(w float64) gpu.Sample {
	s := gpu.Sample{SMMHz: int(math.Round(g.achieved/15) * 15), MemMHz: 2619, TempC: math.Round(g.temp), GPUUtil: 3, DRAMUtil: 1, TensorUtil: 0, MemUsedMiB: 16870}
	switch g.phase {
	case event.Prefill, event.Score:
		s.GPUUtil, s.DRAMUtil, s.TensorUtil = 98, 22, 61
	case event.Decode:
		s.GPUUtil, s.DRAMUtil, s.TensorUtil = 97, 83, 9
	default:
		s.Throttle = gpu.ThrottleIdle
	}
	if g.requested > 0 {
		s.Throttle |= gpu.ThrottleAppClocks
	}
	if w > 640 {
		s.Throttle |= gpu.ThrottleSWPowerCap
	}
	return s
}
