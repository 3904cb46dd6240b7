package binding

import (
	"encoding/csv"
	"os"
	"strconv"
	"testing"
	"time"

	"jouletop/engine/event"
	"jouletop/gpu"
	"jouletop/gpu/sharedtest"
)

// rows reads a recorded table.
func rows(t *testing.T, name string) []map[string]string {
	t.Helper()
	f, err := os.Open(sharedtest.Path(t, "h100", name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	all, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var out []map[string]string
	for _, r := range all[1:] {
		row := map[string]string{}
		for i, c := range all[0] {
			row[c] = r[i]
		}
		out = append(out, row)
	}
	return out
}

func num(t *testing.T, text string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// 40 requests of mixed size on an H100 at its default clock and 700 W, recorded without
// throttle reasons: prefills at batch 4 were held by the power limit, decodes were not,
// though what a prefill did to the clock is mostly read in the decode after it.
func TestRecordedMixed(t *testing.T) {
	polled, phases := rows(t, "mixed_8b_polled.csv"), rows(t, "mixed_8b_phases.csv")
	for _, batch := range []string{"1", "4"} {
		w := New(GPU{ID: "g", HighestMHz: 1980, LimitW: 700})
		w.Observe(event.PointStart{})
		next := 0
		for _, p := range polled {
			at := int64(num(t, p["t_ns"]))
			for ; next < len(phases) && int64(num(t, phases[next]["end_ns"])) <= at; next++ {
				q := phases[next]
				if q["batch"] != batch {
					continue
				}
				w.Observe(event.PhaseEnd{PhaseSpan: event.PhaseSpan{
					GPU: "g", Phase: event.Phase(q["phase"]), StartNS: int64(num(t, q["start_ns"])), EndNS: int64(num(t, q["end_ns"])),
				}})
			}
			w.Observe(event.Power{GPU: "g", PowerReading: gpu.PowerReading{TimeNS: at, Source: gpu.SourceInstant, PowerW: num(t, p["power_instant_mw"]) / 1000}})
			if p["sm_mhz"] != "" {
				w.Observe(event.Sample{At: event.At{TimeNS: at}, GPU: "g", Sample: gpu.Sample{SMMHz: int(num(t, p["sm_mhz"]))}})
			}
		}
		h := w.Point()
		t.Logf("batch %s: prefill %s, decode %s", batch, h.Prefill, h.Decode)
		if h.Decode.By != event.HeldByNothing {
			t.Errorf("batch %s: decode held by %s", batch, h.Decode)
		}
		if batch == "4" && (h.Prefill.By != event.HeldByPower || h.Prefill.Pct < event.HeldMostly) {
			t.Errorf("batch 4: prefill held by %s", h.Prefill)
		}
	}
}

// Steady blocks of each phase, recorded with throttle reasons: of 8B the prefill at batch
// 8 was held by the power limit, at a mean of 650 W of 700.
func TestRecordedBlocks(t *testing.T) {
	for _, r := range rows(t, "phase_blocks.csv") {
		k := newCard(0, 700)
		k.step(time.Second, 1980, gpu.ThrottleIdle)
		k.see(event.PointStart{})
		for range 5 {
			k.phase(event.Phase(r["phase"]), time.Second, int(num(t, r["sm_mhz"])), gpu.Throttle(num(t, r["throttle_bits"])))
		}
		h := k.w.Point()
		want := event.HeldByNothing
		if r["model_shape"] == "llama-8b" && r["phase"] == "prefill" && r["batch"] == "8" {
			want = event.HeldByPower
		}
		if got := *h.Of(event.Phase(r["phase"])); got.By != want {
			t.Errorf("%s %s at batch %s: %s, want %s", r["model_shape"], r["phase"], r["batch"], got, want)
		}
	}
}
