package curve

import (
	"math"
	"testing"

	"jouletop/engine/analysis/curve/curvetest"
	"jouletop/engine/event"
)

func TestMeansAndIntervals(t *testing.T) {
	c := Of([]event.PointDone{curvetest.Point(1000, 1, 10, 1), curvetest.Point(1000, 2, 12, 1), curvetest.Point(1000, 3, 14, 1), curvetest.Point(2000, 1, 20, 0.9), curvetest.Point(2000, 2, 20, 0.9), curvetest.Point(2000, 3, 20, 0.9)})
	if len(c) != 1 || len(c[0].Clocks) != 2 {
		t.Fatalf("%+v", c)
	}
	low, base, _ := c[0].Clocks[0], c[0].Clocks[1], 0
	curvetest.Near(t, "mean", low.Energy.Mean, 12, 1e-12)
	// t(0.975, 2) = 4.302653, s = 2, n = 3.
	curvetest.Near(t, "half-width", low.Energy.Half, 4.302653*2/math.Sqrt(3), 1e-4)
	k := low.Against(base)
	curvetest.Near(t, "energy saved", k.EnergyDown.Mean, 40, 1e-9)
	curvetest.Near(t, "latency added", k.Latency.Mean, 100*(1/0.9-1), 1e-9)
	curvetest.Near(t, "interval of the saving", k.EnergyDown.Half, 100*low.Energy.Half/20, 1e-9)
	curvetest.Near(t, "decode share", k.DecodeShare, 90, 1e-9)
}

func TestSpoiltRepeatsAreNotAveraged(t *testing.T) {
	bad := curvetest.Point(1000, 3, 99, 9)
	bad.Flags = "throttled"
	failed := curvetest.Point(1000, 4, 99, 9)
	failed.PointResult.Err = "boom"
	c := Of([]event.PointDone{curvetest.Point(1000, 1, 10, 1), curvetest.Point(1000, 2, 10, 1), bad, failed})[0].Clocks[0]
	curvetest.Near(t, "mean", c.Energy.Mean, 10, 1e-12)
	if c.Flagged != 1 || !c.Clean() {
		t.Errorf("flagged %d, clean %v", c.Flagged, c.Clean())
	}
	if c := Of([]event.PointDone{bad})[0].Clocks[0]; c.Clean() || c.Energy.Mean != 99 {
		t.Errorf("a clock whose repeats are all spoilt: %+v", c)
	}
}

// kinked is energy flat below 1000 MHz and rising above.
func kinked(mhz int) float64 { return 10 + 0.02*max(float64(mhz)-1000, 0) }

func TestFrequencyCliff(t *testing.T) {
	var ps []event.PointDone
	for mhz := 300; mhz <= 2000; mhz += 100 {
		ps = append(ps, curvetest.Point(mhz, 1, kinked(mhz)*(1+0.002*math.Sin(float64(mhz))), 1))
	}
	cliff, ok := Of(ps)[0].FrequencyCliff()
	if !ok {
		t.Fatal("no cliff")
	}
	curvetest.Near(t, "cliff", cliff.MHz, 1000, 30)
	if !(cliff.LowMHz <= cliff.MHz && cliff.HighMHz >= cliff.MHz && cliff.HighMHz-cliff.LowMHz < 150) {
		t.Errorf("interval %g to %g MHz", cliff.LowMHz, cliff.HighMHz)
	}
	curvetest.Near(t, "plateau", cliff.PlateauSaving, 100*(1-10.0/30), 1)
	// A straight line has none.
	ps = ps[:0]
	for mhz := 300; mhz <= 2000; mhz += 100 {
		ps = append(ps, curvetest.Point(mhz, 1, float64(mhz), 1))
	}
	if c, ok := Of(ps)[0].FrequencyCliff(); ok {
		t.Errorf("a straight line has a cliff at %g MHz", c.MHz)
	}
}

func TestOptimaAndPareto(t *testing.T) {
	var ps []event.PointDone
	for mhz := 300; mhz <= 2000; mhz += 100 {
		ps = append(ps, curvetest.Point(mhz, 1, kinked(mhz), 1+200/float64(mhz)))
	}
	c := Of(ps)[0]
	best, least := 0, math.Inf(1)
	for mhz := 300; mhz <= 2000; mhz += 100 {
		if edp := kinked(mhz) * (1 + 200/float64(mhz)); edp < least {
			best, least = mhz, edp
		}
	}
	if k, _ := c.EDPOptimal(1); k.RequestedMHz != best {
		t.Errorf("EDP optimum at %d MHz, want %d", k.RequestedMHz, best)
	}
	if k, _ := c.LeastEnergy(0.03); !(k.Latency.Mean <= 1.03*1.1) || k.RequestedMHz != 1600 {
		t.Errorf("least energy within 3 %%: %d MHz, latency %g", k.RequestedMHz, k.Latency.Mean)
	}
	if k, _ := c.LeastEnergy(math.Inf(1)); kinked(k.RequestedMHz) != 10 {
		t.Errorf("least energy of all at %d MHz", k.RequestedMHz)
	}
	front := c.Pareto()
	for i := 1; i < len(front); i++ {
		if front[i].Latency.Mean < front[i-1].Latency.Mean || front[i].Energy.Mean >= front[i-1].Energy.Mean {
			t.Errorf("front is not one: %v then %v", front[i-1].Label(), front[i].Label())
		}
	}
	if len(front) != 11 { // 1000 to 2000 MHz; below, energy is the same and it is slower
		t.Errorf("%d on the front", len(front))
	}
}

func TestPoolWeighsByQueries(t *testing.T) {
	a, b := curvetest.Point(1000, 1, 10, 1), curvetest.Point(1000, 1, 40, 4)
	b.Dataset, b.Queries = "narrativeqa", 30
	c, d := a, b
	c.RequestedSMMHz, d.RequestedSMMHz = 1500, 1500
	c.PointID, d.PointID = "z"+c.PointID, "z"+d.PointID
	lonely := curvetest.Point(2000, 1, 10, 1) // the other dataset has no such point
	got := Pool([]event.PointDone{a, b, c, d, lonely})
	if len(got) != 2 {
		t.Fatalf("%d pooled points", len(got))
	}
	curvetest.Near(t, "energy", got[0].EnergyJ, (10*10+40*30)/40.0, 1e-12)
	curvetest.Near(t, "latency", got[0].LatencyS, (1*10+4*30)/40.0, 1e-12)
	curvetest.Near(t, "J/token", got[0].JoulesPerToken, (10*10+40*30)/(40*100.0), 1e-12)
	curvetest.Near(t, "power", got[0].MeanPowerW, 10, 1e-12)
}
