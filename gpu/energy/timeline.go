package energy

import (
	"math"
	"sort"
)

// Kinds of time between phases.
const (
	// KindIdle is time between phases, or idle time told of by [Meter.AddPhase].
	KindIdle = "idle"
	// kindPause is a pause so short that the GPU does not come to rest in it: power
	// falls over some tens of ms after work ends (an H100, driver 580).
	kindPause = "pause"
	// kindGap is a pause that is lost in a bin: no sensor tells what it draws.
	kindGap = "gap"
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
	// Model tells models apart, and what else changes the power of the same phase:
	// its file, layers and devices.
	Model string
	// Throttled: a power or thermal limit held the clock down for most of it.
	Throttled bool
	// Context is the mean number of tokens a sequence attends to; 0 unknown.
	Context float64
	// Loads are amounts of work in the phase, each of which costs energy beside what
	// the time costs; what each counts is the caller's. None is negative.
	Loads Loads
}

// sorts is how many sorts of work a phase may have in it, and ways in how many ways the
// first of them is done.
const sorts, ways = 6, 3

// Loads are amounts of several sorts of work. The last two are the first done other ways
// (by other kernels, say): until phases show what these cost, they are taken to be about
// what the first does.
type Loads [sorts]float64

// Seconds returns the phase's length.
func (p Phase) Seconds() float64 { return float64(p.End-p.Start) / 1e9 }

// Key is what phases have in common that are taken to draw the same power.
type Key struct {
	Kind      string
	Model     string
	Batch     int
	SMMHz     int
	Throttled bool

	of effect // what of such phases a fit's parameter is
}

// effect is what a parameter of a fit stands for.
type effect uint8

const (
	power effect = iota // the mean power of a kind
	slope               // how it goes with the logarithm of the context
	start               // how far it is off in the first ms after a pause, while the host launches the work
	load0               // what the first sort of load adds, at its usual rate; and so on
)

// with returns the parameter of k that stands for e.
func (k Key) with(e effect) Key {
	k.of = e
	return k
}

// startTime is how long in ns a phase's start lasts.
const startTime = int64(5e6)

// startOverlap returns for how long in s a to b lies in the start of s's phase.
func (s segment) startOverlap(a, b int64) float64 {
	if !s.rested {
		return 0
	}
	began := s.inst / 2
	return float64(max(min(b, began+startTime)-max(a, began), 0)) / 1e9
}

func (p Phase) key() Key {
	return Key{Kind: p.Kind, Model: p.Model, Batch: p.Batch, SMMHz: p.SMMHz, Throttled: p.Throttled}
}

// work tells whether k is work rather than a pause.
func (k Key) work() bool {
	return k.Kind != KindIdle && k.Kind != kindPause && k.Kind != kindGap && k.Kind != kindOther
}

// maxGap is the longest pause between phases, in ns, that counts as idle:
// longer ones may hide work that nobody told of (loading a model).
const maxGap = 2e9

// The longest pauses in ns that are a kindGap and a kindPause.
const (
	tinyGap  = 3e6
	shortGap = 60e6
)

// segment is a part of the timeline in one phase or one pause.
type segment struct {
	key  Key
	id   int   // of the key: see timeline.name
	inst int64 // identifies the phase or pause
	a, b int64
	// whole is the length of the phase in ns, 0 for a pause.
	whole   int64
	context float64 // tokens; 0 unknown
	rested  bool    // the phase began after a pause
	loads   *Loads  // of the phase; nil for a pause
}

// rate returns how much of its phase's k-th load a segment does a second.
func (s segment) rate(k int) float64 {
	if s.loads == nil || s.whole == 0 {
		return 0
	}
	return s.loads[k] / (float64(s.whole) / 1e9)
}

// timeline keeps the phases in the order of their starts.
type timeline struct {
	phases []placed
	ids    map[Key]int
	names  map[Key]*names // by the kind of phase
	slow   map[int64]bool // what stalled returns; nil when phases have come or gone since
}

// placed is a phase with its names.
type placed struct {
	Phase
	*names
}

// names are what a kind of phase and the pauses that may follow it are called: keys
// are compared millions of times.
type names struct {
	kind  named
	after [3]named // a gap, a pause, idle
}

// named is a key with its number in a timeline.
type named struct {
	key Key
	id  int
}

// name numbers a key, from 1 on, the same as long as the timeline lives.
func (tl *timeline) name(k Key) named {
	i, ok := tl.ids[k]
	if !ok {
		i = len(tl.ids) + 1
		tl.ids[k] = i
	}
	return named{k, i}
}

