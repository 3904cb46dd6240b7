package engine_test

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"jouletop/engine"
	"jouletop/engine/enginetest"
	"jouletop/engine/event"
	"jouletop/engine/simllm"
	"jouletop/gpu/simgpu"
	"jouletop/gpu/timebase"
	"jouletop/workloads"
)

// draftRun is what came of requests for which tokens are drafted, on a simulated GPU.
type draftRun struct {
	requests []event.RequestEnergy
	spans    []event.PhaseSpan
	points   []event.PointDone
	gpu      *simgpu.GPU
}

// drafting is a case: a model, what drafts for it, how deep, how many requests.
type drafting struct {
	model, by    string
	depth, batch int
	requests     int
	tokens       int
	accept       float64 // NaN: as assumed
	seed         int64
	lag          time.Duration // of the sensors; 0 as usual
}

func (d drafting) run(t testing.TB) (out draftRun) {
	t.Helper()
	card := []simgpu.Option{simgpu.WithTruth(), simgpu.WithGain(0)}
	if d.lag > 0 {
		card = append(card, simgpu.WithBufferLag(d.lag))
	}
	w := enginetest.World{
		Seed: d.seed, GPU: card, Model: []simllm.Option{simllm.WithAcceptance(d.accept)},
		Heard: func(ev event.Event) {
			switch ev := ev.(type) {
			case event.RequestEnergy:
				out.requests = append(out.requests, ev)
			case event.PhaseEnd:
				if ev.Phase != event.Idle {
					out.spans = append(out.spans, ev.PhaseSpan)
				}
			case event.PointDone:
				out.points = append(out.points, ev)
			}
		},
	}
	point := engine.PointPlan{
		Point:     event.Point{PointID: "p", GPU: "sim:h100", Model: d.model, Dataset: "d", BatchSize: d.batch, Repeat: 1, Drafting: event.Drafting{Draft: d.by, DraftDepth: d.depth}},
		Spec:      engine.ModelSpec{Name: d.model, Drafter: engine.Drafter{Name: d.by}},
		MaxTokens: d.tokens,
	}
	for i := range d.requests {
		point.Queries = append(point.Queries, workloads.Query{ID: fmt.Sprint(i), Dataset: "d", Style: workloads.NarrativeQA,
			Prompt: strings.Repeat("A question of some length about nothing at all. ", 4+i%7)})
	}
	out.gpu = w.Run(t, func(_ timebase.Clock, e *engine.Engine) error {
		return e.Run(context.Background(), engine.Plan{Name: "run", Points: []engine.PointPlan{point}, Idle: 1e9})
	})
	return out
}

// truth is what the phases of a kind of a batch took, J.
func (r draftRun) truth(batch string, kind event.Phase) (j float64) {
	for _, s := range r.spans {
		if s.BatchID == batch && s.Phase == kind {
			j += r.gpu.TrueEnergyJ(s.StartNS, s.EndNS)
		}
	}
	return j
}

// split is how often the intervals of what drafting and verifying took held the truth.
type split struct {
	stated, held, all int
	rel               float64 // sum of half-widths, as shares
	off               float64
}

func (s *split) add(j, half, truth float64) {
	s.all++
	if math.IsNaN(j) {
		return
	}
	s.stated++
	s.rel += half / truth
	s.off += math.Abs(j-truth) / truth
	if math.Abs(j-truth) <= half {
		s.held++
	}
}

func (s split) String() string {
	return fmt.Sprintf("%d of %d stated, %.1f %% of these hold the truth, ± %.1f %% on average, off by %.1f %%", s.stated, s.all, 100*float64(s.held)/float64(s.stated), 100*s.rel/float64(s.stated), 100*s.off/float64(s.stated))
}

