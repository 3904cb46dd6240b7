package tui

import (
	"cmp"
	"strings"

	"jouletop/engine/event"
	"jouletop/gpu/plaintext"
	"jouletop/tui/draw"
	"jouletop/tui/view"
)

// ringAfter is how long a run must have lasted for its end to be told to those who look
// elsewhere: who sent a prompt still looks.
const ringAfter = 15_000_000_000

// ringFor is what to tell of a run that has ended; "" nothing.
func ringFor(c *view.Context, e event.RunEnd) string {
	took := e.TimeNS - c.State.Run.TimeNS
	if c.Mode == view.Playback || c.Leaving || took < ringAfter {
		return ""
	}
	text := cmp.Or(c.State.Run.Name, "run") + " ended: " + string(e.How) + " after " + draw.About(float64(took)/1e9)
	if e.Err != "" {
		text += ", " + e.Err
	}
	return text
}

// notification rings the bell, and tells by OSC 9 (iTerm2, Windows Terminal, kitty) and
// OSC 777 (urxvt, foot, Ghostty); a terminal that knows neither takes no notice.
func notification(text string) string {
	text = strings.NewReplacer(";", ",", "\a", " ").Replace(plaintext.Line(text))
	return "\a\x1b]9;jouletop: " + text + "\a\x1b]777;notify;jouletop;" + text + "\a"
}
