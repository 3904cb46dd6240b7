package page

import (
	"math"
	"strings"

	"jouletop/tui/canvas"
	"jouletop/tui/draw"
	"jouletop/tui/state"
	"jouletop/tui/theme"
	"jouletop/tui/view"
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
func (p *Live) drawSide(c *canvas.Canvas) {
	rows := p.energyFigures(c.W)
	rows = append(rows, p.speedFigures(c.W)...)
	rows = append(rows, p.gpuFigures()...)
	rows = append(rows, p.boundFigures(c.W)...)
	rows = append(rows, p.warningFigures(c.W)...)
	rows = append(rows, p.processFigures(c.W)...)
	y := 0
	if p.Size == view.Wide && c.H >= bigBlock+16 {
		y = p.drawBig(c)
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
			draw.Heading(c, y, f.label, f.text)
		case f.text != "":
			label := theme.Muted
			if f.text == " " && f.style != theme.Default {
				label = f.style // a line of text alone
			}
			x := c.Text(0, y, label, f.label) + 1
			w := canvas.Width(f.text)
			c.TextMax(max(x, c.W-w), y, c.W-x, f.style, f.text)
		default:
			draw.Metric(c, y, f.label, f.value, f.unit, f.style)
			if f.bar > 0 {
				from, to := 13, c.W-19
				if to-from >= 5 {
					draw.Gauge(c, from, y, to-from, f.bar, theme.Meter)
				}
			}
		}
		y++
	}
}

// bigBlock is the rows that the large figures take.
const bigBlock = 10

// drawBig draws the four figures to be read from across a desk.
func (p *Live) drawBig(c *canvas.Canvas) int {
	t := p.Telemetry()
	w := &p.State.Work
	phase := theme.PhaseStyle(w.Letter())
	rate, exact := p.State.MadeNow()
	madeNow := "made now"
	if !exact && !math.IsNaN(rate) {
		madeNow += ", about" // a server's pieces of text
	}
	last, _ := p.State.Requests.LastJoulesPerToken()
	figures := []struct {
		label, value, unit string
		style              canvas.Style
	}{
		{"power", draw.Float(t.PowerW, 0), "W", phase},
		{"SM clock", draw.MHz(t.Sample.SMMHz), "MHz", phase},
		{"energy, last request", draw.Sig(last), "J/token", theme.Strong},
		{madeNow, draw.Float(rate, 0), "token/s", theme.PhaseDecode},
	}
	if p.serving.on(p.Context) {
		p.serving.service.now(p.Context)
		figures[2].label, figures[2].value = "energy drawn now", draw.Sig(p.serving.service.JoulesPerToken)
		figures[3].label, figures[3].value = "made", draw.Float(p.State.Serving.Rates().Made, 0)
	}
	for i, f := range figures {
		x, y := i%2*(c.W/2), i/2*5
		c.Text(x, y, theme.Muted, f.label)
		if f.value == draw.Unknown {
			c.Text(x, y+2, theme.Muted, draw.Unknown)
			continue
		}
		end := draw.BigText(c, x, y+1, f.style, f.value, 1)
		c.Text(end, y+3, theme.Muted, f.unit)
	}
	return bigBlock
}

const (
	perMillionWh = 1e6 / 3600 // J/token to Wh per million tokens
	joulesPerWh  = 3600
	joulesPerKWh = 3.6e6
)

