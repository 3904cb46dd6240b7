// Package panel holds what lies over a page: the knob panel, forms, a line
// being typed, and the help.
package panel

import (
	tea "charm.land/bubbletea/v2"

	"jouletop/tui/view"
)

// KeyGroups are the panels' own keys, for the help.
func KeyGroups() []view.KeyGroup { return []view.KeyGroup{KnobKeys(), JobKeys()} }

// Panel lies over a page and takes the keys before it.
type Panel interface {
	// Key takes a key press and tells whether it was for the panel.
	Key(tea.KeyPressMsg) (cmd tea.Cmd, taken bool)
	// Paste takes pasted text and tells whether it was for the panel.
	Paste(text string) bool
	// Wheel takes a turn of the mouse's wheel at x, y, by rows down, and tells
	// whether it was for the panel.
	Wheel(x, y, by int) bool
	// Hints are the keys to show on the last line.
	Hints() []view.Key
	// Draw lays the panel over the frame as the part of that name.
	Draw(name string)
	// Closed tells whether the panel is done with.
	Closed() bool
}
