package main

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// garbage is how many bytes may lie about between two collections. What lives is 10 to
// 25 MB: Go's own rule, as much again as lives, would have a dashboard of a long session
// take 20 MB more for a few collections fewer a minute.
const garbage = 12 << 20

// keepHeapSmall has garbage collected before there is much of it, until ctx is done.
// GOGC in the environment comes first.
func keepHeapSmall(ctx context.Context) {
	if os.Getenv("GOGC") != "" {
		return
	}
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	at := 100
	for look := time.NewTicker(10 * time.Second); ; {
		metrics.Read(live)
		if live[0].Value.Kind() != metrics.KindUint64 {
			return
		}
		// Setting it stops the world for a moment: only where it matters.
		if p := collectAt(live[0].Value.Uint64()); p > at+at/8 || p < at-at/8 {
			at = p
			debug.SetGCPercent(at)
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			look.Stop()
			return
		}
	}
}

// collectAt is the garbage to collect at where so many bytes live, in percent of them. A
// large heap takes long to go through: there it is a quarter at least.
func collectAt(live uint64) int {
	return int(min(max(100*garbage/max(live, 1), 25), 200))
}
