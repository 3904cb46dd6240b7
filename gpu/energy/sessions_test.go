package energy

import (
	"math"
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

func sqrt(x float64) float64 { return math.Sqrt(x) }

// clockOf is the requested clock of row i, 0 where the driver's was left.
func clockOf(tb table, i int) int {
	if mhz := tb.num(i, "requested_sm_mhz"); mhz > 0 {
		return int(mhz)
	}
	return 0
}
