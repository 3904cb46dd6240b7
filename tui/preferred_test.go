package tui_test

import (
	"bytes"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"jouletop/tui"
	"jouletop/tui/theme"
	"jouletop/tui/view"
)

// ownKeys binds keys anew.
func ownKeys(t *testing.T, own map[string][]string) *view.Bindings {
	t.Helper()
	b, wrong := tui.BindKeys(own)
	if len(wrong) > 0 {
		t.Fatalf("%v: %v", own, wrong)
	}
	return b
}

// Keys of one's own do what the dashboard's did, and stand on the last line and in the
// help; those they replace do nothing.
func TestKeysOfOnesOwn(t *testing.T) {
	keys := ownKeys(t, map[string][]string{
		"clock": {"Ctrl+K"}, "new-job": {"N"}, "sort": {"S"}, "policy": {"P"}, "quit": {"Q"}, "rows": {"F7"}, "slower": {"("}, "faster": {")"}, "help": {"F1", "?"},
	})
	for _, size := range [][2]int{{80, 24}, {200, 60}} {
		d := newDriver(t, tui.Options{Keys: keys}, "sweep")
		d.size(size[0], size[1])
		d.whole()
		d.wants("Ctrl+K clock", "N new job", "F1 help", "Q quit")
		d.press("f", "n")
		if s := d.screen(); strings.Contains(s, "type to jump") || strings.Contains(s, "New job") {
			t.Errorf("keys that were bound anew still work:\n%s", s)
		}
		d.press("?")
		seen := ""
		for range 8 {
			seen += d.screen()
			d.press("pgdown")
		}
		for _, want := range []string{"Ctrl+K", "F7 ", "P ", "F1 ", "( ", ") "} {
			if !strings.Contains(seen, " "+want) {
				t.Errorf("%v: the help does not show %q", size, want)
			}
		}
		d.press("esc", "ctrl+k", "p", "P")
		if made := d.c.Made(); len(made) > 0 {
			t.Errorf("asked for %q", made)
		}
		d.press("esc", "f7", "S")
		d.wants("Requests", "query▴")
		d.press("1", "N")
		d.wants("New job")
		d.press("down", "down", "down", "f", "n", "Q")
		d.wants("fnQ") // letters are letters where one types
		d.press("esc", "Q")
		if made := d.c.Made(); !slices.Equal(made, []string{"end"}) {
			t.Errorf("asked for %q", made)
		}
	}
	d := newDriver(t, tui.Options{Keys: keys, Mode: tui.Playback}, "run")
	d.size(200, 60)
	d.wants("( ) speed")
}

func TestKeysThatConflictAreRefusedByName(t *testing.T) {
	for _, c := range []struct {
		own  map[string][]string
		want string
	}{
		{map[string][]string{"clock": {"n"}}, "clock: n is new-job"},
		{map[string][]string{"sort": {"f"}}, "sort: f is clock (Sweep)"},
		{map[string][]string{"clock": {"7"}}, "clock: 7 is rows"},
		{map[string][]string{"policy": {"0"}}, "policy: 0 is type (In the knob panel)"},
		{map[string][]string{"clok": {"k"}}, "no key is called clok"},
	} {
		_, wrong := tui.BindKeys(c.own)
		if len(wrong) == 0 || !strings.HasPrefix(wrong[0].Text, c.want) {
			t.Errorf("%v: %v, want %q", c.own, wrong, c.want)
		}
	}
}

// Every key that can be bound anew has a name of its own wherever it means something.
func TestNamesOfKeys(t *testing.T) {
	_, layers := tui.KeyLayers()
	names := map[string]bool{}
	for _, l := range layers {
		of := map[string]string{}
		for _, k := range l.Keys {
			if k.Fixed() {
				continue
			}
			names[k.Name()] = true
			if was, ok := of[k.Name()]; ok {
				t.Errorf("%s: %s is the name of both %q and %q", l.Name, k.Name(), was, k.Help().Desc)
			}
			of[k.Name()] = k.Help().Desc
			for _, press := range k.Keys() {
				if view.Press(press).String() != press {
					t.Errorf("%s: %q cannot be pressed", k.Name(), press)
				}
			}
		}
	}
	for _, want := range []string{"clock", "new-job", "quit", "help", "freeze", "sort", "filter", "policy", "sooner", "rate", "theme"} {
		if !names[want] {
			t.Errorf("%s cannot be bound anew: %v", want, slices.Sorted(maps.Keys(names)))
		}
	}
}

