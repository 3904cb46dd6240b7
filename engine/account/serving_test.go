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
