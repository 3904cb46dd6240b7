package policy

import (
	"math"
	"strings"
	"testing"

	"jouletop/engine/event"
)

// gpuRun drives a policy as the engine does: phases of known length follow each
// other, and each switch made is told with its cost.
type gpuRun struct {
	p interface {
		Observe(event.Event) []event.PolicyNote
	}
	now      int64
	mhz      int
	before   int
	callMS   float64
	settleMS float64
	switches int
	notes    []string
}

const ms = int64(1e6)

func (r *gpuRun) observe(e event.Event) {
	for _, n := range r.p.Observe(e) {
		r.notes = append(r.notes, n.Text)
	}
}

func (r *gpuRun) set(mhz int, phase event.Phase) {
	r.mhz = mhz
	r.switches++
	r.observe(event.ClockChange{At: event.At{TimeNS: r.now}, RequestedSMMHz: mhz, AchievedSMMHz: mhz,
		CallMS: r.callMS, SettleMS: r.settleMS, Cause: event.Cause{By: event.ByPolicy, Phase: phase}})
}

// phase runs one phase and returns the clock it had.
func (r *gpuRun) phase(p *PhaseAware, phase event.Phase, batch, tokens int, lengthMS float64) int {
	start := event.PhaseStart{At: event.At{TimeNS: r.now}, BatchID: "b", Phase: phase, BatchSize: batch, Tokens: tokens}
	if mhz, set := p.Phase(start); set {
		r.set(mhz, phase)
	}
	r.observe(start)
	// As the engine does: a switch is done once the phase runs already.
	before := r.before
	r.before = r.mhz
	end := r.now + int64(lengthMS*float64(ms))
	r.observe(event.PhaseEnd{At: event.At{TimeNS: end}, PhaseSpan: event.PhaseSpan{
		BatchID: "b", Phase: phase, StartNS: r.now, EndNS: end, BatchSize: batch, Tokens: tokens, RequestedSMMHz: before}})
	r.now = end
	return r.mhz
}

func newRun(clocks event.PhaseClocks, callMS, settleMS float64) (*gpuRun, *PhaseAware) {
	p := NewPhaseAware(clocks)
	r := &gpuRun{p: p, callMS: callMS, settleMS: settleMS}
	r.set(p.Start(), "")
	return r, p
}

func TestPhaseAwareSwitchesWhereItPays(t *testing.T) {
	tests := []struct {
		name              string
		callMS, settleMS  float64
		prefillMS, decode float64
		want              [2]int // clocks of prefill and decode once learned
	}{
		{"both long", 4, 20, 400, 3000, [2]int{1980, 1005}},
		{"prefill too short", 4, 20, 20, 600, [2]int{1005, 1005}},
		{"decode too short", 4, 20, 400, 30, [2]int{1980, 1980}},
		{"slow GPU", 4, 200, 300, 3000, [2]int{1005, 1005}},
		{"fast GPU", 1, 2, 20, 600, [2]int{1980, 1005}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, p := newRun(event.PhaseClocks{Prefill: 1980, Decode: 1005, Score: 1980}, tt.callMS, tt.settleMS)
			var pre, dec int
			for range 20 {
				pre = r.phase(p, event.Prefill, 1, 340, tt.prefillMS)
				dec = r.phase(p, event.Decode, 1, 100, tt.decode)
			}
			if got := [2]int{pre, dec}; got != tt.want {
				t.Errorf("prefill and decode ran at %v, want %v; notes: %s", got, tt.want, strings.Join(r.notes, "\n"))
			}
			if tt.want[0] == tt.want[1] && r.switches > 5 {
				t.Errorf("%d switches although none pays", r.switches)
			}
			if len(r.notes) == 0 || len(r.notes) > 4 {
				t.Errorf("%d notes, want one a decision: %s", len(r.notes), strings.Join(r.notes, "\n"))
			}
		})
	}
}

// Where tokens are drafted, phases of some ms take turns: they are one decode to the policy,
// which switches once for all of them where they are long enough together, and not where
// they are not.
func TestPhaseAwareTakesTurnsForOneDecode(t *testing.T) {
	for name, c := range map[string]struct {
		rounds int
		want   int // clock of the turns once learned
	}{
		"long together":  {60, 1005},
		"short together": {2, 1980},
	} {
		t.Run(name, func(t *testing.T) {
			r, p := newRun(event.PhaseClocks{Prefill: 1980, Decode: 1005, Score: 1980}, 4, 20)
			last := 0
			for batch := range 20 {
				before := r.switches
				r.phase(p, event.Prefill, 1, 340, 400)
				if mhz := r.phase(p, event.Prefill, 1, 340, 15); mhz != 1980 {
					t.Errorf("the drafter's prefill ran at %d", mhz)
				}
				for range c.rounds {
					r.phase(p, event.Draft, 1, 4, 4)
					last = r.phase(p, event.Verify, 1, 5, 9)
				}
				if n := r.switches - before; n > 2 {
					t.Fatalf("%d switches in batch %d", n, batch)
				}
			}
			if last != c.want {
				t.Errorf("the turns ran at %d, want %d; notes: %s", last, c.want, strings.Join(r.notes, "\n"))
			}
			if len(p.running) > 2 {
				t.Errorf("%d phases are remembered as running", len(p.running))
			}
		})
	}
}

