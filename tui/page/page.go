// Package page holds the pages of the dashboard, one type each, that brings its
// own name, keys and drawing. To add one, write its file and name it in [All].
package page

import (
	tea "charm.land/bubbletea/v2"

	"jouletop/tui/chart"
	"jouletop/tui/panel"
	"jouletop/tui/theme"
	"jouletop/tui/view"
)

// Page is a page of the dashboard. Base has what a page need not have of its own.
type Page interface {
	// Name stands on the tab.
	Name() string
	// Keys are the page's own keys, for the help.
	Keys() []view.Key
	// Hints are the keys to show on the last line, the most wanted first.
	Hints() []view.Key
	// Terms are the words of the glossary that stand on the page.
	Terms() []string
	// Here explains what the page's cursor is on, and the columns of its table: a name and
	// what it means each; none where there is none.
	Here() (here, columns [][2]string)
	// Open is told that the page is shown now; it may ask for what it needs.
	Open() tea.Cmd
	// Greedy tells whether a key press is the page's though it is one of the keys of
	// every page.
	Greedy(tea.KeyPressMsg) bool
	// Key takes a key press that is not one of the keys of every page.
	Key(tea.KeyPressMsg) tea.Cmd
	// Wheel takes a turn of the mouse's wheel, by rows down.
	Wheel(by int)
	// Paste takes pasted text and tells whether it was for the page.
	Paste(text string) bool
	// Newest goes back to what is newest.
	Newest()
	// Update takes messages: among them the answers to what the page asked for.
	Update(tea.Msg) tea.Cmd
	// Form is what the page asks of the operator before something is run; nil
	// where that is a plain job.
	Form() *panel.Form
	// Draw draws the page into the body of the frame.
	Draw()
}

// Shown asks the dashboard to show a page.
type Shown struct{ Name string }

// show shows a page.
func show(name string) tea.Cmd { return func() tea.Msg { return Shown{name} } }

// All returns the pages in the order of their tabs.
func All(c *view.Context) []Page {
	if c.Mode == view.Monitor { // nothing is run, swept or compared
		return []Page{NewMonitor(c), NewSession(c), NewRows(c)}
	}
	return []Page{
		&Live{Base: Base{c}, gpus: gpuRows{Context: c}},
		&Curves{Base: Base{c}},
		NewSweep(c),
		&Compare{Base: Base{c}},
		&Workload{Base: Base{c}},
		NewSession(c),
		NewRows(c),
	}
}

// Base is a page with nothing of its own.
type Base struct{ *view.Context }

// Keys are none.
func (Base) Keys() []view.Key { return nil }

// Hints are none.
func (Base) Hints() []view.Key { return nil }

// Terms are none.
func (Base) Terms() []string { return nil }

// Here is nothing.
func (Base) Here() (here, columns [][2]string) { return nil, nil }

// Open asks for nothing.
func (Base) Open() tea.Cmd { return nil }

// Greedy takes nothing before others.
func (Base) Greedy(tea.KeyPressMsg) bool { return false }

// Wheel does nothing.
func (Base) Wheel(int) {}

// Paste takes nothing.
func (Base) Paste(string) bool { return false }

// Key takes no key.
func (Base) Key(tea.KeyPressMsg) tea.Cmd { return nil }

// Newest has nothing to go back to.
func (Base) Newest() {}

// Update takes no message.
func (Base) Update(tea.Msg) tea.Cmd { return nil }

// Form is the one for a job.
func (Base) Form() *panel.Form { return nil }

// The arrows, which mean something else on each page.
func upDown(hint, what string) view.Key    { return view.Bind("↑ ↓", hint, what, "up", "down") }
func leftRight(hint, what string) view.Key { return view.Bind("← →", hint, what, "left", "right") }

// step is the way that an arrow points: -1 for up and left, 1 for down and right.
func step(msg tea.KeyPressMsg) int {
	if s := msg.String(); s == "up" || s == "left" {
		return -1
	}
	return 1
}

// datasetKey goes through the datasets.
func datasetKey() view.Key { return view.Bind("d", "dataset", "dataset shown", "d") }

// chartStyles are the styles of the charts' own parts.
var chartStyles = chart.Styles{Axis: theme.Faint, Label: theme.Muted, Grid: theme.Faint, Odd: theme.Bad}

// bracketed is a key behind what it changes.
func (b Base) bracketed(k view.Key) string { return " (" + b.Label(k) + ")" }

// next returns the value after now, the first where it is not there.
func next[T comparable](all []T, now T) T {
	for i, v := range all {
		if v == now {
			return all[(i+1)%len(all)]
		}
	}
	return all[0]
}
