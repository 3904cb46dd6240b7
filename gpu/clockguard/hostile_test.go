package clockguard

import (
	"errors"
	"log/slog"
	"strings"
	"testing"

	"jouletop/gpu"
	"jouletop/gpu/nvml/fakenvml"
)

// card is a device of which power limit and profiles can be set; where took is not nil, it
// says what the driver makes of what it is asked for.
type card struct {
	fakeDevice
	now  map[gpu.KnobID]int
	took func(k gpu.KnobID, v int) (int, error)
	smUp error // of every call for the SM clock
}

func newCard(limit, profiles int) *card {
	return &card{fakeDevice: *newFake(), now: map[gpu.KnobID]int{gpu.KnobPower: limit, gpu.KnobProfile: profiles}}
}

func (d *card) SetSMClock(int) error { return d.smUp }
func (d *card) ResetSMClock() error  { return d.smUp }

func (d *card) Knobs() []gpu.Knob {
	power := gpu.NewKnob(gpu.KnobPower, "")
	power.Min, power.Max, power.Step, power.Default = 100_000, 700_000, 1, 700_000
	return []gpu.Knob{
		gpu.ListKnob(gpu.KnobSM, d.info.SMClocks, ""), gpu.NewKnob(gpu.KnobMem, "none"), power,
		gpu.ListKnob(gpu.KnobProfile, []int{1, 2, 4}, ""),
	}
}

func (d *card) State(k gpu.KnobID) (int, error) {
	if v, ok := d.now[k]; ok {
		return v, nil
	}
	return -1, gpu.ErrNotSupported
}

func (d *card) Set(k gpu.KnobID, v int) (err error) {
	if d.took != nil {
		v, err = d.took(k, v)
	}
	d.now[k] = v
	return err
}

func (d *card) Reset(k gpu.KnobID) error {
	switch k {
	case gpu.KnobSM:
		return d.ResetSMClock()
	case gpu.KnobMem:
		return gpu.ErrNotSupported
	case gpu.KnobPower:
		return d.Set(k, 700_000)
	}
	return d.Set(k, 0)
}

// kept is a control of a card whose record is the last of notes; it fails where err says so.
func kept(d *card) (c *control, notes *[][]heldKnob, fail *error) {
	notes, fail = new([][]heldKnob), new(error)
	return &control{dev: d, info: d.info, now: func() int64 { return 1 }, keep: func(h []heldKnob) error {
		if *fail == nil {
			*notes = append(*notes, append([]heldKnob(nil), h...))
		}
		return *fail
	}}, notes, fail
}

// Killed after a driver has taken another limit than it was asked to, and before that was
// noted, what is in force is neither what was nor what was wanted: it is ours all the same.
// From then on, once it was noted, a limit in between is somebody else's.
func TestClampedAndKilledBeforeItIsNoted(t *testing.T) {
	d := newCard(650_000, 0)
	c, notes, _ := kept(d)
	d.took = func(_ gpu.KnobID, v int) (int, error) { return max(v, 450_000), nil }
	if r := c.handle(order{op: opSet, knob: gpu.KnobPower, value: 300_000}); !errors.Is(r.err(), ErrClamped) || len(*notes) != 2 {
		t.Fatalf("%v, %d notes", r.err(), len(*notes))
	}
	d.took = nil
	during, after := (*notes)[0][0], (*notes)[1][0]
	note, _, err := during.giveBack(d)
	if err != nil || d.now[gpu.KnobPower] != 650_000 || !strings.Contains(note, "450 W") {
		t.Errorf("killed during the call: %d mW, %q, %v", d.now[gpu.KnobPower], note, err)
	}
	d.now[gpu.KnobPower] = 500_000
	if note, _, err := after.giveBack(d); err != nil || d.now[gpu.KnobPower] != 500_000 || !strings.Contains(note, "somebody else") {
		t.Errorf("somebody else's afterwards: %d mW, %q, %v", d.now[gpu.KnobPower], note, err)
	}
	d.now[gpu.KnobPower] = 200_000
	if note, _, err := during.giveBack(d); err != nil || d.now[gpu.KnobPower] != 200_000 || !strings.Contains(note, "somebody else") {
		t.Errorf("somebody else's meanwhile: %d mW, %q, %v", d.now[gpu.KnobPower], note, err)
	}
}

