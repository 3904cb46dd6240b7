package rig

import (
	"fmt"
	"io"
	"text/tabwriter"

	"jouletop/gpu"
	"jouletop/gpu/plaintext"
)

// withUnit writes a whole number with its unit; below zero it is unknown.
func withUnit(n int, unit string) string {
	if n < 0 {
		return "unknown"
	}
	return fmt.Sprintf("%d %s", n, unit)
}

// orUnknown writes a text that may be missing.
func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}

func (e EngineReport) write(w io.Writer) error {
	fmt.Fprintln(w, "Inference engine")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, d := range e.Devices {
		fmt.Fprintf(t, "  device\t%s: %s\n", d.Name, d.Description)
	}
	fmt.Fprintf(t, "  built for\t%v\n", e.BuildFlags)
	if e.Warning != "" {
		fmt.Fprintf(t, "  warning\t%s\n", e.Warning)
	}
	return t.Flush()
}

func (g GPUState) write(w io.Writer, rep Report) error {
	mark := ""
	if rep.Simulated {
		mark = "SIMULATED "
	}
	i := g.Info
	if g.Unusable != "" {
		_, err := fmt.Fprintf(w, "GPU %s: cannot be used: %s\n\n", g.ID, plaintext.OneLine(g.Unusable))
		return err
	}
	fmt.Fprintf(w, "%sGPU %s: %s\n", mark, g.ID, orUnknown(i.Name))
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(t, "  %s\t"+format+"\n", append([]any{name}, args...)...)
	}
	if !rep.Simulated {
		row("driver", "%s, VBIOS %s", orUnknown(i.Driver), orUnknown(i.VBIOS))
	}
	row("memory", "%s", withUnit(i.MemoryMiB, "MiB"))
	if i.PowerLimitW > 0 {
		row("enforced power limit", "%.0f W", i.PowerLimitW)
	} else {
		row("enforced power limit", "unknown")
	}
	row("clock control", "%s", rep.Control)
	for _, h := range i.Hidden {
		row("hidden", "%s", h)
	}
	for _, p := range g.Processes {
		row("other process", "%s (pid %d, memory %s): its energy would be counted as ours", orUnknown(p.Name), p.PID, withUnit(p.MemoryMiB, "MiB"))
	}
	for _, p := range g.Problems {
		row("problem", "%s", p)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if err := writeKnobs(w, g.Knobs); err != nil {
		return err
	}
	if len(g.Sensors) == 0 {
		_, err := fmt.Fprint(w, "\nNo power source gives a reading: energy cannot be measured.\n\n")
		return err
	}
	fmt.Fprintln(w, "\nPower sources, as measured just now")
	t = tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "source\trenewed every ms\taverages over ms\ta read takes ms\t")
	for _, s := range g.Sensors {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t  %s\n", s.Name, plaintext.Milliseconds(s.PeriodMS), plaintext.Milliseconds(s.WindowMS), plaintext.Milliseconds(s.CallMS), s.Note)
	}
	fmt.Fprintln(t)
	return t.Flush()
}

// writeKnobs says what can be set.
func writeKnobs(w io.Writer, knobs []KnobState) error {
	fmt.Fprintln(w, "\nKnobs")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, k := range knobs {
		fmt.Fprintf(t, "  %s\t%s\n", k.ID.Title(), k.text())
	}
	return t.Flush()
}

func (k KnobState) text() string {
	held := ""
	if k.Now >= 0 && k.InForce >= 0 && !k.ID.InForce(k.Now, k.InForce) {
		held = ", but " + k.ID.Text(k.InForce) + " in force: another limiter holds it"
		if k.ID == gpu.KnobProfile {
			held = ", but " + k.ID.Text(k.InForce) + " in force: the driver does not follow all"
		}
	}
	if k.Unavailable != "" {
		text := "cannot be set: " + plaintext.OneLine(k.Unavailable)
		if held != "" {
			text += "; now " + k.ID.Text(k.Now) + held
		}
		return text
	}
	text := k.Range()
	if k.Default >= 0 {
		text += "; default " + k.ID.Text(k.Default)
	}
	switch {
	case k.Now >= 0:
		text += "; now " + k.ID.Text(k.Now) + held
	case k.ID.Resets():
		text += "; whether one is locked, a driver does not tell"
	}
	if k.Can == canRoot {
		text += "; root may set it"
	}
	return text
}
