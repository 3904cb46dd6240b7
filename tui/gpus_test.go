package tui_test

import (
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"jouletop/engine/command"
	"jouletop/engine/event"
	"jouletop/gpu"
	"jouletop/tui"
	"jouletop/tui/theme"
)

// simulated describes n simulated GPUs.
func simulated(n int) (out []gpu.Info) {
	for i := range n {
		info := gpu.UnknownInfo(i)
		info.Profile, info.Name, info.SMClocks, info.PowerLimitW, info.MemoryMiB = "h100", "NVIDIA H100 80GB HBM3 (simulated)", []int{345, 1005, 1980}, 700, 81559
		out = append(out, info)
	}
	return out
}

// readings are those of n GPUs over so many seconds up to t, a sample each 50 ms: each GPU
// draws 50 W more than the one before. Those told of by silent are not read in the last half.
func readings(t int64, seconds, n int, silent func(i int) bool) (out []event.Event) {
	for k := range 20 * seconds {
		at := t - int64(seconds)*1e9 + int64(k+1)*50e6
		for i, info := range simulated(n) {
			if silent != nil && silent(i) && k >= 10*seconds {
				continue
			}
			s := gpu.UnknownSample()
			s.SMMHz, s.GPUUtil, s.MemUsedMiB, s.TempC = 1980-90*i, float64(10*(k/20%10)), float64(8192*(i+1)), float64(40+i)
			out = append(out,
				event.Sample{At: event.At{TimeNS: at}, GPU: info.ID(), Sample: s},
				event.Power{GPU: info.ID(), PowerReading: gpu.PowerReading{TimeNS: at, Source: gpu.SourceBuffer, PowerW: float64(150 + 50*i + k%5), CounterJ: math.NaN(), Fresh: true}})
		}
	}
	return out
}

// shares is what processes took of a GPU.
func shares(id string, at int64, list ...event.ProcessEnergy) event.Processes {
	p := event.Processes{At: event.At{TimeNS: at}, GPU: id, KnownS: 12, Rule: gpu.RuleSMTime, List: list}
	p.EnergyJ, p.EnergyErrJ, p.IdleEnergyJ = 3600, 36, 360
	return p
}

func took(pid int, name string, sm, j float64, gone bool) event.ProcessEnergy {
	return event.ProcessEnergy{Process: gpu.Process{PID: pid, Name: name, MemoryMiB: 1024}, SMPct: sm, DRAMPct: sm / 2, EnergyJ: j, EnergyErrJ: j / 50, Gone: gone}
}

// monitored is a monitor of n GPUs, the last of which sleeps where there are several.
func monitored(t testing.TB, n int) *driver {
	d := newDriver(t, tui.Options{Mode: tui.Monitor, GPUs: simulated(n), Theme: theme.Dark, Version: "test"}, "run")
	d.now = 12e9
	sleeps := func(i int) bool { return n > 1 && i == n-1 }
	d.see(event.RunStart{At: event.At{TimeNS: 1}, Name: "monitor", Simulated: true})
	d.see(readings(d.now, 12, n, sleeps)...)
	told := map[string]event.Processes{}
	for i, info := range simulated(n) {
		told[info.ID()] = shares(info.ID(), d.now, took(100+i, "train.py", 80, 3000-float64(i), false), took(200+i, "old", math.NaN(), 240, true))
		if sleeps(i) {
			d.see(event.Sleep{At: event.At{TimeNS: 8e9}, GPU: info.ID(), Asleep: true})
			told[info.ID()] = shares(info.ID(), d.now)
		}
	}
	d.c.Tell(func(s *command.Status) { s.Tenants, s.ReadOnly = told, true })
	d.refresh()
	return d
}

// Several GPUs are shown in rows; g opens the chosen one and goes back.
func TestSeveralGPUs(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {120, 40}, {200, 60}} {
		d := newDriver(t, tui.Options{GPUs: simulated(8)}, "run")
		d.size(size[0], size[1])
		d.now = 12e9
		d.see(readings(d.now, 12, 8, func(i int) bool { return i == 5 })...)
		d.wants("8 GPUs", "h100:7", "1980", "1350", "154", "504/700", "power")
		if s := d.screen(); strings.Contains(s, "SM clock ") {
			t.Errorf("%v: the charts of one GPU beside those of all:\n%s", size, s)
		}
		d.press("down", "down", "g")
		d.wants("SM clock", "h100:2", "achieved 1800")
		if s := d.screen(); strings.Contains(s, "8 GPUs") {
			t.Errorf("%v: all GPUs beside one:\n%s", size, s)
		}
		d.press("g")
		d.wants("8 GPUs")
		d.press("down", "down", "down", "g") // one that is read no more
		d.wants("6.0 s old", "h100:5")
		d.press("g", "up", "up", "up", "up", "up", "up", "up", "g")
		d.wants("achieved 1980")
	}
}