// A change of profiles of which the driver refuses the second half has taken the profiles
// that were requested before: they are given back, and another try is not refused as if
// somebody else had changed them.
func TestProfilesRefusedHalfway(t *testing.T) {
	d := newCard(650_000, 0b100)
	c, _, _ := kept(d)
	d.took = func(gpu.KnobID, int) (int, error) { return 0, gpu.ErrBadValue }
	if r := c.handle(order{op: opSet, knob: gpu.KnobProfile, value: 0b011}); !errors.Is(r.err(), gpu.ErrBadValue) {
		t.Fatal(r.err())
	}
	d.took = nil
	if r := c.handle(order{op: opSet, knob: gpu.KnobProfile, value: 0b001}); r.err() != nil || d.now[gpu.KnobProfile] != 0b001 {
		t.Errorf("tried again: %v, %b", r.err(), d.now[gpu.KnobProfile])
	}
	d.took = func(gpu.KnobID, int) (int, error) { return 0, gpu.ErrBadValue }
	_ = c.handle(order{op: opSet, knob: gpu.KnobProfile, value: 0b010})
	d.took = nil
	if r := c.handle(order{op: opBye}); r.err() != nil || d.now[gpu.KnobProfile] != 0b100 {
		t.Errorf("given back: %v, %b, want 100", r.err(), d.now[gpu.KnobProfile])
	}
}

// What is refused and changed nothing leaves no claim behind: what somebody sets then is
// theirs, be it what was refused.
func TestRefusedLeavesNoClaim(t *testing.T) {
	d := newCard(650_000, 0)
	c, notes, _ := kept(d)
	if r := c.handle(order{op: opSet, knob: gpu.KnobPower, value: 400_000}); r.err() != nil {
		t.Fatal(r.err())
	}
	d.took = func(gpu.KnobID, int) (int, error) { return d.now[gpu.KnobPower], gpu.ErrNoPermission }
	if r := c.handle(order{op: opSet, knob: gpu.KnobPower, value: 300_000}); !errors.Is(r.err(), gpu.ErrNoPermission) {
		t.Fatal(r.err())
	}
	d.took = nil
	d.now[gpu.KnobPower] = 300_000
	if r := c.handle(order{op: opBye}); r.err() != nil || d.now[gpu.KnobPower] != 300_000 || !strings.Contains(r.text, "somebody else") {
		t.Errorf("given back: %v, %q, %d mW, record %+v", r.err(), r.text, d.now[gpu.KnobPower], *notes)
	}
}

// What the driver made of a limit cannot be noted: it is not kept without a record, under
// which nobody would know it for ours.
func TestClampedThatCannotBeNoted(t *testing.T) {
	d := newCard(650_000, 0)
	c, _, fail := kept(d)
	d.took = func(_ gpu.KnobID, v int) (int, error) {
		*fail = errors.New("disk full")
		return max(v, 450_000), nil
	}
	if r := c.handle(order{op: opSet, knob: gpu.KnobPower, value: 300_000}); r.err() == nil || !strings.Contains(r.err().Error(), "disk full") {
		t.Errorf("%v", r.err())
	}
	if d.now[gpu.KnobPower] != 650_000 {
		t.Errorf("left at %d mW", d.now[gpu.KnobPower])
	}
}

// What is given back is what the driver says afterwards, not what it was asked for.
func TestGivenBackIsReadBack(t *testing.T) {
	h := heldKnob{Knob: gpu.KnobPower, First: 500_000, Before: 300_000, Ours: []int{500_000}}
	d := newCard(500_000, 0)
	d.took = func(_ gpu.KnobID, v int) (int, error) { return max(v, 450_000), nil }
	if note, _, err := h.giveBack(d); err != nil || !strings.Contains(note, "450 W") || !strings.Contains(note, "300 W") {
		t.Errorf("clamped: %q, %v", note, err)
	}
	d = newCard(500_000, 0)
	d.took = func(gpu.KnobID, int) (int, error) { return 500_000, nil }
	if note, _, err := h.giveBack(d); err == nil {
		t.Errorf("a driver that takes the order and does nothing: %q, %v, want another try", note, err)
	}
}

// What somebody else has set is not said to be again what it was before.
func TestRestoredSaysWhatIs(t *testing.T) {
	d := newCard(333_000, 0)
	rec := Record{Knobs: []heldKnob{{Knob: gpu.KnobSM, First: 1005}, {Knob: gpu.KnobPower, First: 400_000, Before: 650_000, Ours: []int{400_000}}}}
	done, err := rec.giveAllBack(d)
	text := strings.Join(done, "; ")
	if err != nil || strings.Contains(text, "650 W again") || !strings.Contains(text, "333 W by somebody else") || !strings.Contains(text, "reset to the driver's default") {
		t.Errorf("%q, %v", text, err)
	}
	d.now[gpu.KnobPower] = 400_000
	done, err = rec.giveAllBack(d)
	if text := strings.Join(done, "; "); err != nil || !strings.Contains(text, "power limit is 650 W again") {
		t.Errorf("%q, %v", text, err)
	}
}

