package clockguard

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"jouletop/gpu"
	"jouletop/gpu/nvml/fakenvml"
)

// limit is the power limit in force, mW.
func (b *rig) limit() int64 { return b.gpu.Get(fakenvml.PowerLimitMW) }

func setAll(c *Client) error {
	err := c.Set(1005)
	for _, k := range []gpu.KnobID{gpu.KnobMem, gpu.KnobPower, gpu.KnobProfile} {
		if err == nil {
			_, _, err = c.SetKnob(k, map[gpu.KnobID]int{gpu.KnobMem: 1593, gpu.KnobPower: 400_000, gpu.KnobProfile: 0b11}[k])
		}
	}
	return err
}

// Every knob is set, told to others, and given back: clocks to the driver, the rest to
// what it was before, to the mW. One that is given back takes no other with it.
func TestKnobsAreGivenBack(t *testing.T) {
	b, c, _ := armed(t, fakenvml.H100())
	if err := setAll(c); err != nil {
		t.Fatal(err)
	}
	mhz, _ := b.gpu.MemLocked()
	if lo, _, _ := b.gpu.Locked(); lo != 1005 || mhz != 1593 || b.limit() != 400_000 || b.gpu.Get(fakenvml.Requested) != 0b11 {
		t.Fatalf("set: %d, %d MHz, %d mW, profiles %b", lo, mhz, b.limit(), b.gpu.Get(fakenvml.Requested))
	}
	what := "a clock (first 1005 MHz) and a memory clock (first 1593 MHz) and a power limit (first 400 W) and a workload power profile (first 0 (max-p)+1 (max-q))"
	if text := LockedBy(b.info, b.options()); !strings.Contains(text, what) || !strings.Contains(text, fmt.Sprint(os.Getpid())) {
		t.Errorf("others are told %q", text)
	}
	other, err := Open(t.Context(), b.info, b.options())
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Arm(true); !errors.Is(err, ErrHeld) || !strings.Contains(err.Error(), what) {
		t.Errorf("a second program is told %v", err)
	}
	if _, err := c.ResetKnob(gpu.KnobPower); err != nil || b.limit() != powerBefore {
		t.Errorf("limit given back: %v, %d mW", err, b.limit())
	}
	if rec, found := readRecord(b.dir, b.info.UUID); !found || len(rec.Knobs) != 3 {
		t.Errorf("record %+v", rec)
	}
	if _, got, err := c.SetKnob(gpu.KnobPower, 300_000); err != nil || got != 300_000 {
		t.Errorf("set again: %d, %v", got, err)
	}
	if err := c.Close(); err != nil || b.locked() {
		t.Errorf("Close: %v, given back %v", err, !b.locked())
	}
	if _, found := readRecord(b.dir, b.info.UUID); found {
		t.Error("record left behind")
	}
}

// What a knob does not take reaches no driver, and leaves no record.
func TestKnobsRefused(t *testing.T) {
	b, c, _ := armed(t, fakenvml.H100())
	for _, tt := range []struct {
		knob gpu.KnobID
		v    int
		want error
	}{
		{gpu.KnobPower, 100_000, gpu.ErrBadValue}, {gpu.KnobPower, 900_000, gpu.ErrBadValue}, {gpu.KnobMem, 2000, gpu.ErrBadValue},
		{gpu.KnobProfile, 1 << 9, gpu.ErrBadValue},
	} {
		if _, _, err := c.SetKnob(tt.knob, tt.v); !errors.Is(err, tt.want) {
			t.Errorf("%s %d: %v, want %v", tt.knob, tt.v, err, tt.want)
		}
	}
	b.gpu.Set(fakenvml.Permission, fakenvml.Nobody)
	if _, _, err := c.SetKnob(gpu.KnobPower, 400_000); !errors.Is(err, gpu.ErrNoPermission) {
		t.Errorf("%v, want %v", err, gpu.ErrNoPermission)
	}
	if _, found := readRecord(b.dir, b.info.UUID); found || b.locked() {
		t.Error("something is held")
	}
	b.gpu.Set(fakenvml.Permission, fakenvml.Anybody)
	b.gpu.Set(fakenvml.Unsupported, fakenvml.NoPowerLimit)
	if _, _, err := c.SetKnob(gpu.KnobPower, 400_000); !errors.Is(err, gpu.ErrNotSupported) {
		t.Errorf("%v, want %v", err, gpu.ErrNotSupported)
	}
	b.gpu.Set(fakenvml.Unsupported, 0)
}

