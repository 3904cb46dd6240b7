package view

import (
	"math"
	"slices"
	"time"

	"jouletop/tui/draw"
	"jouletop/tui/history"
	"jouletop/tui/state"
)

// windows of the profiles, in the order in which one goes through them; 0 is the whole
// session. In 2 s even a prefill of some ms is seen.
var windows = []time.Duration{10 * time.Second, time.Minute, 10 * time.Minute, 0, 2 * time.Second}

// WindowNames are how the windows are called in settings, in their order.
var WindowNames = []string{"10s", "1m", "10m", "session", "2s"}

// Window is which part of the session is looked at.
type Window struct {
	Length  int // of windows
	Frozen  bool
	End     int64 // right edge, ns
	GPU     int
	One     bool // of several GPUs, this one alone is shown
	Coarse  bool
	Columns []history.Column
	Sight
	PeakW float64
}

// Sight is which columns a plot shows.
type Sight struct {
	Shown Columns
	moved int64 // beat of the session in which it moved on last
}

// Columns tells which columns are shown.
type Columns struct {
	GPU         string
	From, Width int64 // ns
	N           int
}

// Follow moves the picture with the session, unless it is frozen.
func (w *Window) Follow(s *state.State) {
	if !w.Frozen {
		w.End = s.Now
	}
}

// Span returns the window's length, ns.
func (w *Window) Span(s *state.State) int64 {
	if d := windows[w.Length]; d > 0 {
		return int64(d)
	}
	// The whole session, in steps of a fifth, so that it need not be drawn anew
	// for each second.
	span := int64(time.Minute)
	for span < s.Elapsed() {
		span += span / 5
	}
	return span
}

// Label words its length.
func (w *Window) Label(s *state.State) string {
	switch d := windows[w.Length]; {
	case d == 0:
		return "session"
	case d < time.Minute:
		return draw.Int(int(d/time.Second)) + " s"
	default:
		return draw.Int(int(d/time.Minute)) + " min"
	}
}

// Scroll moves the right edge by a quarter window, and freezes.
func (w *Window) Scroll(s *state.State, dir int64) {
	if !w.Frozen {
		w.Frozen, w.End = true, s.Now
	}
	span := w.Span(s)
	w.End += dir * span / 4
	if w.End >= s.Now {
		w.Frozen, w.End = false, s.Now
	}
	w.End = max(w.End, min(s.StartNS+span, s.Now))
}

// Load reads the columns for a plot n wide.
func (w *Window) Load(s *state.State, id string, n int) {
	if !w.See(&w.Sight, s, id, n) {
		return
	}
	if cap(w.Columns) < n {
		w.Columns = make([]history.Column, n)
	}
	w.Columns = w.Columns[:n]
	s.GPU(id).Track.Columns(w.Columns, w.Shown.From, w.Shown.Width)
	w.judge()
}

// See brings up to date which columns a plot n wide of a GPU shows, and tells whether
// they are others now; its edges lie on whole columns, so nothing changes until a column
// is complete, nor more often than the figures beside it: moving is most of what a frame
// costs, on both ends of the line.
func (w *Window) See(sight *Sight, s *state.State, id string, n int) (changed bool) {
	t := s.GPU(id)
	width := max(w.Span(s)/int64(max(n, 1)), 1)
	end := w.End
	if !w.Frozen {
		if k := (Columns{GPU: id, From: sight.Shown.From, Width: width, N: n}); k == sight.Shown && sight.moved == Beat(s) {
			return false
		}
		// Power comes some hundred ms late: leave that out rather than draw a gap
		// that closes a moment later.
		if late := t.SampleNS - t.PowerNS; late > 0 && late < 600_000_000 {
			end -= late
		}
	}
	if sight.moved = Beat(s); w.Frozen {
		sight.moved = -1
	}
	key := Columns{GPU: id, From: (end/width - int64(n)) * width, Width: width, N: n}
	changed = key != sight.Shown
	sight.Shown = key
	return changed
}

// judge decides whether columns hold several phases each, so that a line a phase
// says more than one line: with hysteresis, so that it does not flicker.
func (w *Window) judge() {
	busy, mixed := 0, 0
	w.PeakW = math.NaN()
	for i := range w.Columns {
		c := &w.Columns[i]
		if c.Power.Max > w.PeakW || math.IsNaN(w.PeakW) {
			w.PeakW = c.Power.Max
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
	if w.Coarse {
		limit = 0.3
	}
	w.Coarse = busy > 0 && float64(mixed) > limit*float64(busy)
}

// Next goes on to the next length.
func (w *Window) Next() { w.Length = (w.Length + 1) % len(windows) }

// Name is how its length is called in settings.
func (w *Window) Name() string { return WindowNames[w.Length] }

// Choose takes the length of that name, and tells whether there is one.
func (w *Window) Choose(name string) bool {
	i := slices.Index(WindowNames, name)
	if i >= 0 {
		w.Length = i
	}
	return i >= 0
}

// Freeze holds the picture, or lets it follow the session again.
func (w *Window) Freeze(s *state.State, on bool) {
	w.Frozen = on
	w.Follow(s)
}
