package page

import (
	"strings"

	tea "charm.land/bubbletea/v2"

	"jouletop/engine/event"
	"jouletop/tui/canvas"
	"jouletop/tui/grid"
	"jouletop/tui/panel"
	"jouletop/tui/view"
)

// table is a grid on a page, with where its rows come from.
type table[T any] struct {
	*view.Context
	look grid.Look[T]
	grid grid.Grid[T]
	rows func() grid.Rows[T]
	name func(T) string      // of a row, over its details
	more func(T) [][2]string // details beyond the columns; nil: none
	// flags are a row's; nil: it has none.
	flags func(T) event.Flags
}

// list is a table of whatever.
type list interface {
	greedy(tea.KeyPressMsg) bool
	key(tea.KeyPressMsg) (tea.Cmd, bool)
	paste(string) bool
	wheel(by int)
	hints() []view.Key
	typing() bool
	newest()
	here() (here, columns [][2]string)
	draw(part string, r canvas.Rect)
	title() string
	count() int
}

func (t *table[T]) greedy(msg tea.KeyPressMsg) bool { return t.grid.Greedy(msg) }

// key takes a key press, and tells whether it was the table's.
func (t *table[T]) key(msg tea.KeyPressMsg) (tea.Cmd, bool) {
	t.grid.See(t.rows())
	ask, taken := t.grid.Key(msg)
	switch ask {
	case grid.Details:
		row, _ := t.grid.Chosen()
		pairs := t.grid.Pairs()
		if t.more != nil {
			pairs = append(pairs, t.more(row)...)
		}
		return panel.Show(panel.NewDetails(t.Context, t.name(row), pairs)), true
	case grid.Copy:
		return tea.Batch(tea.SetClipboard(t.grid.Text()), t.Say("row copied, for terminals that take it (OSC 52)", false)), true
	}
	return nil, taken
}

func (t *table[T]) paste(text string) bool { return t.grid.Paste(text) }

func (t *table[T]) wheel(by int) {
	t.grid.See(t.rows())
	t.grid.Wheel(3 * by)
}

func (t *table[T]) hints() []view.Key { return t.grid.Hints() }

// typing tells whether a filter is being typed.
func (t *table[T]) typing() bool { return t.grid.Typing() }

func (t *table[T]) newest() { t.grid.Newest() }

func (t *table[T]) title() string { return t.look.Title }

func (t *table[T]) count() int { return t.rows().Len }

func (t *table[T]) draw(part string, r canvas.Rect) {
	t.grid.See(t.rows())
	t.grid.Draw(t.Frame, part, r, t.look)
}

// line is text in one line.
func line(text string) string { return strings.Join(strings.Fields(text), " ") }
