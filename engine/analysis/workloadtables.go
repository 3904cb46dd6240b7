package analysis

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"jouletop/workloads"
	"jouletop/workloads/difficulty"
	"jouletop/workloads/features"
)

// Study makes the study's Tables II to X, XV, XVII and XVIII of a workload, as
// far as its data go. explain adds
// how the study counts and why ours differ from the published ones.
func (w *Workload) Study(explain bool) []Table {
	p := difficulty.Paper()
	tables := []Table{w.tableII(p), w.tableIII(p), w.tableIV(p)}
	if explain {
		tables = append(tables, w.surface(p))
	}
	tables = append(tables, w.tableV(p), w.classes())
	if len(w.Tables.Quality) > 0 {
		answered := []Table{w.tableVI(p), w.tableVII(p), w.tableVIII(p)}
		if len(w.Data.Models) > 1 {
			answered = append(answered, w.tableIX(p))
		}
		answered = append(answered, w.tableX(p))
		if len(w.Data.Models) > 1 {
			answered = append(answered, w.tableXV(p))
		}
		if c := w.Strategies; c != nil {
			answered = append(answered, c.tableXVII(p), c.tableXVIII(p), c.byClass())
		}
		for i := range answered {
			answered[i].Simulated = w.Simulated
		}
		tables = append(tables, answered...)
	}
	tables = slices.DeleteFunc(tables, func(t Table) bool { return len(t.Rows) == 0 })
	if explain {
		for i := range tables {
			for _, e := range difficulty.Explanations {
				if e.Table == tables[i].ID {
					tables[i].Notes = append(tables[i].Notes, e.Text)
				}
			}
		}
	}
	return tables
}

// styleOf is the style of a dataset's queries: the study's numbers go by it,
// whatever the operator calls the dataset.
func (w *Workload) styleOf(dataset string) workloads.Style {
	i := slices.IndexFunc(w.Data.Records, func(r difficulty.Record) bool { return r.Dataset == dataset })
	if i < 0 {
		return workloads.Custom
	}
	return w.Data.Records[i].Style
}

// row finds the study's row.
func row[T any](rows []T, is func(T) bool) (T, bool) {
	if i := slices.IndexFunc(rows, is); i >= 0 {
		return rows[i], true
	}
	var none T
	return none, false
}

// publishedOf is f of the study's row, NaN where it has none.
func publishedOf[T any](r T, ok bool, f func(T) float64) float64 {
	if !ok {
		return nan
	}
	return f(r)
}

func percent(share, published float64) Cell { return num(100*share, 1).beside(100 * published) }

func (w *Workload) tableII(p *difficulty.Tables) Table {
	t := Table{ID: "II", Title: "input length in words", Columns: []string{"dataset", "queries", "mean", "std", "min", "max", "range ×"}}
	for _, r := range w.Tables.Lengths {
		s, ok := row(p.Lengths, func(x difficulty.LengthRow) bool { return x.Dataset == string(w.styleOf(r.Dataset)) })
		of := func(f func(difficulty.LengthRow) float64) float64 { return publishedOf(s, ok, f) }
		t.Rows = append(t.Rows, []Cell{
			word(r.Dataset), num(float64(r.Queries), 0).beside(of(func(r difficulty.LengthRow) float64 { return float64(r.Queries) })),
			num(r.Mean, 1).beside(of(func(r difficulty.LengthRow) float64 { return r.Mean })),
			num(r.Std, 1).beside(of(func(r difficulty.LengthRow) float64 { return r.Std })),
			num(r.Min, 0).beside(of(func(r difficulty.LengthRow) float64 { return r.Min })),
			num(r.Max, 0).beside(of(func(r difficulty.LengthRow) float64 { return r.Max })),
			num(r.Range(), 1).beside(of(difficulty.LengthRow.Range)),
		})
	}
	return t
}

func (w *Workload) tableIII(p *difficulty.Tables) Table {
	t := Table{ID: "III", Title: "features, means by dataset", Columns: []string{"dataset", "complexity score", "reasoning complexity", "entity density", "token entropy bits"}}
	for _, r := range w.Tables.Means {
		s, ok := w.paperMeans(p, r.Dataset)
		of := func(f func(difficulty.MeansRow) float64) float64 { return publishedOf(s, ok, f) }
		t.Rows = append(t.Rows, []Cell{
			word(r.Dataset),
			num(r.Complexity, 2).beside(of(func(r difficulty.MeansRow) float64 { return r.Complexity })),
			num(r.Reasoning, 2).beside(of(func(r difficulty.MeansRow) float64 { return r.Reasoning })),
			num(r.EntityDensity, 2).beside(of(func(r difficulty.MeansRow) float64 { return r.EntityDensity })),
			num(r.Entropy, 2).beside(of(func(r difficulty.MeansRow) float64 { return r.Entropy })),
		})
	}
	return t
}

