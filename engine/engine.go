package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"jouletop/engine/account"
	"jouletop/engine/binding"
	"jouletop/engine/clocks"
	"jouletop/engine/event"
	"jouletop/engine/stream"
	"jouletop/gpu"
	"jouletop/gpu/sampler"
	"jouletop/gpu/timebase"
)

// ErrStopped: the operator stopped the run; what ran is saved.
var ErrStopped = errors.New("stopped")

// ErrClock: the clock asked for was not in force, so that the run was ended or a
// point not run.
var ErrClock = errors.New("the clock asked for is not in force")

// Config is what an engine is made of.
type Config struct {
	Clock timebase.Clock
	// GPUs work on the job together, mostly one: the same clock is set on all, and
	// their energies add up.
	GPUs    []GPU
	Backend Backend // nil: watch only
	Stream  *stream.Stream
	// Simulated marks the run: device or backend is simulated.
	Simulated bool
	// Policy is in force until SetPolicy; nil is none.
	Policy Policy
	// Rearm sets a clock that was lost (its guard ended, somebody else gave it
	// back) again and goes on; otherwise the run ends after the batch in hand. What
	// was touched is flagged either way.
	Rearm bool
	// Telemetry, if not nil, is what a server says of itself while it serves.
	Telemetry Telemetry
	// Load, if not nil, is told what the device is doing: event.Idle or a phase.
	// A simulated GPU under real inference needs it.
	Load func(event.Phase)
	// Watch tells which processes are on the GPUs and what they take, and lets GPUs sleep:
	// for where others' work is watched, and none is done.
	Watch bool
	// Host reads what the machine around the GPUs draws, from its call on until what it
	// returns is called; nil does not.
	Host func(tell func(event.HostPower), problem func(error)) (stop func())
}

// GPU is one GPU of an engine.
type GPU struct {
	Device  gpu.Device
	Sources []gpu.PowerSource // the device's power sources as discovered
	// Control sets its clock; nil never (read-only).
	Control clocks.Control
}

// Engine samples GPUs and runs plans on them, publishing everything on its
// stream. Start it, Run plans one after another, Close it.
type Engine struct {
	cfg     Config
	clk     timebase.Clock
	stream  *stream.Stream
	gpuID   string // of the rows about jobs: the GPUs' ids joined
	units   []*unit
	clocks  clocks.Drivers
	account *account.Account
	binding *binding.Watch

	mu      sync.Mutex
	policy  Policy
	held    bool // the operator's policy stands against the points' own
	phase   event.PhaseStart
	inPhase bool
	running bool // a plan
	paused  bool
	stop    bool
	stopErr error              // why it stops, if nobody asked
	told    map[string]bool    // of failing clocks, in this run
	loading context.CancelFunc // of the model being loaded, nil if none
	skip    bool
	times   float64         // as fast as planned requests come; 0 none do by a process
	endHost func()          // ends reading the host; nil: it is not read
	state   timebase.Signal // wakes a paused run
	loaded  ModelSpec
	served  string // the model that was loaded last, also of a backend that has died since
	model   ModelInfo
}

// unit is what an engine has for each GPU.
type unit struct {
	GPU
	id      string
	clocks  *clocks.Driver
	sampler *sampler.Sampler
	tempC   float64 // as sampled last; guarded by Engine.mu
	foreign clocks.Foreign
	highest int      // MHz, of the SM clock
	tenants *tenants // nil: others' processes are not watched
}

// New returns an engine; nothing runs before Start.
func New(cfg Config) (*Engine, error) {
	if cfg.Clock == nil || len(cfg.GPUs) == 0 || cfg.Stream == nil {
		return nil, errors.New("engine: clock, GPU and stream are needed")
	}
	e := &Engine{cfg: cfg, clk: cfg.Clock, stream: cfg.Stream, policy: cfg.Policy, state: cfg.Clock.NewSignal()}
	if e.policy == nil {
		e.policy = NoPolicy{}
	}
	var infos []gpu.Info
	var parts []account.Meter
	var held []binding.GPU
	for _, g := range cfg.GPUs {
		info := g.Device.Info()
		u := &unit{GPU: g, id: info.ID(), highest: info.MaxSM(), clocks: clocks.New(e.clk, info.ID(), g.Control, e.publish)}
		u.clocks.Rearm, u.clocks.Failed = cfg.Rearm, e.clockFailed
		u.clocks.Limit = func() (int, error) { return gpu.KnobState(g.Device, gpu.KnobPower) }
		u.clocks.Own = !cfg.Watch // which lets the GPU sleep
		u.clocks.Enforced = func(k gpu.KnobID) (int, error) { return gpu.EnforcedKnob(g.Device, k) }
		e.units, e.clocks = append(e.units, u), append(e.clocks, u.clocks)
		held = append(held, binding.GPU{ID: u.id, HighestMHz: u.highest, LimitW: info.PowerLimitW, AtOnce: info.Simulated()})
		infos, parts = append(infos, info), append(parts, account.NewMeter(u.id, g.Sources, info.MostPowerLimitW()))
	}
	e.gpuID = gpu.Together(infos...).ID()
	e.account = account.New(parts, e.clocks)
	e.binding = binding.New(held...)
	e.stream.Observe(e.account.Observe)
	e.stream.Observe(e.binding.Observe)
	e.stream.Observe(e.observe)
	return e, nil
}

