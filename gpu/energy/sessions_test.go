package energy

import (
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"jouletop/gpu"
)

// sessionMeter returns a meter that has heard a recorded session.
func sessionMeter(t testing.TB, dir string) *Meter {
	m := New(nil, Options{})
	power := readTable(t, filepath.Join(dir, "power.csv"))
	for i := range power.rows {
		m.Add(gpu.PowerReading{
			TimeNS: power.ns(i, "t_ns"), Source: power.str(i, "source"),
			PowerW: power.num(i, "power_w"), CounterJ: power.num(i, "energy_counter_j"), Fresh: power.str(i, "fresh") == "1",
		})
	}
	for _, p := range sessionPhases(t, dir) {
		m.AddPhase(p)
	}
	return m
}

func sessionPhases(t testing.TB, dir string) []Phase {
	models := map[string]string{}
	requests := readTable(t, filepath.Join(dir, "requests.csv"))
	for i := range requests.rows {
		models[requests.str(i, "batch_id")] = requests.str(i, "model")
	}
	var out []Phase
	tb := readTable(t, filepath.Join(dir, "phases.csv"))
	prompt := 0.0
	for i := range tb.rows {
		p := Phase{
			Kind: tb.str(i, "phase"), Batch: int(tb.num(i, "batch_size")), Start: tb.ns(i, "start_ns"), End: tb.ns(i, "end_ns"),
			Tokens: int(tb.num(i, "tokens")), SMMHz: clockOf(tb, i), Model: models[tb.str(i, "batch_id")],
		}
		if each := float64(p.Tokens) / math.Max(float64(p.Batch), 1); p.Kind == "prefill" {
			prompt, p.Context = each, each
		} else if p.Kind == "decode" {
			p.Context = prompt + each/2
		}
		out = append(out, p)
	}
	return out
}

// clockOf is the requested clock of row i, 0 where the driver's was left.
func clockOf(tb table, i int) int {
	if mhz := tb.num(i, "requested_sm_mhz"); mhz > 0 {
		return int(mhz)
	}
	return 0
}

// Every reading of a recorded session is about where the others say it is.
func TestRecordedSessionsAreUnderstood(t *testing.T) {
	sessions := filepath.Join(sharedData(t), "sessions")
	list, err := os.ReadDir(sessions)
	if err != nil {
		t.Skip("no sessions: ", err)
	}
	const enough = 100
	for _, d := range list {
		for _, k := range sessionMeter(t, filepath.Join(sessions, d.Name())).Check() {
			if k.Bins < enough {
				continue
			}
			give := func(share float64) float64 { return 2 * math.Sqrt(share*(1-share)/float64(k.Bins)) }
			if k.Inside < 0.93-give(0.93) || k.Inside > 0.99+give(0.99) {
				t.Errorf("%s: %.1f %% of %d readings of %s at batch %d inside", d.Name(), 100*k.Inside, k.Bins, k.Kind, k.Batch)
			}
		}
	}
}

// What was learned of one model is not believed of the next, against the readings.
func TestAModelSwitchTeachesNothingWrong(t *testing.T) {
	rnd := rand.New(rand.NewPCG(21, 22))
	w := &world{}
	w.step(1, 120)
	for _, model := range []struct {
		name            string
		prefill, decode float64
	}{{"large", 600, 560}, {"small", 400, 300}} {
		for range 30 {
			a, b := w.step(0.010, model.prefill)
			w.phases = append(w.phases, Phase{Kind: "prefill", Model: model.name, Batch: 1, Start: a, End: b, Tokens: 340})
			a, b = w.step(0.060, model.decode)
			w.phases = append(w.phases, Phase{Kind: "decode", Model: model.name, Batch: 1, Start: a, End: b, Tokens: 60})
			w.step(0.0002, 120)
		}
	}
	w.step(1, 120)
	m := New(nil, Options{})
	next, asked := 0, 0
	for _, r := range w.buffer(rnd, 0.02, 0.004, 0.003) {
		m.Add(r)
		for next < len(w.phases) && w.phases[next].End <= r.TimeNS {
			m.AddPhase(w.phases[next])
			next++
		}
		for asked+1 < next && m.Covered() > w.phases[asked+1].End {
			p, d := w.phases[asked], w.phases[asked+1]
			e, want := m.Window(p.Start, d.End), w.joules(p.Start, d.End)
			if e.Resolved && math.Abs(e.Joules-want) > 1.6*e.ErrJ { // three standard deviations
				t.Errorf("request %d (%s): %.2f ± %.2f J, truly %.2f J", asked/2, p.Model, e.Joules, e.ErrJ, want)
			}
			asked += 2
		}
	}
	if asked < 100 {
		t.Fatalf("%d phases asked for", asked)
	}
}

// Points of many short batches have an energy, though hardly a batch has one.
func TestBusyTimeOfShortBatches(t *testing.T) {
	rnd := rand.New(rand.NewPCG(23, 24))
	w := &world{}
	w.step(1, 120)
	var spans []Span
	truth := 0.0
	for range 40 {
		a, b := w.step(0.006, 420*(0.97+0.06*rnd.Float64()))
		w.phases = append(w.phases, Phase{Kind: "prefill", Batch: 1, Start: a, End: b})
		spans = append(spans, Span{a, b})
		truth += w.joules(a, b)
		w.step(0.001, 200)
	}
	w.step(1, 120)
	m := meterOf(w.buffer(rnd, 0.02, 0.004, 0.003), w.phases)
	e := m.Busy(spans)
	if !e.Resolved || math.Abs(e.Joules-truth) > e.ErrJ || e.ErrJ > 0.1*truth {
		t.Errorf("%.2f ± %.2f J, truly %.2f J", e.Joules, e.ErrJ, truth)
	}
	if none := m.Busy(nil); none.Joules != 0 {
		t.Errorf("no time at all: %+v", none)
	}
}