func (w *Workload) paperMeans(p *difficulty.Tables, dataset string) (difficulty.MeansRow, bool) {
	return row(p.Means, func(x difficulty.MeansRow) bool { return x.Dataset == string(w.styleOf(dataset)) })
}

func (w *Workload) tableIV(p *difficulty.Tables) Table {
	t := Table{ID: "IV", Title: "causal questions by dataset", Columns: []string{"dataset", "causal %", "dominant query type"}}
	for _, r := range w.Tables.Means {
		s, ok := w.paperMeans(p, r.Dataset)
		t.Rows = append(t.Rows, []Cell{
			word(r.Dataset), percent(r.Causal, publishedOf(s, ok, func(r difficulty.MeansRow) float64 { return r.Causal })), word(r.QueryType),
		})
	}
	return t
}

// surface counts as the study evidently did: see features.Surface.
func (w *Workload) surface(p *difficulty.Tables) Table {
	t := Table{
		Title:   "counted the study's way: the prompt's words (HellaSwag's with its endings), capitals for entities",
		Columns: []string{"dataset", "mean words", "std", "min", "max", "entropy bits", "capitalised share", "causal %"},
		Notes:   []string{"What the study's figures evidently count (they come out to the digit on the whole of TruthfulQA); for comparison only, nothing is decided by it."},
	}
	for _, name := range w.Data.Datasets() {
		l, ok := row(p.Lengths, func(x difficulty.LengthRow) bool { return x.Dataset == string(w.styleOf(name)) })
		m, _ := w.paperMeans(p, name)
		var words, bits, capitals []float64
		causal := 0.0
		for _, s := range w.surfaces[name] {
			words, bits, capitals = append(words, float64(s.Words)), append(bits, s.EntropyBits), append(capitals, s.CapitalShare)
			if s.Causal {
				causal++
			}
		}
		mean, std := meanStd(words)
		entropy, _ := meanStd(bits)
		share, _ := meanStd(capitals)
		published := func(v float64) float64 { return publishedOf(v, ok, func(v float64) float64 { return v }) }
		t.Rows = append(t.Rows, []Cell{
			word(name), num(mean, 1).beside(published(l.Mean)), num(std, 1).beside(published(l.Std)),
			num(slices.Min(words), 0).beside(published(l.Min)), num(slices.Max(words), 0).beside(published(l.Max)),
			num(entropy, 2).beside(published(m.Entropy)), num(share, 2).beside(published(m.EntityDensity)),
			percent(causal/float64(len(words)), published(m.Causal)),
		})
	}
	return t
}

// meanStd are the mean and the population's standard deviation.
func meanStd(xs []float64) (mean, std float64) {
	for _, x := range xs {
		mean += x / float64(len(xs))
	}
	for _, x := range xs {
		std += (x - mean) * (x - mean) / float64(len(xs))
	}
	return mean, math.Sqrt(std)
}

func yes(b bool) Cell {
	if b {
		return word("yes")
	}
	return word("no")
}

func (w *Workload) tableV(p *difficulty.Tables) Table {
	t := Table{ID: "V", Title: "features against length and quality (Pearson's r)", Columns: []string{"feature", "r with length", "independent"}}
	answered := len(w.Tables.Quality) > 0
	if answered {
		t.Columns = append(t.Columns, "r with quality", "length held fixed", "selected")
		t.Simulated = w.Simulated
	}
	for _, r := range w.Tables.Features {
		s, ok := row(p.Features, func(x difficulty.FeatureReport) bool { return x.Feature.Name == r.Feature.Name })
		cells := []Cell{
			word(r.Feature.Name), signed(r.WithLength, 2).beside(publishedOf(s, ok, func(r difficulty.FeatureReport) float64 { return r.WithLength })), yes(r.Independent),
		}
		if math.IsNaN(r.WithLength) {
			cells[2] = word("") // a feature, or a length, that does not vary
		}
		if answered {
			why := yes(r.Selected)
			if r.Redundant != "" {
				why = word("no: as " + r.Redundant)
			}
			cells = append(cells, signed(r.WithQuality, 3).beside(publishedOf(s, ok, func(r difficulty.FeatureReport) float64 { return r.WithQuality })), signed(r.Partial, 3), why)
		}
		t.Rows = append(t.Rows, cells)
	}
	if answered {
		t.Rows = append(t.Rows, []Cell{word("Length"), word(""), word(""), signed(w.Tables.LengthToQ, 3).beside(p.LengthToQ), word(""), word("")})
		t.Notes = append(t.Notes, fmt.Sprintf("Selected: |r| with quality above %.2f, and below %.1f with a feature selected before. Quality is min-max-normalised in each dataset and averaged over the models.",
			difficulty.MinQualityCorrelation, difficulty.MaxPairCorrelation))
	}
	return t
}