// The cost of a frame is that of what has changed: where none of eight GPUs has told
// anything, nothing is drawn, and one that has told has its row drawn alone.
func TestRowsOfGPUsAreKept(t *testing.T) {
	d := newDriver(t, tui.Options{GPUs: simulated(8)}, "run")
	d.size(200, 60)
	d.now = 12e9
	d.see(readings(d.now, 12, 8, nil)...)
	d.m.Canvas()
	before := d.m.Frame.Draws()
	d.press("right")
	d.m.Canvas()
	if n := d.m.Frame.Draws() - before; n > 12 {
		t.Errorf("%d parts were drawn for a key that changes none of the rows", n)
	}
	s := gpu.UnknownSample()
	s.SMMHz = 1005
	before = d.m.Frame.Draws()
	d.see(event.Sample{At: event.At{TimeNS: d.now + 1e6}, GPU: "sim:h100:3", Sample: s})
	d.m.Canvas()
	if n := d.m.Frame.Draws() - before; n > 3 {
		t.Errorf("%d parts were drawn for a reading of one GPU", n)
	}
}

// The monitor says what each process took, what is nobody's, and which GPU sleeps, and
// offers no key that does nothing.
func TestMonitorOfSeveral(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {120, 40}, {200, 60}} {
		d := monitored(t, 8)
		d.size(size[0], size[1])
		d.wants("8 GPUs", "asleep since 0:00:07, and not woken", "train.py", "of 7 GPUs that are read", "energy estimated by SM time", "1 of 14")
		d.press("end", "down", "enter")
		d.wants("an estimate by SM time", "nobody's")
		d.press("esc", "shift+down", "shift+down", "g")
		d.wants("SM clock", "achieved 1800")
		d.press("g")
		d.wants("8 GPUs")
		d.press("3")
		d.wants("Events 1", "sim:h100:7 is asleep")
		d.press("1")
		for _, key := range []string{"2", "3", "1"} {
			d.press(key)
			for _, word := range []string{"press a", "n starts", "p runs", "a arm", "n new job", "p prompt"} {
				if s := d.screen(); strings.Contains(s, word) {
					t.Errorf("%v, page %s: %q cannot be done here:\n%s", size, key, word, s)
				}
			}
		}
		for _, key := range []string{"n", "p"} {
			d.press(key)
			d.wants("not here")
		}
	}
	d := monitored(t, 1)
	d.size(80, 24)
	d.wants("SM clock", "Power", "drawn", "1.00 ± 0.01 Wh", "0.100 Wh", "old (ended)")
}

// What nobody has seen stands over every page until Esc, flags by what they mean, and each
// once a run.
func TestNoticesUntilSeen(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {200, 60}} {
		d := newDriver(t, tui.Options{}, "run")
		d.size(size[0], size[1])
		d.see(event.Warning{At: event.At{TimeNS: d.now + 1}, Text: "the fan\nstands still"})
		d.wants("! the fan stands still", "(Esc: seen)")
		d.press("4")
		d.wants("! the fan stands still")
		q := event.Request{RequestID: "r9", Flags: event.FlagsOf(event.FlagThrottled)}
		flagged := event.RequestEnergy{At: event.At{TimeNS: d.now + 2}, Request: q, Energy: event.Energy{EnergyJ: math.NaN(), EnergyErrJ: math.NaN()}}
		d.see(flagged, flagged)
		d.wants("2 new, the last: flagged throttled", "(Esc: seen; 6: all)")
		d.press("esc", "1")
		if s := d.screen(); strings.Contains(s, "seen)") || strings.Contains(s, "6: all)") {
			t.Errorf("it was seen:\n%s", s)
		}
		d.see(flagged)
		if s := d.screen(); strings.Contains(s, "(Esc: seen)") {
			t.Errorf("a flag that was seen in this run:\n%s", s)
		}
		d.see(event.Error{At: event.At{TimeNS: d.now + 3}, Text: "the guard has ended"})
		d.wants("! the guard has ended")
	}
}

