package energy

import "sort"

// Kinds of time between phases.
const (
	// KindIdle is time between phases, or idle time told of by [Meter.AddPhase].
	KindIdle = "idle"
	// kindOther is time of which nothing was told: before the first phase, after
	// the last, and long gaps.
	kindOther = ""
)

// Phase is a span in which the GPU did one kind of work.
type Phase struct {
	Kind       string // prefill, decode, score, mixed, idle
	Batch      int    // batch size
	SMMHz      int    // requested SM clock; 0: the driver's default
	Start, End int64  // ns of the readings' time base
	Tokens     int    // processed or generated, over the batch; 0 unknown
}

// Seconds returns the phase's length.
func (p Phase) Seconds() float64 { return float64(p.End-p.Start) / 1e9 }

// Key is what phases have in common that are taken to draw the same power.
type Key struct {
	Kind  string
	Batch int
	SMMHz int
}

func (p Phase) key() Key { return Key{p.Kind, p.Batch, p.SMMHz} }

// maxGap is the longest pause between phases, in ns, that counts as idle:
// longer ones may hide work that nobody told of (loading a model).
const maxGap = 2e9

// segment is a part of the timeline in one phase or one pause.
type segment struct {
	key  Key
	inst int64 // identifies the phase or pause
	a, b int64
	// whole is the length of the phase in ns, 0 for a pause.
	whole int64
}

// timeline keeps the phases in the order of their starts.
type timeline struct {
	phases []Phase
	slow   map[int64]bool // what stalled returns; nil when phases have come or gone since
}

// add inserts p; it returns false for an empty phase.
func (tl *timeline) add(p Phase) bool {
	if p.End <= p.Start {
		return false
	}
	i := len(tl.phases)
	for i > 0 && tl.phases[i-1].Start > p.Start {
		i--
	}
	tl.phases = append(tl.phases, Phase{})
	copy(tl.phases[i+1:], tl.phases[i:])
	tl.phases[i] = p
	tl.slow = nil
	return true
}

func (tl *timeline) prune(t int64) {
	i := sort.Search(len(tl.phases), func(i int) bool { return tl.phases[i].End > t })
	if i > len(tl.phases)/4 && i > 64 {
		tl.phases = append(tl.phases[:0], tl.phases[i:]...)
		tl.slow = nil
	}
}

// end returns the end of the last phase.
func (tl *timeline) end() int64 {
	if len(tl.phases) == 0 {
		return 0
	}
	return tl.phases[len(tl.phases)-1].End
}

// from returns the index of the first phase that may reach beyond t.
func (tl *timeline) from(t int64) int {
	i := sort.Search(len(tl.phases), func(i int) bool { return tl.phases[i].Start > t })
	return max(i-1, 0)
}

// walk calls f for each segment of a to b in order, i being where to look for
// phases first (see from). Where phases overlap the earlier one counts. It
// returns where to look first for what follows b.
func (tl *timeline) walk(i int, a, b int64, f func(segment)) int {
	at := a
	ps := tl.phases
	for ; i < len(ps) && at < b; i++ {
		p := ps[i]
		if p.End <= at {
			continue
		}
		if p.Start > at {
			end := min(p.Start, b)
			f(tl.pause(i, at, end))
			at = end
			if at >= b {
				break
			}
		}
		end := min(p.End, b)
		f(segment{p.key(), 2 * p.Start, at, end, p.End - p.Start})
		at = end
		if p.End > b {
			break
		}
	}
	if at < b {
		f(tl.pause(len(ps), at, b))
	}
	return max(min(i, len(ps)-1), 0)
}

// pause describes the time a to b before phase i (not in any phase).
func (tl *timeline) pause(i int, a, b int64) segment {
	ps := tl.phases
	if i > 0 && i < len(ps) {
		if prev := ps[i-1]; ps[i].Start-prev.End <= maxGap {
			return segment{Key{Kind: KindIdle, SMMHz: prev.SMMHz}, 2*prev.End + 1, a, b, 0}
		}
	}
	var inst int64 = -1
	if i > 0 {
		inst = 2*ps[i-1].End + 1
	}
	return segment{Key{Kind: kindOther}, inst, a, b, 0}
}

// stalled returns the phases that lasted much longer than others with as many
// tokens: the GPU waited (for kernels to be loaded the first time, say), and what
// they drew says nothing of their kind.
func (tl *timeline) stalled() map[int64]bool {
	if tl.slow == nil {
		tl.slow = tl.findStalled()
	}
	return tl.slow
}

func (tl *timeline) findStalled() map[int64]bool {
	type size struct {
		Key
		tokens int
	}
	lengths := map[size][]float64{}
	of := func(p Phase) size { return size{p.key(), p.Tokens} }
	for _, p := range tl.phases {
		if p.Tokens > 0 {
			lengths[of(p)] = append(lengths[of(p)], p.Seconds())
		}
	}
	for _, l := range lengths {
		sort.Float64s(l)
	}
	out := map[int64]bool{}
	for _, p := range tl.phases {
		if l := lengths[of(p)]; len(l) >= 3 && p.Seconds() > 1.4*l[len(l)/2] {
			out[2*p.Start] = true
		}
	}
	return out
}

// fall is a moment at which work ended and nothing followed for a while.
type fall struct{ end, next int64 }

// falls returns those falls that leave the GPU idle for at least so many ns.
func (tl *timeline) falls(pause int64) []fall {
	var out []fall
	var last *Phase
	for i := range tl.phases {
		p := &tl.phases[i]
		if p.Kind == KindIdle {
			continue
		}
		if last != nil {
			if d := p.Start - last.End; d >= pause && d <= maxGap {
				out = append(out, fall{last.End, p.Start})
			}
		}
		last = p
	}
	return out
}
