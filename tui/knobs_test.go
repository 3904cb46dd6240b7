package tui_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"

	"jouletop/engine/command"
	"jouletop/engine/event"
	"jouletop/gpu"
	"jouletop/tui"
)

// turnable is a driver whose GPU has every knob.
func turnable(t *testing.T, w, h int) *driver {
	d := started(t, tui.Options{})
	power := gpu.NewKnob(gpu.KnobPower, "")
	power.Min, power.Max, power.Step, power.Default, power.Now = 200_000, 700_000, 1, 700_000, 650_500
	mem := gpu.ListKnob(gpu.KnobMem, []int{1593, 2619}, "")
	mem.Default = 2619
	profile := gpu.ListKnob(gpu.KnobProfile, []int{1 << 0, 1 << 1, 1 << 6}, "")
	profile.Default, profile.Now = 0, 0
	d.c.Offer(gpu.ListKnob(gpu.KnobSM, opened(t, "run").GPUs[0].SMClocks, ""), mem, power, profile)
	d.refresh()
	d.size(w, h)
	return d
}

// says looks for texts in the panel at the right, whatever its lines are broken at.
func (d *driver) says(parts ...string) {
	d.t.Helper()
	var text []string
	for line := range strings.Lines(d.screen()) {
		if cells := strings.Split(strings.TrimRight(line, "\n "), "│"); len(cells) > 2 {
			text = append(text, strings.Fields(cells[len(cells)-2])...)
		}
	}
	whole := strings.Join(text, " ")
	for _, p := range parts {
		if !strings.Contains(whole, p) {
			d.t.Errorf("the panel does not say %q:\n%s", p, d.screen())
		}
	}
}

var del = tea.KeyPressMsg(tea.Key{Code: tea.KeyDelete})

// Each knob has its tab: what is in force, wanted and achieved, and what held the clock;
// what comes of setting it stands there before it is armed.
func TestKnobTabs(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {120, 40}, {200, 60}} {
		d := turnable(t, size[0], size[1])
		d.press("f")
		d.wants("Knobs")
		d.says("SM clock", "current", "wanted", "achieved", "bound by", "Not armed: a arms", "holds for all")
		d.press("right")
		d.says("memory clock", "2619 MHz", "1593 MHz", "current the driver's", "keeps the card awake")
		d.press("right")
		d.says("power limit", "650.5 W, as found", "wanted nothing", "W drawn now", "of the whole card")
		if size[1] > 24 {
			d.says("cannot be kept", "default (700 W) now: somebody has set it")
		}
		d.press("right")
		d.says("profile", "0 (max-p)", "6 (llm-inference)", "several settings at once")
		d.press("right")
		d.wants("all phases")
		d.press("left")
		d.wants("6 (llm-inference)")
	}
}

// A value is typed or chosen and set at once; Del gives one knob back, r all of them.
func TestKnobsAreSet(t *testing.T) {
	d := turnable(t, 120, 40)
	d.told(func(s *command.Status) { s.Armed = true })
	d.press("f", "right", "end", "enter")
	d.called("knob mem 1593")
	d.press("right", "4", "2", "5", "enter")
	d.called("knob power 425000")
	d.press("1", "5", "0", "enter")
	d.wants("power limit 150 W: it goes from 200 W to 700 W")
	d.press("home", "down", "enter")
	d.called("knob power 690000")
	d.send(del)
	d.called("knob power 0")
	d.press("right", "6", "enter")
	d.called("knob profile 64")
	d.told(func(s *command.Status) { s.Knobs.Profiles = 1<<6 | 1 })
	d.press("enter")
	if last := d.c.Last(); last != "knob profile 1" {
		t.Errorf("a profile that is requested is taken back by %q", last)
	}
	d.press("r")
	d.called("give back")
}

