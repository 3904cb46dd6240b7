package screen

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/charmbracelet/x/term"

	"jouletop/tui/canvas"
)

// What is switched on while the dashboard is shown, and off again after it: the
// title is kept aside, the alternate screen, no cursor, clicks and wheel with
// their places, and pasted text marked as such.
const (
	enter = "\x1b[22;2t\x1b[?1049h\x1b[?25l\x1b[?1002h\x1b[?1006h\x1b[?2004h"
	leave = "\x1b[m\x1b[?2026l\x1b[?2004l\x1b[?1006l\x1b[?1002l\x1b[?25h\x1b[?1049l\x1b[23;2t"
)

// Terminal is the terminal that the dashboard is shown on.
type Terminal struct {
	in, out *os.File // nil where they are no terminals
	w       io.Writer
	state   *term.State
	painter *painter
	once    sync.Once
}

// Open takes over the terminal behind in and out; either may be something else
// than a terminal, as in tests. Close gives it back.
func Open(in io.Reader, out io.Writer) (*Terminal, error) {
	t := &Terminal{w: out, painter: newPainter(out)}
	if f, ok := in.(*os.File); ok && term.IsTerminal(f.Fd()) {
		t.in = f
	}
	if f, ok := out.(*os.File); ok && term.IsTerminal(f.Fd()) {
		t.out = f
	}
	if err := t.raw(); err != nil {
		return nil, err
	}
	if _, err := io.WriteString(out, enter); err != nil {
		t.restore()
		return nil, fmt.Errorf("take over the terminal: %w", err)
	}
	go t.painter.run()
	return t, nil
}

func (t *Terminal) raw() error {
	if t.in == nil {
		return nil
	}
	state, err := term.MakeRaw(t.in.Fd())
	if err != nil {
		return fmt.Errorf("take over the terminal: %w", err)
	}
	if t.state == nil {
		t.state = state
	}
	return nil
}

func (t *Terminal) restore() {
	if t.in != nil && t.state != nil {
		_ = term.Restore(t.in.Fd(), t.state) // it may be gone
	}
}

// Size returns the terminal's columns and rows, 80×24 where there is none.
func (t *Terminal) Size() (w, h int) {
	if t.out != nil {
		if w, h, err := term.GetSize(t.out.Fd()); err == nil && w > 0 && h > 0 {
			return w, h
		}
	}
	return 80, 24
}

// Present shows a frame soon, of which the cells changed may differ from the one presented
// before; nil: all may. It does not wait and keeps neither.
func (t *Terminal) Present(c *canvas.Canvas, changed *canvas.Marks, title string) {
	t.painter.present(c, changed, title)
}

// Again takes the terminal over once more, after the process was stopped and
// goes on, or to mend a garbled screen.
func (t *Terminal) Again() {
	_ = t.raw()
	_, _ = io.WriteString(t.w, enter)
	t.painter.forget()
}

// stuck is how long Close waits for a terminal that takes nothing any more.
const stuck = time.Second

// Close writes what is pending and gives the terminal back as it was. It may be
// called more than once.
func (t *Terminal) Close() {
	t.once.Do(func() {
		close(t.painter.quit)
		select {
		case <-t.painter.done:
			_, _ = io.WriteString(t.w, leave)
		case <-time.After(stuck):
		}
		t.restore()
	})
}
