package binding

import (
	"math"
	"strings"
	"testing"
	"time"

	"jouletop/engine/event"
	"jouletop/gpu"
)

// counts plays the driver's counters beside a card: a reading a second.
type counts struct {
	*card
	l    gpu.LimitTimes
	next int64
}

func newCounts(lag time.Duration) *counts {
	return &counts{card: newCard(lag, 700), l: gpu.LimitTimes{Power: 5e9, Heat: 7e9, Board: -1, Reliability: 0}}
}

// phase is of some ms, of which the counter of power says that it was held for pct.
func (c *counts) phase(p event.Phase, d time.Duration, mhz int, bits gpu.Throttle, pct int64) {
	c.card.phase(p, d, mhz, bits)
	c.l.Power += int64(d) * pct / 100
	if c.t >= c.next {
		c.next = c.t + 1000*ms
		c.see(event.LimitTimes{At: event.At{TimeNS: c.t}, GPU: "g", LimitTimes: c.l})
	}
}

func (c *counts) start() { c.see(event.PointStart{Point: event.Point{PointID: "p"}}) }

// What the driver counts stands beside the verdict, in agreement or not, and never takes
// its place.
func TestCountedBesideTheVerdict(t *testing.T) {
	const capped = gpu.ThrottleSWPowerCap
	for name, c := range map[string]struct {
		pct   int64 // counted of a prefill that is truly held
		want  float64
		doubt string
	}{
		"as the reasons say":   {100, 50, ""},
		"nothing":              {0, 0, "power held the clock 50 % of the time"},
		"all the time":         {200, 100, "power held the clock 50 % of the time"},
		"more than there is":   {600, 100, "ran ahead of the clock"},
		"went back meanwhile":  {-100, 0, "went back"},
		"somewhat differently": {86, 43, ""},
	} {
		k := newCounts(0)
		k.start()
		for range 20 {
			k.phase(event.Prefill, 500*time.Millisecond, 1905, capped, c.pct)
			k.phase(event.Decode, 500*time.Millisecond, 1980, 0, 0)
		}
		h := k.w.Point()
		if h.Prefill.By != event.HeldByPower || h.Decode.By != event.HeldByNothing {
			t.Errorf("%s: %s", name, h.Short())
		}
		if got := h.Counted; math.Abs(got.PowerPct-c.want) > 4 || got.HeatPct != 0 || got.ForS < 17 || !strings.Contains(got.Doubt, c.doubt) || (c.doubt == "") != (got.Doubt == "") {
			t.Errorf("%s: %+v, want %.0f %%, %q", name, got, c.want, c.doubt)
		}
		if s := h.Sentence(700); !strings.Contains(s, "The driver itself counts ") || !strings.Contains(s, "never binds in decode") || !strings.Contains(s, c.doubt) {
			t.Errorf("%s: %s", name, s)
		}
	}
}

// A limit that is named while the clock is where it was asked to be costs nothing: that the
// driver counts it speaks against nothing.
func TestCountedWhileNamed(t *testing.T) {
	k := newCounts(0)
	k.start()
	for range 20 {
		k.phase(event.Decode, 500*time.Millisecond, 1980, gpu.ThrottleSWPowerCap, 100)
	}
	if h := k.w.Point(); h.Decode.By != event.HeldByNothing || h.Counted.Doubt != "" || h.Counted.PowerPct < 95 {
		t.Errorf("%s, %+v", h.Short(), h.Counted)
	}
}

