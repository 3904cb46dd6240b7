//go:build cgo

package nvml

import (
	"errors"
	"strings"
	"testing"
	"time"

	"jouletop/gpu"
	"jouletop/gpu/nvml/fakenvml"
)

func TestKnobs(t *testing.T) {
	st := fake(t, fakenvml.H100().With(fakenvml.Permission, fakenvml.Anybody).With(fakenvml.Profiles, 0b111).With(fakenvml.Requested, 0b100))
	g, d := st.GPU(0), open(t, 0)
	g.Set(fakenvml.PowerLimitMW, 650_500)
	var got []string
	for _, k := range d.Knobs() {
		got = append(got, k.ID.String()+": "+k.Range()+", default "+k.ID.Text(k.Default)+", now "+k.ID.Text(k.Now))
	}
	want := []string{
		"sm: 345 to 1980 MHz, 110 steps, default 1980 MHz, now -1 MHz",
		"mem: 1593 to 2619 MHz, 2 steps, default 2619 MHz, now -1 MHz",
		"power: 200 to 700 W, default 700 W, now 650.5 W",
		"profile: 0 (max-p)+1 (max-q)+2 (compute), default none, now 2 (compute)",
	}
	if text := strings.Join(got, "\n"); text != strings.Join(want, "\n") {
		t.Errorf("knobs\n%s\nwant\n%s", text, strings.Join(want, "\n"))
	}

	for _, c := range []struct {
		knob gpu.KnobID
		v    int
		want error
	}{
		{gpu.KnobSM, 1005, nil}, {gpu.KnobMem, 1593, nil}, {gpu.KnobPower, 412_500, nil}, {gpu.KnobProfile, 0b11, nil},
		{gpu.KnobSM, 1006, gpu.ErrBadClock}, {gpu.KnobMem, 1600, gpu.ErrBadValue}, {gpu.KnobPower, 100_000, gpu.ErrBadValue},
		{gpu.KnobPower, 0, gpu.ErrBadValue}, {gpu.KnobProfile, 0b1000, gpu.ErrBadValue},
	} {
		if err := d.Set(c.knob, c.v); !errors.Is(err, c.want) {
			t.Errorf("%s to %s: %v, want %v", c.knob, c.knob.Text(c.v), err, c.want)
		}
	}
	mhz, locked := g.MemLocked()
	if lo, hi, sm := g.Locked(); lo != 1005 || hi != 1005 || !sm || mhz != 1593 || !locked || g.Get(fakenvml.PowerLimitMW) != 412_500 {
		t.Errorf("set to %d..%d %v, %d %v, %d mW", lo, hi, sm, mhz, locked, g.Get(fakenvml.PowerLimitMW))
	}
	for k, want := range map[gpu.KnobID]int{gpu.KnobPower: 412_500, gpu.KnobProfile: 0} {
		if v, err := d.State(k); err != nil || v != want {
			t.Errorf("%s reads %d, %v; want %d", k, v, err, want)
		}
	}
	if _, err := d.State(gpu.KnobMem); !errors.Is(err, gpu.ErrNotSupported) {
		t.Errorf("a locked clock is told: %v", err)
	}
	for _, k := range gpu.KnobIDs() {
		if err := d.Reset(k); err != nil {
			t.Errorf("reset %s: %v", k, err)
		}
	}
	_, locked = g.MemLocked()
	if _, _, sm := g.Locked(); sm || locked || g.Get(fakenvml.PowerLimitMW) != 700_000 || g.Get(fakenvml.Requested) != 0 {
		t.Error("not given back")
	}
}

// What a GPU or a driver lacks is said, and is refused for what it is.
func TestKnobsMissing(t *testing.T) {
	fake(t, fakenvml.H100().With(fakenvml.Permission, fakenvml.Anybody).With(fakenvml.Unsupported, fakenvml.NoPowerSet|fakenvml.NoClockList))
	d := open(t, 0)
	for _, k := range d.Knobs() {
		if k.Unavailable == "" || k.Range() != "" {
			t.Errorf("%+v", k)
		}
		v := 1
		if k.ID == gpu.KnobPower {
			v = 500_000
		}
		if err := d.Set(k.ID, v); err == nil {
			t.Errorf("%s could be set", k.ID)
		}
	}
	if v, err := d.State(gpu.KnobPower); err != nil || v != 700_000 {
		t.Errorf("a limit that cannot be set is not read: %d, %v", v, err)
	}
}

func TestPermissionOfKnobs(t *testing.T) {
	fake(t, fakenvml.H100().With(fakenvml.Permission, fakenvml.Nobody).With(fakenvml.Profiles, 1))
	d := open(t, 0)
	for k, v := range map[gpu.KnobID]int{gpu.KnobSM: 1005, gpu.KnobMem: 1593, gpu.KnobPower: 500_000, gpu.KnobProfile: 1} {
		if err := d.Set(k, v); !errors.Is(err, gpu.ErrNoPermission) {
			t.Errorf("%s: %v", k, err)
		}
	}
}

// A driver that hangs where it is asked for its clocks takes nothing with it, and is not
// asked where that is not wanted.
func TestClockListHangs(t *testing.T) {
	fake(t, fakenvml.H100().With(fakenvml.ListHangMS, 20_000))
	start := time.Now()
	d := open(t, 0)
	if took := time.Since(start); took > time.Second {
		t.Errorf("opening took %v", took)
	}
	if _, err := List(); err != nil || time.Since(start) > time.Second {
		t.Errorf("listing took %v, %v", time.Since(start), err)
	}
	i := d.Info()
	if took := time.Since(start); took < clockListLimit || took > clockListLimit+2*time.Second {
		t.Errorf("waited %v", took)
	}
	if len(i.SMClocks) != 0 || i.MemMHz != -1 || len(i.Hidden) != 1 || !strings.Contains(i.Hidden[0], "has not answered") {
		t.Errorf("%+v", i)
	}
	again := time.Now()
	if err := d.SetSMClock(1005); !errors.Is(err, gpu.ErrBadClock) || time.Since(again) > time.Second {
		t.Errorf("%v after %v", err, time.Since(again))
	}
	if s, err := d.Poll(); err != nil || s.SMMHz != 1980 {
		t.Errorf("%+v, %v", s, err)
	}
	for _, k := range d.Knobs() {
		if (k.Unavailable == "") != (k.ID == gpu.KnobPower) {
			t.Errorf("%+v", k)
		}
	}
	t.Setenv(EnvClockList, SkipClockList)
	skipped := time.Now()
	if i := open(t, 0).Info(); len(i.Hidden) != 1 || !strings.Contains(i.Hidden[0], "as asked") || time.Since(skipped) > time.Second {
		t.Errorf("%q after %v", i.Hidden, time.Since(skipped))
	}
}
