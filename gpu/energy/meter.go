package energy

import (
	"math"
	"time"

	"jouletop/gpu"
)

// Options of a Meter. The zero value is right for live use.
type Options struct {
	// Horizon is how far back windows can be asked for and power is learned from;
	// 0 means ten minutes. Memory grows with it: about 2 kB a second.
	Horizon time.Duration
	// PowerLimitW is the most that the board's power limit can be set to; 0 or NaN
	// unknown.
	PowerLimitW float64
}

// Meter estimates the energy of windows and phases from readings. It is not safe
// for concurrent use.
type Meter struct {
	horizon int64
	tracks  []*track // in the order of preference
	tl      timeline
	now     int64 // latest time heard of
	pruned  int64
	kinds   map[Key]bool // kinds of phase heard of
	intake  *intake
}

// preference is the order in which sources are tried.
var preference = []string{gpu.SourceBuffer, gpu.SourceCounter, gpu.SourceInstant, gpu.SourceAverage}

// New returns a Meter for a GPU with these sources. Readings of a source that is
// not among them are taken with what is commonly known of it.
func New(sources []gpu.PowerSource, opt Options) *Meter {
	if opt.Horizon <= 0 {
		opt.Horizon = 10 * time.Minute
	}
	m := &Meter{horizon: int64(opt.Horizon), now: math.MinInt64, kinds: map[Key]bool{}}
	for _, name := range preference {
		s := gpu.PowerSource{Name: name}
		for _, given := range sources {
			if given.Name == name {
				s = given
			}
		}
		m.tracks = append(m.tracks, newTrack(s))
	}
	m.intake = newIntake(m.tracks, sources, opt.PowerLimitW)
	return m
}

// Add takes a reading, in any order of time. Repetitions (not Fresh) are known
// for what they are.
func (m *Meter) Add(r gpu.PowerReading) {
	for _, tr := range m.tracks {
		if tr.name == r.Source {
			m.intake.take(tr, r)
			m.heard(r.TimeNS)
			return
		}
	}
}

// Findings returns the faults of power sources found since it was last asked:
// each when it begins and when it has been over for a while.
func (m *Meter) Findings() []Finding { return m.intake.faults.take() }

// Faults returns the faults of power sources that touched start to end (ns).
func (m *Meter) Faults(start, end int64) Faults { return m.intake.touching(start, end) }

// AddPhase tells of a phase that has ended. Phases may come late and out of order,
// but before the windows that they help to resolve.
func (m *Meter) AddPhase(p Phase) {
	if !m.tl.add(p) {
		return
	}
	m.heard(p.End)
	if k := p.key(); !m.kinds[k] && k.work() {
		m.kinds[k] = true
		for _, tr := range m.tracks {
			tr.fitGap = firstFitGap
		}
	}
}

// heard moves the horizon on.
func (m *Meter) heard(t int64) {
	m.now = max(m.now, t)
	if m.now-m.pruned < 5e9 && m.pruned != 0 {
		return
	}
	m.pruned = m.now
	for _, tr := range m.tracks {
		tr.prune(m.now - m.horizon)
	}
	m.tl.prune(m.now - m.horizon)
	m.intake.prune(m.now-m.horizon, m.now)
}

// Covered returns the time in ns up to which windows can be resolved now: what
// the best source that is alive has told. It is the smallest int64 before any.
func (m *Meter) Covered() int64 {
	if m.intake.unheard() {
		return math.MinInt64
	}
	const silence = 2e9
	for _, tr := range m.tracks {
		if n := len(tr.reads); n > 0 && m.lastReading()-tr.reads[n-1].t < silence {
			after := tr.period
			if tr.name == gpu.SourceBuffer {
				after *= 3 // what comes after tells of the last bin
			}
			return tr.reads[n-1].t - int64((tr.lag+after)*1e9)
		}
	}
	return math.MinInt64
}

func (m *Meter) lastReading() int64 {
	var t int64 = math.MinInt64
	for _, tr := range m.tracks {
		if n := len(tr.reads); n > 0 {
			t = max(t, tr.reads[n-1].t)
		}
	}
	return t
}

