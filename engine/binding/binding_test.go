package binding

import (
	"math"
	"testing"
	"time"

	"jouletop/engine/event"
	"jouletop/gpu"
)

// card plays a GPU's samples and phases to a watch, each ms a step.
type card struct {
	w       *Watch
	t       int64
	lag     int64 // by which what is read comes late, and how often it is renewed, ns
	mhz     int
	wanted  int
	history []event.Sample // what truly was
	events  []event.Event
}

const ms = int64(time.Millisecond)

func newCard(lag time.Duration, limitW float64) *card {
	return &card{w: New(GPU{ID: "g", HighestMHz: 1980, LimitW: limitW}), t: 1000 * ms, lag: int64(lag), mhz: 1980}
}

func (c *card) see(e event.Event) { c.events = append(c.events, c.w.Observe(e)...) }

// step goes on for d with the clock at mhz, for these reasons.
func (c *card) step(d time.Duration, mhz int, bits gpu.Throttle) {
	for end := c.t + int64(d); c.t < end; c.t += 10 * ms {
		c.history = append(c.history, event.Sample{At: event.At{TimeNS: c.t}, Sample: gpu.Sample{SMMHz: mhz, Throttle: bits}})
		shown := c.history[len(c.history)-1]
		if c.lag > 0 {
			renewed := c.t - c.t%c.lag - ms
			for i := len(c.history) - 1; i >= 0 && c.history[i].TimeNS > renewed; i-- {
				shown = c.history[max(i-1, 0)]
			}
		}
		shown.TimeNS, shown.GPU, shown.RequestedSMMHz = c.t, "g", c.wanted
		c.see(shown)
	}
}

func (c *card) phase(p event.Phase, d time.Duration, mhz int, bits gpu.Throttle) {
	start := c.t
	c.step(d, mhz, bits)
	c.see(event.PhaseEnd{At: event.At{TimeNS: c.t}, PhaseSpan: event.PhaseSpan{PointID: "p", GPU: "g", Phase: p, StartNS: start, EndNS: c.t}})
}

func TestVerdicts(t *testing.T) {
	const cap, hot, lock, idle = gpu.ThrottleSWPowerCap, gpu.ThrottleHWThermal, gpu.ThrottleAppClocks, gpu.ThrottleIdle
	for name, c := range map[string]struct {
		lag             time.Duration
		wanted          int
		prefill, decode time.Duration
		pMHz, dMHz      int
		pBits, dBits    gpu.Throttle
		p, d            event.HeldBy
		pPct, dPct      float64
	}{
		"prefill capped, told at once": {0, 0, 120 * time.Millisecond, time.Second, 1905, 1980, cap, 0, event.HeldByPower, event.HeldByNothing, 100, 0},
		"prefill capped, told late":    {100 * time.Millisecond, 0, 120 * time.Millisecond, 1500 * time.Millisecond, 1905, 1980, cap, 0, event.HeldByPower, event.HeldByNothing, 100, 0},
		"both capped, told at once":    {0, 0, 120 * time.Millisecond, time.Second, 1300, 1400, cap, cap, event.HeldByPower, event.HeldByPower, 100, 100},
		"both capped, told late":       {100 * time.Millisecond, 0, 120 * time.Millisecond, 1500 * time.Millisecond, 1300, 1400, cap, cap, event.HeldByPower, event.HeldByPower, 100, 100},
		"short phases, told late":      {100 * time.Millisecond, 0, 120 * time.Millisecond, 150 * time.Millisecond, 1905, 1980, cap, 0, event.HeldByPower, event.HeldByNothing, 100, 0},
		"shorter than it is renewed":   {100 * time.Millisecond, 0, 50 * time.Millisecond, 70 * time.Millisecond, 1905, 1980, cap, 0, "", "", math.NaN(), math.NaN()},
		"named, but at its clock":      {0, 0, 120 * time.Millisecond, time.Second, 1980, 1980, cap, 0, event.HeldByNothing, event.HeldByNothing, 0, 0},
		"locked":                       {0, 1005, 120 * time.Millisecond, time.Second, 1005, 1005, lock, lock, event.HeldByLock, event.HeldByLock, 0, 0},
		"locked, and capped below":     {0, 1500, 120 * time.Millisecond, time.Second, 1400, 1500, lock | cap, lock, event.HeldByPower, event.HeldByLock, 100, 0},
		"hot":                          {0, 0, 120 * time.Millisecond, time.Second, 1700, 1700, hot, hot, event.HeldByHeat, event.HeldByHeat, 100, 100},
	} {
		k := newCard(c.lag, 700)
		k.wanted = c.wanted
		k.step(2*time.Second, 1980, idle)
		k.see(event.PointStart{Point: event.Point{PointID: "p"}})
		for range 12 {
			k.phase(event.Prefill, c.prefill, c.pMHz, c.pBits)
			k.phase(event.Decode, c.decode, c.dMHz, c.dBits)
		}
		h := k.w.Point()
		check := func(phase string, got event.Held, by event.HeldBy, pct float64) {
			if got.By != by || math.Abs(got.Pct-pct) > 8 && !(math.IsNaN(pct) && math.IsNaN(got.Pct)) {
				t.Errorf("%s: %s: %q %.0f %%, want %q %.0f %%", name, phase, got.By, got.Pct, by, pct)
			}
		}
		check("prefill", h.Prefill, c.p, c.pPct)
		check("decode", h.Decode, c.d, c.dPct)
		if h.Score.Known() || h.Mixed.Known() {
			t.Errorf("%s: knows of phases that were not: %+v", name, h)
		}
	}
}