func signed(v float64, decimals int) Cell {
	c := num(v, decimals)
	c.Sign = true
	return c
}

// classes is the split by the rule.
func (w *Workload) classes() Table {
	t := Table{
		Title:   "classes by the rule",
		Columns: []string{"dataset", "queries", "easy", "hard", "easy %"},
		Notes:   []string{fmt.Sprintf("Easy: entity density below %.2f and causal score below %.2f.", features.StudyRule.EntityDensity, features.StudyRule.CausalScore)},
	}
	var all difficulty.Split
	add := func(name string, s difficulty.Split) {
		t.Rows = append(t.Rows, []Cell{word(name), num(float64(s.Easy+s.Hard), 0), num(float64(s.Easy), 0), num(float64(s.Hard), 0), num(100*s.EasyShare(), 1)})
	}
	splits := difficulty.RuleSplit(w.Data)
	for i, name := range w.Data.Datasets() {
		add(name, splits[i])
		all.Easy, all.Hard = all.Easy+splits[i].Easy, all.Hard+splits[i].Hard
	}
	if len(splits) > 1 {
		p := difficulty.Paper()
		add("all", all)
		last := t.Rows[len(t.Rows)-1]
		last[4] = last[4].beside(100 * float64(p.RuleEasy) / float64(p.RuleEasy+p.RuleHard))
	}
	return t
}

func (w *Workload) tableVI(p *difficulty.Tables) Table {
	t := Table{
		ID: "VI", Title: "telling easy from hard", Columns: []string{"feature set", "accuracy %"},
		Notes: []string{fmt.Sprintf("Logistic regression (L2, C = %g, standardised), %d-fold stratified cross-validation. Easy: quality above the median.", difficulty.DefaultC, difficulty.Folds)},
	}
	for _, r := range w.Tables.Ablation {
		s, ok := row(p.Ablation, func(x difficulty.AblationRow) bool { return x.FeatureSet == r.FeatureSet })
		t.Rows = append(t.Rows, []Cell{word(r.FeatureSet), percent(r.Accuracy, publishedOf(s, ok, func(r difficulty.AblationRow) float64 { return r.Accuracy }))})
	}
	return t
}

// modelColumn is the study's column for a model of ours; false without one.
func modelColumn(p *difficulty.Tables, model string) (int, bool) {
	i := slices.IndexFunc(p.Models, func(m difficulty.Model) bool { return m.Name == paperModel(model) })
	return i, i >= 0
}

func (w *Workload) modelNames() []string {
	var names []string
	for _, m := range w.Data.Models {
		names = append(names, m.Name)
	}
	return names
}

// byModel lays values, one a model, beside the study's.
func (w *Workload) byModel(p *difficulty.Tables, ours, theirs []float64, decimals int, sign bool) []Cell {
	var cells []Cell
	for k, m := range w.Data.Models {
		c := num(ours[k], decimals)
		c.Sign = sign
		if i, ok := modelColumn(p, m.Name); ok && i < len(theirs) {
			c = c.beside(theirs[i])
		}
		cells = append(cells, c)
	}
	return cells
}

func (w *Workload) tableVII(p *difficulty.Tables) Table {
	t := Table{ID: "VII", Title: "quality by model and dataset", Columns: slices.Concat([]string{"dataset", "metric"}, w.modelNames(), []string{"average"})}
	sums := make([]float64, len(w.Data.Models)+1)
	for _, r := range w.Tables.Quality {
		s, ok := row(p.Quality, func(x difficulty.QualityRow) bool { return x.Dataset == string(w.styleOf(r.Dataset)) })
		cells := append([]Cell{word(r.Dataset), word(r.Metric)}, w.byModel(p, r.ByModel, s.ByModel, 3, false)...)
		t.Rows = append(t.Rows, append(cells, num(r.Mean, 3).beside(publishedOf(s, ok, func(r difficulty.QualityRow) float64 { return r.Mean }))))
		for k, q := range append(slices.Clone(r.ByModel), r.Mean) {
			sums[k] += q / float64(len(w.Tables.Quality))
		}
	}
	if len(w.Tables.Quality) > 1 {
		published := make([]float64, len(p.Models)+1)
		for _, r := range p.Quality {
			for k, q := range append(slices.Clone(r.ByModel), r.Mean) {
				published[k] += q / float64(len(p.Quality))
			}
		}
		last := len(sums) - 1
		cells := append([]Cell{word("average"), word("all")}, w.byModel(p, sums[:last], published, 3, false)...)
		t.Rows = append(t.Rows, append(cells, num(sums[last], 3).beside(published[len(p.Models)])))
	}
	return t
}

