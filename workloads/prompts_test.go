package workloads

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "renew the golden files")

func TestPromptsGolden(t *testing.T) {
	endings := []string{"[title] Dry it.  [step] Use a cloth.", "sings.", "[substeps] Sleep a while.", "is Élodie's"}
	wikihow := AskHellaSwag("Home and Garden",
		"[header] How to wash a cup [title] Fill the sink. [step] Use warm water.", "", endings, 0)
	plain := AskHellaSwag("Rowing", "Two men sit in a boat. ", "the older One", []string{"rows.", "flies.", "melts.", "reads."}, 0)
	plain.LengthNormalised = false
	for name, q := range map[string]Query{
		"boolq":               AskBoolQ(" is the mill old ", "The mill was built in 1712.\n", true),
		"boolq-with-mark":     AskBoolQ("is the mill new??", "The mill was built in 1712.", false),
		"hellaswag":           plain,
		"hellaswag-wikihow":   wikihow,
		"hellaswag-no-label":  AskHellaSwag("", "Two men sit in a boat.", "", []string{"a", "b", "c", "d"}, 3),
		"truthfulqa":          AskTruthfulQA(" Is the mill new? ", []string{"No", "It is old"}),
		"narrativeqa":         AskNarrativeQA(" Who owns the mill? ", " The miller dies.\nHis son inherits the mill. ", []string{"The son"}),
		"custom":              AskCustom("Complete: one, two, ", nil),
		"custom-choice":       AskCustomChoice("Two and two are", []string{"four", " five", "\nsix"}, 0),
		"custom-choice-space": AskCustomChoice("Two and two are ", []string{"four", "five"}, 0),
	} {
		t.Run(name, func(t *testing.T) {
			got, err := json.MarshalIndent(q, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("testdata", "prompts", name+".json")
			if *update {
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, append(got, '\n'), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)+"\n"); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}
