package tui

import (
	"reflect"
	"testing"
)

// Every binding of the key map stands in the help, and only there once.
func TestHelpHasEveryBinding(t *testing.T) {
	k := newKeyMap()
	in := map[string]int{}
	for _, g := range k.groups() {
		for _, b := range g.keys {
			in[b.Help().Key+" "+b.Help().Desc]++
		}
	}
	want := 0
	v := reflect.ValueOf(k)
	for i := range v.NumField() {
		f := v.Field(i)
		name := v.Type().Field(i).Name
		n := 1
		if f.Kind() == reflect.Array {
			n = f.Len()
		}
		want += n
		if n == 1 {
			// The fields are unexported: compare by what the help shows.
			h := f.FieldByName("help")
			text := h.FieldByName("Key").String() + " " + h.FieldByName("Desc").String()
			if in[text] != 1 {
				t.Errorf("%s (%s) stands in the help %d times", name, text, in[text])
			}
		}
	}
	got := 0
	for _, n := range in {
		got += n
	}
	if got != want {
		t.Errorf("the help has %d bindings, the key map %d", got, want)
	}
}

// No key means two things on a screen: outside the clock panel each key is bound
// once.
func TestKeysDoNotCollide(t *testing.T) {
	k := newKeyMap()
	owner := map[string]string{}
	for _, g := range k.groups() {
		if g.title == "In the clock panel" {
			continue
		}
		for _, b := range g.keys {
			for _, name := range b.Keys() {
				if was, ok := owner[name]; ok {
					t.Errorf("%q is both %q and %q", name, was, b.Help().Desc)
				}
				owner[name] = b.Help().Desc
			}
		}
	}
	for _, name := range []string{"a", "r", "m", "q", "e", "s", "p", "f", "?", "1", "6", "tab"} {
		if owner[name] == "" {
			t.Errorf("%q is bound to nothing", name)
		}
	}
}

func TestFormats(t *testing.T) {
	for _, tt := range []struct{ got, want string }{
		{fmtSig(0.81234), "0.812"}, {fmtSig(12.345), "12.35"}, {fmtSig(1234.5), "1234"}, {fmtSig(0.00012345), "0.00012"},
		{fmtSig(3e7), "30M"}, {fmtSeconds(0.0123), "12.3 ms"}, {fmtSeconds(0.5), "500 ms"}, {fmtSeconds(1.5), "1.50 s"},
		{fmtSeconds(250), "250 s"}, {fmtClock(3_723_000_000_000), "1:02:03"}, {fmtBytes(1500), "1.5 KiB"}, {fmtBytes(12), "12 B"},
		{fmtChange(100, 68.5), "-31.5 %"}, {fmtChange(0, 1), unknown}, {fmtMHz(0), "auto"}, {fmtMHz(-1), unknown}, {fmtMHz(960), "960"},
		{pad("ab", 4), "  ab"}, {pad("ab", -4), "ab  "}, {plural(1, "mark"), "1 mark"}, {plural(2, "mark"), "2 marks"},
		{fmtLeft(-1), "0:00:00"},
	} {
		if tt.got != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
}
