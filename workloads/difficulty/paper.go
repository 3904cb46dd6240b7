package difficulty

import (
	"math"

	"jouletop/workloads"
	"jouletop/workloads/study"
)

// PaperSource names where the numbers of [Paper] come from.
const PaperSource = "Maliakel, Ilager, Brandic: Characterizing LLM Inference Energy-Performance Tradeoffs " +
	"across Workloads and GPU Scaling, Tables II to X, XV, XVII and XVIII (NVIDIA RTX PRO 6000)"

// PaperRuleQueries are the queries on which the study validated its rule.
const PaperRuleQueries = 800

// Paper are the study's published numbers, in the structs of ours. What it
// doesn't give is NaN or empty. They don't all agree with each other: the
// per-model correlations of Table VIII with token entropy are as large as
// those with entity density, yet the text excludes it for its tie to length;
// and the joules of Table XVIII are too few for 100 tokens of a 32B model on
// that card, so they can't be per generated answer.
func Paper() *Tables {
	unknown := math.NaN()
	var models []Model
	for i, name := range study.Models {
		models = append(models, Model{name, []float64{1, 3, 8, 14, 32}[i]})
	}
	lengths := func(style workloads.Style) LengthRow {
		of := func(column string) float64 { return study.Published("02", column, "dataset", string(style)) }
		return LengthRow{string(style), int(of("queries")), of("mean_tokens"), of("std_tokens"), of("min_tokens"), of("max_tokens")}
	}
	means := func(style workloads.Style) MeansRow {
		of := func(column string) float64 { return study.Published("03", column, "dataset", string(style)) }
		return MeansRow{string(style), of("complexity"), of("reasoning"), of("entity_density"), of("token_entropy"), of("causal_share"), QueryTypes[style]}
	}
	quality := func(style workloads.Style, mean float64) QualityRow {
		return QualityRow{string(style), study.PublishedText("07", "metric", "dataset", string(style)), study.Quality(string(style)), mean}
	}
	report := func(f Feature, withLength, withQuality float64, independent, selected bool, byModel ...float64) FeatureReport {
		return FeatureReport{
			Feature: f, WithLength: withLength, WithQuality: withQuality, Partial: unknown,
			ByModel: byModel, Independent: independent, Selected: selected,
		}
	}
	entity := []float64{-0.20, -0.29, -0.32, -0.31, -0.32}
	causal := []float64{-0.16, -0.17, -0.18, -0.13, -0.18}
	entropy := []float64{0.11, 0.22, 0.29, 0.33, 0.31}
	return &Tables{
		Models: models,
		Lengths: []LengthRow{
			lengths(workloads.TruthfulQA), lengths(workloads.BoolQ), lengths(workloads.HellaSwag), lengths(workloads.NarrativeQA),
		},
		Means: []MeansRow{
			means(workloads.BoolQ), means(workloads.HellaSwag), means(workloads.TruthfulQA), means(workloads.NarrativeQA),
		},
		// The correlations with quality are those of the text (V-E.2, V-F).
		Features: []FeatureReport{
			report(EntityDensity, -0.44, -0.29, true, true, entity...),
			report(CausalScore, 0.31, unknown, true, true, causal...),
			report(ReasoningComplexity, 0.19, -0.03, true, false),
			report(TokenEntropy, 0.88, unknown, false, false, entropy...),
			report(ComplexityScore, 0.16, -0.05, true, false),
		},
		LengthToQ: 0.002,
		Ablation: []AblationRow{
			{"Length only (>150 tokens)", 0.511},
			{"+ Entity density", 0.666},
			{"+ Causal question score", 0.684},
			{"Features only (no length)", 0.686},
		},
		Quality: []QualityRow{
			quality(workloads.BoolQ, 0.785), quality(workloads.HellaSwag, 0.778), quality(workloads.TruthfulQA, 0.224), quality(workloads.NarrativeQA, 0.353),
		},
		Correlation: []FeatureQualityRow{
			{EntityDensity.Name, entity}, {CausalScore.Name, causal}, {TokenEntropy.Name, entropy},
		},
		Scaling: []PatternRow{
			{AlwaysEasy, -1, 0.445, 0.17, 0.05, 6.13},
			{ScalingHelps, -1, 0.155, 0.18, 0.13, 6.32},
			{AlwaysHard, -1, 0.326, 0.27, 0.22, 4.94},
			{Inconsistent, -1, 0.074, unknown, unknown, unknown},
		},
		Rule: []GapRow{
			{"Llama-3.2-1B", 0.516, 0.328, 0.188},
			{"Llama-3.2-3B", 0.637, 0.388, 0.250},
			{"Llama-3.1-8B", 0.695, 0.419, 0.276},
			{"Qwen2.5-14B", 0.713, 0.450, 0.263},
			{"Qwen2.5-32B", 0.745, 0.441, 0.304},
			{"Average", 0.661, 0.405, 0.256},
		},
		RuleEasy: 406, RuleHard: 394,
		Routing: []RouteRow{
			{AlwaysEasy, 0.445, "1-3B", "Similar quality across sizes"},
			{ScalingHelps, 0.155, "8B+", "Quality improves with scale"},
			{AlwaysHard, 0.326, "1-3B", "Limited benefit from scaling"},
			{Inconsistent, 0.074, "8B", "Architecture-dependent"},
		},
		Categories: []CategoryRow{
			paperCategory(string(AlwaysEasy), 0.445, "3B", 0.88),
			paperCategory(string(ScalingHelps), 0.155, "14B", 0.77),
			paperCategory(string(AlwaysHard), 0.326, "3B", 0.88),
			paperCategory(string(Inconsistent), 0.074, "8B", 0.83),
			paperCategory("Weighted Average", 1, "", 0.87),
		},
		// Latency is not published for the strategies. "Routing" sends every
		// query to the 3B model here.
		Strategies: []StrategyRow{
			paperStrategy(Baseline, "32B", "2842", 20.97, 0.838, 0, false),
			paperStrategy(DVFSOnly, "32B", "180", 11.74, 0.838, 0.44, true),
			paperStrategy(RoutingOnly, "3B", "2842", 4.19, 0.770, 0.80, false),
			paperStrategy(Combined, "3B", "180", 2.52, 0.770, 0.88, true),
		},
	}
}

