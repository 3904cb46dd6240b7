package tui

import (
	"math"
	"strings"

	"jouletop/tui/canvas"
	"jouletop/tui/theme"
)

// figure is a row of the side panel. Rows of the highest rank go first where
// there is no room for all; rank 0 always stays.
type figure struct {
	rank               int
	label, value, unit string
	style              canvas.Style
	heading            bool
	bar                float64 // > 0: a gauge between label and value
	text               string  // in place of value and unit
}

// drawSide draws energy, speed and the GPU's readings.
func (m *Model) drawSide(c *canvas.Canvas) {
	rows := m.energyFigures()
	rows = append(rows, m.speedFigures()...)
	rows = append(rows, m.gpuFigures()...)
	rows = append(rows, m.warningFigures()...)
	rows = append(rows, m.processFigures()...)
	y := 0
	if m.lay.class == wide && c.H >= bigBlock+16 {
		y = m.drawBig(c)
	}
	for drop := 9; len(rows) > c.H-y && drop > 0; drop-- {
		for i := len(rows) - 1; i >= 0 && len(rows) > c.H-y; i-- {
			if rows[i].rank == drop {
				rows = append(rows[:i], rows[i+1:]...)
			}
		}
	}
	for _, f := range rows {
		if y >= c.H {
			return
		}
		switch {
		case f.heading:
			heading(c, y, f.label, f.text)
		case f.text != "":
			label := theme.Muted
			if f.text == " " && f.style != theme.Default {
				label = f.style // a line of text alone
			}
			x := c.Text(0, y, label, f.label) + 1
			w := canvas.Width(f.text)
			c.TextMax(max(x, c.W-w), y, c.W-x, f.style, f.text)
		default:
			metric(c, y, f.label, f.value, f.unit, f.style)
			if f.bar > 0 {
				from, to := 13, c.W-19
				if to-from >= 5 {
					gauge(c, from, y, to-from, f.bar, theme.Meter)
				}
			}
		}
		y++
	}
}

// bigBlock is the rows that the large figures take.
const bigBlock = 10

// drawBig draws the four figures to be read from across a desk.
func (m *Model) drawBig(c *canvas.Canvas) int {
	t := m.st.gpu(m.gpuID())
	w := &m.st.work
	phase := theme.PhaseStyle(w.letter())
	figures := []struct {
		label, value, unit string
		style              canvas.Style
	}{
		{"power", fmtFloat(t.powerW, 0), "W", phase},
		{"SM clock", fmtMHz(t.sample.SMMHz), "MHz", phase},
		{"energy, last request", fmtSig(m.st.reqs.priced.jpt(m.st.reqs.isPrice)), "J/token", theme.Strong},
		{"decode", fmtFloat(w.decodeRate, 0), "token/s", theme.PhaseDecode},
	}
	if m.opt.Mode == Monitor {
		figures[2].label, figures[2].value, figures[2].unit = "temperature", fmtFloat(t.sample.TempC, 0), "°C"
		figures[3].label, figures[3].value, figures[3].unit = "GPU busy", fmtFloat(t.sample.GPUUtil, 0), "%"
	}
	for i, f := range figures {
		x, y := i%2*(c.W/2), i/2*5
		c.Text(x, y, theme.Muted, f.label)
		if f.value == unknown {
			c.Text(x, y+2, theme.Muted, unknown)
			continue
		}
		end := bigText(c, x, y+1, f.style, f.value, 1)
		c.Text(end, y+3, theme.Muted, f.unit)
	}
	return bigBlock
}

const (
	perMillionWh = 1e6 / 3600 // J/token to Wh per million tokens
	joulesPerWh  = 3600
	joulesPerKWh = 3.6e6
)

