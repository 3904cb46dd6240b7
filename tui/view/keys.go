package view

import (
	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"
)

// Key is a key with what it does: in a word for the last line, in a sentence for
// the help.
type Key struct {
	key.Binding
	Hint string
}

// Bind binds keys; shown is how they are written, hint the word and what the
// sentence for what they do.
func Bind(shown, hint, what string, keys ...string) Key {
	return Key{key.NewBinding(key.WithKeys(keys...), key.WithHelp(shown, what)), hint}
}

// Is tells whether msg is a press of the key.
func (k Key) Is(msg tea.KeyPressMsg) bool { return key.Matches(msg, k.Binding) }

// As is the key under another word, where that says more on a page.
func (k Key) As(shown, hint string) Key {
	k.SetHelp(shown, k.Help().Desc)
	k.Hint = hint
	return k
}

// Short is the binding with its word in place of its sentence.
func (k Key) Short() key.Binding {
	k.SetHelp(k.Help().Key, k.Hint)
	return k.Binding
}

// KeyGroup is a titled part of the help.
type KeyGroup struct {
	Title string
	Keys  []Key
}

// Keys are the keys that mean the same on every page.
type Keys struct {
	Next, Prev                                               Key
	Clock, Arm, GiveBack                                     Key
	Job, Jobs, Prompt, Pause, Skip, Stop                     Key
	Mark, Export, Save                                       Key
	Window, Freeze, Newest, GPU, Theme                       Key
	Slower, Faster, SeekBack, SeekOn, SeekFarBack, SeekFarOn Key
	Help, Terms, Quit, Interrupt, Close                      Key
}

// NewKeys returns the keys of the dashboard.
func NewKeys() Keys {
	return Keys{
		Next: Bind("Tab", "next", "next screen", "tab"),
		Prev: Bind("Shift+Tab", "before", "screen before", "shift+tab"),

		Clock:    Bind("f", "clock", "knobs: clocks, power limit, profile", "f"),
		Arm:      Bind("a", "arm", "arm or disarm setting knobs", "a"),
		GiveBack: Bind("r", "give back", "give every knob back", "r"),

		Job:    Bind("n", "new job", "new job, sweep or comparison", "n"),
		Jobs:   Bind("j", "jobs", "jobs that run and wait: order and cancel them", "j"),
		Prompt: Bind("p", "prompt", "a prompt of one's own, run next", "p"),
		Pause:  Bind("z", "pause", "pause or resume the run", "z"),
		Skip:   Bind("k", "skip", "skip the running point", "k"),
		Stop:   Bind("x", "stop", "stop after the running batch", "x"),

		Mark:   Bind("m", "mark", "mark this moment with a note", "m"),
		Export: Bind("e", "export", "export: a copy of the session, zipped beside it", "e"),
		Save:   Bind("s", "save", "save this screen as text and colours", "s"),

		Window: Bind("w", "window", "window: 2 s to the whole session", "w"),
		Freeze: Bind("Space", "freeze", "freeze the picture, hold a replay", "space"),
		Newest: Bind("End", "newest", "back to the newest", "end"),
		GPU:    Bind("g", "GPU", "of several GPUs: open the chosen one, and back to all", "g"),
		Theme:  Bind("t", "theme", "next colour theme", "t"),

		Slower:      Bind("[", "slower", "replay slower", "["),
		Faster:      Bind("]", "faster", "replay faster, up to 50x", "]"),
		SeekBack:    Bind(",", "10 s back", "replay 10 s back", ","),
		SeekOn:      Bind(".", "10 s on", "replay 10 s on", "."),
		SeekFarBack: Bind("<", "1 min back", "replay 1 min back", "<"),
		SeekFarOn:   Bind(">", "1 min on", "replay 1 min on", ">"),

		Help:      Bind("?", "help", "this help: the page's keys first", "?"),
		Terms:     Bind("i", "terms", "what the row, the column and the words mean", "i"),
		Quit:      Bind("q", "quit", "quit, in a run after its batch", "q"),
		Interrupt: Bind("Ctrl+C", "quit", "quit; twice: at once", "ctrl+c"),
		Close:     Bind("Esc", "close", "close; what is told over the page is seen", "esc"),
	}
}

// Groups are the keys in the help's order, those of the pages' own between the
// common ones and the replay's; every key is in one.
func (k *Keys) Groups() (before, after []KeyGroup) {
	return []KeyGroup{
			{"Program", []Key{k.Quit, k.Interrupt, k.Help, k.Terms, k.Close}},
			{"Clock", []Key{k.Clock, k.Arm, k.GiveBack}},
			{"Run", []Key{k.Job, k.Jobs, k.Prompt, k.Pause, k.Skip, k.Stop}},
			{"Keep", []Key{k.Mark, k.Export, k.Save}},
			{"Picture", []Key{k.Window, k.Freeze, k.Newest, k.GPU, k.Theme}},
		}, []KeyGroup{
			{"Replay", []Key{k.Slower, k.Faster, k.SeekBack, k.SeekOn, k.SeekFarBack, k.SeekFarOn}},
		}
}
