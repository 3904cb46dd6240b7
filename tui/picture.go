package tui

import (
	"math"
	"time"

	"jouletop/tui/history"
)

// windows of the profiles; 0 is the whole session.
var windows = []time.Duration{10 * time.Second, time.Minute, 10 * time.Minute, 0}

// picture is which part of the session is looked at.
type picture struct {
	window  int // of windows
	frozen  bool
	end     int64 // right edge, ns
	gpu     int
	stream  int // request of the batch whose text is shown
	coarse  bool
	columns []history.Column
	colsKey columnsKey
	peakW   float64
}

// stepNS is the least time by which a picture moves on, ns.
const stepNS = 200_000_000

type columnsKey struct {
	gpu         string
	from, width int64
	n           int
}

// follow moves the picture with the session, unless it is frozen.
func (p *picture) follow(s *state) {
	if !p.frozen {
		p.end = s.now
	}
}

// span returns the window's length, ns.
func (p *picture) span(s *state) int64 {
	if d := windows[p.window]; d > 0 {
		return int64(d)
	}
	// The whole session, in steps of a fifth, so that it need not be drawn anew
	// for each second.
	span := int64(time.Minute)
	for span < s.elapsed() {
		span += span / 5
	}
	return span
}

func (p *picture) label(s *state) string {
	switch d := windows[p.window]; {
	case d == 0:
		return "session"
	case d < time.Minute:
		return fmtInt(int(d/time.Second)) + " s"
	default:
		return fmtInt(int(d/time.Minute)) + " min"
	}
}

// scroll moves the right edge by a quarter window, and freezes.
func (p *picture) scroll(s *state, dir int64) {
	if !p.frozen {
		p.frozen, p.end = true, s.now
	}
	span := p.span(s)
	p.end += dir * span / 4
	if p.end >= s.now {
		p.frozen, p.end = false, s.now
	}
	p.end = max(p.end, min(s.startNS+span, s.now))
}

// load reads the columns for a plot n wide; the window's edges lie on whole
// columns, so nothing changes until a column is complete.
func (p *picture) load(s *state, id string, n int) {
	t := s.gpu(id)
	width := max(p.span(s)/int64(max(n, 1)), 1)
	end := p.end
	if !p.frozen {
		// Power comes some hundred ms late: leave that out rather than draw a gap
		// that closes a moment later.
		if late := t.sampleNS - t.powerNS; late > 0 && late < 600_000_000 {
			end -= late
		}
	}
	// The picture moves on by whole columns, no more than a few times a second:
	// moving is most of what a frame costs, on both ends of the line.
	step := (stepNS + width - 1) / width * width
	key := columnsKey{gpu: id, from: end/step*step - width*int64(n), width: width, n: n}
	if key == p.colsKey {
		return
	}
	p.colsKey = key
	if cap(p.columns) < n {
		p.columns = make([]history.Column, n)
	}
	p.columns = p.columns[:n]
	t.track.Columns(p.columns, key.from, width)
	p.judge()
}

// judge decides whether columns hold several phases each, so that a line a phase
// says more than one line: with hysteresis, so that it does not flicker.
func (p *picture) judge() {
	busy, mixed := 0, 0
	p.peakW = math.NaN()
	for i := range p.columns {
		c := &p.columns[i]
		if c.Power.Max > p.peakW || math.IsNaN(p.peakW) {
			p.peakW = c.Power.Max
		}
		var sum, most float64
		for _, ns := range c.PhaseNS[history.Prefill:] {
			sum += ns
			most = max(most, ns)
		}
		if sum > 0 {
			busy++
			if sum-most > 0.1*sum {
				mixed++
			}
		}
	}
	limit := 0.5
	if p.coarse {
		limit = 0.3
	}
	p.coarse = busy > 0 && float64(mixed) > limit*float64(busy)
}
