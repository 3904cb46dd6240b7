package page

import (
	"math"
	"slices"

	"jouletop/engine/event"
	"jouletop/tui/canvas"
	"jouletop/tui/draw"
	"jouletop/tui/grid"
	"jouletop/tui/theme"
	"jouletop/tui/view"
)

// process is another program on a GPU.
type process struct {
	gpu   string
	whole float64 // J that the GPU drew, of which the process has its energy; NaN unknown
	event.ProcessEnergy
}

// same tells whether it is the same program on the same GPU.
func (p *process) same(o *process) bool {
	return p.gpu == o.gpu && p.PID == o.PID && p.SinceNS == o.SinceNS && p.Name == o.Name
}

// processesOn are the other programs on the GPUs: what is known of them depends on whether
// the GPUs are watched.
func processesOn(c *view.Context, gpus []string) (out []process) {
	for _, id := range gpus {
		if t, ok := c.Tenants(id); ok {
			for _, p := range t.List {
				out = append(out, process{id, t.EnergyJ, p})
			}
			continue
		}
		nan := math.NaN()
		for _, p := range c.Status.Processes[id] {
			out = append(out, process{id, nan, event.ProcessEnergy{Process: p, SMPct: nan, DRAMPct: nan, EnergyJ: nan, EnergyErrJ: nan}})
		}
	}
	return out
}

// processColumns are the table of programs.
var processColumns = []draw.Column[process]{
	{Title: "pid", Width: 8, Text: func(p process) string { return draw.Int(p.PID) }, Num: func(p process) float64 { return float64(p.PID) }},
	{Title: "program", Width: -14, Grow: true, Text: func(p process) string {
		if p.Gone {
			return p.Name + " (ended)"
		}
		return p.Name
	}},
	{Title: "memory", Width: 9, Text: func(p process) string {
		if p.MemoryMiB < 0 || p.Gone {
			return draw.Unknown
		}
		return draw.Bytes(int64(p.MemoryMiB) << 20)
	}, Num: func(p process) float64 { return event.Count(p.MemoryMiB) }},
	{Title: "SM", Unit: "%", Width: 4, Text: func(p process) string { return draw.Float(p.SMPct, 0) }, Num: func(p process) float64 { return p.SMPct }},
	{Title: "energy", Unit: "Wh", Width: 8, Text: func(p process) string { return wh(p.EnergyJ, math.NaN()) }, Num: func(p process) float64 { return p.EnergyJ }},
	{Title: "± most", Unit: "Wh", Width: 7, Text: func(p process) string { return wh(p.EnergyErrJ, math.NaN()) }, Num: func(p process) float64 { return p.EnergyErrJ }},
	{Title: "of GPU", Unit: "%", Width: 6, Text: func(p process) string { return draw.Float(100*p.EnergyJ/p.whole, 1) }, Num: func(p process) float64 { return p.EnergyJ / p.whole }},
	{Title: "GPU", Width: -10, Grow: true, Text: func(p process) string { return p.gpu }},
	{Title: "DRAM", Unit: "%", Width: 4, Text: func(p process) string { return draw.Float(p.DRAMPct, 0) }, Num: func(p process) float64 { return p.DRAMPct }},
}

// energyColumn is the one that a monitor's table is sorted by at first.
const energyColumn = 4

// processesTable lists the other programs on those GPUs.
func processesTable(c *view.Context, gpus func() []string) *table[process] {
	t := &table[process]{Context: c, look: grid.Look[process]{Title: "Processes", Empty: "no other program is on the GPU, as far as the driver tells"}}
	t.grid.Columns = processColumns
	t.look.Style = func(p process) canvas.Style {
		if p.Gone {
			return theme.Muted
		}
		return theme.Default
	}
	// Rows keep their numbers while others come and go, so that the place in the table
	// does.
	var shown []process
	version := uint64(0)
	t.rows = func() grid.Rows[process] {
		now := processesOn(c, gpus())
		next := slices.DeleteFunc(slices.Clone(shown), func(p process) bool {
			return !slices.ContainsFunc(now, func(q process) bool { return p.same(&q) })
		})
		for _, q := range now {
			if i := slices.IndexFunc(next, func(p process) bool { return p.same(&q) }); i >= 0 {
				next[i] = q
			} else {
				next = append(next, q)
			}
		}
		if !slices.EqualFunc(next, shown, func(a, b process) bool { return a.text() == b.text() }) {
			shown = next
			version++
		}
		return grid.Rows[process]{Len: len(shown), Version: version, At: func(n int) process { return shown[n] }}
	}
	t.name = func(p process) string { return "Process " + draw.Int(p.PID) }
	t.more = func(p process) [][2]string {
		out := [][2]string{{"seen since", draw.Clock(max(p.SinceNS-c.State.StartNS, 0))}}
		if tenants, ok := c.Tenants(p.gpu); ok {
			out = append(out,
				[2]string{"energy", wh(p.EnergyJ, p.EnergyErrJ) + " Wh, an estimate by " + tenants.Rule + ": " + ruleMeans},
				[2]string{"of the GPU's", wh(tenants.EnergyJ, tenants.EnergyErrJ) + " Wh in " + draw.Clock(int64(tenants.KnownS*1e9)) + ", of which " + wh(tenants.IdleEnergyJ, math.NaN()) + " were drawn while nobody did anything, and are nobody's"})
		}
		return out
	}
	return t
}

// ruleMeans explains the rule by which energy is divided.
const ruleMeans = "in each second to each process by its share of the SMs' time, as the driver samples it in whole percents; ± is the most that rounding and sensors come to, not that a kernel may draw more than another"

// text stands for what is shown of it.
func (p *process) text() string {
	s := ""
	for _, c := range processColumns {
		s += c.Text(*p) + "\t"
	}
	return s
}
