package account

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"jouletop/engine/event"
	"jouletop/gpu"
	"jouletop/gpu/energy"
)

// Recomputer estimates the energies of a recorded session again, with more
// hindsight than the live estimate had. Give it all phases and requests with
// NewRecomputer, the power readings in the order of the file with Power, then
// ask for Rows.
type Recomputer struct {
	gpus     map[string]*rework   // by the rows' gpu column
	readBy   map[string][]*rework // by the readings'
	phases   []event.PhaseEnergy
	requests []event.RequestEnergy
	// Of a session in which requests were served: those by id, and the passes' new rows.
	places     map[string]int
	iterations []event.IterationEnergy
}

// rework is the part of one GPU, or of several that worked together.
type rework struct {
	account *Account
	batches []*oldBatch // by end
	next    int         // phases fed so far
	fed     []event.PhaseSpan
	settled int
	served  map[string]*batchAccount // busy times whose passes are known
	pieces  []oldPiece               // of them, by end
	passed  []event.Iteration        // likewise
	nextOf  int                      // passes fed so far
	ended   []event.Request          // of busy times, by end; those not fed yet
}

// oldPiece is a piece with the place of its row.
type oldPiece struct {
	*piece
	phaseRow int // -1 none
}

// oldBatch is a batch with the places of its rows.
type oldBatch struct {
	batchAccount
	phaseRows, requestRows []int
}

// hindsight is how much of what came after a batch its estimate may use.
const hindsight = int64(time.Minute)

// Served is what is known of a session in which requests were served: its passes with
// their members, in the order in which they were recorded, and how they are divided.
type Served struct {
	Iterations []event.Iteration
	Split      event.Split
}

// NewRecomputer takes the rows to estimate again. sources, by the files' gpu
// column, are the sensors as discovered; a GPU not among them is taken with what
// is commonly known of its sources. limits are the GPUs' power limits in W, where
// known.
func NewRecomputer(phases []event.PhaseEnergy, requests []event.RequestEnergy, s Served, sources map[string][]gpu.PowerSource, limits map[string]float64) *Recomputer {
	r := &Recomputer{gpus: map[string]*rework{}, readBy: map[string][]*rework{}, phases: phases, requests: requests, places: map[string]int{}}
	longest := longestBatch(phases)
	batches := map[[2]string]*oldBatch{}
	rework := func(gpuID string) *rework {
		g := r.gpus[gpuID]
		if g == nil {
			g = &rework{served: map[string]*batchAccount{}}
			var parts Meters
			for _, id := range gpu.MemberIDs(gpuID) {
				parts = append(parts, newMeter(id, sources[id], limits[id], longest+2*time.Duration(hindsight)))
				r.readBy[id] = append(r.readBy[id], g)
			}
			g.account = New(parts, noRequests{})
			g.account.Divide(s.Split)
			r.gpus[gpuID] = g
		}
		return g
	}
	batch := func(gpuID, id string) *oldBatch {
		g := rework(gpuID)
		key := [2]string{gpuID, id}
		b := batches[key]
		if b == nil {
			b = &oldBatch{batchAccount: batchAccount{id: id, start: math.MaxInt64}}
			batches[key] = b
			g.batches = append(g.batches, b)
		}
		return b
	}
	for _, it := range s.Iterations {
		g := rework(it.GPU)
		g.passed = append(g.passed, it)
		if g.served[it.BatchID] == nil {
			g.served[it.BatchID] = &batchAccount{id: it.BatchID}
		}
	}
	models := modelsOf(requests)
	for i, p := range phases {
		if p.Model == "" {
			p.Model = models.of(p.BatchID)
		}
		id := p.BatchID
		if g := rework(p.GPU); p.Phase == event.Mixed && g.served[id] != nil {
			g.pieces = append(g.pieces, oldPiece{&piece{batch: g.served[id], span: p.PhaseSpan}, i})
			continue
		}
		if id == "" {
			id = fmt.Sprintf("phase %d", i)
		}
		b := batch(p.GPU, id)
		b.phases, b.phaseRows = append(b.phases, p.PhaseSpan), append(b.phaseRows, i)
		b.start, b.end = min(b.start, p.StartNS), max(b.end, p.EndNS)
		r.gpus[p.GPU].fed = append(r.gpus[p.GPU].fed, p.PhaseSpan)
	}
	for i, q := range requests {
		id := q.BatchID
		if g := rework(q.GPU); g.served[id] != nil {
			b := g.served[id]
			r.places[q.RequestID] = i
			b.point = q.PointID
			b.requests = append(b.requests, q.Request)
			g.ended = append(g.ended, q.Request)
			continue
		}
		if id == "" {
			id = "request " + q.RequestID
		}
		b := batch(q.GPU, id)
		b.requestRows = append(b.requestRows, i)
		b.add(q.Request)
	}
	for _, g := range r.gpus {
		slices.SortStableFunc(g.batches, func(a, b *oldBatch) int { return cmp.Compare(a.end, b.end) })
		slices.SortStableFunc(g.pieces, func(a, b oldPiece) int { return cmp.Compare(a.span.EndNS, b.span.EndNS) })
		last := map[*batchAccount]int{}
		for i, p := range g.pieces {
			last[p.batch] = i
		}
		for _, i := range last {
			g.pieces[i].last = true
		}
		slices.SortStableFunc(g.passed, func(a, b event.Iteration) int { return cmp.Compare(a.EndNS, b.EndNS) })
		slices.SortStableFunc(g.ended, func(a, b event.Request) int { return cmp.Compare(a.EndNS, b.EndNS) })
		slices.SortStableFunc(g.fed, func(a, b event.PhaseSpan) int { return cmp.Compare(a.EndNS, b.EndNS) })
	}
	return r
}