func (w *Workload) tableVIII(p *difficulty.Tables) Table {
	t := Table{ID: "VIII", Title: "features against quality by model (Pearson's r)", Columns: append([]string{"feature"}, w.modelNames()...)}
	for _, r := range w.Tables.Correlation {
		s, _ := row(p.Correlation, func(x difficulty.FeatureQualityRow) bool { return x.Feature == r.Feature })
		t.Rows = append(t.Rows, append([]Cell{word(r.Feature)}, w.byModel(p, r.ByModel, s.ByModel, 2, true)...))
	}
	return t
}

func (w *Workload) tableIX(p *difficulty.Tables) Table {
	t := Table{
		ID: "IX", Title: "scaling patterns", Columns: []string{"pattern", "queries", "share %", "entity density", "causal score", "entropy bits"},
		Notes: []string{fmt.Sprintf("Success is a normalised quality of at least %g; small models are those under 5 billion parameters.", difficulty.SuccessQuality)},
	}
	for _, r := range w.Tables.Scaling {
		s, ok := row(p.Scaling, func(x difficulty.PatternRow) bool { return x.Pattern == r.Pattern })
		of := func(f func(difficulty.PatternRow) float64) float64 { return publishedOf(s, ok, f) }
		t.Rows = append(t.Rows, []Cell{
			word(string(r.Pattern)), num(float64(r.Queries), 0), percent(r.Share, of(func(r difficulty.PatternRow) float64 { return r.Share })),
			num(r.EntityDensity, 2).beside(of(func(r difficulty.PatternRow) float64 { return r.EntityDensity })),
			num(r.CausalScore, 2).beside(of(func(r difficulty.PatternRow) float64 { return r.CausalScore })),
			num(r.Entropy, 2).beside(of(func(r difficulty.PatternRow) float64 { return r.Entropy })),
		})
	}
	return t
}

func (w *Workload) tableX(p *difficulty.Tables) Table {
	t := Table{
		ID: "X", Title: "quality on queries that the rule calls easy and hard", Columns: []string{"model", "easy", "hard", "gap"},
		Notes: []string{fmt.Sprintf("%d easy and %d hard queries (study: %d and %d). Qualities as scored, accuracy and ROUGE-L together.", w.Tables.RuleEasy, w.Tables.RuleHard, p.RuleEasy, p.RuleHard)},
	}
	for _, r := range w.Tables.Rule {
		s, ok := row(p.Rule, func(x difficulty.GapRow) bool { return strings.EqualFold(x.Model, r.Model) })
		of := func(f func(difficulty.GapRow) float64) float64 { return publishedOf(s, ok, f) }
		gap := signed(r.Gap, 3).beside(of(func(r difficulty.GapRow) float64 { return r.Gap }))
		t.Rows = append(t.Rows, []Cell{
			word(r.Model), num(r.Easy, 3).beside(of(func(r difficulty.GapRow) float64 { return r.Easy })),
			num(r.Hard, 3).beside(of(func(r difficulty.GapRow) float64 { return r.Hard })), gap,
		})
	}
	return t
}

func (w *Workload) tableXV(p *difficulty.Tables) Table {
	t := Table{ID: "XV", Title: "routing by scaling pattern", Columns: []string{"pattern", "share %", "tier", "model", "rationale"}}
	for _, r := range w.Tables.Routing {
		s, ok := row(p.Routing, func(x difficulty.RouteRow) bool { return x.Pattern == r.Pattern })
		tier, _ := difficulty.Route(r.Pattern)
		m, _ := tier.Pick(w.Data.Models)
		t.Rows = append(t.Rows, []Cell{
			word(string(r.Pattern)), percent(r.Share, publishedOf(s, ok, func(r difficulty.RouteRow) float64 { return r.Share })), word(r.Tier), word(m.Name), word(r.Rationale),
		})
	}
	return t
}

