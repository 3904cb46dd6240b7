package tui_test

import (
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"jouletop/engine/event"
	"jouletop/tui"
)

// The help begins with the page's own keys, and `i` with the page's own words; neither
// cuts anything, at any size.
func TestHelpIsAboutThePage(t *testing.T) {
	for _, size := range [][2]int{{60, 16}, {80, 24}, {200, 60}} {
		d := newDriver(t, tui.Options{}, "sweep")
		d.size(size[0], size[1])
		d.whole()
		for tab, word := range map[string]string{"2": "On Curves", "3": "On Sweep", "7": "On Rows"} {
			d.press(tab, "?")
			rows := strings.Split(d.screen(), "\n")
			if at := strings.Index(strings.Join(rows, "\n"), "On "); at < 0 || !strings.Contains(d.screen()[at:], word) {
				t.Errorf("%v: help on %s begins otherwise:\n%s", size, tab, d.screen())
			}
			d.press("esc")
		}
		d.press("2", "i")
		d.wants("What the words mean", "On this page", "cliff")
		seen := ""
		for range 40 {
			seen += d.screen()
			d.press("pgdown")
		}
		for _, part := range []string{"run at", "--max-slowdown", "Elsewhere", "TTFT", "reader"} {
			if !strings.Contains(seen, part) {
				t.Errorf("%v: %q is nowhere in the glossary", size, part)
			}
		}
		if strings.Contains(seen, "…") {
			t.Errorf("%v: the glossary is cut", size)
		}
	}
}

// rung is what a command writes to the terminal beside the picture.
func rung(cmd tea.Cmd) string {
	if cmd == nil {
		return ""
	}
	switch msg := cmd().(type) {
	case tea.BatchMsg:
		for _, c := range msg {
			if s := rung(c); s != "" {
				return s
			}
		}
	case tea.RawMsg:
		return msg.Msg.(string)
	}
	return ""
}

// The end of a run is told by the bell, the terminal's notification and the title, but
// not of one that one still looks at, nor in a replay.
func TestRunsEndIsTold(t *testing.T) {
	const s = int64(time.Second)
	for _, c := range []struct {
		took int64
		mode tui.Mode
		want string
	}{{60 * s, tui.Dashboard, "\a\x1b]9;jouletop: sweep ended: failed after 60 s, a, b\a\x1b]777;notify;jouletop;sweep ended: failed after 60 s, a, b\a"}, {5 * s, tui.Dashboard, ""}, {60 * s, tui.Playback, ""}} {
		d := newDriver(t, tui.Options{Mode: c.mode}, "run")
		d.size(80, 24)
		d.c.Put(event.RunStart{At: event.At{TimeNS: s}, Name: "sweep"}, event.RunEnd{At: event.At{TimeNS: s + c.took}, How: event.HowFailed, Err: "a; b"})
		if got := rung(d.m.Drain()); got != c.want {
			t.Errorf("%d s in mode %v: %q", c.took/s, c.mode, got)
		}
		if title := d.m.Title(); c.mode == tui.Dashboard && !strings.Contains(title, "failed") {
			t.Errorf("title %q", title)
		}
	}
}
