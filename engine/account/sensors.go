package account

import (
	"fmt"

	"jouletop/engine/event"
	"jouletop/gpu/energy"
)

// sensorFlags are the flags of what the meter finds wrong with power sources.
var sensorFlags = map[energy.Faults]event.Flag{
	energy.FaultImplausible:   event.FlagSensorImplausible,
	energy.FaultZero:          event.FlagSensorZero,
	energy.FaultStep:          event.FlagCounterStep,
	energy.FaultGap:           event.FlagReadingsGap,
	energy.FaultStill:         event.FlagSensorStill,
	energy.FaultOutvoted:      event.FlagSensorOutvoted,
	energy.FaultContradiction: event.FlagSensorsDisagree,
}

// flagsOf are the flags of a row that such faults touched.
func flagsOf(faults energy.Faults) (flags event.Flags) {
	faults.Each(func(f energy.Faults) { flags = flags.With(sensorFlags[f]) })
	return flags
}

// findings are the warnings of what was newly found wrong with the GPUs' power
// sources.
func (m Meters) findings() (out []event.Event) {
	for _, g := range m {
		for _, f := range g.Findings() {
			text := fmt.Sprintf("GPU %s: %s", g.gpu, f.Text)
			if f.Late() {
				text += fmt.Sprintf("; what was stated in the last %.0f s may rest on it: estimate the session again (report --recompute)", float64(f.To-f.From)/1e9)
			}
			out = append(out, event.Warning{At: event.At{TimeNS: f.To}, Text: text})
		}
	}
	return out
}
