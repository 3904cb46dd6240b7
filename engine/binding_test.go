package engine_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	"jouletop/engine"
	"jouletop/engine/binding"
	"jouletop/engine/event"
	"jouletop/gpu"
)

// boundPoint is a point of a sweep and for how much of each phase's time a power limit
// held the clock in truth, %.
type boundPoint struct {
	event.PointDone
	truth map[event.Phase]float64
}

// boundPoints runs a plan on a simulated GPU and returns what was told of each of its
// points, and all events but the tokens.
func boundPoints(t *testing.T, seed int64, points []engine.PointPlan) (out []boundPoint, events []event.Event, card binding.GPU) {
	t.Helper()
	truth := map[string]map[event.Phase]float64{}
	b := simulateIn(t, &bench{seed: seed}, []string{"h100"}, func(b *bench) {
		if err := b.engine.Run(context.Background(), engine.Plan{Name: "sweep", Points: points}); err != nil {
			t.Error(err)
		}
		// While the GPU is still there to be asked.
		type sum struct{ capped, all float64 }
		spans := map[string]map[event.Phase]sum{}
		for _, p := range of[event.PhaseEnd](b) {
			if spans[p.PointID] == nil {
				spans[p.PointID] = map[event.Phase]sum{}
			}
			s := spans[p.PointID][p.Phase]
			s.capped += b.gpus[0].TrueCappedS(p.StartNS, p.EndNS)
			s.all += float64(p.EndNS-p.StartNS) / 1e9
			spans[p.PointID][p.Phase] = s
		}
		for id, of := range spans {
			truth[id] = map[event.Phase]float64{}
			for p, s := range of {
				truth[id][p] = 100 * s.capped / s.all
			}
		}
		info := b.gpus[0].Info()
		card = binding.GPU{ID: info.ID(), HighestMHz: info.MaxSM(), LimitW: info.PowerLimitW}
	})
	for _, d := range of[event.PointDone](b) {
		out = append(out, boundPoint{d, truth[d.PointID]})
	}
	return out, b.events, card
}

// judged is how many verdicts on phases were right, were not known, and were wrong.
type judged struct{ points, right, unknown, wrong, bound int }

// judge tells whether what is said of a point is so: whether a limit held the clock for 5 %
// of a phase's time, unless that is so nearly. There may be two truths: see card.
func (j *judged) judge(t *testing.T, what string, held event.HeldPhases, truths ...map[event.Phase]float64) {
	t.Helper()
	const nearly = 3 // %
	j.points++
	wrong, unknown := false, false
	for _, p := range []event.Phase{event.Prefill, event.Decode} {
		h, so := *held.Of(p), false
		if truths[0][p] >= event.HeldAtTimes {
			j.bound++
		}
		for _, truth := range truths {
			so = so || h.Limited() == (truth[p] >= event.HeldAtTimes) || math.Abs(h.Pct-truth[p]) <= nearly
		}
		switch {
		case !h.Known():
			unknown = true
		case !so:
			wrong = true
			t.Logf("%s %s: %s, and in truth %.0f %%", what, p, h, truths[0][p])
		}
	}
	switch {
	case wrong:
		j.wrong++
	case unknown:
		j.unknown++
	default:
		j.right++
	}
}

// share is x of the points, %.
func (j judged) share(x int) float64 { return 100 * float64(x) / float64(max(j.points, 1)) }

// What is said to have held the clock is what did, by the simulation's truth, in at least
// 98 % of points: three models, three batch sizes, six limits, three clocks.
func TestBindingIsRight(t *testing.T) {
	var plan []engine.PointPlan
	for _, model := range []string{"llama-3.2-1b", "llama-3.2-3b", "llama-3.1-8b"} {
		for _, batch := range []int{1, 4, 8} {
			for _, w := range []int{200, 300, 400, 500, 600, 700} {
				for _, mhz := range []int{0, 1005, 1500} {
					plan = append(plan, cappedPoint(len(plan), model, 12*batch, batch, 30, 60, gpu.Setting{SMMHz: mhz, PowerW: w}))
				}
			}
		}
	}
	var j judged
	points, _, _ := boundPoints(t, 7, plan)
	for _, p := range points {
		j.judge(t, p.PointID, p.Held, p.truth)
	}
	t.Logf("%d of %d points right; a limit held in %d of %d phases", j.right, j.points, j.bound, 2*j.points)
	if j.points != 162 || j.bound < 60 || j.share(j.right) < 98 {
		t.Errorf("%d of %d points right", j.right, j.points)
	}
}

