//go:build cgo

package nvml

import (
	"fmt"
	"math"
	"time"

	"github.com/NVIDIA/go-nvml/pkg/nvml"

	"jouletop/gpu"
)

// gpmEvery is how often GPM's counters are read: its utilisation is the mean
// between two of its samples, and NVIDIA asks for at least 100 ms between them.
const gpmEvery = 100 * time.Millisecond

// gpm reads tensor and memory-bandwidth utilisation (NVML's GPU performance
// monitoring, Hopper and later). Not safe for concurrent use.
type gpm struct {
	lib       nvml.Interface
	dev       nvml.Device
	prev, cur nvml.GpmSample
	last      int64 // when cur was taken, ns; 0: not yet
	request   nvml.GpmMetricsGetType

	tensor, dram float64 // %
}

func openGPM(lib nvml.Interface, dev nvml.Device) (*gpm, error) {
	for _, f := range []string{"nvmlGpmQueryDeviceSupport", "nvmlGpmSampleAlloc", "nvmlGpmSampleGet", "nvmlGpmMetricsGet", "nvmlGpmSampleFree"} {
		if !has(lib, f) {
			return nil, fmt.Errorf("%w: the driver lacks %s", gpu.ErrNotSupported, f)
		}
	}
	support, ret := lib.GpmQueryDeviceSupport(dev)
	if err := fail("nvmlGpmQueryDeviceSupport", ret); err != nil {
		return nil, err
	}
	if support.IsSupportedDevice == 0 {
		return nil, fmt.Errorf("%w: it takes Hopper or later, without MIG", gpu.ErrNotSupported)
	}
	g := &gpm{lib: lib, dev: dev, tensor: math.NaN(), dram: math.NaN()}
	if g.prev, ret = lib.GpmSampleAlloc(); ret != nvml.SUCCESS {
		return nil, fail("nvmlGpmSampleAlloc", ret)
	}
	if g.cur, ret = lib.GpmSampleAlloc(); ret != nvml.SUCCESS {
		_ = g.prev.Free()
		return nil, fail("nvmlGpmSampleAlloc", ret)
	}
	if ret := g.cur.Get(dev); !offered(ret) {
		g.free()
		return nil, fail("nvmlGpmSampleGet", ret)
	}
	return g, nil
}

func (g *gpm) free() {
	_ = g.prev.Free() // freeing cannot fail on what was allocated
	_ = g.cur.Free()
}

// read returns the utilisations in % over the last full interval, NaN until
// there is one and after a failure.
func (g *gpm) read(now int64) (tensor, dram float64) {
	if g.last != 0 && now-g.last < int64(gpmEvery) {
		return g.tensor, g.dram
	}
	first := g.last == 0
	g.prev, g.cur = g.cur, g.prev
	g.tensor, g.dram = math.NaN(), math.NaN()
	if g.cur.Get(g.dev) != nvml.SUCCESS {
		g.last = 0 // begin anew with the next
		return g.tensor, g.dram
	}
	g.last = now
	if first {
		return g.tensor, g.dram
	}
	g.request.NumMetrics = 2
	g.request.Sample1, g.request.Sample2 = g.prev, g.cur
	g.request.Metrics[0].MetricId = uint32(nvml.GPM_METRIC_ANY_TENSOR_UTIL)
	g.request.Metrics[1].MetricId = uint32(nvml.GPM_METRIC_DRAM_BW_UTIL)
	if g.lib.GpmMetricsGet(&g.request) != nvml.SUCCESS {
		return g.tensor, g.dram
	}
	g.tensor, g.dram = percent(g.request.Metrics[0]), percent(g.request.Metrics[1])
	return g.tensor, g.dram
}

func percent(m nvml.GpmMetric) float64 {
	if nvml.Return(m.NvmlReturn) != nvml.SUCCESS || m.Value < 0 {
		return math.NaN()
	}
	return min(m.Value, 100)
}
