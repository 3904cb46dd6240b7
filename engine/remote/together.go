package remote

import (
	"fmt"
	"slices"
	"time"

	"jouletop/engine/event"
)

// judgeTogether flags what the texts of a batch show together, where they came a
// token at a time: that some waited until others had ended, and that all stood still.
func (r *run) judgeTogether() {
	if r.inTurns() {
		r.flagAll(event.FlagBatchApart)
		if r.patience == 0 {
			r.warn("the server runs the requests of a batch one after another: it has fewer slots than that")
		}
	}
	gap, from := r.standstill()
	if gap == 0 {
		return
	}
	for i, text := range r.texts {
		if text[len(text)-1] > from {
			r.results[i].Flags = r.results[i].Flags.With(event.FlagStalled)
		}
	}
	if r.patience == 0 {
		r.warn(fmt.Sprintf("a text stood still in its middle, for %v or more, at the server or on its way: that time is in its joules", r.still))
	}
}

// inTurns tells whether a text of the batch began after another had ended that was no
// mere few tokens long.
func (r *run) inTurns() bool {
	for i, later := range r.texts {
		for j, text := range r.texts {
			if i != j && len(later) > 0 && len(text) >= max(2, min(fewTokens, r.most[j])) && later[0] >= text[len(text)-1] {
				return true
			}
		}
	}
	return false
}

// standstill is the longest time, in ns, in which no text of the batch went on though
// all had begun, and when it began; 0 where it is none to speak of: under a twentieth
// of the batch, or not far longer than a token takes.
func (r *run) standstill() (gap, from int64) {
	var all, steps []int64
	begun := int64(0)
	for _, text := range r.texts {
		if len(text) == 0 {
			return 0, 0
		}
		begun = max(begun, text[0])
		all = append(all, text...)
		for k := 1; k < len(text); k++ {
			steps = append(steps, text[k]-text[k-1])
		}
	}
	if len(steps) < 2 {
		return 0, 0
	}
	slices.Sort(all)
	for k := 1; k < len(all); k++ {
		if d := all[k] - all[k-1]; all[k-1] >= begun && d > gap {
			gap, from = d, all[k-1]
		}
	}
	if 20*gap < all[len(all)-1]-r.results[0].StartNS || gap < max(int64(r.still), 10*medianOf(steps)) {
		return 0, 0
	}
	return gap, from
}

// shortStandstill is how long a text may stand still before it is said.
const shortStandstill = 300 * time.Millisecond

func (r *run) flagAll(f event.Flag) {
	for i := range r.results {
		r.results[i].Flags = r.results[i].Flags.With(f)
	}
}
