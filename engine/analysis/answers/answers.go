// Package answers joins what recorded sessions tell of single queries: [Answers] by
// model, clock and batch, the [Workload] that they make with the queries' features,
// what routing them came to, and points made of requests where a session has none.
package answers

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"jouletop/engine/analysis/curve"
	"jouletop/engine/event"
	"jouletop/engine/session"
	"jouletop/workloads"
	"jouletop/workloads/difficulty"
	"jouletop/workloads/features"
)

// Answers are what models made of queries in recorded sessions, and what it
// cost.
type Answers struct {
	Models    []difficulty.Model // by growing size
	Simulated bool
	// Meaningless says why the energies mean nothing; empty where they do.
	Meaningless string
	Notes       []string

	quality map[answerKey]*sum
	costs   map[costPlace]map[answerKey]*cost
	routed  map[costPlace]map[answerKey]*routedAnswer
}

type answerKey struct{ model, dataset, query string }

// costPlace is where energies may be compared: one GPU, one batch size, one
// clock setting.
type costPlace struct {
	gpu   string
	batch int
	clock string
}

type sum struct{ total, n float64 }

func (s *sum) add(v float64) {
	if !math.IsNaN(v) {
		s.total, s.n = s.total+v, s.n+1
	}
}

// mean is NaN of nothing.
func (s *sum) mean() float64 {
	if s == nil {
		return math.NaN()
	}
	return s.total / s.n
}

type cost struct{ energy, latency sum }

// New gathers the requests of sessions. Models whose size is told
// neither by the session nor by their name are left out, with a note.
func New(sessions []*session.Session) (*Answers, error) {
	a := &Answers{
		quality: map[answerKey]*sum{}, costs: map[costPlace]map[answerKey]*cost{}, routed: map[costPlace]map[answerKey]*routedAnswer{},
	}
	sizes := map[string]float64{} // of the models in the manifests
	seen := map[string]bool{}
	for _, s := range sessions {
		m := s.Manifest
		a.Simulated = a.Simulated || m.Simulated
		if m.Simulated && m.Backend != "sim" {
			a.Meaningless = m.Note
		}
		for _, info := range m.Models {
			if info.Parameters > 0 {
				sizes[info.Name] = float64(info.Parameters) / 1e9
			}
		}
		if err := a.read(s, seen); err != nil {
			return nil, err
		}
	}
	for name := range seen {
		b, told := sizes[name]
		if !told {
			b = curve.Billions(name)
		}
		if math.IsNaN(b) {
			a.Notes = append(a.Notes, fmt.Sprintf("model %s is left out: neither its name nor the session tells its size", name))
			continue
		}
		a.Models = append(a.Models, difficulty.Model{Name: name, ParamsB: b})
	}
	slices.Sort(a.Notes)
	slices.SortFunc(a.Models, func(x, y difficulty.Model) int {
		return cmp.Or(cmp.Compare(x.ParamsB, y.ParamsB), cmp.Compare(x.Name, y.Name))
	})
	return a, nil
}

// BatchSizes returns the batch size of each point by its id. Where requests do not tell
// it, it is the point's largest batch, since the last may be smaller.
func BatchSizes(s *session.Session) (map[string]int, error) {
	sizes := map[string]int{}
	err := s.Requests(func(r *event.RequestEnergy) error {
		sizes[r.PointID] = max(sizes[r.PointID], r.BatchSize, r.PointBatchSize)
		return nil
	})
	return sizes, err
}

func (a *Answers) read(s *session.Session, seen map[string]bool) error {
	batches, err := BatchSizes(s)
	if err != nil {
		return err
	}
	return s.Requests(func(r *event.RequestEnergy) error {
		if r.Err != "" || r.QueryID == "" {
			return nil
		}
		place := costPlace{r.GPU, batches[r.PointID], clockLabel(r.Policy)}
		key := answerKey{r.Model, r.Dataset, r.QueryID}
		if r.Routed {
			u := at(a.routed, place, key)
			u.class = r.Class
			u.energy.add(r.EnergyJ)
			u.latency.add(r.LatencyS())
			u.quality.add(r.Quality)
			return nil
		}
		seen[r.Model] = true
		if a.quality[key] == nil {
			a.quality[key] = &sum{}
		}
		a.quality[key].add(r.Quality)
		c := at(a.costs, place, key)
		c.energy.add(r.EnergyJ)
		c.latency.add(r.LatencyS())
		return nil
	})
}

// at is the entry of a map of maps, made where there is none.
func at[T any](m map[costPlace]map[answerKey]*T, place costPlace, key answerKey) *T {
	if m[place] == nil {
		m[place] = map[answerKey]*T{}
	}
	if m[place][key] == nil {
		m[place][key] = new(T)
	}
	return m[place][key]
}

// defaultClock is the label of a clock left to the driver, which runs at the
// highest that power allows.
const defaultClock = "default"

