package simgpu

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"jouletop/gpu"
	"jouletop/gpu/simgpu/draw"
)

// What the sensors of a recent data-centre GPU really are (H100, driver 580;
// the 25 ms window of INSTANT after Yang, Adámek, Armour, SC'24).
const (
	pollPeriodNS    = int64(100 * time.Millisecond) // average, instant and counter are renewed
	averageWindowNS = int64(time.Second)
	instantWindowNS = int64(25 * time.Millisecond)
	bufferPeriodNS  = int64(20 * time.Millisecond) // also each value's window
	bufferLength    = 120
	counterCall     = 3800 * time.Microsecond
	bufferCall      = 400 * time.Microsecond
)

// sensors turn the true history into what a driver would tell. Every value
// belongs to a tick and depends on that tick alone, not on who reads it when.
type sensors struct {
	seed      uint64
	gain      float64 // reading per truth
	noise     float64 // standard deviation of a value, relative
	bufferLag int64
	missing   []string

	startNS     int64
	counterFrom float64 // J on the counter at the start
	phase       struct{ average, instant, buffer, counter int64 }
	average     cached
	instant     cached
	counter     cached
	util        struct {
		tick int64
		sums
	}
}

// cached is the value of the tick read last.
type cached struct {
	tick  int64
	value float64
}

func newSensors(seed uint64) sensors {
	s := sensors{seed: draw.Mix(seed, 1), noise: 0.002, bufferLag: int64(4 * time.Millisecond)}
	s.gain = 1 + 0.05*(2*draw.Uniform(draw.Mix(s.seed, 2))-1)
	s.counterFrom = math.Floor(1e6 * draw.Uniform(draw.Mix(s.seed, 3)))
	draw := func(n uint64, period int64) int64 { return int64(draw.Uniform(draw.Mix(s.seed, n)) * float64(period)) }
	s.phase.average = draw(4, pollPeriodNS)
	s.phase.instant = draw(5, pollPeriodNS)
	s.phase.counter = draw(6, pollPeriodNS)
	s.phase.buffer = draw(7, bufferPeriodNS)
	return s
}

func (s *sensors) start(now int64) {
	s.startNS = now
	none := cached{tick: math.MinInt64}
	s.average, s.instant, s.counter = none, none, none
	s.util.tick = math.MinInt64
}

// tick returns the number and time of the last renewal before now.
func (s *sensors) tick(now, phase, period int64) (n, at int64) {
	d := now - s.startNS - phase
	n = d / period
	if d < 0 && d%period != 0 {
		n--
	}
	return n, s.startNS + phase + n*period
}

// mean returns the power read for a window that ends at t, in whole mW.
func (s *sensors) mean(h *history, t, window int64, sensor uint64, tick int64) float64 {
	w := h.joules(t-window, t) / (float64(window) / 1e9) * s.gain
	if s.noise > 0 {
		w *= 1 + s.noise*draw.Normal(draw.Mix(s.seed, draw.Mix(sensor, uint64(tick))))
	}
	return math.Round(w*1e3) / 1e3
}

func (s *sensors) polled(h *history, c *cached, now, phase, window int64, sensor uint64) float64 {
	n, at := s.tick(now, phase, pollPeriodNS)
	if n != c.tick {
		*c = cached{n, s.mean(h, at, window, sensor, n)}
	}
	return c.value
}

// joules is the energy counter's reading, in whole mJ.
func (s *sensors) joules(h *history, now int64) float64 {
	n, at := s.tick(now, s.phase.counter, pollPeriodNS)
	if n != s.counter.tick {
		j := s.counterFrom + s.gain*h.upTo(at).joules
		s.counter = cached{n, math.Floor(j*1e3) / 1e3}
	}
	return s.counter.value
}

// utilisation returns the shares of the last whole 100 ms.
func (s *sensors) utilisation(h *history, now int64) sums {
	n, at := s.tick(now, 0, pollPeriodNS)
	if n != s.util.tick {
		s.util.tick = n
		u := h.upTo(at).plus(h.upTo(at-pollPeriodNS), -1)
		s.util.sums = sums{}.plus(u, 1/(float64(pollPeriodNS)/1e9))
	}
	return s.util.sums
}

