package simllm

import (
	"math"

	"jouletop/gpu/simgpu/draw"
	"jouletop/workloads"
)

// How good an answer is, is drawn per query from a Gaussian copula:
//
//   - each query has an ease, a standard normal value that falls with its
//     entity density and causal score;
//   - each model sees it with some noise of its own, most of which the small
//     models (1B, 3B) and the large ones share among themselves;
//   - the ease's quantile is turned into a quality whose mean, by style and
//     size, is the study's Table VII: right or wrong for classification, a
//     ROUGE-L for generation.
//
// Everything is keyed by seed, dataset and query id, so neither order nor
// company matter. The weights below were chosen so that over queries like the
// study's the correlations come near Table VIII and the scaling patterns near
// Table IX.
const (
	entityWeight  = 0.16 // correlation of ease with entity density in a dataset
	causalWeight  = 0.10 // and with the causal score
	groupNoise    = 0.25 // variance of the noise shared by models of like size
	modelNoise    = 0.04 // variance of a model's own noise
	generationTop = 0.85 // best ROUGE-L in TruthfulQA style, whose answers are long
)

// meanQuality is Table VII of the study (arXiv 2501.08219) by style and size.
// The last column, models far smaller than the study's, is assumed.
var meanQuality = map[workloads.Style][sizes + 1]float64{
	workloads.BoolQ:       {0.685, 0.785, 0.855, 0.785, 0.815, 0.55},
	workloads.HellaSwag:   {0.640, 0.755, 0.805, 0.830, 0.860, 0.35},
	workloads.TruthfulQA:  {0.208, 0.211, 0.207, 0.243, 0.252, 0.15},
	workloads.NarrativeQA: {0.161, 0.306, 0.368, 0.474, 0.455, 0.08},
}

// typical are the mean entity density (Table III) and causal score of a style:
// the score's mean is taken as the share of causal questions there.
var typical = map[workloads.Style]traits{
	workloads.BoolQ:       {0.20, 0.024},
	workloads.HellaSwag:   {0.12, 0.044},
	workloads.TruthfulQA:  {0.34, 0.102},
	workloads.NarrativeQA: {0.18, 0.336},
}

// Spread of the two features within a dataset, to put them on one scale.
const entitySpread, causalSpread = 0.12, 0.25

// traits are a query's features.
type traits struct{ entityDensity, causal float64 }

type queryKey struct{ dataset, id string }

type quality struct {
	seed     uint64
	features Features
	cache    map[queryKey]traits
}

// key is what everything drawn for a query starts from.
func (m *quality) key(q workloads.Query) uint64 {
	return draw.Mix(m.seed, draw.Mix(draw.String(q.Dataset), draw.String(q.ID)))
}

// style is the style whose statistics a query has: of one's own prompts,
// those of questions with options are taken as BoolQ, others as NarrativeQA.
func style(q workloads.Query) workloads.Style {
	if _, ok := meanQuality[q.Style]; ok {
		return q.Style
	}
	if q.Classification() {
		return workloads.BoolQ
	}
	return workloads.NarrativeQA
}

// traits returns a query's features, or such as its style's could be.
func (m *quality) traits(q workloads.Query) traits {
	k := queryKey{q.Dataset, q.ID}
	if t, ok := m.cache[k]; ok {
		return t
	}
	t, ok := traits{}, false
	if m.features != nil {
		t.entityDensity, t.causal, ok = m.features(q)
	}
	if !ok {
		h := m.key(q)
		t = typical[style(q)]
		t.entityDensity = max(0, t.entityDensity+entitySpread*draw.Normal(draw.Mix(h, 11)))
		if draw.Uniform(draw.Mix(h, 12)) < t.causal {
			t.causal = 1
		} else {
			t.causal = 0
		}
	}
	m.cache[k] = t
	return t
}

// known tells whether a query has an answer to be judged by.
func known(q workloads.Query) bool {
	if q.Classification() {
		return q.Answer >= 0 && q.Answer < len(q.Options)
	}
	return len(q.Answers) > 0
}

// of returns how good the model's answer is, 0 to 1; NaN where the query has no
// known answer.
func (m *quality) of(q workloads.Query, s *Shape) float64 {
	if !known(q) {
		return math.NaN()
	}
	st := style(q)
	mean := meanQuality[st][s.size]
	u := m.quantile(q, s)
	if q.Classification() {
		if u >= 1-mean {
			return 1
		}
		return 0
	}
	top := 1.0
	if st == workloads.TruthfulQA {
		top = generationTop
	}
	// top·u^k has the mean top/(k+1).
	return top * math.Pow(u, top/mean-1)
}

// quantile is how easy the query is for the model among those of its dataset,
// 0 to 1, uniform over them.
func (m *quality) quantile(q workloads.Query, s *Shape) float64 {
	h := m.key(q)
	t, usual := m.traits(q), typical[style(q)]
	x := clamp((t.entityDensity-usual.entityDensity)/entitySpread, 2.5)
	y := clamp((t.causal-usual.causal)/causalSpread, 2.5)
	rest := math.Sqrt(1 - entityWeight*entityWeight - causalWeight*causalWeight)
	ease := -entityWeight*x - causalWeight*y + rest*draw.Normal(draw.Mix(h, 21))

	group := uint64(0)
	if s.size == size8B || s.size == size14B || s.size == size32B {
		group = 1
	}
	z := math.Sqrt(1-groupNoise-modelNoise)*ease +
		math.Sqrt(groupNoise)*draw.Normal(draw.Mix(h, 31+group)) +
		math.Sqrt(modelNoise)*draw.Normal(draw.Mix(h, 41+uint64(s.size)))
	return 0.5 * math.Erfc(-z/math.Sqrt2)
}

func clamp(x, limit float64) float64 { return max(-limit, min(limit, x)) }

// options returns the option chosen, in keeping with the quality (1: the right
// one), and the options' log-likelihoods, of which the chosen one's is the
// highest (per byte, where the query wants that).
func (m *quality) options(q workloads.Query, s *Shape, quality float64) (choice int, logLikelihoods []float64) {
	h := draw.Mix(m.key(q), 51+uint64(s.size))
	n := len(q.Options)
	choice = int(draw.Uniform(h) * float64(n))
	switch {
	case quality == 1:
		choice = q.Answer
	case quality == 0 && choice == q.Answer:
		choice = (choice + 1 + int(draw.Uniform(draw.Mix(h, 1))*float64(n-1))) % n
	}
	logLikelihoods = make([]float64, n)
	const perByte = -0.35 // about -1.5 a token
	for i, o := range q.Options {
		bytes := float64(max(1, len(o)))
		// The chosen option is a margin above the others, which all lie below
		// perByte·bytes (or, where lengths are not made up for, below a common
		// level).
		worse := 0.02 + 0.2*draw.Uniform(draw.Mix(h, 100+uint64(i)))
		if i == choice {
			worse = 0
		}
		if q.LengthNormalised {
			logLikelihoods[i] = (perByte - worse) * bytes
		} else {
			logLikelihoods[i] = perByte*shortest(q.Options) - 10*worse
		}
	}
	return choice, logLikelihoods
}

func shortest(options []string) float64 {
	n := len(options[0])
	for _, o := range options {
		n = min(n, len(o))
	}
	return float64(max(1, n))
}
