package analysis

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"jouletop/engine/event"
)

// pt is a point with an energy and a latency.
func pt(mhz, repeat int, joules, seconds float64) event.PointDone {
	return event.PointDone{
		Point: event.Point{PointID: "p", GPU: "sim:x", Model: "llama-3.2-1b", Dataset: "truthfulqa", BatchSize: 1, RequestedSMMHz: mhz, Repeat: repeat, Queries: 10},
		PointResult: event.PointResult{
			AchievedSMMHz: float64(mhz), InputTokens: 13, OutputTokens: 100, PrefillS: 0.1 * seconds, DecodeS: 0.9 * seconds, LatencyS: seconds,
			Energy: event.Energy{EnergyJ: joules}, JoulesPerToken: joules / 100, MeanPowerW: joules / seconds, Quality: 0.2,
		},
	}
}

func near(t *testing.T, what string, got, want, tol float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tol) {
		t.Errorf("%s = %g, want %g", what, got, want)
	}
}

func TestMeansAndIntervals(t *testing.T) {
	c := Curves([]event.PointDone{pt(1000, 1, 10, 1), pt(1000, 2, 12, 1), pt(1000, 3, 14, 1), pt(2000, 1, 20, 0.9), pt(2000, 2, 20, 0.9), pt(2000, 3, 20, 0.9)})
	if len(c) != 1 || len(c[0].Clocks) != 2 {
		t.Fatalf("%+v", c)
	}
	low, base, _ := c[0].Clocks[0], c[0].Clocks[1], 0
	near(t, "mean", low.Energy.Mean, 12, 1e-12)
	// t(0.975, 2) = 4.302653, s = 2, n = 3.
	near(t, "half-width", low.Energy.Half, 4.302653*2/math.Sqrt(3), 1e-4)
	k := low.Against(base)
	near(t, "energy saved", k.EnergyDown.Mean, 40, 1e-9)
	near(t, "latency added", k.Latency.Mean, 100*(1/0.9-1), 1e-9)
	near(t, "interval of the saving", k.EnergyDown.Half, 100*low.Energy.Half/20, 1e-9)
	near(t, "decode share", k.DecodeShare, 90, 1e-9)
}

func TestSpoiltRepeatsAreNotAveraged(t *testing.T) {
	bad := pt(1000, 3, 99, 9)
	bad.Flags = "throttled"
	failed := pt(1000, 4, 99, 9)
	failed.PointResult.Err = "boom"
	c := Curves([]event.PointDone{pt(1000, 1, 10, 1), pt(1000, 2, 10, 1), bad, failed})[0].Clocks[0]
	near(t, "mean", c.Energy.Mean, 10, 1e-12)
	if c.Flagged != 1 || !c.Clean() {
		t.Errorf("flagged %d, clean %v", c.Flagged, c.Clean())
	}
	if c := Curves([]event.PointDone{bad})[0].Clocks[0]; c.Clean() || c.Energy.Mean != 99 {
		t.Errorf("a clock whose repeats are all spoilt: %+v", c)
	}
	table := flagged([]event.PointDone{pt(1000, 1, 10, 1), bad, failed})
	if len(table.Rows) != 2 {
		t.Errorf("%d rows of what went wrong, want 2", len(table.Rows))
	}
}

// kinked is energy flat below 1000 MHz and rising above.
func kinked(mhz int) float64 { return 10 + 0.02*max(float64(mhz)-1000, 0) }

