package draw

import "jouletop/tui/canvas"

// Frame is the screen being drawn. Each part of it stands on a canvas of its own
// and is drawn again only when what it shows has changed.
type Frame struct {
	*canvas.Canvas
	palette canvas.Palette
	parts   map[string]*part
	hits    []hit
	placed  []canvas.Rect
	draws   int
}

// part is a part of the screen on a canvas of its own.
type part struct {
	c   *canvas.Canvas
	key any
}

// hit is a place that can be clicked.
type hit struct {
	r  canvas.Rect
	do func()
}

// NewFrame returns a frame without a size.
func NewFrame() *Frame {
	return &Frame{Canvas: canvas.New(0, 0, canvas.Palette{}), parts: map[string]*part{}}
}

// Begin begins a frame of w × h: nothing is on it, nothing can be clicked.
func (f *Frame) Begin(w, h int) {
	f.Reset(w, h, f.palette)
	f.hits, f.placed = f.hits[:0], f.placed[:0]
}

// Forget has every part drawn again.
func (f *Frame) Forget() { clear(f.parts) }

// Ink has everything drawn in the styles of p from now on.
func (f *Frame) Ink(p canvas.Palette) {
	f.palette = p
	f.Forget()
}

// Draws counts the parts drawn so far; for tests and benchmarks.
func (f *Frame) Draws() int { return f.draws }

// Placed are the rectangles that parts were placed in since Begin.
func (f *Frame) Placed() []canvas.Rect { return f.placed }

// Place draws the named part into r: by draw where key (a comparable value that
// stands for all that draw reads) or the size has changed, else from what was
// drawn before.
func (f *Frame) Place(name string, r canvas.Rect, key any, draw func(c *canvas.Canvas)) {
	if r.W <= 0 || r.H <= 0 {
		return
	}
	f.placed = append(f.placed, r)
	p := f.parts[name]
	if p == nil {
		p = &part{c: canvas.New(0, 0, canvas.Palette{})}
		f.parts[name] = p
	}
	if p.key != key || p.c.W != r.W || p.c.H != r.H {
		p.c.Reset(r.W, r.H, f.palette)
		p.key = key
		f.draws++
		draw(p.c)
	}
	f.Copy(r.X, r.Y, p.c)
}

// Hit makes r clickable: do changes what its page or panel shows.
func (f *Frame) Hit(r canvas.Rect, do func()) { f.hits = append(f.hits, hit{r, do}) }

// Click does what lies at x, y, the topmost of it.
func (f *Frame) Click(x, y int) bool {
	for i := len(f.hits) - 1; i >= 0; i-- {
		if h := f.hits[i]; h.r.Contains(x, y) {
			h.do()
			return true
		}
	}
	return false
}
