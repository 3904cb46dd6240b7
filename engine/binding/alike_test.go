package binding

import (
	"testing"
	"time"

	"jouletop/engine/event"
	"jouletop/gpu"
)

// Where a card looks each time a prefill runs, all that is read is held: it tells nothing
// of the decodes between, which draw far less than the limit allows.
func TestLooksThatFallIntoOneKindOfPhase(t *testing.T) {
	k := newCard(0, 700)
	const period = 200 * time.Millisecond
	decoding, now := false, time.Duration(0)
	// What it says is what it saw at its last look, each 200 ms.
	told, next := 1980, time.Duration(0)
	step := func(d time.Duration) {
		for end := now + d; now < end; now += 10 * time.Millisecond {
			mhz, bits := 1980, gpu.Throttle(0)
			if !decoding {
				mhz = 1700
			}
			if now >= next {
				told, next = mhz, now+period
			}
			if told < 1980 {
				bits = gpu.ThrottleSWPowerCap
			}
			k.w.Observe(event.Sample{At: event.At{TimeNS: int64(now)}, GPU: "g", Sample: gpu.Sample{SMMHz: told, Throttle: bits}})
			w := 650.0
			if decoding {
				w = 400
			}
			k.w.Observe(event.Power{GPU: "g", PowerReading: gpu.PowerReading{TimeNS: int64(now), Source: gpu.SourceBuffer, PowerW: w}})
		}
	}
	phase := func(p event.Phase, d time.Duration) {
		decoding = p == event.Decode
		from := now
		step(d)
		k.w.Observe(event.PhaseEnd{PhaseSpan: event.PhaseSpan{GPU: "g", Phase: p, StartNS: int64(from), EndNS: int64(now)}})
	}
	k.w.Observe(event.PointStart{})
	for range 20 { // of which it is learned how seldom it looks, and what held phases draw
		phase(event.Prefill, 610*time.Millisecond)
		phase(event.Decode, 430*time.Millisecond)
	}
	decoding, next = false, now // looks now, and then amid each prefill
	step(150 * time.Millisecond)
	k.w.Observe(event.PointStart{})
	for range 10 {
		phase(event.Prefill, 90*time.Millisecond)
		phase(event.Decode, 110*time.Millisecond)
	}
	h := k.w.Point()
	if h.Prefill.By != event.HeldByPower || h.Decode.By != event.HeldByNothing {
		t.Errorf("prefill %s, decode %s", h.Prefill, h.Decode)
	}
}

// The share of the limit that held phases draw is not learned from the one that could not
// keep to it.
func TestShareIsOneOfTheLower(t *testing.T) {
	var l levels
	for _, share := range []float64{0.978, 0.93} {
		l.add(share)
	}
	if got := l.share(); got > 0.935 {
		t.Errorf("share %g", got)
	}
}
