//go:build cgo

package nvml

import (
	"fmt"
	"time"

	"github.com/NVIDIA/go-nvml/pkg/nvml"

	"jouletop/gpu"
)

var _ gpu.Tuner = (*Device)(nil)

// knobLimit is how long a driver is waited for when it is asked for its knobs.
const knobLimit = clockListLimit + time.Second

// Knobs implements gpu.Tuner. A driver that does not answer is waited for no longer
// than knobLimit; the call that hangs is left to itself.
func (d *Device) Knobs() []gpu.Knob {
	found := make(chan []gpu.Knob, 1)
	go func() { found <- d.knobs() }()
	late := time.NewTimer(knobLimit)
	defer late.Stop()
	select {
	case knobs := <-found:
		return knobs
	case <-late.C:
	}
	var none []gpu.Knob
	for _, id := range gpu.KnobIDs() {
		none = append(none, gpu.NewKnob(id, fmt.Sprintf("the driver has not answered within %v", knobLimit)))
	}
	return none
}

func (d *Device) knobs() []gpu.Knob {
	list := d.clockList()
	lacks := "the driver lists no clocks that it supports"
	if list.err != nil {
		lacks += ": " + list.err.Error()
	}
	sm, mem := gpu.ListKnob(gpu.KnobSM, list.sm, lacks), gpu.ListKnob(gpu.KnobMem, list.memory, lacks)
	if len(sm.Values) > 0 && !d.lib.has("nvmlDeviceSetGpuLockedClocks") {
		sm.Unavailable = "the driver lacks the call"
	}
	if len(mem.Values) > 0 {
		if !d.lib.has("nvmlDeviceSetMemoryLockedClocks") {
			mem.Unavailable = "the driver lacks the call"
		}
		mem.Default = mem.Max
	}
	if len(sm.Values) > 0 {
		sm.Default = sm.Max
	}
	return []gpu.Knob{sm, mem, d.powerKnob(), d.profileKnob()}
}

// powerKnob describes the power limit.
func (d *Device) powerKnob() gpu.Knob {
	k := gpu.NewKnob(gpu.KnobPower, "")
	type span struct{ min, max uint32 }
	s, ret := ask(d.lib, func() (s span, ret nvml.Return) {
		s.min, s.max, ret = d.dev.GetPowerManagementLimitConstraints()
		return s, ret
	}, "nvmlDeviceGetPowerManagementLimitConstraints")
	switch {
	case ret != nvml.SUCCESS:
		k.Unavailable = fail("nvmlDeviceGetPowerManagementLimitConstraints", ret).Error()
	case s.min == 0 || s.min > s.max || s.max > mostWatts*1000:
		k.Unavailable = errAbsurd("the range of the power limit", fmt.Sprintf("%d to %d mW", s.min, s.max)).Error()
	case !d.lib.has(setPowerCalls...):
		k.Unavailable = "the driver lacks the call"
	default:
		k.Min, k.Max, k.Step = int(s.min), int(s.max), 1
	}
	if mw, ret := ask(d.lib, d.dev.GetPowerManagementDefaultLimit, "nvmlDeviceGetPowerManagementDefaultLimit"); ret == nvml.SUCCESS && mw > 0 && mw <= mostWatts*1000 {
		k.Default = int(mw)
	}
	if mw, err := d.State(gpu.KnobPower); err == nil {
		k.Now = mw
	}
	return k
}

// profileKnob describes the workload power profiles.
func (d *Device) profileKnob() gpu.Knob {
	info, ret := ask(d.lib, d.dev.WorkloadPowerProfileGetProfilesInfo, "nvmlDeviceWorkloadPowerProfileGetProfilesInfo")
	if ret != nvml.SUCCESS {
		return gpu.NewKnob(gpu.KnobProfile, fail("nvmlDeviceWorkloadPowerProfileGetProfilesInfo", ret).Error())
	}
	var offered []int
	for n := range gpu.MostProfiles {
		if info.PerfProfilesMask.Mask[0]&(1<<n) != 0 {
			offered = append(offered, 1<<n)
		}
	}
	k := gpu.ListKnob(gpu.KnobProfile, offered, "the driver lists no workload power profile")
	k.Default = 0
	if set, err := d.State(gpu.KnobProfile); err == nil {
		k.Now = set
	}
	return k
}

// Set implements gpu.Tuner.
func (d *Device) Set(k gpu.KnobID, v int) error {
	what := fmt.Sprintf("setting the %s of GPU %d to %s", k.Title(), d.info.Index, k.Text(v))
	var ret nvml.Return
	switch k {
	case gpu.KnobSM:
		return d.SetSMClock(v)
	case gpu.KnobMem:
		if err := d.checkClock(k, v); err != nil {
			return err
		}
		ret = order(d.lib, func() nvml.Return { return d.dev.SetMemoryLockedClocks(uint32(v), uint32(v)) }, "nvmlDeviceSetMemoryLockedClocks")
	case gpu.KnobPower:
		if v <= 0 || v > mostWatts*1000 {
			return fmt.Errorf("%w: %s", gpu.ErrBadValue, what)
		}
		ret = d.setPowerLimit(uint32(v))
	case gpu.KnobProfile:
		return d.setProfiles(what, v)
	default:
		return fmt.Errorf("%w: %s", gpu.ErrNotSupported, k)
	}
	if ret == nvml.ERROR_INVALID_ARGUMENT {
		return fmt.Errorf("%w: %s: the driver refuses it", gpu.ErrBadValue, what)
	}
	return fail(what, ret)
}