// A GPU of which the clock cannot be locked has a power limit all the same: a record that
// cannot be read does not stand in its way for ever, nor the operator's reset.
func TestNoClockToGiveBack(t *testing.T) {
	d := newCard(400_000, 0b1)
	d.smUp = gpu.ErrNotSupported
	rec, found := Record{}, false
	dir := t.TempDir()
	if err := writeFile(recordPath(dir, "GPU-fake"), "garbage"); err != nil {
		t.Fatal(err)
	}
	if rec, found = readRecord(dir, "GPU-fake"); !found {
		t.Fatal("no record")
	}
	if _, err := rec.giveAllBack(d); err != nil || d.now[gpu.KnobPower] != 700_000 {
		t.Errorf("damaged record: %v, %v", err, d.now)
	}
	d.now[gpu.KnobPower], d.now[gpu.KnobProfile] = 400_000, 1
	text, err := resetAll("GPU-fake", d)
	if err != nil || d.now[gpu.KnobPower] != 700_000 || d.now[gpu.KnobProfile] != 0 || strings.Contains(text, "SM clock") {
		t.Errorf("reset: %q, %v, %v", text, err, d.now)
	}
	d.smUp = gpu.ErrNoPermission
	d.now[gpu.KnobPower] = 400_000
	if _, err := resetAll("GPU-fake", d); !errors.Is(err, gpu.ErrNoPermission) || d.now[gpu.KnobPower] != 700_000 {
		t.Errorf("one that fails keeps the others: %v, %v", err, d.now)
	}
}

// The watcher of a guard that does not go leaves alone what is another guard's by now.
func TestWatcherLeavesAnothersRecord(t *testing.T) {
	dir := t.TempDir()
	rec := Record{GPU: "GPU-fake", Boot: bootID(), Guard: process{PID: 1 << 30, Start: 7}, Knobs: []heldKnob{{Knob: gpu.KnobPower, First: 1, Before: 650_000, Ours: []int{400_000}}}}
	if err := rec.write(dir); err != nil {
		t.Fatal(err)
	}
	d := newCard(400_000, 0)
	if done := takeOverOnce(process{PID: 1 << 30, Start: 8}, false, dir, "GPU-fake", d, slog.New(slog.DiscardHandler)); done || d.now[gpu.KnobPower] != 400_000 {
		t.Errorf("done %v, %d mW: another guard's limit was given back", done, d.now[gpu.KnobPower])
	}
	if done := takeOverOnce(process{PID: 1 << 30, Start: 7}, false, dir, "GPU-fake", d, slog.New(slog.DiscardHandler)); done || d.now[gpu.KnobPower] != 650_000 {
		t.Errorf("done %v, %d mW: its own guard's, which may still be there", done, d.now[gpu.KnobPower])
	}
}

// A service that starts finds the GPU of a record that does not name its index, or names
// one that it had before the driver was loaded anew.
func TestServiceFindsTheGPUOfARecord(t *testing.T) {
	rigs := newRig(t, 2, fakenvml.H100())
	b := rigs[1]
	for name, text := range map[string]string{
		"damaged":     `{"gpu": "GP`,
		"other index": `{"gpu":"` + b.info.UUID + `","index":0,"boot_id":"` + bootID() + `","knobs":[{"knob":"power","first":400000,"before":650500,"ours":[400000]}]}`,
	} {
		b.gpu.Set(fakenvml.PowerLimitMW, 400_000)
		if err := makeDir(b.dir); err != nil {
			t.Fatal(err)
		}
		if err := writeFile(recordPath(b.dir, b.info.UUID), text); err != nil {
			t.Fatal(err)
		}
		said := serviceConfig{dir: b.dir, open: openNVML, log: slog.New(slog.DiscardHandler)}.restoreAll()
		if _, found := readRecord(b.dir, b.info.UUID); found || b.limit() == 400_000 {
			t.Errorf("%s: %d mW, record there %v, said %q", name, b.limit(), found, said)
		}
		if rigs[0].limit() != powerBefore {
			t.Errorf("%s: the other GPU's limit is %d mW", name, rigs[0].limit())
		}
	}
}