// A model is fitted again after some new readings: few after a new kind of phase
// has come, of which nothing is known, then four times as many each time, up to a tenth
// of the rows a fit is made of, or half of them once the track is settled. So a fit
// costs next to nothing a reading, however long the session.
const firstFitGap = 25

// maxLagGap is the most new readings after which the lag is looked for again.
const maxLagGap = 50000

// lagGap is after how many new readings the lag is looked for again: it belongs to the
// board, what it costs to find is the dearest part of all, and no more than the last
// maxRows bear on it.
func (tr *track) lagGap() int {
	if tr.lagAt < maxRows {
		return tr.lagAt / 3
	}
	return min(tr.lagAt, maxLagGap)
}

// refit brings tr's model up to date if enough is new.
func (m *Meter) refit(tr *track) {
	fresh := tr.added - tr.fitAt
	part := 10
	if tr.settled() {
		part = 2
	}
	if tr.name == gpu.SourceAverage || tr.model.stats != nil && fresh < min(max(tr.model.rows/part, 3), tr.fitGap) {
		return
	}
	tr.fitAt, tr.fitGap = tr.added, min(4*max(tr.fitGap, firstFitGap), maxRows)
	from := max(len(tr.reads)-maxRows, 0)
	tr.measureJitter(from)
	if tr.lagAt == 0 || tr.added > tr.lagAt+tr.lagGap() {
		if findLag(tr, &m.tl, from) {
			tr.lagAt = tr.added
		}
	}
	keys := map[Key]int{}
	traits := m.tl.traits()
	rows := rowsOf(tr, &m.tl, from, tr.lag, traits, keys, tr.scratch)
	tr.scratch = rows
	prev := tr.model
	if len(rows) >= 3 {
		if fit, ok := fitModel(rows, traits, keys, &prev); ok {
			tr.model = fit
			tr.doubtLag(&m.tl)
			if known := fit.keepLate(&prev); !known || !tr.settled() || tr.added > tr.lateAt+maxRows {
				fit.setLate(tr.thetas(&m.tl, from, tr.lag+tr.lagSD, traits), tr.thetas(&m.tl, from, tr.lag-tr.lagSD, traits))
				tr.lateAt = tr.added
			}
			tr.model = fit
			m.calibrate(tr, &prev)
		}
	}
	tr.spread(from)
}

// settled tells whether the rows that a fit is made of have been replaced several
// times: the lag, and what it does to the kinds of phase known, is then what it
// will be, and need not be found at every fit.
func (tr *track) settled() bool { return tr.added > 4*maxRows }

// spread sets what is assumed of time in no known phase: the readings' mean and
// variance, and the variance from one to the next.
func (tr *track) spread(from int) {
	var s, s2, n, d2, dn, last float64
	for i := from; i < len(tr.reads); i++ {
		b := tr.bin(i, 0)
		if !b.ok {
			continue
		}
		s += b.p
		s2 += b.p * b.p
		if n > 0 {
			d2 += sq(b.p-last) / 2
			dn++
		}
		n++
		last = b.p
	}
	if dn > 0 {
		tr.model.mean = s / n
		tr.model.level2 = max(s2/n-sq(s/n), 0)
		tr.model.step2 = d2/dn + 1
	}
}

// Window returns the energy of start to end (ns), by the source that knows it
// best.
func (m *Meter) Window(start, end int64) Estimate {
	if end <= start {
		return Estimate{Resolved: end == start, Method: MethodBuffer}
	}
	best := unresolved(math.Inf(1))
	for _, tr := range m.tracks {
		if len(tr.reads) < 2 {
			continue
		}
		if tr.name == gpu.SourceAverage {
			if !best.Resolved {
				if e := tr.average(start, end); e.ErrJ < best.ErrJ {
					best = e
				}
			}
			continue
		}
		m.refit(tr)
		e, seen := m.by(tr, start, end)
		if e.ErrJ < best.ErrJ {
			best = e
		}
		if tr.name == gpu.SourceBuffer {
			if seen > 0.98 {
				break // nothing knows better
			}
			if e := m.bridge(tr, m.tracks[1], start, end); e.ErrJ < best.ErrJ {
				best = e
			}
		}
	}
	best.ErrJ = math.Hypot(best.ErrJ, m.intake.widened(start, end, best.Joules))
	best = settle(best)
	best.Faults = m.intake.touching(start, end)
	return best
}

