package engine

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"jouletop/engine/event"
	"jouletop/gpu"
	"jouletop/gpu/energy"
	"jouletop/gpu/plaintext"
)

const (
	// lookAtProcesses is how often the processes on a GPU that is watched are looked at:
	// about as often as the driver samples them.
	lookAtProcesses = time.Second
	// energyLate is how long the energy of an interval is waited for before it is unknown.
	energyLate = 5 * time.Second
	// tellProcesses is how often what they took is told on the stream.
	tellProcesses = 30 * time.Second
)

// tenants watches the processes on one GPU and what they take.
type tenants struct {
	e    *Engine
	u    *unit
	stop context.CancelFunc
	done chan struct{}

	mu      sync.Mutex
	meter   *energy.Meter
	ledger  gpu.Ledger
	since   int64
	asleep  bool
	pending []stretch
	last    int64 // up to when the time is accounted for, or pending
	told    int64
	sampled bool   // the driver samples processes
	trouble string // why processes are not known
}

// stretch is a time whose energy is waited for.
type stretch struct {
	from, to int64
	use      []gpu.ProcessUse
	sampled  bool
}

func newTenants(e *Engine, u *unit) *tenants {
	info := u.Device.Info()
	t := &tenants{e: e, u: u, meter: energy.New(u.Sources, energy.Options{PowerLimitW: info.MostPowerLimitW(), Horizon: time.Minute}), done: make(chan struct{})}
	_, t.sampled = gpu.As[gpu.ProcessMeter](u.Device)
	return t
}

// start watches from now on, within the engine's clock.
func (t *tenants) start() {
	ctx, cancel := context.WithCancel(context.Background())
	t.stop = cancel
	t.since = t.e.clk.Now()
	t.last, t.told = t.since, t.since
	t.look(t.since)
	t.e.clk.Go(func() {
		defer close(t.done)
		for next := t.since; ctx.Err() == nil; {
			next += int64(lookAtProcesses)
			_ = t.e.clk.SleepUntil(ctx, next)
			if now := t.e.clk.Now(); ctx.Err() == nil {
				t.look(now)
				next = max(next, now-int64(lookAtProcesses))
			}
		}
	})
}

// end ends it, once the sensors have told all, and tells what it came to.
func (t *tenants) end() {
	t.stop()
	t.e.clk.Block(func() { <-t.done })
	t.mu.Lock()
	t.settle(math.MaxInt64)
	t.mu.Unlock()
	t.e.publish(t.now())
}

// power takes a reading.
func (t *tenants) power(r gpu.PowerReading) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.meter.Add(r)
}

// slept takes that the GPU sleeps, or is awake again.
func (t *tenants) slept(at int64, asleep bool) {
	t.mu.Lock()
	t.asleep = asleep
	t.mu.Unlock()
	t.e.publish(event.Sleep{At: event.At{TimeNS: at}, GPU: t.u.id, Asleep: asleep})
}

// look looks at the processes, and divides the energy that has become known.
func (t *tenants) look(now int64) {
	list, use, sampled, err := t.ask()
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case errors.Is(err, gpu.ErrResting): // nobody is on it
		t.ledger.See(now, nil)
		t.trouble = ""
	case err != nil:
		if text := plaintext.OneLine(err.Error()); text != t.trouble {
			t.trouble = text
			defer t.e.Warn(fmt.Sprintf("the processes on GPU %s are not known: %s", t.u.id, text))
		}
	default:
		t.trouble = ""
		t.ledger.See(now, list)
	}
	if now > t.last {
		t.pending = append(t.pending, stretch{t.last, now, use, sampled && err == nil})
		t.last = now
	}
	t.settle(now)
	if now-t.told >= int64(tellProcesses) {
		t.told = now
		told := t.snapshot(now)
		defer t.e.publish(told)
	}
}

// ask asks the driver, without the lock: it may take its time.
func (t *tenants) ask() (list []gpu.Process, use []gpu.ProcessUse, sampled bool, err error) {
	if list, err = t.u.Device.Processes(); err != nil {
		return nil, nil, false, err
	}
	for i := range list {
		list[i].Name = plaintext.Line(list[i].Name)
	}
	m, ok := gpu.As[gpu.ProcessMeter](t.u.Device)
	if !ok || !t.sampled {
		return list, nil, false, nil
	}
	use, err = m.ProcessUse()
	switch {
	case errors.Is(err, gpu.ErrNotSupported), errors.Is(err, gpu.ErrNoPermission):
		t.sampled = false
		return list, nil, false, nil
	case err != nil:
		return nil, nil, false, err
	}
	return list, use, true, nil
}

// settle divides the energy of what is pending as far as the sensors have told; t.mu is
// held.
func (t *tenants) settle(now int64) {
	covered := t.meter.Covered()
	n := 0
	for ; n < len(t.pending); n++ {
		p := t.pending[n]
		if p.to > covered && now-p.to < int64(energyLate) {
			break
		}
		j, errJ := math.NaN(), math.NaN()
		if p.to <= covered {
			if est := t.meter.Window(p.from, p.to); est.Resolved {
				j, errJ = est.Joules, est.ErrJ
			}
		}
		t.ledger.Add(float64(p.to-p.from)/1e9, j, errJ, p.use, p.sampled)
	}
	t.pending = slices.Delete(t.pending, 0, n)
}

// now is what is known now.
func (t *tenants) now() event.Processes {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.snapshot(t.e.clk.Now())
}

func (t *tenants) snapshot(now int64) event.Processes {
	l := &t.ledger
	nan := math.NaN()
	p := event.Processes{
		At: event.At{TimeNS: now}, GPU: t.u.id, SinceNS: t.since, Energy: event.Energy{EnergyJ: l.EnergyJ, EnergyErrJ: l.ErrJ, Method: "samples"},
		IdleEnergyJ: l.IdleJ, KnownS: l.KnownS, UnknownS: l.UnknownS, UndividedS: l.NoUseS, Rule: gpu.RuleSMTime, Asleep: t.asleep, Err: t.trouble,
		List: []event.ProcessEnergy{},
	}
	if l.KnownS == 0 {
		p.EnergyJ, p.EnergyErrJ, p.IdleEnergyJ = nan, nan, nan
	}
	divided := l.KnownS > l.NoUseS
	for _, a := range l.Accounts() {
		e := event.ProcessEnergy{Process: a.Process, SinceNS: a.SinceNS, Gone: a.Gone, SMPct: nan, DRAMPct: nan, EnergyJ: nan, EnergyErrJ: nan}
		if a.HasUse {
			e.SMPct, e.DRAMPct = a.Use.SMPct, a.Use.MemPct
		}
		if divided {
			e.EnergyJ, e.EnergyErrJ = a.EnergyJ, a.ErrJ
		}
		p.List = append(p.List, e)
	}
	return p
}

// Tenants tells of each GPU that is watched, by id, which processes are on it and what they
// took; nil where others are not watched.
func (e *Engine) Tenants() map[string]event.Processes {
	if !e.cfg.Watch {
		return nil
	}
	out := map[string]event.Processes{}
	for _, u := range e.units {
		out[u.id] = u.tenants.now()
	}
	return out
}
