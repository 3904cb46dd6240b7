package clockguard

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// What a log takes: so many lines at once, and a second in the long run. Requests
// that succeed are as many as a run switches clocks; what is refused comes from
// whoever likes to, and fills no disk.
const (
	burstDone, perSecondDone       = 200, 50
	burstRefused, perSecondRefused = 50, 5
)

// limited is a log that leaves lines out when there are too many, and says how many.
type limited struct {
	slog.Handler
	shared *limits
}

// limits are what a log and those derived from it have left.
type limits struct {
	mu            sync.Mutex
	now           func() time.Time
	done, refused bucket
	left          int // lines left out since the last one
}

func newLimited(h slog.Handler) slog.Handler { return newLimitedAt(h, time.Now) }

func newLimitedAt(h slog.Handler, now func() time.Time) slog.Handler {
	return &limited{h, &limits{
		now: now, done: bucket{burstDone, burstDone, perSecondDone, now()},
		refused: bucket{burstRefused, burstRefused, perSecondRefused, now()},
	}}
}

// Handle implements slog.Handler.
func (l *limited) Handle(ctx context.Context, r slog.Record) error {
	s := l.shared
	s.mu.Lock()
	b := &s.done
	if r.Level >= slog.LevelWarn {
		b = &s.refused
	}
	if !b.take(s.now()) {
		s.left++
		s.mu.Unlock()
		return nil
	}
	left := s.left
	s.left = 0
	s.mu.Unlock()
	if left > 0 {
		r.AddAttrs(slog.Int("lines_left_out_before", left))
	}
	return l.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (l *limited) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &limited{l.Handler.WithAttrs(attrs), l.shared}
}

// WithGroup implements slog.Handler.
func (l *limited) WithGroup(name string) slog.Handler {
	return &limited{l.Handler.WithGroup(name), l.shared}
}

// bucket holds tokens, filled up at a steady rate.
type bucket struct {
	tokens, most, perSecond float64
	at                      time.Time
}

func (b *bucket) take(now time.Time) bool {
	b.tokens = min(b.most, b.tokens+b.perSecond*now.Sub(b.at).Seconds())
	b.at = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}
