package datasets

import (
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"jouletop/gpu/sharedtest"
	"jouletop/workloads"
)

// Real rows, where they are at hand: exact counts, each field where it belongs.
func TestRealSamples(t *testing.T) {
	for _, tc := range []struct {
		name   string
		rows   int
		style  workloads.Style
		format string
		// The first row's parts, as the file's README describes it.
		promptEnd string
		options   int
	}{
		{"boolq.jsonl", 500, workloads.BoolQ, FormatJSONL, "\nAnswer:", 2},
		{"hellaswag.jsonl", 500, workloads.HellaSwag, FormatJSONL, "", 4},
		{"truthfulqa.csv", 817, workloads.TruthfulQA, FormatCSV, "\nA:", 0},
		{"narrativeqa/qaps.csv", 3, workloads.NarrativeQA, FormatPair, "\nAnswer:", 0},
		{"narrativeqa/summaries.csv", 3, workloads.NarrativeQA, FormatPair, "\nAnswer:", 0},
		{"narrativeqa/narrativeqa.jsonl", 50, workloads.NarrativeQA, FormatJSONL, "\nAnswer:", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			queries, report, err := Load(Spec{Path: sharedtest.Path(t, tc.name)}, 0, false)
			if err != nil {
				t.Fatal(err)
			}
			checkQueries(t, queries)
			if len(queries) != tc.rows || report.Used != tc.rows || report.Skipped != 0 {
				t.Errorf("%d queries, report %+v; want %d", len(queries), report, tc.rows)
			}
			if report.Style != tc.style || report.Format != tc.format || report.Dataset != string(tc.style) {
				t.Errorf("report %+v, want %s in %s", report, tc.style, tc.format)
			}
			for _, q := range queries {
				if q.Style != tc.style || len(q.Options) != tc.options || !strings.HasSuffix(q.Prompt, tc.promptEnd) {
					t.Fatalf("query %s: %+v", q.ID, q)
				}
				if (tc.options == 0) != (len(q.Answers) > 0) {
					t.Fatalf("query %s has %d reference answers", q.ID, len(q.Answers))
				}
				if strings.ContainsAny(q.Prompt, "\ufeff\r") || tc.style == workloads.HellaSwag && strings.Contains(q.Text, "[step]") {
					t.Fatalf("query %s holds what is not its text: %q", q.ID, q.Prompt)
				}
			}
		})
	}
}

// The same rows read by the simplest means.
func TestRealSamplesFieldByField(t *testing.T) {
	load := func(t *testing.T, name string) []workloads.Query {
		queries, _, err := Load(Spec{Path: sharedtest.Path(t, name)}, 0, false)
		if err != nil {
			t.Fatal(err)
		}
		return queries
	}
	raw := func(t *testing.T, name string) []byte {
		b, err := os.ReadFile(sharedtest.Path(t, name))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	t.Run("boolq", func(t *testing.T) {
		dec := json.NewDecoder(bytes.NewReader(raw(t, "boolq.jsonl")))
		for _, q := range load(t, "boolq.jsonl") {
			var r struct {
				Question, Passage string
				Answer            bool
			}
			if err := dec.Decode(&r); err != nil {
				t.Fatal(err)
			}
			if q.Question != r.Question || !strings.HasPrefix(q.Prompt, r.Passage) || (q.Answer == 1) != r.Answer {
				t.Fatalf("%+v from %+v", q, r)
			}
		}
	})
	t.Run("hellaswag", func(t *testing.T) {
		dec := json.NewDecoder(bytes.NewReader(raw(t, "hellaswag.jsonl")))
		for _, q := range load(t, "hellaswag.jsonl") {
			var r struct {
				Activity string `json:"activity_label"`
				Endings  []string
				Label    int
			}
			if err := dec.Decode(&r); err != nil {
				t.Fatal(err)
			}
			if q.Answer != r.Label || !strings.HasPrefix(q.Prompt, r.Activity+": ") {
				t.Fatalf("%+v from %+v", q, r)
			}
			for i, e := range r.Endings {
				if !strings.Contains(e, "[") && q.Options[i] != " "+strings.TrimSpace(strings.ReplaceAll(e, "  ", " ")) {
					t.Fatalf("option %q from %q", q.Options[i], e)
				}
			}
		}
	})
	t.Run("truthfulqa", func(t *testing.T) {
		r := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(raw(t, "truthfulqa.csv"), bom)))
		if _, err := r.Read(); err != nil {
			t.Fatal(err)
		}
		for _, q := range load(t, "truthfulqa.csv") {
			row, err := r.Read()
			if err != nil {
				t.Fatal(err)
			}
			if q.Question != strings.TrimSpace(row[2]) || q.Answers[0] != strings.TrimSpace(row[3]) {
				t.Fatalf("%+v from %q", q, row)
			}
			for a := range strings.SplitSeq(row[4], "; ") {
				a = strings.Trim(a, "; ")
				found := a == ""
				for _, have := range q.Answers {
					found = found || have == a
				}
				if !found {
					t.Fatalf("answer %q is not among %q", a, q.Answers)
				}
			}
		}
		if _, err := r.Read(); err != io.EOF {
			t.Errorf("rows left: %v", err)
		}
	})
	t.Run("hash", func(t *testing.T) {
		_, report, err := Load(Spec{Path: sharedtest.Path(t, "boolq.jsonl")}, 1, false)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(raw(t, "boolq.jsonl"))
		if report.SHA256 != hex.EncodeToString(sum[:]) {
			t.Errorf("hash %s of a file read in part", report.SHA256)
		}
	})
}

// The newest TruthfulQA revision has one column more.
func TestTruthfulQARevisionOf790(t *testing.T) {
	in, err := os.Open(sharedtest.Path(t, "truthfulqa.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	rows, err := csv.NewReader(in).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "TruthfulQA.csv")
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w := csv.NewWriter(out)
	for i, row := range rows[:791] {
		extra := "Best Incorrect Answer"
		if i > 0 {
			extra = "wrong"
		}
		if err := w.Write(append(append(append([]string{}, row[:4]...), extra), row[4:]...)); err != nil {
			t.Fatal(err)
		}
	}
	if w.Flush(); w.Error() != nil || out.Close() != nil {
		t.Fatal(w.Error())
	}
	queries, _, err := Load(Spec{Path: path}, 0, false)
	if err != nil || len(queries) != 790 {
		t.Fatalf("%d queries, %v", len(queries), err)
	}
	same, _, err := Load(Spec{Path: sharedtest.Path(t, "truthfulqa.csv")}, 790, false)
	if err != nil {
		t.Fatal(err)
	}
	for i, q := range queries {
		if q.Prompt != same[i].Prompt || len(q.Answers) != len(same[i].Answers) {
			t.Fatalf("row %d: %+v, want %+v", i+1, q, same[i])
		}
	}
}