func (p *Live) energyFigures(w int) []figure {
	r := &p.State.Requests
	jpt := r.JoulesPerToken()
	perToken := func(rank int, label string, mean, half float64, style canvas.Style) figure {
		const unit = "J/token"
		value := draw.PlusMinus(mean, half)
		if canvas.Width(label)+canvas.Width(value)+len(unit)+2 > w {
			value = draw.Sig(mean)
		}
		return figure{rank: rank, label: label, value: value, unit: unit, style: style}
	}
	ofPhase := func(rank int, label string, s state.EnergySums, style canvas.Style) figure {
		return perToken(rank, label, s.JoulesPerToken(), s.HalfPerToken(), style)
	}
	last, lastHalf := r.LastJoulesPerToken()
	rows := []figure{{heading: true, label: "Energy"}}
	rows = append(rows,
		perToken(0, "run", jpt, r.HalfPerToken(), theme.Strong),
		perToken(0, "last request", last, lastHalf, theme.Strong),
	)
	switch {
	case p.Size != view.Compact:
		rows = append(rows,
			ofPhase(1, "P prefill", r.Prefill, theme.PhasePrefill),
			ofPhase(1, "D decode", r.Decode, theme.PhaseDecode),
		)
	default: // all that are known in a row
		labels, values := "", ""
		for _, ph := range []struct {
			letter string
			sums   state.EnergySums
		}{{"P", r.Prefill}, {"D", r.Decode}, {"S", r.Score}} {
			if ph.sums.N == 0 && ph.letter == "S" {
				continue
			}
			labels, values = labels+" "+ph.letter, values+" "+brief(ph.sums.JoulesPerToken())
		}
		rows = append(rows, figure{rank: 1, label: labels[1:], value: values[1:], unit: "J/token", style: theme.Strong})
	}
	if r.Score.N > 0 && p.Size != view.Compact {
		rows = append(rows, ofPhase(6, "S score", r.Score, theme.PhaseScore))
	}
	if r.Scored.N > 0 && r.Generated.N > 0 {
		rows = append(rows, ofPhase(3, "scored", r.Scored, theme.Default))
	}
	rows = append(rows,
		figure{rank: 2, label: "per 1M tokens", value: draw.Sig(jpt * perMillionWh), unit: "Wh"},
	)
	if p.PricePerKWh > 0 {
		rows = append(rows, figure{rank: 3, label: "at " + draw.Float(p.PricePerKWh, 2) + priceUnit(p.Currency),
			value: draw.Float(jpt*1e6/joulesPerKWh*p.PricePerKWh, 4), unit: "per 1M"})
	}
	rows = append(rows, figure{rank: 5, label: "GPU since start", value: draw.Sig(p.State.EnergyJ() / joulesPerWh), unit: "Wh"})
	if n := r.All.Unresolved; n > 0 {
		rows = append(rows, figure{rank: 5, label: "energy unresolved", text: "of " + draw.Plural(n, "request"), style: theme.Warn})
	}
	return rows
}

func (p *Live) speedFigures(w int) []figure {
	if rows := p.serving.figures(p.Context, w); rows != nil {
		return rows
	}
	r, now := &p.State.Requests, &p.State.Work
	ttft := r.SpreadOf(func(q *state.Request) float64 { return q.TTFTS })
	step := r.SpreadOf(func(q *state.Request) float64 { return q.TPOTS() })
	latency := r.SpreadOf(func(q *state.Request) float64 { return q.LatencyS() })
	rows := []figure{
		{heading: true, label: "Speed", text: medianOf(r)},
		p.madeNow(),
		{rank: 1, label: "D decode", value: draw.Sig(now.DecodeRate), unit: "token/s", style: theme.PhaseDecode},
		{rank: 2, label: "P prefill", value: draw.Sig(now.PrefillRate), unit: "token/s", style: theme.PhasePrefill},
	}
	seconds := func(rank int, label string, s state.Spread) {
		v, u := draw.SplitUnit(draw.Seconds(s.Median))
		rows = append(rows, figure{rank: rank, label: label, value: v, unit: u, style: theme.Default})
		v, u = draw.SplitUnit(draw.Seconds(s.P95))
		rows = append(rows, figure{rank: 8, label: "  95th percentile", value: v, unit: u, style: theme.Muted})
	}
	seconds(0, "TTFT", ttft)
	seconds(0, "TPOT", step)
	seconds(4, "latency", latency)
	return append(rows, figure{rank: 4, label: "requests", value: draw.Int(r.Total), unit: failedUnit(r.Failed)})
}

// madeNow is how fast tokens are made now, of all requests together.
func (p *Live) madeNow() figure {
	rate, exact := p.State.MadeNow()
	f := figure{label: "made now", value: draw.Sig(rate), unit: "token/s", style: theme.Strong}
	if !exact && f.value != draw.Unknown {
		f.value = "~" + f.value // a server's pieces of text
	}
	return f
}

// brief is v in three digits or so, for rows with several figures.
func brief(v float64) string {
	switch a := math.Abs(v); {
	case math.IsNaN(v):
		return draw.Unknown
	case a >= 100:
		return draw.Float(v, 0)
	case a >= 10:
		return draw.Float(v, 1)
	case a >= 1:
		return draw.Float(v, 2)
	}
	return strings.TrimPrefix(draw.Float(v, 3), "0")
}

