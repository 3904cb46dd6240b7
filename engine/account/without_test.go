package account

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"jouletop/engine/event"
	"jouletop/engine/serving"
	"jouletop/gpu/energy"
)

// linear is a model whose passes take and cost just what their loads do.
var linear = costs{
	{Base: 1.5, BaseS: 4e-3, PerUnit: energy.Loads{loadPasses: 1, loadAlone: 1.4, loadDecode: 0.03, loadKV: 2e-5}, Seconds: energy.Loads{loadPasses: 4e-3, loadAlone: 2e-3, loadDecode: 2e-5, loadKV: 3e-8}, IdleW: 120},
	{Base: 2.7, BaseS: 6.2e-3, PerUnit: energy.Loads{loadPrefill: 0.02, loadDecode: 0.03, loadKV: 2e-5}, Seconds: energy.Loads{loadPrefill: 4e-5, loadDecode: 2e-5, loadKV: 3e-8}, IdleW: 120},
}

// world serves a load by the linear model.
type world struct {
	cfg    serving.Config
	closed int       // clients; 0 the load is open
	come   []offered // in order; of a closed loop arrivals do not matter
}

// served is what came of it.
type servedLoad struct {
	iterations []event.Iteration
	requests   []event.Request // by end
	beyond     float64         // J beyond an idle GPU
}

func (w world) serve(t *testing.T) (out servedLoad) {
	t.Helper()
	s, err := serving.New(w.cfg)
	if err != nil {
		t.Fatal(err)
	}
	now, next := int64(1e9), 0
	of := map[int]*event.Request{}
	add := func(at int64) {
		o := w.come[next]
		of[next] = &event.Request{RequestID: o.id, ArrivalNS: at, InputTokens: o.prompt, OutputTokens: o.output, CachedTokens: -1}
		if err := s.Add(next, o.prompt, o.output); err != nil {
			t.Fatal(err)
		}
		next++
	}
	for range min(w.closed, len(w.come)) {
		add(now)
	}
	for {
		for w.closed == 0 && next < len(w.come) && w.come[next].arrival <= now {
			add(w.come[next].arrival)
		}
		p, some := s.Next()
		if !some {
			if next == len(w.come) {
				return out
			}
			now = w.come[next].arrival
			continue
		}
		l, k := loadsOfPass(p)
		c := linear[k]
		seconds := c.BaseS + product(c.Seconds, l)
		it := event.Iteration{IterationSpan: event.IterationSpan{
			StartNS: now, EndNS: now + int64(seconds*1e9), PrefillTokens: p.PrefillTokens(), PrefillRequests: p.Prefills(),
			DecodeRequests: p.Decodes(), KVTokens: p.KVTokens(), Queued: s.Queued(), Evaluations: 1,
		}}
		for _, m := range p.Members {
			it.Members = append(it.Members, event.IterationMember{RequestID: of[m.ID].RequestID, Slot: m.Slot, Known: m.Known, Fresh: m.Fresh, Prefill: m.Prefill})
			if q := of[m.ID]; q.StartNS == 0 {
				q.StartNS = now
			}
		}
		out.iterations = append(out.iterations, it)
		out.beyond += c.Base + product(c.PerUnit, l) - c.IdleW*seconds
		now = it.EndNS
		for _, id := range s.Done(p) {
			of[id].EndNS = now
			out.requests = append(out.requests, *of[id])
			if w.closed > 0 && next < len(w.come) {
				add(now + 50_000)
			}
		}
	}
}

// marginal is what the account makes of one request of a load that was served: what it
// added to its own passes, and what goes beyond that.
func (s servedLoad) marginal(t *testing.T, id string) (joules, own, sd float64) {
	t.Helper()
	var f traffic
	var first before
	var r event.Request
	ended := s.requests
	for _, it := range s.iterations {
		for len(ended) > 0 && ended[0].EndNS <= it.StartNS {
			f.request(ended[0])
			ended = ended[1:]
		}
		for of, way := range f.pass(it) {
			if of == id {
				first = way
			}
		}
		for _, m := range it.Members {
			if m.RequestID != id {
				continue
			}
			phase := passPhase(it.IterationSpan, 0)
			l := linear.added(phase.Loads, kindOf(phase), loadsOf(phase, m))
			own += linear.joules(l) - linear.idleW()*linear.seconds(l)
		}
	}
	for _, q := range ended {
		f.request(q)
	}
	for _, q := range s.requests {
		if q.RequestID == id {
			r = q
		}
	}
	p := f.without(id, first, max(f.last, r.EndNS), true, linear)
	if p == nil {
		t.Fatal("nothing known of the load")
	}
	joules, sd, _ = p.beyond()
	return own + joules, own, sd
}

