package difficulty

import (
	"fmt"
	"math"
	"slices"
)

// Setting is a model at a clock policy, the unit that energy is measured for.
type Setting struct {
	Model string
	Clock string // the policy's name: "1980", "1980/345"
}

// Outcome is what one query cost and yielded in a setting; NaN where unknown.
type Outcome struct {
	EnergyJ  float64
	LatencyS float64
	Quality  float64 // 0 to 1
}

// Measured holds, for each setting, the outcome of every query, in the order of
// the queries.
type Measured map[Setting][]Outcome

// Plan says what the strategies choose from.
type Plan struct {
	Largest string   // the model of the baseline
	High    string   // the baseline's clock: the highest
	DVFS    string   // the clock of the strategies with frequency scaling
	Routes  []string // for each query the model that routing sends it to
	// Categories group the queries of the per-category table: patterns or
	// classes.
	Categories []string
}

// Strategy is a way to serve the workload.
type Strategy string

// The four strategies of Table XVIII.
const (
	Baseline    Strategy = "Baseline"
	DVFSOnly    Strategy = "DVFS only"
	RoutingOnly Strategy = "Routing only"
	Combined    Strategy = "Combined"
)

// Strategies lists them in the study's order.
var Strategies = []Strategy{Baseline, DVFSOnly, RoutingOnly, Combined}

// setting is where a strategy serves query i.
func (p Plan) setting(s Strategy, i int) Setting {
	model, clock := p.Largest, p.High
	if s == RoutingOnly || s == Combined {
		model = p.Routes[i]
	}
	if s == DVFSOnly || s == Combined {
		clock = p.DVFS
	}
	return Setting{Model: model, Clock: clock}
}

// StrategyRow is a strategy's means per query (Table XVIII).
type StrategyRow struct {
	Strategy Strategy
	Model    string // the one model, or "routed"
	Clock    string
	Queries  int // queries with a known energy under this strategy and the baseline
	EnergyJ  float64
	LatencyS float64
	Quality  float64
	// Saving is 1 − energy / baseline's energy of the same queries; 0.44 is
	// 44 %. EDPJs is mean energy times mean latency.
	Saving float64
	EDPJs  float64
	// Pareto: no other strategy needs less energy at no less quality, or has
	// more quality at no more energy.
	Pareto bool
}

// CategoryRow is one category under the combined strategy (Table XVII).
type CategoryRow struct {
	Category  string
	Share     float64 // of all queries, 0 to 1
	Model     string  // where routing sends it; "mixed" if to several
	Clock     string
	EnergyJ   float64
	BaselineJ float64
	LatencyS  float64
	Quality   float64
	// BaselineQuality is the largest model's on the same queries.
	BaselineQuality float64
	Saving          float64 // as in StrategyRow
}

// total adds up outcomes that are paired with the baseline's.
type total struct {
	n                  int
	energy, base       float64
	latency            float64
	quality, baseQ     float64
	latencyN, qualityN int
	model              string
}

func (t *total) add(o, base Outcome, model string) {
	if math.IsNaN(o.EnergyJ) || math.IsNaN(base.EnergyJ) {
		return
	}
	if t.n == 0 {
		t.model = model
	} else if t.model != model {
		t.model = "mixed"
	}
	t.n++
	t.energy += o.EnergyJ
	t.base += base.EnergyJ
	if !math.IsNaN(o.LatencyS) {
		t.latencyN++
		t.latency += o.LatencyS
	}
	if !math.IsNaN(o.Quality) && !math.IsNaN(base.Quality) {
		t.qualityN++
		t.quality += o.Quality
		t.baseQ += base.Quality
	}
}

func ratio(a float64, n int) float64 {
	if n == 0 {
		return math.NaN()
	}
	return a / float64(n)
}

func (t *total) saving() float64 {
	if !(t.base > 0) {
		return math.NaN()
	}
	return 1 - t.energy/t.base
}

// Compare works out the strategies of a plan, paired by query: a query counts
// where its energy is known under the strategy and under the baseline. The
// last category row is the weighted average, under the name "Weighted
// Average".
func Compare(m Measured, p Plan) ([]StrategyRow, []CategoryRow, error) {
	n := len(p.Routes)
	if n == 0 {
		return nil, nil, fmt.Errorf("difficulty: compare strategies: %w", ErrTooFew)
	}
	if len(p.Categories) != n {
		return nil, nil, fmt.Errorf("difficulty: %d categories for %d queries", len(p.Categories), n)
	}
	var rows []StrategyRow
	var categories []CategoryRow
	for _, s := range Strategies {
		var all total
		by := make(map[string]*total)
		var names []string
		for i := range n {
			at, base := p.setting(s, i), p.setting(Baseline, i)
			outcomes, baseline := m[at], m[base]
			for setting, o := range map[Setting][]Outcome{at: outcomes, base: baseline} {
				if len(o) != n {
					return nil, nil, fmt.Errorf("difficulty: %d outcomes of %s at %s for %d queries",
						len(o), setting.Model, setting.Clock, n)
				}
			}
			all.add(outcomes[i], baseline[i], at.Model)
			c := p.Categories[i]
			if by[c] == nil {
				by[c] = &total{}
				names = append(names, c)
			}
			by[c].add(outcomes[i], baseline[i], at.Model)
		}
		row := StrategyRow{
			Strategy: s, Model: p.Largest, Clock: p.setting(s, 0).Clock, Queries: all.n,
			EnergyJ: ratio(all.energy, all.n), LatencyS: ratio(all.latency, all.latencyN),
			Quality: ratio(all.quality, all.qualityN), Saving: all.saving(),
		}
		row.EDPJs = row.EnergyJ * row.LatencyS
		if s == RoutingOnly || s == Combined {
			row.Model = "routed"
		}
		rows = append(rows, row)
		if s == Combined {
			for _, c := range sortCategories(names) {
				categories = append(categories, categoryRow(c, by[c], all.n, row.Clock))
			}
			categories = append(categories, categoryRow("Weighted Average", &all, all.n, row.Clock))
		}
	}
	markPareto(rows)
	return rows, categories, nil
}

func categoryRow(name string, t *total, all int, clock string) CategoryRow {
	return CategoryRow{
		Category: name, Share: ratio(float64(t.n), all), Model: t.model, Clock: clock,
		EnergyJ: ratio(t.energy, t.n), BaselineJ: ratio(t.base, t.n), LatencyS: ratio(t.latency, t.latencyN),
		Quality: ratio(t.quality, t.qualityN), BaselineQuality: ratio(t.baseQ, t.qualityN), Saving: t.saving(),
	}
}

// sortCategories puts patterns in the study's order, others after them by
// name.
func sortCategories(names []string) []string {
	rank := func(name string) int {
		if i := slices.Index(Patterns, Pattern(name)); i >= 0 {
			return i
		}
		return len(Patterns)
	}
	slices.SortFunc(names, func(a, b string) int {
		if r := rank(a) - rank(b); r != 0 {
			return r
		}
		if a < b {
			return -1
		}
		return 1
	})
	return names
}

func markPareto(rows []StrategyRow) {
	for i := range rows {
		rows[i].Pareto = !math.IsNaN(rows[i].EnergyJ) && !math.IsNaN(rows[i].Quality)
		for _, other := range rows {
			if other.EnergyJ <= rows[i].EnergyJ && other.Quality >= rows[i].Quality &&
				(other.EnergyJ < rows[i].EnergyJ || other.Quality > rows[i].Quality) {
				rows[i].Pareto = false
			}
		}
	}
}
