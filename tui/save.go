package tui

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	tea "charm.land/bubbletea/v2"

	"jouletop/tui/shot"
	"jouletop/tui/theme"
)

// saveScreen writes the screen as it stands to two files, with and without
// colour.
func (m *Model) saveScreen() tea.Cmd {
	c := m.Canvas()
	th := m.th
	if th.Name == theme.Plain {
		th = theme.New(theme.Dark)
	}
	var plain, colour bytes.Buffer
	if err := shot.Text(&plain, c); err != nil {
		return m.say(err.Error(), true)
	}
	if err := shot.ANSI(&colour, c, th); err != nil {
		return m.say(err.Error(), true)
	}
	base := filepath.Join(m.opt.SaveDir, "jouletop-"+m.opt.Wall().Format("20060102-150405"))
	return func() tea.Msg {
		for _, f := range []struct {
			ext  string
			data []byte
		}{{".txt", plain.Bytes()}, {".ansi", colour.Bytes()}} {
			if err := os.WriteFile(base+f.ext, f.data, 0o644); err != nil {
				return doneMsg{err: fmt.Errorf("save screen: %w", err)}
			}
		}
		return doneMsg{text: "saved " + base + ".txt and .ansi (cat shows it in colour)"}
	}
}

// nextTheme goes on to the next theme that the terminal can show.
func (m *Model) nextTheme() {
	names := theme.Names
	m.SetTheme(nextOf(names, m.th.Name))
}

// SetTheme takes a theme whatever the terminal says.
func (m *Model) SetTheme(name theme.Name) {
	m.pal.fixed = name
	m.setTheme()
}
