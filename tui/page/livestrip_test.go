package page

import (
	"testing"

	"jouletop/tui/history"
)

// A phase too short to fill a column is told in the one that it began in, and where each
// column has one, in every other: the same ones while the picture moves.
func TestShortPhasesAreLettered(t *testing.T) {
	strip := func(phases, began string) (cols []history.Column) {
		for i := range phases {
			var c history.Column
			for ph := range history.Phases {
				if phases[i] == history.Letters[ph] {
					c.Phase = ph
				}
				c.Began[ph] = ph > 0 && began[i] == history.Letters[ph]
			}
			cols = append(cols, c)
		}
		return cols
	}
	letters := func(cols []history.Column, number int64) (out string) {
		for i := range cols {
			out += string(history.Letters[lettered(cols, i, number+int64(i))])
		}
		return out
	}
	for _, c := range []struct{ name, phases, began, want string }{
		{"alone", "DDDDDDDDD", "  P   P  ", "  P   P  "},
		{"in idle time", "         ", " P       ", " P       "},
		{"beside one another", "DDDDDDDDD", "  PP     ", "  PP     "},
		{"each", "DDDDDDDDD", " PPPPPPP ", "  P P P  "},
		{"fills its column", "DPDDPPPDD", " P  P    ", "         "},
		{"fills the next", "DDPPPDDDD", " P       ", "         "},
		{"fills the one before", "DPDDDDDDD", " PP      ", "  P      "},
		{"short decodes", "PPPPPPPPP", "  D   D  ", "  D   D  "},
	} {
		cols := strip(c.phases, c.began)
		if got := letters(cols, 0); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
		if c.name != "each" {
			continue
		}
		if got := letters(cols[1:], 1); got != c.want[1:] {
			t.Errorf("%s, moved: %q, want %q", c.name, got, c.want[1:])
		}
	}
}