// Where the clock follows work as slowly as it is read, what is seen in short phases may
// be of their neighbours: nobody can tell.
func TestSlowClock(t *testing.T) {
	k := newCard(100*time.Millisecond, 700)
	k.step(2*time.Second, 1980, gpu.ThrottleIdle)
	k.see(event.PointStart{Point: event.Point{PointID: "p"}})
	for range 12 {
		k.phase(event.Prefill, 120*time.Millisecond, 1980, 0) // the clock is lowered by its end
		start := k.t
		k.step(60*time.Millisecond, 1905, gpu.ThrottleSWPowerCap)
		k.step(100*time.Millisecond, 1980, 0)
		k.see(event.PhaseEnd{PhaseSpan: event.PhaseSpan{PointID: "p", GPU: "g", Phase: event.Decode, StartNS: start, EndNS: k.t}})
	}
	if h := k.w.Point(); h.Prefill.Known() || h.Decode.Known() {
		t.Errorf("prefill %s, decode %s", h.Prefill, h.Decode)
	}
}

// Phases too short for the card to look at them are told of by what they draw, where it is
// known what the limit lets a phase draw that it holds.
func TestByWhatIsDrawn(t *testing.T) {
	for watts, want := range map[float64]event.HeldBy{651: event.HeldByPower, 560: event.HeldByNothing} {
		k := newCard(100*time.Millisecond, 700)
		draw := func(from int64, w float64) {
			for at := from - from%(20*ms) + 20*ms; at <= k.t; at += 20 * ms {
				k.see(event.Power{GPU: "g", PowerReading: gpu.PowerReading{TimeNS: at, Source: gpu.SourceBuffer, PowerW: w}})
			}
		}
		phase := func(p event.Phase, d time.Duration, mhz int, bits gpu.Throttle, w float64) {
			from := k.t
			k.phase(p, d, mhz, bits)
			draw(from, w)
		}
		for range 6 { // what it holds draws 651 W
			phase(event.Prefill, 200*time.Millisecond, 1980, 0, 500)
			phase(event.Decode, time.Second, 1905, gpu.ThrottleSWPowerCap, 651)
		}
		if h := k.w.Point(); h.Decode.By != event.HeldByPower {
			t.Errorf("decode %s", h.Decode)
		}
		k.see(event.PointStart{Point: event.Point{PointID: "p"}})
		for range 4 { // in step with the card's looks, none of which falls into a prefill
			k.step(100*time.Millisecond-time.Duration(k.t%(100*ms))+20*time.Millisecond, 1980, gpu.ThrottleIdle)
			phase(event.Decode, 300*time.Millisecond, 1980, 0, 400)
			phase(event.Prefill, 40*time.Millisecond, 1980, 0, watts)
			phase(event.Decode, 300*time.Millisecond, 1980, 0, 400)
		}
		if h := k.w.Point(); h.Prefill.By != want || h.Decode.By != event.HeldByNothing {
			t.Errorf("at %g W: prefill %s, decode %s", watts, h.Prefill, h.Decode)
		}
	}
}

