// Package screen owns the terminal while the dashboard is shown: raw mode, the
// alternate screen, the mouse, and what is on it. A [Terminal] writes only the
// cells that changed since the frame before.
//
// Why not Bubble Tea's own renderer: it reads every frame's text back into
// cells, hashes and measures each of them, changed or not. The dashboard has
// cells already; to compare those that may have changed costs less than half (make
// bench-tui prints both, for the same frames). Bubble Tea still reads the input and runs the
// model, and its renderer shows the same View where no Terminal is given.
package screen

import (
	"io"
	"strconv"
	"sync"
	"unicode/utf8"
	"unique"

	uv "github.com/charmbracelet/ultraviolet"

	"jouletop/tui/canvas"
)

// painter brings a terminal in line with the newest frame, in a goroutine of its
// own: a slow terminal (or SSH) skips frames and never holds up the program.
type painter struct {
	w io.Writer

	mu      sync.Mutex
	next    *canvas.Canvas // the newest frame
	changed canvas.Marks   // where next may differ from shown
	wide    canvas.Marks   // cells of next that are not certain
	title   string
	pending bool
	given   bool // a frame was, ever
	erase   bool // what is on the terminal is not known
	err     error

	wake  chan struct{}
	quit  chan struct{}
	done  chan struct{}
	shown *canvas.Canvas // what is on the terminal
	drawn canvas.Marks   // cells of shown that are not certain
	oldT  string
	buf   []byte
	begin map[unique.Handle[uv.Style]]string // the sequence that begins a style
}

func newPainter(w io.Writer) *painter {
	return &painter{w: w, next: canvas.New(0, 0, canvas.Palette{}), shown: canvas.New(0, 0, canvas.Palette{}), erase: true, begin: map[unique.Handle[uv.Style]]string{}, wake: make(chan struct{}, 1),
		quit: make(chan struct{}), done: make(chan struct{})}
}

// present hands over a frame, of which the cells changed may differ from the one before;
// nil: all may. They are copied.
func (p *painter) present(c *canvas.Canvas, changed *canvas.Marks, title string) {
	p.mu.Lock()
	if p.next.W != c.W || p.next.H != c.H {
		p.next.Reset(c.W, c.H, canvas.Palette{})
		p.changed.Reset(c.W, c.H)
		p.wide.Reset(c.W, c.H)
		changed = nil
	}
	if changed == nil {
		p.changed.All()
		changed = &p.changed
	}
	p.next.Update(c, changed, func(x, y int, wide bool) {
		p.changed.Put(x, y, true)
		p.wide.Put(x, y, wide)
	})
	p.title, p.pending, p.given = title, true, true
	p.mu.Unlock()
	p.signal()
}

// forget has the newest frame written again, whole.
func (p *painter) forget() {
	p.mu.Lock()
	p.erase, p.pending = true, p.given
	p.mu.Unlock()
	p.signal()
}

func (p *painter) signal() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// run writes frames until quit is closed, the last one then too.
func (p *painter) run() {
	defer close(p.done)
	for {
		select {
		case <-p.wake:
			p.flush()
		case <-p.quit:
			p.flush()
			return
		}
	}
}

// flush writes the newest frame.
func (p *painter) flush() {
	p.mu.Lock()
	if !p.pending || p.err != nil {
		p.mu.Unlock()
		return
	}
	p.pending = false
	p.buf = p.buf[:0]
	p.paint()
	p.mu.Unlock()
	if len(p.buf) == 0 {
		return
	}
	if _, err := p.w.Write(p.buf); err != nil {
		p.mu.Lock()
		p.err = err // the terminal is gone; whoever reads from it finds out
		p.mu.Unlock()
	}
}

// Sequences: synchronised output (mode 2026) lets a terminal that knows it show
// a frame at once; others ignore it.
const (
	syncBegin  = "\x1b[?2026h"
	syncEnd    = "\x1b[?2026l"
	plainStyle = "\x1b[m"
	eraseAll   = "\x1b[2J"
	eraseLine  = "\x1b[K"
)

