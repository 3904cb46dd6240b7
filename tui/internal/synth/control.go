package synth

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"jouletop/engine/command"
	"jouletop/engine/event"
	"jouletop/gpu"
	"jouletop/tui"
)

// Control runs a generator as a dashboard's source and controller.
type Control struct {
	mu      sync.Mutex
	Gen     *Gen
	queue   []event.Event
	ready   chan struct{}
	closed  bool
	armed   bool
	policy  string
	Calls   []string // every command, for tests
	Refuse  error    // of StartSweep; nil: none
	Alarm   string   // of the status
	Allowed bool     // clocks may be set
	Endless bool     // End does not close the stream
	replay  *command.Replay
}

var (
	_ tui.Source         = (*Control)(nil)
	_ command.Controller = (*Control)(nil)
)

// NewControl wraps g.
func NewControl(g *Gen) *Control {
	return &Control{Gen: g, ready: make(chan struct{}, 1), policy: "none", Allowed: true}
}

// Step advances the generator by d and queues what it makes.
func (c *Control) Step(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	c.queue = append(c.queue, c.Gen.Advance(c.Gen.now+int64(d))...)
	c.signal()
}

func (c *Control) signal() {
	select {
	case c.ready <- struct{}{}:
	default:
	}
}

// Put queues an event of the caller's.
func (c *Control) Put(e event.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue = append(c.queue, e)
	c.signal()
}

// Ready is signalled when there is something to drain.
func (c *Control) Ready() <-chan struct{} { return c.ready }

// Drain takes what is queued.
func (c *Control) Drain() ([]event.Event, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := c.queue
	c.queue = nil
	return out, c.closed
}

func (c *Control) call(format string, args ...any) func() {
	c.mu.Lock()
	c.Calls = append(c.Calls, fmt.Sprintf(format, args...))
	return func() {
		c.queue = append(c.queue, c.Gen.out...)
		c.Gen.out = nil
		c.signal()
		c.mu.Unlock()
	}
}

// Status is a status with something in every field.
func (c *Control) Status() command.Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	start := time.Date(2026, 11, 22, 9, 30, 0, 0, time.UTC)
	return command.Status{
		Armed: c.armed, Alarm: c.Alarm, Policy: c.policy, Prefill: c.Gen.Manual.Prefill, Decode: c.Gen.Manual.Decode, Paused: c.Gen.Paused,
		PowerSources: map[string][]gpu.PowerSource{ID: {{Name: gpu.SourceBuffer, PeriodMS: 20, WindowMS: 20, CallMS: 0.4}}},
		Session:      command.SessionInfo{Path: "/home/me/.local/state/jouletop/sessions/20261122-093000-dashboard", Name: "20261122-093000-dashboard", Start: start, GPU: ID, Simulated: true},
		Files: []command.File{
			{Name: "manifest.json", Bytes: 4210, Rows: -1}, {Name: "samples.csv", Bytes: c.Gen.now / 140_000, Rows: c.Gen.now / 10_000_000},
			{Name: "power.csv", Bytes: c.Gen.now / 300_000, Rows: c.Gen.now / 20_000_000}, {Name: "phases.csv", Bytes: 48_200, Rows: int64(2 * c.Gen.batch)},
			{Name: "requests.csv", Bytes: 91_000, Rows: int64(c.Gen.reqs)}, {Name: "clocks.csv", Bytes: 1900, Rows: 21}, {Name: "events.jsonl", Bytes: 820_000, Rows: -1},
		},
		Replay: c.replay,
	}
}

// Choices lists a few.
func (c *Control) Choices() (command.Choices, error) {
	return command.Choices{
		Models:   []command.Choice{{Name: "llama-3.2-1b", Note: "simulated, 1.24 B parameters, F16"}, {Name: "llama-3.2-3b", Note: "simulated, 3.2 B parameters, F16"}, {Name: "llama-3.1-8b", Note: "simulated, 8.0 B parameters, F16"}},
		Datasets: []command.Choice{{Name: "boolq", Note: "built-in, 50 queries"}, {Name: "hellaswag", Note: "built-in, 50 queries"}, {Name: "truthfulqa", Note: "built-in, 50 queries"}, {Name: "narrativeqa", Note: "built-in, 50 queries"}},
		Batches:  []int{1, 4, 8},
		Policies: []string{"none", "phase:1980/1005", "min-energy", "min-edp"},
		Clocks:   Info().SMClocks,
	}, nil
}

