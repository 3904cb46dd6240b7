package simgpu

import (
	"context"
	"math"
	"slices"
	"time"

	"jouletop/gpu"
)

// Tenant is a simulated process of somebody else's on the GPU, with how busy it keeps
// it.
type Tenant struct {
	gpu.Process
	Share        float64 // of the time, with a kernel of its running, 0 to 1
	Tensor, DRAM float64 // shares of the peak rates in use, in the mean
}

// occupied is who else uses the GPU.
type occupied struct {
	g       *GPU
	tenants []Tenant
	toldNS  int64 // of their use
}

// nap is whether the GPU sleeps.
type nap struct {
	g       *GPU
	sleeper bool // it goes to sleep when nobody uses it
	asleep  bool
	held    bool  // somebody reads its sensors
	usedNS  int64 // when it was last in use
	woken   int   // by reading it
}

// SetTenants replaces the tenants from now on: they load the GPU together, as SetLoad
// does, and hold the memory that they say. Without any the GPU is left idle, without a
// context.
func (o *occupied) SetTenants(list ...Tenant) {
	g := o.g
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.advance()
	g.tenants = slices.Clone(list)
	g.load, g.memoryMiB = pretended{}, 0
	for _, t := range list {
		g.load.share += t.Share
		g.load.tensor += t.Tensor
		g.load.dram += t.DRAM
		g.memoryMiB += float64(max(t.MemoryMiB, 0))
	}
	g.load = pretended{clamp01(g.load.share), clamp01(g.load.tensor), clamp01(g.load.dram)}
	g.context, g.usedNS = len(list) > 0, now
	if len(list) > 0 {
		g.asleep = false
	}
	g.beginSegment(now)
}

// usePeriodNS is how often the driver takes a process's utilisation.
const usePeriodNS = int64(time.Second)

// ProcessUse implements gpu.ProcessMeter: a sample a tenant and second, in whole
// percent, of those that were at work.
func (o *occupied) ProcessUse() ([]gpu.ProcessUse, error) {
	g := o.g
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.advance()
	if err := g.read(now); err != nil {
		return nil, err
	}
	at := now - now%usePeriodNS
	if at <= g.toldNS {
		return nil, nil
	}
	g.toldNS = at
	var out []gpu.ProcessUse
	for _, t := range g.tenants {
		if sm := math.Round(100 * t.Share); sm > 0 {
			out = append(out, gpu.ProcessUse{PID: t.PID, SMPct: sm, MemPct: math.Round(100 * t.DRAM)})
		}
	}
	return out, nil
}

// WithSleep makes a GPU that is suspended once nobody has used it, nor read its sensors,
// for a while; reading them wakes it.
func WithSleep() Option { return func(g *GPU) { g.sleeper = true } }

// sleepAfterNS is for how long nobody may want a GPU until it is suspended.
const sleepAfterNS = int64(6 * time.Second)

// MaySleep implements gpu.Sleeper.
func (n *nap) MaySleep() bool { return n.sleeper }

// Asleep implements gpu.Sleeper.
func (n *nap) Asleep() bool {
	g := n.g
	g.mu.Lock()
	defer g.mu.Unlock()
	g.advance()
	return g.asleep
}

// Rest implements gpu.Sleeper.
func (n *nap) Rest() error {
	g := n.g
	g.mu.Lock()
	defer g.mu.Unlock()
	g.held, g.usedNS = false, g.advance()
	return nil
}

// Resume implements gpu.Sleeper.
func (n *nap) Resume() error {
	g := n.g
	g.mu.Lock()
	defer g.mu.Unlock()
	g.held = true
	g.wake(g.advance())
	return nil
}

// Woken is how often it was woken by reading it, rather than by work.
func (n *nap) Woken() int {
	g := n.g
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.woken
}

// read, with mu held, is the beginning of every reading.
func (n *nap) read(now int64) error {
	g := n.g
	if !g.held {
		return gpu.ErrResting
	}
	g.wake(now)
	return nil
}

// wake, with mu held, is what reading a sensor does to it.
func (n *nap) wake(now int64) {
	g := n.g
	g.usedNS = max(g.usedNS, now)
	if g.asleep {
		g.asleep = false
		g.woken++
		g.beginSegment(now)
	}
}

// doze, with mu held, suspends a GPU that nobody wants.
func (n *nap) doze(t int64) {
	g := n.g
	if g.sleeper && !g.held && !g.asleep && g.work == nil && g.joined == nil && !g.context && t-g.usedNS >= sleepAfterNS {
		g.asleep = true
	}
}

// Joined are GPUs among which a model's layers are split: they are at work one after
// another, each for its share of the time, many times a second. Nothing of the split
// costs time.
type Joined []*GPU

// Execute is [GPU.Execute] of the first, which sets the pace, on all.
func (j Joined) Execute(ctx context.Context, w Work) (startNS, endNS int64, err error) {
	if len(j) == 1 {
		return j[0].Execute(ctx, w)
	}
	if err := w.check(); err != nil {
		return 0, 0, err
	}
	for _, g := range j {
		join(g, &w, 1/float64(len(j)))
	}
	startNS, endNS, err = j[0].Execute(ctx, w)
	for _, g := range j {
		join(g, nil, 1)
	}
	return startNS, endNS, err
}

// join has the GPU share in work that another executes, until nil.
func join(g *GPU, w *Work, part float64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.advance()
	g.joined, g.part = w, part
	g.beginSegment(now)
}

// Infos describes each.
func (j Joined) Infos() (out []gpu.Info) {
	for _, g := range j {
		out = append(out, g.Info())
	}
	return out
}

// SetLoad is [GPU.SetLoad] of all, for work that they share.
func (j Joined) SetLoad(tensor, dram float64) {
	for _, g := range j {
		g.SetLoad(tensor/float64(len(j)), dram/float64(len(j)))
	}
}

// SetMemory divides the memory in use (MiB) among them.
func (j Joined) SetMemory(mib float64) {
	for _, g := range j {
		g.SetMemory(mib / float64(len(j)))
	}
}
