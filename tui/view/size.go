package view

import "jouletop/tui/canvas"

// Breakpoints. Below the least size the screen says so.
const (
	MinWidth, MinHeight   = 60, 16
	MediumWidth, mediumHi = 110, 32
	wideWidth, wideHigh   = 160, 48
)

// Size is the class of a terminal's size.
type Size int

const (
	TooSmall Size = iota
	Compact       // 80×24
	Medium        // 120×40
	Wide          // 200×60
)

// SizeOf returns the class of a terminal of w × h.
func SizeOf(w, h int) Size {
	switch {
	case w < MinWidth || h < MinHeight:
		return TooSmall
	case w < MediumWidth || h < mediumHi:
		return Compact
	case w < wideWidth || h < wideHigh:
		return Medium
	}
	return Wide
}

// Pick chooses by size class.
func Pick[T any](class Size, small, middle, large T) T {
	switch class {
	case Wide:
		return large
	case Medium:
		return middle
	}
	return small
}

// Split cuts r into a left part of w columns and the rest, a gap apart.
func Split(r canvas.Rect, w, gap int) (left, right canvas.Rect) {
	w = min(max(w, 0), r.W)
	left, right = r, r
	left.W = w
	right.X = r.X + w + gap
	right.W = max(r.W-w-gap, 0)
	return left, right
}

// Cut cuts r into an upper part of h rows and the rest.
func Cut(r canvas.Rect, h int) (top, bottom canvas.Rect) {
	h = min(max(h, 0), r.H)
	top, bottom = r, r
	top.H = h
	bottom.Y, bottom.H = r.Y+h, r.H-h
	return top, bottom
}
