package event

import (
	"errors"
	"strings"
	"testing"

	"jouletop/gpu"
)

func TestPolicy(t *testing.T) {
	for text, want := range map[string]Policy{
		"":                             {},
		"none":                         {},
		"fixed:1005":                   {Kind: FixedClock, MHz: 1005},
		"phase:1980/1005":              {Kind: ClockByPhase, Clocks: PhaseClocks{1980, 1005, 1980}},
		"phase: 1980 / 1005 / 1500":    {Kind: ClockByPhase, Clocks: PhaseClocks{1980, 1005, 1500}},
		"phase:0/1005":                 {Kind: ClockByPhase, Clocks: PhaseClocks{0, 1005, 0}},
		"min-energy":                   {Kind: MinEnergy},
		"phase:min-edp":                {Kind: MinEDP, ByPhase: true},
		"fixed:sm=1005,power=400":      {Kind: FixedKnobs, MHz: 1005, Knobs: gpu.Setting{PowerW: 400}},
		"fixed:mem=1593,profile=1+3":   {Kind: FixedKnobs, Knobs: gpu.Setting{MemMHz: 1593, Profiles: 0b1010}},
		"phase:sm=1980/1005,power=400": {Kind: ClockByPhase, Clocks: PhaseClocks{1980, 1005, 1980}, Knobs: gpu.Setting{PowerW: 400}},
		"min-energy:sm,mem,power":      {Kind: MinEnergy, Searched: 0b111},
		"min-edp:power":                {Kind: MinEDP, Searched: 0b100},
		"fixed:power=400/300":          {Kind: OtherPolicy, other: "fixed:power=400/300"},
		"phase:sm=1980/1005,power=4/3": {Kind: OtherPolicy, other: "phase:sm=1980/1005,power=4/3"},
		"phase:power=400":              {Kind: OtherPolicy, other: "phase:power=400"},
		"fixed:power=400,power=500":    {Kind: OtherPolicy, other: "fixed:power=400,power=500"},
		"fixed:volume=11":              {Kind: OtherPolicy, other: "fixed:volume=11"},
		"fixed:sm=1005,sm=900":         {Kind: OtherPolicy, other: "fixed:sm=1005,sm=900"},
		"fixed:sm=,power=400":          {Kind: OtherPolicy, other: "fixed:sm=,power=400"},
		"min-energy:sm,power,sm":       {Kind: OtherPolicy, other: "min-energy:sm,power,sm"},
		"min-edp:sm,sm":                {Kind: OtherPolicy, other: "min-edp:sm,sm"},
		"min-energy:profile":           {Kind: OtherPolicy, other: "min-energy:profile"},
		"fastest":                      {Kind: OtherPolicy, other: "fastest"},
		"fixed:min-edp":                {Kind: OtherPolicy, other: "fixed:min-edp"},
		"phase:0/0":                    {Kind: OtherPolicy, other: "phase:0/0"},
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
	if p, err := ParsePolicy("fixed:sm=1005"); err != nil || p.String() != "fixed:1005" {
		t.Errorf("%+v, %v", p, err)
	}
	if p := PolicyOf("phase:min-edp"); !p.Searches() || !p.Switches() {
		t.Errorf("%+v", p)
	}
}

func FuzzPolicy(f *testing.F) {
	for _, seed := range []string{"none", "fixed:1005", "phase:1980/1005/0", "phase:min-energy", "phase:", ":", "fixed:sm=1005,power=400", "phase:sm=1980/1005,mem=1593", "min-edp:sm,power"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if p := PolicyOf(text); PolicyOf(p.String()) != p {
			t.Errorf("%q is %+v, and as text again %+v", text, p, PolicyOf(p.String()))
		}
	})
}