// clockLabel names a policy's clocks as the study does: 2842, 2842/180.
func clockLabel(policy string) string {
	switch p := event.PolicyOf(policy); p.Kind {
	case event.FixedClock:
		return strconv.Itoa(p.MHz)
	case event.ClockByPhase:
		return p.Clocks.String()
	case event.NoPolicy:
		return defaultClock
	}
	return policy
}

// highRank orders clock labels by how high they are: fixed clocks by MHz, then
// the driver's default where no clock was fixed, then what varies.
func highRank(clock string) int {
	if mhz, err := strconv.Atoi(clock); err == nil {
		return mhz
	}
	if clock == defaultClock {
		return 0
	}
	return -1
}

// Data joins queries, their features (one each, same order) and their answers.
func (a *Answers) Data(queries []workloads.Query, of []features.Features) difficulty.Data {
	d := difficulty.Data{}
	if a != nil {
		d.Models = a.Models
	}
	for i, q := range queries {
		r := difficulty.Record{Dataset: q.Dataset, Style: q.Style, QueryID: q.ID, Features: of[i]}
		for _, m := range d.Models {
			r.Quality = append(r.Quality, a.quality[answerKey{m.Name, q.Dataset, q.ID}].mean())
		}
		d.Records = append(d.Records, r)
	}
	return d
}

// Answered counts the queries of d that some model answered.
func (a *Answers) Answered(d difficulty.Data) int {
	n := 0
	for _, r := range d.Records {
		if slices.ContainsFunc(r.Quality, func(q float64) bool { return !math.IsNaN(q) }) {
			n++
		}
	}
	return n
}

// outcomes are the records' costs and qualities for a model at a place.
func (a *Answers) outcomes(d difficulty.Data, place costPlace, model string) []difficulty.Outcome {
	k := slices.IndexFunc(d.Models, func(m difficulty.Model) bool { return m.Name == model })
	out := make([]difficulty.Outcome, len(d.Records))
	for i, r := range d.Records {
		out[i] = difficulty.Outcome{EnergyJ: math.NaN(), LatencyS: math.NaN(), Quality: r.Quality[k]}
		if c := a.costs[place][answerKey{model, r.Dataset, r.QueryID}]; c != nil {
			out[i].EnergyJ, out[i].LatencyS = c.energy.mean(), c.latency.mean()
		}
	}
	return out
}

// measured picks, among the GPUs and batch sizes recorded, the smallest batch
// at which every model ran the same queries at two clock settings, and returns
// what was measured at its baseline and at its energy-saving clock: a
// phase-aware setting where there is one, else the lowest clock. ok is false
// where there is none.
func (a *Answers) measured(d difficulty.Data) (m difficulty.Measured, high, low string, at costPlace, ok bool) {
	largest, some := difficulty.Largest(d.Models)
	if !some {
		return nil, "", "", at, false
	}
	type bench struct {
		gpu   string
		batch int
	}
	clocks := map[bench][]string{}
	for p := range a.costs {
		b := bench{p.gpu, p.batch}
		clocks[b] = append(clocks[b], p.clock)
	}
	benches := make([]bench, 0, len(clocks))
	for b := range clocks {
		benches = append(benches, b)
	}
	slices.SortFunc(benches, func(x, y bench) int { return cmp.Or(x.batch-y.batch, cmp.Compare(x.gpu, y.gpu)) })
	for _, b := range benches {
		slices.SortFunc(clocks[b], func(x, y string) int {
			return cmp.Or(highRank(y)-highRank(x), cmp.Compare(x, y))
		})
		all := difficulty.Measured{}
		var full []string // clocks at which every model ran what the largest did at the highest
		want := 0
		for _, clock := range clocks[b] {
			place := costPlace{b.gpu, b.batch, clock}
			base := known(a.outcomes(d, place, largest.Name))
			if want == 0 {
				want = base
			}
			if want == 0 || base != want {
				continue
			}
			complete := true
			for _, model := range d.Models {
				o := a.outcomes(d, place, model.Name)
				all[difficulty.Setting{Model: model.Name, Clock: clock}] = o
				complete = complete && known(o) == want
			}
			if complete {
				full = append(full, clock)
			}
		}
		if len(full) < 2 {
			continue
		}
		return all, full[0], savingClock(full[1:]), costPlace{gpu: b.gpu, batch: b.batch}, true
	}
	return nil, "", "", at, false
}

func known(o []difficulty.Outcome) int {
	n := 0
	for _, v := range o {
		if !math.IsNaN(v.EnergyJ) {
			n++
		}
	}
	return n
}

// savingClock picks the setting of the strategies with frequency scaling from
// settings in the order of highRank.
func savingClock(settings []string) string {
	lowest := ""
	for _, s := range settings {
		if strings.Contains(s, "/") {
			return s
		}
		if highRank(s) > 0 {
			lowest = s
		}
	}
	if lowest == "" {
		return settings[0]
	}
	return lowest
}
