package engine_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"jouletop/engine"
	"jouletop/engine/event"
	"jouletop/gpu/timebase"
	"jouletop/workloads/arrivals"
)

// taker is a server of its own kind: a request waits for one of its slots, reads 50 ms
// and generates a token in 20.
type taker struct {
	engine.Backend
	clk              timebase.Clock
	slots            int
	running, most    int
	sent             []engine.Request
	unreachable      func(sent int) bool
	countsNoTokens   bool
	blind            bool          // texts come in bursts
	counting         time.Duration // that counting tokens takes
	underWay, atOnce int
}

func (k *taker) CountTokens(text string) (int, error) {
	_ = k.clk.Sleep(context.Background(), k.counting)
	if k.countsNoTokens {
		return 0, errors.New("not here")
	}
	return len(text) / 5, nil
}

func (k *taker) Send(ctx context.Context, q engine.Request, heard engine.Heard) engine.Result {
	k.sent = append(k.sent, q)
	k.underWay++
	k.atOnce = max(k.atOnce, k.underWay)
	defer func() { k.underWay-- }()
	r := engine.Result{CachedTokens: 0, Quality: math.NaN(), Output: event.Output{Choice: -1}, StartNS: k.clk.Now(), EndNS: k.clk.Now()}
	if k.unreachable != nil && k.unreachable(len(k.sent)) {
		r.Err = engine.ErrBackendDied
		return r
	}
	for k.running == k.slots {
		_ = k.clk.Sleep(ctx, time.Millisecond)
	}
	k.running++
	k.most = max(k.most, k.running)
	r.PrefillStartNS = k.clk.Now()
	for i := range q.MaxTokens {
		d := 20 * time.Millisecond
		if i == 0 {
			d = 50 * time.Millisecond
		}
		if r.Err = k.clk.Sleep(ctx, d); r.Err != nil {
			break
		}
		if r.EndNS = k.clk.Now(); i == 0 {
			r.PrefillEndNS, r.FirstTokenNS = r.EndNS, r.EndNS
		}
		heard.Text(r.EndNS, "w ", 0)
		r.OutputTokens++
	}
	k.running--
	if k.blind {
		r.Flags = event.FlagsOf(event.FlagBufferedStream)
	}
	r.InputTokens, r.Output.Text = len(q.Query.Prompt)/5, "w"
	return r
}

// taking is a bench whose backend is a server.
func taking(k *taker) *bench {
	b := &bench{}
	b.wrap = func(inner engine.Backend) engine.Backend {
		k.Backend, k.clk = struct{ engine.Backend }{inner}, b.clk
		return k
	}
	return b
}

