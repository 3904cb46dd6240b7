// Package paired lays two sides of the same work beside each other, query by query: by
// how much they differ, how well that is known ([jouletop/engine/analysis/verdict]), or
// why they cannot be compared. It takes rows as they come, of a session that is recorded
// or of one that runs.
package paired

import (
	"maps"
	"math"
	"slices"

	"jouletop/engine/analysis/curve"
	"jouletop/engine/event"
)

// query is one piece of work: the same on both sides, or not compared.
type query struct {
	model, dataset, id string
	batch              int
	event.Drafting
}

// figure is one of what a request came to.
type figure int

const (
	joules  figure = iota
	latency        // s, as those up to decode
	ttft
	prefill
	decode
	quality
	in // tokens, as those generated
	generated
	nFigures
)

// tally sums up what requests came to, of each figure those where it is known.
type tally struct{ sum, n [nFigures]float64 }

func (t *tally) add(row [nFigures]float64) {
	for f, v := range row {
		if curve.Finite(v) {
			t.sum[f], t.n[f] = t.sum[f]+v, t.n[f]+1
		}
	}
}

func (t *tally) of(f figure) float64 { return t.sum[f] / t.n[f] } // NaN of none

// Facts are what is known of all that ran in a session.
type Facts struct {
	Simulated bool
	Backend   string
	GPUs      []GPU             // in their order
	Models    map[string]string // what a model's name stands for: its content, and where it lay
	Datasets  map[string]string // the same
	Load      []Fact            // how requests came and were served, where they were not sent in batches
}

// Fact is something that is to be the same on both sides.
type Fact struct{ Name, Value string }

// GPU names a GPU, with its power limit.
type GPU struct{ ID, Text string }

// Side is one side of a comparison: of one session, what ran under a setting, or all; or
// several such that are each other's repeats.
type Side struct {
	Name  string
	parts []*Side // of several sessions; none of one
	facts Facts
	of    any // the session: sides with the same are of one
	jobs  map[int]*part
	rows  int // answered requests
	size  int // tallies
}

// part is what a side has of one job.
type part struct {
	runs     map[query]map[int]*tally // by repeat
	settings map[event.Policy]bool
	points   map[string]bool // ids
	gpus     map[string]bool
	methods  map[string]float64 // J by how they were obtained
	flags    event.Flags
	failed   int
	throttle float64 // %, the most of any point; NaN unknown
	top      int     // MHz, the highest clock requested; 0 the driver's
	phases   map[event.Phase]*Phase
}

func newPart() *part {
	return &part{
		runs: map[query]map[int]*tally{}, settings: map[event.Policy]bool{}, points: map[string]bool{}, gpus: map[string]bool{},
		methods: map[string]float64{}, throttle: math.NaN(), phases: map[event.Phase]*Phase{},
	}
}

// NewSide returns a side without rows. Those of one session, which of is equal for, are
// compared by what one job ran of both, where one did: see [Against].
func NewSide(name string, of any, facts Facts) *Side {
	return &Side{Name: name, facts: facts, of: of, jobs: map[int]*part{}}
}

func (s *Side) job(job int) *part {
	p := s.jobs[job]
	if p == nil {
		p = newPart()
		s.jobs[job] = p
	}
	return p
}

// Join is several sides, of sessions that are each other's repeats, as one: the repeats of
// one come after those of the one before.
func Join(name string, parts []*Side) *Side {
	all := NewSide(name, nil, parts[0].facts)
	all.parts = parts
	before := 0
	for _, side := range parts {
		p := side.all(0)
		later := *p
		later.runs = map[query]map[int]*tally{}
		// A repeat that is not numbered (-1) is one all the same.
		first, last := math.MaxInt, math.MinInt
		for _, repeats := range p.runs {
			for r := range repeats {
				first, last = min(first, r), max(last, r)
			}
		}
		for q, repeats := range p.runs {
			later.runs[q] = map[int]*tally{}
			for r, t := range repeats {
				later.runs[q][before+1+r-first] = t
			}
		}
		all.job(0).take(&later)
		all.rows += side.rows
		if first <= last {
			before += 1 + last - first
		}
	}
	return all
}

