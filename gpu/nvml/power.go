//go:build cgo

package nvml

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
	"golang.org/x/sys/unix"

	"jouletop/gpu"
)

// probePower tries each power source once.
func (d *Device) probePower() {
	d.observeWall()
	if _, ret := d.reader.power(gpu.SourceAverage); offered(ret) {
		d.sources = append(d.sources, gpu.PowerSource{Name: gpu.SourceAverage, Note: "nvmlDeviceGetPowerUsage"})
	}
	if _, ret := d.reader.power(gpu.SourceInstant); offered(ret) {
		d.sources = append(d.sources, gpu.PowerSource{Name: gpu.SourceInstant, Note: "NVML_FI_DEV_POWER_INSTANT"})
	}
	if _, _, ret := d.dev.GetSamples(nvml.TOTAL_POWER_SAMPLES, 0); offered(ret) {
		d.sources = append(d.sources, gpu.PowerSource{Name: gpu.SourceBuffer, Note: "nvmlDeviceGetSamples(TOTAL_POWER_SAMPLES)"})
	}
	if _, ret := d.dev.GetTotalEnergyConsumption(); offered(ret) {
		d.sources = append(d.sources, gpu.PowerSource{Name: gpu.SourceCounter, Note: "nvmlDeviceGetTotalEnergyConsumption"})
	}
}

// PowerSources implements gpu.Device; their periods are left to gpu.Discover.
func (d *Device) PowerSources() []gpu.PowerSource {
	return append([]gpu.PowerSource(nil), d.sources...)
}

// ReadPower implements gpu.Device. The reading's time is the middle of the call;
// the value was renewed by the driver up to one period before. Fresh is left to
// the sampler, which sees the readings one after another: here it is true.
func (d *Device) ReadPower(source string) (gpu.PowerReading, error) {
	r := gpu.PowerReading{Source: source, PowerW: math.NaN(), CounterJ: math.NaN(), Fresh: true}
	var ret nvml.Return
	start := d.clock.Now()
	switch source {
	case gpu.SourceAverage, gpu.SourceInstant:
		d.mu.Lock()
		if d.reader == nil {
			d.mu.Unlock()
			return r, errClosed
		}
		mw, got := d.reader.power(source)
		d.mu.Unlock()
		if ret = got; ret == nvml.SUCCESS {
			r.PowerW = float64(mw) / 1000
		}
	case gpu.SourceCounter:
		var mj uint64
		if mj, ret = d.dev.GetTotalEnergyConsumption(); ret == nvml.SUCCESS {
			r.CounterJ = float64(mj) / 1000
		}
	default:
		return r, fmt.Errorf("%w: power source %q", gpu.ErrNotSupported, source)
	}
	end := d.clock.Now()
	r.TimeNS = start + (end-start)/2
	return r, fail("reading the power source "+source, ret)
}

// newer is how much later than the last one a buffer sample must be to be a new
// one: far less than any driver's sample period, far more than the jitter of
// mapping its time stamp.
const newer = 500 * time.Microsecond

// emptyReads is after how many reads without a new sample the whole buffer is
// looked at.
const emptyReads = 3

// ReadPowerBuffer implements gpu.Device.
func (d *Device) ReadPowerBuffer(after int64) ([]gpu.PowerReading, error) {
	now := d.observeWall()
	d.mu.Lock()
	since := d.wall.since(after)
	if d.empty++; d.empty > emptyReads { // or so it seems by stamps of another clock
		since = 0
	}
	d.mu.Unlock()

	kind, samples, ret := d.dev.GetSamples(nvml.TOTAL_POWER_SAMPLES, since)
	if ret == nvml.ERROR_NOT_FOUND || ret == nvml.SUCCESS && len(samples) == 0 {
		return nil, nil // nothing new
	}
	if err := fail("reading the power sample buffer", ret); err != nil {
		return nil, err
	}
	stamps := make([]uint64, len(samples))
	for i, s := range samples {
		stamps[i] = s.TimeStamp
	}
	d.mu.Lock()
	times := d.wall.mapAll(stamps, now, since == 0)
	if slices.Max(times) > after+int64(newer) {
		d.empty = 0
	}
	d.mu.Unlock()

	readings := make([]gpu.PowerReading, 0, len(samples))
	for i, s := range samples {
		if times[i] <= after+int64(newer) || s.TimeStamp == 0 {
			continue
		}
		readings = append(readings, gpu.PowerReading{
			TimeNS: times[i], Source: gpu.SourceBuffer, PowerW: milli(kind, s.SampleValue), CounterJ: math.NaN(), Fresh: true,
		})
	}
	slices.SortFunc(readings, func(a, b gpu.PowerReading) int { return cmp.Compare(a.TimeNS, b.TimeNS) })
	return readings, nil
}

// milli reads a sample's value, which is in mW, in W.
func milli(kind nvml.ValueType, value [8]byte) float64 {
	switch kind {
	case nvml.VALUE_TYPE_DOUBLE:
		return math.Float64frombits(binary.NativeEndian.Uint64(value[:])) / 1000
	case nvml.VALUE_TYPE_UNSIGNED_LONG_LONG, nvml.VALUE_TYPE_UNSIGNED_LONG:
		return float64(binary.NativeEndian.Uint64(value[:])) / 1000
	}
	return float64(binary.NativeEndian.Uint32(value[:])) / 1000
}

// observeWall notes by how much the wall clock now differs from CLOCK_MONOTONIC
// and returns the monotonic time. The narrowest of a few tries counts: a thread
// may lose the processor between two readings.
func (d *Device) observeWall() int64 {
	var mono, offset int64
	best := int64(math.MaxInt64)
	for range 3 {
		var wall unix.Timespec
		before := d.clock.Now()
		// The only possible failure is a clock the kernel lacks; none lacks this one.
		_ = unix.ClockGettime(unix.CLOCK_REALTIME, &wall)
		after := d.clock.Now()
		if after-before < best {
			best = after - before
			mono = before + best/2
			offset = wall.Nano() - mono
		}
		if best < 2000 {
			break
		}
	}
	d.mu.Lock()
	d.wall.observe(mono, offset)
	d.mu.Unlock()
	return d.clock.Now()
}
