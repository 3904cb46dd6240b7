package tui

import "jouletop/tui/canvas"

// Breakpoints. Below the least size the screen says so.
const (
	minWidth, minHeight   = 60, 16
	mediumWidth, mediumHi = 110, 32
	wideWidth, wideHigh   = 160, 48
)

// size is the class of a terminal's size.
type size int

const (
	tooSmall size = iota
	compact       // 80×24
	medium        // 120×40
	wide          // 200×60
)

// layout is every rectangle of the screen, computed here and nowhere else.
type layout struct {
	w, h  int
	class size

	tabs, body, status, keys canvas.Rect

	// Live
	clock, power, strip, side, progress, text, recent canvas.Rect
	// Curves: the pictures of energy, latency and EDP; only the first where there
	// is no room. Below them the table.
	curves     [3]canvas.Rect
	curveTable canvas.Rect
	// Sweep
	plan, points canvas.Rect
	// Compare
	sides [2]canvas.Rect
	delta canvas.Rect
	// Workload
	queries, histogram, features canvas.Rect
	// Session
	files, events, earlier, beside canvas.Rect

	// Panels that lie over the screen.
	clockPanel, form, help canvas.Rect
}

// computeLayout lays out a terminal of w × h; with the clock panel open the
// screens make room for it, so that it covers nothing.
func computeLayout(w, h int, panel bool) layout {
	l := layout{w: w, h: h, class: sizeClass(w, h)}
	if l.class == tooSmall {
		return l
	}
	l.tabs = canvas.Rect{W: w, H: 1}
	l.keys = canvas.Rect{Y: h - 1, W: w, H: 1}
	l.status = canvas.Rect{Y: h - 2, W: w, H: 1}
	l.body = canvas.Rect{Y: 1, W: w, H: h - 3}
	l.overlays()
	if panel {
		l.body.W -= l.clockPanel.W + 1
	}
	l.live(panel)
	l.curveScreen()
	l.sweepScreen()
	l.compareScreen()
	l.workloadScreen()
	l.sessionScreen()
	return l
}

func sizeClass(w, h int) size {
	switch {
	case w < minWidth || h < minHeight:
		return tooSmall
	case w < mediumWidth || h < mediumHi:
		return compact
	case w < wideWidth || h < wideHigh:
		return medium
	}
	return wide
}

// pick chooses by size class.
func pick[T any](class size, small, middle, large T) T {
	switch class {
	case wide:
		return large
	case medium:
		return middle
	}
	return small
}

// split cuts r into a left part of w columns and the rest, a gap apart.
func split(r canvas.Rect, w, gap int) (left, right canvas.Rect) {
	w = min(max(w, 0), r.W)
	left, right = r, r
	left.W = w
	right.X = r.X + w + gap
	right.W = max(r.W-w-gap, 0)
	return left, right
}

// cut cuts r into an upper part of h rows and the rest.
func cut(r canvas.Rect, h int) (top, bottom canvas.Rect) {
	h = min(max(h, 0), r.H)
	top, bottom = r, r
	top.H = h
	bottom.Y, bottom.H = r.Y+h, r.H-h
	return top, bottom
}

func (l *layout) live(panel bool) {
	bottom := pick(l.class, max(4, l.body.H/5), l.body.H*34/100, l.body.H*38/100)
	upper, lower := cut(l.body, l.body.H-bottom-1)
	l.progress, lower = cut(lower, 1)
	charts := upper
	if !panel || l.class == wide {
		charts, l.side = split(upper, l.body.W-pick(l.class, 27, 38, 52)-1, 1)
	}
	charts, l.strip = cut(charts, charts.H-2) // phases and the time axis
	l.clock, l.power = cut(charts, charts.H/2)
	if lower.W < mediumWidth/2 {
		l.text = lower
		return
	}
	l.text, l.recent = split(lower, lower.W*pick(l.class, 60, 42, 46)/100, 1)
}

func (l *layout) curveScreen() {
	switch l.class {
	case compact:
		l.curves[0], l.curveTable = cut(l.body, l.body.H-6)
	case medium:
		var rest canvas.Rect
		l.curves[0], rest = cut(l.body, l.body.H/2)
		l.curves[1], l.curveTable = cut(rest, rest.H-7)
		l.curves[1], l.curves[2] = split(l.curves[1], l.body.W/2, 1)
	case wide:
		top, rest := cut(l.body, l.body.H*56/100)
		l.curves[0], l.curveTable = split(top, l.body.W*64/100, 1)
		l.curves[1], l.curves[2] = split(rest, l.body.W/2, 1)
	}
}

func (l *layout) sweepScreen() {
	l.plan, l.points = cut(l.body, pick(l.class, 6, 9, 10))
}

func (l *layout) compareScreen() {
	top, rest := cut(l.body, pick(l.class, l.body.H-10, l.body.H-17, l.body.H-36))
	l.sides[0], l.sides[1] = split(top, (l.body.W-1)/2, 1)
	l.delta = rest
}

func (l *layout) workloadScreen() {
	top, rest := cut(l.body, pick(l.class, 7, 8, 10))
	l.queries = top
	l.histogram, l.features = split(rest, rest.W*pick(l.class, 46, 50, 52)/100, 1)
}

func (l *layout) sessionScreen() {
	left, right := split(l.body, l.body.W*pick(l.class, 46, 44, 42)/100, 1)
	l.files, l.earlier = cut(left, left.H*pick(l.class, 55, 50, 42)/100)
	l.events, l.beside = cut(right, right.H*pick(l.class, 50, 56, 62)/100)
}

func (l *layout) overlays() {
	w := min(pick(l.class, 38, 46, 54), l.body.W)
	l.clockPanel = canvas.Rect{X: l.w - w, Y: l.body.Y, W: w, H: l.body.H}
	center := func(w, h int) canvas.Rect {
		w, h = min(w, l.body.W), min(h, l.body.H)
		return canvas.Rect{X: l.body.X + (l.body.W-w)/2, Y: l.body.Y + (l.body.H-h)/2, W: w, H: h}
	}
	l.form = center(pick(l.class, 74, 84, 96), 16)
	l.help = center(pick(l.class, l.w, 112, 120), pick(l.class, l.body.H, 36, 40))
}