// Requests are sent when they are meant to come, whoever is under way; what each cost
// adds up to what all did.
func TestSendsWhatComes(t *testing.T) {
	const n = 120
	k := &taker{slots: 8}
	pt := served(t, n, 8, "poisson:5")
	pt.MaxTokens = 60
	b := serve(t, taking(k), pt, nil)
	requests := of[event.RequestEnergy](b)
	if len(requests) != n || k.most != 8 || k.atOnce <= 8 {
		t.Fatalf("%d requests, %d at once of %d", len(requests), k.most, k.atOnce)
	}
	spec, _ := arrivals.Parse("poisson:5")
	p, _ := spec.Open(3)
	slices.SortFunc(requests, func(a, b event.RequestEnergy) int { return int(a.ArrivalNS - b.ArrivalNS) })
	joules, whole, began := 0.0, 0.0, int64(0)
	for i, r := range requests {
		a, _ := p.Next()
		if i == 0 {
			began = r.ArrivalNS - int64(a.At)
		}
		if r.ArrivalNS != began+int64(a.At) {
			t.Fatalf("%s came at %d, meant for %d", r.RequestID, r.ArrivalNS, began+int64(a.At))
		}
		joules += r.EnergyJ
		if r.Err != "" || r.OutputTokens != 60 || math.Abs(r.TTFTS-r.QueueS-r.PrefillS) > 1e-9 || math.Abs(r.TPOTS()-0.02) > 1e-9 || math.Abs(r.GapMaxS-0.02) > 1e-9 ||
			math.Abs(r.LatencyS()-r.TTFTS-r.DecodeS) > 1e-9 {
			t.Errorf("%+v", r)
		}
	}
	for _, p := range of[event.PhaseEnergy](b) {
		if p.Phase == event.Mixed {
			whole += p.EnergyJ
			if d := float64(p.EndNS-p.StartNS) / 1e9; d > 3 {
				t.Errorf("a phase of %g s", d)
			}
		}
	}
	if math.Abs(joules/whole-1) > 0.01 {
		t.Errorf("requests cost %g J, all of it %g J", joules, whole)
	}
	read, made := 0, 0
	for _, it := range of[event.Iteration](b) {
		if it.Origin != event.OriginStream || it.Doubts != "" {
			t.Fatalf("%+v", it)
		}
		for _, m := range it.Members {
			if m.Prefill {
				read += m.Fresh
			} else {
				made += m.Fresh
			}
		}
	}
	prompts := 0
	for _, r := range requests {
		prompts += r.InputTokens
		if !r.Flags.Has(event.FlagPassesObserved) {
			t.Errorf("%s: %s", r.RequestID, r.Flags)
		}
	}
	if made != n*59 || read != prompts {
		t.Errorf("%d tokens read and %d made in passes, %d and %d by requests", read, made, prompts, n*59)
	}
	for _, w := range of[event.Warning](b) {
		if strings.Contains(w.Text, "late") {
			t.Error(w.Text)
		}
	}
}

func TestSendsInAClosedLoop(t *testing.T) {
	k := &taker{slots: 8}
	pt := served(t, 30, 4, "")
	pt.MaxTokens = 5
	b := serve(t, taking(k), pt, nil)
	requests := of[event.RequestEnergy](b)
	if len(requests) != 30 || k.atOnce != 4 {
		t.Fatalf("%d requests, %d at once", len(requests), k.atOnce)
	}
	// Four at a time, each for 50 + 4 × 20 ms: 8 rounds.
	first, last := int64(math.MaxInt64), int64(0)
	for _, r := range requests {
		first, last = min(first, r.ArrivalNS), max(last, r.EndNS)
	}
	if d := time.Duration(last - first); d != 8*130*time.Millisecond {
		t.Errorf("it took %v", d)
	}
}

// Prompts have the lengths of a trace, as far as anybody counts.
func TestSendsATrace(t *testing.T) {
	for _, blind := range []bool{false, true} {
		k := &taker{slots: 8, countsNoTokens: blind, counting: 3 * time.Second}
		rows := []arrivals.Arrival{{Input: 700, Output: 5}, {At: time.Second, Input: 20, Output: 1}, {At: 2 * time.Second, Input: 4000, Output: 30}}
		pt := served(t, 2, 8, "")
		pt.Serving.Requests, pt.Serving.Arrivals = 3, func() (arrivals.Process, error) { return &listed{rows: rows}, nil }
		b := serve(t, taking(k), pt, nil)
		for i, q := range k.sent {
			want := rows[i].Input * map[bool]int{false: 5, true: 4}[blind]
			if d := len(q.Query.Prompt) - want; d < -want/100 || d > 20+want/100 || q.MaxTokens != rows[i].Output || q.RandomTokens != 0 {
				t.Errorf("request %d: %d bytes, want %d, and %d tokens to generate", i, len(q.Query.Prompt), want, q.MaxTokens)
			}
		}
		warned := strings.Contains(fmt.Sprint(of[event.Warning](b)), "nobody counts tokens here")
		if len(k.sent) != 3 || warned != blind {
			t.Errorf("%d sent, warned %v", len(k.sent), warned)
		}
		if late := strings.Contains(fmt.Sprint(of[event.Warning](b)), "were sent late"); late {
			t.Error("requests waited until the server had counted tokens")
		}
	}
}

