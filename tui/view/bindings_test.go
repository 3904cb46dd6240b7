package view

import (
	"strings"
	"testing"
)

func TestPresses(t *testing.T) {
	for _, c := range []struct{ text, want, label, wrong string }{
		{text: "k", want: "k", label: "k"},
		{text: "K", want: "K", label: "K"},
		{text: "Shift+k", want: "K", label: "K"},
		{text: "+", want: "+", label: "+"},
		{text: "Ctrl++", want: "ctrl++", label: "Ctrl++"},
		{text: "Ctrl+K", want: "ctrl+k", label: "Ctrl+K"},
		{text: "alt+ctrl+x", want: "ctrl+alt+x", label: "Ctrl+Alt+X"},
		{text: "F5", want: "f5", label: "F5"},
		{text: "shift+f5", want: "shift+f5", label: "Shift+F5"},
		{text: "Space", want: "space", label: "Space"},
		{text: " ", want: "space", label: "Space"},
		{text: "Del", want: "delete", label: "Del"},
		{text: "ö", want: "ö", label: "ö"},
		{text: "", wrong: "no key"},
		{text: "kk", wrong: "no key"},
		{text: "ctrl+", wrong: "no key"},
		{text: "ctrl+ctrl+x", wrong: "no key"},
		{text: "f99", wrong: "no key"},
		{text: "\x1b", wrong: "no key"},
		{text: "漢", wrong: "no key"},
		{text: "Enter", wrong: "moves or leaves"},
		{text: "Shift+Tab", wrong: "moves or leaves"},
		{text: "Ctrl+C", wrong: "moves or leaves"},
		{text: "ctrl+i", wrong: "is Tab to a terminal"},
	} {
		got, err := ParsePress(c.text)
		switch {
		case c.wrong != "":
			if err == nil || !strings.Contains(err.Error(), c.wrong) {
				t.Errorf("%q: %q, %v; want an error with %q", c.text, got, err, c.wrong)
			}
		case err != nil || got != c.want || pressLabel(got) != c.label || Press(got).String() != c.want:
			t.Errorf("%q: %q (%s, pressed %s), %v; want %q (%s)", c.text, got, pressLabel(got), Press(got), err, c.want, c.label)
		}
	}
}

func bound(t *testing.T, own map[string][]string, layers ...Layer) *Bindings {
	t.Helper()
	b, wrong := NewBindings(own, layers, layers[len(layers)-1].Keys)
	if len(wrong) > 0 {
		t.Fatalf("%v: %v", own, wrong)
	}
	return b
}

var (
	pageLayer  = Layer{"Live", []Key{Bind("f", "clock", "", "f"), Bind("p", "prompt", "", "p"), Bind("x", "stop", "", "x"), Bind("+ -", "rate", "", "+", "-"), Bind("[", "slower", "", "["), Bind("]", "faster", "", "]"), Bind("↑ ↓", "row", "", "up", "down")}}
	panelLayer = Layer{"the clock panel", []Key{Bind("p", "policy", "", "p"), Bind("Del", "cancel", "", "delete", "backspace", "x")}}
)

