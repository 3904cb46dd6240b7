package answers

import (
	"cmp"
	"maps"
	"math"
	"slices"

	"jouletop/engine/binding"
	"jouletop/engine/event"
	"jouletop/engine/session"
	"jouletop/gpu"
)

// concludeHeld finds out what held the SM clock in points whose recording does not say, as
// none of an earlier version does: by the samples that it keeps, or, where it keeps none,
// by the mean clock of each phase, of which that alone is certain that the highest was held
// by nothing.
func concludeHeld(s *session.Session, points []event.PointDone) error {
	if !slices.ContainsFunc(points, func(p event.PointDone) bool { return !p.Held.Told() }) {
		return nil
	}
	of := map[string]string{} // the point of each batch
	if err := s.Requests(func(r *event.RequestEnergy) error { of[r.BatchID] = r.PointID; return nil }); err != nil {
		return err
	}
	var phases []event.PhaseEnergy
	if err := s.Phases(func(p *event.PhaseEnergy) error {
		if p.PointID = cmp.Or(p.PointID, of[p.BatchID]); p.PointID != "" && p.Phase != event.Idle {
			phases = append(phases, *p)
		}
		return nil
	}); err != nil || len(phases) == 0 {
		return err
	}
	slices.SortStableFunc(phases, func(a, b event.PhaseEnergy) int { return cmp.Compare(a.EndNS, b.EndNS) })
	held := map[string]event.HeldPhases{}
	if full := s.Manifest.SampleKeep != string(session.Thin) && s.Manifest.SampleKeep != string(session.None); full {
		var err error
		if held, err = replayHeld(s, phases); err != nil {
			return err
		}
	}
	for i := range points {
		p := &points[i]
		if p.Held.Told() {
			continue
		}
		if h, ok := held[p.PointID]; ok && h.Told() {
			p.Held = h
			continue
		}
		p.Held = freeByMeans(s.Manifest.GPUs, phases, p.PointID)
	}
	return nil
}

// replayHeld shows a recording to a watch, in the order of time, and returns what it says
// of each point.
func replayHeld(s *session.Session, phases []event.PhaseEnergy) (map[string]event.HeldPhases, error) {
	var cards []binding.GPU
	for _, g := range s.Manifest.GPUs {
		cards = append(cards, binding.GPU{ID: g.ID, HighestMHz: g.MaxSM(), LimitW: g.PowerLimitW, AtOnce: g.Simulated()})
	}
	type moment struct {
		t  int64
		ev event.Event
	}
	var all []moment
	if err := s.Samples(func(x *event.Sample) error { all = append(all, moment{x.TimeNS, *x}); return nil }); err != nil || len(all) == 0 || len(cards) == 0 {
		return nil, err
	}
	if err := s.Power(func(x *event.Power) error { all = append(all, moment{x.TimeNS, *x}); return nil }); err != nil {
		return nil, err
	}
	if err := s.EventsOf(func(e event.Event) error {
		switch e := e.(type) {
		case event.KnobChange:
			all = append(all, moment{e.TimeNS, e})
		case event.LimitTimes:
			all = append(all, moment{e.TimeNS, e})
		}
		return nil
	}, event.KnobChange{}, event.LimitTimes{}); err != nil {
		return nil, err
	}
	slices.SortStableFunc(all, func(a, b moment) int { return cmp.Compare(a.t, b.t) })
	// A point is one stretch of time; where some overlap, none is told from another.
	type span struct{ from, to int64 }
	spans := map[string]span{}
	for _, p := range phases {
		x, ok := spans[p.PointID]
		if !ok {
			x = span{p.StartNS, p.EndNS}
		}
		spans[p.PointID] = span{min(x.from, p.StartNS), max(x.to, p.EndNS)}
	}
	order := slices.SortedFunc(maps.Keys(spans), func(a, b string) int { return cmp.Compare(spans[a].from, spans[b].from) })
	for i := 1; i < len(order); i++ {
		if spans[order[i]].from < spans[order[i-1]].to {
			return nil, nil
		}
	}
	w, out, next, ended := binding.New(cards...), map[string]event.HeldPhases{}, 0, 0
	for i, id := range order {
		w.Observe(event.PointStart{Point: event.Point{PointID: id}})
		until := int64(math.MaxInt64)
		if i+1 < len(order) {
			until = spans[order[i+1]].from
		}
		for ; next < len(all) && all[next].t < until; next++ {
			for ; ended < len(phases) && phases[ended].PointID == id && phases[ended].EndNS <= all[next].t; ended++ {
				w.Observe(event.PhaseEnd{PhaseSpan: phases[ended].PhaseSpan})
			}
			w.Observe(all[next].ev)
		}
		for ; ended < len(phases) && phases[ended].PointID == id; ended++ {
			w.Observe(event.PhaseEnd{PhaseSpan: phases[ended].PhaseSpan})
		}
		out[id] = w.Point()
	}
	return out, nil
}

// freeByMeans says of each kind of phase whose mean clock was always the one asked for, or
// the highest, that nothing else held it; of others nothing.
func freeByMeans(gpus []session.GPU, phases []event.PhaseEnergy, point string) event.HeldPhases {
	const exact = 0.5 // MHz
	highest := map[string]int{}
	for _, g := range gpus {
		highest[g.ID] = g.MaxSM()
	}
	out := event.UnknownHeld()
	low := map[event.Phase]bool{}
	for _, p := range phases {
		if p.PointID != point {
			continue
		}
		kind := p.Phase.Decoding()
		most := math.MaxInt
		for _, id := range gpu.MemberIDs(p.GPU) {
			most = min(most, highest[id])
		}
		asked, by := p.RequestedSMMHz, event.HeldByLock
		if asked == 0 || asked >= most {
			asked, by = most, event.HeldByNothing
		}
		h := out.Of(kind)
		switch {
		case low[kind]:
		case p.MixedClock || p.Flags.ClockFailed() || asked <= 0 || asked == math.MaxInt || !(p.SMMHzMean >= float64(asked)-exact):
			low[kind] = true
			*h = event.Held{Pct: math.NaN()}
		case h.By != event.HeldByLock:
			*h = event.Held{By: by}
		}
	}
	return out
}