func (m *Model) energyFigures() []figure {
	r := &m.st.reqs
	jpt := r.jpt()
	rows := []figure{{heading: true, label: "Energy"}}
	if m.opt.Mode == Monitor {
		t := m.st.gpu(m.gpuID())
		return append(rows,
			figure{label: "power", value: fmtFloat(t.powerW, 1), unit: "W", style: theme.Strong},
			figure{rank: 4, label: "peak", value: fmtFloat(t.peakW, 1), unit: "W"})
	}
	rows = append(rows,
		figure{label: "run", value: fmtSig(jpt), unit: "J/token", style: theme.Strong},
		figure{label: "last request", value: fmtSig(r.priced.jpt(r.isPrice)), unit: "J/token", style: theme.Strong},
		figure{rank: 6, label: "P prefill", value: fmtSig(r.prefill.jpt()), unit: "J/token", style: theme.PhasePrefill},
		figure{rank: 6, label: "D decode", value: fmtSig(r.decode.jpt()), unit: "J/token", style: theme.PhaseDecode},
	)
	if r.score.n > 0 {
		rows = append(rows, figure{rank: 6, label: "S score", value: fmtSig(r.score.jpt()), unit: "J/token", style: theme.PhaseScore})
	}
	if r.scored.n > 0 && r.generated.n > 0 {
		rows = append(rows, figure{rank: 3, label: "scored", value: fmtSig(r.scored.jpt()), unit: "J/token"})
	}
	rows = append(rows,
		figure{rank: 2, label: "per 1M tokens", value: fmtSig(jpt * perMillionWh), unit: "Wh"},
	)
	if m.opt.PricePerKWh > 0 {
		rows = append(rows, figure{rank: 3, label: "at " + fmtFloat(m.opt.PricePerKWh, 2) + "/kWh",
			value: fmtFloat(jpt*1e6/joulesPerKWh*m.opt.PricePerKWh, 4), unit: "per 1M"})
	}
	rows = append(rows, figure{rank: 4, label: "run's energy", value: fmtSig(r.all.joules / joulesPerWh), unit: "Wh"})
	if n := r.all.unresolved; n > 0 {
		rows = append(rows, figure{rank: 5, label: "unresolved", value: fmtInt(n), unit: "request", style: theme.Warn})
	}
	return rows
}

func (r *requestRow) jpt(known bool) float64 {
	if !known {
		return math.NaN()
	}
	return r.JoulesPerToken
}

func (m *Model) speedFigures() []figure {
	if m.opt.Mode == Monitor {
		return nil
	}
	r, w := &m.st.reqs, &m.st.work
	ttft := r.spreadOf(func(q *requestRow) float64 { return q.TTFTS })
	step := r.spreadOf(func(q *requestRow) float64 { return q.TPOTS() })
	latency := r.spreadOf(func(q *requestRow) float64 { return q.LatencyS() })
	rows := []figure{
		{heading: true, label: "Speed", text: medianOf(r)},
		{label: "D decode", value: fmtSig(w.decodeRate), unit: "token/s", style: theme.PhaseDecode},
		{rank: 1, label: "P prefill", value: fmtSig(w.prefillRate), unit: "token/s", style: theme.PhasePrefill},
	}
	seconds := func(rank int, label string, s spread) {
		v, u := splitUnit(fmtSeconds(s.p50))
		rows = append(rows, figure{rank: rank, label: label, value: v, unit: u, style: theme.Default})
		v, u = splitUnit(fmtSeconds(s.p95))
		rows = append(rows, figure{rank: 8, label: "  95th percentile", value: v, unit: u, style: theme.Muted})
	}
	seconds(0, "TTFT", ttft)
	seconds(0, "TPOT", step)
	seconds(4, "latency", latency)
	return append(rows, figure{rank: 7, label: "requests", value: fmtInt(r.total), unit: failedUnit(r.failed)})
}

// medianOf says what the medians are over.
func medianOf(r *requests) string {
	if !r.hasLast {
		return "median"
	}
	return "median at batch " + fmtInt(r.last.BatchSize)
}

func failedUnit(n int) string {
	if n == 0 {
		return "done"
	}
	return fmtInt(n) + " bad"
}

// splitUnit cuts "12.3 ms" at its blank.
func splitUnit(s string) (value, unit string) {
	for i := range s {
		if s[i] == ' ' {
			return s[:i], s[i+1:]
		}
	}
	return s, ""
}