// Add takes a request of a job; batch is the size of its point's full batches. The job
// is 0 where a session is one piece of work.
//
// A request whose clock was changed under it, though its setting is one for all phases,
// belongs to neither side.
func (s *Side) Add(job int, r *event.RequestEnergy, batch int) {
	setting := Setting(r.Policy, r.RequestedSMMHz)
	if r.MixedClock && r.Err == "" && Constant(setting) {
		return
	}
	p := s.job(job)
	p.flags = p.flags.Union(r.Flags)
	if r.Err != "" {
		p.failed++
		return
	}
	s.rows++
	q := query{r.Model, r.Dataset, r.QueryID, batch, r.Drafting}
	if p.runs[q] == nil {
		p.runs[q] = map[int]*tally{}
	}
	t := p.runs[q][r.Repeat]
	if t == nil {
		t = &tally{}
		p.runs[q][r.Repeat] = t
		s.size++
	}
	t.add([nFigures]float64{r.EnergyJ, r.LatencyS(), r.TTFTS, r.PrefillS, r.DecodeS, r.Quality, event.Count(r.InputTokens), event.Count(r.OutputTokens)})
	p.settings[setting], p.points[r.PointID] = true, true
	p.gpus[r.GPU] = true
	p.top = max(p.top, r.RequestedSMMHz)
	if curve.Finite(r.EnergyJ) {
		p.methods[r.Method] += r.EnergyJ
	}
}

// Point takes what a point of a job is known by beside its requests.
func (s *Side) Point(job int, d *event.PointDone) {
	p := s.job(job)
	p.flags = p.flags.Union(d.Flags)
	if !(p.throttle >= d.ThrottledPct) && !math.IsNaN(d.ThrottledPct) {
		p.throttle = d.ThrottledPct
	}
}

// Phase is what the batches' phases of one kind came to.
type Phase struct {
	Batches  int
	Seconds  float64 // in all
	Resolved float64 // of them, s, those whose energy is known
	Joules   float64 // of these
	clock    float64 // MHz times s
	clocked  float64 // s, of those whose clock is known
}

// Mean is how long one batch's is, s.
func (p Phase) Mean() float64 { return p.Seconds / float64(p.Batches) }

// PowerW is the mean power, W; NaN where no energy is resolved.
func (p Phase) PowerW() float64 {
	if p.Resolved == 0 {
		return math.NaN()
	}
	return p.Joules / p.Resolved
}

// MHz is the mean SM clock achieved; NaN unknown.
func (p Phase) MHz() float64 {
	if p.clocked == 0 {
		return math.NaN()
	}
	return p.clock / p.clocked
}

func (p *Phase) add(o Phase) {
	p.Batches += o.Batches
	p.Seconds, p.Resolved, p.Joules = p.Seconds+o.Seconds, p.Resolved+o.Resolved, p.Joules+o.Joules
	p.clock, p.clocked = p.clock+o.clock, p.clocked+o.clocked
}

// PhaseOf is what one phase came to.
func PhaseOf(e *event.PhaseEnergy) Phase {
	s := float64(e.EndNS-e.StartNS) / 1e9
	p := Phase{Batches: 1, Seconds: s}
	if curve.Finite(e.EnergyJ) {
		p.Resolved, p.Joules = s, e.EnergyJ
	}
	if e.SMMHzMean > 0 && curve.Finite(e.SMMHzMean) {
		p.clock, p.clocked = e.SMMHzMean*s, s
	}
	return p
}

// AddPhase takes a phase of a job's batch.
func (s *Side) AddPhase(job int, kind event.Phase, of Phase) {
	p := s.job(job)
	if p.phases[kind] == nil {
		p.phases[kind] = &Phase{}
	}
	p.phases[kind].add(of)
}

// all is the side as one part, of that job alone, or (0) of every job.
func (s *Side) all(job int) *part {
	if p := s.jobs[job]; p != nil && (job > 0 || len(s.jobs) == 1) {
		return p
	}
	all := newPart()
	for _, id := range slices.Sorted(maps.Keys(s.jobs)) {
		if job == 0 || job == id {
			all.take(s.jobs[id])
		}
	}
	return all
}

// take adds another part.
func (p *part) take(o *part) {
	for q, repeats := range o.runs {
		if p.runs[q] == nil {
			p.runs[q] = map[int]*tally{}
		}
		for r, t := range repeats {
			sum := tally{}
			if was := p.runs[q][r]; was != nil {
				sum = *was
			}
			for f := range nFigures {
				sum.sum[f], sum.n[f] = sum.sum[f]+t.sum[f], sum.n[f]+t.n[f]
			}
			p.runs[q][r] = &sum
		}
	}
	maps.Copy(p.settings, o.settings)
	maps.Copy(p.gpus, o.gpus)
	for m, j := range o.methods {
		p.methods[m] += j
	}
	for kind, of := range o.phases {
		sum := *of
		if was := p.phases[kind]; was != nil {
			sum.add(*was)
		}
		p.phases[kind] = &sum
	}
	p.flags, p.failed, p.top = p.flags.Union(o.flags), p.failed+o.failed, max(p.top, o.top)
	if !(p.throttle >= o.throttle) && !math.IsNaN(o.throttle) {
		p.throttle = o.throttle
	}
}