// Start begins sampling and makes clock control ready. On a simulated clock it
// is called from one of the clock's goroutines, and so are Run and Close.
func (e *Engine) Start() {
	e.clocks.Start()
	if e.cfg.Host != nil {
		e.endHost = e.cfg.Host(func(p event.HostPower) { e.publish(p) }, func(err error) { e.Warn(err.Error()) })
	}
	for _, u := range e.units {
		o := sampler.Options{
			Clock:   e.clk,
			Sources: u.Sources,
			Sample:  func(t int64, s gpu.Sample) { e.sample(u, t, s) },
			Power:   func(r gpu.PowerReading) { e.publish(event.Power{GPU: u.id, PowerReading: r}) },
			LimitTimes: func(t int64, l gpu.LimitTimes) {
				e.publish(event.LimitTimes{At: event.At{TimeNS: t}, GPU: u.id, LimitTimes: l})
			},
			Problem: func(err error) { e.Warn(fmt.Sprintf("readings of GPU %s: %v", u.id, err)) },
		}
		if e.cfg.Watch {
			t := newTenants(e, u)
			u.tenants = t
			o.LetSleep, o.Asleep = true, t.slept
			o.Power = func(r gpu.PowerReading) {
				t.power(r)
				e.publish(event.Power{GPU: u.id, PowerReading: r})
			}
			t.start()
		}
		u.sampler = sampler.Start(u.Device, o)
	}
}

// Close ends sampling, gives the clocks back and resolves what energies it can.
// The stream stays open.
func (e *Engine) Close() error {
	err := e.clocks.Stop(event.ByExit)
	for _, u := range e.units {
		u.sampler.Stop()
		if u.tenants != nil {
			u.tenants.end()
		}
	}
	if e.endHost != nil {
		e.endHost()
	}
	for _, ev := range e.account.Flush() {
		e.publish(ev)
	}
	return err
}

func (e *Engine) publish(ev event.Event) { e.stream.Publish(ev) }

func (e *Engine) now() event.At { return event.At{TimeNS: e.clk.Now()} }

// Warn publishes a warning.
func (e *Engine) Warn(text string) { e.publish(event.Warning{At: e.now(), Text: text}) }

// Fail publishes a failure of a part of the session.
func (e *Engine) Fail(err error) { e.publish(failure(e.now(), "", err)) }

// Mark publishes an operator's note.
func (e *Engine) Mark(note string) { e.publish(event.Mark{At: e.now(), Note: note}) }

func (e *Engine) sample(u *unit, t int64, s gpu.Sample) {
	u.clocks.Sampled(t, s)
	e.mu.Lock()
	u.tempC = s.TempC
	e.mu.Unlock()
	requested := u.clocks.Requested()
	e.publish(event.Sample{At: event.At{TimeNS: t}, GPU: u.id, RequestedSMMHz: requested, Sample: s})
	if u.foreign.Sample(t, s, requested, u.highest) {
		text := fmt.Sprintf("GPU %s runs at %d of %d MHz for a clock setting that is not this program's: what is measured is at that clock", u.id, s.SMMHz, u.highest)
		if u.Control != nil {
			text += " (`jouletop gpu reset --force` gives it back)"
		}
		e.Warn(text)
	}
}

