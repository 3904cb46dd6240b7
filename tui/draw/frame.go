package draw

import (
	"slices"
	"strconv"
	"strings"

	"charm.land/lipgloss/v2"

	"jouletop/tui/canvas"
)

// Frame is the screen being drawn. Each part of it stands on a canvas of its own
// and is drawn again only when what it shows has changed; only what was drawn again
// is put onto the screen.
type Frame struct {
	*canvas.Canvas
	palette canvas.Palette
	parts   map[string]*part
	placed  []place      // since Begin
	was     []place      // in the frame before
	stale   bool         // what stands on the canvas is not the parts of the frame before
	changed canvas.Marks // what may differ from the frame before
	hits    []hit
	draws   int
}

// part is a part of the screen on a canvas of its own.
type part struct {
	c     *canvas.Canvas
	key   any
	fresh bool // drawn since Begin
}

// place is where a part stands.
type place struct {
	part *part
	r    canvas.Rect
}

// hit is a place that can be clicked.
type hit struct {
	r  canvas.Rect
	do func()
}

// NewFrame returns a frame without a size.
func NewFrame() *Frame {
	return &Frame{Canvas: canvas.New(0, 0, canvas.Palette{}), parts: map[string]*part{}, stale: true}
}

// Begin begins a frame of w × h: nothing is placed, nothing can be clicked.
func (f *Frame) Begin(w, h int) {
	if w != f.W || h != f.H {
		f.stale = true
		f.Reset(w, h, f.palette)
	}
	f.changed.Reset(f.W, f.H)
	f.was, f.placed, f.hits = f.placed, f.was[:0], f.hits[:0]
	for _, p := range f.was {
		p.part.fresh = false
	}
}

// Forget has every part drawn again.
func (f *Frame) Forget() {
	clear(f.parts)
	f.stale = true
}

// Ink has everything drawn in the styles of p from now on.
func (f *Frame) Ink(p canvas.Palette) {
	f.palette = p
	f.Reset(f.W, f.H, p) // what lies over pages is rendered in the canvas's own styles
	f.Forget()
}

// Draws counts the parts drawn so far; for tests and benchmarks.
func (f *Frame) Draws() int { return f.draws }

// Placed are the rectangles that parts were placed in since Begin.
func (f *Frame) Placed() []canvas.Rect {
	var out []canvas.Rect
	for _, p := range f.placed {
		out = append(out, p.r)
	}
	return out
}

// Changed are the cells that may differ from the frame before.
func (f *Frame) Changed() *canvas.Marks { return &f.changed }

// Place draws the named part into r: by draw where key (a comparable value that
// stands for all that draw reads) or the size has changed, else from what was
// drawn before.
func (f *Frame) Place(name string, r canvas.Rect, key any, draw func(c *canvas.Canvas)) {
	if r.W <= 0 || r.H <= 0 {
		return
	}
	p := f.parts[name]
	if p == nil {
		p = &part{c: canvas.New(0, 0, canvas.Palette{})}
		f.parts[name] = p
	}
	f.placed = append(f.placed, place{p, r})
	if p.key != key || p.c.W != r.W || p.c.H != r.H {
		p.c.Reset(r.W, r.H, f.palette)
		p.key, p.fresh = key, true
		f.draws++
		draw(p.c)
	}
}

// Lay lays a panel, as Lip Gloss renders it, over what was placed before it: as Place
// does, rendered anew where key has changed. A click on it goes no further.
func (f *Frame) Lay(name string, r canvas.Rect, key any, content func() string) {
	f.Place(name, r, key, func(c *canvas.Canvas) { c.Compose(lipgloss.NewLayer(content())) })
	f.Hit(r, func() {})
}

// End puts the parts onto the canvas: those drawn since Begin and what lies over
// them, or, where anything else has changed, all of them.
func (f *Frame) End() {
	all := f.stale || !slices.Equal(f.placed, f.was)
	if all {
		f.Reset(f.W, f.H, f.palette)
		f.changed.All()
	}
	var put []canvas.Rect
	for _, p := range f.placed {
		if all || p.part.fresh || slices.ContainsFunc(put, p.r.Overlaps) {
			f.Copy(p.r.X, p.r.Y, p.part.c, &f.changed)
			put = append(put, p.r)
		}
	}
	f.stale = false
}

// Hit makes r clickable: do changes what its page or panel shows.
func (f *Frame) Hit(r canvas.Rect, do func()) { f.hits = append(f.hits, hit{r, do}) }

// Click does what lies at x, y, the topmost of it.
func (f *Frame) Click(x, y int) bool {
	layers := make([]*lipgloss.Layer, len(f.hits))
	for i, h := range f.hits {
		blank := strings.TrimSuffix(strings.Repeat(strings.Repeat(" ", max(h.r.W, 0))+"\n", max(h.r.H, 0)), "\n")
		layers[i] = lipgloss.NewLayer(blank).X(h.r.X).Y(h.r.Y).Z(i).ID(strconv.Itoa(i))
	}
	i, err := strconv.Atoi(lipgloss.NewCompositor(layers...).Hit(x, y).ID())
	if err != nil { // nothing lies there
		return false
	}
	f.hits[i].do()
	return true
}