// bridge spans gaps in the sample buffer by the counter: from the first to the
// last of its ticks inside, with the buffer for what is left at the edges.
func (m *Meter) bridge(buf, counter *track, start, end int64) Estimate {
	i, j := counter.first(start-1), counter.first(end)-1
	if j <= i {
		return unresolved(math.Inf(1))
	}
	a, b := counter.reads[i], counter.reads[j]
	var inner float64
	for k := i + 1; k <= j; k++ {
		x := counter.bin(k, 0)
		if !x.ok {
			return unresolved(math.Inf(1))
		}
		inner += x.p * x.seconds()
	}
	counterLag := int64(counter.lag * 1e9)
	left, seenL := m.by(buf, start, a.t-counterLag)
	right, seenR := m.by(buf, b.t-counterLag, end)
	if a.t-counterLag <= start {
		left, seenL = Estimate{}, 1
	}
	if seenL < 0.9 || seenR < 0.9 {
		return unresolved(math.Inf(1))
	}
	p := predictor{tr: counter, tl: &m.tl, m: &buf.model, lag: counter.lag}
	x := bin{a: a.t - counterLag, b: b.t - counterLag, ja: math.Hypot(a.jit, counter.lagSD), jb: math.Hypot(b.jit, counter.lagSD)}
	sum := left.Joules + inner + right.Joules
	return raw(sum, math.Sqrt(sq(left.ErrJ)+sq(right.ErrJ)+sq(z95)*p.timing(x)), sum, left.common+right.common, MethodCounterBuf)
}

// settle calls an estimate unresolved where it is too wide.
func settle(e Estimate) Estimate {
	if !e.Resolved {
		return e
	}
	s := stated(e.Joules, e.ErrJ, e.scale, e.common, e.Method)
	s.Faults = e.Faults
	return s
}

// by estimates from one source, and tells which share of the window it saw.
func (m *Meter) by(tr *track, start, end int64) (Estimate, float64) {
	length := float64(end-start) / 1e9
	first, last := tr.reads[0].t-int64(tr.width*1e9), tr.reads[len(tr.reads)-1].t
	if beyond := float64(max(first-start, 0)+max(end-last, 0)) / 1e9; beyond > max(0.1*length, 3*tr.period) {
		return unresolved(math.Inf(1)), 0 // before or after all that was read
	}
	p := predictor{tr: tr, tl: &m.tl, m: &tr.model, lag: tr.lag}
	x := p.window(start, end)
	if !x.ok || math.IsNaN(x.j) {
		return unresolved(math.Inf(1)), 0
	}
	p.lag, p.late = tr.lag+tr.lagSD, 1
	hi := p.window(start, end)
	p.lag, p.late = tr.lag-tr.lagSD, -1
	lo := p.window(start, end)
	if !hi.ok || !lo.ok {
		return unresolved(math.Inf(1)), 0
	}
	dl := (hi.j - lo.j) / 2
	z := z95 * p.inflation(start, end)
	scale := x.mu
	if length > 10*tr.period {
		scale = x.j // plain integration, whatever was expected
	}
	seen, method := x.seen/length, tr.name
	if seen < 0.02 {
		method = MethodRegression
	}
	return raw(x.j, z*math.Sqrt(x.v+dl*dl), scale, z*math.Sqrt(x.common*x.common+dl*dl), method), seen
}

// average integrates the trailing average, set back by half its window.
func (tr *track) average(start, end int64) Estimate {
	half := int64(tr.width / 2 * 1e9)
	var j, seen float64
	lo, hi := math.Inf(1), math.Inf(-1)
	reach := 2 * half
	for i := max(tr.first(start-reach), 1); i < len(tr.reads); i++ {
		r, q := tr.reads[i], tr.reads[i-1]
		if q.t > end+reach {
			break
		}
		if r.void {
			continue
		}
		lo, hi = min(lo, r.v), max(hi, r.v)
		since := max(q.t, r.t-int64(3*tr.period*1e9)) // it tells of no more
		a, b := max(since-half, start), min(r.t-half, end)
		if b > a {
			j += r.v * float64(b-a) / 1e9
			seen += float64(b-a) / 1e9
		}
	}
	length := float64(end-start) / 1e9
	if seen < 0.5*length {
		return unresolved(math.Inf(1))
	}
	j *= length / seen
	// At each edge up to half an averaging window may be booked at the wrong
	// level; the levels seen nearby say how wrong.
	return raw(j, (hi-lo)*min(tr.width, length)+0.02*j, j, 0, MethodAverage)
}