// observe lets the policy learn, and applies what it wants changed between
// phases.
func (e *Engine) observe(ev event.Event) []event.Event {
	if event.Telemetry(ev) {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	notes := e.policy.Observe(ev)
	if len(notes) == 0 {
		return nil
	}
	out := make([]event.Event, len(notes))
	for i, n := range notes {
		out[i] = n
	}
	return out
}

// SetPolicy puts p in force at once, in the middle of a run too. With hold it
// also stands against the policies of the points that follow.
func (e *Engine) SetPolicy(p Policy, by event.By, hold bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.policy, e.held = p, hold
	mhz, cause := p.Start(), event.Cause{By: by}
	if e.inPhase {
		if m, set := p.Phase(e.phase); set {
			mhz, cause.Phase = m, e.phase.Phase
		}
	}
	e.clocks.Want(e.setting(mhz), cause, 0)
}

// setting is an SM clock with what the policy in force wants of the other knobs; e.mu is
// held.
func (e *Engine) setting(mhz int) gpu.Setting {
	var s gpu.Setting
	if k, ok := e.policy.(KnobPolicy); ok {
		s = k.Knobs()
	}
	return s.With(gpu.KnobSM, mhz)
}

// clockFailed says that the clock asked for is not in force, and ends the run
// where it was lost for good.
func (e *Engine) clockFailed(f clocks.Failure) {
	text := f.String()
	e.mu.Lock()
	stop := f.Lost && !f.Mending && e.running
	if stop && !e.stop {
		e.stop, e.stopErr = true, fmt.Errorf("%w: %s", ErrClock, text)
		if e.loading != nil {
			e.loading()
		}
	}
	if e.told == nil {
		e.told = map[string]bool{}
	}
	known := e.told[text]
	e.told[text] = true
	e.mu.Unlock()
	if known {
		return // a policy may ask, and be refused, twice a batch
	}
	switch {
	case stop:
		text += "; the run ends after the batch in hand"
	case f.Mending:
		text += "; it is set again"
	}
	e.publish(event.Error{At: e.now(), Text: text})
	if stop {
		e.state.Notify()
		e.publish(event.State{At: e.now(), State: event.StateStopping})
	}
}

// Setting returns what the knobs of the first GPU were asked to be at and are, as far as
// is known.
func (e *Engine) Setting() gpu.Setting { return e.clocks.Setting() }

// Policy returns the policy in force.
func (e *Engine) Policy() Policy {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.policy
}

// Pause holds the run after the batch in hand; Resume lets it go on.
func (e *Engine) Pause() { e.setPaused(true) }

// Resume lets a paused run go on.
func (e *Engine) Resume() { e.setPaused(false) }

func (e *Engine) setPaused(v bool) {
	e.mu.Lock()
	changed := e.paused != v
	e.paused = v
	e.mu.Unlock()
	if !changed {
		return
	}
	e.state.Notify()
	state := event.StateRunning
	if v {
		state = event.StatePaused
	}
	e.publish(event.State{At: e.now(), State: state})
}

// Skip gives up the point in hand after its batch.
func (e *Engine) Skip() {
	e.mu.Lock()
	e.skip = true
	e.mu.Unlock()
	e.state.Notify()
}

// StopRun ends the run after the batch in hand, or at once while a model is
// loaded, everything saved. It tells whether the run was ending already.
func (e *Engine) StopRun() (already bool) {
	e.mu.Lock()
	already, e.stop = e.stop, true
	if e.loading != nil {
		e.loading()
	}
	e.mu.Unlock()
	e.state.Notify()
	e.publish(event.State{At: e.now(), State: event.StateStopping})
	return already
}

// gate waits while paused and tells whether to stop or to skip the point.
func (e *Engine) gate(ctx context.Context) (stop, skip bool) {
	for {
		e.mu.Lock()
		stop, skip, paused := e.stop || ctx.Err() != nil, e.skip, e.paused
		e.mu.Unlock()
		if stop || skip || !paused {
			return stop, skip
		}
		_ = e.state.Wait(ctx)
	}
}

// NoPolicy leaves the clock to the driver.
type NoPolicy struct{}

// Name returns "none".
func (NoPolicy) Name() string { return event.Policy{}.String() }

// Start returns 0: the driver's default.
func (NoPolicy) Start() int { return 0 }

// Phase asks for nothing.
func (NoPolicy) Phase(event.PhaseStart) (int, bool) { return 0, false }

// Observe learns nothing.
func (NoPolicy) Observe(event.Event) []event.PolicyNote { return nil }

// Paused tells whether the run is held.
func (e *Engine) Paused() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.paused
}

// Release lets the points' own policies count again after an operator's.
func (e *Engine) Release() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.held = false
}
