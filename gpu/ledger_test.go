package gpu

import (
	"math"
	"testing"
)

// What processes are given adds up to what the GPU drew, less what is nobody's, and the
// truth lies within the errors whichever way the driver has rounded.
func TestLedger(t *testing.T) {
	var l Ledger
	l.See(0, []Process{{PID: 1, Name: "a", MemoryMiB: 10}, {PID: 2, Name: "b", MemoryMiB: -1}})
	truth := map[int]float64{}
	r := []float64{0.4, 12.3, 33.5, 61.2, 98.9, 47.1}
	for i, a := range r {
		b := r[len(r)-1-i]
		l.Add(1, 500, 2, []ProcessUse{{PID: 1, SMPct: math.Round(a)}, {PID: 2, SMPct: math.Round(b)}}, true)
		truth[1] += 500 * a / (a + b)
		truth[2] += 500 * b / (a + b)
	}
	l.Add(2, 140, 1, nil, true)                                      // nobody's
	l.Add(3, math.NaN(), 0, []ProcessUse{{PID: 1, SMPct: 50}}, true) // not known
	l.Add(4, 300, 1, nil, false)                                     // the driver does not tell
	sum := 0.0
	for _, a := range l.Accounts() {
		sum += a.EnergyJ
		if d := math.Abs(a.EnergyJ - truth[a.PID]); d > a.ErrJ {
			t.Errorf("process %d is given %.1f ± %.1f J, which the truth, %.1f, is not within", a.PID, a.EnergyJ, a.ErrJ, truth[a.PID])
		}
		if a.ErrJ > 0.1*500*float64(len(r)) {
			t.Errorf("process %d: ± %.1f J says nothing", a.PID, a.ErrJ)
		}
	}
	if want := 500.0 * float64(len(r)); math.Abs(sum-want) > 1e-9 {
		t.Errorf("processes are given %.3f of %.3f J", sum, want)
	}
	if l.IdleJ != 140 || l.UnusedS != 2 || l.UnknownS != 3 || l.NoUseS != 4 || l.KnownS != 12 || l.EnergyJ != 3440 {
		t.Errorf("%+v", l)
	}
	// Alone, a process has all, however its percents are rounded.
	var one Ledger
	one.See(0, []Process{{PID: 7, Name: "x"}})
	one.Add(1, 100, 3, []ProcessUse{{PID: 7, SMPct: 3}}, true)
	if a := one.Accounts()[0]; a.EnergyJ != 100 || a.ErrJ != 3 {
		t.Errorf("alone it has %g ± %g of 100 ± 3 J", a.EnergyJ, a.ErrJ)
	}
}

// A process that has ended keeps what it took; another one under its id begins anew.
func TestLedgerOfProcessesThatEnd(t *testing.T) {
	var l Ledger
	a, b := Process{PID: 5, Name: "a"}, Process{PID: 5, Name: "b"}
	use := []ProcessUse{{PID: 5, SMPct: 80}}
	l.See(1, []Process{a})
	l.Add(1, 100, 0, use, true)
	l.See(2, nil)
	l.Add(1, 50, 0, use, true) // a late sample of it: nobody's by now
	l.See(3, []Process{b})
	l.Add(1, 10, 0, use, true)
	got := l.Accounts()
	if len(got) != 2 || got[0].Name != "b" || got[0].EnergyJ != 10 || got[0].SinceNS != 3 || !got[1].Gone || got[1].EnergyJ != 100 || l.IdleJ != 50 {
		t.Errorf("%+v %+v", got, l)
	}
	l.See(4, []Process{a})
	if got = l.Accounts(); len(got) != 3 || got[0].EnergyJ != 0 {
		t.Errorf("a process that came again under its id and name: %+v", got)
	}
	for i := range 200 {
		l.See(int64(i), []Process{{PID: i, Name: "short"}})
	}
	if n := len(l.Accounts()); n > keepGone+1 {
		t.Errorf("%d accounts are kept", n)
	}
}
