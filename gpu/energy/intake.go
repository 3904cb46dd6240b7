package energy

import (
	"fmt"
	"math"
	"slices"
	"time"

	"jouletop/gpu"
)

// intake decides which readings are evidence, before any track has them: first
// each source by itself, then one against the others (see votes.go).
type intake struct {
	limitW  float64 // the board's power limit; 0 unknown
	sources map[string]*watched
	order   []*watched
	began   int64 // the first reading of any
	faults  faultLog
	votes   votes
}

// watched is what the intake knows of one source.
type watched struct {
	tr     *track
	listed bool  // the board has it
	seen   int64 // newest reading, evidence or not; math.MinInt64 before any
	missed bool  // it was told that it has never told anything

	hot    int64 // since when power has been above what a transient may be; 0 it is not
	struck int64 // value of hot whose readings were struck

	// Of a counter: the last value believed, and one that does not follow from it
	// and waits for the next to say which is wrong.
	at, j   float64 // s, J
	based   bool
	doubt   gpu.PowerReading
	doubted bool
	cut     bool // the next reading's bin reaches over what was not believed

	recent []point // what it told lately, for comparison
	still  int64   // since when the value is the same
	value  float64
	stuck  bool // it stood still for too long
	judged bool // it has agreed with another
	// Outvoted: nothing it tells is believed.
	out     bool
	outLong bool  // by a long span
	outBy   int64 // as seen last
	agreed  int   // comparisons in a row since
}

// point is a reading as the comparison keeps it.
type point struct {
	t   int64
	v   float64 // W, or J for the counter
	odd bool    // beyond what the board draws
}

const (
	// transientLimit is how far above its power limit a board may go for the time
	// of transient, and transientMost how far at all, over 20 ms and more: twice
	// the sustained power for 10 ms and 1.5 times for 100 ms is what PCI Express
	// CEM 5.1 allows a card.
	transientLimit = 1.5
	transientMost  = 2.0
	transient      = int64(100 * time.Millisecond)
	// tickSlack is by how much a counter's reading may be off its tick, s.
	tickSlack = 0.1
)

func newIntake(tracks []*track, listed []gpu.PowerSource, limitW float64) *intake {
	in := &intake{limitW: limitW, sources: map[string]*watched{}}
	if !(in.limitW > 0) {
		in.limitW = 0
	}
	for _, tr := range tracks {
		w := &watched{tr: tr, seen: math.MinInt64}
		w.listed = slices.ContainsFunc(listed, func(s gpu.PowerSource) bool { return s.Name == tr.name })
		in.sources[tr.name] = w
		in.order = append(in.order, w)
	}
	return in
}

// mostW is what a board can draw over seconds.
func (in *intake) mostW() float64 {
	if in.limitW > 0 {
		return min(transientLimit*in.limitW, gpu.MostBoardW)
	}
	return gpu.MostBoardW
}

// take hands a reading on to its track, if it is evidence.
func (in *intake) take(tr *track, r gpu.PowerReading) {
	w := in.sources[tr.name]
	if in.began == 0 {
		in.began = r.TimeNS
	}
	in.gap(w, r.TimeNS)
	w.seen, w.missed = max(w.seen, r.TimeNS), false
	if tr.cum {
		in.takeCounter(w, r)
	} else {
		in.takePower(w, r)
	}
	in.compare()
}

// patience is how long a source may tell nothing, ns.
func (w *watched) patience() int64 {
	tr := w.tr
	if tr.cum {
		return int64(5 * time.Second) // it is read that seldom
	}
	return int64(max(3*tr.period+tr.width, 0.5) * 1e9)
}

// gap notes that the source had told nothing before now.
func (in *intake) gap(w *watched, now int64) {
	if w.seen == math.MinInt64 || now-w.seen <= w.patience() {
		return
	}
	in.faults.noteGap(w.tr.name, w.seen, now)
	w.hot, w.still = 0, 0
	in.votes.restart(now)
}

// missing tells of sources that the board has and that have never told anything.
func (in *intake) missing(now int64) {
	const until = int64(10 * time.Second)
	for _, w := range in.order {
		if w.listed && w.seen == math.MinInt64 && !w.missed && now-in.began > until {
			w.missed = true
			in.faults.noteGap(w.tr.name, in.began, now)
		}
	}
}

// takePower judges a reading of power.
func (in *intake) takePower(w *watched, r gpu.PowerReading) {
	switch v := r.PowerW; {
	case v >= 0 && v <= gpu.MostBoardW && !gpu.Plausible(v):
		in.faults.note(w.tr.name, FaultZero, r.TimeNS-int64(w.tr.width*1e9), r.TimeNS, func() string {
			return fmt.Sprintf("reads %g W, which no GPU draws that answers: left out", v)
		})
		return
	case !gpu.Plausible(v):
		in.implausible(w, r.TimeNS, v)
		return
	case !in.drawable(w, r.TimeNS, v):
		in.keep(w, point{t: r.TimeNS, v: v, odd: true})
		in.implausible(w, r.TimeNS, v)
		return
	}
	in.keep(w, point{t: r.TimeNS, v: r.PowerW})
	w.stuck = w.stuck && r.PowerW == w.value
	if !w.out && !w.stuck {
		w.tr.add(r)
	}
}