// paint appends what turns the shown frame into the next one, and makes it the
// shown one.
func (p *painter) paint() {
	start := len(p.buf)
	p.buf = append(p.buf, syncBegin...)
	began := len(p.buf)
	whole := p.erase || p.shown.W != p.next.W || p.shown.H != p.next.H
	if whole {
		p.buf = append(p.buf, plainStyle+eraseAll...)
		p.shown.Reset(p.next.W, p.next.H, canvas.Palette{})
		p.drawn.Reset(p.next.W, p.next.H)
		p.changed.All()
	}
	for y := range p.next.H {
		p.row(y)
	}
	p.changed.Reset(p.next.W, p.next.H)
	if p.title != p.oldT {
		p.buf = append(p.buf, "\x1b]2;"...)
		for _, r := range p.title {
			if r >= ' ' && r != 0x7f && (r < 0x80 || r > 0x9f) {
				p.buf = utf8.AppendRune(p.buf, r)
			}
		}
		p.buf = append(p.buf, '\a')
	}
	if len(p.buf) == began {
		p.buf = p.buf[:start]
	} else {
		p.buf = append(p.buf, syncEnd...)
	}
	p.erase, p.oldT = false, p.title
}

// joinGap is how many unchanged cells are written again rather than jumped over:
// a jump takes about as many bytes.
const joinGap = 6

// row writes the changed cells of row y, and makes them the shown ones.
func (p *painter) row(y int) {
	if !p.changed.Any(y) {
		return
	}
	whole := p.drawn.Any(y) || p.wide.Any(y)
	p.changed.Each(y, func(x int) {
		if p.next.Same(p.shown, x, y) {
			p.changed.Put(x, y, false)
			return
		}
		p.shown.Take(p.next, x, y)
		p.drawn.Put(x, y, p.wide.Has(x, y))
	})
	switch {
	case !p.changed.Any(y):
		return
	case whole:
		p.wholeRow(y)
		return
	}
	from, to := 0, 0 // what is to be written, up to the last change so far
	p.changed.Each(y, func(x int) {
		if to > from && x-to < joinGap {
			to = x + 1
			return
		}
		p.stretch(from, to, y)
		from, to = x, x+1
	})
	p.stretch(from, to, y)
}

// stretch writes the columns from to to-1 of row y.
func (p *painter) stretch(from, to, y int) {
	if to > from {
		p.moveTo(from, y)
		p.cells(y, from, to)
	}
}

// wholeRow writes a row anew, finding its place again after every cell whose
// width a terminal may see otherwise.
func (p *painter) wholeRow(y int) {
	p.moveTo(0, y)
	p.buf = append(p.buf, plainStyle+eraseLine...)
	from := 0
	for x := range p.next.W {
		if !p.wide.Has(x, y) {
			continue
		}
		p.cells(y, from, x+1)
		from = x + 1
		if from < p.next.W {
			p.moveTo(from, y)
		}
	}
	p.cells(y, from, p.next.W)
}

func (p *painter) moveTo(x, y int) {
	p.buf = append(p.buf, "\x1b["...)
	p.buf = strconv.AppendInt(p.buf, int64(y+1), 10)
	p.buf = append(p.buf, ';')
	p.buf = strconv.AppendInt(p.buf, int64(x+1), 10)
	p.buf = append(p.buf, 'H')
}

// cells writes the cells from to to-1 of row y at the cursor, and leaves the
// terminal's own style.
func (p *painter) cells(y, from, to int) {
	in := "" // the sequence of the style in force
	for x := from; x < to; x++ {
		text, width, style := p.next.Look(x, y)
		if width == 0 {
			continue
		}
		if seq := p.sequence(style); seq != in {
			if in != "" {
				p.buf = append(p.buf, plainStyle...)
			}
			p.buf = append(p.buf, seq...)
			in = seq
		}
		p.buf = append(p.buf, text...)
	}
	if in != "" {
		p.buf = append(p.buf, plainStyle...)
	}
}

// sequence is what begins a style where none is in force.
func (p *painter) sequence(s unique.Handle[uv.Style]) string {
	seq, ok := p.begin[s]
	if !ok {
		if style := s.Value(); !style.IsZero() {
			seq = style.String()
		}
		p.begin[s] = seq
	}
	return seq
}
