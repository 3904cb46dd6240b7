package host

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// Reading is one reading of a source, at its own time. One that failed has neither.
type Reading struct {
	TimeNS   int64
	Source   string  // its ID
	PowerW   float64 // NaN: a counter's, or unknown
	CounterJ float64 // J, as the counter stands; NaN: a power's, or unknown
}

// What cannot be.
const (
	mostDomainW = 3000  // W of a RAPL domain
	mostServerW = 50000 // W of a server
	// wrapWithin is how close the readings lie between which a wrap is believed.
	wrapWithin = 2 * time.Second
	// renewedWithin is in how many of its periods a counter that counts goes on. One that
	// does not is not renewed: what is drawn meanwhile comes later.
	renewedWithin = 5
	// stillLimit is how long a counter may stand still, metersGap how long a meter may be
	// silent.
	stillLimit = 2 * time.Second
	metersGap  = 5 * time.Second
)

// Energy is what a source counted in a window.
type Energy struct {
	Joules float64 // NaN: not known
	ErrJ   float64 // half-width of an interval that holds the truth, the sensor's gain aside
	Why    string  // it is not known
}

// Known tells whether the energy is.
func (e Energy) Known() bool { return !math.IsNaN(e.Joules) }

func unknown(format string, args ...any) Energy {
	return Energy{math.NaN(), math.NaN(), fmt.Sprintf(format, args...)}
}

// Meter makes joules of one source's readings, which come in the order of time.
type Meter struct {
	Source
	points  []point
	last    float64 // J of a counter as it stood, or W
	failed  bool    // the last reading did
	still   int64   // since when the counter has stood so, ns
	doubted bool    // the next step is not believed: the one before was none
}

// point is how far the energy has come.
type point struct {
	t      int64
	joules float64 // since the first
	slack  float64 // J by which what lies between here and the point before may be off
	broken bool    // nothing is known of the time between
	why    string
}

// NewMeter returns the meter of a source.
func NewMeter(s Source) *Meter { return &Meter{Source: s} }

// Add takes the next reading; those of other sources are left alone.
func (m *Meter) Add(r Reading) {
	if r.Source != m.ID {
		return
	}
	v, most := r.PowerW, float64(mostServerW)
	if m.Counter() {
		v, most = r.CounterJ, m.RangeJ
	}
	if !(v >= 0 && v <= most) {
		m.failed = true
		return
	}
	n := len(m.points)
	if n == 0 {
		m.points, m.last, m.still, m.failed = append(m.points, point{t: r.TimeNS}), v, r.TimeNS, false
		return
	}
	before := m.points[n-1]
	if r.TimeNS <= before.t {
		return
	}
	p := point{t: r.TimeNS, joules: before.joules}
	dt := time.Duration(r.TimeNS - before.t)
	var step float64
	if m.Counter() {
		step, p.why = m.counted(v, dt, r.TimeNS)
	} else {
		step, p.slack = (v+m.last)/2*dt.Seconds(), (math.Abs(v-m.last)+m.StepW)/2*dt.Seconds()
		if dt > metersGap {
			p.why = "it was not read for a while"
		}
	}
	if m.Counter() && step == 0 && p.why == "" && m.name() != "uncore" && dt.Seconds() > renewedWithin*m.PeriodMS/1e3 {
		return // it lies between the reading before and one to come
	}
	if m.failed && p.why == "" {
		p.why = "it could not be read for a while"
	}
	if p.broken = p.why != ""; !p.broken {
		p.joules += step
	}
	m.points, m.last, m.failed = append(m.points, p), v, false
}

// counted is how far the counter went on to v, in dt; why where nobody knows.
func (m *Meter) counted(v float64, dt time.Duration, now int64) (step float64, why string) {
	step = v - m.last
	if step < 0 && dt <= wrapWithin {
		step += m.RangeJ
	}
	after := m.doubted
	m.doubted = false
	if step != 0 {
		m.still = now
	}
	switch {
	case step < 0 || step > mostDomainW*dt.Seconds():
		m.doubted = true
		return 0, "its counter stepped"
	case after:
		// What it was before may have been the wrong one.
		return 0, "its counter stepped"
	case mostDomainW*dt.Seconds() >= m.RangeJ:
		return 0, "it was not read for so long that its counter may have gone round"
	case m.name() != "uncore" && time.Duration(now-m.still) > stillLimit:
		return 0, "its counter stood still"
	}
	return step, ""
}

// Window returns the energy from start to end, ns.
func (m *Meter) Window(start, end int64) Energy {
	if len(m.points) < 2 && m.failed {
		return unknown("it could not be read, or told what cannot be")
	}
	if len(m.points) < 2 {
		return unknown("it was not read")
	}
	if end <= start {
		return Energy{}
	}
	first, last := m.points[0], m.points[len(m.points)-1]
	if start < first.t || end > last.t {
		return unknown("it was not read all the time")
	}
	a, slackA := m.at(start)
	b, slackB := m.at(end)
	e := Energy{Joules: b - a, ErrJ: slackA + slackB}
	for i := max(m.after(start), 1); i < len(m.points) && m.points[i-1].t < end; i++ {
		if p := m.points[i]; p.broken {
			return unknown("%s", p.why)
		} else {
			e.ErrJ += p.slack
		}
	}
	return e
}

// after is the first point after t.
func (m *Meter) after(t int64) int {
	i, _ := slices.BinarySearchFunc(m.points, t, func(p point, t int64) int {
		if p.t <= t {
			return -1
		}
		return 1
	})
	return i
}

// at is how far the energy had come at t, which lies between points, and by how much
// that may be off: power may be anything between the readings, and a counter is renewed
// a little late.
func (m *Meter) at(t int64) (j, slack float64) {
	i := m.after(t)
	if i == len(m.points) { // t is the last's
		return m.points[i-1].joules, m.late(i - 1)
	}
	if i == 0 {
		return 0, 0
	}
	p, q := m.points[i-1], m.points[i]
	f := float64(t-p.t) / float64(q.t-p.t)
	if !m.Counter() {
		return p.joules + f*(q.joules-p.joules), 0
	}
	if f == 0 {
		return p.joules, m.late(i)
	}
	return p.joules + f*(q.joules-p.joules), max(f, 1-f)*(q.joules-p.joules) + m.late(i)
}

// late is what a counter's renewal, up to a period late, may hide around point i.
func (m *Meter) late(i int) float64 {
	if !m.Counter() || i == 0 {
		return 0
	}
	p, q := m.points[i-1], m.points[i]
	return m.PeriodMS / 1e3 * (q.joules - p.joules) / (float64(q.t-p.t) / 1e9)
}

// Total adds up what processors and memory took; ok is false where the machine tells of
// no processor. It is not known where one of them is not.
func Total(sources []Source, of map[string]Energy) (sum Energy, domains []string, ok bool) {
	for _, s := range sources {
		if !s.processor() && !s.memory() {
			continue
		}
		ok = ok || s.processor()
		e, told := of[s.ID]
		if !told {
			e = unknown("it was not read")
		}
		if !e.Known() && sum.Known() {
			sum = unknown("%s: %s", s.Domain, e.Why)
		}
		sum.Joules, sum.ErrJ = sum.Joules+e.Joules, sum.ErrJ+e.ErrJ
		domains = append(domains, s.Domain)
	}
	return sum, domains, ok
}
