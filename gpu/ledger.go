package gpu

import (
	"math"
	"slices"
)

// Ledger divides what a GPU drew among the processes on it. Its rule is [RuleSMTime]: the
// energy of each interval goes to the processes in proportion to their shares of the SMs'
// time in it, as the driver samples them; that of an interval in which no process did
// anything is nobody's. The zero value is empty.
//
// The driver gives whole percents: how far they may be rounded is in each figure's error,
// as the most that it can come to, with the error of the energy. That a kernel of one
// process may draw more than another's is not: no driver tells.
type Ledger struct {
	accounts []*Account // those of processes that are there first

	KnownS   float64 // time of which the energy is known, s
	UnknownS float64 // time of which it is not
	UnusedS  float64 // of the time known: nobody's
	NoUseS   float64 // of the time known: the driver gave no samples of processes
	EnergyJ  float64 // J, of the time known
	ErrJ     float64 // half-width, all errors added up
	IdleJ    float64 // of EnergyJ: nobody's
}

// RuleSMTime names the rule of a [Ledger].
const RuleSMTime = "SM time"

// Account is what one process took.
type Account struct {
	Process
	Use     ProcessUse // in the newest interval; zero where it did nothing
	HasUse  bool       // the driver gave samples in it
	SinceNS int64      // when it was first seen
	Gone    bool       // it is on the GPU no more
	EnergyJ float64    // J
	ErrJ    float64    // half-width: rounding, and the error of the energy
}

// keepGone is how many processes that have ended are kept.
const keepGone = 64

// See takes which processes are on the GPU at t (ns).
func (l *Ledger) See(t int64, now []Process) {
	for _, a := range l.accounts {
		a.Gone = a.Gone || !slices.ContainsFunc(now, func(p Process) bool { return p.PID == a.PID && p.Name == a.Name })
	}
	for _, p := range now {
		i := slices.IndexFunc(l.accounts, func(a *Account) bool { return !a.Gone && a.PID == p.PID })
		if i < 0 {
			l.accounts = append(l.accounts, &Account{Process: p, SinceNS: t})
			continue
		}
		l.accounts[i].MemoryMiB = p.MemoryMiB
	}
	slices.SortStableFunc(l.accounts, func(a, b *Account) int {
		switch {
		case a.Gone == b.Gone:
			return 0
		case a.Gone:
			return 1
		}
		return -1
	})
	gone := 0
	l.accounts = slices.DeleteFunc(l.accounts, func(a *Account) bool {
		if a.Gone {
			gone++
		}
		return gone > keepGone
	})
}

// halfPct is by how much a whole percent may be off.
const halfPct = 0.5

// Add takes an interval of so many s in which the GPU drew j J (NaN unknown), known to
// ±errJ, and how busy processes were in it; sampled is false where the driver does not
// tell.
func (l *Ledger) Add(seconds, j, errJ float64, use []ProcessUse, sampled bool) {
	sum := 0.0
	for _, a := range l.accounts {
		a.Use, a.HasUse = ProcessUse{PID: a.PID}, sampled && !a.Gone
		if i := slices.IndexFunc(use, func(u ProcessUse) bool { return u.PID == a.PID }); i >= 0 && !a.Gone {
			a.Use = use[i]
			sum += a.Use.SMPct
		}
	}
	if math.IsNaN(j) || math.IsNaN(errJ) {
		l.UnknownS += seconds
		return
	}
	l.KnownS += seconds
	l.EnergyJ, l.ErrJ = l.EnergyJ+j, l.ErrJ+errJ
	switch {
	case !sampled:
		l.NoUseS += seconds
		return
	case sum == 0:
		l.UnusedS += seconds
		l.IdleJ += j
		return
	}
	n := 0
	for _, a := range l.accounts {
		if !a.Gone {
			n++
		}
	}
	for _, a := range l.accounts {
		if a.Gone {
			continue
		}
		share := a.Use.SMPct / sum
		lo, hi := max(a.Use.SMPct-halfPct, 0), a.Use.SMPct+halfPct
		others, slack := sum-a.Use.SMPct, halfPct*float64(n-1)
		least, most := 0.0, 1.0
		if d := lo + others + slack; d > 0 {
			least = lo / d
		}
		if d := hi + max(others-slack, 0); d > 0 {
			most = hi / d
		}
		a.EnergyJ += j * share
		a.ErrJ += j*max(most-share, share-least) + errJ*share
	}
}

// Skip takes time in which the GPU slept or was not read: nothing of it is known, nor
// stated.
func (l *Ledger) Skip(seconds float64) {
	l.UnknownS += seconds
	for _, a := range l.accounts {
		a.HasUse = false
	}
}

// Accounts are those of the processes, of those that are there first.
func (l *Ledger) Accounts() []Account {
	out := make([]Account, len(l.accounts))
	for i, a := range l.accounts {
		out[i] = *a
	}
	return out
}