// A server that is gone ends the point; one that is away for a moment does not.
func TestServerIsGone(t *testing.T) {
	k := &taker{slots: 8, unreachable: in(5, 6, 7, 20)}
	b := serve(t, taking(k), served(t, 40, 8, "poisson:20"), nil)
	failed := 0
	for _, r := range of[event.RequestEnergy](b) {
		if r.Err != "" {
			failed++
		}
	}
	if failed != 4 || len(k.sent) != 40 {
		t.Errorf("%d of %d failed", failed, len(k.sent))
	}
	k = &taker{slots: 8, unreachable: func(sent int) bool { return sent > 10 }}
	serve(t, taking(k), served(t, 400, 8, "poisson:20"), engine.ErrBackendDied)
	if len(k.sent) > 60 {
		t.Errorf("%d requests were sent to nobody", len(k.sent)-10)
	}
}

func TestStopWhileSending(t *testing.T) {
	k := &taker{slots: 8}
	pt := served(t, 200, 4, "poisson:20")
	b := simulateIn(t, taking(k), []string{"h100"}, func(b *bench) {
		b.clk.Go(func() {
			_ = b.clk.Sleep(context.Background(), 4*time.Second)
			b.engine.StopRun()
		})
		if err := b.engine.Run(context.Background(), engine.Plan{Name: "run", Points: []engine.PointPlan{pt}, Idle: time.Second}); !errors.Is(err, engine.ErrStopped) {
			t.Error(err)
		}
	})
	if n := len(of[event.RequestEnergy](b)); n < 5 || n > 100 || n != len(k.sent) {
		t.Errorf("%d sent, %d with energy", len(k.sent), n)
	}
}

// once is a request, and 20 s later requests without a pause.
type once struct{ n int }

func (o *once) Next() (arrivals.Arrival, error) {
	o.n++
	if o.n == 1 {
		return arrivals.Arrival{}, nil
	}
	return arrivals.Arrival{At: 20*time.Second + time.Duration(o.n)*150*time.Millisecond}, nil
}

func (o *once) Close() error { return nil }

// Without a pause and passes energies are told late, and less precisely: that is said, once.
func TestLongBusyTimes(t *testing.T) {
	for _, c := range []struct {
		minutes time.Duration
		want    int
	}{{7, 0}, {9, 1}} {
		pt := served(t, 1, 4, "")
		pt.MaxTokens, pt.Serving.Requests, pt.Serving.Duration = 40, 0, c.minutes*time.Minute
		pt.Serving.Arrivals = func() (arrivals.Process, error) { return &once{}, nil }
		b := serve(t, taking(&taker{slots: 8, blind: true}), pt, nil)
		said := 0
		for _, w := range of[event.Warning](b) {
			if strings.Contains(w.Text, "no pause between requests") {
				said++
			}
		}
		if said != c.want {
			t.Errorf("%d minutes: said %d times", c.minutes, said)
		}
	}
}

// Where texts come in bursts it is not known in which passes they were made: from the
// second busy time on none is told, and no energy of a request that was in one.
func TestSendsBlind(t *testing.T) {
	pt := served(t, 40, 4, "poisson:2")
	pt.MaxTokens = 20
	b := serve(t, taking(&taker{slots: 8, blind: true}), pt, nil)
	batches := map[string]bool{}
	for _, it := range of[event.Iteration](b) {
		batches[it.BatchID] = true
	}
	if len(batches) != 1 || !batches["p.llama-3.1-8b/s1"] {
		t.Errorf("passes in %v", batches)
	}
	stated := 0
	for _, r := range of[event.RequestEnergy](b) {
		if told := r.BatchID == "p.llama-3.1-8b/s1"; told != math.IsNaN(r.EnergyJ) {
			t.Errorf("%s: %g J, %s", r.BatchID, r.EnergyJ, r.Flags)
		} else if !told {
			stated++
		}
	}
	said := 0
	for _, w := range of[event.Warning](b) {
		if strings.Contains(w.Text, "of 40 requests came in bursts") {
			said++
		}
	}
	if stated < 10 || said != 1 {
		t.Errorf("%d energies are stated; said %d times", stated, said)
	}
}
