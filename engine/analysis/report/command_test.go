package report

import (
	"math"
	"path/filepath"
	"strings"
	"testing"

	"jouletop/engine/event"
	"jouletop/engine/session"
	"jouletop/gpu/host"
)

// watchedSession is of a command of 10 s, which says that it read 1000 tokens and
// generated 100, beside a host of 50 W; lost are the readings of its counter from the
// fifth second on.
func watchedSession(t *testing.T, lost bool) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "s")
	in, out, status, joules, errJ, net := 1000, 100, 0, 2000.0, 10.0, 1200.0
	rec, err := session.Create(dir, session.Manifest{
		Name: "watch", Ended: event.HowDone,
		HostSources: []host.Source{{ID: "rapl:package-0", Kind: host.RAPL, Domain: "package-0", RangeJ: 65536, PeriodMS: 1}, {ID: "dcmi", Kind: host.DCMI, Domain: "server", StepW: 1}},
		Command: &session.Command{
			Args: []string{"bench", "a b"}, Ended: "exit status 0", Status: &status, InputTokens: &in, OutputTokens: &out, TokensFrom: "its word",
			StartNS: 1e9, EndNS: 11e9, EnergyJ: &joules, EnergyErrJ: &errJ, NetEnergyJ: &net, NetErrJ: &errJ,
		},
	}, session.Full)
	if err != nil {
		t.Fatal(err)
	}
	nan := math.NaN()
	rec.Record(event.RequestEnergy{
		Request: event.Request{RequestID: "watch/b1.0", BatchID: "watch/b1", PointID: "watch", Repeat: 1, GPU: "0:GPU-1", Dataset: "bench", QueryID: "bench", BatchSize: -1,
			PointBatchSize: -1, StartNS: 1e9, EndNS: 11e9, InputTokens: in, OutputTokens: out, PrefillS: nan, DecodeS: nan, Quality: nan},
		Energy: event.Energy{EnergyJ: joules, EnergyErrJ: errJ, Method: "buffer"}, NetEnergyJ: net, ServedEnergy: event.NotServed,
	})
	for i := range 121 {
		at := event.At{TimeNS: int64(i) * 1e8}
		j := math.Mod(65400+5*float64(i), 65536)
		if lost && i > 60 {
			j = nan
		}
		rec.Record(event.HostPower{At: at, Source: "rapl:package-0", PowerW: nan, CounterJ: j})
		rec.Record(event.HostPower{At: at, Source: "dcmi", PowerW: 400, CounterJ: nan})
	}
	if err := rec.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestCommand(t *testing.T) {
	for _, lost := range []bool{false, true} {
		r, err := Load([]string{watchedSession(t, lost)})
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		for _, table := range r.Tables(0.03, false) {
			if err := table.WriteText(&b, false); err != nil {
				t.Fatal(err)
			}
		}
		text := strings.Join(strings.Fields(b.String()), " ")
		want := []string{
			"whole command 10.00 1000 100 2000 ±10 200.0 ±1.0 20.00 ±0.10 1.818 ±0.009", "idle part 10.00 – – 800 80.0 – –", "above idle 10.00 1000 100 1200 ±10",
			"bench 'a b': exit status 0.", "Tokens by its word", "server 4000 ±5 400.0 ±0.5 the whole server, GPUs too",
		}
		if lost {
			want = append(want, "host beside 10.00 1000 100 – – – –", "package-0 – – not stated: it was not read all the time")
		} else {
			want = append(want, "host beside 10.00 1000 100 500.00 ±0.10 50.000 ±0.010 5.0000 ±0.0010 0.45455 ±0.00009", "package-0 500.00 ±0.10 50.000 ±0.010")
		}
		for _, w := range want {
			if !strings.Contains(text, w) {
				t.Errorf("lost %v: no %q in %s", lost, w, text)
			}
		}
		if strings.Contains(text, "Table I:") {
			t.Error("a command in the study's tables")
		}
	}
}
