package tui

import "charm.land/bubbles/v2/key"

// keyMap is every key of the dashboard. The help screen and the hints are
// derived from it.
type keyMap struct {
	screens                                                      [6]key.Binding
	next, prev                                                   key.Binding
	clock, arm, giveBack                                         key.Binding
	job, prompt, pause, skip, stop                               key.Binding
	mark, export, save                                           key.Binding
	window, freeze, back, forward, newest                        key.Binding
	gpu, stream, theme                                           key.Binding
	batch, dataset, up, down, enter                              key.Binding
	slower, faster, seekBack, seekOn, seekFarBack, seekFarOn     key.Binding
	help, quit, interrupt                                        key.Binding
	panelMove, panelType, panelPhase, panelPolicy, panelSet, esc key.Binding
}

// bind makes a binding; shown is how the keys are written in the help.
func bind(shown, what string, keys ...string) key.Binding {
	return key.NewBinding(key.WithKeys(keys...), key.WithHelp(shown, what))
}

func newKeyMap() keyMap {
	k := keyMap{
		next: bind("Tab", "next screen", "tab"),
		prev: bind("Shift+Tab", "screen before", "shift+tab"),

		clock:    bind("f", "clock panel", "f"),
		arm:      bind("a", "arm or disarm clock control", "a"),
		giveBack: bind("r", "give the clock to the driver", "r"),

		job:    bind("n", "new job, sweep or comparison", "n"),
		prompt: bind("p", "a prompt of one's own, run next", "p"),
		pause:  bind("z", "pause or resume the run", "z"),
		skip:   bind("k", "skip the running point", "k"),
		stop:   bind("x", "stop after the running batch", "x"),

		mark:   bind("m", "mark this moment with a note", "m"),
		export: bind("e", "export the session's CSV files", "e"),
		save:   bind("s", "save this screen as text", "s"),

		window:  bind("w", "window: 10 s to the whole session", "w"),
		freeze:  bind("Space", "freeze the picture, hold a replay", "space"),
		back:    bind("←", "scroll back (Compare: side A)", "left"),
		forward: bind("→", "scroll on (Compare: side A)", "right"),
		newest:  bind("End", "back to the newest", "end"),
		gpu:     bind("g", "next GPU", "g"),
		stream:  bind("v", "text of the next request", "v"),
		theme:   bind("t", "next colour theme", "t"),

		batch:   bind("b", "batch size of the curves", "b"),
		dataset: bind("d", "dataset shown", "d"),
		up:      bind("↑", "choose up (Compare: side B)", "up"),
		down:    bind("↓", "choose down (Compare: side B)", "down"),
		enter:   bind("Enter", "lay a session beside", "enter"),

		slower:      bind("[", "replay slower", "["),
		faster:      bind("]", "replay faster, up to 50x", "]"),
		seekBack:    bind(",", "replay 10 s back", ","),
		seekOn:      bind(".", "replay 10 s on", "."),
		seekFarBack: bind("<", "replay 1 min back", "<"),
		seekFarOn:   bind(">", "replay 1 min on", ">"),

		help:      bind("?", "this help", "?"),
		quit:      bind("q", "quit, in a run after its batch", "q"),
		interrupt: bind("Ctrl+C", "quit; twice: at once", "ctrl+c"),

		panelMove:   bind("↑ ↓ PgUp PgDn", "choose a clock", "up", "down", "pgup", "pgdown", "home", "end"),
		panelType:   bind("0-9", "jump to the clock typed", "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "backspace"),
		panelPhase:  bind("Tab", "all phases, prefill, decode, score", "tab", "shift+tab"),
		panelPolicy: bind("p", "next policy", "p"),
		panelSet:    bind("Enter", "set it at once", "enter"),
		esc:         bind("Esc", "close", "esc"),
	}
	names := [6]string{"Live", "Curves", "Sweep", "Compare", "Workload", "Session"}
	for i, name := range names {
		n := fmtInt(i + 1)
		k.screens[i] = bind(n, name, n)
	}
	return k
}

// helpGroup is a titled part of the help.
type helpGroup struct {
	title string
	keys  []key.Binding
}

// groups is the help's order; every binding is in one.
func (k *keyMap) groups() []helpGroup {
	return []helpGroup{
		{"Program", []key.Binding{k.quit, k.interrupt, k.help}},
		{"Screens", append(append([]key.Binding{}, k.screens[:]...), k.next, k.prev)},
		{"Clock", []key.Binding{k.clock, k.arm, k.giveBack}},
		{"In the clock panel", []key.Binding{k.panelMove, k.panelType, k.panelPhase, k.panelPolicy, k.panelSet, k.esc}},
		{"Run", []key.Binding{k.job, k.prompt, k.pause, k.skip, k.stop}},
		{"Keep", []key.Binding{k.mark, k.export, k.save}},
		{"Picture", []key.Binding{k.window, k.freeze, k.back, k.forward, k.newest, k.gpu, k.stream, k.theme}},
		{"Curves, Compare, Workload, Session", []key.Binding{k.batch, k.dataset, k.up, k.down, k.enter}},
		{"Replay", []key.Binding{k.slower, k.faster, k.seekBack, k.seekOn, k.seekFarBack, k.seekFarOn}},
	}
}
