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
	d := newDriver(b, tui.Options{Theme: theme.Dark}, "run")
	d.size(200, 60)
	d.step(time.Minute)
	for b.Loop() {
		b.StopTimer()
		d.now += int64(100 * time.Millisecond)
		events := d.player.Until(d.now)
		b.StartTimer()
		d.m.Apply(events...)
		_ = d.m.View()
	}
}