// A power limit that somebody else has set meanwhile is not overwritten: not by another
// wish, not when it is given back; from an arming on it is what there was before.
func TestForeignPowerLimit(t *testing.T) {
	b, c, told := armed(t, fakenvml.H100())
	if _, _, err := c.SetKnob(gpu.KnobPower, 400_000); err != nil {
		t.Fatal(err)
	}
	for _, foreign := range []int64{333_000, powerBefore} {
		b.gpu.Set(fakenvml.PowerLimitMW, foreign)
		if _, _, err := c.SetKnob(gpu.KnobPower, 500_000); !errors.Is(err, ErrTaken) || b.limit() != foreign {
			t.Errorf("%d mW of somebody else: %v, %d mW now", foreign, err, b.limit())
		}
	}
	b.gpu.Set(fakenvml.PowerLimitMW, 333_000)
	if err := c.Close(); err != nil || b.limit() != 333_000 {
		t.Errorf("Close: %v, %d mW", err, b.limit())
	}
	if text := <-told; !strings.Contains(text, "333 W by somebody else") || !strings.Contains(text, "650.5 W before") {
		t.Errorf("told %q", text)
	}
	if err := c.Arm(true); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.SetKnob(gpu.KnobPower, 500_000); err != nil {
		t.Error(err)
	}
	if err := c.Close(); err != nil || b.limit() != 333_000 {
		t.Errorf("Close: %v, %d mW, want what there was", err, b.limit())
	}
}

// So it is where nobody of ours is left but the watcher.
func TestForeignPowerLimitAfterKills(t *testing.T) {
	b, c, _ := armed(t, fakenvml.H100())
	if err := setAll(c); err != nil {
		t.Fatal(err)
	}
	rec, _ := readRecord(b.dir, b.info.UUID)
	b.gpu.Set(fakenvml.PowerLimitMW, 333_000)
	if !rec.Guard.kill(time.Second) {
		t.Fatal("cannot kill the guard")
	}
	for end := time.Now().Add(backAfter); ; time.Sleep(time.Millisecond) {
		_, mem := b.gpu.MemLocked()
		_, found := readRecord(b.dir, b.info.UUID)
		if _, _, sm := b.gpu.Locked(); !sm && !mem && !found && b.gpu.Get(fakenvml.Requested) == profilesBefore {
			break
		}
		if time.Now().After(end) {
			t.Fatal("not given back")
		}
	}
	if b.limit() != 333_000 {
		t.Errorf("somebody else's limit became %d mW", b.limit())
	}
}

// A driver that takes another value than it was asked to is told, and what there was
// before is given back all the same.
func TestClampedPowerLimit(t *testing.T) {
	b, c, _ := armed(t, fakenvml.H100().With(fakenvml.PowerFloorMW, 450_000))
	_, got, err := c.SetKnob(gpu.KnobPower, 300_000)
	if !errors.Is(err, ErrClamped) || got != 450_000 || !strings.Contains(err.Error(), "300 W") || !strings.Contains(err.Error(), "450 W") {
		t.Errorf("%d, %v", got, err)
	}
	if _, got, err := c.SetKnob(gpu.KnobPower, 500_000); err != nil || got != 500_000 {
		t.Errorf("%d, %v", got, err)
	}
	if err := c.Close(); err != nil || b.locked() {
		t.Errorf("Close: %v, %d mW", err, b.limit())
	}
}

// A limit whose call hangs, or fails in a way that says nothing, may be in force: it is
// given back whether it is or not.
func TestPowerLimitThatFails(t *testing.T) {
	for name, fault := range map[string][2]fakenvml.Field{
		"hangs": {fakenvml.HangMS, fakenvml.HangLeft}, "fails": {fakenvml.SetFault, fakenvml.SetFaultLeft},
	} {
		t.Run(name, func(t *testing.T) {
			b, c, _ := armed(t, fakenvml.H100().With(fakenvml.FaultKnobs, 1<<gpu.KnobPower))
			if err := c.Set(1005); err != nil {
				t.Fatal(err)
			}
			b.gpu.Set(fault[1], 1)
			value := int64(fakenvml.CodeUnknown)
			if name == "hangs" {
				value = (callLimit + 300*time.Millisecond).Milliseconds()
			}
			b.gpu.Set(fault[0], value)
			if _, _, err := c.SetKnob(gpu.KnobPower, 400_000); err == nil {
				t.Error("no error")
			}
			if rec, _ := readRecord(b.dir, b.info.UUID); len(rec.Knobs) != 2 || !slices.Contains(rec.Knobs[1].Ours, 400_000) || rec.Knobs[1].Before != powerBefore {
				t.Errorf("record %+v", rec.Knobs)
			}
			if name == "hangs" {
				time.Sleep(500 * time.Millisecond)
				if b.limit() != 400_000 {
					t.Errorf("limit %d", b.limit())
				}
			}
			if err := c.Close(); err != nil || b.locked() {
				t.Errorf("Close: %v, %d mW", err, b.limit())
			}
		})
	}
}

