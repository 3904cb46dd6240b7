package sampler

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"jouletop/gpu"
	"jouletop/gpu/timebase"
)

// readRound makes one round of readings: number n, begun at t.
func readRound(dev gpu.Device, clk timebase.Clock, due []gpu.DueSource, t, n int64) gpu.Poll {
	p := gpu.Poll{TimeNS: t}
	p.Sample, p.Err = dev.Poll()
	before := clk.Now()
	if p.Took = before - t; isLost(p.Err) {
		return p
	}
	for _, d := range due {
		if n%d.Every == 0 && p.Powers < len(p.Power) {
			p.Power[p.Powers], p.PowerErr[p.Powers] = dev.ReadPower(d.Name)
			p.Power[p.Powers].Source = d.Name
			now := clk.Now()
			p.PowerTook[p.Powers], before = now-before, now
			p.Powers++
		}
	}
	return p
}

// deadlines are the moments of the rounds.
type deadlines struct {
	period, next int64
	missed       atomic.Int64
}

// advance returns the deadline after the present one: the first that is not yet
// missed by a whole period.
func (d *deadlines) advance(now int64) int64 {
	d.next += d.period
	if late := now - d.next; late >= d.period {
		d.missed.Add(late / d.period)
		d.next += late / d.period * d.period
	}
	return d.next
}

// kept is how many polls wait for their reader: 40 s of them.
const kept = 4096

// goPolling polls any Device from a goroutine with an operating-system thread
// to itself. It does nothing but read: whoever takes the readings may be slow.
type goPolling struct {
	dev       gpu.Device
	due       []gpu.DueSource
	clock     timebase.Clock
	deadlines deadlines

	ring       [kept]gpu.Poll
	head, tail atomic.Uint64 // written by the poller, by the reader

	stop  atomic.Bool
	ended chan struct{}
}

func (g *goPolling) loop() {
	defer close(g.ended)
	sleepUntil := ownThread(fastPriority)
	g.deadlines.next = g.clock.Now()
	retry := int64(0)
	for n := int64(0); !g.stop.Load(); n++ {
		if t := g.clock.Now(); t >= retry {
			p := readRound(g.dev, g.clock, g.due, t, n)
			if isLost(p.Err) {
				retry = t + lostRetry
			}
			if head := g.head.Load(); head-g.tail.Load() < kept {
				g.ring[head%kept] = p
				g.head.Store(head + 1)
			} else {
				g.deadlines.missed.Add(1)
			}
		}
		sleepUntil(g.deadlines.advance(g.clock.Now()))
	}
}

func (g *goPolling) Read(into []gpu.Poll) []gpu.Poll {
	tail, head := g.tail.Load(), g.head.Load()
	for ; tail < head; tail++ {
		into = append(into, g.ring[tail%kept])
		g.ring[tail%kept] = gpu.Poll{} // lets errors go
	}
	g.tail.Store(tail)
	return into
}

func (g *goPolling) Missed() int64 { return g.deadlines.missed.Load() }

func (g *goPolling) Stop() {
	g.stop.Store(true)
	<-g.ended
}

func startGoPolling(dev gpu.Device, clk timebase.Clock, period time.Duration, due []gpu.DueSource) *goPolling {
	spareProcs()
	g := &goPolling{dev: dev, due: due, clock: clk, ended: make(chan struct{})}
	g.deadlines.period = int64(period)
	go g.loop()
	return g
}

var spareOnce sync.Once

// spareProcs lets Go run four more threads at once than there are cores. A
// thread back from a sleep must get one of these places before it may go on, and
// on a busy machine threads that hold one wait for a core.
func spareProcs() {
	spareOnce.Do(func() { runtime.GOMAXPROCS(max(runtime.GOMAXPROCS(0), runtime.NumCPU()) + 4) })
}