// Work is told of after some seconds, then each minute, and by itself under each power
// limit; idleness is not.
func TestMinutes(t *testing.T) {
	k := newCard(0, 700)
	k.step(70*time.Second, 1980, gpu.ThrottleIdle)
	if len(k.events) != 0 {
		t.Fatalf("told of idleness: %+v", k.events)
	}
	change := func(mw int, err string) {
		k.see(event.KnobChange{At: event.At{TimeNS: k.t}, GPU: "g", Knob: gpu.KnobPower, Requested: mw, Achieved: mw, Err: err})
	}
	change(400_000, "")
	for range 132 {
		k.phase(event.Decode, time.Second, 1500, gpu.ThrottleSWPowerCap)
	}
	if len(k.events) != 3 {
		t.Fatalf("%d verdicts of 132 s", len(k.events))
	}
	for i, e := range k.events {
		b := e.(event.Bound)
		if s := b.TimeNS - b.FromNS; b.LimitW != 400 || b.GPU != "g" || b.Held.Decode.By != event.HeldByPower || b.Held.Prefill.Known() || (i > 0) != (s >= everyNS) {
			t.Errorf("%d: %+v", i, b)
		}
	}
	k.events = nil
	change(-1, "refused")
	k.phase(event.Decode, 3*time.Second, 1500, gpu.ThrottleSWPowerCap)
	change(600_000, "")
	for range 12 {
		k.phase(event.Decode, time.Second, 1980, 0)
	}
	if len(k.events) != 2 {
		t.Fatalf("%d verdicts: %+v", len(k.events), k.events)
	}
	before, after := k.events[0].(event.Bound), k.events[1].(event.Bound)
	if before.LimitW != 400 || before.Held.Decode.By != event.HeldByPower || after.LimitW != 600 || after.Held.Decode.By != event.HeldByNothing {
		t.Errorf("before %+v, after %+v", before, after)
	}
}

// Where a driver names no reasons, the power drawn tells a limit from what else may hold
// a clock down.
func TestWithoutReasons(t *testing.T) {
	for watts, want := range map[float64]event.HeldBy{650: event.HeldByPower, 300: event.HeldByNothing} {
		k := newCard(0, 700)
		k.see(event.Power{GPU: "g", PowerReading: gpu.PowerReading{Source: gpu.SourceInstant, PowerW: watts}})
		for range 10 {
			k.phase(event.Prefill, 200*time.Millisecond, 1905, 0)
			k.phase(event.Decode, time.Second, 1980, 0)
		}
		of, odds := k.w.point.look()
		for p, x := range of {
			t.Log(p, *x, odds, k.w.odds, k.w.units[0].period(), k.w.units[0].levels, k.w.point.drawn(k.w.units[0], p), k.w.point.prompt(), k.w.point.byPower(p), len(k.w.point.facts))
		}
		if h := k.w.Point(); h.Prefill.By != want || h.Decode.By != event.HeldByNothing {
			t.Errorf("at %g W: %+v", watts, h)
		}
	}
}
