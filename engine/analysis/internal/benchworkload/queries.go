package main

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"jouletop/workloads"
	"jouletop/workloads/datasets"
	"jouletop/workloads/features"
)

// study are the study's query counts and lengths in words (Table II).
var study = []struct {
	style               workloads.Style
	count               int
	mean, std, min, max float64
}{
	{workloads.BoolQ, 1000, 102.9, 46.0, 24, 294},
	{workloads.HellaSwag, 1000, 163.8, 56.0, 49, 265},
	{workloads.TruthfulQA, 817, 12.6, 5.7, 5, 52},
	{workloads.NarrativeQA, 1000, 339.1, 34.3, 208, 396},
}

// writer makes texts of sentences from the built-in queries. Half of them are
// rich in entities; each text mixes the halves in a share of its own, so that
// queries differ as real ones do.
type writer struct {
	rng         *rand.Rand
	plain, rich [][]string // sentences, in words
}

func newWriter() (*writer, error) {
	x, err := features.New()
	if err != nil {
		return nil, err
	}
	type sentence struct {
		words   []string
		density float64
	}
	var all []sentence
	for _, s := range workloads.Styles {
		queries, _, err := datasets.Load(datasets.Spec{Name: string(s)}, 0, false)
		if err != nil {
			return nil, err
		}
		for _, q := range queries {
			for _, part := range strings.SplitAfter(q.Text, ". ") {
				if words := strings.Fields(part); len(words) > 3 {
					all = append(all, sentence{words, x.Extract(workloads.Query{Text: part}).EntityDensity})
				}
			}
		}
	}
	slices.SortStableFunc(all, func(a, b sentence) int { return int(math.Copysign(1, a.density-b.density)) })
	w := &writer{rng: rand.New(rand.NewPCG(1, 2))}
	for i, s := range all {
		if i < len(all)/2 {
			w.plain = append(w.plain, s.words)
		} else {
			w.rich = append(w.rich, s.words)
		}
	}
	return w, nil
}

// text has n words.
func (w *writer) text(n int) string {
	share := w.rng.Float64()
	var out []string
	for len(out) < n {
		pool := w.plain
		if w.rng.Float64() < share {
			pool = w.rich
		}
		s := pool[w.rng.IntN(len(pool))]
		out = append(out, s[:min(len(s), n-len(out))]...)
	}
	return strings.Join(out, " ")
}

// length draws a number of words.
func (w *writer) length(mean, std, lo, hi float64) int {
	return int(math.Round(min(hi, max(lo, mean+std*w.rng.NormFloat64()))))
}

// question has n words and is causal with probability p.
func (w *writer) question(n int, p float64) string {
	first := "is it so that"
	if w.rng.Float64() < p {
		first = "why is it that"
	}
	return first + " " + strings.ToLower(strings.TrimRight(w.text(max(n-4, 1)), ".?! ")) + "?"
}

// write puts the study's queries into dir, each dataset in its published fields,
// and returns them as --dataset takes them.
func (w *writer) write(dir string) ([]string, error) {
	var out []string
	for _, s := range study {
		var text strings.Builder
		lines := json.NewEncoder(&text)
		for i := range s.count {
			n := w.length(s.mean, s.std, s.min, s.max)
			if err := lines.Encode(w.row(s.style, i, n)); err != nil {
				return nil, err
			}
		}
		path := filepath.Join(dir, string(s.style)+".jsonl")
		if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
			return nil, err
		}
		out = append(out, string(s.style)+"="+path)
	}
	return out, nil
}

// row is a query of n words; its causal share is the study's (Table IV).
func (w *writer) row(style workloads.Style, i, n int) map[string]any {
	switch style {
	case workloads.BoolQ:
		return map[string]any{"question": w.question(9, 0.024), "passage": w.text(n - 9), "answer": i%2 == 0}
	case workloads.HellaSwag:
		ending := n / 7
		return map[string]any{
			"ind": i, "activity_label": "Daily life", "ctx": w.text(n - 4*ending), "label": i % 4, "split": "val",
			"endings": []string{w.text(ending), w.text(ending), w.text(ending), w.text(ending)},
		}
	case workloads.TruthfulQA:
		return map[string]any{"question": w.question(n, 0.102), "best_answer": w.text(8), "correct_answers": []string{w.text(8), w.text(9)}, "incorrect_answers": []string{w.text(8)}}
	case workloads.NarrativeQA:
		return map[string]any{"question": w.question(9, 0.336), "passage": w.text(n - 9), "answer": []string{w.text(5), w.text(5)}}
	}
	panic(fmt.Sprintf("no rows of style %s", style))
}