// Of a record that cannot be read everything may have been set: the limit becomes the
// driver's default, which is said.
func TestDamagedRecordOfKnobs(t *testing.T) {
	b := newRig(t, 1, fakenvml.H100())[0]
	if err := makeDir(b.dir); err != nil {
		t.Fatal(err)
	}
	if err := writeFile(recordPath(b.dir, b.info.UUID), `{"gpu": "GP`); err != nil {
		t.Fatal(err)
	}
	c, err := Open(t.Context(), b.info, b.options())
	if err != nil {
		t.Fatal(err)
	}
	notes := strings.Join(c.Notes(), "\n")
	if b.limit() != 700_000 || !strings.Contains(notes, "not known any more: set from 650.5 W to the driver's default, 700 W") {
		t.Errorf("limit %d mW, notes %q", b.limit(), notes)
	}
	if _, found := readRecord(b.dir, b.info.UUID); found {
		t.Error("the record stays")
	}
}

// The operator's own wish gives everything to the driver.
func TestForcedResetOfKnobs(t *testing.T) {
	b := newRig(t, 1, fakenvml.H100())[0]
	text, err := Reset(t.Context(), b.info, b.options(), true)
	if err != nil || !strings.Contains(text, "power limit from 650.5 W to the default, 700 W") || !strings.Contains(text, "memory clock too") || b.limit() != 700_000 || b.gpu.Get(fakenvml.Requested) != 0 {
		t.Errorf("%q, %v, %d mW", text, err, b.limit())
	}
}

func TestServiceBoundsKnobs(t *testing.T) {
	s := serve(t, "--uid", fmt.Sprint(os.Getuid()), "--knobs", "sm,power", "--min-power-w", "300", "--max-power-w", "600")
	c := s.client(t, Bounds{MaxPowerW: 550})
	if err := c.Arm(true); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		knob gpu.KnobID
		v    int
		want error
	}{
		{gpu.KnobPower, 400_000, nil}, {gpu.KnobPower, 299_000, ErrBounds}, {gpu.KnobPower, 560_000, ErrBounds},
		{gpu.KnobMem, 1593, ErrBounds}, {gpu.KnobProfile, 1, ErrBounds}, {gpu.KnobSM, 1005, nil},
	} {
		if _, _, err := c.SetKnob(tt.knob, tt.v); !errors.Is(err, tt.want) {
			t.Errorf("%s %d: %v, want %v", tt.knob, tt.v, err, tt.want)
		}
	}
	if err := c.Close(); err != nil || s.locked() {
		t.Errorf("Close: %v", err)
	}
}

func TestBounds(t *testing.T) {
	a := Bounds{MinMHz: 500, MaxMHz: 1500, MaxPowerW: 600, Only: 1<<gpu.KnobSM | 1<<gpu.KnobPower}
	both := a.within(Bounds{MinMHz: 400, MaxMHz: 1200, MinPowerW: 300, MaxMemMHz: 1593, Only: 1 << gpu.KnobPower})
	if want := (Bounds{MinMHz: 500, MaxMHz: 1200, MinPowerW: 300, MaxPowerW: 600, MaxMemMHz: 1593, Only: 1 << gpu.KnobPower}); both != want {
		t.Errorf("%+v, want %+v", both, want)
	}
	if err := both.check(gpu.KnobSM, 1000); !errors.Is(err, ErrBounds) {
		t.Errorf("a knob that is not allowed: %v", err)
	}
	if none := a.within(Bounds{Only: 1 << gpu.KnobMem}); none.check(gpu.KnobMem, 1593) == nil || none.check(gpu.KnobSM, 1000) == nil {
		t.Error("no knob in common, and one may be set")
	}
	if got := a.String(); got != "500 to 1500 MHz, at most 600 W" {
		t.Errorf("worded %q", got)
	}
	if only, err := parseOnly(onlyList(a.Only)); err != nil || only != a.Only {
		t.Errorf("%b, %v", only, err)
	}
	if _, err := parseOnly("sm,volume"); err == nil {
		t.Error("volume is a knob")
	}
}

func TestArmWarning(t *testing.T) {
	power := gpu.NewKnob(gpu.KnobPower, "")
	power.Min, power.Max, power.Default, power.Now = 200_000, 700_000, 700_000, 650_500
	knobs := []gpu.Knob{gpu.ListKnob(gpu.KnobSM, []int{345, 1980}, ""), gpu.ListKnob(gpu.KnobMem, []int{1593, 2619}, ""), power, gpu.NewKnob(gpu.KnobProfile, "none")}
	text := ArmWarning(gpu.Info{UUID: "GPU-x", Name: "Card"}, knobs, Bounds{MaxMHz: 1500})
	for _, want := range []string{"at most 1500 MHz", "keeps the card awake", "200 to 700 W; now 650.5 W", "what it was before", "cannot be kept", "not the driver's default (700 W)"} {
		if !strings.Contains(text, want) {
			t.Errorf("lacks %q:\n%s", want, text)
		}
	}
	if strings.Contains(text, "profile") {
		t.Errorf("warns of what cannot be set:\n%s", text)
	}
}
