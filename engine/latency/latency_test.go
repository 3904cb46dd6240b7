package latency

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"jouletop/engine/event"
)

func TestMeasure(t *testing.T) {
	const s = int64(1e9)
	nan := math.NaN()
	for name, c := range map[string]struct {
		stamps Stamps
		want   event.Request
	}{
		"a batch": {
			Stamps{StartNS: 10 * s, PrefillEndNS: 11 * s, FirstTokenNS: 11 * s, EndNS: 15 * s, GapMaxNS: -1},
			event.Request{StartNS: 10 * s, EndNS: 15 * s, PrefillS: 1, DecodeS: 4, TTFTS: 1, QueueS: nan, GapMaxS: nan},
		},
		"scored": {
			Stamps{StartNS: 10 * s, PrefillEndNS: 11 * s, EndNS: 12 * s, GapMaxNS: -1},
			event.Request{StartNS: 10 * s, EndNS: 12 * s, PrefillS: 1, DecodeS: 1, TTFTS: nan, QueueS: nan, GapMaxS: nan},
		},
		"it waited on a server": {
			Stamps{StartNS: 10 * s, PrefillStartNS: 12 * s, PrefillEndNS: 13 * s, FirstTokenNS: 14 * s, EndNS: 15 * s, GapMaxNS: -1},
			event.Request{StartNS: 10 * s, EndNS: 15 * s, PrefillS: 1, DecodeS: 2, TTFTS: 4, QueueS: nan, GapMaxS: nan},
		},
		"it came by itself": {
			Stamps{ArrivalNS: 8 * s, StartNS: 10 * s, PrefillEndNS: 11 * s, FirstTokenNS: 11 * s, EndNS: 15 * s, GapMaxNS: 2 * s},
			event.Request{ArrivalNS: 8 * s, StartNS: 10 * s, EndNS: 15 * s, PrefillS: 1, DecodeS: 4, TTFTS: 3, QueueS: 2, GapMaxS: 2},
		},
		"it came, and waited on the server too": {
			Stamps{ArrivalNS: 8 * s, StartNS: 10 * s, PrefillStartNS: 12 * s, PrefillEndNS: 13 * s, FirstTokenNS: 13 * s, EndNS: 15 * s, GapMaxNS: 0},
			event.Request{ArrivalNS: 8 * s, StartNS: 12 * s, EndNS: 15 * s, PrefillS: 1, DecodeS: 2, TTFTS: 5, QueueS: 4, GapMaxS: 0},
		},
		"nothing came of it": {
			Stamps{ArrivalNS: 8 * s, StartNS: 10 * s, EndNS: 10 * s, GapMaxNS: -1},
			event.Request{ArrivalNS: 8 * s, StartNS: 10 * s, EndNS: 10 * s, PrefillS: nan, DecodeS: nan, TTFTS: nan, QueueS: nan, GapMaxS: nan},
		},
		"a server told its own times": {
			Stamps{StartNS: 10 * s, PrefillStartNS: 12 * s, PrefillEndNS: 13 * s, FirstTokenNS: 14 * s, EndNS: 15 * s, GapMaxNS: -1, ServerPrefillNS: s / 2, ServerDecodeNS: 2 * s},
			event.Request{StartNS: 10 * s, EndNS: 15 * s, PrefillS: 1, DecodeS: 2, TTFTS: 4, QueueS: nan, GapMaxS: nan, ServerPrefillS: 0.5, ServerDecodeS: 2},
		},
	} {
		if c.stamps.ServerDecodeNS == 0 { // it said nothing
			c.want.ServerPrefillS, c.want.ServerDecodeS = nan, nan
		}
		var got event.Request
		c.stamps.Measure(&got)
		if d := cmp.Diff(c.want, got, cmpopts.EquateNaNs()); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}