// The break-even prompt length is that of a prefill that lasts as long as both
// switches take: here 2·24 ms at 5 + 0.1·tokens ms.
func TestBreakEvenPrompt(t *testing.T) {
	r, p := newRun(event.PhaseClocks{Prefill: 1980, Decode: 1005, Score: 1980}, 4, 20)
	if n := p.BreakEvenPrompt(1); !math.IsNaN(n) {
		t.Errorf("before any phase: %g tokens, want unknown", n)
	}
	for i := range 30 {
		tokens := 1000 + 100*(i%10)
		r.phase(p, event.Prefill, 1, tokens, 5+0.1*float64(tokens))
		r.phase(p, event.Decode, 1, 100, 2000)
	}
	if n, want := p.BreakEvenPrompt(1), 430.0; math.Abs(n-want) > 1 {
		t.Errorf("break-even prompt length %g tokens, want %g", n, want)
	}
	// Prompts on either side of it.
	if mhz := r.phase(p, event.Prefill, 1, 300, 35); mhz != 1005 {
		t.Errorf("a prefill of 300 tokens ran at %d MHz, want it to stay at 1005", mhz)
	}
	if mhz := r.phase(p, event.Prefill, 1, 600, 65); mhz != 1980 {
		t.Errorf("a prefill of 600 tokens ran at %d MHz, want 1980", mhz)
	}
}

func TestHysteresis(t *testing.T) {
	r, p := newRun(event.PhaseClocks{Prefill: 1980, Decode: 1005, Score: 1980}, 5, 20) // break-even 50 ms
	for range 10 {
		r.phase(p, event.Prefill, 1, 400, 40)
		r.phase(p, event.Decode, 1, 100, 1000)
	}
	for _, tt := range []struct {
		tokens int
		want   int
	}{{400, 1005}, {550, 1005}, {620, 1980}, {550, 1980}, {480, 1005}, {550, 1005}} {
		got := r.phase(p, event.Prefill, 1, tt.tokens, float64(tt.tokens)/10)
		if got != tt.want {
			t.Errorf("prefill of %d tokens (%g ms): %d MHz, want %d", tt.tokens, float64(tt.tokens)/10, got, tt.want)
		}
		r.phase(p, event.Decode, 1, 100, 1000)
	}
}

// A GPU that never settles before the next switch is found to be slow too.
func TestUnsettledSwitchesAreLearned(t *testing.T) {
	r, p := newRun(event.PhaseClocks{Prefill: 1980, Decode: 1005, Score: 1980}, 4, math.NaN())
	for range 20 {
		r.phase(p, event.Prefill, 1, 340, 60)
		r.phase(p, event.Decode, 1, 100, 80)
	}
	if r.switches > 10 {
		t.Errorf("%d switches that never came true in 40 phases", r.switches)
	}
}

func TestRefusedSwitches(t *testing.T) {
	p := NewPhaseAware(event.PhaseClocks{Prefill: 1980, Decode: 1005, Score: 1980})
	var notes []event.PolicyNote
	asked := 0
	for i := range 20 {
		phase := []event.Phase{event.Prefill, event.Decode}[i%2]
		if mhz, set := p.Phase(event.PhaseStart{Phase: phase, BatchSize: 1, Tokens: 100}); set {
			asked++
			notes = append(notes, p.Observe(event.ClockChange{RequestedSMMHz: mhz, Err: "no permission", Cause: event.Cause{By: event.ByPolicy}})...)
		}
	}
	if asked != maxFailures || len(notes) != 1 || !strings.Contains(notes[0].Text, "no permission") {
		t.Errorf("asked %d times with notes %v, want %d times and one note that says why", asked, notes, maxFailures)
	}
}

func TestPhasesWithoutAClock(t *testing.T) {
	p := NewPhaseAware(event.PhaseClocks{Prefill: 1980, Decode: 1005, Score: 1500})
	for phase, want := range map[event.Phase]int{event.Score: 1500, event.Mixed: 1980, event.Decode: 1005} {
		if mhz, set := p.Phase(event.PhaseStart{Phase: phase}); !set || mhz != want {
			t.Errorf("%s: %d MHz, set %v; want %d", phase, mhz, set, want)
		}
	}
	if _, set := p.Phase(event.PhaseStart{Phase: event.Idle}); set {
		t.Error("idle sets a clock")
	}
}
