//go:build cgo

package nvml

import (
	"fmt"

	"github.com/NVIDIA/go-nvml/pkg/nvml"

	"jouletop/gpu"
)

var _ gpu.Enforcer = (*Device)(nil)

// Enforced implements gpu.Enforcer.
func (d *Device) Enforced(k gpu.KnobID) (int, error) {
	switch k {
	case gpu.KnobPower:
		const call = "nvmlDeviceGetEnforcedPowerLimit"
		mw, ret := ask(d.lib, d.dev.GetEnforcedPowerLimit, call)
		if err := fail(call, ret); err != nil {
			return -1, err
		}
		if mw == 0 || mw > mostWatts*1000 {
			return -1, errAbsurd("the power limit in force", fmt.Sprintf("%d mW", mw))
		}
		return int(mw), nil
	case gpu.KnobProfile:
		now, err := d.profiles()
		if err != nil {
			return -1, err
		}
		return profileSet(now.EnforcedProfilesMask), nil
	}
	return -1, fmt.Errorf("%w: NVML does not tell which %s is locked", gpu.ErrNotSupported, k.Title())
}

// profiles reads which workload power profiles are requested and which in force.
func (d *Device) profiles() (nvml.WorkloadPowerProfileCurrentProfiles, error) {
	const call = "nvmlDeviceWorkloadPowerProfileGetCurrentProfiles"
	now, ret := ask(d.lib, d.dev.WorkloadPowerProfileGetCurrentProfiles, call)
	return now, fail(call, ret)
}

func profileSet(m nvml.Mask255) int { return int(m.Mask[0] & (1<<gpu.MostProfiles - 1)) }