// Arm arms.
func (c *Control) Arm(on bool) (string, error) {
	defer c.call("arm %v", on)()
	if on && !c.Allowed {
		return "", fmt.Errorf("%w: run as root, or let root install the guard once: sudo jouletop guard install", gpu.ErrNoPermission)
	}
	c.armed = on
	return "", nil
}

// ErrNotArmed is SetClock's without Arm.
var ErrNotArmed = errors.New("clock control is not armed: press a")

// SetClock sets the generator's clocks.
func (c *Control) SetClock(phase event.Phase, mhz int) error {
	defer c.call("clock %s %d", phase, mhz)()
	if !c.armed {
		return ErrNotArmed
	}
	if err := Info().CheckSMClock(mhz); err != nil {
		return err
	}
	m := &c.Gen.Manual
	m.On = true
	switch phase {
	case event.Prefill:
		m.Prefill = mhz
	case event.Decode, event.Score:
		m.Decode = mhz
	default:
		m.Prefill, m.Decode = mhz, mhz
	}
	c.policy = fmt.Sprintf("phase:%d/%d", m.Prefill, m.Decode)
	if m.Prefill == m.Decode {
		c.policy = fmt.Sprintf("fixed:%d", mhz)
	}
	c.Gen.Request(mhz, event.Cause{By: event.ByOperator})
	return nil
}

// GiveBack clears them.
func (c *Control) GiveBack() error {
	defer c.call("give back")()
	c.Gen.Manual = Clocks{}
	c.policy = "none"
	c.Gen.Request(0, event.Cause{By: event.ByOperator})
	return nil
}

// SetPolicy takes phase:P/D and fixed:MHZ.
func (c *Control) SetPolicy(spec string) error {
	defer c.call("policy %s", spec)()
	c.policy = spec
	kind, rest, _ := strings.Cut(spec, ":")
	p, d, both := strings.Cut(rest, "/")
	m := &c.Gen.Manual
	switch kind {
	case "phase":
		m.On = both
		m.Prefill, _ = strconv.Atoi(p)
		m.Decode, _ = strconv.Atoi(d)
	case "fixed":
		m.On = true
		m.Prefill, _ = strconv.Atoi(p)
		m.Decode = m.Prefill
	default:
		*m = Clocks{}
	}
	return nil
}

// StartJob queues a job.
func (c *Control) StartJob(j command.Job) error {
	defer c.call("job %+v", j)()
	c.Gen.Add(Job{Point: event.Point{PointID: fmt.Sprint("j", len(c.Gen.jobs)), GPU: ID, Model: j.Model, Dataset: j.Dataset, BatchSize: j.Batch, Policy: c.policy, Queries: j.Queries, Repeat: 1}, MaxTokens: j.MaxTokens})
	c.Gen.Begin("run", c.policy)
	return nil
}

// RunPrompt queues a prompt.
func (c *Control) RunPrompt(text string) error {
	defer c.call("prompt %s", text)()
	c.Gen.Add(Job{Point: event.Point{PointID: fmt.Sprint("q", len(c.Gen.jobs)), GPU: ID, Model: "llama-3.2-1b", Dataset: "prompt", BatchSize: 1, Policy: c.policy, Queries: 1, Repeat: 1}, MaxTokens: 100})
	return nil
}

// StartSweep queues a plan, five clocks whatever was asked.
func (c *Control) StartSweep(p command.Sweep) error {
	defer c.call("sweep %+v", p)()
	if c.Refuse != nil {
		return c.Refuse
	}
	if len(p.Policies) > 0 {
		for rep := 1; rep <= p.Repeats; rep++ {
			for _, spec := range p.Policies {
				c.Gen.Add(CompareJob(spec, rep, p.Models[0], p.Datasets[0], p.Queries))
			}
		}
	} else {
		c.Gen.Add(Sweep(p.Models, []int{1980, 960, 1500, 1200, 600}, p.Batches, p.Repeats, p.Queries)...)
	}
	c.Gen.Begin("sweep", c.policy)
	return nil
}