// What a request adds to a load is the load's energy with it less the energy without it,
// also where it keeps others waiting, has others share their passes or takes a slot.
func TestWithout(t *testing.T) {
	const id = "long"
	for name, c := range map[string]struct {
		rate            float64 // 0: closed
		clients, slots  int
		schedule        serving.Schedule
		further, closer float64 // J: by its own passes it is off by so much at least; by the replay by so much at most
	}{
		"light":                 {0.4, 0, 16, serving.Mixed, 0, 15},
		"busy":                  {6, 0, 16, serving.Mixed, 20, 12},
		"more than is served":   {40, 0, 16, serving.Mixed, 20, 15},
		"prompts first":         {6, 0, 16, serving.PrefillFirst, 20, 12},
		"clients":               {0, 8, 16, serving.Mixed, 20, 15},
		"all begin together":    {6, 0, 6, serving.Static, 20, 60},
		"clients for few slots": {0, 24, 8, serving.Mixed, 20, 15},
	} {
		t.Run(name, func(t *testing.T) {
			var off, byPass []float64
			inside := 0
			for seed := range uint64(8) {
				rng := rand.New(rand.NewPCG(seed, 9))
				w := world{cfg: serving.Config{Slots: c.slots, Chunk: 512, Schedule: c.schedule}, closed: c.clients}
				at := 1.0
				for i := range 60 {
					if c.rate > 0 {
						at += rng.ExpFloat64() / c.rate
					}
					w.come = append(w.come, offered{id: fmt.Sprint(i), arrival: int64(at * 1e9), prompt: 50 + rng.IntN(800), output: 5 + rng.IntN(150)})
				}
				without := w.serve(t)
				w.come = slices.Insert(w.come, 20, offered{id: id, arrival: w.come[20].arrival, prompt: 1900, output: 300})
				with := w.serve(t)
				got, own, sd := with.marginal(t, id)
				added := with.beyond - without.beyond
				t.Logf("added %.1f J, stated %.1f ± %.1f, own passes %.1f", added, got, 1.96*sd, own)
				if math.Abs(got-added) <= max(z95*sd, 5) {
					inside++
				}
				off, byPass = append(off, math.Abs(got-added)), append(byPass, math.Abs(own-added))
			}
			if inside < len(off)-1 {
				t.Errorf("only %d of %d inside their intervals", inside, len(off))
			}
			slices.Sort(off)
			slices.Sort(byPass)
			if m := off[len(off)/2]; m > c.closer {
				t.Errorf("off by %.1f J, median", m)
			}
			if m := byPass[len(off)/2]; m < c.further {
				t.Errorf("by its own passes off by only %.1f J, median: this tests nothing", m)
			}
		})
	}
}

// What a member of a pass adds is what the pass is more than it would be without it, also
// where that is of another kind, or for one token alone.
func TestAdded(t *testing.T) {
	cost := func(prefill, decodes, kv float64) float64 {
		if prefill > 0 {
			return linear[1].Base + product(linear[1].PerUnit, energy.Loads{loadPasses: 1, loadPrefill: prefill, loadDecode: decodes, loadKV: kv})
		}
		l := energy.Loads{loadPasses: 1, loadDecode: decodes, loadKV: kv}
		if decodes == 1 {
			l[loadPasses], l[loadAlone] = 0, 1
		}
		return linear[0].Base + product(linear[0].PerUnit, l)
	}
	for _, c := range []struct {
		name               string
		prefill, decodes   int
		own                energy.Loads
		leftPrefill, leftD float64
	}{
		{"one of three", 0, 3, energy.Loads{loadDecode: 1, loadKV: 100}, 0, 2},
		{"one of two", 0, 2, energy.Loads{loadDecode: 1, loadKV: 100}, 0, 1},
		{"a prompt beside three", 500, 3, energy.Loads{loadPrefill: 500, loadKV: 100}, 0, 3},
		{"a prompt beside one", 500, 1, energy.Loads{loadPrefill: 500, loadKV: 100}, 0, 1},
		{"a part of the prompts", 500, 1, energy.Loads{loadPrefill: 300, loadKV: 100}, 200, 1},
		{"one beside a prompt", 500, 1, energy.Loads{loadDecode: 1, loadKV: 100}, 500, 0},
	} {
		p := passPhase(event.IterationSpan{PrefillTokens: c.prefill, DecodeRequests: c.decodes, KVTokens: 1000}, 0)
		got := linear.joules(linear.added(p.Loads, kindOf(p), c.own))
		want := cost(float64(c.prefill), float64(c.decodes), 1000) - cost(c.leftPrefill, c.leftD, 900)
		if math.Abs(got-want) > 1e-9 {
			t.Errorf("%s: adds %.4f J, want %.4f", c.name, got, want)
		}
	}
}
