// Package simgpu is a simulated GPU with simulated sensors. [New] makes a [GPU]
// of a [Profile]; [GPU.Execute] runs [Work] on it, in the time that a roofline
// at the current achieved clock gives; its readings come from sensors that
// misbehave as the real ones do; the truth is kept aside for tests
// ([WithTruth], [GPU.TrueEnergyJ]).
//
// The state changes at few moments only (work begins or ends, a clock step, a
// grid of 250 ms on which temperature is taken over into leakage), and between
// them power is constant. So energy over any window is exact, nothing depends
// on who reads when, and a simulated hour costs little.
//
// Under a simulated clock ([timebase.NewSim]) everything is deterministic: the
// same seed and calls give the same readings.
package simgpu

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"jouletop/gpu"
	"jouletop/gpu/simgpu/draw"
	"jouletop/gpu/timebase"
)

// ErrBusy is returned by Execute while another work runs: the GPU runs one at
// a time.
var ErrBusy = errors.New("simulated GPU is busy")

// GPU is a simulated GPU; see New. It implements gpu.Device.
// Its methods may be called from several goroutines.
type GPU struct {
	profile Profile
	clk     timebase.Clock
	seed    uint64
	info    gpu.Info
	sensors sensors
	latency clockLatency

	occupied
	nap

	mu        sync.Mutex
	faults    Faults
	processes []gpu.Process
	memoryMiB float64
	context   bool // a context is open: clocks up, more idle power

	// Clock.
	locked     bool    // a clock is locked
	clockMHz   float64 // what the clock has been ramped to, before any limit
	plan       []clockStep
	clockCalls uint64

	memMHz    int // memory clock
	memLocked bool
	limits               // of power
	later     []effectAt // changes of knobs under way, in order

	// Power and heat.
	capW       float64  // mean power that the limit allows
	activity   activity // of the current segment
	powerW     float64
	achieved   float64 // MHz
	throttle   gpu.Throttle
	thermalMax float64 // MHz; lowered while too hot
	thermal    thermal
	leakC      float64 // temperature that leakage is computed from
	gridNS     int64   // next time leakC is renewed

	load   pretended
	work   *running
	joined *Work   // work of others' that this one shares; see Joined
	part   float64 // share of the time of work for which it is at it
	hist   history
}

var _ gpu.Device = (*GPU)(nil)

// Option changes how a GPU is made.
type Option func(*GPU)

// WithTruth keeps the whole history of power and clock, for TrueEnergyJ,
// TruePowerW and TrueSMMHz; otherwise a few seconds of it are kept.
func WithTruth() Option { return func(g *GPU) { g.hist.keepAll = true } }

// WithGain sets the board's gain error, for example 0.03 for sensors that all
// read 3 % high. Without it, it is drawn from the seed, ±5 % [SC'24: Yang,
// Adámek, Armour].
func WithGain(e float64) Option { return func(g *GPU) { g.sensors.gain = 1 + e } }

// WithNoise sets the standard deviation of one power value, as a share of it
// (default 0.002). The energy counter has none.
func WithNoise(rel float64) Option { return func(g *GPU) { g.sensors.noise = rel } }

// WithBufferLag sets by how much the sample buffer's values lag behind their
// time stamps (default 10 ms, as found on an H100).
func WithBufferLag(d time.Duration) Option {
	return func(g *GPU) { g.sensors.bufferLag = int64(d) }
}

// WithoutSources makes a GPU that lacks some power sources (gpu.Source…).
func WithoutSources(names ...string) Option {
	return func(g *GPU) { g.sensors.missing = append(g.sensors.missing, names...) }
}

// WithClockLatency sets how long a clock-set call takes and how long the clock
// then takes to settle (defaults 4 ms, which varies by a fifth from call to
// call, and 20 ms).
func WithClockLatency(call, settle time.Duration) Option {
	return func(g *GPU) { g.latency = clockLatency{call: int64(call), settle: int64(settle)} }
}

// WithPowerLimit lowers or raises the power limit (W).
func WithPowerLimit(watts float64) Option {
	return func(g *GPU) {
		setLimit(g, int(math.Round(1000*watts)))
		g.info.PowerLimitW = watts
	}
}

// WithAmbient sets the temperature of the air around it in °C (default by
// profile).
func WithAmbient(c float64) Option { return func(g *GPU) { g.profile.AmbientC = c } }

