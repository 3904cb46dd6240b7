package datasets

import (
	"strings"
	"testing"

	"jouletop/gpu/sharedtest"
	"jouletop/workloads"
)

// The built-in queries of each style: how many, how long in words (the mean of
// the feature text), how the right answers are spread.
func TestBuiltins(t *testing.T) {
	words := map[workloads.Style][2]float64{
		workloads.BoolQ:       {80, 130},
		workloads.HellaSwag:   {80, 200},
		workloads.TruthfulQA:  {6, 16},
		workloads.NarrativeQA: {150, 350},
	}
	for _, style := range workloads.Styles {
		t.Run(string(style), func(t *testing.T) {
			queries, report, err := Load(Spec{Name: string(style)}, 0, false)
			if err != nil {
				t.Fatal(err)
			}
			checkQueries(t, queries)
			if len(queries) < 50 || report.Style != style || report.Path != "builtin:"+string(style) || len(report.SHA256) != 64 {
				t.Fatalf("%d queries, report %+v", len(queries), report)
			}
			total, right := 0, map[int]int{}
			questions := map[string]bool{}
			for _, q := range queries {
				total += len(strings.Fields(q.Text))
				right[q.Answer]++
				if questions[q.Question] {
					t.Errorf("%q is asked twice", q.Question)
				}
				questions[q.Question] = true
				if strings.ContainsAny(q.Text, "[]") {
					t.Errorf("marks are left in %q", q.Text)
				}
			}
			mean := float64(total) / float64(len(queries))
			if want := words[style]; mean < want[0] || mean > want[1] {
				t.Errorf("mean of %.0f words, want %v", mean, want)
			}
			if options := len(queries[0].Options); options > 0 {
				for i := range options {
					if share := float64(right[i]) / float64(len(queries)) * float64(options); share < 0.75 || share > 1.25 {
						t.Errorf("option %d is right in %d of %d", i, right[i], len(queries))
					}
				}
			}
		})
	}
}

// Nothing of the published rows may be in the built-in queries: no ten words in
// a row are shared with the real samples.
func TestBuiltinsAreOurOwn(t *testing.T) {
	const run = 10
	seen := map[string]string{}
	for _, name := range []string{"boolq.jsonl", "hellaswag.jsonl", "truthfulqa.csv",
		"narrativeqa/narrativeqa.jsonl", "narrativeqa/qaps.csv"} {
		queries, _, err := Load(Spec{Path: sharedtest.Path(t, name)}, 0, false)
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range queries {
			eachRun(q.Text, run, func(s string) { seen[s] = q.Dataset + " " + q.ID })
		}
	}
	for _, style := range workloads.Styles {
		queries, _, err := Load(Spec{Name: string(style)}, 0, false)
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range queries {
			eachRun(q.Text, run, func(s string) {
				if where, ok := seen[s]; ok {
					t.Errorf("built-in %s %s shares %q with %s", style, q.ID, s, where)
				}
			})
		}
	}
}

func eachRun(text string, n int, f func(string)) {
	words := workloads.RougeTokens(text, false)
	for i := 0; i+n <= len(words); i++ {
		f(strings.Join(words[i:i+n], " "))
	}
}
