package event

import (
	"errors"
	"strings"
	"testing"
)

func TestPolicy(t *testing.T) {
	for text, want := range map[string]Policy{
		"":                          {},
		"none":                      {},
		"fixed:1005":                {Kind: FixedClock, MHz: 1005},
		"phase:1980/1005":           {Kind: ClockByPhase, Clocks: PhaseClocks{1980, 1005, 1980}},
		"phase: 1980 / 1005 / 1500": {Kind: ClockByPhase, Clocks: PhaseClocks{1980, 1005, 1500}},
		"phase:0/1005":              {Kind: ClockByPhase, Clocks: PhaseClocks{0, 1005, 0}},
		"min-energy":                {Kind: MinEnergy},
		"phase:min-edp":             {Kind: MinEDP, ByPhase: true},
		"fastest":                   {Kind: OtherPolicy, other: "fastest"},
		"fixed:min-edp":             {Kind: OtherPolicy, other: "fixed:min-edp"},
		"phase:0/0":                 {Kind: OtherPolicy, other: "phase:0/0"},
	} {
		got := PolicyOf(text)
		if got != want {
			t.Errorf("%q is %+v, want %+v", text, got, want)
		}
		if spaceless := strings.ReplaceAll(text, " ", ""); spaceless != "" && got.String() != spaceless {
			t.Errorf("%q becomes %q", text, got)
		}
		if _, err := ParsePolicy(text); (err != nil) != (want.Kind == OtherPolicy || text == "") || err != nil && !errors.Is(err, ErrPolicy) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if p := PolicyOf("phase:min-edp"); !p.Searches() || !p.Switches() {
		t.Errorf("%+v", p)
	}
}

func FuzzPolicy(f *testing.F) {
	for _, seed := range []string{"none", "fixed:1005", "phase:1980/1005/0", "phase:min-energy", "phase:", ":"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if p := PolicyOf(text); PolicyOf(p.String()) != p {
			t.Errorf("%q is %+v, and as text again %+v", text, p, PolicyOf(p.String()))
		}
	})
}
