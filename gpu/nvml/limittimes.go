//go:build cgo

package nvml

import (
	"fmt"

	"github.com/NVIDIA/go-nvml/pkg/nvml"

	"jouletop/gpu"
)

var _ gpu.LimitCounter = (*Device)(nil)

const violationCall = "nvmlDeviceGetViolationStatus"

// limitPolicies are what NVML counts the time of, and where that goes.
var limitPolicies = []struct {
	policy nvml.PerfPolicyType
	of     func(*gpu.LimitTimes) *int64
}{
	{nvml.PERF_POLICY_POWER, func(l *gpu.LimitTimes) *int64 { return &l.Power }},
	{nvml.PERF_POLICY_THERMAL, func(l *gpu.LimitTimes) *int64 { return &l.Heat }},
	{nvml.PERF_POLICY_BOARD_LIMIT, func(l *gpu.LimitTimes) *int64 { return &l.Board }},
	{nvml.PERF_POLICY_RELIABILITY, func(l *gpu.LimitTimes) *int64 { return &l.Reliability }},
}

// probeLimitTimes finds out which of the counters there are.
func (d *Device) probeLimitTimes() {
	for i, p := range limitPolicies {
		if _, ret := d.violation(p.policy); offered(ret) {
			d.can.limitTimes |= 1 << i
		}
	}
}

func (d *Device) violation(p nvml.PerfPolicyType) (nvml.ViolationTime, nvml.Return) {
	return ask(d.lib, func() (nvml.ViolationTime, nvml.Return) { return d.dev.GetViolationStatus(p) }, violationCall)
}

// LimitTimes implements gpu.LimitCounter. What the driver says that cannot be is unknown.
func (d *Device) LimitTimes() (gpu.LimitTimes, error) {
	out := gpu.NoLimitTimes()
	if d.can.limitTimes == 0 {
		return out, fmt.Errorf("%w: %s", gpu.ErrNotSupported, violationCall)
	}
	d.mu.Lock()
	if d.reader == nil {
		err := d.gone()
		d.mu.Unlock()
		return out, err
	}
	d.mu.Unlock()
	var failed error
	for i, p := range limitPolicies {
		if d.can.limitTimes&(1<<i) == 0 {
			continue
		}
		v, ret := d.violation(p.policy)
		switch {
		case ret != nvml.SUCCESS:
			failed = fail(violationCall, ret)
		case v.ViolationTime <= mostHeldNS:
			*p.of(&out) = int64(v.ViolationTime)
		}
	}
	if out.Known() {
		return out, nil
	}
	if failed == nil {
		failed = errAbsurd("the times that limits held the clocks", "out of bounds")
	}
	return out, failed
}