// What was asked for, what the driver made of it and what held the clock stand beside
// each other, and a limit of somebody else's is named as such.
func TestKnobFacts(t *testing.T) {
	d := turnable(t, 120, 40)
	d.told(func(s *command.Status) {
		s.Armed, s.Policy, s.Knobs = true, "fixed:sm=1005,power=400", gpu.Setting{SMMHz: 1005, PowerW: 400}
	})
	change := event.KnobChange{At: event.At{TimeNS: d.now}, GPU: d.gpu(), Knob: gpu.KnobPower, Requested: 400_000, Achieved: 400_000, CallMS: math.NaN(), Cause: event.Cause{By: event.ByOperator}}
	held := event.UnknownHeld()
	held.Prefill, held.Decode = event.Held{By: event.HeldByPower, Pct: 72}, event.Held{By: event.HeldByNothing}
	d.see(change, event.Bound{At: event.At{TimeNS: d.now}, GPU: d.gpu(), LimitW: 400, Held: held})
	d.wants("Did the cap bind?", "The cap of 400 W binds in prefill")
	d.press("f")
	d.says("wanted 1005 MHz", "P power 72 %, D nothing")
	d.press("right", "right")
	d.says("current 400 W, set here", "wanted 400 W", "400 W requested", "P power 72 %, D nothing")
	d.told(func(s *command.Status) { s.Policy, s.Knobs = "none", gpu.Setting{} })
	change.Achieved, change.Requested, change.Err, change.Cause = 333_000, 0, "it is 333 W now, set by somebody else", event.Cause{By: event.ByOthers}
	d.see(change)
	d.says("current 333 W, set by somebody")
	d.press("esc", "6")
	d.wants("power limit 400 W (operator)", "set by somebody else")
}

// Who else holds the GPU is seen in the panel, and how to get permission.
func TestKnobsOfOthers(t *testing.T) {
	d := turnable(t, 120, 40)
	d.told(func(s *command.Status) {
		s.HeldBy = "GPU 0 (GPU-1) has a power limit (first 400 W) locked by pid 4711 (jouletop, user ada) since 09:41:00, which may change it at any time"
	})
	d.press("f")
	d.says("(first 400 W)", "pid 4711 (jouletop, user ada)")
	d.told(func(s *command.Status) {
		s.HeldBy, s.Permission = "", "setting clocks needs root: run sudo jouletop clock-guard"
	})
	d.says("setting clocks needs root: run sudo jouletop")
}

// Where there is something to lose it is read before it is armed; Esc arms nothing.
func TestArmingIsExplained(t *testing.T) {
	d := turnable(t, 80, 24)
	d.c.Explain("Locks the SM clock of GPU 0.\nMemory clock: a lock keeps the card awake.\n" + strings.Repeat("Power limit: it is of the whole card. ", 60))
	d.refresh()
	d.press("a")
	d.wants("Before knobs are set", "keeps the card awake", "Enter arms, Esc leaves", "reads on")
	d.press("down", "down", "esc")
	if made := d.c.Made(); len(made) != 0 {
		t.Errorf("asked for %q", made)
	}
	d.c.Refuse(errors.New("held by another program"))
	d.press("a", "enter")
	d.called("arm true")
	d.wants("held by another program")
	d.c.Refuse(nil)
	d.told(func(s *command.Status) { s.Armed = true })
	d.press("a")
	d.called("arm false")
}

// Nothing is armed before it is known what there is to read; then that is asked.
func TestArmingWaitsForWhatThereIsToRead(t *testing.T) {
	d := unasked(t, tui.Options{}, "run")
	d.size(80, 24)
	d.c.Explain("Locks the SM clock of GPU 0.")
	d.press("a")
	d.wants("finding what arming sets")
	if made := d.c.Made(); len(made) != 0 {
		t.Fatalf("asked for %q", made)
	}
	d.refresh()
	d.wants("Before knobs are set", "Locks the SM clock")
	if made := d.c.Made(); len(made) != 0 {
		t.Errorf("asked for %q", made)
	}
	d.press("enter")
	d.called("arm true")
}

// The page of the sweep says of each point what held the clock, and of each cap in which
// phase it never binds.
func TestSweepSaysWhatBinds(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {120, 40}, {200, 60}} {
		d := newDriver(t, tui.Options{}, "run")
		d.size(size[0], size[1])
		d.press("3")
		d.see(event.RunStart{At: event.At{TimeNS: 1}, Name: "sweep", Points: 3})
		for i, w := range []int{700, 500, 300} {
			p := event.PointDone{Point: event.Point{
				PointID: string(rune('a' + i)), GPU: d.gpu(), Model: "m", Dataset: "d", BatchSize: 8, Repeat: 1, Queries: 1,
				Policy: "fixed:" + gpu.Setting{PowerW: w}.String(), Knobs: gpu.Setting{PowerW: w},
			}}
			p.Held = event.UnknownHeld()
			p.Held.Prefill, p.Held.Decode = event.Held{By: event.HeldByPower, Pct: 80}, event.Held{By: event.HeldByNothing}
			d.see(p)
		}
		d.wants("This cap never binds in decode of m (d) at batch 8", "300 W")
		if size[0] >= 120 {
			d.wants("power 80 %", "held by", "nothing")
		}
	}
}
