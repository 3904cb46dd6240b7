package recorded

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"jouletop/engine/command"
	"jouletop/engine/event"
	"jouletop/gpu"
)

// Calls is a dashboard's source and controller: it notes every command, answers
// with Err, and hands on the events that it is given.
type Calls struct {
	mu      sync.Mutex
	session *Session
	earlier []*Session
	status  command.Status
	calls   []string
	err     error
	queue   []event.Event
	ready   chan struct{}
	closed  bool
	endless bool
	knobs   []gpu.Knob
	arming  string
}

// NewCalls answers as over a session s, beside earlier ones.
func NewCalls(s *Session, earlier ...*Session) *Calls {
	info, files := s.info()
	info.Path = "~/.local/state/jouletop/sessions/" + info.Name
	c := &Calls{session: s, earlier: earlier, ready: make(chan struct{}, 1), status: command.Status{
		Policy: "none", MaxSlowdown: 0.03, Session: info, Files: files, PowerSources: map[string][]gpu.PowerSource{}, Processes: map[string][]gpu.Process{},
	}}
	for _, g := range s.manifest.GPUs {
		c.status.PowerSources[g.ID] = g.Sensors
	}
	return c
}

// Refuse has every command answered with err; nil accepts again.
func (c *Calls) Refuse(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = err
}

// Tell changes what the status says.
func (c *Calls) Tell(change func(s *command.Status)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(&c.status)
}

// Offer has the GPU have these knobs.
func (c *Calls) Offer(knobs ...gpu.Knob) { c.knobs = knobs }

// Explain has arming be explained so.
func (c *Calls) Explain(text string) { c.arming = text }

// Endless keeps the stream open when the session is ended.
func (c *Calls) Endless() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.endless = true
}

// Made are the commands so far, oldest first.
func (c *Calls) Made() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.calls)
}

// Last is the newest command, "" for none.
func (c *Calls) Last() string {
	made := c.Made()
	if len(made) == 0 {
		return ""
	}
	return made[len(made)-1]
}

// Put queues events.
func (c *Calls) Put(events ...event.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue = append(c.queue, events...)
	c.signal()
}

func (c *Calls) signal() {
	select {
	case c.ready <- struct{}{}:
	default:
	}
}

// Ready is signalled when there is something to drain.
func (c *Calls) Ready() <-chan struct{} { return c.ready }

// Drain takes what is queued.
func (c *Calls) Drain() ([]event.Event, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := c.queue
	c.queue = nil
	return out, c.closed
}

func (c *Calls) note(format string, args ...any) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls = append(c.calls, fmt.Sprintf(format, args...))
	return c.err
}

// The rest is [command.Controller].

func (c *Calls) Status() command.Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.status
}

func (c *Calls) Choices() (command.Choices, error) {
	var out command.Choices
	for _, m := range []string{"llama-3.2-1b", "llama-3.2-3b", "llama-3.1-8b"} {
		out.Models = append(out.Models, command.Choice{Name: m, Note: "simulated"})
	}
	for _, d := range []string{"boolq", "hellaswag", "truthfulqa", "narrativeqa"} {
		out.Datasets = append(out.Datasets, command.Choice{Name: d, Note: "built in"})
	}
	out.Batches, out.Policies = []int{1, 4, 8}, []string{"none", "phase:1980/1005", "min-energy", "min-edp"}
	out.Clocks = c.session.GPUs[0].SMClocks
	out.Knobs, out.Arming = c.knobs, c.arming
	return out, nil
}

func (c *Calls) Arm(on bool) (string, error)               { return "", c.note("arm %v", on) }
func (c *Calls) SetClock(phase event.Phase, mhz int) error { return c.note("clock %s %d", phase, mhz) }
func (c *Calls) SetKnob(k gpu.KnobID, v int) error         { return c.note("knob %s %d", k, v) }
func (c *Calls) GiveBack() error                           { return c.note("give back") }
func (c *Calls) SetPolicy(spec string) error               { return c.note("policy %s", spec) }
func (c *Calls) StartJob(j command.Job) error              { return c.note("job %+v", j) }
func (c *Calls) RunPrompt(text string) error               { return c.note("prompt %s", text) }
func (c *Calls) StartSweep(s command.Sweep) error          { return c.note("sweep %+v", s) }
func (c *Calls) MoveJob(id, by int) error                  { return c.note("move %d %d", id, by) }
func (c *Calls) CancelJob(id int) error                    { return c.note("cancel %d", id) }
func (c *Calls) Pause() error                              { return c.note("pause") }
func (c *Calls) Resume() error                             { return c.note("resume") }
func (c *Calls) ChangePace(by float64) (float64, error)    { return by, c.note("pace %g", by) }
func (c *Calls) SkipPoint() error                          { return c.note("skip") }
func (c *Calls) Stop() error                               { return c.note("stop") }
func (c *Calls) Mark(text string) error                    { return c.note("mark %s", text) }
func (c *Calls) SetReplaySpeed(times float64) error        { return c.note("speed %v", times) }
func (c *Calls) SeekTo(t int64) error                      { return c.note("seek %d", t) }
func (c *Calls) Export(path string) (string, error)        { return path, c.note("export %s", path) }
func (c *Calls) Workload() (command.Workload, error)       { return c.session.workload() }

// Forecast takes a clock of a plan for each comma, and a minute for a point.
func (c *Calls) Forecast(s command.Sweep) (command.Forecast, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := max(len(s.Policies), 1+strings.Count(s.Clocks, ","))
	points := n * len(s.Models) * len(s.Datasets) * len(s.Batches) * s.Repeats
	return command.Forecast{Settings: n, Points: points, Requests: points * s.Queries, Seconds: 60 * float64(points)}, c.err
}

// End closes the stream.
func (c *Calls) End() error {
	err := c.note("end")
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = !c.endless
	c.signal()
	return err
}

func (c *Calls) Sessions() ([]command.SessionInfo, error) {
	var out []command.SessionInfo
	for _, s := range c.earlier {
		info, _ := s.info()
		if s.dir == c.session.dir {
			info.Path = c.status.Session.Path
		}
		out = append(out, info)
	}
	return out, nil
}

func (c *Calls) OpenSession(path string) (command.SessionDetail, error) {
	for _, s := range c.earlier {
		if s.dir == path {
			return s.detail(), nil
		}
	}
	return command.SessionDetail{}, fmt.Errorf("%s: no such session", path)
}