// Phases of which the reasons leave open what held them are told by the counters where that
// takes no phases: all the time, and never, once these were seen to count what is true.
func TestCountedTellsWhatIsOpen(t *testing.T) {
	u := &unit{GPU: GPU{ID: "g", HighestMHz: 1980}}
	c := &counting{first: event.LimitTimes{At: event.At{TimeNS: 1e9}}, last: event.LimitTimes{At: event.At{TimeNS: 9e9}}}
	for name, k := range map[string]struct {
		power, heat float64
		doubt       string
		trusted     bool
		to          int64 // end of the decode, ns
		want        event.HeldBy
	}{
		"always":                 {99, 0, "", false, 9e9, event.HeldByPower},
		"always, heat uncounted": {99, math.NaN(), "", false, 9e9, event.HeldByPower},
		"never":                  {0.5, 0, "", true, 9e9, event.HeldByLock},
		"never, not trusted":     {0.5, 0, "", false, 9e9, ""},
		"at times":               {50, 0, "", true, 9e9, ""},
		"doubted":                {99, 0, "they went back", true, 9e9, ""},
		"hot":                    {0, 40, "", true, 9e9, ""},
		"mostly uncounted":       {99, 0, "", true, 30e9, ""},
	} {
		held := event.UnknownHeld()
		held.Counted = event.Counted{ForS: 8, PowerPct: k.power, HeatPct: k.heat, Doubt: k.doubt}
		held.Prefill = event.Held{By: event.HeldByNothing}
		a := &tally{facts: []fact{
			{u: u, phase: event.Prefill, from: 1e9, to: 2e9, ns: 1e9}, {u: u, phase: event.Decode, from: 2e9, to: k.to, ns: k.to - 2e9, locked: true},
		}}
		a.byCounts(&held, func(*unit) *counting { return c }, k.trusted)
		if held.Decode.By != k.want || held.Prefill.By != event.HeldByNothing || held.Score.Known() {
			t.Errorf("%s: %s", name, held.Short())
		}
	}
}

// Counters are trusted by a point in which they and the reasons agree that a limit held, and
// not any more once they said otherwise.
func TestTrustInCounters(t *testing.T) {
	k := newCounts(0)
	point := func(pct int64) {
		k.start()
		for range 20 {
			k.phase(event.Decode, 500*time.Millisecond, 1905, gpu.ThrottleSWPowerCap, pct)
		}
		k.start()
	}
	if point(100); !k.w.trusted || k.w.distrusted {
		t.Errorf("agreed: %v, %v", k.w.trusted, k.w.distrusted)
	}
	if point(20); !k.w.distrusted {
		t.Error("trusted though they say otherwise")
	}
}

// Too little time says nothing, nor does a card that counts nothing.
func TestNotCounted(t *testing.T) {
	k := newCounts(0)
	k.start()
	for range 4 {
		k.phase(event.Decode, 500*time.Millisecond, 1905, gpu.ThrottleSWPowerCap, 100)
	}
	if h := k.w.Point(); h.Counted.Known() || strings.Contains(h.Sentence(700), "counts") {
		t.Errorf("2 s: %+v", h.Counted)
	}
	k = newCounts(0)
	k.l = gpu.NoLimitTimes()
	k.start()
	for range 20 {
		k.phase(event.Decode, 500*time.Millisecond, 1905, 0, 0)
	}
	if h := k.w.Point(); h.Counted.Known() {
		t.Errorf("without counters: %+v", h.Counted)
	}
}

// Of several GPUs that work together the one that is held most is told of, and none where
// one does not count.
func TestCountedTogether(t *testing.T) {
	w := New(GPU{ID: "a", HighestMHz: 1980, LimitW: 700}, GPU{ID: "b", HighestMHz: 1980, LimitW: 700})
	w.Observe(event.PointStart{Point: event.Point{PointID: "p"}})
	for s := range int64(12) {
		for i, id := range []string{"a", "b"} {
			if s > 5 || i == 0 {
				w.Observe(event.LimitTimes{At: event.At{TimeNS: 1e9 * (s + 1)}, GPU: id, LimitTimes: gpu.LimitTimes{Power: s * int64(i) * 4e8, Heat: -1, Board: -1, Reliability: -1}})
			}
		}
		if h := w.Point(); h.Counted.Known() != (s >= 11) {
			t.Errorf("after %d s: %+v", s, h.Counted)
		}
	}
	if c := w.Point().Counted; math.Abs(c.PowerPct-40) > 1 || !math.IsNaN(c.HeatPct) {
		t.Errorf("%+v", c)
	}
}