func (m *Model) gpuFigures() []figure {
	id := m.gpuID()
	t := m.st.gpu(id)
	info := m.opt.info(id)
	s := &t.sample
	name := info.Name
	if len(m.st.gpus) > 1 {
		name = id + " (g)"
	}
	temp := theme.Default
	if s.TempC >= 85 {
		temp = theme.Warn
	}
	rows := []figure{{heading: true, label: "GPU", text: name}}
	limit := figure{label: "power", value: fmtFloat(t.powerW, 0), unit: "W"}
	if info.PowerLimitW > 0 {
		limit.label = "power/limit"
		limit.value += "/" + fmtFloat(info.PowerLimitW, 0)
		limit.bar = t.powerW / info.PowerLimitW
	}
	throttle := figure{rank: 0, label: "throttle", text: "none", style: theme.Good}
	if s.Throttle != 0 {
		throttle.text, throttle.style = s.Throttle.String(), theme.Default
		if s.Throttle.Limits() {
			throttle.style = theme.Warn
		}
	}
	if s.SMMHz < 0 && s.Throttle == 0 {
		throttle.text, throttle.style = unknown, theme.Muted
	}
	memory := figure{rank: 2, label: "memory", value: unknown, unit: "GiB"}
	if !math.IsNaN(s.MemUsedMiB) {
		memory.value = fmtFloat(s.MemUsedMiB/1024, 1)
		if info.MemoryMiB > 0 {
			memory.value += "/" + fmtFloat(float64(info.MemoryMiB)/1024, 0)
			memory.bar = s.MemUsedMiB / float64(info.MemoryMiB)
		}
	}
	percent := func(rank int, label string, v float64) figure {
		return figure{rank: rank, label: label, value: fmtFloat(v, 0), unit: "%", bar: v / 100}
	}
	return append(rows,
		figure{rank: 1, label: "temperature", value: fmtFloat(s.TempC, 0), unit: "°C", style: temp},
		limit, throttle,
		percent(3, "tensor", s.TensorUtil), percent(1, "DRAM", s.DRAMUtil), percent(5, "GPU busy", s.GPUUtil),
		memory,
		figure{rank: 6, label: "memory clock", value: fmtMHz(s.MemMHz), unit: "MHz"},
	)
}

// warningFigures tell the newest warning while it is new.
func (m *Model) warningFigures() []figure {
	text := m.st.warning()
	if text == "" {
		return nil
	}
	rows := []figure{{heading: true, label: "Warning", text: plural(m.st.warnings, "warning") + " (6)"}}
	const most = 4
	w := max(m.lay.side.W, 1)
	lines := canvas.Wrap(text, w, 0)
	if len(lines) > most { // its beginning says what it is; page 6 has it whole
		last := canvas.Wrap(strings.Join(lines[most-1:], " "), max(w-2, 1), 0)
		lines = append(lines[:most-1], last[0]+" …")
	}
	for i, l := range lines {
		rows = append(rows, figure{rank: min(i, 1), label: l, text: " ", style: theme.Warn})
	}
	return rows
}

// processFigures lists others on the GPU, and what is hidden from us.
func (m *Model) processFigures() []figure {
	var rows []figure
	procs := m.status.Processes[m.gpuID()]
	if len(procs) > 0 {
		rows = append(rows, figure{rank: 2, heading: true, label: "Others on the GPU", text: "energy counts as ours"})
		for i, p := range procs {
			mem := unknown
			if p.MemoryMiB >= 0 {
				mem = fmtBytes(int64(p.MemoryMiB) << 20)
			}
			rows = append(rows, figure{rank: min(2+i, 9), label: fmtInt(p.PID) + " " + p.Name, text: mem, style: theme.Warn})
		}
	}
	if hidden := m.hidden(); len(hidden) > 0 {
		rows = append(rows, figure{rank: 3, heading: true, label: "Not shown, and why"})
		for _, h := range hidden {
			for _, l := range canvas.Wrap(h, max(m.lay.side.W, 1), 0) {
				rows = append(rows, figure{rank: 3, label: l, text: " "})
			}
		}
	}
	return rows
}

func (m *Model) hidden() []string {
	out := append([]string(nil), m.status.Hidden...)
	return append(out, m.opt.info(m.gpuID()).Hidden...)
}
