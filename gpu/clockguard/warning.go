package clockguard

import (
	"fmt"
	"strings"

	"jouletop/gpu"
)

// ArmWarning is what to tell the operator before arming: what may be set, what is lost,
// and what else comes of it. knobs are the GPU's (gpu.KnobsOf).
func ArmWarning(info gpu.Info, knobs []gpu.Knob, b Bounds) string {
	if info.Simulated() {
		return fmt.Sprintf("Locks the SM clock of the simulated GPU %s (%d to %d MHz), and sets its other knobs.", info.ID(), info.MinSM(), info.MaxSM())
	}
	text := fmt.Sprintf("Locks the SM clock of GPU %d (%s, %s) to %s and gives it back to the driver's default on exit, "+
		"also after a crash. NVML cannot tell which lock is in force now: one set by another tool would be lost.",
		info.Index, info.Name, info.ID(), b.text(gpu.KnobSM))
	return strings.Join(append([]string{text}, SideEffects(knobs, b)...), "\n")
}

// SideEffects says of each knob beside the SM clock that can be set what comes of
// setting it, a sentence or two each.
func SideEffects(knobs []gpu.Knob, b Bounds) (out []string) {
	for _, k := range knobs {
		if k.Unavailable != "" || b.Only != 0 && b.Only&(1<<k.ID) == 0 {
			continue
		}
		switch k.ID {
		case gpu.KnobMem:
			out = append(out, fmt.Sprintf("Memory clock (%s): a lock keeps the card awake, so that it draws more while idle until the lock is given back; lower, it slows whatever reads memory, decode most.", k.Range()))
		case gpu.KnobPower:
			text := fmt.Sprintf("Power limit (%s", k.Range())
			if k.Now >= 0 {
				text += "; now " + k.ID.Text(k.Now)
			}
			text += "): it is of the whole card, for all that runs on it, and is given back to what it was before. The driver lowers clocks to keep to it; a limit below what the card draws at its lowest clock cannot be kept"
			if k.Now >= 0 && k.Default >= 0 && k.Now != k.Default {
				text += fmt.Sprintf(". It is not the driver's default (%s) now: somebody has set it", k.ID.Text(k.Default))
			}
			out = append(out, text+".")
		case gpu.KnobProfile:
			out = append(out, "Workload power profile: the driver changes several settings at once, which a measurement cannot tell apart.")
		}
	}
	return out
}
