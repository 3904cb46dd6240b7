package main

import (
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"jouletop/engine/event"
	"jouletop/workloads/arrivals"
)

// listed is a load known beforehand.
type listed []arrivals.Arrival

// Next implements arrivals.Process.
func (l *listed) Next() (arrivals.Arrival, error) {
	if len(*l) == 0 {
		return arrivals.Arrival{}, io.EOF
	}
	a := (*l)[0]
	*l = (*l)[1:]
	return a, nil
}

// Close implements arrivals.Process.
func (l *listed) Close() error { return nil }

// replays are the same load without and with one long request in its midst.
func replays(rate float64, seed int64) (without, with listed) {
	m := &mix{rng: rand.New(rand.NewPCG(uint64(seed), 78)), rate: rate, left: requests}
	for a, err := m.Next(); err == nil; a, err = m.Next() {
		if len(without) == requests/3 {
			with = append(with, arrivals.Arrival{At: a.At - time.Millisecond, Input: longInput, Output: longOutput})
		}
		without, with = append(without, a), append(with, a)
	}
	return without, with
}

// The long request, in tokens.
const (
	longInput  = 1900
	longOutput = 400
)

// difference is what a load drew more with one request than without it.
type difference struct {
	added        float64 // J, in truth
	stated, errJ float64 // J, the request's marginal energy
	byPass       float64 // J, what it added to its own passes, in truth
}

// replayed serves a load without the long request and with it.
func replayed(rate float64, seed int64) (d difference, err error) {
	a, b := replays(rate, seed)
	without, err := simulateLoad(func() arrivals.Process { return &a }, seed, ran)
	if err != nil {
		return d, err
	}
	with, err := simulateLoad(func() arrivals.Process { return &b }, seed, ran)
	if err != nil {
		return d, err
	}
	i := slices.IndexFunc(with.rows, func(q event.RequestEnergy) bool { return q.InputTokens == longInput && q.OutputTokens == longOutput })
	if i < 0 {
		return d, fmt.Errorf("%g requests/s: the long request was not served", rate)
	}
	q := with.rows[i]
	// The rest of the time it would have been idle.
	d.added = with.drew - without.drew - idleW*(float64(with.end-with.start)-float64(without.end-without.start))/1e9
	d.stated, d.errJ, d.byPass = q.MarginalJ, q.MarginalErrJ, with.truth.alone[q.RequestID]
	return d, nil
}

// marginals judges the marginal energy of one request by the truth: the same load was
// served without it.
func marginals(seeds int) error {
	fmt.Printf("\nreplays of each load without and with a request of %d + %d tokens\n", longInput, longOutput)
	n, inside := 0.0, 0.0
	for _, rate := range loads {
		var off, byPass, added []float64
		for seed := range int64(seeds) {
			d, err := replayed(rate, seed+1)
			if err != nil {
				return err
			}
			added, off, byPass = append(added, d.added), append(off, math.Abs(d.stated-d.added)), append(byPass, math.Abs(d.byPass-d.added))
			if n++; math.Abs(d.stated-d.added) <= d.errJ {
				inside++
			}
		}
		check(fmt.Sprintf("%g requests/s: it added %s J; what is stated is off by", rate, list(added)), median(off), "J", 0, 0.25*median(byPass)+15)
		fmt.Printf("    what it added to its own passes, in truth, is off by %.0f J (medians)\n", median(byPass))
	}
	check("what it added lies inside the stated 95 % interval", 100*inside/n, "%", 90, 100)
	return nil
}

// list words figures.
func list(x []float64) string {
	s := make([]string, len(x))
	for i, v := range x {
		s[i] = fmt.Sprintf("%.0f", v)
	}
	return strings.Join(s, ", ")
}