// where says what was compared.
func (c *StrategyComparison) where() string {
	return fmt.Sprintf("on %s at batch %d; clocks: %s the baseline's, %s the energy-saving one", c.GPU, c.BatchSize, clockName(c.High), clockName(c.Low))
}

// clockName is a clock label for people.
func clockName(clock string) string {
	if strings.Trim(clock, "0123456789/") == "" {
		return clock + " MHz"
	}
	if clock == defaultClock {
		return "default clock"
	}
	return clock
}

var categoryColumns = []string{"category", "share %", "model", "clock", "J/query", "baseline J", "saving %", "latency s", "quality", "largest's quality"}

func categoryCells(r difficulty.CategoryRow, s difficulty.CategoryRow, ok bool) []Cell {
	return []Cell{
		word(r.Category), percent(r.Share, publishedOf(s, ok, func(r difficulty.CategoryRow) float64 { return r.Share })), word(r.Model), word(clockName(r.Clock)),
		num(r.EnergyJ, 2), num(r.BaselineJ, 2), percent(r.Saving, publishedOf(s, ok, func(r difficulty.CategoryRow) float64 { return r.Saving })),
		num(r.LatencyS, 3), num(r.Quality, 3), num(r.BaselineQuality, 3),
	}
}

func (c *StrategyComparison) tableXVII(p *difficulty.Tables) Table {
	t := Table{ID: "XVII", Title: "routing by scaling pattern and frequency scaling combined", Columns: categoryColumns, Notes: []string{
		"Measured " + c.where() + "; the baseline is " + c.Largest + ".",
		"A bound: the pattern is known only once every model has answered.",
	}}
	for _, r := range c.ByPattern {
		s, ok := row(p.Categories, func(x difficulty.CategoryRow) bool { return x.Category == r.Category })
		t.Rows = append(t.Rows, categoryCells(r, s, ok))
	}
	return t
}

func (c *StrategyComparison) byClass() Table {
	t := Table{Title: "routing by the rule's class and frequency scaling combined", Columns: slices.Clone(categoryColumns)}
	t.Columns[0] = "class"
	for _, r := range c.ByClass {
		t.Rows = append(t.Rows, categoryCells(r, difficulty.CategoryRow{}, false))
	}
	t.Notes = []string{"Measured " + c.where() + "; the baseline is " + c.Largest + "."}
	return t
}

// name says how a routing chooses.
func (r RoutedOutcome) name(c *StrategyComparison) string {
	if r.Routing == RouteAllSmall {
		return string(r.Routing) + c.Small
	}
	return string(r.Routing)
}

func (c *StrategyComparison) tableXVIII(p *difficulty.Tables) Table {
	t := Table{
		ID: "XVIII", Title: "energy and quality of the strategies",
		Columns: []string{"strategy", "clock", "J/query", "saving %", "latency s", "EDP J·s", "quality", "accuracy", "on the Pareto front"},
		Notes: []string{
			"Measured " + c.where() + ". Quality is the mean over all queries, accuracy that over the classification queries, which the study gives.",
			"The study's joules are far below what 100 tokens of a 32B model can cost on its card; the savings compare.",
		},
	}
	add := func(name string, o StrategyOutcome, study difficulty.Strategy) {
		s, ok := row(p.Strategies, func(x difficulty.StrategyRow) bool { return x.Strategy == study })
		of := func(f func(difficulty.StrategyRow) float64) float64 { return publishedOf(s, ok, f) }
		t.Rows = append(t.Rows, []Cell{
			word(name), word(clockName(o.Clock)), num(o.EnergyJ, 2).beside(of(func(r difficulty.StrategyRow) float64 { return r.EnergyJ })),
			percent(o.Saving, of(func(r difficulty.StrategyRow) float64 { return r.Saving })), num(o.LatencyS, 3), num(o.EDPJs, 1),
			num(o.Quality, 3), num(o.Accuracy, 3).beside(of(func(r difficulty.StrategyRow) float64 { return r.Quality })), yes(o.Pareto),
		})
	}
	add("Baseline: all to "+c.Largest, c.Baseline, difficulty.Baseline)
	add("DVFS only", c.DVFS, difficulty.DVFSOnly)
	for _, r := range c.Routed {
		only, combined := difficulty.Strategy(""), difficulty.Strategy("")
		if r.Routing == RouteAllSmall {
			only, combined = difficulty.RoutingOnly, difficulty.Combined
		}
		add("Routing only: "+r.name(c), r.Only, only)
		add("Combined: "+r.name(c), r.Combined, combined)
	}
	return t
}