// drawable tells whether a board of this limit may draw so much at t.
func (in *intake) drawable(w *watched, t int64, v float64) bool {
	most := in.mostW()
	if v <= most {
		w.hot = 0
		return true
	}
	if w.tr.width > 0.2 || v > transientMost*in.limitW {
		return false // a mean over so long is no transient
	}
	if w.hot == 0 || t < w.hot {
		w.hot = t
	}
	if t-w.hot < transient {
		return true
	}
	if w.struck < w.hot { // what was let pass as a transient
		w.struck = w.hot
		w.tr.strike(w.hot-int64(w.tr.width*1e9), t)
	}
	return false
}

func (in *intake) implausible(w *watched, t int64, v float64) {
	in.faults.note(w.tr.name, FaultImplausible, t-int64(w.tr.width*1e9), t, func() string {
		text := fmt.Sprintf("reads %.4g W, which no board draws", v)
		if math.IsNaN(v) {
			text = "reads what cannot be a power"
		}
		if in.limitW > 0 && v <= gpu.MostBoardW {
			text = fmt.Sprintf("reads %.4g W, more than a board with a limit of %.0f W draws", v, in.limitW)
		}
		return text + ": left out"
	})
}

// takeCounter judges a reading of the energy counter by those before it.
func (in *intake) takeCounter(w *watched, r gpu.PowerReading) {
	v := r.CounterJ
	if math.IsNaN(v) || math.IsInf(v, 0) || v < 0 {
		in.faults.note(w.tr.name, FaultImplausible, r.TimeNS, r.TimeNS, func() string {
			return "reads what cannot be an energy: left out"
		})
		return
	}
	at := float64(r.TimeNS) / 1e9
	if w.based && at < w.at {
		w.tr.add(r) // told late: it changes nothing in what is believed
		return
	}
	if w.doubted && in.follows(float64(w.doubt.TimeNS)/1e9, w.doubt.CounterJ, at, v) {
		from, to, by := int64(w.at*1e9), w.doubt.TimeNS, w.doubt.CounterJ-w.j
		w.doubted = false
		in.faults.note(w.tr.name, FaultStep, from, to, func() string {
			if by < 0 {
				return fmt.Sprintf("went back by %.4g J: it counts anew from there", -by)
			}
			return fmt.Sprintf("went on by %.4g J in %.1f s, more than a board draws: it counts anew from there", by, float64(to-from)/1e9)
		})
		w.recent = w.recent[:0]
		in.votes.restart(to)
		w.cut = true
		in.believe(w, w.doubt)
		in.believe(w, r)
		return
	}
	if !w.based || in.follows(w.at, w.j, at, v) {
		if w.doubted { // it was the one before that was wrong
			w.doubted = false
			in.faults.note(w.tr.name, FaultImplausible, w.doubt.TimeNS, w.doubt.TimeNS, func() string {
				return fmt.Sprintf("read %.6g J between %.6g and %.6g: left out", w.doubt.CounterJ, w.j, v)
			})
		}
		in.believe(w, r)
		return
	}
	if w.doubted { // neither of the two is believed
		in.faults.note(w.tr.name, FaultImplausible, w.doubt.TimeNS, w.doubt.TimeNS, func() string {
			return fmt.Sprintf("read %.4g J after %.4g: left out", w.doubt.CounterJ, w.j)
		})
	}
	w.doubted, w.doubt = true, r
}

// follows tells whether a counter may go from one value to another in that time.
func (in *intake) follows(t0, j0, t1, j1 float64) bool {
	d := counterDiff(j0, j1, t1-t0+tickSlack)
	return d <= in.mostW()*(t1-t0+tickSlack)+1
}

// believe takes a counter's reading for evidence.
func (in *intake) believe(w *watched, r gpu.PowerReading) {
	w.at, w.j, w.based = float64(r.TimeNS)/1e9, r.CounterJ, true
	in.keep(w, point{t: r.TimeNS, v: r.CounterJ})
	if w.out {
		w.cut = true
		return
	}
	n := w.tr.added
	w.tr.add(r)
	if w.cut && w.tr.added > n {
		w.tr.reads[len(w.tr.reads)-1].void = true
		w.cut = false
	}
}

// touching returns the faults that touched start to end, silence that still goes
// on included.
func (in *intake) touching(start, end int64) Faults {
	all := in.faults.touching(start, end)
	for _, w := range in.order {
		if w.seen != math.MinInt64 && end > w.seen+w.patience() || w.missed {
			all |= FaultGap
		}
		if w.out && end > w.outBy {
			all |= FaultOutvoted
		}
		if w.stuck && end > w.still {
			all |= FaultStill
		}
	}
	for _, d := range in.votes.disputes {
		if d.from < end && d.to > start {
			all |= FaultContradiction
		}
	}
	return all
}

// prune forgets what was before t; now is the newest time heard of.
func (in *intake) prune(t, now int64) {
	in.faults.prune(t)
	in.faults.over(now)
	n := 0
	for n < len(in.votes.disputes) && in.votes.disputes[n].to < t {
		n++
	}
	in.votes.disputes = in.votes.disputes[n:]
}
