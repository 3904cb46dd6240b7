package tui

import (
	tea "charm.land/bubbletea/v2"

	"jouletop/engine/command"
	"jouletop/tui/view"
)

// Draws returns how many panels were drawn so far.
func (m *Model) Draws() int { return m.Frame.Draws() }

// Untimed leaves out the commands that wait for a time or for the stream, so that
// a test can run all that are left to their end.
func (m *Model) Untimed() { m.untimed = true }

// StatusMessage is a controller's answer as the model gets it.
func StatusMessage(s command.Status) tea.Msg { return statusMsg{s, true} }

// Broken is the error that ended the dashboard, nil for none.
func (m *Model) Broken() error { return m.broken }

// Drain takes what the source has.
func (m *Model) Drain() tea.Cmd { return m.drain() }

// KeyLayers are the keys that are looked at together.
func KeyLayers() (common []view.Key, layers []view.Layer) { return keyLayers(New(Options{}).pages) }