// WithProcesses makes other processes appear on the GPU.
func WithProcesses(p ...gpu.Process) Option {
	return func(g *GPU) { g.processes = slices.Clone(p) }
}

// WithIndex makes it one of several of a machine: the second has index 1, and sensors
// of its own. It comes before other options.
func WithIndex(i int) Option {
	return func(g *GPU) {
		if g.info.Index = i; i > 0 {
			g.seed = draw.Mix(g.seed, uint64(i))
			g.sensors = newSensors(g.seed)
		}
	}
}

// New returns a simulated GPU of the named profile (see Profiles) at its idle
// temperature, no context open. seed decides its gain error, the phases of its
// sensors and their noise. The error wraps gpu.ErrNoGPU for an unknown profile.
func New(profile string, clk timebase.Clock, seed int64, opts ...Option) (*GPU, error) {
	p, err := ProfileByName(profile)
	if err != nil {
		return nil, err
	}
	g := &GPU{
		profile: p, clk: clk, seed: draw.Mix(uint64(seed), draw.String(p.Name)),
		memMHz: p.MemMHz, part: 1,
		latency: clockLatency{call: int64(4 * time.Millisecond), settle: int64(20 * time.Millisecond)},
	}
	g.occupied, g.nap = occupied{g: g}, nap{g: g, held: true}
	g.info = gpu.Info{
		Name: p.Product + " (simulated)", Driver: "simulated", VBIOS: "simulated",
		Profile: p.Name, SMClocks: slices.Clone(p.Clocks), MemMHz: p.MemMHz,
		PowerLimitW: p.LimitW, PowerLimitMaxW: p.MaxLimitW, MemoryMiB: p.MemoryMiB,
	}
	setLimit(g, int(1000*p.LimitW))
	g.sensors = newSensors(g.seed)
	for _, o := range opts {
		o(g)
	}
	g.info.UUID = fmt.Sprintf("SIM-%016x", draw.Mix(g.seed, uint64(g.info.Index)))

	now := clk.Now()
	g.sensors.start(now)
	g.clockMHz, g.thermalMax = g.profile.top(), g.profile.top()
	g.thermal = thermal{atNS: now, c: g.profile.AmbientC + g.profile.CPerW*g.profile.IdleW}
	g.leakC = g.thermal.c
	g.gridNS = now + gridNS
	g.beginSegment(now)
	return g, nil
}

// Info returns its identity; Name and Driver say that it is simulated.
func (g *GPU) Info() gpu.Info {
	i := g.info
	i.SMClocks = slices.Clone(i.SMClocks)
	return i
}

// Poll reads clocks, temperature, utilisation (over the last 100 ms) and
// throttle reasons.
func (g *GPU) Poll() (gpu.Sample, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.faults.Poll != nil {
		if err := g.faults.Poll(); err != nil {
			return gpu.UnknownSample(), fmt.Errorf("poll: %w", err)
		}
	}
	now := g.advance()
	if err := g.read(now); err != nil {
		return gpu.UnknownSample(), err
	}
	u := g.sensors.utilisation(&g.hist, now)
	return gpu.Sample{
		SMMHz: int(g.achieved), MemMHz: g.memMHz,
		TempC:   math.Round(g.thermal.at(now, &g.profile, g.powerW)),
		GPUUtil: percent(u.busy), DRAMUtil: percent(u.dram), TensorUtil: percent(u.tensor),
		MemUsedMiB: g.memoryMiB, Throttle: g.throttle,
	}, nil
}

// percent turns a share into whole hundredths of a percent.
func percent(share float64) float64 { return math.Round(1e4*share) / 100 }

// Processes lists other processes on the GPU: none but those injected with
// WithProcesses or SetProcesses, and its tenants.
func (g *GPU) Processes() ([]gpu.Process, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.read(g.advance()); err != nil {
		return nil, err
	}
	list := slices.Clone(g.processes)
	for _, t := range g.tenants {
		list = append(list, t.Process)
	}
	return list, nil
}

// SetProcesses changes what Processes lists.
func (g *GPU) SetProcesses(p []gpu.Process) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.processes = slices.Clone(p)
}

// SetMemory sets the memory in use (MiB). Above 0 a context is open, which
// costs idle power; at 0 it is closed.
func (g *GPU) SetMemory(mib float64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.advance()
	g.memoryMiB, g.context = mib, mib > 0
	g.beginSegment(now)
}

// Close does nothing: a simulated GPU holds nothing.
func (g *GPU) Close() error { return nil }
