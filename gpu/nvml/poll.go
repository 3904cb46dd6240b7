//go:build cgo

package nvml

// #cgo LDFLAGS: -ldl -pthread
// #include "poll.h"
import "C"

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/NVIDIA/go-nvml/pkg/nvml"

	"jouletop/gpu"
)

// reader makes rounds of readings. Not safe for concurrent use.
type reader struct{ gpu *C.jt_gpu }

func openReader(index int, can abilities) (*reader, error) {
	var offers C.int
	for bit, has := range map[C.int]bool{
		C.jt_memory_v2: can.memV2, C.jt_utilisation: can.util, C.jt_event_reasons: can.eventReasons,
		C.jt_throttle_reasons: can.throttleReasons, C.jt_gpm: can.gpm,
	} {
		if has {
			offers |= bit
		}
	}
	var ret C.int
	g := C.jt_open(C.uint(index), offers, &ret)
	if g == nil {
		return nil, errors.New("out of memory")
	}
	if ret != 0 {
		C.jt_close(g)
		return nil, fail("preparing to poll", nvml.Return(ret))
	}
	return &reader{g}, nil
}

func (r *reader) close() { C.jt_close(r.gpu) }

func (r *reader) poll() (gpu.Sample, error) {
	var c C.jt_reading
	C.jt_poll(r.gpu, &c)
	return sample(&c)
}

func (r *reader) power(source string) (mw uint32, ret nvml.Return) {
	var v C.uint32_t
	ret = nvml.Return(C.jt_power(r.gpu, sourceNumber(source), &v))
	return uint32(v), ret
}

func sourceNumber(source string) C.int {
	if source == gpu.SourceInstant {
		return C.jt_instant
	}
	return C.jt_average
}

var callNames = map[C.int32_t]string{
	C.jt_call_sm_clock:     "reading the SM clock",
	C.jt_call_memory_clock: "reading the memory clock",
	C.jt_call_temperature:  "reading the temperature",
	C.jt_call_utilisation:  "reading the utilisation",
	C.jt_call_memory:       "reading the memory in use",
	C.jt_call_throttle:     "reading the throttle reasons",
}

// sample converts a round.
func sample(c *C.jt_reading) (gpu.Sample, error) {
	s := gpu.Sample{
		SMMHz: clockMHz(int64(c.sm_mhz)), MemMHz: clockMHz(int64(c.memory_mhz)),
		TempC: celsius(int32(c.temperature_c)), GPUUtil: percent(float64(c.utilisation_pct)),
		DRAMUtil: percent(float64(c.dram_pct)), TensorUtil: percent(float64(c.tensor_pct)),
		MemUsedMiB: mebibytes(uint64(c.memory_bytes)), Throttle: gpu.Throttle(c.throttle),
	}
	if c.failed == C.jt_call_none {
		return s, nil
	}
	return s, fail(callNames[c.failed], nvml.Return(c.ret))
}

// Recover implements gpu.Recoverer: after a reload of the driver the library is
// initialised anew. A GPU's handle is its place in a table of the library, and stays.
func (d *Device) Recover() error {
	C.jt_pause()
	defer C.jt_resume()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.reader == nil {
		return errClosed
	}
	const since = "the driver was reloaded"
	dev, err := d.again(since)
	if err == nil && dev != d.dev {
		err = fmt.Errorf("%w: GPU %d has another handle since %s: start anew", gpu.ErrLost, d.info.Index, since)
	}
	return err
}

// polling implements gpu.Polling by a thread of the C side.
type polling struct {
	poller  *C.jt_poller
	batch   [256]C.jt_reading
	stopped bool
	freed   bool
	missed  int64
}

// StartPolling implements gpu.Poller.
func (d *Device) StartPolling(period time.Duration, due []gpu.DueSource) (gpu.Polling, error) {
	r, err := openReader(d.info.Index, d.can)
	if err != nil {
		return nil, err
	}
	var every [C.jt_sources]C.int64_t
	for _, s := range due {
		if s.Name != gpu.SourceAverage && s.Name != gpu.SourceInstant {
			r.close()
			return nil, fmt.Errorf("%w: polling the power source %q", gpu.ErrNotSupported, s.Name)
		}
		every[sourceNumber(s.Name)] = C.int64_t(s.Every)
	}
	p := C.jt_start(r.gpu, C.int64_t(period), &every[0])
	if p == nil {
		r.close()
		return nil, errors.New("no thread for polling to be had")
	}
	return &polling{poller: p}, nil
}

// Read implements gpu.Polling.
func (p *polling) Read(into []gpu.Poll) []gpu.Poll {
	for !p.freed {
		n := int(C.jt_read(p.poller, &p.batch[0], C.int(len(p.batch))))
		for i := range n {
			into = append(into, poll(&p.batch[i]))
		}
		if n < len(p.batch) {
			p.missed = int64(C.jt_missed(p.poller))
			if p.stopped { // this was the last
				C.jt_free(p.poller)
				p.freed = true
			}
			break
		}
	}
	return into
}

// Missed implements gpu.Polling.
func (p *polling) Missed() int64 { return p.missed }

// Stop implements gpu.Polling.
func (p *polling) Stop() {
	C.jt_stop(p.poller)
	p.stopped = true
}

var sourceNames = [C.jt_sources]string{C.jt_average: gpu.SourceAverage, C.jt_instant: gpu.SourceInstant}

func poll(c *C.jt_reading) gpu.Poll {
	out := gpu.Poll{TimeNS: int64(c.t_ns), Took: int64(c.took_ns)}
	out.Sample, out.Err = sample(c)
	for s, name := range sourceNames {
		if c.due[s] == 0 {
			continue
		}
		r := gpu.PowerReading{TimeNS: int64(c.power_ns[s]), Source: name, PowerW: math.NaN(), CounterJ: math.NaN(), Fresh: true}
		ret := nvml.Return(c.power_ret[s])
		if ret == nvml.SUCCESS {
			if r.PowerW = watts(float64(c.power_mw[s])); math.IsNaN(r.PowerW) {
				out.PowerErr[out.Powers] = errAbsurd("the power source "+name, fmt.Sprintf("%d mW", uint32(c.power_mw[s])))
			}
		} else {
			out.PowerErr[out.Powers] = fail("reading the power source "+name, ret)
		}
		out.Power[out.Powers], out.PowerTook[out.Powers] = r, int64(c.power_took_ns[s])
		out.Powers++
	}
	return out
}