func TestFrequencyCliff(t *testing.T) {
	var ps []event.PointDone
	for mhz := 300; mhz <= 2000; mhz += 100 {
		ps = append(ps, pt(mhz, 1, kinked(mhz)*(1+0.002*math.Sin(float64(mhz))), 1))
	}
	cliff, ok := Curves(ps)[0].FrequencyCliff()
	if !ok {
		t.Fatal("no cliff")
	}
	near(t, "cliff", cliff.MHz, 1000, 30)
	if !(cliff.LowMHz <= cliff.MHz && cliff.HighMHz >= cliff.MHz && cliff.HighMHz-cliff.LowMHz < 150) {
		t.Errorf("interval %g to %g MHz", cliff.LowMHz, cliff.HighMHz)
	}
	near(t, "plateau", cliff.PlateauSaving, 100*(1-10.0/30), 1)
	// A straight line has none.
	ps = ps[:0]
	for mhz := 300; mhz <= 2000; mhz += 100 {
		ps = append(ps, pt(mhz, 1, float64(mhz), 1))
	}
	if c, ok := Curves(ps)[0].FrequencyCliff(); ok {
		t.Errorf("a straight line has a cliff at %g MHz", c.MHz)
	}
}

func TestOptimaAndPareto(t *testing.T) {
	var ps []event.PointDone
	for mhz := 300; mhz <= 2000; mhz += 100 {
		ps = append(ps, pt(mhz, 1, kinked(mhz), 1+200/float64(mhz)))
	}
	c := Curves(ps)[0]
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
	a, b := pt(1000, 1, 10, 1), pt(1000, 1, 40, 4)
	b.Dataset, b.Queries = "narrativeqa", 30
	c, d := a, b
	c.RequestedSMMHz, d.RequestedSMMHz = 1500, 1500
	c.PointID, d.PointID = "z"+c.PointID, "z"+d.PointID
	lonely := pt(2000, 1, 10, 1) // the other dataset has no such point
	got := Pool([]event.PointDone{a, b, c, d, lonely})
	if len(got) != 2 {
		t.Fatalf("%d pooled points", len(got))
	}
	near(t, "energy", got[0].EnergyJ, (10*10+40*30)/40.0, 1e-12)
	near(t, "latency", got[0].LatencyS, (1*10+4*30)/40.0, 1e-12)
	near(t, "J/token", got[0].JoulesPerToken, (10*10+40*30)/(40*100.0), 1e-12)
	near(t, "power", got[0].MeanPowerW, 10, 1e-12)
}

func TestStudyBesidePublished(t *testing.T) {
	var ps []event.PointDone
	for _, mhz := range []int{180, 960, 2842} {
		ps = append(ps, pt(mhz, 1, 10+float64(mhz)/300, 1.05-float64(mhz)/60000))
	}
	var text bytes.Buffer
	for _, table := range Study(ps, 0.03) {
		table.Simulated = true
		if len(table.Rows) == 0 {
			continue
		}
		if err := table.WriteText(&text, true); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"SIMULATED Table XI", "42.3", "+52.4", "Table XII", "960", "Table XIII", "TruthfulQA (100)", "Table XVI", "2.92"} {
		if want == "TruthfulQA (100)" {
			want = "truthfulqa"
		}
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in\n%s", want, text.String())
		}
	}
	for i, line := range strings.Split(text.String(), "\n") {
		if strings.Contains(line, "NaN") {
			t.Errorf("line %d: %s", i, line)
		}
	}
}

func TestPublishedNumbersAreThere(t *testing.T) {
	near(t, "XI", published("11", "energy_reduction_pct", "model", "Qwen2.5-32B", "batch", "8"), 44.1, 0)
	near(t, "XI mean at batch 1", paperMean("energy_reduction_pct", 1), 41.88, 0.01)
	near(t, "XVI", published("16", "low_180_j", "model", "llama-3.2-1b"), 1.69, 0)
	if v := published("11", "energy_reduction_pct", "model", "gpt-9", "batch", "1"); !math.IsNaN(v) {
		t.Errorf("an unknown model has %g", v)
	}
}

func TestBillions(t *testing.T) {
	for name, want := range map[string]float64{"llama-3.2-1b": 1, "qwen2.5:14b": 14, "llama-135m": 0.135, "Qwen2.5-0.5B-Instruct-Q4_K_M": 0.5, "mymodel": math.NaN()} {
		if got := Billions(name); got != want && !(math.IsNaN(got) && math.IsNaN(want)) {
			t.Errorf("%s: %g, want %g", name, got, want)
		}
	}
}
