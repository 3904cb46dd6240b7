package tui_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"jouletop/engine/command"
	"jouletop/engine/event"
	"jouletop/tui"
)

// passes are those of so many seconds up to now: 20 a second, of seven requests of which
// one is read every so often.
func passes(now int64, seconds int) (out []event.Event) {
	for i := range 20 * seconds {
		start := now - int64(seconds)*1e9 + int64(i)*50e6
		it := event.Iteration{At: event.At{TimeNS: start + 40e6}, IterationSpan: event.IterationSpan{
			IterationID: fmt.Sprint(i), StartNS: start, EndNS: start + 40e6, DecodeRequests: 6, KVTokens: 900, Queued: 2,
		}}
		for slot := range 6 {
			it.Members = append(it.Members, event.IterationMember{RequestID: fmt.Sprintf("p1/q%d", 10+slot), Slot: slot, Known: 150, Fresh: 1})
		}
		if i%8 < 2 {
			it.PrefillTokens, it.PrefillRequests = 512, 1
			it.Members = append(it.Members, event.IterationMember{RequestID: fmt.Sprintf("p1/q%d", 20+i/8), Slot: 6, Fresh: 512, Prefill: true})
		}
		out = append(out, it)
	}
	return out
}

// Where requests are served the live page shows what is in the passes, and which request
// is where; elsewhere it does not.
func TestServingStrip(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {120, 40}, {200, 60}} {
		d := newDriver(t, tui.Options{}, "run")
		d.size(size[0], size[1])
		d.step(8 * time.Second)
		if s := d.screen(); strings.Contains(s, "Passes") {
			t.Fatalf("passes of nothing:\n%s", s)
		}
		d.see(passes(d.now, 5)...)
		d.wants("Passes", "of 7 at once · queue 2", "SM clock", "Power")
		if size[0] >= 200 {
			d.wants("20 passes/s · ", " token/s read · 12", " made")
		}
		_, strip, _ := strings.Cut(d.screen(), "Passes")
		if strip, _, _ = strings.Cut(strip, "\nphase"); strings.Count(strip, "░")+strings.Count(strip, "▓") < 35 {
			t.Errorf("%v: hardly a request in the strip:\n%s", size, strip)
		}
		d.wants("Service", "no request has ended", "made")
		d.c.Tell(func(s *command.Status) { s.SLO = "ttft=300ms,tpot=60ms" })
		for i := range 20 {
			q := event.Request{
				RequestID: fmt.Sprintf("p1/q%d", 10+i), PointID: "p1", ArrivalNS: d.now - 3e9 + int64(i)*1e8, EndNS: d.now - 1e9 + int64(i)*5e7,
				OutputTokens: 21, TTFTS: 0.1 + float64(i)*0.01, DecodeS: 1.4, QueueS: 0.01, GapMaxS: 0.08,
			}
			d.see(event.RequestDone{At: event.At{TimeNS: q.EndNS}, Request: q}, event.RequestEnergy{At: event.At{TimeNS: q.EndNS}, Request: q, Energy: event.Energy{EnergyJ: 45, EnergyErrJ: 2}})
		}
		d.step(time.Second)
		d.refresh()
		// All are late by TPOT, none by TTFT; 45 J each.
		d.wants("TTFT", "TPOT", "ms ✓", "ms ✗", "goodput", "0/20", "drawn now", "a request", "45.00 J")
		if size[0] > 80 {
			d.wants("p50 95 99", "195.0 280.5 288.1", "70.00 70.00 70.00")
		} else {
			d.wants("TTFT p95", "280.5 ms", "70.00 ms")
		}
		d.press("l")
		d.wants("Slots", "q15")
		if s := d.screen(); strings.Contains(s, "Passes") {
			t.Errorf("both:\n%s", s)
		}
		d.press("l")
		d.wants("Passes")
		d.press("+", "-")
		if got := d.c.Made(); len(got) < 2 || got[len(got)-2] != "pace 1.25" || got[len(got)-1] != "pace 0.8" {
			t.Errorf("%v", got)
		}
	}
}