// What drafting and verifying took is stated with an interval that holds what the simulated
// GPU drew in those phases, in about 95 of 100 requests: each phase is far shorter than a
// sensor's period.
func TestDraftedEnergyHoldsTheTruth(t *testing.T) {
	var all [2]split
	for _, d := range draftings {
		d.batch, d.requests, d.tokens, d.accept = 1, 25, 100, math.NaN()
		var of [2]split
		for d.seed = 1; d.seed <= 2; d.seed++ {
			d.lag = lagOf(7 * d.seed)
			r := d.run(t)
			if len(r.requests) != d.requests || len(r.points) != 1 {
				t.Fatalf("%d requests, %d points", len(r.requests), len(r.points))
			}
			var want event.DraftedEnergy
			var sum float64
			for _, q := range r.requests {
				draft, verify := r.truth(q.BatchID, event.Draft), r.truth(q.BatchID, event.Verify)
				want.DraftJ, want.VerifyJ = want.DraftJ+draft, want.VerifyJ+verify
				if d.by != event.DraftNGram {
					of[0].add(q.DraftJ, q.DraftErrJ, draft)
				} else if q.DraftJ != 0 || q.DraftErrJ != 0 {
					t.Errorf("a lookup took %v ± %v J", q.DraftJ, q.DraftErrJ)
				}
				of[1].add(q.VerifyJ, q.VerifyErrJ, verify)
				sum += q.EnergyJ
			}
			p, n := r.points[0], float64(d.requests)
			if math.Abs(p.DraftJ*n-want.DraftJ) > p.DraftErrJ*n+1e-9 || math.Abs(p.VerifyJ*n-want.VerifyJ) > p.VerifyErrJ*n {
				t.Errorf("%s drafts for %s, depth %d, seed %d: point of %.2f ± %.2f and %.2f ± %.2f J a query, truly %.2f and %.2f", d.by, d.model, d.depth, d.seed, p.DraftJ, p.DraftErrJ, p.VerifyJ, p.VerifyErrJ, want.DraftJ/n, want.VerifyJ/n)
			}
			if parts := p.PrefillEnergyJ + p.DecodeEnergyJ; math.Abs(parts-p.EnergyJ) > 0.03*p.EnergyJ || math.Abs(sum/n-p.EnergyJ) > 0.02*p.EnergyJ || p.DraftJ+p.VerifyJ > p.DecodeEnergyJ*1.02 {
				t.Errorf("%s drafts for %s: point of %.2f J a query, requests of %.2f; prefill %.2f, decode %.2f of which %.2f and %.2f", d.by, d.model, p.EnergyJ, sum/n, p.PrefillEnergyJ, p.DecodeEnergyJ, p.DraftJ, p.VerifyJ)
			}
		}
		t.Logf("%s drafts for %s, depth %d: draft %v; verify %v", d.by, d.model, d.depth, of[0], of[1])
		for i := range all {
			all[i].all, all[i].stated, all[i].held = all[i].all+of[i].all, all[i].stated+of[i].stated, all[i].held+of[i].held
		}
	}
	for i, s := range all {
		if float64(s.held) < 0.93*float64(s.stated) || float64(s.stated) < 0.75*float64(s.all) {
			t.Errorf("%v: of %d energies %d are stated, and %d of these hold the truth", []event.Phase{event.Draft, event.Verify}[i], s.all, s.stated, s.held)
		}
	}
}

// What is generated, and how much of what was drafted is accepted, does not depend on how
// deep is drafted but for what follows from it; in batches too, and each kind of phase has
// its tokens.
func TestDraftedCounts(t *testing.T) {
	for _, batch := range []int{1, 3} {
		for _, by := range []string{event.DraftSelf, "llama-3.2-1b", event.DraftNGram} {
			for _, depth := range []int{0, 1, 5} {
				d := drafting{model: "llama-3.1-8b", by: by, depth: depth, batch: batch, requests: 6, tokens: 60, accept: math.NaN(), seed: 3}
				plain := d
				plain.by, plain.depth = "", 0
				r, want := d.run(t), plain.run(t)
				var read, generated, accepted, drafted, proposed int
				for _, s := range r.spans {
					switch s.Phase {
					case event.Verify, event.Decode:
						read += s.Tokens
					case event.Draft:
						proposed += s.Tokens
					}
				}
				for i, q := range r.requests {
					if q.Output.Text != want.requests[i].Output.Text || q.OutputTokens != want.requests[i].OutputTokens {
						t.Errorf("%+v: %q of %d tokens, without a draft %q", d, q.Output.Text, q.OutputTokens, want.requests[i].Output.Text)
					}
					generated, accepted, drafted = generated+q.OutputTokens, accepted+q.AcceptedTokens, drafted+q.DraftTokens
				}
				if read != generated-accepted+drafted || by == event.DraftSelf && accepted != drafted || (drafted == 0) != (depth == 0) {
					t.Errorf("%+v: %d read, %d generated, %d drafted, %d accepted", d, read, generated, drafted, accepted)
				}
				if by != event.DraftNGram && proposed != drafted {
					t.Errorf("%+v: %d in phases of drafting, %d in requests", d, proposed, drafted)
				}
				p := r.points[0]
				if depth > 0 && (math.Abs(p.MeanDraftTokens*6-float64(drafted)) > 1e-6 || math.Abs(p.Acceptance()-float64(accepted)/float64(drafted)) > 1e-9) {
					t.Errorf("%+v: %v drafted a query, %v accepted", d, p.MeanDraftTokens, p.MeanAcceptedTokens)
				}
			}
		}
	}
}
