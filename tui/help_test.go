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
		d.press("esc", "2", "i") // what is told over the page is seen
		d.wants("What the words mean", "Under the cursor", "run at MHz")
		seen := ""
		for range 40 {
			seen += d.screen()
			d.press("pgdown")
		}
		for _, part := range []string{"run at", "cannot be told from it", "On this page", "--max-slowdown", "Elsewhere", "TTFT", "reader"} {
			if !strings.Contains(seen, part) {
				t.Errorf("%v: %q is nowhere in the glossary", size, part)
			}
		}
		if strings.Contains(seen, "…") {
			t.Errorf("%v: the glossary is cut", size)
		}
	}
}

// `i` explains the column and the row that the cursor is on before anything else, and
// every column of every table, whole at any size.
func TestTermsAreOfTheRowAndTheColumn(t *testing.T) {
	d := newDriver(t, tui.Options{}, "sweep")
	d.size(200, 60)
	d.whole()
	d.press("esc") // what is told over the page is seen
	for _, c := range []struct {
		keys []string
		want []string // on the first screen
		all  []string // somewhere
	}{
		{[]string{"2"}, []string{"curve", "run at MHz"}, []string{"at most 3 % slower"}},
		{[]string{"3"}, []string{"model"}, []string{"± 95 % J/query"}},
		{[]string{"5", "down"}, []string{"token entropy"}, []string{"complexity score"}},
		{[]string{"6", "right"}, []string{"requests"}, []string{"laid beside this one"}},
		{[]string{"7", "right", "right", "right", "right", "right", "right"}, []string{"Under the cursor", "energy J/token"}, []string{"Columns", "query", "tokens of the prompt"}},
		{[]string{"v", "right", "right", "right"}, []string{"got MHz"}, []string{"rep", "only repeats tell", "rate token/s", "temp °C"}},
		{[]string{"v", "right"}, []string{"kind"}, []string{"mark: a note of yours"}},
		{[]string{"1", "f"}, []string{"In the clock panel", "armed"}, []string{"settle time"}},
	} {
		d.size(200, 60)
		d.press(c.keys...)
		for _, size := range [][2]int{{60, 16}, {80, 24}, {120, 40}, {200, 60}} {
			d.size(size[0], size[1])
			d.press("i")
			d.wants(c.want...)
			seen, last := "", ""
			for last != d.screen() {
				last = d.screen()
				seen += strings.Join(strings.Fields(last), " ")
				d.press("pgdown")
			}
			for _, part := range c.all {
				if size[0] > 80 && !strings.Contains(seen, part) { // a narrow one breaks lines
					t.Errorf("%v %v: %q is nowhere", size, c.keys, part)
				}
			}
			if size[0] <= 80 && c.keys[0] != "1" && strings.Contains(seen, "…") { // of a wide one the page is seen beside
				t.Errorf("%v %v: something is cut", size, c.keys)
			}
			d.press("esc")
		}
	}
}

// A flagged row's flags are explained on it.
func TestFlagsAreExplainedOnTheirRow(t *testing.T) {
	d := newDriver(t, tui.Options{}, "run")
	d.size(120, 40)
	d.c.Put(event.RequestDone{At: event.At{TimeNS: 1}, Request: event.Request{RequestID: "r1", QueryID: "q1"}}, event.RequestEnergy{At: event.At{TimeNS: 1}, Request: event.Request{RequestID: "r1", QueryID: "q1", Flags: event.Flags(event.FlagClockLost)}})
	d.see()
	d.press("7", "i")
	d.wants("Under the cursor", string(event.FlagClockLost), event.FlagMeanings[event.FlagClockLost][:30])
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

// The last line says of q what it does: over the help it closes that, and quits afterwards.
func TestQuitKeyOverTheHelp(t *testing.T) {
	d := newDriver(t, tui.Options{}, "run")
	d.size(80, 24)
	d.whole()
	d.press("1", "?")
	d.wants("q close help")
	if strings.Contains(d.screen(), "q quit") {
		t.Errorf("q is said to quit:\n%s", d.screen())
	}
	d.press("q")
	d.wants("q quit")
	if strings.Contains(d.screen(), "close help") {
		t.Errorf("the help is still open:\n%s", d.screen())
	}
}
