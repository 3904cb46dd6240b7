package tui

import (
	"reflect"
	"testing"

	tea "charm.land/bubbletea/v2"

	"jouletop/tui/view"
)

// all are the bindings of a struct of keys.
func all(t *testing.T, keys any) (out []view.Key) {
	t.Helper()
	v := reflect.ValueOf(keys)
	for i := range v.NumField() {
		k, ok := v.Field(i).Interface().(view.Key)
		if !ok {
			t.Fatalf("%s is no key", v.Type().Field(i).Name)
		}
		out = append(out, k)
	}
	return out
}

// Every key stands in the help once: those of every page and each page's own.
func TestHelpHasEveryKey(t *testing.T) {
	m := New(Options{})
	in := map[string]int{}
	for _, g := range keyGroups(m.Keys, m.pages) {
		for _, k := range g.Keys {
			if h := k.Help(); h.Key == "" || h.Desc == "" || len(k.Keys()) == 0 {
				t.Errorf("%s: %+v says nothing, or is bound to nothing", g.Title, k)
			}
			in[g.Title+k.Help().Key+k.Help().Desc]++
		}
	}
	want := all(t, m.Keys)
	for title, n := range in {
		if n != 1 {
			t.Errorf("%q stands in the help %d times", title, n)
		}
	}
	found := 0
	for _, k := range want {
		for _, g := range keyGroups(m.Keys, m.pages) {
			if in[g.Title+k.Help().Key+k.Help().Desc] == 1 {
				found++
			}
		}
	}
	if found != len(want) {
		t.Errorf("%d of %d common keys stand in the help", found, len(want))
	}
	for i, p := range m.pages {
		if in["Pages"+string(rune('1'+i))+p.Name()] != 1 {
			t.Errorf("the help does not name page %s", p.Name())
		}
		for _, k := range p.Keys() {
			if in["On "+p.Name()+k.Help().Key+k.Help().Desc] != 1 {
				t.Errorf("%s: %q does not stand in the help", p.Name(), k.Help().Desc)
			}
		}
	}
}

// No key means two things on a page, and every hint says what it does.
func TestKeysDoNotCollide(t *testing.T) {
	m := New(Options{})
	for _, p := range m.pages {
		owner := map[string]string{}
		for _, k := range append(all(t, m.Keys), p.Keys()...) {
			for _, name := range k.Keys() {
				greedy := p.Greedy(tea.KeyPressMsg{Code: tea.KeyEnd}) && name == "end" // a table's own end
				if was, ok := owner[name]; ok && !greedy {
					t.Errorf("%s: %q is both %q and %q", p.Name(), name, was, k.Help().Desc)
				}
				owner[name] = k.Help().Desc
			}
		}
		for _, name := range []string{"a", "r", "m", "q", "e", "s", "p", "f", "?", "tab"} {
			if owner[name] == "" {
				t.Errorf("%q is bound to nothing", name)
			}
		}
		for _, k := range p.Hints() {
			if k.Hint == "" || owner[k.Keys()[0]] == "" {
				t.Errorf("%s: hint %+v has no word, or is bound to nothing", p.Name(), k)
			}
		}
	}
}