// PowerSources lists the sources there are. Periods, windows and call costs are
// left to be found out, as on a real GPU.
func (g *GPU) PowerSources() []gpu.PowerSource {
	var list []gpu.PowerSource
	for _, name := range []string{gpu.SourceAverage, gpu.SourceInstant, gpu.SourceBuffer, gpu.SourceCounter} {
		if !slices.Contains(g.sensors.missing, name) {
			list = append(list, gpu.PowerSource{Name: name, Note: "simulated"})
		}
	}
	return list
}

// Gain returns what the board's sensors read per true watt: 1 but for its gain
// error.
func (g *GPU) Gain() float64 { return g.sensors.gain }

// ReadPower reads a source:
//   - average: mean of the trailing 1 s, renewed every 100 ms
//   - instant: mean of the last 25 ms, renewed every 100 ms
//   - counter: energy in whole mJ, ticking every 100 ms; the call takes 3.8 ms
//
// The reading's time is the poll's; Fresh is always true, for only who polls
// knows what he has seen.
func (g *GPU) ReadPower(source string) (gpu.PowerReading, error) {
	if slices.Contains(g.sensors.missing, source) {
		return gpu.PowerReading{}, fmt.Errorf("power source %s: %w", source, gpu.ErrNotSupported)
	}
	if source == gpu.SourceCounter {
		if err := g.clk.Sleep(context.Background(), counterCall); err != nil {
			return gpu.PowerReading{}, err
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.powerFault(); err != nil {
		return gpu.PowerReading{}, err
	}
	now := g.advance()
	if err := g.read(now); err != nil {
		return gpu.PowerReading{}, err
	}
	r := gpu.PowerReading{TimeNS: now, Source: source, PowerW: math.NaN(), CounterJ: math.NaN(), Fresh: true}
	s := &g.sensors
	switch source {
	case gpu.SourceAverage:
		r.PowerW = s.polled(&g.hist, &s.average, now, s.phase.average, averageWindowNS, 11)
	case gpu.SourceInstant:
		r.PowerW = s.polled(&g.hist, &s.instant, now, s.phase.instant, instantWindowNS, 12)
	case gpu.SourceCounter:
		r.CounterJ = s.joules(&g.hist, now)
	default:
		return gpu.PowerReading{}, fmt.Errorf("power source %q: %w", source, gpu.ErrNotSupported)
	}
	return r, nil
}

func (g *GPU) powerFault() error {
	if g.faults.Power == nil {
		return nil
	}
	if err := g.faults.Power(); err != nil {
		return fmt.Errorf("read power: %w", err)
	}
	return nil
}

// ReadPowerBuffer returns the driver-side buffer's values newer than after: one
// every 20 ms, the mean of 20 ms that ended a lag (WithBufferLag) before its
// time stamp, which is in whole µs. The last 120 are kept. The call takes 0.4 ms.
func (g *GPU) ReadPowerBuffer(after int64) ([]gpu.PowerReading, error) {
	if slices.Contains(g.sensors.missing, gpu.SourceBuffer) {
		return nil, fmt.Errorf("power sample buffer: %w", gpu.ErrNotSupported)
	}
	if err := g.clk.Sleep(context.Background(), bufferCall); err != nil {
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.powerFault(); err != nil {
		return nil, err
	}
	now := g.advance()
	if err := g.read(now); err != nil {
		return nil, err
	}
	s := &g.sensors
	last, _ := s.tick(now, s.phase.buffer, bufferPeriodNS)
	first := max(last-bufferLength+1, 0)
	if after >= s.startNS {
		n, _ := s.tick(after, s.phase.buffer, bufferPeriodNS)
		first = max(first, n) // its stamp may have been rounded down to after
	}
	var list []gpu.PowerReading
	for n := first; n <= last; n++ {
		at := s.startNS + s.phase.buffer + n*bufferPeriodNS
		stamp := at / 1000 * 1000
		if stamp <= after {
			continue
		}
		list = append(list, gpu.PowerReading{
			TimeNS: stamp, Source: gpu.SourceBuffer, CounterJ: math.NaN(), Fresh: true,
			PowerW: s.mean(&g.hist, at-s.bufferLag, bufferPeriodNS, 13, n),
		})
	}
	return list, nil
}