// A press of one's own means what the dashboard's did, which means nothing any more, and
// what lies over a page keeps its keys.
func TestPressesAreRead(t *testing.T) {
	for _, c := range []struct {
		own   map[string][]string
		press string
		panel bool
		want  string // "" for nothing
	}{
		{nil, "f", false, "f"},
		{map[string][]string{"clock": {"Ctrl+K"}}, "ctrl+k", false, "f"},
		{map[string][]string{"clock": {"Ctrl+K"}}, "f", false, ""},
		{map[string][]string{"clock": {"Ctrl+K"}}, "g", false, "g"},
		{map[string][]string{"clock": {"f", "F5"}}, "f", false, "f"},
		{map[string][]string{"clock": {"f", "F5"}}, "f5", false, "f"},
		{map[string][]string{"clock": {"x"}, "stop": {"f"}}, "x", false, "f"},
		{map[string][]string{"clock": {"x"}, "stop": {"f"}}, "f", false, "x"},
		{map[string][]string{"rate": {"=", "_"}}, "_", false, "-"},
		{map[string][]string{"rate": {"=", "_"}}, "-", false, ""},
		{map[string][]string{"policy": {"P"}}, "P", true, "p"},
		{map[string][]string{"policy": {"P"}}, "p", true, ""},           // else the panel would take it
		{map[string][]string{"prompt": {"Ctrl+P"}}, "ctrl+p", true, ""}, // p is the panel's here, as it always was
		{map[string][]string{"prompt": {"Ctrl+P"}}, "ctrl+p", false, "p"},
		{map[string][]string{"prompt": {"Ctrl+P"}}, "p", true, "p"},
	} {
		b := bound(t, c.own, panelLayer, pageLayer)
		layers := [][]Key{pageLayer.Keys}
		if c.panel {
			layers = [][]Key{panelLayer.Keys, pageLayer.Keys}
		}
		got, ok := b.Read(c.press, layers...)
		if ok != (c.want != "") || ok && got != c.want {
			t.Errorf("%v: %s reads as %q, %v; want %q", c.own, c.press, got, ok, c.want)
		}
	}
}

func TestKeysAreShownAsBound(t *testing.T) {
	b := bound(t, map[string][]string{"clock": {"Ctrl+K", "f"}, "slower": {"("}, "faster": {")"}, "rate": {"=", "_"}}, panelLayer, pageLayer)
	k := pageLayer.Keys
	for _, c := range []struct {
		key  Key
		want string
	}{
		{k[0], "Ctrl+K"}, {k[1], "p"}, {k[3], "= _"}, {k[4].As("[ ]", "speed"), "( )"}, {k[0].As("f", "set clock"), "Ctrl+K"}, {k[6], "↑ ↓"},
	} {
		if got := b.Shown(c.key); got.Help().Key != c.want || got.Hint != c.key.Hint {
			t.Errorf("%s is shown as %q (%s), want %q", c.key.Name(), got.Help().Key, got.Hint, c.want)
		}
	}
	if got := (*Bindings)(nil).Shown(k[0]).Help().Key; got != "f" {
		t.Errorf("without bindings: %q", got)
	}
}

func TestBindingsAreRefusedByName(t *testing.T) {
	for _, c := range []struct {
		own     map[string][]string
		want    []string
		unknown bool
	}{
		{map[string][]string{"clok": {"k"}}, []string{"no key is called clok"}, true},
		{map[string][]string{"clock": {"p"}}, []string{"clock: p is prompt (Live)"}, false},
		{map[string][]string{"clock": {"k"}, "stop": {"k"}}, []string{"stop: k is clock (Live)"}, false},
		{map[string][]string{"cancel": {"p"}}, []string{"cancel: p is policy (the clock panel)"}, false},
		{map[string][]string{"clock": {}}, []string{"clock: want a key"}, false},
		{map[string][]string{"rate": {"="}}, []string{"rate: want 2 keys, for + -"}, false},
		{map[string][]string{"row": {"j", "k"}}, []string{"row stays ↑ ↓"}, false},
		{map[string][]string{"clock": {"enter"}, "stop": {"ctrl+alt"}}, []string{"Enter moves or leaves", `"ctrl+alt" is no key`}, false},
	} {
		_, wrong := NewBindings(c.own, []Layer{panelLayer, pageLayer}, pageLayer.Keys)
		if len(wrong) != len(c.want) {
			t.Errorf("%v: %v, want %q", c.own, wrong, c.want)
			continue
		}
		for i, w := range wrong {
			if !strings.Contains(w.Text, c.want[i]) || w.Unknown != c.unknown || w.Name == "" {
				t.Errorf("%v: %+v, want %q", c.own, w, c.want[i])
			}
		}
	}
}
