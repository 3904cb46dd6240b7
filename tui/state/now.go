package state

import (
	"math"

	"jouletop/engine/event"
)

// flow is how fast tokens are made: the newest arrivals.
type flow struct {
	came Ring[arrival]
}

// arrival is tokens that came at once.
type arrival struct {
	at    int64
	n     int
	exact bool // n is known; else it is a piece of text, mostly one token
}

// flowNS is the time that "now" is, ns.
const flowNS = 2_000_000_000

func (f *flow) add(e event.Token) {
	a := arrival{at: e.TimeNS, n: e.Made, exact: e.Made > 0}
	if !a.exact {
		a.n = 1
	}
	if f.came.Len() > 0 && f.came.At(0).at == a.at {
		last := f.came.At(0)
		last.n += a.n
		last.exact = last.exact && a.exact
		return
	}
	f.came.limit = keepArrivals
	f.came.add(a)
}

// keepArrivals is more than come within flowNS.
const keepArrivals = 4096

// MadeNow is how many tokens a second were made in the last two seconds, of all requests
// together, pauses and prefills with it; NaN before any, and where nothing runs. It is not
// exact where a server's pieces of text were counted for tokens.
func (s *State) MadeNow() (perS float64, exact bool) {
	now := max(s.Now, s.present)
	if !s.Busy() || s.flow.came.Len() == 0 {
		return math.NaN(), true
	}
	n, first, exact := 0, now, true
	for i := range s.flow.came.Len() {
		a := s.flow.came.At(i)
		if a.at <= now-flowNS {
			first = now - flowNS
			break
		}
		if i+1 == s.flow.came.Len() { // before it none came: its own time is unknown
			first = a.at
			break
		}
		n, first = n+a.n, a.at
		exact = exact && a.exact
	}
	if now == first {
		return math.NaN(), exact
	}
	return float64(n) / (float64(now-first) / 1e9), exact
}

// Ages are how old the newest readings of a GPU are, in s; NaN before any.
type Ages struct{ Sample, Power float64 }

// Oldest is the greater of them.
func (a Ages) Oldest() float64 {
	if math.IsNaN(a.Power) || a.Sample > a.Power {
		return a.Sample
	}
	return a.Power
}

// Stale tells whether readings are so old that what is shown may be over. Sensors tell
// of power some tenths of a second late.
func (a Ages) Stale() bool { return a.Oldest() > 1.5 }

// Ages returns how old the readings of a GPU are.
func (s *State) Ages(id string) Ages {
	t := s.GPU(id)
	now := max(s.Now, s.present)
	age := func(at int64) float64 {
		if at == 0 {
			return math.NaN()
		}
		return float64(max(now-at, 0)) / 1e9
	}
	return Ages{age(t.lastSample), age(t.lastPower)}
}

// Notice is something that a person is to have seen.
type Notice struct {
	TimeNS int64
	Text   string
	Bad    bool
}

// notice adds one.
func (s *State) notice(t int64, text string, bad bool) {
	s.Notices.limit = keepNotices
	s.Notices.add(Notice{t, text, bad})
	s.Noticed++
}

const keepNotices = 100

// NoticedSince is how many of the notices that are kept came after a time, ns.
func (s *State) NoticedSince(t int64) (n int) {
	for n < s.Notices.Len() && s.Notices.At(n).TimeNS > t {
		n++
	}
	return n
}

// flagged notices flags that no row of the run had before.
func (s *State) flagged(t int64, flags event.Flags, row string) {
	for _, f := range flags.List() {
		if s.flags.Has(f) {
			continue
		}
		s.flags = s.flags.With(f)
		text := event.FlagMeanings[f]
		if text == "" {
			text = "a flag of a newer program"
		}
		s.notice(t, "flagged "+string(f)+" (first "+row+"): "+text, false)
	}
}

// Trend is a reading over the newest hour, a value a second; its zero value is empty.
type Trend struct {
	first  int64 // second of the oldest
	values []float32
}

// keepTrend is for how many seconds values are kept.
const keepTrend = 3600

func (r *Trend) add(t int64, v float64) {
	second := t / 1_000_000_000
	switch n := int64(len(r.values)); {
	case n == 0 || second >= r.first+n+keepTrend || second < r.first:
		if n > 0 && second < r.first {
			return // late
		}
		r.first, r.values = second, r.values[:0]
	case second < r.first+n: // the newest of a second stands for it
		r.values[second-r.first] = float32(v)
		return
	}
	for r.first+int64(len(r.values)) < second {
		r.values = append(r.values, float32(math.NaN()))
	}
	r.values = append(r.values, float32(v))
	if over := len(r.values) - 2*keepTrend; over >= 0 { // now and then, not each second
		r.values = append(r.values[:0], r.values[over+keepTrend:]...)
		r.first += int64(over + keepTrend)
	}
}

// Columns fills dst with the newest values within n stretches of width ns from from on;
// NaN where there are none.
func (r *Trend) Columns(dst []float64, from, width int64) {
	const second = 1_000_000_000
	for i := range dst {
		dst[i] = math.NaN()
		a, b := from+int64(i)*width, from+int64(i+1)*width
		for at := (b - 1) / second; at >= a/second && at >= r.first; at-- {
			if k := at - r.first; k < int64(len(r.values)) && !math.IsNaN(float64(r.values[k])) {
				dst[i] = float64(r.values[k])
				break
			}
		}
	}
}