// cappedPoint is a point of a plan at a setting, with prompts of so many sentences.
func cappedPoint(i int, model string, n, batch, sentences, tokens int, s gpu.Setting) engine.PointPlan {
	pt := knobPoints(nil, s)[0]
	work := point(model, n, batch, nil)
	for k := range work.Queries {
		text := fmt.Sprintf("%d: %s Why?", k, strings.Repeat("the old lighthouse keeper counts the ships ", sentences))
		work.Queries[k].Prompt, work.Queries[k].Text = text, text
	}
	pt.PointID = fmt.Sprintf("%d.%s.b%d.p%d.t%d.%s", i, model, batch, sentences, tokens, s)
	pt.Spec, pt.Model, pt.Queries, pt.BatchSize, pt.MaxTokens = work.Spec, model, work.Queries, batch, tokens
	return pt
}

// randomPoints are points of all that the verdict may depend on.
func randomPoints(r *rand.Rand, n int) (plan []engine.PointPlan) {
	for i := range n {
		s := gpu.Setting{PowerW: 200 + r.IntN(501)}
		if r.IntN(2) == 0 {
			s.SMMHz = 345 + 15*r.IntN(110)
		}
		if r.IntN(4) == 0 {
			s.MemMHz = 1593
		}
		batch := 1 + r.IntN(16)
		model := []string{"llama-3.2-1b", "llama-3.2-3b", "llama-3.1-8b", "qwen2.5-14b"}[r.IntN(4)]
		plan = append(plan, cappedPoint(i, model, 8*batch, batch, 3+r.IntN(100), 8+r.IntN(120), s))
	}
	return plan
}

// card is how a card tells of its clock.
type card struct {
	what    string
	renewed int64 // how often it renews what it says, ns
	// slow: it lowers the clock only 80 ms after the limit is passed, and raises the last
	// of it 400 ms after, as an H100 was recorded to. Whether what is still low then is
	// held, though the phase would not pass the limit, is a matter of words: both are right.
	slow bool
	// known: it is known to tell at once.
	known bool
}

// late replays events to a watch as such a card tells of them: the clock is what it was at
// the last renewal. It returns what is then said of each point, and for how much of each
// phase's time such a card's clock would be low.
func (c card) late(events []event.Event, g binding.GPU) (out map[string]event.HeldPhases, low map[string]map[event.Phase]float64) {
	w := binding.New(g)
	out, low = map[string]event.HeldPhases{}, map[string]map[event.Phase]float64{}
	var all []event.Sample // as they would be at once
	n := map[event.Phase]float64{}
	var told event.Sample // at the last renewal
	var next, since, until int64
	point := ""
	for _, e := range events {
		switch e := e.(type) {
		case event.Sample:
			s := e
			if c.slow {
				wanted := s.RequestedSMMHz
				if wanted == 0 {
					wanted = g.HighestMHz
				}
				switch held := s.Throttle.ByPower() && s.SMMHz < wanted; {
				case held && since == 0:
					since = s.TimeNS
					fallthrough
				case held && s.TimeNS-since < 80e6:
					s.SMMHz, s.Throttle = wanted, s.Throttle&^gpu.ThrottleSWPowerCap
				case held:
					until = s.TimeNS + 400e6
				default:
					since = 0
				}
				if s.TimeNS < until && s.SMMHz == wanted {
					s.SMMHz, s.Throttle = wanted-15, s.Throttle|gpu.ThrottleSWPowerCap
				}
			}
			all = append(all, s)
			if e.TimeNS >= next {
				told, next = s, e.TimeNS+c.renewed
			}
			s.SMMHz, s.Throttle = told.SMMHz, told.Throttle
			w.Observe(s)
			continue
		case event.PointStart:
			point = e.PointID
			low[point], n = map[event.Phase]float64{}, map[event.Phase]float64{}
		case event.PhaseEnd:
			of := low[point]
			for _, s := range all {
				if s.TimeNS > e.StartNS && s.TimeNS <= e.EndNS {
					n[e.Phase]++
					share := 0.0
					if s.Throttle.ByPower() {
						share = 100
					}
					of[e.Phase] += (share - of[e.Phase]) / n[e.Phase]
				}
			}
			all = nil
		case event.PointDone:
			out[point] = w.Point()
		}
		w.Observe(e)
	}
	return out, low
}

