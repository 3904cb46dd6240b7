package account

import (
	"errors"
	"math"
	"testing"

	"jouletop/engine/event"
	"jouletop/gpu/energy"
)

// noClocks knows of no clock.
type noClocks struct{ Clocks }

func (noClocks) RequestedIn(int64, int64) (int, bool)    { return 0, false }
func (noClocks) FlagsIn(int64, int64) (none event.Flags) { return none }

// A request that answered and was in no pass that was told cost something: what, is not
// known. One that failed before its first pass cost nothing.
func TestRequestInNoPass(t *testing.T) {
	for _, c := range []struct {
		err     error
		unknown bool
	}{{nil, true}, {errors.New("refused"), false}} {
		r := event.Request{RequestID: "r", StartNS: 1, EndNS: 2, OutputTokens: 3}
		if c.err != nil {
			r.Err = c.err.Error()
		}
		a := &Account{requests: noClocks{}}
		row := a.servedRow(event.At{}, &batchAccount{}, r, true).row
		if math.IsNaN(row.EnergyJ) != c.unknown || math.IsNaN(row.NetEnergyJ) != c.unknown || math.IsNaN(row.MarginalJ) != c.unknown {
			t.Errorf("failed %v: %g J, net %g J, marginal %g J by %s", c.err, row.EnergyJ, row.NetEnergyJ, row.MarginalJ, row.Method)
		}
		if c.unknown != (row.Method == energy.MethodUnresolved) {
			t.Errorf("failed %v: by %s", c.err, row.Method)
		}
	}
}

// Rows that are owed come one with a reading, so that nobody waits long for the stream;
// all at the end.
func TestOwedRowsComeOneByOne(t *testing.T) {
	a := New(nil, confirmed{})
	for range 5 {
		a.owed = append(a.owed, owed{row: event.RequestEnergy{Request: event.Request{PointID: "p"}}})
	}
	for i := range 2 {
		if rows := a.Observe(event.Power{}); len(rows) != 1 || !a.Waiting("p") {
			t.Errorf("reading %d: %d rows", i, len(rows))
		}
	}
	if rows := a.Flush(); len(rows) != 3 || a.Waiting("p") {
		t.Errorf("%d rows at the end", len(rows))
	}
}

// confirmed knows all that there is to know: nothing.
type confirmed struct{ noClocks }

func (confirmed) Confirmed() int64 { return math.MaxInt64 - 1 }
func (confirmed) Forget(int64)     {}

// Evaluations for one token alone are told from others: by how many sequences there were,
// or by what was concluded of a server's passes.
func TestEvaluationsAlone(t *testing.T) {
	for _, c := range []struct {
		it    event.IterationSpan
		alone float64
		other float64
	}{
		{event.IterationSpan{DecodeRequests: 1}, 1, 0},
		{event.IterationSpan{DecodeRequests: 1, Evaluations: 1}, 1, 0},
		{event.IterationSpan{DecodeRequests: 2, Evaluations: 1}, 0, 1},
		{event.IterationSpan{DecodeRequests: 5, Evaluations: 3, Alone: 2}, 2, 1},
		{event.IterationSpan{DecodeRequests: 1, PrefillTokens: 9, PrefillRequests: 1, Evaluations: 1}, 0, 1},
	} {
		p := passPhase(c.it, 0)
		if p.Loads[loadAlone] != c.alone || p.Loads[loadPasses] != c.other || p.Loads[loadWide] != 0 {
			t.Errorf("%+v: %g alone, %g of several", c.it, p.Loads[loadAlone], p.Loads[loadPasses])
		}
	}
	for n, wide := range map[int]float64{fewTokens: 0, fewTokens + 1: 1} {
		if p := passPhase(event.IterationSpan{DecodeRequests: n, Evaluations: 1}, 0); p.Loads[loadWide] != wide || p.Loads[loadPasses] != 1-wide {
			t.Errorf("%d sequences: %+v", n, p.Loads)
		}
	}
}
