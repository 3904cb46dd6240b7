package answers

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"jouletop/workloads"
	"jouletop/workloads/difficulty"
	"jouletop/workloads/features"
)

// Workload is queries with their features and, where sessions ran them, what
// came of it.
type Workload struct {
	Data     difficulty.Data
	Patterns []difficulty.Pattern // one a query
	Tables   *difficulty.Tables
	// Strategies is nil where not every model ran the queries at two clocks.
	Strategies *StrategyComparison
	Simulated  bool // the qualities and energies are computed, not measured
	Notes      []string

	Surfaces map[string][]features.Surface // by dataset
}

// NewWorkload characterizes queries by their features (one each, in the same
// order) and, where a is not nil, by what models made of them.
func NewWorkload(queries []workloads.Query, of []features.Features, a *Answers) (*Workload, error) {
	if len(queries) != len(of) {
		return nil, fmt.Errorf("workload: %d features for %d queries", len(of), len(queries))
	}
	w := &Workload{Data: a.Data(queries, of), Surfaces: map[string][]features.Surface{}}
	for _, q := range queries {
		text := q.Prompt
		if q.Style == workloads.HellaSwag {
			text += " " + strings.Join(q.Options, " ") // its lengths take the endings in
		}
		w.Surfaces[q.Dataset] = append(w.Surfaces[q.Dataset], features.SurfaceOf(text))
	}
	var err error
	if w.Tables, err = difficulty.Build(w.Data); err != nil {
		return nil, err
	}
	w.Patterns = difficulty.ScalingPatterns(w.Data)
	if a == nil {
		return w, nil
	}
	w.Simulated, w.Notes = a.Simulated, a.Notes
	if n := a.Answered(w.Data); n < len(queries) {
		w.Notes = append(w.Notes, fmt.Sprintf("%d of %d queries were answered in the sessions", n, len(queries)))
	}
	if len(w.Data.Models) < 2 {
		return w, nil
	}
	if unknown := count(w.Patterns, difficulty.UnknownPattern); unknown > 0 {
		w.Notes = append(w.Notes, fmt.Sprintf("%d queries have no scaling pattern: not every model answered them", unknown))
	}
	if a.Meaningless != "" {
		w.Notes = append(w.Notes, "no table of energies saved: "+a.Meaningless)
		return w, nil
	}
	w.Strategies, err = compareStrategies(w, a)
	return w, err
}

func count[T comparable](xs []T, x T) int {
	n := 0
	for _, v := range xs {
		if v == x {
			n++
		}
	}
	return n
}

// Routing is a way to choose a model for each query.
type Routing string

// The routings compared.
const (
	RouteAllSmall   Routing = "all to "       // the study's: one small model for all
	RouteRule       Routing = "by rule"       // by the rule's class, known before any model is asked
	RouteClassifier Routing = "by classifier" // by a trained classifier's class, predicted for queries it was not trained on
	RoutePattern    Routing = "by pattern"    // by the scaling pattern, which takes every model's answer: a bound
)

// StrategyComparison lays the strategies of the study's Tables XVII and XVIII
// beside each other.
type StrategyComparison struct {
	GPU       string
	BatchSize int
	High, Low string // clock settings: the baseline's and the energy-saving one
	Largest   string
	Small     string // where [RouteAllSmall] sends all

	Baseline, DVFS StrategyOutcome
	Routed         []RoutedOutcome
	// ByPattern are the rows of Table XVII, ByClass those of the rule's classes,
	// both combined with the energy-saving clock; the last is the whole.
	ByPattern, ByClass []difficulty.CategoryRow
}

// StrategyOutcome is a strategy's means a query.
type StrategyOutcome struct {
	difficulty.StrategyRow
	Accuracy float64 // of the classification queries alone, 0 to 1; NaN without
}

// RoutedOutcome is a routing at the highest clock and at the energy-saving one.
type RoutedOutcome struct {
	Routing        Routing
	Only, Combined StrategyOutcome
}

// compareStrategies is nil where nothing comparable was recorded.
func compareStrategies(w *Workload, a *Answers) (*StrategyComparison, error) {
	d := w.Data
	m, high, low, at, ok := a.measured(d)
	if !ok {
		w.Notes = append(w.Notes, "no table of routing's savings: they take every model at two clocks at least, over the same queries and batch size")
		return nil, nil
	}
	largest, _ := difficulty.Largest(d.Models)
	small, _ := difficulty.TierSmall.Pick(d.Models)
	c := &StrategyComparison{GPU: at.gpu, BatchSize: at.batch, High: high, Low: low, Largest: largest.Name, Small: small.Name}

	classes := make([]features.Class, len(d.Records))
	one := make([]string, len(d.Records))
	patterns := make([]string, len(d.Records))
	for i, r := range d.Records {
		classes[i], one[i], patterns[i] = features.StudyRule.Classify(r.Features), small.Name, string(w.Patterns[i])
		if w.Patterns[i] == difficulty.UnknownPattern {
			patterns[i] = "unknown"
		}
	}
	add := func(how Routing, routes, categories []string) ([]difficulty.CategoryRow, error) {
		rows, by, err := difficulty.Compare(m, difficulty.Plan{Largest: largest.Name, High: high, DVFS: low, Routes: routes, Categories: categories})
		if err != nil {
			return nil, err
		}
		accuracy, err := accuracies(d, m, difficulty.Plan{Largest: largest.Name, High: high, DVFS: low, Routes: routes})
		if err != nil {
			return nil, err
		}
		out := make([]StrategyOutcome, len(rows))
		for i, r := range rows {
			out[i] = StrategyOutcome{r, accuracy[i]}
		}
		c.Baseline, c.DVFS = out[0], out[1]
		c.Routed = append(c.Routed, RoutedOutcome{how, out[2], out[3]})
		return by, nil
	}
	if _, err := add(RouteAllSmall, one, one); err != nil {
		return nil, err
	}
	byRule, err := difficulty.ClassRoutes(classes, d.Models)
	if err != nil {
		return nil, err
	}
	if c.ByClass, err = add(RouteRule, byRule, classNames(classes)); err != nil {
		return nil, err
	}
	predicted, err := OutOfFold(d, ClassifierFeatures(w.Tables))
	switch {
	case errors.Is(err, difficulty.ErrTooFew):
		w.Notes = append(w.Notes, "no routing by a classifier: "+err.Error())
	case err != nil:
		return nil, err
	default:
		routes, err := difficulty.ClassRoutes(predicted, d.Models)
		if err != nil {
			return nil, err
		}
		if _, err := add(RouteClassifier, routes, classNames(predicted)); err != nil {
			return nil, err
		}
	}
	byPattern, err := difficulty.PatternRoutes(w.Patterns, d.Models)
	if err != nil {
		return nil, err
	}
	if c.ByPattern, err = add(RoutePattern, byPattern, patterns); err != nil {
		return nil, err
	}
	c.markPareto()
	return c, nil
}