// longestBatch is how long one lasted at most: its readings are needed at its end.
func longestBatch(phases []event.PhaseEnergy) (longest time.Duration) {
	began := map[string]int64{}
	for _, p := range phases {
		if at, seen := began[p.BatchID]; !seen || p.StartNS < at {
			began[p.BatchID] = p.StartNS
		}
		if p.BatchID != "" {
			longest = max(longest, time.Duration(p.EndNS-began[p.BatchID]))
		}
	}
	return longest
}

// batchModels says which model ran a batch, for sessions whose phases do not say.
type batchModels struct{ batch, point map[string]string }

func modelsOf(requests []event.RequestEnergy) batchModels {
	m := batchModels{map[string]string{}, map[string]string{}}
	for _, q := range requests {
		m.batch[q.BatchID], m.point[q.PointID] = q.Model, q.Model
	}
	return m
}

func (m batchModels) of(batch string) string {
	if model, ok := m.batch[batch]; ok {
		return model
	}
	// A steady block has no requests; it is named after its point.
	point, _, _ := strings.Cut(batch, "/")
	return m.point[point]
}

// Power takes the next reading.
func (r *Recomputer) Power(p event.Power) {
	for _, g := range r.readBy[p.GPU] {
		g.feed(p.TimeNS)
		g.account.meter.add(p)
		r.settle(g, g.account.meter.coveredBefore(hindsight))
	}
}

// feed adds the phases that ended by t.
func (g *rework) feed(t int64) {
	for g.next < len(g.fed) && g.fed[g.next].EndNS <= t {
		g.account.meter.addPhase(g.account.phases.next(g.fed[g.next]))
		g.next++
	}
	for g.nextOf < len(g.passed) && g.passed[g.nextOf].EndNS <= t {
		it := g.passed[g.nextOf]
		g.nextOf++
		g.end(it.StartNS)
		g.account.pass(g.served[it.BatchID], it)
	}
	g.end(t)
}

// end notes the requests of busy times that ended by t.
func (g *rework) end(t int64) {
	for len(g.ended) > 0 && g.ended[0].EndNS <= t {
		g.served[g.ended[0].BatchID].traffic.request(g.ended[0])
		g.ended = g.ended[1:]
	}
}

// Iterations returns the rows of the passes with their new energies, in the order of
// time. Call it after Rows.
func (r *Recomputer) Iterations() []event.IterationEnergy { return r.iterations }

