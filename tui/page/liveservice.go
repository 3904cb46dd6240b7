package page

import (
	"math"
	"time"

	"jouletop/engine/analysis/served"
	"jouletop/tui/canvas"
	"jouletop/tui/draw"
	"jouletop/tui/state"
	"jouletop/tui/theme"
	"jouletop/tui/view"
)

// service is how requests are served now, summed up once a second.
type service struct {
	second int64
	run    uint64
	state.Service
	known bool
	slo   served.SLO
}

// now brings it up to date.
func (s *service) now(c *view.Context) {
	if s.second == c.Second() && s.run == c.State.Versions.Run && s.slo.String() == c.Status.SLO {
		return
	}
	s.second, s.run = c.Second(), c.State.Versions.Run
	s.slo, _ = served.ParseSLO(c.Status.SLO) // it was read before: it can be read again
	s.Service, s.known = c.State.Service(s.slo)
}

// figures are those of the service while requests are served, nil else.
func (s *serving) figures(c *view.Context, w int) []figure {
	if !s.on(c) {
		return nil
	}
	s.service.now(c)
	v := &s.service
	over := "last minute"
	if w >= threeWide {
		over = "p50 95 99, last minute"
	}
	if c.Status.SLO != "" && canvas.Width(c.Status.SLO) < w-44 {
		over += ", " + c.Status.SLO
	}
	rows := []figure{{heading: true, label: "Service", text: over}}
	if !v.known {
		rates := c.State.Serving.Rates()
		return append(rows,
			figure{label: "made", value: draw.Float(rates.Made, 0), unit: "token/s", style: theme.PhaseDecode},
			figure{rank: 1, label: "read", value: draw.Float(rates.Read, 0), unit: "token/s", style: theme.PhasePrefill},
			figure{rank: 2, label: "no request has ended", text: " ", style: theme.Muted})
	}
	rows = append(rows, bounded(w, "TTFT", v.TTFT, v.slo.TTFT))
	rows = append(rows, bounded(w, "TPOT", v.TPOT, v.slo.TPOT))
	if v.slo.E2E > 0 {
		rows = append(rows, bounded(w, "latency", v.E2E, v.slo.E2E))
	}
	perS := func(n int) string { return draw.Sig(float64(n) / v.Seconds) }
	if v.slo == (served.SLO{}) {
		rows = append(rows, figure{label: "requests", value: perS(v.Requests - v.Failed), unit: "/s", style: theme.Strong})
	} else {
		style := theme.Good
		if v.Met < v.Requests {
			style = theme.Warn
		}
		rows = append(rows, figure{label: "goodput", value: perS(v.Met), unit: "/s", style: style},
			figure{rank: 1, label: "kept to SLO", value: draw.Int(v.Met) + "/" + draw.Int(v.Requests), unit: "", style: style})
	}
	rates := c.State.Serving.Rates()
	wait, u := draw.SplitUnit(draw.Seconds(v.Queue.Percentiles[2]))
	rows = append(rows,
		figure{rank: 1, label: "made", value: draw.Float(rates.Made, 0), unit: "token/s", style: theme.PhaseDecode},
		figure{rank: 3, label: "read", value: draw.Float(rates.Read, 0), unit: "token/s", style: theme.PhasePrefill},
		figure{rank: 4, label: "queue p95", value: wait, unit: u},
		figure{label: "drawn now", value: draw.Sig(v.JoulesPerToken), unit: "J/token", style: theme.Strong},
		figure{label: "a request", value: draw.Sig(v.JoulesEach), unit: "J", style: theme.Strong},
	)
	if n := v.Requests - v.Failed; v.Priced < n {
		rows = append(rows, figure{rank: 6, label: "energy known", value: draw.Int(v.Priced) + "/" + draw.Int(n), unit: ""})
	}
	if v.Failed > 0 {
		rows = append(rows, figure{rank: 1, label: "failed", value: draw.Int(v.Failed), unit: "", style: theme.Bad})
	}
	return rows
}

// threeWide is from how many columns on a row has room for three percentiles.
const threeWide = 36

// bounded is a time's median, 95th and 99th percentile, or the 95th alone where w has no
// room, against the bound that the 95th has; 0: none.
func bounded(w int, label string, of served.Spread, bound time.Duration) figure {
	const median, p95, p99 = 0, 2, 3 // of served.Percentiles
	p := of.Percentiles
	scale, unit := 1000.0, "ms"
	if p[p99] >= 10 {
		scale, unit = 1, "s"
	}
	f := figure{label: label + " p95", value: draw.Sig(p[p95] * scale), unit: unit, style: theme.Default}
	if w >= threeWide {
		f.label, f.value = label, draw.Sig(p[median]*scale)+" "+f.value+" "+draw.Sig(p[p99]*scale)
	}
	if bound > 0 && !math.IsNaN(p[p95]) {
		f.style, f.unit = theme.Good, unit+" ✓"
		if p[p95] > bound.Seconds() {
			f.style, f.unit = theme.Warn, unit+" ✗"
		}
	}
	return f
}
