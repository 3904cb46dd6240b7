package grid

import (
	"cmp"
	"strings"

	"charm.land/bubbles/v2/textinput"
	tea "charm.land/bubbletea/v2"

	"jouletop/tui/canvas"
	"jouletop/tui/draw"
	"jouletop/tui/view"
)

// Keys are those of every grid.
var Keys = struct{ Rows, Pages, Ends, Columns, Sort, Filter, Open, Copy view.Key }{
	Rows:    view.Bind("↑ ↓", "row", "choose a row; the wheel does too", "up", "down"),
	Pages:   view.Bind("PgUp PgDn", "page", "a page up or down", "pgup", "pgdown"),
	Ends:    view.Bind("Home End", "ends", "first and last row", "home", "end"),
	Columns: view.Bind("← →", "column", "choose a column, and scroll to it", "left", "right"),
	Sort:    view.Bind("o", "sort", "sort by the chosen column, the other way, and not at all", "o"),
	Filter:  view.Bind("/", "filter", "only the rows with the words typed", "/"),
	Open:    view.Bind("Enter", "details", "all that is known of the row", "enter"),
	Copy:    view.Bind("c", "copy", "copy the row, tabs between its columns", "c"),
}

// All are the keys in the order of the help.
func All() []view.Key {
	k := &Keys
	return []view.Key{k.Rows, k.Pages, k.Ends, k.Columns, k.Sort, k.Filter, k.Open, k.Copy}
}

// Hints are the keys for the last line, the most wanted first.
func (g *Grid[T]) Hints() []view.Key {
	k := &Keys
	if g.typing != nil {
		return []view.Key{view.Bind("Enter", "keep", "", "enter"), view.Bind("Esc", "all rows", "", "esc"), k.Rows}
	}
	if g.rows.Len == 0 {
		return nil
	}
	return []view.Key{k.Rows, k.Open, k.Sort, k.Filter, k.Columns, k.Copy}
}

// line is a filter being typed.
type line struct{ in textinput.Model }

// Asks is what a key asks of the page that shows the grid.
type Asks int

// What keys ask for.
const (
	Nothing Asks = iota
	Details      // of the chosen row
	Copy         // of it
)

// Typing tells whether a filter is being typed.
func (g *Grid[T]) Typing() bool { return g.typing != nil }

// Greedy tells whether the grid takes a key before the keys of every page: all while a
// filter is typed, else those that mean another thing there.
func (g *Grid[T]) Greedy(msg tea.KeyPressMsg) bool {
	return g.typing != nil || Keys.Ends.Is(msg) || msg.String() == "esc" && !g.untouched()
}

// Key takes a key press and tells what it asks for, and whether it was the grid's.
func (g *Grid[T]) Key(msg tea.KeyPressMsg) (ask Asks, taken bool) {
	k := &Keys
	s := msg.String()
	at, page := g.position(), max(g.height-1, 1)
	switch {
	case s == "up":
		g.choose(at - 1)
	case s == "down":
		g.choose(at + 1)
	case s == "pgup":
		g.choose(at - page)
	case s == "pgdown":
		g.choose(at + page)
	case g.typing != nil:
		g.typed(msg)
	case s == "home":
		g.choose(0)
	case s == "end":
		g.choose(g.count() - 1)
	case s == "left":
		g.toColumn(g.column - 1)
	case s == "right":
		g.toColumn(g.column + 1)
	case k.Sort.Is(msg):
		g.SortBy(g.column)
	case k.Filter.Is(msg):
		in := textinput.New()
		in.Prompt, in.CharLimit = "", 200
		in.SetValue(g.filter)
		in.CursorEnd()
		in.Focus()
		g.typing = &line{in}
		g.stamp++
	case s == "esc" && !g.untouched():
		g.filter, g.sorted = "", g.usual
		g.relist()
	case k.Open.Is(msg) && g.count() > 0:
		return Details, true
	case k.Copy.Is(msg) && g.count() > 0:
		return Copy, true
	default:
		return Nothing, false
	}
	return Nothing, true
}

// typed takes a key while a filter is typed.
func (g *Grid[T]) typed(msg tea.KeyPressMsg) {
	switch msg.String() {
	case "enter":
		g.typing = nil
		g.stamp++
		return
	case "esc":
		g.typing, g.filter = nil, ""
		g.relist()
		return
	}
	msg.Text = canvas.Clean(msg.Text)
	g.typing.in, _ = g.typing.in.Update(msg)
	if now := g.typing.in.Value(); now != g.filter {
		g.filter = now
		g.relist()
	}
	g.stamp++
}

// Paste takes text into the filter being typed, and tells whether there is one.
func (g *Grid[T]) Paste(text string) bool {
	if g.typing == nil {
		return false
	}
	for _, r := range strings.Join(strings.Fields(text), " ") {
		g.typed(tea.KeyPressMsg(tea.Key{Code: r, Text: string(r)}))
	}
	return true
}

// Wheel moves by rows down.
func (g *Grid[T]) Wheel(by int) { g.choose(g.position() + by) }

// Text is the chosen row with tabs between its columns, under its titles.
func (g *Grid[T]) Text() string {
	row, ok := g.Chosen()
	if !ok {
		return ""
	}
	titles, texts := make([]string, len(g.Columns)), make([]string, len(g.Columns))
	for i, c := range g.Columns {
		titles[i], texts[i] = c.Named(), canvas.Clean(c.Text(row))
	}
	return strings.Join(titles, "\t") + "\n" + strings.Join(texts, "\t") + "\n"
}

// Pairs are the chosen row's columns: named, and what stands in them.
func (g *Grid[T]) Pairs() (out [][2]string) {
	row, ok := g.Chosen()
	if !ok {
		return nil
	}
	for _, c := range g.Columns {
		out = append(out, [2]string{c.Named(), cmp.Or(c.Text(row), draw.Unknown)})
	}
	return out
}
