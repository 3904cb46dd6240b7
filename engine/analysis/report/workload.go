package report

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"jouletop/engine/analysis/answers"
	"jouletop/engine/analysis/table"
	"jouletop/workloads"
	"jouletop/workloads/difficulty"
	"jouletop/workloads/features"
	"jouletop/workloads/study"
)

// Workload makes the study's Tables II to X, XV, XVII and XVIII of a workload, as
// far as its data go. explain adds
// how the study counts and why ours differ from the published ones.
func Workload(of *answers.Workload, explain bool) []table.Table {
	w := workloadTables{of}
	p := difficulty.Paper()
	tables := []table.Table{w.tableII(p), w.tableIII(p), w.tableIV(p)}
	if explain {
		tables = append(tables, w.surface(p))
	}
	tables = append(tables, w.tableV(p), w.classes())
	if len(w.Tables.Quality) > 0 {
		answered := []table.Table{w.tableVI(p), w.tableVII(p), w.tableVIII(p)}
		if len(w.Data.Models) > 1 {
			answered = append(answered, w.tableIX(p))
		}
		answered = append(answered, w.tableX(p))
		if len(w.Data.Models) > 1 {
			answered = append(answered, w.tableXV(p))
		}
		if c := w.Strategies; c != nil {
			answered = append(answered, tableXVII(c, p), tableXVIII(c, p), byClass(c))
		}
		for i := range answered {
			answered[i].Simulated = w.Simulated
		}
		tables = append(tables, answered...)
	}
	tables = slices.DeleteFunc(tables, func(t table.Table) bool { return len(t.Rows) == 0 })
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

// workloadTables lays a workload out in tables.
type workloadTables struct{ *answers.Workload }

// styleOf is the style of a dataset's queries: the study's numbers go by it,
// whatever the operator calls the dataset.
func (w workloadTables) styleOf(dataset string) workloads.Style {
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

func percent(share, published float64) table.Cell {
	return table.Num(100*share, 1).Beside(100 * published)
}

func (w workloadTables) tableII(p *difficulty.Tables) table.Table {
	t := table.Table{ID: "II", Title: "input length in words", Columns: []string{"dataset", "queries", "mean", "std", "min", "max", "range ×"}}
	for _, r := range w.Tables.Lengths {
		s, ok := row(p.Lengths, func(x difficulty.LengthRow) bool { return x.Dataset == string(w.styleOf(r.Dataset)) })
		of := func(f func(difficulty.LengthRow) float64) float64 { return publishedOf(s, ok, f) }
		t.Rows = append(t.Rows, []table.Cell{
			table.Word(r.Dataset), table.Num(float64(r.Queries), 0).Beside(of(func(r difficulty.LengthRow) float64 { return float64(r.Queries) })),
			table.Num(r.Mean, 1).Beside(of(func(r difficulty.LengthRow) float64 { return r.Mean })),
			table.Num(r.Std, 1).Beside(of(func(r difficulty.LengthRow) float64 { return r.Std })),
			table.Num(r.Min, 0).Beside(of(func(r difficulty.LengthRow) float64 { return r.Min })),
			table.Num(r.Max, 0).Beside(of(func(r difficulty.LengthRow) float64 { return r.Max })),
			table.Num(r.Range(), 1).Beside(of(difficulty.LengthRow.Range)),
		})
	}
	return t
}

func (w workloadTables) tableIII(p *difficulty.Tables) table.Table {
	t := table.Table{ID: "III", Title: "features, means by dataset", Columns: []string{"dataset", "complexity score", "reasoning complexity", "entity density", "token entropy bits"}}
	for _, r := range w.Tables.Means {
		s, ok := w.paperMeans(p, r.Dataset)
		of := func(f func(difficulty.MeansRow) float64) float64 { return publishedOf(s, ok, f) }
		t.Rows = append(t.Rows, []table.Cell{
			table.Word(r.Dataset),
			table.Num(r.Complexity, 2).Beside(of(func(r difficulty.MeansRow) float64 { return r.Complexity })),
			table.Num(r.Reasoning, 2).Beside(of(func(r difficulty.MeansRow) float64 { return r.Reasoning })),
			table.Num(r.EntityDensity, 2).Beside(of(func(r difficulty.MeansRow) float64 { return r.EntityDensity })),
			table.Num(r.Entropy, 2).Beside(of(func(r difficulty.MeansRow) float64 { return r.Entropy })),
		})
	}
	return t
}

func (w workloadTables) paperMeans(p *difficulty.Tables, dataset string) (difficulty.MeansRow, bool) {
	return row(p.Means, func(x difficulty.MeansRow) bool { return x.Dataset == string(w.styleOf(dataset)) })
}

func (w workloadTables) tableIV(p *difficulty.Tables) table.Table {
	t := table.Table{ID: "IV", Title: "causal questions by dataset", Columns: []string{"dataset", "causal %", "dominant query type"}}
	for _, r := range w.Tables.Means {
		s, ok := w.paperMeans(p, r.Dataset)
		t.Rows = append(t.Rows, []table.Cell{
			table.Word(r.Dataset), percent(r.Causal, publishedOf(s, ok, func(r difficulty.MeansRow) float64 { return r.Causal })), table.Word(r.QueryType),
		})
	}
	return t
}

// surface counts as the study evidently did: see features.Surface.
func (w workloadTables) surface(p *difficulty.Tables) table.Table {
	t := table.Table{
		Title:   "counted the study's way: the prompt's words (HellaSwag's with its endings), capitals for entities",
		Columns: []string{"dataset", "mean words", "std", "min", "max", "entropy bits", "capitalised share", "causal %"},
		Notes:   []string{"What the study's figures evidently count (they come out to the digit on the whole of TruthfulQA); for comparison only, nothing is decided by it."},
	}
	for _, name := range w.Data.Datasets() {
		l, ok := row(p.Lengths, func(x difficulty.LengthRow) bool { return x.Dataset == string(w.styleOf(name)) })
		m, _ := w.paperMeans(p, name)
		var words, bits, capitals []float64
		causal := 0.0
		for _, s := range w.Surfaces[name] {
			words, bits, capitals = append(words, float64(s.Words)), append(bits, s.EntropyBits), append(capitals, s.CapitalShare)
			if s.Causal {
				causal++
			}
		}
		mean, std := meanStd(words)
		entropy, _ := meanStd(bits)
		share, _ := meanStd(capitals)
		published := func(v float64) float64 { return publishedOf(v, ok, func(v float64) float64 { return v }) }
		t.Rows = append(t.Rows, []table.Cell{
			table.Word(name), table.Num(mean, 1).Beside(published(l.Mean)), table.Num(std, 1).Beside(published(l.Std)),
			table.Num(slices.Min(words), 0).Beside(published(l.Min)), table.Num(slices.Max(words), 0).Beside(published(l.Max)),
			table.Num(entropy, 2).Beside(published(m.Entropy)), table.Num(share, 2).Beside(published(m.EntityDensity)),
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

func yes(b bool) table.Cell {
	if b {
		return table.Word("yes")
	}
	return table.Word("no")
}

func (w workloadTables) tableV(p *difficulty.Tables) table.Table {
	t := table.Table{ID: "V", Title: "features against length and quality (Pearson's r)", Columns: []string{"feature", "r with length", "independent"}}
	answered := len(w.Tables.Quality) > 0
	if answered {
		t.Columns = append(t.Columns, "r with quality", "length held fixed", "selected")
		t.Simulated = w.Simulated
	}
	for _, r := range w.Tables.Features {
		s, ok := row(p.Features, func(x difficulty.FeatureReport) bool { return x.Feature.Name == r.Feature.Name })
		cells := []table.Cell{
			table.Word(r.Feature.Name), signed(r.WithLength, 2).Beside(publishedOf(s, ok, func(r difficulty.FeatureReport) float64 { return r.WithLength })), yes(r.Independent),
		}
		if math.IsNaN(r.WithLength) {
			cells[2] = table.Word("") // a feature, or a length, that does not vary
		}
		if answered {
			why := yes(r.Selected)
			if r.Redundant != "" {
				why = table.Word("no: as " + r.Redundant)
			}
			cells = append(cells, signed(r.WithQuality, 3).Beside(publishedOf(s, ok, func(r difficulty.FeatureReport) float64 { return r.WithQuality })), signed(r.Partial, 3), why)
		}
		t.Rows = append(t.Rows, cells)
	}
	if answered {
		t.Rows = append(t.Rows, []table.Cell{table.Word("Length"), table.Word(""), table.Word(""), signed(w.Tables.LengthToQ, 3).Beside(p.LengthToQ), table.Word(""), table.Word("")})
		t.Notes = append(t.Notes, fmt.Sprintf("Selected: |r| with quality above %.2f, and below %.1f with a feature selected before. Quality is min-max-normalised in each dataset and averaged over the models.",
			difficulty.MinQualityCorrelation, difficulty.MaxPairCorrelation))
	}
	return t
}

func signed(v float64, decimals int) table.Cell {
	c := table.Num(v, decimals)
	c.Sign = true
	return c
}

// classes is the split by the rule.
func (w workloadTables) classes() table.Table {
	t := table.Table{
		Title:   "classes by the rule",
		Columns: []string{"dataset", "queries", "easy", "hard", "easy %"},
		Notes:   []string{fmt.Sprintf("Easy: entity density below %.2f and causal score below %.2f.", features.StudyRule.EntityDensity, features.StudyRule.CausalScore)},
	}
	var all difficulty.Split
	add := func(name string, s difficulty.Split) {
		t.Rows = append(t.Rows, []table.Cell{table.Word(name), table.Num(float64(s.Easy+s.Hard), 0), table.Num(float64(s.Easy), 0), table.Num(float64(s.Hard), 0), table.Num(100*s.EasyShare(), 1)})
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
		last[4] = last[4].Beside(100 * float64(p.RuleEasy) / float64(p.RuleEasy+p.RuleHard))
	}
	return t
}

func (w workloadTables) tableVI(p *difficulty.Tables) table.Table {
	t := table.Table{
		ID: "VI", Title: "telling easy from hard", Columns: []string{"feature set", "accuracy %"},
		Notes: []string{fmt.Sprintf("Logistic regression (L2, C = %g, standardised), %d-fold stratified cross-validation. Easy: quality above the median.", difficulty.DefaultC, difficulty.Folds)},
	}
	for _, r := range w.Tables.Ablation {
		s, ok := row(p.Ablation, func(x difficulty.AblationRow) bool { return x.FeatureSet == r.FeatureSet })
		t.Rows = append(t.Rows, []table.Cell{table.Word(r.FeatureSet), percent(r.Accuracy, publishedOf(s, ok, func(r difficulty.AblationRow) float64 { return r.Accuracy }))})
	}
	return t
}

// modelColumn is the study's column for a model of ours; false without one.
func modelColumn(p *difficulty.Tables, model string) (int, bool) {
	i := slices.IndexFunc(p.Models, func(m difficulty.Model) bool { return m.Name == study.ModelName(model) })
	return i, i >= 0
}

func (w workloadTables) modelNames() []string {
	var names []string
	for _, m := range w.Data.Models {
		names = append(names, m.Name)
	}
	return names
}

// byModel lays values, one a model, beside the study's.
func (w workloadTables) byModel(p *difficulty.Tables, ours, theirs []float64, decimals int, sign bool) []table.Cell {
	var cells []table.Cell
	for k, m := range w.Data.Models {
		c := table.Num(ours[k], decimals)
		c.Sign = sign
		if i, ok := modelColumn(p, m.Name); ok && i < len(theirs) {
			c = c.Beside(theirs[i])
		}
		cells = append(cells, c)
	}
	return cells
}

func (w workloadTables) tableVII(p *difficulty.Tables) table.Table {
	t := table.Table{ID: "VII", Title: "quality by model and dataset", Columns: slices.Concat([]string{"dataset", "metric"}, w.modelNames(), []string{"average"})}
	sums := make([]float64, len(w.Data.Models)+1)
	for _, r := range w.Tables.Quality {
		s, ok := row(p.Quality, func(x difficulty.QualityRow) bool { return x.Dataset == string(w.styleOf(r.Dataset)) })
		cells := append([]table.Cell{table.Word(r.Dataset), table.Word(r.Metric)}, w.byModel(p, r.ByModel, s.ByModel, 3, false)...)
		t.Rows = append(t.Rows, append(cells, table.Num(r.Mean, 3).Beside(publishedOf(s, ok, func(r difficulty.QualityRow) float64 { return r.Mean }))))
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
		cells := append([]table.Cell{table.Word("average"), table.Word("all")}, w.byModel(p, sums[:last], published, 3, false)...)
		t.Rows = append(t.Rows, append(cells, table.Num(sums[last], 3).Beside(published[len(p.Models)])))
	}
	return t
}

func (w workloadTables) tableVIII(p *difficulty.Tables) table.Table {
	t := table.Table{ID: "VIII", Title: "features against quality by model (Pearson's r)", Columns: append([]string{"feature"}, w.modelNames()...)}
	for _, r := range w.Tables.Correlation {
		s, _ := row(p.Correlation, func(x difficulty.FeatureQualityRow) bool { return x.Feature == r.Feature })
		t.Rows = append(t.Rows, append([]table.Cell{table.Word(r.Feature)}, w.byModel(p, r.ByModel, s.ByModel, 2, true)...))
	}
	return t
}

func (w workloadTables) tableIX(p *difficulty.Tables) table.Table {
	t := table.Table{
		ID: "IX", Title: "scaling patterns", Columns: []string{"pattern", "queries", "share %", "entity density", "causal score", "entropy bits"},
		Notes: []string{fmt.Sprintf("Success is a normalised quality of at least %g; small models are those under 5 billion parameters.", difficulty.SuccessQuality)},
	}
	for _, r := range w.Tables.Scaling {
		s, ok := row(p.Scaling, func(x difficulty.PatternRow) bool { return x.Pattern == r.Pattern })
		of := func(f func(difficulty.PatternRow) float64) float64 { return publishedOf(s, ok, f) }
		t.Rows = append(t.Rows, []table.Cell{
			table.Word(string(r.Pattern)), table.Num(float64(r.Queries), 0), percent(r.Share, of(func(r difficulty.PatternRow) float64 { return r.Share })),
			table.Num(r.EntityDensity, 2).Beside(of(func(r difficulty.PatternRow) float64 { return r.EntityDensity })),
			table.Num(r.CausalScore, 2).Beside(of(func(r difficulty.PatternRow) float64 { return r.CausalScore })),
			table.Num(r.Entropy, 2).Beside(of(func(r difficulty.PatternRow) float64 { return r.Entropy })),
		})
	}
	return t
}

func (w workloadTables) tableX(p *difficulty.Tables) table.Table {
	t := table.Table{
		ID: "X", Title: "quality on queries that the rule calls easy and hard", Columns: []string{"model", "easy", "hard", "gap"},
		Notes: []string{fmt.Sprintf("%d easy and %d hard queries (study: %d and %d). Qualities as scored, accuracy and ROUGE-L together.", w.Tables.RuleEasy, w.Tables.RuleHard, p.RuleEasy, p.RuleHard)},
	}
	for _, r := range w.Tables.Rule {
		s, ok := row(p.Rule, func(x difficulty.GapRow) bool { return strings.EqualFold(x.Model, r.Model) })
		of := func(f func(difficulty.GapRow) float64) float64 { return publishedOf(s, ok, f) }
		gap := signed(r.Gap, 3).Beside(of(func(r difficulty.GapRow) float64 { return r.Gap }))
		t.Rows = append(t.Rows, []table.Cell{
			table.Word(r.Model), table.Num(r.Easy, 3).Beside(of(func(r difficulty.GapRow) float64 { return r.Easy })),
			table.Num(r.Hard, 3).Beside(of(func(r difficulty.GapRow) float64 { return r.Hard })), gap,
		})
	}
	return t
}

func (w workloadTables) tableXV(p *difficulty.Tables) table.Table {
	t := table.Table{ID: "XV", Title: "routing by scaling pattern", Columns: []string{"pattern", "share %", "tier", "model", "rationale"}}
	for _, r := range w.Tables.Routing {
		s, ok := row(p.Routing, func(x difficulty.RouteRow) bool { return x.Pattern == r.Pattern })
		tier, _ := difficulty.Route(r.Pattern)
		m, _ := tier.Pick(w.Data.Models)
		t.Rows = append(t.Rows, []table.Cell{
			table.Word(string(r.Pattern)), percent(r.Share, publishedOf(s, ok, func(r difficulty.RouteRow) float64 { return r.Share })), table.Word(r.Tier), table.Word(m.Name), table.Word(r.Rationale),
		})
	}
	return t
}

var categoryColumns = []string{"category", "share %", "model", "clock", "J/query", "baseline J", "saving %", "latency s", "quality", "largest's quality"}

func categoryCells(r difficulty.CategoryRow, s difficulty.CategoryRow, ok bool) []table.Cell {
	return []table.Cell{
		table.Word(r.Category), percent(r.Share, publishedOf(s, ok, func(r difficulty.CategoryRow) float64 { return r.Share })), table.Word(r.Model), table.Word(answers.ClockName(r.Clock)),
		table.Num(r.EnergyJ, 2), table.Num(r.BaselineJ, 2), percent(r.Saving, publishedOf(s, ok, func(r difficulty.CategoryRow) float64 { return r.Saving })),
		table.Num(r.LatencyS, 3), table.Num(r.Quality, 3), table.Num(r.BaselineQuality, 3),
	}
}

func tableXVII(c *answers.StrategyComparison, p *difficulty.Tables) table.Table {
	t := table.Table{ID: "XVII", Title: "routing by scaling pattern and frequency scaling combined", Columns: categoryColumns, Notes: []string{
		"Measured " + c.Where() + "; the baseline is " + c.Largest + ".",
		"A bound: the pattern is known only once every model has answered.",
	}}
	for _, r := range c.ByPattern {
		s, ok := row(p.Categories, func(x difficulty.CategoryRow) bool { return x.Category == r.Category })
		t.Rows = append(t.Rows, categoryCells(r, s, ok))
	}
	return t
}

func byClass(c *answers.StrategyComparison) table.Table {
	t := table.Table{Title: "routing by the rule's class and frequency scaling combined", Columns: slices.Clone(categoryColumns)}
	t.Columns[0] = "class"
	for _, r := range c.ByClass {
		t.Rows = append(t.Rows, categoryCells(r, difficulty.CategoryRow{}, false))
	}
	t.Notes = []string{"Measured " + c.Where() + "; the baseline is " + c.Largest + "."}
	return t
}

func tableXVIII(c *answers.StrategyComparison, p *difficulty.Tables) table.Table {
	t := table.Table{
		ID: "XVIII", Title: "energy and quality of the strategies",
		Columns: []string{"strategy", "clock", "J/query", "saving %", "latency s", "EDP J·s", "quality", "accuracy", "on the Pareto front"},
		Notes: []string{
			"Measured " + c.Where() + ". Quality is the mean over all queries, accuracy that over the classification queries, which the study gives.",
			"The study's joules are far below what 100 tokens of a 32B model can cost on its card; the savings compare.",
		},
	}
	add := func(name string, o answers.StrategyOutcome, study difficulty.Strategy) {
		s, ok := row(p.Strategies, func(x difficulty.StrategyRow) bool { return x.Strategy == study })
		of := func(f func(difficulty.StrategyRow) float64) float64 { return publishedOf(s, ok, f) }
		t.Rows = append(t.Rows, []table.Cell{
			table.Word(name), table.Word(answers.ClockName(o.Clock)), table.Num(o.EnergyJ, 2).Beside(of(func(r difficulty.StrategyRow) float64 { return r.EnergyJ })),
			percent(o.Saving, of(func(r difficulty.StrategyRow) float64 { return r.Saving })), table.Num(o.LatencyS, 3), table.Num(o.EDPJs, 1),
			table.Num(o.Quality, 3), table.Num(o.Accuracy, 3).Beside(of(func(r difficulty.StrategyRow) float64 { return r.Quality })), yes(o.Pareto),
		})
	}
	add("Baseline: all to "+c.Largest, c.Baseline, difficulty.Baseline)
	add("DVFS only", c.DVFS, difficulty.DVFSOnly)
	for _, r := range c.Routed {
		only, combined := difficulty.Strategy(""), difficulty.Strategy("")
		if r.Routing == answers.RouteAllSmall {
			only, combined = difficulty.RoutingOnly, difficulty.Combined
		}
		add("Routing only: "+r.Name(c), r.Only, only)
		add("Combined: "+r.Name(c), r.Combined, combined)
	}
	return t
}