func paperCategory(name string, share float64, model string, saving float64) CategoryRow {
	unknown := math.NaN()
	return CategoryRow{
		Category: name, Share: share, Model: model, Clock: "180", Saving: saving,
		EnergyJ: unknown, BaselineJ: unknown, LatencyS: unknown, Quality: unknown, BaselineQuality: unknown,
	}
}

func paperStrategy(s Strategy, model, clock string, energy, quality, saving float64, pareto bool) StrategyRow {
	return StrategyRow{
		Strategy: s, Model: model, Clock: clock, Queries: -1, EnergyJ: energy, Quality: quality, Saving: saving,
		LatencyS: math.NaN(), EDPJs: math.NaN(), Pareto: pareto,
	}
}

// Explanation says why our numbers differ from the study's in a table.
type Explanation struct{ Table, Text string }

// Explanations go with the study's numbers wherever they stand beside ours.
var Explanations = []Explanation{
	{"II", "The study's lengths are words of the whole prompt: on the complete TruthfulQA they come to 12.6 ± 5.7, 5 to 52, with \"Q:\" and \"A:\" counted. Ours count the query alone."},
	{"II", "NarrativeQA's summaries average 580 words; cut at 2,000 characters they come to the study's length. A HellaSwag selection that is mostly ActivityNet is shorter than the whole set, most of which is WikiHow."},
	{"III", "The study names spaCy's entities, but its figures are those of the share of capitalised words in the prompt: 0.342 on TruthfulQA (published 0.34) and 0.19 on BoolQ (0.20), with \"Q:\", \"A:\" and every sentence's first word; 0.34 would be four named entities in a question of 12.6 words. Ours is the share of content words that belong to named entities, which most TruthfulQA questions lack."},
	{"III", "The study's entropy is that of the prompt's words, ours that of the query's words and punctuation marks: within 0.15 bits on TruthfulQA and BoolQ."},
	{"III", "Reasoning and complexity scores leave their word list, scale and weights open in the study; ours stand in the documentation of the features."},
	{"IV", "Causal words are counted in the whole text, as the study's shares require: in the question alone BoolQ would have none and NarrativeQA 12 %. \"Show how to\" makes the ActivityNet part of HellaSwag look more causal than the whole set."},
	{"V", "Entity density falls with length in the study because its shortest prompts, TruthfulQA's, are a third capitals by their scaffolding and first word; without these it rises with length. The mix of datasets counts as well: the samples are 500, 500, 817 and 50 queries, the study's 1,000, 1,000, 817 and 1,000."},
	{"XVII", "The study's weighted average of 87 % is not that of the shares and savings it prints, which is 85.8 %."},
	{"XVIII", "\"Routing only\" and \"Combined\" send every query to the 3B model in the study; ours send each query where its class or pattern asks for."},
}