// Rows returns the phases and requests with their new energies, in the order
// given.
func (r *Recomputer) Rows() ([]event.PhaseEnergy, []event.RequestEnergy) {
	for _, g := range r.gpus {
		g.feed(math.MaxInt64)
		r.settle(g, math.MaxInt64)
	}
	return r.phases, r.requests
}

// Point gives a point its energies and flags, estimated again as they are live; it
// tells whether the session has requests of it. Call it after Rows.
func (r *Recomputer) Point(p *event.PointDone) bool {
	g := r.gpus[p.GPU]
	if g == nil || g.account.points[p.PointID] == nil {
		return false
	}
	a := g.account.points[p.PointID]
	a.settle(g.account)
	was := *p
	fresh := a.result(p.TimeNS, nil).PointResult
	p.PointResult.Energy, p.NetEnergyJ = fresh.Energy, fresh.NetEnergyJ
	p.DraftedEnergy = fresh.DraftedEnergy
	p.PrefillEnergyJ, p.DecodeEnergyJ = fresh.PrefillEnergyJ, fresh.DecodeEnergyJ
	p.JoulesPerToken, p.MeanPowerW, p.EDPJS = fresh.JoulesPerToken, fresh.MeanPowerW, p.EnergyJ*p.LatencyS
	p.Flags = was.Flags.Without(event.FlagEnergyUnresolved).Union(fresh.Flags)
	return true
}

// Powers returns what was found of each kind of phase, by GPU: its mean power
// with its interval, of the last ten minutes where a session is longer. Call it
// after Rows.
func (r *Recomputer) Powers() map[string][]energy.PhasePower {
	out := map[string][]energy.PhasePower{}
	for _, g := range r.gpus {
		for _, m := range g.account.meter {
			out[m.gpu] = m.Powers()
		}
	}
	return out
}

func (r *Recomputer) settle(g *rework, t int64) {
	for len(g.pieces) > 0 && g.pieces[0].span.EndNS <= t {
		p := g.pieces[0]
		g.pieces = g.pieces[1:]
		p.iterations = p.batch.until(p.span.EndNS)
		told := g.account.settlePiece(p.piece)
		for _, ev := range append(told, g.account.tell(len(g.account.owed))...) {
			switch ev := ev.(type) {
			case event.PhaseEnergy:
				r.phases[p.phaseRow].Energy = ev.Energy
			case event.IterationEnergy:
				r.iterations = append(r.iterations, ev)
			case event.RequestEnergy:
				row := &r.requests[r.places[ev.RequestID]]
				row.Energy, row.NetEnergyJ, row.Flags, row.ServedEnergy = ev.Energy, ev.NetEnergyJ, ev.Flags, ev.ServedEnergy
			}
		}
	}
	for g.settled < len(g.batches) && g.batches[g.settled].end <= t {
		b := g.batches[g.settled]
		g.settled++
		if len(b.requests) == 0 {
			for i, row := range b.phaseRows {
				r.phases[row].Energy = g.account.settleLoose(b.phases[i]).Energy
			}
			continue
		}
		p, q := 0, 0
		for _, ev := range g.account.settle(&b.batchAccount) {
			switch ev := ev.(type) {
			case event.PhaseEnergy:
				r.phases[b.phaseRows[p]].Energy = ev.Energy
				p++
			case event.RequestEnergy:
				row := &r.requests[b.requestRows[q]]
				row.Energy, row.NetEnergyJ, row.Flags, row.DraftedEnergy = ev.Energy, ev.NetEnergyJ, ev.Flags, ev.DraftedEnergy
				q++
			}
		}
	}
}

// noRequests knows nothing: recorded rows keep what they say of the clock.
type noRequests struct{}

func (noRequests) RequestedIn(int64, int64) (int, bool) { return 0, false }
func (noRequests) FlagsIn(int64, int64) event.Flags     { return "" }
func (noRequests) Confirmed() int64                     { return math.MaxInt64 }
func (noRequests) Forget(int64)                         {}
