package engine_test

import (
	"context"
	"math"
	"strings"
	"testing"

	"jouletop/engine/event"
	"jouletop/engine/serverword"
)

// telling is what a server says of itself, as a test wants it.
type telling struct {
	k *taker
	// change alters what is said of a reading, the n-th.
	change func(n int, r *serverword.Timed)
	word   event.ServerTelemetry
	fails  bool
	n      int
}

func (w *telling) Look(context.Context) error {
	if w.fails {
		return serverword.ErrNothing
	}
	return nil
}
func (w *telling) Optional() bool              { return w.fails }
func (w *telling) Word() event.ServerTelemetry { return w.word }

func (w *telling) Take() serverword.Told {
	made := 0.0
	for _, q := range w.k.sent[:len(w.k.sent)-w.k.underWay] { // as many have ended
		made += float64(q.MaxTokens)
	}
	r := serverword.Timed{AskedNS: w.k.clk.Now(), TimeNS: w.k.clk.Now(), Reading: serverword.Reading{
		Kind: serverword.VLLM, Running: float64(w.k.running), Waiting: float64(w.k.underWay - w.k.running), Read: math.NaN(), Made: made, Passes: math.NaN(),
	}}
	w.n++
	if w.change != nil {
		w.change(w.n, &r)
	}
	return serverword.Told{Readings: []serverword.Timed{r}}
}

// What a server says of itself is compared with what comes from it: others who use it
// leave energies unstated, and what cannot be is told and not believed.
func TestServerSays(t *testing.T) {
	const n = 60
	for _, c := range []struct {
		name   string
		w      telling
		warns  string // "" nothing
		doubts bool
		silent bool // no word of it
	}{
		{name: "the truth"},
		{name: "others", w: telling{change: func(_ int, r *serverword.Timed) { r.Running += 2 }}, warns: "others use it too, and what single requests cost meanwhile is not stated", doubts: true},
		{name: "more tokens", w: telling{change: func(n int, r *serverword.Timed) { r.Made += 100 * float64(n) }}, warns: "of which 1200 came here: others use it too"},
		{name: "fewer tokens", w: telling{change: func(_ int, r *serverword.Timed) { r.Made /= 2 }}, warns: "its counters are not believed"},
		{name: "starts again", w: telling{word: event.ServerTelemetry{Restarts: 1}}, warns: "began anew 1 times"},
		{name: "stops", w: telling{word: event.ServerTelemetry{Stopped: true, Failed: 7, Looks: 9}}, warns: "it stopped; 7 of 9 looks failed"},
		{name: "talks nonsense", w: telling{word: event.ServerTelemetry{Malformed: 3}}, warns: "3 pages or records did not read"},
		{name: "lies", w: telling{word: event.ServerTelemetry{Impossible: 4}}, warns: "4 values cannot be"},
		{name: "loses", w: telling{word: event.ServerTelemetry{Lost: 5, Records: 95, Workers: 1}}, warns: "5 records of passes are missing, of 100"},
		{name: "several workers", w: telling{word: event.ServerTelemetry{Workers: 2}}, warns: "2 workers told of passes"},
		{name: "nothing", w: telling{fails: true}, silent: true},
	} {
		k := &taker{slots: 8}
		c.w.k = k
		pt := served(t, n, 8, "poisson:5")
		pt.MaxTokens = 20
		b := taking(k)
		b.telemetry = &c.w
		serve(t, b, pt, nil)
		words := of[event.ServerWord](b)
		if c.silent != (len(words) == 0) || !c.silent && (len(words) != 1 || words[0].PointID != "p.llama-3.1-8b" || words[0].Concluded == 0) {
			t.Errorf("%s: %+v", c.name, words)
		}
		said := ""
		for _, w := range of[event.Warning](b) {
			if strings.Contains(w.Text, "server") {
				said += w.Text + "\n"
			}
		}
		if !strings.Contains(said, c.warns) || c.warns == "" && said != "" {
			t.Errorf("%s: said %q", c.name, said)
		}
		queued := -1
		for _, it := range of[event.Iteration](b) {
			queued = max(queued, it.Queued)
		}
		if c.silent != (queued < 0) {
			t.Errorf("%s: %d in the queue", c.name, queued)
		}
		unstated := 0
		for _, r := range of[event.RequestEnergy](b) {
			if math.IsNaN(r.EnergyJ) {
				unstated++
			}
			if math.IsNaN(r.EnergyJ) != r.Flags.Has(event.FlagPassesDoubtful) {
				t.Errorf("%s: %s, %g J", c.name, r.Flags, r.EnergyJ)
			}
		}
		if c.doubts != (unstated > 0) {
			t.Errorf("%s: %d of %d energies are not stated", c.name, unstated, n)
		}
	}
}