// Over points of all sorts, what is said is right in 98 % of points on cards that tell at
// once and on ones that renew what they say each 20 to 200 ms; at most one in 200 is wrong,
// and the rest are left open. On a card that takes its time besides, more may be left
// open. JOULETOP_BENCH: of 1,500 points under fifteen seeds (make bench-binding).
func TestBindingInTheLarge(t *testing.T) {
	seeds, each := 1, 80
	if os.Getenv("JOULETOP_BENCH") != "" {
		seeds, each = 15, 100
	}
	const ms = int64(1e6)
	cards := []card{
		{what: "known to tell at once", known: true}, {what: "that tells at once"},
		{what: "that renews each 20 ms", renewed: 20 * ms}, {what: "that renews each 50 ms", renewed: 50 * ms},
		{what: "that renews each 100 ms", renewed: 100 * ms}, {what: "that renews each 200 ms", renewed: 200 * ms},
		{what: "slow, each 100 ms", renewed: 100 * ms, slow: true},
	}
	sums := make([]judged, len(cards))
	first := 0
	if text := os.Getenv("JOULETOP_SEED"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			t.Fatalf("JOULETOP_SEED=%s: not a seed", text)
		}
		first = n
	}
	for i := range seeds {
		seed := first + i
		plan := randomPoints(rand.New(rand.NewPCG(uint64(seed), 21)), each)
		points, events, g := boundPoints(t, int64(100+seed), plan)
		for i, c := range cards {
			said, low := c.late(events, g)
			for _, p := range points {
				held := said[p.PointID]
				if c.known {
					held = p.Held
				}
				if c.slow {
					sums[i].judge(t, c.what+": "+p.PointID, held, p.truth, low[p.PointID])
					continue
				}
				sums[i].judge(t, c.what+": "+p.PointID, held, p.truth)
			}
		}
	}
	for i, c := range cards {
		j := sums[i]
		target := "98 % right, 0.5 % wrong"
		if c.slow {
			target = "2 % wrong"
		}
		fmt.Printf("on a card %-24s %4d points: right %5.1f %%, not known %4.1f %%, wrong %4.1f %%; right of what is told %5.1f %%; a limit held in %d of %d phases (target: %s)\n",
			c.what, j.points, j.share(j.right), j.share(j.unknown), j.share(j.wrong), 100*float64(j.right)/float64(max(j.right+j.wrong, 1)), j.bound, 2*j.points, target)
		if wrong := j.share(j.wrong); c.slow && wrong > 2 || !c.slow && (wrong > 0.5 && seeds > 1 || j.share(j.right) < 98 && seeds > 1 || j.share(j.right) < 96) {
			t.Errorf("a card %s: right in %.1f %%, wrong in %.1f %%", c.what, j.share(j.right), wrong)
		}
		if phases := 2 * j.points; j.points != seeds*each || j.bound < phases/5 || j.bound > phases*4/5 {
			t.Errorf("a limit held in %d of %d phases: too one-sided to tell", j.bound, phases)
		}
	}
}
