package serverword

import (
	"math"
	"net/http"
	"time"
)

// Skew is by how much a server's wall clock is ahead of this machine's. Its Date headers
// are whole seconds, cut off: each says that the server's clock was within a second when
// it answered, between two times here. All of them together say more: their intervals
// must overlap.
type Skew struct {
	low, high float64 // s
	// Steps is how often they did not: a clock was set, or one lies.
	Steps int
	Seen  int // headers
}

// See takes a Date header in, of an answer that came between two wall times.
func (s *Skew) See(date string, asked, answered time.Time) {
	d, err := http.ParseTime(date)
	if err != nil || answered.Before(asked) {
		return
	}
	low, high := d.Sub(answered).Seconds(), d.Add(time.Second).Sub(asked).Seconds()
	s.Seen++
	if s.Seen == 1 {
		s.low, s.high = low, high
		return
	}
	if l, h := max(s.low, low), min(s.high, high); l <= h {
		s.low, s.high = l, h
		return
	}
	s.Steps++
	s.low, s.high = low, high
}

// Bound returns the skew in s and by how much it may be off at most; NaN where nothing is
// known.
func (s *Skew) Bound() (skew, most float64) {
	if s.Seen == 0 {
		return math.NaN(), math.NaN()
	}
	return (s.low + s.high) / 2, (s.high - s.low) / 2
}

// Ask returns when, at now or within a second after, the next answer tells most: when the
// server's clock is expected to come to a whole second.
func (s *Skew) Ask(now time.Time) time.Duration {
	skew, most := s.Bound()
	if math.IsNaN(skew) || most < 0.002 {
		return 0
	}
	at := float64(now.UnixNano())/1e9 + skew
	return time.Duration((math.Ceil(at) - at) * 1e9)
}
