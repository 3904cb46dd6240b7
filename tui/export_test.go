package tui

import tea "charm.land/bubbletea/v2"

// Draws returns how many panels were drawn so far.
func (m *Model) Draws() int { return m.draws }

// StatusMessage is a controller's answer as the model gets it.
func StatusMessage(s Status) tea.Msg { return statusOnce{s} }
