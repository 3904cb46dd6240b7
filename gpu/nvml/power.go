//go:build cgo

package nvml

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
	"golang.org/x/sys/unix"

	"jouletop/gpu"
)

// probePower tries each power source once. One that says what cannot be is there: it
// may do so now and then, and who reads it on says so where it goes on.
func (d *Device) probePower() {
	d.observeWall()
	for _, src := range []gpu.PowerSource{
		{Name: gpu.SourceAverage, Note: "nvmlDeviceGetPowerUsage"},
		{Name: gpu.SourceInstant, Note: "NVML_FI_DEV_POWER_INSTANT"},
		{Name: gpu.SourceBuffer, Note: "nvmlDeviceGetSamples(TOTAL_POWER_SAMPLES)"},
		{Name: gpu.SourceCounter, Note: "nvmlDeviceGetTotalEnergyConsumption"},
	} {
		var err error
		if src.Name == gpu.SourceBuffer {
			_, err = d.ReadPowerBuffer(0)
		} else {
			_, err = d.ReadPower(src.Name)
		}
		if !errors.Is(err, gpu.ErrNotSupported) && !errors.Is(err, gpu.ErrNoPermission) {
			d.sources = append(d.sources, src) // also one that failed this time
		}
	}
}

// PowerSources implements gpu.Device; their periods are left to sampler.Discover.
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
			err := d.gone()
			d.mu.Unlock()
			return r, err
		}
		mw, got := d.reader.power(source)
		d.mu.Unlock()
		if ret = got; ret == nvml.SUCCESS {
			if r.PowerW = watts(float64(mw)); math.IsNaN(r.PowerW) {
				return r, errAbsurd("the power source "+source, fmt.Sprintf("%d mW", mw))
			}
		}
	case gpu.SourceCounter:
		var mj uint64
		if mj, ret = ask(d.lib, d.dev.GetTotalEnergyConsumption, "nvmlDeviceGetTotalEnergyConsumption"); ret == nvml.SUCCESS {
			if r.CounterJ = joules(mj); math.IsNaN(r.CounterJ) {
				return r, errAbsurd("the power source "+source, fmt.Sprintf("%d mJ", mj))
			}
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
	d.observeWall()
	d.mu.Lock()
	since := d.wall.since(after)
	if d.empty++; d.empty > emptyReads { // or so it seems by stamps of another clock
		since = 0
	}
	d.mu.Unlock()

	var kind nvml.ValueType
	samples, ret := ask(d.lib, func() (s []nvml.Sample, ret nvml.Return) {
		kind, s, ret = d.dev.GetSamples(nvml.TOTAL_POWER_SAMPLES, since)
		return s, ret
	}, "nvmlDeviceGetSamples")
	if ret == nvml.ERROR_NOT_FOUND || ret == nvml.SUCCESS && len(samples) == 0 {
		return nil, nil // nothing new
	}
	if err := fail("reading the power sample buffer", ret); err != nil {
		return nil, err
	}
	now, set := d.observeWall()
	if set {
		return nil, nil // of which clock the stamps are is not known; they are there next time too
	}
	all := len(samples)
	samples = slices.DeleteFunc(samples, func(s nvml.Sample) bool { return s.TimeStamp == 0 || s.TimeStamp > lastStamp })
	// Single ones without a power are told as such: the time has been read.
	if !slices.ContainsFunc(samples, func(s nvml.Sample) bool { return !math.IsNaN(sampleWatts(kind, s.SampleValue)) }) {
		return nil, errAbsurd("the power sample buffer", fmt.Sprintf("%d samples without a time or a power that can be", all))
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
		if times[i] <= after+int64(newer) {
			continue
		}
		readings = append(readings, gpu.PowerReading{
			TimeNS: times[i], Source: gpu.SourceBuffer, PowerW: sampleWatts(kind, s.SampleValue), CounterJ: math.NaN(), Fresh: true,
		})
	}
	slices.SortFunc(readings, func(a, b gpu.PowerReading) int { return cmp.Compare(a.TimeNS, b.TimeNS) })
	return readings, nil
}

// lastStamp is the latest time stamp that a sample may have, µs since 1970: 2200.
const lastStamp = 230 * 366 * 24 * 3600 * 1_000_000

// sampleWatts reads a sample's value, which is in mW.
func sampleWatts(kind nvml.ValueType, value [8]byte) float64 {
	switch kind {
	case nvml.VALUE_TYPE_DOUBLE:
		return watts(math.Float64frombits(binary.NativeEndian.Uint64(value[:])))
	case nvml.VALUE_TYPE_UNSIGNED_LONG_LONG, nvml.VALUE_TYPE_UNSIGNED_LONG:
		return watts(float64(binary.NativeEndian.Uint64(value[:])))
	case nvml.VALUE_TYPE_SIGNED_LONG_LONG:
		return watts(float64(int64(binary.NativeEndian.Uint64(value[:]))))
	case nvml.VALUE_TYPE_SIGNED_INT:
		return watts(float64(int32(binary.NativeEndian.Uint32(value[:]))))
	}
	return watts(float64(binary.NativeEndian.Uint32(value[:])))
}

// observeWall notes by how much the wall clock now differs from CLOCK_MONOTONIC
// and returns the monotonic time, and whether the wall clock was set since the last
// time. The narrowest of a few tries counts: a thread may lose the processor between
// two readings.
func (d *Device) observeWall() (now int64, set bool) {
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
	set = d.wall.observe(mono, offset, best/2)
	d.mu.Unlock()
	return d.clock.Now(), set
}
