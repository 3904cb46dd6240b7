// Package screen owns the terminal while the dashboard is shown: raw mode, the
// alternate screen, the mouse, and what is on it. A [Terminal] writes only the
// cells that changed since the frame before.
//
// Why not Bubble Tea's own renderer: it reads every frame's text back into
// cells, hashes and measures each of them, changed or not, which at 200×60 and
// ten frames a second takes 3 % of a core (four asciigraph charts in a bare
// program: 4 to 6 %, make bench-tui). The dashboard has cells already; comparing
// those takes a tenth of it. Bubble Tea still reads the input and runs the model.
package screen

import (
	"io"
	"strconv"
	"sync"
	"unicode/utf8"

	"jouletop/tui/canvas"
)

// Styler gives the escape sequence that starts a style.
type Styler interface {
	SGR(canvas.Style) string
}

// painter brings a terminal in line with the newest frame, in a goroutine of its
// own: a slow terminal (or SSH) skips frames and never holds up the program.
type painter struct {
	w io.Writer

	mu      sync.Mutex
	next    *canvas.Canvas // the newest frame
	style   Styler
	title   string
	pending bool
	erase   bool // what is on the terminal is not known
	err     error

	wake  chan struct{}
	quit  chan struct{}
	done  chan struct{}
	shown *canvas.Canvas // what is on the terminal
	old   Styler
	oldT  string
	buf   []byte
}

func newPainter(w io.Writer) *painter {
	return &painter{w: w, next: canvas.New(0, 0), shown: canvas.New(0, 0), erase: true, wake: make(chan struct{}, 1),
		quit: make(chan struct{}), done: make(chan struct{})}
}

// present hands over a frame; c is copied.
func (p *painter) present(c *canvas.Canvas, s Styler, title string) {
	p.mu.Lock()
	p.next.Reset(c.W, c.H)
	p.next.Copy(0, 0, c)
	p.style, p.title, p.pending = s, title, true
	p.mu.Unlock()
	p.signal()
}

// forget has the newest frame written again, whole.
func (p *painter) forget() {
	p.mu.Lock()
	if !p.pending { // next is older than what is shown
		p.next.Reset(p.shown.W, p.shown.H)
		p.next.Copy(0, 0, p.shown)
	}
	p.erase, p.pending = true, p.style != nil
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
	whole := p.erase || p.old != p.style || p.shown.W != p.next.W || p.shown.H != p.next.H
	if whole {
		p.buf = append(p.buf, plainStyle+eraseAll...)
		p.shown.Reset(p.next.W, p.next.H)
	}
	for y := range p.next.H {
		if !p.next.SameRow(p.shown, y) {
			p.row(y)
		}
	}
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
	p.erase, p.old, p.oldT = false, p.style, p.title
	p.shown, p.next = p.next, p.shown
	// The buffers have changed places: the next frame is written over the old one.
}

// joinGap is how many unchanged cells are written again rather than jumped over:
// a jump takes about as many bytes.
const joinGap = 6

// row writes the changed cells of row y.
func (p *painter) row(y int) {
	now, was := p.next.Row(y), p.shown.Row(y)
	if uncertain(now) || uncertain(was) {
		p.wholeRow(y, now)
		return
	}
	for x := 0; x < len(now); {
		if now[x] == was[x] {
			x++
			continue
		}
		end, last := x+1, x
		for ; end < len(now) && end-last <= joinGap; end++ {
			if now[end] != was[end] {
				last = end
			}
		}
		p.moveTo(x, y)
		p.cells(now[x : last+1])
		x = last + 1
	}
}

// uncertain tells of a row with cells that terminals may draw in another width
// than they have here.
func uncertain(row []canvas.Cell) bool {
	for i := range row {
		if row[i].Width != 1 || row[i].Cluster > 0 {
			return true
		}
	}
	return false
}

// wholeRow writes a row anew, finding its place again after every cell whose
// width a terminal may see otherwise.
func (p *painter) wholeRow(y int, row []canvas.Cell) {
	p.moveTo(0, y)
	p.buf = append(p.buf, plainStyle+eraseLine...)
	from := 0
	for x := range row {
		if row[x].Width == 1 && row[x].Cluster == 0 {
			continue
		}
		p.cells(row[from : x+1])
		from = x + 1
		if from < len(row) {
			p.moveTo(from, y)
		}
	}
	p.cells(row[from:])
}

func (p *painter) moveTo(x, y int) {
	p.buf = append(p.buf, "\x1b["...)
	p.buf = strconv.AppendInt(p.buf, int64(y+1), 10)
	p.buf = append(p.buf, ';')
	p.buf = strconv.AppendInt(p.buf, int64(x+1), 10)
	p.buf = append(p.buf, 'H')
}

// cells writes cells from the cursor on, and leaves the terminal's own style.
func (p *painter) cells(cells []canvas.Cell) {
	var s canvas.Style
	for _, c := range cells {
		if c.Width == 0 {
			continue
		}
		if c.S != s {
			if s != 0 {
				p.buf = append(p.buf, plainStyle...)
			}
			p.buf = append(p.buf, p.style.SGR(c.S)...)
			s = c.S
		}
		if c.Cluster > 0 {
			p.buf = append(p.buf, p.next.Glyph(c)...)
		} else {
			p.buf = utf8.AppendRune(p.buf, c.R)
		}
	}
	if s != 0 {
		p.buf = append(p.buf, plainStyle...)
	}
}