func classNames(classes []features.Class) []string {
	out := make([]string, len(classes))
	for i, c := range classes {
		out[i] = string(c)
	}
	return out
}

// accuracies are each strategy's mean quality over the classification queries,
// which is what the study's Table XVIII gives.
func accuracies(d difficulty.Data, m difficulty.Measured, p difficulty.Plan) ([]float64, error) {
	var keep []int
	for i, r := range d.Records {
		if r.Style == workloads.BoolQ || r.Style == workloads.HellaSwag {
			keep = append(keep, i)
		}
	}
	out := []float64{math.NaN(), math.NaN(), math.NaN(), math.NaN()}
	if len(keep) == 0 {
		return out, nil
	}
	part := difficulty.Measured{}
	for s, o := range m {
		part[s] = pick(o, keep)
	}
	p.Routes = pick(p.Routes, keep)
	p.Categories = p.Routes
	rows, _, err := difficulty.Compare(part, p)
	if err != nil {
		return nil, err
	}
	for i, r := range rows {
		out[i] = r.Quality
	}
	return out, nil
}

func pick[T any](xs []T, at []int) []T {
	out := make([]T, len(at))
	for i, k := range at {
		out[i] = xs[k]
	}
	return out
}

// markPareto marks what no other strategy beats in energy and quality, over all
// routings.
func (c *StrategyComparison) markPareto() {
	all := []*StrategyOutcome{&c.Baseline, &c.DVFS}
	for i := range c.Routed {
		all = append(all, &c.Routed[i].Only, &c.Routed[i].Combined)
	}
	for _, s := range all {
		s.Pareto = !math.IsNaN(s.EnergyJ) && !math.IsNaN(s.Quality)
		for _, o := range all {
			if o.EnergyJ <= s.EnergyJ && o.Quality >= s.Quality && (o.EnergyJ < s.EnergyJ || o.Quality > s.Quality) {
				s.Pareto = false
			}
		}
	}
}

// ClassifierFeatures are what a classifier is trained on: the features that
// selection kept, or, where it kept none, the study's two.
func ClassifierFeatures(t *difficulty.Tables) []difficulty.Feature {
	if of := difficulty.Selected(t.Features); len(of) > 0 {
		return of
	}
	return []difficulty.Feature{difficulty.EntityDensity, difficulty.CausalScore}
}

// OutOfFold predicts each query's class by a classifier trained on the other
// folds. Errors wrap difficulty.ErrTooFew where a fold would be empty of a class.
func OutOfFold(d difficulty.Data, of []difficulty.Feature) ([]features.Class, error) {
	labels := d.Labels()
	easy := count(labels, true)
	if easy < difficulty.Folds || len(labels)-easy < difficulty.Folds {
		return nil, fmt.Errorf("%d easy and %d hard queries: %w", easy, len(labels)-easy, difficulty.ErrTooFew)
	}
	fold := difficulty.StratifiedFolds(labels, difficulty.Folds, difficulty.Seed)
	out := make([]features.Class, len(labels))
	for f := range difficulty.Folds {
		rest := difficulty.Data{Models: d.Models}
		for i, r := range d.Records {
			if fold[i] != f {
				rest.Records = append(rest.Records, r)
			}
		}
		c, err := difficulty.TrainClassifier(rest, of)
		if err != nil {
			return nil, err
		}
		for i, r := range d.Records {
			if fold[i] == f {
				out[i] = c.Classify(r.Features)
			}
		}
	}
	return out, nil
}

// Where says what was compared.
func (c *StrategyComparison) Where() string {
	return fmt.Sprintf("on %s at batch %d; clocks: %s the baseline's, %s the energy-saving one", c.GPU, c.BatchSize, ClockName(c.High), ClockName(c.Low))
}

// ClockName is a clock label for people.
func ClockName(clock string) string {
	if strings.Trim(clock, "0123456789/") == "" {
		return clock + " MHz"
	}
	if clock == defaultClock {
		return "default clock"
	}
	return clock
}

// Name says how a routing chooses.
func (r RoutedOutcome) Name(c *StrategyComparison) string {
	if r.Routing == RouteAllSmall {
		return string(r.Routing) + c.Small
	}
	return string(r.Routing)
}
