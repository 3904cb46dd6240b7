package main

import (
	"bytes"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"jouletop/engine/event"
	"jouletop/engine/session"
	"jouletop/engine/usage"
	"jouletop/tui"
)

// picture is a picture of the dashboard at a moment of a recorded session.
type picture struct {
	file   string
	at     time.Duration // from the session's start; 0: its end
	size   string        // COLUMNSxROWS
	screen string
	press  string // keys, blanks between them
}

// mostCells is how many columns, or rows, a picture has at most.
const mostCells = 1000

// draw writes the picture as SVG.
func (p picture) draw(s *session.Session, o tui.Options, look screenFlags) error {
	if ext := strings.ToLower(filepath.Ext(p.file)); ext != ".svg" {
		return usage.Errorf("--picture %s: pictures are SVG; name the file %s.svg", p.file, strings.TrimSuffix(p.file, filepath.Ext(p.file)))
	}
	o.Window = look.window
	pic := tui.Picture{Screen: p.screen, Theme: look.named(), Press: strings.Fields(p.press)}
	columns, rows, ok := strings.Cut(p.size, "x")
	var err1, err2 error
	pic.W, err1 = strconv.Atoi(columns)
	pic.H, err2 = strconv.Atoi(rows)
	if !ok || err1 != nil || err2 != nil || pic.W < 1 || pic.H < 1 || pic.W > mostCells || pic.H > mostCells {
		return usage.Errorf("--size %q: want COLUMNSxROWS, such as 140x42, of at most %d each", p.size, mostCells)
	}
	if p.at < 0 {
		return usage.Errorf("--at %v: want a time from the session's start on", p.at)
	}
	var events []event.Event
	start := int64(-1)
	for e, err := range s.Replay() {
		if err != nil {
			return err
		}
		if start < 0 {
			start = e.When()
		}
		if p.at > 0 && e.When() > start+int64(p.at) {
			break
		}
		events = append(events, e)
	}
	var svg bytes.Buffer
	if err := tui.DrawPicture(&svg, o, events, pic); err != nil {
		return usage.Wrap(err)
	}
	return session.ReplaceFile(p.file, svg.Bytes())
}

func joinNames[T ~string](names []T) string {
	var out []string
	for _, n := range names {
		out = append(out, string(n))
	}
	return strings.Join(out, ", ")
}
