package tui_test

import (
	"testing"
	"time"

	"jouletop/tui"
	"jouletop/tui/theme"
)

// BenchmarkFrame is one frame of the live screen at 200×60 with 100 ms of
// telemetry folded in.
func BenchmarkFrame(b *testing.B) {
	d := newDriver(b, tui.Options{Theme: theme.Dark})
	d.size(200, 60)
	d.session()
	g := d.c.Gen
	for b.Loop() {
		b.StopTimer()
		events := g.Advance(g.Now() + int64(100*time.Millisecond))
		b.StartTimer()
		d.m.Apply(events...)
		_ = d.m.View()
	}
}