// CompareJob is a point under a policy fixed:MHZ or phase:PREFILL/DECODE.
func CompareJob(spec string, rep int, model, dataset string, queries int) Job {
	j := Job{Point: event.Point{PointID: fmt.Sprintf("c%s-%d", spec, rep), GPU: ID, Model: model, Dataset: dataset, BatchSize: 1, Policy: spec, Repeat: rep, Queries: queries}, MaxTokens: 40}
	kind, rest, _ := strings.Cut(spec, ":")
	p, d, _ := strings.Cut(rest, "/")
	j.Prefill, _ = strconv.Atoi(p)
	if j.Decode = j.Prefill; kind == "phase" {
		j.Decode, _ = strconv.Atoi(d)
	} else {
		j.RequestedSMMHz = j.Prefill
	}
	return j
}

// Pause holds the generator between batches.
func (c *Control) Pause() error {
	defer c.call("pause")()
	c.Gen.Paused = true
	return nil
}

// Resume lets it go on.
func (c *Control) Resume() error {
	defer c.call("resume")()
	c.Gen.Paused = false
	return nil
}

// SkipPoint skips.
func (c *Control) SkipPoint() error {
	defer c.call("skip")()
	c.Gen.Skip()
	return nil
}

// Stop stops after the batch.
func (c *Control) Stop() error {
	defer c.call("stop")()
	c.Gen.Stopping = true
	return nil
}

// End closes the stream.
func (c *Control) End() error {
	defer c.call("end")()
	c.closed = !c.Endless
	return nil
}

// Mark adds a mark.
func (c *Control) Mark(note string) error {
	defer c.call("mark %s", note)()
	c.Gen.Put(func(at event.At) event.Event { return event.Mark{At: at, Note: note} })
	return nil
}

// Export pretends.
func (c *Control) Export(path string) (string, error) {
	defer c.call("export %s", path)()
	if path == "" {
		path = "/home/me/.local/state/jouletop/sessions/20261122-093000-dashboard"
	}
	return path, nil
}

// Workload returns made-up queries.
func (c *Control) Workload() (command.Workload, error) { return Workload(), nil }

// Sessions lists made-up ones.
func (c *Control) Sessions() ([]command.SessionInfo, error) {
	var out []command.SessionInfo
	for i, what := range []string{"sweep", "run", "dashboard", "sweep"} {
		name := fmt.Sprintf("2026112%d-14%02d00-%s", 1-i/3, 50-7*i, what)
		out = append(out, command.SessionInfo{Path: "/sessions/" + name, Name: name, GPU: ID, Simulated: true, Requests: 96 * (i + 1), Points: 21 * (i % 2), Bytes: int64(i+1) * 3_400_000, How: "done"})
	}
	return out, nil
}

// OpenSession makes one up.
func (c *Control) OpenSession(path string) (command.SessionDetail, error) {
	g := New(99)
	g.Add(Sweep([]string{"llama-3.2-3b"}, []int{510, 960, 1245, 1605, 1980}, []int{1}, 1, 4)...)
	g.Begin("sweep", "none")
	d := command.SessionDetail{SessionInfo: command.SessionInfo{Path: path, Name: path[strings.LastIndex(path, "/")+1:], GPU: ID, Simulated: true}}
	for !g.Idle() {
		for _, e := range g.Advance(g.now + 1e9) {
			switch e := e.(type) {
			case event.PointDone:
				d.Points = append(d.Points, e)
			case event.RequestEnergy:
				d.Requests = append(d.Requests, e)
			}
		}
	}
	return d, nil
}

// SetReplaySpeed notes it.
func (c *Control) SetReplaySpeed(times float64) error {
	defer c.call("speed %v", times)()
	if c.replay != nil {
		c.replay.Speed = times
	}
	return nil
}

// SeekTo notes it.
func (c *Control) SeekTo(t int64) error {
	defer c.call("seek %d", t)()
	if c.replay != nil {
		c.replay.AtNS = t
	}
	return nil
}

// SetReplay makes the status that of a replay.
func (c *Control) SetReplay(r *command.Replay) { c.replay = r }
