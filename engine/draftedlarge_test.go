package engine_test

import (
	"fmt"
	"math"
	"os"
	"sync"
	"testing"
	"time"

	"jouletop/engine/event"
)

// draftings are the pairs and depths that the split between drafting and verifying is
// judged by: turns of less than a sensor's period to those of several.
var draftings = []drafting{
	{model: "llama-3.1-8b", by: "llama-3.2-1b", depth: 2},
	{model: "llama-3.1-8b", by: "llama-3.2-1b", depth: 4},
	{model: "llama-3.1-8b", by: "llama-3.2-1b", depth: 7}, // a round lasts as long as a reading's window
	{model: "llama-3.1-8b", by: "llama-3.2-1b", depth: 8}, // and nearly so
	{model: "llama-3.2-1b", by: event.DraftSelf, depth: 4},
	{model: "llama-3.1-8b", by: event.DraftNGram, depth: 4},
	{model: "llama-15m", by: event.DraftSelf, depth: 6},
	{model: "llama-3.1-8b", by: "llama-3.2-3b", depth: 4},
	{model: "llama-3.2-3b", by: "llama-3.2-1b", depth: 5}, // much alike, so that a lag that is off tells
}

// lagOf is a sensor's lag, by its seed: 1 to 8 ms, as H100s have it.
func lagOf(seed int64) time.Duration { return time.Duration(1+seed%8) * time.Millisecond }

// TestDraftedInTheLarge is `make bench-drafted`: how often the stated intervals of what
// drafting and verifying took hold the truth, in 25 requests of each of 60 seeds, on cards
// whose sensors lag by 1 to 8 ms.
func TestDraftedInTheLarge(t *testing.T) {
	if os.Getenv("JOULETOP_BENCH") == "" {
		t.Skip("run by make bench-drafted")
	}
	const seeds, least = 60, 0.93
	fmt.Printf("%-44s %-6s %10s %8s %12s %8s\n", "what drafts for what", "of", "stated", "hold", "half-width", "off by")
	for _, d := range draftings {
		d.batch, d.requests, d.tokens, d.accept = 1, 25, 100, math.NaN()
		var mu sync.Mutex
		var of [2]split
		var work sync.WaitGroup
		places := make(chan struct{}, 2)
		for seed := range int64(seeds) {
			places <- struct{}{}
			work.Go(func() {
				defer func() { <-places }()
				d := d
				d.seed, d.lag = 101+seed, lagOf(seed)
				r := d.run(t)
				mu.Lock()
				defer mu.Unlock()
				for _, q := range r.requests {
					if d.by != event.DraftNGram {
						of[0].add(q.DraftJ, q.DraftErrJ, r.truth(q.BatchID, event.Draft))
					}
					of[1].add(q.VerifyJ, q.VerifyErrJ, r.truth(q.BatchID, event.Verify))
				}
			})
		}
		work.Wait()
		for i, s := range of {
			if s.all == 0 {
				continue
			}
			held, n := float64(s.held)/float64(s.stated), float64(s.stated)
			fmt.Printf("%-44s %-6s %9.1f%% %7.1f%% %11.2f%% %7.2f%%\n", fmt.Sprintf("%s for %s, depth %d", d.by, d.model, d.depth),
				[]event.Phase{event.Draft, event.Verify}[i], 100*n/float64(s.all), 100*held, 100*s.rel/n, 100*s.off/n)
			if held < least {
				t.Errorf("%s for %s, depth %d: %.1f %% hold the truth, want %.0f", d.by, d.model, d.depth, 100*held, 100*least)
			}
		}
	}
}
