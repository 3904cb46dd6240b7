package plan_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"jouletop/engine"
	"jouletop/engine/event"
	"jouletop/engine/plan"
)

// grid lists points at two clocks.
func grid(repeats int) ([]engine.PointPlan, error) {
	var out []engine.PointPlan
	for _, mhz := range []int{1005, 1980} {
		for r := range repeats {
			p := engine.PointPlan{Point: event.Point{PointID: fmt.Sprintf("c%d.r%d", mhz, r+1), GPU: "g", Model: "m", Dataset: "d", BatchSize: 1, RequestedSMMHz: mhz, Policy: fmt.Sprintf("fixed:%d", mhz), Repeat: r + 1}}
			p.Spec.Name = "m"
			out = append(out, p)
		}
	}
	return out, nil
}

// finish runs what is planned: energies scatter by sd, and what bad says becomes of them.
func finish(todo []engine.PointPlan, sd map[int]float64, rnd *rand.Rand, bad func(*event.PointDone)) []event.PointDone {
	var out []event.PointDone
	for _, p := range todo {
		d := event.PointDone{Point: p.Point}
		d.EnergyJ, d.LatencyS = 50*(1+sd[p.RequestedSMMHz]*rnd.NormFloat64()), 1
		if bad != nil {
			bad(&d)
		}
		out = append(out, d)
	}
	return out
}

func run(t *testing.T, u *plan.Until, sd map[int]float64, bad func(*event.PointDone)) (done []event.PointDone, short []string) {
	t.Helper()
	rnd := rand.New(rand.NewPCG(5, 6))
	todo, _ := grid(1)
	ids := map[string]bool{}
	for turns := 0; len(todo) > 0; turns++ {
		if turns > 60 {
			t.Fatal("it does not end")
		}
		for _, p := range todo {
			if ids[p.PointID] {
				t.Fatalf("%s runs twice", p.PointID)
			}
			ids[p.PointID] = true
		}
		done = append(done, finish(todo, sd, rnd, bad)...)
		todo, short = u.More(done)
	}
	return done, short
}

func until(t *testing.T, text string) *plan.Until {
	t.Helper()
	u, err := plan.NewUntil(text, grid)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func count(done []event.PointDone, mhz int) (n int) {
	for _, d := range done {
		if d.RequestedSMMHz == mhz {
			n++
		}
	}
	return n
}

// What scatters more is repeated more, until the interval is as narrow as was asked for.
func TestUntilRepeatsWhatIsNotKnown(t *testing.T) {
	u := until(t, "2%")
	done, short := run(t, u, map[int]float64{1005: 0.001, 1980: 0.02}, nil)
	if a, b := count(done, 1005), count(done, 1980); a > 3 || b < 5 || b > 20 {
		t.Errorf("%d repeats of what scatters by 0.1 %%, %d of what scatters by 2 %%", a, b)
	}
	if len(short) > 0 {
		t.Error(short)
	}
}

// What cannot be known so well says why.
func TestUntilSaysWhyNot(t *testing.T) {
	u := until(t, "0.1%")
	done, short := run(t, u, map[int]float64{1005: 0.00001, 1980: 0.2}, nil)
	if count(done, 1980) != 50 {
		t.Errorf("%d repeats", count(done, 1980))
	}
	if len(short) != 1 || !strings.Contains(short[0], "m.d.b1.c1980: its energy is known to ± ") || !strings.HasSuffix(short[0], "50 repeats are the most") {
		t.Error(short)
	}

	u = until(t, "2%")
	done, short = run(t, u, nil, func(d *event.PointDone) {
		switch d.RequestedSMMHz {
		case 1005:
			d.PointResult.Err = "refused"
		default:
			d.Flags = event.FlagsOf(event.FlagThrottled)
		}
	})
	if a, b := count(done, 1005), count(done, 1980); a != 3 || b != 5 {
		t.Errorf("%d repeats that fail, %d that throttle", a, b)
	}
	if len(short) != 2 || !strings.HasSuffix(short[0], "3 repeats failed") || !strings.HasSuffix(short[1], "of 5 repeats none is of use (throttled)") {
		t.Error(strings.Join(short, "\n"))
	}
}

func TestUntilRefusesWhatCannotBe(t *testing.T) {
	for _, text := range []string{"0", "0%", "-1%", "wide", "2", "NaN"} {
		if u, err := plan.NewUntil(text, grid); err == nil {
			t.Errorf("%q: %+v", text, u)
		}
	}
	if u, err := plan.NewUntil("", grid); u != nil || err != nil {
		t.Error(u, err)
	}
}

// Draft depths are combinations of their own: what one scatters by says nothing of another,
// and the repeats of one are no repeats of the other.
func TestUntilTellsDraftDepthsApart(t *testing.T) {
	depths := func(repeats int) (out []engine.PointPlan, err error) {
		for _, depth := range []int{0, 4} {
			for r := range repeats {
				out = append(out, engine.PointPlan{Point: event.Point{
					PointID: fmt.Sprintf("d%d.r%d", depth, r+1), GPU: "g", Model: "m", Dataset: "d", BatchSize: 1, Policy: "none", Repeat: r + 1,
					Drafting: event.Drafting{Draft: "ngram", DraftDepth: depth},
				}})
			}
		}
		return out, nil
	}
	u, err := plan.NewUntil("2%", depths)
	if err != nil {
		t.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(7, 8))
	var done []event.PointDone
	of := map[int]int{}
	for todo, _ := depths(1); len(todo) > 0; todo, _ = u.More(done) {
		for _, p := range todo {
			d := event.PointDone{Point: p.Point}
			sd := map[int]float64{0: 0.0001, 4: 0.02}[p.DraftDepth]
			d.EnergyJ, d.LatencyS = 50*(1+sd*rnd.NormFloat64()), 1
			done = append(done, d)
			of[p.DraftDepth]++
		}
	}
	if of[0] > 3 || of[4] < 5 || of[4] > 20 {
		t.Errorf("%d repeats of what scatters by 0.01 %%, %d of what scatters by 2 %%", of[0], of[4])
	}
}
