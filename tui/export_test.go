package tui

import tea "charm.land/bubbletea/v2"

// Draws returns how many panels were drawn so far.
func (m *Model) Draws() int { return m.draws }

// Untimed leaves out the commands that wait for a time or for the stream, so that
// a test can run all that are left to their end.
func (m *Model) Untimed() { m.untimed = true }

// StatusMessage is a controller's answer as the model gets it.
func StatusMessage(s Status) tea.Msg { return statusOnce{s} }
