package tui_test

import (
	"fmt"
	"image/color"
	"strings"
	"testing"

	"jouletop/engine/command"
	"jouletop/engine/event"
	"jouletop/tui"
	"jouletop/tui/theme"
)

// ran are the requests of a job that runs two settings in turns: B's energies and
// latencies are A's times factors, with a scatter between repeats.
func ran(repeats int, energy, latency, scatter float64, change func(side int, r *event.RequestEnergy)) []event.Event {
	out := []event.Event{event.RunStart{At: event.At{TimeNS: 1}, Name: "comparison", Points: 2 * repeats}}
	for repeat := range repeats {
		for side, policy := range []string{"none", "phase:1980/1005"} {
			for q := range 8 {
				joules, late := 100+10*float64(q), 1+0.1*float64(q)
				if side == 1 {
					joules, late = joules*energy, late*latency
				}
				joules *= 1 + scatter*float64(repeat%3-1)*float64(1-2*side)
				r := event.RequestEnergy{Energy: event.Energy{EnergyJ: joules, Method: "buffer"}}
				r.Request = event.Request{
					RequestID: fmt.Sprint(policy, repeat, q), BatchID: fmt.Sprint(policy, repeat, q), Model: "m", Dataset: "d", QueryID: fmt.Sprint(q),
					BatchSize: 1, PointBatchSize: 1, Repeat: repeat + 1, Policy: policy, StartNS: 1e9, EndNS: 1e9 + int64(1e9*late),
					InputTokens: 100, OutputTokens: 50, PrefillS: 0.1, DecodeS: late - 0.1, TTFTS: 0.12, Quality: 0.5,
				}
				if change != nil {
					change(side, &r)
				}
				out = append(out, event.RequestDone{At: event.At{TimeNS: 2}, Request: r.Request}, r)
				for _, kind := range []event.Phase{event.Prefill, event.Decode} {
					span := event.PhaseSpan{BatchID: r.BatchID, Phase: kind, StartNS: 0, EndNS: int64(1e9 * late)}
					out = append(out, event.PhaseEnergy{At: event.At{TimeNS: 2}, PhaseSpan: span, SMMHzMean: 1000 + 500*float64(side), Energy: event.Energy{EnergyJ: joules}})
				}
			}
		}
	}
	return out
}

// The verdict is the one of jouletop compare: in a sentence, in a word, and refused with
// the reason where more than the clock differs. All of it is there at every size.
func TestComparePageSaysTheVerdict(t *testing.T) {
	for _, c := range []struct {
		name                     string
		energy, latency, scatter float64
		change                   func(side int, r *event.RequestEnergy)
		shows                    []string
		hides                    string
	}{
		{name: "lower and slower", energy: 0.66, latency: 1.08, shows: []string{"34 ± 1 % less energy, 8 ± 2 % slower", "phase:1980/1005 against driver's clock", "8 queries × 3 repeats", "A driver's clock"}},
		{name: "the same", energy: 1.002, latency: 1, shows: []string{"no difference resolved"}},
		{name: "unsure", energy: 0.9, latency: 1, scatter: 0.2, shows: []string{"no difference resolved"}},
		{name: "other tokens", energy: 0.66, latency: 1.08, change: func(side int, r *event.RequestEnergy) { r.OutputTokens += 5 * side }, shows: []string{
			"tokens: 400 output tokens against 440", "Not comparable: more than the clock differs",
		}, hides: "less energy"},
		{name: "a flag", energy: 0.66, latency: 1.08, change: func(side int, r *event.RequestEnergy) {
			if side == 1 {
				r.Flags = event.FlagsOf(event.FlagClockLost)
			}
		}, shows: []string{"flags: none against clock-lost"}, hides: "less energy"},
	} {
		for _, size := range [][2]int{{60, 16}, {80, 24}, {120, 40}, {200, 60}} {
			d := newDriver(t, tui.Options{}, "run")
			d.size(size[0], size[1])
			d.press("4")
			d.see(ran(3, c.energy, c.latency, c.scatter, c.change)...)
			d.see(event.RunEnd{At: event.At{TimeNS: 3}, How: event.HowDone})
			d.wants(append(c.shows, "P prefill", "D decode", "1000 MHz", "1500 MHz")...)
			if s := d.screen(); c.hides != "" && strings.Contains(strings.ToLower(s), c.hides) {
				t.Errorf("%s: %q is claimed:\n%s", c.name, c.hides, s)
			}
			if strings.Contains(c.name, "same") || strings.Contains(c.name, "unsure") {
				d.m.SetTheme(theme.Dark)
				colours(t, d, false)
			}
			if c.name == "lower and slower" {
				d.m.SetTheme(theme.Dark)
				colours(t, d, true)
			}
		}
	}
}

// colours checks that large digits have a colour where a difference is resolved alone.
func colours(t *testing.T, d *driver, want bool) {
	t.Helper()
	c := d.m.Canvas()
	same := func(a, b color.Color) bool {
		if a == nil || b == nil {
			return false
		}
		r, g, bl, _ := a.RGBA()
		r2, g2, b2, _ := b.RGBA()
		return r == r2 && g == g2 && bl == b2
	}
	coloured := false
	for y := 2; y < 8; y++ {
		for x := range c.W {
			cell := c.At(x, y)
			if strings.Contains("█▀▄", cell.Content) && (same(cell.Style.Fg, c.Style(theme.Good).GetForeground()) || same(cell.Style.Fg, c.Style(theme.Warn).GetForeground())) {
				coloured = true
			}
		}
	}
	if coloured != want {
		t.Errorf("digits in colour: %v, want %v:\n%s", coloured, want, d.screen())
	}
}

// While it runs it says how far it is, and before that what it waits for.
func TestComparePageSaysWhatItWaitsFor(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {200, 60}} {
		d := newDriver(t, tui.Options{}, "run")
		d.size(size[0], size[1])
		d.press("4", "n", "enter")
		d.c.Tell(func(s *command.Status) {
			s.Queue = []command.Queued{
				{ID: 1, Name: "llama-3.1-8b on boolq", Points: 1, Running: true},
				{ID: 2, Name: "none against phase:1980/1005", Points: 6, Policies: []string{"none", "phase:1980/1005"}},
			}
		})
		d.refresh()
		d.wants("waits for 1 job before it")
		d.c.Tell(func(s *command.Status) {
			s.Queue = []command.Queued{{ID: 2, Points: 6, Policies: []string{"none", "phase:1980/1005"}, Running: true, Seconds: 65}}
		})
		d.refresh()
		events := ran(3, 0.66, 1.08, 0, nil)
		d.see(events[:len(events)/2]...)
		d.wants("so far: 0 of 6 points, left 0:01:05", "8 queries × 2 and 1 repeat", "less energy")
	}
}
