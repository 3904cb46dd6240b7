// Package latency says how long the parts of a request took, from the times at which
// they were seen: the one place for the time to the first token (TTFT), prefill,
// decode, the wait for a turn and the gaps between tokens. The time per output token
// and the whole latency follow from these (event.Request.TPOTS and LatencyS).
package latency

import (
	"cmp"
	"math"

	"jouletop/engine/event"
)

// Stamps are the times of a request, in ns of the run's clock; 0 is unknown, but for the
// gap.
type Stamps struct {
	ArrivalNS int64 // when it was meant to come; 0 for one of a batch that began together
	StartNS   int64 // when it was accepted
	// PrefillStartNS is prefill's start where it is known to have waited first.
	PrefillStartNS int64
	PrefillEndNS   int64
	FirstTokenNS   int64 // as its reader saw it; 0 where scored
	EndNS          int64 // its last token, or score's end
	GapMaxNS       int64 // the longest time between two of its tokens; -1 unknown
	// What a server said that these took, believed or not, in ns; 0 where it said nothing.
	ServerPrefillNS, ServerDecodeNS int64
}

// Measure gives r its times: StartNS, EndNS, ArrivalNS, and what follows from them, in
// s, NaN where it is unknown.
func (s Stamps) Measure(r *event.Request) {
	r.StartNS, r.EndNS, r.ArrivalNS = s.StartNS, s.EndNS, s.ArrivalNS
	r.PrefillS, r.DecodeS, r.TTFTS, r.QueueS, r.GapMaxS = math.NaN(), math.NaN(), math.NaN(), math.NaN(), math.NaN()
	begun := cmp.Or(s.PrefillStartNS, s.StartNS) // to be read, as far as is known
	if s.PrefillEndNS > 0 {
		r.PrefillS, r.DecodeS = seconds(begun, s.PrefillEndNS), seconds(s.PrefillEndNS, s.EndNS)
	}
	if s.GapMaxNS >= 0 {
		r.GapMaxS = float64(s.GapMaxNS) / 1e9
	}
	r.ServerPrefillS, r.ServerDecodeS = told(s.ServerPrefillNS), told(s.ServerDecodeNS)
	if s.FirstTokenNS == 0 {
		return
	}
	if s.ArrivalNS == 0 {
		r.TTFTS = seconds(s.StartNS, s.FirstTokenNS)
		return
	}
	r.StartNS = begun
	r.QueueS, r.TTFTS = seconds(s.ArrivalNS, begun), seconds(s.ArrivalNS, s.FirstTokenNS)
}

func told(ns int64) float64 {
	if ns <= 0 {
		return math.NaN()
	}
	return float64(ns) / 1e9
}

func seconds(from, to int64) float64 { return float64(to-from) / 1e9 }
