package main

import (
	"fmt"
	"math"
	"sort"
	"strings"

	"jouletop/gpu"
)

const (
	// bufferLagS is how much later than the work the sample buffer of an H100 tells
	// of it, in s.
	bufferLagS = 0.010
	// gapW is what a GPU draws between two batches, in W, and gapErrW the doubt about
	// it: somewhere between idle and work.
	gapW, gapErrW = 220, 80
)

// integral is the energy by the sample buffer alone: each sample taken as the mean
// power since the one before.
type integral struct{ t, joules []float64 } // s, J since the first

// bufferOf integrates the sample buffer among a session's readings.
func bufferOf(readings []gpu.PowerReading) integral {
	var in []gpu.PowerReading
	for _, r := range readings {
		if r.Source == gpu.SourceBuffer {
			in = append(in, r)
		}
	}
	sort.Slice(in, func(i, j int) bool { return in[i].TimeNS < in[j].TimeNS })
	var b integral
	for i, r := range in {
		t, j := float64(r.TimeNS)/1e9-bufferLagS, 0.0
		if i > 0 {
			j = b.joules[i-1] + r.PowerW*(t-b.t[i-1])
		}
		b.t, b.joules = append(b.t, t), append(b.joules, j)
	}
	return b
}

// between is the energy in J from start to end (ns). NaN without samples.
func (b integral) between(start, end int64) float64 {
	at := func(ns int64) float64 {
		if len(b.t) < 2 {
			return math.NaN()
		}
		t := float64(ns) / 1e9
		i := min(max(sort.SearchFloat64s(b.t, t), 1), len(b.t)-1)
		return b.joules[i-1] + (b.joules[i]-b.joules[i-1])*(t-b.t[i-1])/(b.t[i]-b.t[i-1])
	}
	return at(end) - at(start)
}

// balance is the mean batch of a run, by the sample buffer: in J, and in s a kind of
// phase and of the gaps between them.
type balance struct {
	joules, gap float64
	seconds     map[string]float64
}

// balanceOf is the balance of phases in the order of time, of so many batches.
func balanceOf(b integral, phases []recordedPhase, batches int) balance {
	start, end := phases[0].Start, phases[len(phases)-1].End
	n := float64(batches)
	out := balance{joules: b.between(start, end) / n, gap: float64(end-start) / 1e9 / n, seconds: map[string]float64{}}
	for _, p := range phases {
		out.seconds[p.Kind] += p.Seconds() / n
		out.gap -= p.Seconds() / n
	}
	return out
}

// split finds the mean power in W of prefill and decode in runs that mix them in
// different shares, by least squares of relative residuals, with gaps that draw so
// much.
func split(runs []balance, gapW float64) (prefill, decode float64) {
	var s11, s12, s22, y1, y2 float64
	for _, r := range runs {
		p, d, y := r.seconds["prefill"]/r.joules, r.seconds["decode"]/r.joules, (r.joules-gapW*r.gap)/r.joules
		s11, s12, s22, y1, y2 = s11+p*p, s12+p*d, s22+d*d, y1+p*y, y2+d*y
	}
	det := s11*s22 - s12*s12
	return (y1*s22 - y2*s12) / det, (y2*s11 - y1*s12) / det
}

// composition judges runs that differ only in how many tokens each answer has. A
// prefill's and a decode's power follow from how the energy by the sample buffer
// changes with them, whatever a model of phases says: the mean power of the
// resolved phases has to agree within 3 %, and each run's phases and gaps have to
// sum to the integral within 0.7 %, both beyond the doubt about the gaps. A run that
// has an unresolved phase has no sum. It returns how many targets were missed.
func composition(name string, runs []*recorded) (missed int) {
	var balances []balance
	joules, seconds := map[string]float64{}, map[string]float64{}
	for _, s := range runs {
		var ids, first []int // of the phases, and of each batch's first one in ids
		batch := ""
		for i, p := range s.phases {
			if p.Kind != "prefill" && p.Kind != "decode" || p.block() {
				continue
			}
			if p.batch != batch {
				batch, first = p.batch, append(first, len(ids))
			}
			ids = append(ids, i)
		}
		warm := max(3, len(first)/8)
		batches := len(first) - warm
		if batches < 3 {
			continue
		}
		ids = ids[first[warm]:]
		var phases []recordedPhase
		unresolved, sum := 0, 0.0
		for _, i := range ids {
			p, e := s.phases[i], s.estimates[i]
			phases = append(phases, p)
			if !e.Resolved {
				unresolved++
				continue
			}
			sum += e.Joules / float64(batches)
			joules[p.Kind] += e.Joules
			seconds[p.Kind] += p.Seconds()
		}
		b := balanceOf(s.buffer, phases, batches)
		balances = append(balances, b)
		if unresolved > 0 {
			fmt.Printf("%-66s %10s\n", s.name+": no sum of phases and gaps, unresolved phases", fmt.Sprint(unresolved))
			continue
		}
		off, doubt := (sum+gapW*b.gap-b.joules)/b.joules, gapErrW*b.gap/b.joules
		missed += target(fmt.Sprintf("%s: phases and gaps sum to the buffer within 0.7 ± %.2f %%", s.name, 100*doubt), fmt.Sprintf("%+.2f %%", 100*off), math.Abs(off) <= 0.007+doubt)
	}
	if len(balances) < 2 {
		return missed
	}
	p1, d1 := split(balances, gapW-gapErrW)
	p2, d2 := split(balances, gapW+gapErrW)
	for _, by := range []struct {
		kind   string
		lo, hi float64
	}{{"prefill", min(p1, p2), max(p1, p2)}, {"decode", min(d1, d2), max(d1, d2)}} {
		lo, hi := by.lo, by.hi
		watts := joules[by.kind] / seconds[by.kind]
		missed += target(fmt.Sprintf("%s %s: mean within 3 %% of %.0f to %.0f W by composition", name, by.kind, lo, hi), fmt.Sprintf("%.1f W", watts), watts >= 0.97*lo && watts <= 1.03*hi)
	}
	return missed
}

// compositions judges those of the sessions that end in _n and a number, by what
// stands before it.
func compositions(sessions []*recorded) (missed int) {
	runs := map[string][]*recorded{}
	var names []string
	for _, s := range sessions {
		name, _, ok := strings.Cut(s.name, "_n")
		if !ok {
			continue
		}
		if runs[name] == nil {
			names = append(names, name)
		}
		runs[name] = append(runs[name], s)
	}
	for _, name := range names {
		missed += composition(name, runs[name])
	}
	return missed
}
