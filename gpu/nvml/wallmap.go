package nvml

import (
	"slices"
	"time"
)

// wallMap maps the driver's time stamps, µs on the wall clock, to
// CLOCK_MONOTONIC.
//
// The two clocks of a Linux machine run at one rate (time servers steer both),
// but the wall clock is set now and then: by hand, by the first contact with a
// time server, after a suspend. So the offset between them is read anew before
// each use, and a sample recorded before the wall clock was set is mapped by
// the offset of its own time. The moment of a set is known only to lie between
// two readings; where both offsets would do, the one that keeps the samples in
// order wins.
//
// Where the stamps turn out to be on yet another clock that drifts from the
// wall clock, they end up in the future or grow ever staler: seen over
// staleReads reads, the difference is taken off. Where they are far from the wall
// clock to begin with and go on as time does, it is taken off at once.
type wallMap struct {
	epochs []epoch // oldest first
	seen   int64   // time of the last observation

	skew     int64 // added to every mapped time, ns
	reads    int   // in the running check of the skew
	youngest int64 // least age of the newest sample in it
	usual    int64 // least age in the first check
	checked  bool

	// The newest time stamp of the whole buffer, mapped, as seen last, and when.
	lookedAt, newest int64
}

// epoch is a time during which the wall clock was not set.
type epoch struct {
	first, last int64 // it began no earlier and ended no later, CLOCK_MONOTONIC ns
	offset      int64 // wall minus monotonic, ns
}

const (
	// offsetJitter is how much two readings of one offset may differ.
	offsetJitter = int64(50 * time.Microsecond)
	// keepEpochs is longer than any driver's buffer reaches back.
	keepEpochs = int64(30 * time.Second)
	forever    = int64(1) << 62

	staleReads = 64
	stale      = int64(25 * time.Millisecond)
	// tooOld is an age that the newest sample of no driver has at every read.
	tooOld = int64(300 * time.Millisecond)
	// another is further from now than what a driver's buffer may hold.
	another = int64(5 * time.Second)
)

// observe notes the offset read at monotonic time mono, which is off by no more than
// within. It tells whether the wall clock was set since the last observation.
func (m *wallMap) observe(mono, offset, within int64) (set bool) {
	n := len(m.epochs)
	switch {
	case n == 0:
		m.epochs = append(m.epochs, epoch{first: -forever, last: forever, offset: offset})
	case abs(offset-m.epochs[n-1].offset) > offsetJitter+within:
		set = true
		m.epochs[n-1].last = mono
		m.epochs = append(m.epochs, epoch{first: m.seen, last: forever, offset: offset})
		m.epochs = slices.DeleteFunc(m.epochs, func(e epoch) bool { return e.last < mono-keepEpochs })
	}
	m.seen = mono
	return set
}

// since returns the time stamp to ask the driver for newer samples than
// monotonic time after, 0 for all it has. It is 0 as long as the buffer may hold
// samples of an earlier epoch: their stamps may be later than those of now.
func (m *wallMap) since(after int64) uint64 {
	n := len(m.epochs)
	if n == 0 || after <= 0 || n > 1 && m.seen-m.epochs[n-2].last < keepEpochs {
		return 0
	}
	// A little more than asked for: the caller drops what it has already.
	us := (after - m.skew + m.epochs[n-1].offset - int64(5*time.Millisecond)) / 1000
	return uint64(max(us, 0))
}

// mapAll maps the time stamps of one reading of the buffer, in the driver's
// order, oldest first; now is the time when the reading had ended (while the call
// runs the driver goes on recording), all whether the whole buffer was read (since
// said 0) and not only the present epoch.
func (m *wallMap) mapAll(stamps []uint64, now int64, all bool) []int64 {
	epochs := m.epochs
	if !all {
		epochs = epochs[len(epochs)-1:]
	}
	times := make([]int64, len(stamps))
	mapped := func() {
		next := now + int64(time.Millisecond)
		for i := len(stamps) - 1; i >= 0; i-- {
			times[i] = m.mapOne(int64(stamps[i])*1000, next, epochs)
			next = times[i]
		}
	}
	mapped()
	if len(times) == 0 {
		return times
	}
	if m.otherClock(slices.Max(times), now) {
		mapped()
	}
	if skew := m.skew; abs(now-slices.Max(times)) <= another {
		if m.check(now - slices.Max(times)); m.skew != skew {
			mapped()
		}
	}
	return times
}

// otherClock takes the newest sample's mapped time, far from now, for that of
// another clock if it has gone on since the last look as time has, and takes the
// difference off. A buffer that the driver no longer fills does not go on.
func (m *wallMap) otherClock(newest, now int64) bool {
	gone, passed := newest-m.newest, now-m.lookedAt
	if abs(now-newest) <= another || m.lookedAt != 0 && passed < int64(100*time.Millisecond) {
		return false
	}
	known := m.lookedAt != 0 && passed < keepEpochs
	m.lookedAt, m.newest = now, newest
	if !known || abs(gone-passed) > passed/4+int64(50*time.Millisecond) {
		return false
	}
	m.skew += now - newest
	m.lookedAt, m.reads = 0, 0
	return true
}

// mapOne maps the wall time of a sample recorded before monotonic time next: to
// the latest time that fits an epoch.
func (m *wallMap) mapOne(wall, next int64, epochs []epoch) int64 {
	best, found := int64(0), false
	for _, e := range epochs {
		t := wall - e.offset + m.skew
		if t >= e.first && t <= e.last && t < next && (!found || t > best) {
			best, found = t, true
		}
	}
	if !found && len(epochs) > 0 {
		best = wall - epochs[len(epochs)-1].offset + m.skew
	}
	return best
}

// check watches the age of the newest sample.
func (m *wallMap) check(age int64) {
	if m.reads == 0 || age < m.youngest {
		m.youngest = age
	}
	if m.reads++; m.reads < staleReads && m.youngest >= -int64(time.Millisecond) {
		return
	}
	switch {
	case m.youngest < -int64(time.Millisecond): // from the future
		m.skew += m.youngest
	case !m.checked && m.youngest > tooOld:
		m.skew += m.youngest
	case !m.checked:
		m.usual, m.checked = m.youngest, true
	case m.youngest > m.usual+stale:
		m.skew += m.youngest - m.usual
	}
	m.reads = 0
}

func abs(x int64) int64 {
	if x < 0 {
		return -x
	}
	return x
}
