package main

import (
	"math"
	"os"
	"testing"
)

// A recorded server's runs cost what was learned from others, where the recording lies
// beside the checkout.
func TestRecording(t *testing.T) {
	const dir = "../../../../../shared/data/h100/serving"
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("no recording beside this checkout: %v", err)
	}
	failed = false
	if err := recorded(dir); err != nil {
		t.Fatal(err)
	}
	if failed {
		t.Error("a figure is short of its target")
	}
}

// Requests among others cost what they do in truth, about as well as is said.
func TestSimulated(t *testing.T) {
	r, err := simulate(8, 5, ran)
	if err != nil {
		t.Fatal(err)
	}
	var errs []float64
	sum, inside := 0.0, 0
	for _, q := range r.rows {
		d := q.EnergyJ - r.truth.joules[q.RequestID]
		sum += q.EnergyJ
		errs = append(errs, math.Abs(d/r.truth.joules[q.RequestID]))
		if math.Abs(d) <= q.EnergyErrJ {
			inside++
		}
	}
	if n := len(r.rows); n != requests || math.Abs(sum/r.busy-1) > 0.01 || median(errs) > 0.05 || inside < n*9/10 {
		t.Errorf("%d requests, %g J of %g J, median error %.3g, %d inside", n, sum, r.busy, median(errs), inside)
	}
}

// What a request added to a load is what the load drew more with it than without it,
// though what it added to its own passes is far from that.
func TestMarginal(t *testing.T) {
	d, err := replayed(8, 5)
	if err != nil {
		t.Fatal(err)
	}
	if off := math.Abs(d.stated - d.added); off > d.errJ || off > 15 {
		t.Errorf("it added %.1f J, stated %.1f ± %.1f", d.added, d.stated, d.errJ)
	}
	if math.Abs(d.byPass-d.added) < 30 {
		t.Errorf("it added %.1f J, to its own passes %.1f: this tests nothing", d.added, d.byPass)
	}
}

// Without a recording there is nothing to judge; a broken one is told by file and line.
func TestBrokenRecording(t *testing.T) {
	if err := recorded(t.TempDir()); err != nil {
		t.Error(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/runs.csv", []byte("run,kind,parameter,start_ns,end_ns\na,closed,1,x,2\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := recorded(dir); err == nil || err.Error()[:11] != "runs.csv:2:" {
		t.Errorf("%v", err)
	}
}
