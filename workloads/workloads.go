// Package workloads says what is asked of a model: a [Query], where it comes
// from, how its answer is judged. It knows nothing of GPUs or inference.
// workloads/datasets reads the published benchmarks, workloads/features
// measures queries, workloads/difficulty tells the easy from the hard.
package workloads

// Query is one question of a dataset, worded for a model.
type Query struct {
	Dataset string `json:"dataset"` // name given by the operator: boolq, …
	Style   Style  `json:"style"`
	ID      string `json:"id"` // unique within the dataset
	// Prompt is what the model reads.
	Prompt string `json:"prompt"`
	// Options are the continuations whose log-likelihood decides the answer
	// (classification); empty for generation.
	Options []string `json:"options,omitempty"`
	// Answer is the index of the right option; -1 for generation.
	Answer int `json:"answer"`
	// Answers are the reference answers of generation; empty where unknown.
	Answers []string `json:"answers,omitempty"`
	// Text is the query itself without the prompt's scaffolding: what the
	// features are computed from.
	Text string `json:"text"`
	// Question is the part of Text that asks, for the causal score.
	Question string `json:"question"`
	// LengthNormalised divides each option's log-likelihood by its length in
	// bytes before comparing.
	LengthNormalised bool `json:"length_normalised,omitempty"`
}

// Classification tells whether the query is answered by log-likelihood.
func (q Query) Classification() bool { return len(q.Options) > 0 }

// Style is the kind of task, after the benchmark it comes from.
type Style string

// The styles of the study, and one's own prompts.
const (
	BoolQ       Style = "boolq"
	HellaSwag   Style = "hellaswag"
	TruthfulQA  Style = "truthfulqa"
	NarrativeQA Style = "narrativeqa"
	Custom      Style = "custom"
)

// Styles lists the four styles of the study, in its order.
var Styles = []Style{BoolQ, HellaSwag, TruthfulQA, NarrativeQA}
