package main

import (
	"strings"
	"testing"

	"jouletop/gpu/nvml/fakenvml"
)

// What comes of setting knobs is read before they are armed; each has its tab; a second
// program sees who holds what; one key gives everything back.
func TestKnobPanel(t *testing.T) {
	t.Parallel()
	g := newFakeGPU(t, fakenvml.H100())
	before := g.state.GPU(0).Get(fakenvml.PowerLimitMW)
	run := []string{"--url", newServer(t), "--model", "m", "--dataset", "narrativeqa", "--max-tokens", "8"}
	x := openIn(t, g.home, 80, 24, g.env, run...)
	x.shows("not armed")
	x.keys("a")
	x.shows("Before knobs are set")
	x.shows("keeps the card awake")
	x.keys(escKey)
	x.hides("Before knobs are set")
	x.shows("not armed")
	x.keys("a", enterKey)
	x.shows("ARMED")
	x.keys("f", rightKey)
	x.shows("2619 MHz")
	x.keys("1593", enterKey)
	memory := func(want bool) func(string) bool {
		return func(string) bool {
			mhz, locked := g.state.GPU(0).MemLocked()
			return locked == want && (!want || mhz == 1593)
		}
	}
	x.until("a memory clock of 1593 MHz", memory(true))
	x.shows("locked to 1593 MHz")
	x.keys(rightKey)
	x.shows("W drawn now")
	x.keys("400", enterKey)
	x.until("a limit of 400 W", func(string) bool { return g.state.GPU(0).Get(fakenvml.PowerLimitMW) == 400_000 })
	x.shows("400 W, set here")

	other := openIn(t, g.home, 200, 60, g.env, run...)
	other.keys("f")
	other.until("who holds what", func(s string) bool {
		return strings.Contains(s, "power limit (first 400 W)") && strings.Contains(s, "jouletop")
	})
	other.keys("a")
	other.shows("Before knobs are set")
	other.keys(enterKey)
	other.shows("held by")
	other.keys("f")
	other.quit()

	x.keys("r")
	x.until("what there was before", func(string) bool { return g.state.GPU(0).Get(fakenvml.PowerLimitMW) == before })
	x.until("the memory clock given back", memory(false))
	x.keys(escKey)
	x.quit()
}