// SharedJob is the last job that ran on both sides, 0 where none did, or where they are
// not of one session.
func SharedJob(a, b *Side) int {
	if !OfOneSession(a, b) {
		return 0
	}
	last := 0
	for id, p := range a.jobs {
		if o := b.jobs[id]; o != nil && len(p.runs) > 0 && len(o.runs) > 0 {
			last = max(last, id)
		}
	}
	return last
}

// OfOneSession tells whether both sides are of the same session.
func OfOneSession(a, b *Side) bool { return a.of != nil && a.of == b.of }

// Shared is how many queries both sides have answered, and whether one job ran both.
func Shared(a, b *Side) (queries int, together bool) {
	job := SharedJob(a, b)
	for id, p := range a.jobs {
		if job > 0 && id != job {
			continue
		}
		for q := range p.runs {
			for other, o := range b.jobs {
				if (job == 0 || other == job) && o.runs[q] != nil {
					queries++
					break
				}
			}
		}
	}
	return queries, job > 0
}

// Size is how many answers it keeps: a query's of one repeat are one.
func (s *Side) Size() int { return s.size }

// Forget forgets what a job ran.
func (s *Side) Forget(job int) {
	if p := s.jobs[job]; p != nil {
		for _, repeats := range p.runs {
			s.size -= len(repeats)
		}
		delete(s.jobs, job)
	}
}

// Settings are those that the side ran under.
func (s *Side) Settings() []event.Policy {
	var out []event.Policy
	for _, p := range s.jobs {
		for k := range p.settings {
			if !slices.Contains(out, k) {
				out = append(out, k)
			}
		}
	}
	return out
}

// Points are the ids of those that a side of one session has, sorted.
func (s *Side) Points() []string {
	ids := map[string]bool{}
	for _, p := range s.jobs {
		maps.Copy(ids, p.points)
	}
	return slices.Sorted(maps.Keys(ids))
}

// Is tells whether the side is of that setting alone.
func (s *Side) Is(setting event.Policy) bool {
	all := s.Settings()
	return len(all) == 1 && all[0] == setting
}

// Rows is how many requests it has an answer of.
func (s *Side) Rows() int { return s.rows }

// Rank orders sides as baselines: the driver's clock is the highest, then the highest
// clock, then what no single clock is.
func (s *Side) Rank() int {
	top := 0
	for _, p := range s.jobs {
		top = max(top, p.top)
	}
	if s.Is(event.Policy{}) {
		return math.MaxInt
	}
	return top
}

// Setting is the setting of a row: its policy, or where there is none the clock that was
// asked for; the driver's clock is the zero.
func Setting(policy string, mhz int) event.Policy {
	p := event.PolicyOf(policy)
	if p.Kind == event.NoPolicy && mhz > 0 {
		p = event.Policy{Kind: event.FixedClock, MHz: mhz}
	}
	return p
}

// Constant tells whether a setting is the same in all phases.
func Constant(p event.Policy) bool {
	return p.Kind == event.NoPolicy || p.Kind == event.FixedClock || p.Kind == event.FixedKnobs
}

// mean is a query's over its repeats; what is unknown in one is left out.
func mean(repeats map[int]*tally) *tally {
	all := &tally{}
	for _, r := range slices.Sorted(maps.Keys(repeats)) {
		for f := range nFigures {
			all.sum[f], all.n[f] = all.sum[f]+repeats[r].sum[f], all.n[f]+repeats[r].n[f]
		}
	}
	return all
}

// inOneWord are the runs of both parts with their work in the same words: where each ran
// one model, or at one batch size, or drafted in one way, and not the same, it is no part
// of what tells queries apart.
func inOneWord(a, b *part) (x, y map[query]map[int]*tally) {
	model := alone(a, b, func(q query) string { return q.model })
	batch := alone(a, b, func(q query) int { return q.batch })
	drafting := alone(a, b, func(q query) event.Drafting { return q.Drafting })
	if !model && !batch && !drafting {
		return a.runs, b.runs
	}
	without := func(runs map[query]map[int]*tally) map[query]map[int]*tally {
		out := map[query]map[int]*tally{}
		for q, r := range runs {
			if model {
				q.model = ""
			}
			if batch {
				q.batch = 0
			}
			if drafting {
				q.Drafting = event.Drafting{}
			}
			out[q] = r
		}
		return out
	}
	return without(a.runs), without(b.runs)
}

// alone tells whether each part has one value of something, and not the same.
func alone[T comparable](a, b *part, of func(query) T) bool {
	only := func(p *part) map[T]bool {
		values := map[T]bool{}
		for q := range p.runs {
			values[of(q)] = true
		}
		return values
	}
	x, y := only(a), only(b)
	return len(x) == 1 && len(y) == 1 && !maps.Equal(x, y)
}
