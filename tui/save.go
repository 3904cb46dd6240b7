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
	var plain, colour bytes.Buffer
	if err := shot.Text(&plain, c); err != nil {
		return m.say(err.Error(), true)
	}
	if m.th.Name == theme.Plain { // the file may be looked at elsewhere
		m.Frame.Ink(theme.New(theme.Dark).Palette())
		m.render()
		defer m.setTheme()
	}
	if err := shot.ANSI(&colour, m.Frame.Canvas); err != nil {
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