// PhaseEnergy returns the energy of a phase that was added: integrated where it
// lasts at least two periods of the sensor, else by regression; unresolved where
// neither tells it to within 15 %.
func (m *Meter) PhaseEnergy(p Phase) Estimate {
	e := m.Window(p.Start, p.End)
	if e.Resolved && e.Method != MethodAverage {
		for _, tr := range m.tracks {
			if tr.name == e.Method && p.Seconds() < 2*tr.period {
				e.Method = MethodRegression
			}
		}
	}
	if e.Method == MethodAverage {
		return unresolved(e.Joules + e.ErrJ)
	}
	return e
}

// Block returns the mean energy of one phase of a steady block: phases of one
// kind that ran back to back. A few seconds of them make it precise, however
// short each is.
func (m *Meter) Block(phases []Phase) Estimate {
	if len(phases) == 0 {
		return unresolved(math.Inf(1))
	}
	start, end := phases[0].Start, phases[0].End
	var busy float64
	for _, p := range phases {
		start, end = min(start, p.Start), max(end, p.End)
		busy += p.Seconds()
	}
	e := m.Window(start, end)
	n := float64(len(phases))
	if !e.Resolved {
		return unresolved(e.ErrJ / n)
	}
	// The pauses between the phases are the block's too, but not the phases'.
	pause := float64(end-start)/1e9 - busy
	// They are taken to draw between nothing and what the phases do.
	share := busy / (busy + pause/2)
	j := e.Joules * share / n
	b := stated(j, math.Hypot(e.ErrJ*share, e.Joules*(1-share))/n, j, e.common/n, MethodBlock)
	b.Faults = e.Faults
	return b
}

// MeanPower returns the mean power of start to end in W and the half-width of
// its 95 % interval: idle power, for one. NaN where the window is unresolved.
func (m *Meter) MeanPower(start, end int64) (watts, errW float64) {
	e := m.Window(start, end)
	if s := float64(end-start) / 1e9; e.Resolved && s > 0 {
		return e.Joules / s, e.ErrJ / s
	}
	return math.NaN(), math.NaN()
}

// Request returns the energy of a request (or batch) that ran from start to end
// (ns), and of each of its phases, which lie within. What the phases come to
// beyond the whole is taken off them, most where least is known: each was
// predicted from the bins around it alone.
func (m *Meter) Request(start, end int64, phases []Phase) (whole Estimate, parts []Estimate) {
	var sum, weight float64
	for _, p := range phases {
		e := m.PhaseEnergy(p)
		parts = append(parts, e)
		if half := e.HalfWidth(); !math.IsInf(half, 1) {
			sum += e.Likely()
			weight += half * half
		}
	}
	whole = m.Window(start, end)
	if over := sum - whole.Likely(); over > 0 && weight > 0 {
		for i, e := range parts {
			if half := e.HalfWidth(); !math.IsInf(half, 1) {
				parts[i].shift(-over * half * half / weight)
			}
		}
	}
	return whole, parts
}

// PhasePower is the mean power of a kind of phase.
type PhasePower struct {
	Key
	PowerW float64
	// ErrW is the half-width of a 95 % interval for the mean power of another
	// phase of this kind (a steady block of it, say).
	ErrW     float64
	Requests float64 // independent requests behind it
	Source   string
}

// Powers returns what is known of each kind of phase, by the best source.
func (m *Meter) Powers() []PhasePower {
	for _, tr := range m.tracks {
		if len(tr.reads) < 10 || tr.name == gpu.SourceAverage {
			continue
		}
		m.refit(tr)
		if out := tr.powers(&m.tl); len(out) > 0 {
			return out
		}
	}
	return nil
}