// Esc is for what is told before it is for a table below that is sorted or filtered; where
// a filter is typed it is the filter's.
func TestNoticeOverSortedTable(t *testing.T) {
	d := monitored(t, 1)
	d.size(80, 24)
	told := event.Warning{At: event.At{TimeNS: d.now + 1}, Text: "the fan stands still"}
	d.see(told)
	d.wants("energy▾", "(Esc: seen)")
	d.press("esc")
	d.wants("energy▾")
	if s := d.screen(); strings.Contains(s, "(Esc: seen)") {
		t.Errorf("it was seen:\n%s", s)
	}
	d.press("/", "t")
	d.see(told)
	d.press("esc")
	d.wants("(Esc: seen)")
	d.press("esc")
	if s := d.screen(); strings.Contains(s, "(Esc: seen)") {
		t.Errorf("it was seen:\n%s", s)
	}
}

// How fast tokens are made is of now, and not exact where pieces of text are counted.
func TestMadeNow(t *testing.T) {
	for _, made := range []int{4, 0} {
		d := newDriver(t, tui.Options{}, "run")
		d.size(120, 40)
		d.see(event.RunStart{At: event.At{TimeNS: 1}, Name: "run"}, event.PointStart{At: event.At{TimeNS: 2}, Point: event.Point{Model: "m"}})
		for i := range 40 { // ten a second
			d.see(event.Token{At: event.At{TimeNS: int64(i) * 1e8}, BatchID: "b", Text: "x", Made: made})
		}
		want := "40.00 token/s"
		if made == 0 {
			want = "~10.00 token/s"
		}
		d.wants("made now", want)
		d.see(event.Sample{At: event.At{TimeNS: 10e9}, GPU: d.gpu(), Sample: gpu.UnknownSample()})
		d.wants("0 token/s")
	}
}

// Readings say how old they are, and more loudly once they are too old to be of now.
func TestAgeOfReadings(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {120, 40}} {
		d := newDriver(t, tui.Options{GPUs: simulated(1)}, "run")
		d.size(size[0], size[1])
		d.now = 5e9
		d.see(readings(d.now, 5, 1, nil)...)
		d.wants("0.0 s old")
		for _, by := range []time.Duration{2 * time.Second, time.Minute} {
			d.c.Tell(func(s *command.Status) { s.NowNS = d.now + int64(by) })
			d.refresh()
			want := "2.0 s old"
			if by == time.Minute {
				want = "0:01:00 old"
			}
			d.wants("readings", want)
		}
	}
}

// The pages of several GPUs and of monitors as they are kept.
func TestGoldenGPUs(t *testing.T) {
	for name, d := range map[string]*driver{"monitor": monitored(t, 1), "monitor8": monitored(t, 8), "live8": eight(t), "notice": noticing(t)} {
		for _, size := range goldenSizes {
			d.size(size.w, size.h)
			for _, th := range []theme.Name{theme.Dark, theme.Plain} {
				d.m.SetTheme(th)
				name := fmt.Sprintf("%s-%s-%s", name, size.name, th)
				golden(t, filepath.Join("..", "gpus", name), ansiOf(t, d.m))
				picture(t, d.m, name)
			}
		}
	}
}

// eight is the live page of eight GPUs, one of which is read no more.
func eight(t testing.TB) *driver {
	d := newDriver(t, tui.Options{GPUs: simulated(8), Version: "test"}, "run")
	d.now = 12e9
	d.see(readings(d.now, 12, 8, func(i int) bool { return i == 5 })...)
	return d
}

// noticing is the live page with something that nobody has seen yet.
func noticing(t testing.TB) *driver {
	d := newDriver(t, tui.Options{Version: "test"}, "run")
	d.step(9200 * time.Millisecond)
	d.see(event.Warning{At: event.At{TimeNS: d.now}, Text: "power source counter stepped back: the time around it is left out"},
		event.RequestEnergy{At: event.At{TimeNS: d.now}, Request: event.Request{RequestID: "b3.1", Flags: event.FlagsOf(event.FlagThrottled)}, Energy: event.Energy{EnergyJ: math.NaN(), EnergyErrJ: math.NaN()}})
	return d
}
