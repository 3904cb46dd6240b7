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
		what := ""
		switch k.ID {
		case gpu.KnobMem:
			what = fmt.Sprintf("Memory clock (%s)", k.Range())
		case gpu.KnobPower:
			what = "Power limit (" + k.Range()
			if k.Now >= 0 {
				what += "; now " + k.ID.Text(k.Now)
			}
			what += ")"
		case gpu.KnobProfile:
			what = "Workload power profile"
		default:
			continue
		}
		text := what + ": " + strings.ToLower(k.SideEffect()[:1]) + k.SideEffect()[1:]
		if foreign := k.Foreign(); foreign != "" {
			text += " " + foreign
		}
		out = append(out, text)
	}
	return out
}