// namesOf returns the names of a kind of phase.
func (tl *timeline) namesOf(k Key) *names {
	n := tl.names[k]
	if n == nil {
		if tl.names == nil {
			tl.ids, tl.names = map[Key]int{}, map[Key]*names{}
		}
		n = &names{kind: tl.name(k)}
		for i, kind := range [3]string{kindGap, kindPause, KindIdle} {
			n.after[i] = tl.name(Key{Kind: kind, SMMHz: k.SMMHz})
		}
		tl.names[k] = n
	}
	return n
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
	tl.phases = append(tl.phases, placed{})
	copy(tl.phases[i+1:], tl.phases[i:])
	tl.phases[i] = placed{p, tl.namesOf(p.key())}
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
		p := &ps[i]
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
		f(segment{p.kind.key, p.kind.id, 2 * p.Start, at, end, p.End - p.Start, p.Context, tl.rested(i), &p.Loads})
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

// rested tells whether phase i began after a pause, however short.
func (tl *timeline) rested(i int) bool {
	const together = 50e3 // ns
	return i == 0 || tl.phases[i].Start-tl.phases[i-1].End > together
}

// beginnings returns how many phases began after a pause.
func (tl *timeline) beginnings() (n int) {
	for i := range tl.phases {
		if tl.rested(i) {
			n++
		}
	}
	return n
}

// pause describes the time a to b before phase i (not in any phase).
func (tl *timeline) pause(i int, a, b int64) segment {
	ps := tl.phases
	s := segment{inst: -1, a: a, b: b} // of kindOther, which has no number
	if i == 0 {
		return s
	}
	prev := &ps[i-1]
	s.inst = 2*prev.End + 1
	if i == len(ps) {
		return s
	}
	var n named
	switch d := ps[i].Start - prev.End; {
	case d <= tinyGap:
		n = prev.after[0]
	case d <= shortGap && prev.Kind != KindIdle && ps[i].Kind != KindIdle:
		n = prev.after[1]
	case d <= maxGap:
		n = prev.after[2]
	}
	s.key, s.id = n.key, n.id
	return s
}

// trait says what the power of a kind of phase may depend on beside the kind.
type trait struct {
	slope bool    // the context: contexts differ enough to tell
	x0    float64 // mean logarithm of the context
	start bool    // whether it has just started: phases last long enough to tell
	rates Loads   // a second: the mean of each load, 0 where there is none
}

// traits returns what bears on the power of each kind of phase.
func (tl *timeline) traits() map[Key]trait {
	type sums struct {
		n, s, s2, all, length float64
		loads                 Loads
	}
	of := map[Key]sums{}
	for i := range tl.phases {
		p := &tl.phases[i]
		a := of[p.kind.key]
		a.all, a.length = a.all+1, a.length+float64(p.End-p.Start)
		for j, l := range p.Loads {
			a.loads[j] += l
		}
		if p.Context > 0 {
			x := math.Log(p.Context)
			a.n, a.s, a.s2 = a.n+1, a.s+x, a.s2+x*x
		}
		of[p.kind.key] = a
	}
	const phases, spread = 8, 0.05 // fewer, or more alike, tell nothing
	out := map[Key]trait{}
	for k, a := range of {
		if !k.work() {
			continue
		}
		t := trait{start: a.length/a.all > 3*float64(startTime)}
		if mean := a.s / a.n; a.n >= phases && a.s2/a.n-mean*mean > spread*spread {
			t.slope, t.x0 = true, mean
		}
		for j, l := range a.loads {
			if t.rates[j] = l / (a.length / 1e9); l > 0 {
				t.start = false // what each phase costs to begin is a load of its own
			}
		}
		out[k] = t
	}
	return out
}

// logContext is how far a phase's context lies from the mean of its kind, x0, as a
// logarithm: at most two, beyond which nothing was learned.
func logContext(context, x0 float64) float64 {
	if !(context > 0) {
		return 0
	}
	return max(-2, min(math.Log(context)-x0, 2))
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
	of := func(p *placed) size { return size{p.kind.key, p.Tokens} }
	for i := range tl.phases {
		if p := &tl.phases[i]; p.Tokens > 0 {
			lengths[of(p)] = append(lengths[of(p)], p.Seconds())
		}
	}
	for _, l := range lengths {
		sort.Float64s(l)
	}
	out := map[int64]bool{}
	for i := range tl.phases {
		p := &tl.phases[i]
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
	var last *placed
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