// checkClock tells whether a clock is on the driver's list, and what was wrong with that.
func (d *Device) checkClock(k gpu.KnobID, mhz int) error {
	list := d.clockList()
	clocks := list.sm
	if k == gpu.KnobMem {
		clocks = list.memory
	}
	err := gpu.ListKnob(k, clocks, "").Check(mhz)
	if err != nil && list.err != nil {
		err = fmt.Errorf("%w: %w", err, list.err)
	}
	return err
}

var setPowerCalls = []string{"nvmlDeviceSetPowerManagementLimit_v2", "nvmlDeviceSetPowerManagementLimit"}

// setPowerLimit uses the newer call, and the older one where a driver has that alone.
func (d *Device) setPowerLimit(mw uint32) nvml.Return {
	value := nvml.PowerValue_v2{PowerScope: nvml.POWER_SCOPE_GPU, PowerValueMw: mw}
	value.Version = nvml.STRUCT_VERSION(value, 2)
	ret := order(d.lib, func() nvml.Return { return d.dev.SetPowerManagementLimit_v2(&value) }, setPowerCalls[0])
	switch ret {
	case nvml.ERROR_FUNCTION_NOT_FOUND, nvml.ERROR_NOT_SUPPORTED, nvml.ERROR_ARGUMENT_VERSION_MISMATCH:
		return order(d.lib, func() nvml.Return { return d.dev.SetPowerManagementLimit(mw) }, setPowerCalls[1])
	}
	return ret
}

// setProfiles requests exactly the profiles of a set: the driver's calls add to what is
// requested, and take from it.
func (d *Device) setProfiles(what string, set int) error {
	now, err := d.State(gpu.KnobProfile)
	if err != nil {
		return err
	}
	type call struct {
		name    string
		profile int
		make    func(*nvml.WorkloadPowerProfileRequestedProfiles) nvml.Return
	}
	for _, c := range []call{
		{"nvmlDeviceWorkloadPowerProfileClearRequestedProfiles", now &^ set, d.dev.WorkloadPowerProfileClearRequestedProfiles},
		{"nvmlDeviceWorkloadPowerProfileSetRequestedProfiles", set &^ now, d.dev.WorkloadPowerProfileSetRequestedProfiles},
	} {
		if c.profile == 0 {
			continue
		}
		var p nvml.WorkloadPowerProfileRequestedProfiles
		p.Version = nvml.STRUCT_VERSION(p, 1)
		p.RequestedProfilesMask.Mask[0] = uint32(c.profile)
		ret := order(d.lib, func() nvml.Return { return c.make(&p) }, c.name)
		if ret == nvml.ERROR_INVALID_ARGUMENT {
			return fmt.Errorf("%w: %s: the driver refuses it", gpu.ErrBadValue, what)
		}
		if err := fail(what, ret); err != nil {
			return err
		}
	}
	return nil
}

// Reset implements gpu.Tuner.
func (d *Device) Reset(k gpu.KnobID) error {
	switch k {
	case gpu.KnobSM:
		return d.ResetSMClock()
	case gpu.KnobMem:
		return fail(fmt.Sprintf("giving back the memory clock of GPU %d", d.info.Index),
			order(d.lib, d.dev.ResetMemoryLockedClocks, "nvmlDeviceResetMemoryLockedClocks"))
	case gpu.KnobPower:
		mw, ret := ask(d.lib, d.dev.GetPowerManagementDefaultLimit, "nvmlDeviceGetPowerManagementDefaultLimit")
		if err := fail("nvmlDeviceGetPowerManagementDefaultLimit", ret); err != nil {
			return err
		}
		return d.Set(k, int(mw))
	}
	return d.Set(k, 0)
}

// State implements gpu.Tuner.
func (d *Device) State(k gpu.KnobID) (int, error) {
	switch k {
	case gpu.KnobPower:
		mw, ret := ask(d.lib, d.dev.GetPowerManagementLimit, "nvmlDeviceGetPowerManagementLimit")
		if err := fail("nvmlDeviceGetPowerManagementLimit", ret); err != nil {
			return -1, err
		}
		if mw == 0 || mw > mostWatts*1000 {
			return -1, errAbsurd("the power limit", fmt.Sprintf("%d mW", mw))
		}
		return int(mw), nil
	case gpu.KnobProfile:
		now, err := d.profiles()
		if err != nil {
			return -1, err
		}
		return profileSet(now.RequestedProfilesMask), nil
	}
	return -1, fmt.Errorf("%w: NVML does not tell which %s is locked", gpu.ErrNotSupported, k.Title())
}