// What was chosen and typed is kept as it changes, and is there the next time.
func TestChoicesAreRemembered(t *testing.T) {
	kept := map[string][]string{}
	o := tui.Options{Keep: func(changed map[string][]string) error {
		maps.Copy(kept, changed)
		return nil
	}}
	d := newDriver(t, o, "sweep")
	d.size(120, 40)
	d.whole()
	d.press("2", "1", "i", "esc")
	if len(kept) > 0 {
		t.Errorf("nothing was chosen, and %v kept", kept)
	}
	d.press("t", "w", "n", "down", "down", "7", "esc", "p")
	d.typeText("why")
	d.press("ctrl+j", "x", "enter", "p", "y", "esc")
	if !slices.Equal(kept["theme"], []string{"light"}) || !slices.Equal(kept["window"], []string{"1m"}) || !slices.Equal(kept["prompts"], []string{"why\nx"}) {
		t.Errorf("kept %q", kept)
	}

	for name := range kept {
		if strings.Contains(name, "\n") && name != "New job\nbatch size" {
			t.Errorf("%q is kept though it was only proposed", name)
		}
	}

	o.Typed = maps.Clone(kept)
	d = newDriver(t, o, "sweep")
	d.size(120, 40)
	d.whole()
	if d.m.Theme().Name != theme.Light || d.m.Window.Name() != "1m" {
		t.Errorf("theme %s, window %s", d.m.Theme().Name, d.m.Window.Name())
	}
	d.press("n")
	d.wants("batch size   17")
	d.press("esc", "p")
	d.wants("y")
	d.press("backspace", "up")
	d.wants("Prompt 1 of 1", "why")
	d.press("esc", "t", "t", "t", "t")
	if d.m.Theme().Name != theme.Dark || len(kept["theme"]) > 0 {
		t.Errorf("the terminal's own theme is gone by again: %s, %q", d.m.Theme().Name, kept["theme"])
	}

	// What the options say comes before it, and a replay's window is another one.
	o.Typed, o.Theme, o.Window = map[string][]string{"theme": {"light"}, "window": {"1m"}}, theme.Plain, "10m"
	if d = newDriver(t, o, "sweep"); d.m.Theme().Name != theme.Plain || d.m.Window.Name() != "10m" {
		t.Errorf("theme %s, window %s", d.m.Theme().Name, d.m.Window.Name())
	}
	o.Window, o.Mode = "", tui.Playback
	if d = newDriver(t, o, "sweep"); d.m.Window.Name() != "10s" {
		t.Errorf("a replay's window is %s", d.m.Window.Name())
	}
}

// Whatever is remembered, of another machine or damaged, a form offers what there is.
func TestWhatIsRememberedMayBeGone(t *testing.T) {
	d := newDriver(t, tui.Options{Typed: map[string][]string{
		"theme": {"pink"}, "window": {"3m"}, "prompts": {"a\x1b[31mb"}, "prompt left": {},
		"New job\nmodel": {"", "no-such-model"}, "New job\ndataset": {}, "New job\nbatch size": {"4"}, "New job\nqueries": {"\x1b[2J"},
	}}, "sweep")
	d.size(120, 40)
	if d.m.Theme().Name != theme.Dark || d.m.Window.Name() != "10s" {
		t.Errorf("theme %s, window %s", d.m.Theme().Name, d.m.Window.Name())
	}
	d.press("n")
	d.wants("● llama-3.2-1b", "● boolq", "batch size   4")
	d.press("esc", "p", "up")
	if s := d.screen(); strings.Contains(s, "\x1b") || !strings.Contains(s, "Prompt 1 of 1") {
		t.Errorf("the prompt is shown as %q", s)
	}
}

// Where it cannot be kept that is said once, and nothing else suffers.
func TestForgettingIsSaid(t *testing.T) {
	d := newDriver(t, tui.Options{Keep: func(map[string][]string) error { return errors.New("remember: disk full") }, Notice: "config.toml:1: unknown key"}, "run")
	d.size(120, 40)
	d.wants("config.toml:1: unknown key")
	d.press("w")
	d.wants("remember: disk full")
	d.press("w")
	if d.m.Window.Name() != "10m" {
		t.Errorf("window %s", d.m.Window.Name())
	}
}

// Another theme changes what lies over the page, too.
func TestPanelsTakeTheTheme(t *testing.T) {
	for _, panel := range []string{"?", "i", "f", "n", "j", "p"} {
		was, fresh := newDriver(t, tui.Options{Theme: theme.Dark}, "run"), newDriver(t, tui.Options{Theme: theme.Light}, "run")
		for _, d := range []*driver{was, fresh} {
			d.size(120, 40)
			d.press(panel)
			d.m.View()
		}
		was.m.SetTheme(theme.Light)
		if !bytes.Equal(ansiOf(t, was.m), ansiOf(t, fresh.m)) {
			t.Errorf("%s: something is still in the theme before", panel)
		}
	}
}
