package gpu

import (
	"errors"
	"testing"
)

func TestSetting(t *testing.T) {
	for text, want := range map[string]Setting{
		"sm=1005":                            {SMMHz: 1005},
		"power=400":                          {PowerW: 400},
		"sm=1005,mem=1593,power=400":         {SMMHz: 1005, MemMHz: 1593, PowerW: 400},
		"profile=1+6":                        {Profiles: 1<<1 | 1<<6},
		"sm=1005,mem=1593,power=1,profile=0": {SMMHz: 1005, MemMHz: 1593, PowerW: 1, Profiles: 1},
	} {
		s, err := ParseSetting(text)
		if err != nil || s != want || s.String() != text {
			t.Errorf("%q is %+v (%v), as text %q", text, s, err, s)
		}
	}
	for _, text := range []string{"", "sm", "sm=", "sm=x", "sm=-5", "sm=1e9", "power=0", "sm=1,sm=2", "profile=31", "profile=1+x", "volume=11"} {
		if s, err := ParseSetting(text); err == nil {
			t.Errorf("%q is %+v", text, s)
		}
	}
	s := Setting{SMMHz: 1005, PowerW: 400}
	if s.Value(KnobPower) != 400_000 || s.Value(KnobSM) != 1005 || s.Value(KnobMem) != 0 || s.Others() != (Setting{PowerW: 400}) {
		t.Errorf("%+v", s)
	}
}

func FuzzSetting(f *testing.F) {
	f.Add("sm=1005,power=400")
	f.Add("profile=1+6,mem=1")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseSetting(text)
		if err != nil {
			return
		}
		if again, err := ParseSetting(s.String()); err != nil || again != s {
			t.Errorf("%q is %+v, and as text again %+v, %v", text, s, again, err)
		}
	})
}

func TestKnobCheck(t *testing.T) {
	power := NewKnob(KnobPower, "")
	power.Min, power.Max = 200_000, 700_000
	profiles := ListKnob(KnobProfile, []int{1, 4}, "")
	mem := ListKnob(KnobMem, []int{1593, 2619}, "")
	for _, c := range []struct {
		knob Knob
		v    int
		want error
	}{
		{power, 200_000, nil}, {power, 700_000, nil}, {power, 199_999, ErrBadValue}, {power, 700_001, ErrBadValue},
		{NewKnob(KnobPower, "none"), 300_000, ErrNotSupported},
		{profiles, 5, nil}, {profiles, 2, ErrBadValue}, {profiles, -1, ErrBadValue},
		{mem, 1593, nil}, {mem, 1600, ErrBadValue}, {ListKnob(KnobSM, nil, "none"), 345, ErrBadClock},
	} {
		if err := c.knob.Check(c.v); !errors.Is(err, c.want) {
			t.Errorf("%s %d: %v, want %v", c.knob.ID, c.v, err, c.want)
		}
	}
	if err := CheckSetting([]Knob{power, mem}, Setting{MemMHz: 1593, PowerW: 300}); err != nil {
		t.Error(err)
	}
	if err := CheckSetting([]Knob{power}, Setting{MemMHz: 1593}); err == nil {
		t.Error("a knob that is not there can be set")
	}
}

// Of two GPUs a knob takes what both take.
func TestKnobAnd(t *testing.T) {
	a, b := NewKnob(KnobPower, ""), NewKnob(KnobPower, "")
	a.Min, a.Max, a.Default = 200, 700, 700
	b.Min, b.Max, b.Default = 300, 600, 600
	if k := a.And(b); k.Min != 300 || k.Max != 600 || k.Default != -1 || k.Unavailable != "" {
		t.Errorf("%+v", k)
	}
	b.Min = 800
	if k := a.And(b); k.Unavailable == "" {
		t.Errorf("%+v", k)
	}
	if k := ListKnob(KnobMem, []int{1, 2, 3}, "").And(ListKnob(KnobMem, []int{2, 3, 4}, "")); len(k.Values) != 2 || k.Min != 2 || k.Max != 3 {
		t.Errorf("%+v", k)
	}
	if k := a.And(NewKnob(KnobPower, "none")); k.Unavailable != "none" {
		t.Errorf("%+v", k)
	}
}

func TestReadOnlyKnobs(t *testing.T) {
	ro, ok := ReadOnly(&plainDevice{}).(Tuner)
	if !ok {
		t.Fatal("no Tuner")
	}
	if len(ro.Knobs()) != 4 || !errors.Is(ro.Set(KnobPower, 1), ErrReadOnly) || !errors.Is(ro.Reset(KnobSM), ErrReadOnly) {
		t.Error("it can be set")
	}
}

// What was found set by somebody else is said, of a limit as of a profile; of a clock
// nobody can tell.
func TestForeign(t *testing.T) {
	for _, tt := range []struct {
		k             KnobID
		now, standard int
		want          string
	}{
		{KnobPower, 500_000, 700_000, "It is not the driver's default (700 W) now: somebody has set it."},
		{KnobProfile, 0b100, 0, "It is not the driver's default (none) now: somebody has set it."},
		{KnobPower, 700_000, 700_000, ""}, {KnobProfile, 0, 0, ""}, {KnobPower, -1, 700_000, ""}, {KnobSM, 1005, 1980, ""},
	} {
		k := NewKnob(tt.k, "")
		k.Now, k.Default = tt.now, tt.standard
		if got := k.Foreign(); got != tt.want {
			t.Errorf("%s at %d of %d: %q, want %q", tt.k, tt.now, tt.standard, got, tt.want)
		}
	}
}