// medianOf says what the medians are over.
func medianOf(r *state.Requests) string {
	if !r.HasLast {
		return "median"
	}
	return "median at batch " + draw.Int(r.Last.BatchSize)
}

func failedUnit(n int) string {
	if n == 0 {
		return "done"
	}
	return draw.Int(n) + " bad"
}

func (p *Live) gpuFigures() []figure {
	id := p.GPUID()
	t := p.State.GPU(id)
	info := p.Info()
	s := &t.Sample
	name := info.Name
	if len(p.State.GPUs) > 1 {
		name = id + p.bracketed(p.Context.Keys.GPU)
	}
	age, old := ageText(p.Context, id)
	if p.Size == view.Compact {
		name = age
	}
	temp := theme.Default
	if s.TempC >= 85 {
		temp = theme.Warn
	}
	rows := []figure{{heading: true, label: "GPU", text: name}}
	if p.Size != view.Compact || old {
		style := theme.Muted
		if old {
			style = theme.Warn
		}
		rows = append(rows, figure{rank: 2, label: "readings", text: age, style: style})
		if old {
			rows[1].rank = 0
		}
	}
	limit := figure{label: "power", value: draw.Float(t.PowerW, 0), unit: "W"}
	if w := p.limitW(); w > 0 {
		limit.label = "power/limit"
		limit.value += "/" + draw.Float(w, 0)
		limit.bar = t.PowerW / w
	}
	throttle := figure{rank: 0, label: "throttle", text: "none", style: theme.Good}
	if s.Throttle != 0 {
		throttle.text, throttle.style = s.Throttle.String(), theme.Default
		if s.Throttle.Limits() {
			throttle.style = theme.Warn
		}
	}
	if s.SMMHz < 0 && s.Throttle == 0 {
		throttle.text, throttle.style = draw.Unknown, theme.Muted
	}
	memory := figure{rank: 2, label: "memory", value: draw.Unknown, unit: "GiB"}
	if !math.IsNaN(s.MemUsedMiB) {
		memory.value = draw.Float(s.MemUsedMiB/1024, 1)
		if info.MemoryMiB > 0 {
			memory.value += "/" + draw.Float(float64(info.MemoryMiB)/1024, 0)
			memory.bar = s.MemUsedMiB / float64(info.MemoryMiB)
		}
	}
	percent := func(rank int, label string, v float64) figure {
		return figure{rank: rank, label: label, value: draw.Float(v, 0), unit: "%", bar: v / 100}
	}
	return append(rows,
		figure{rank: 1, label: "temperature", value: draw.Float(s.TempC, 0), unit: "°C", style: temp},
		limit, throttle,
		percent(3, "tensor", s.TensorUtil), percent(1, "DRAM", s.DRAMUtil), percent(5, "GPU busy", s.GPUUtil),
		memory,
		figure{rank: 6, label: "memory clock", value: draw.MHz(s.MemMHz), unit: "MHz"},
	)
}

// warningFigures tell the newest warning while it is new.
func (p *Live) warningFigures(w int) []figure {
	text := p.State.Warning()
	if text == "" {
		return nil
	}
	rows := []figure{{heading: true, label: "Warning", text: draw.Plural(p.State.Warnings, "warning") + " (6)"}}
	const most = 4
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
func (p *Live) processFigures(w int) []figure {
	var rows []figure
	procs := p.Status.Processes[p.GPUID()]
	if len(procs) > 0 {
		rows = append(rows, figure{rank: 2, heading: true, label: "Others on the GPU", text: "energy counts as ours"})
		for i, other := range procs {
			mem := draw.Unknown
			if other.MemoryMiB >= 0 {
				mem = draw.Bytes(int64(other.MemoryMiB) << 20)
			}
			rows = append(rows, figure{rank: min(2+i, 9), label: draw.Int(other.PID) + " " + other.Name, text: mem, style: theme.Warn})
		}
	}
	if hidden := p.Hidden(); len(hidden) > 0 {
		rows = append(rows, figure{rank: 3, heading: true, label: "Not shown, and why"})
		for _, h := range hidden {
			for _, l := range canvas.Wrap(h, w, 0) {
				rows = append(rows, figure{rank: 3, label: l, text: " "})
			}
		}
	}
	return rows
}

// priceUnit is what a price is of, in its currency.
func priceUnit(currency string) string {
	if currency != "" {
		currency = " " + currency
	}
	return currency + "/kWh"
}
