package datasets

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"jouletop/workloads"
)

// One row of each dataset in each of the forms in which it may come; all forms
// of a dataset must give the same query.
var forms = map[workloads.Style]map[string]string{
	workloads.BoolQ: {
		"published":  `{"question": "is the mill old", "title": "Mill", "answer": true, "passage": "The mill was built in 1712."}`,
		"superglue":  `{"question": "is the mill old", "passage": "The mill was built in 1712.", "label": true}`,
		"label 1":    `{"question": "is the mill old", "passage": "The mill was built in 1712.", "label": 1}`,
		"csv":        "question,answer,passage\nis the mill old,True,The mill was built in 1712.\n",
		"bom, crlf":  "\ufeffQuestion,Answer,Passage\r\nis the mill old,true,The mill was built in 1712.\r\n",
		"blank line": "\n\n" + `{"question": "is the mill old", "answer": true, "passage": "The mill was built in 1712."}` + "\n\n",
	},
	workloads.HellaSwag: {
		"activitynet": `{"ind": 24, "activity_label": "Rowing", "ctx_a": "Two men sit in a boat.", "ctx_b": "the older", "ctx": "Two men sit in a boat. the older", "split": "val", "split_type": "indomain", "label": 2, "endings": ["rows.", "flies.", "melts.", "reads."], "source_id": "activitynet~v_a"}`,
		"key order":   `{"source_id": "activitynet~v_a", "endings": ["rows.", "flies.", "melts.", "reads."], "label": 2, "ctx": "Two men sit in a boat. the older", "ctx_b": "the older", "ctx_a": "Two men sit in a boat.", "activity_label": "Rowing", "ind": 24}`,
		"hub":         `{"ind": 24, "activity_label": "Rowing", "ctx_a": "Two men sit in a boat.", "ctx_b": "the older", "ctx": "Two men sit in a boat. the older", "endings": ["rows.", "flies.", "melts.", "reads."], "source_id": "activitynet~v_a", "label": "2"}`,
		"ctx alone":   `{"ind": 24, "activity_label": "Rowing", "ctx_a": "", "ctx_b": "the older", "ctx": "Two men sit in a boat. The older", "endings": ["rows.", "flies.", "melts.", "reads."], "source_id": "activitynet~v_a", "label": 2}`,
	},
	workloads.TruthfulQA: {
		"published":  "\ufeffType,Category,Question,Best Answer,Correct Answers,Incorrect Answers,Source\r\nAdversarial,Mills,Is the mill new?,No,\"No; It is old; It is not, not at all\",Yes,x\r\n",
		"revision":   "Type,Category,Question,Best Answer,Best Incorrect Answer,Correct Answers,Incorrect Answers,Source\nAdversarial,Mills,Is the mill new?,No,Yes,\"No; It is old; It is not, not at all; \",Yes,x",
		"hub":        `{"type": "Adversarial", "category": "Mills", "question": "Is the mill new?", "best_answer": "No", "correct_answers": ["No", "It is old", "It is not, not at all"], "incorrect_answers": ["Yes"], "source": "x"}`,
		"best apart": `{"question": "Is the mill new?", "best_answer": "No", "correct_answers": ["It is old", "It is not, not at all"]}`,
	},
	workloads.NarrativeQA: {
		"lines":     `{"question": "Who owns the mill?", "answer": ["The son.", "His son; the eldest"], "passage": "The miller dies.\nHis son inherits \"the mill\"."}`,
		"summary":   `{"question": "Who owns the mill?", "answers": ["The son.", "", "The son.", "His son; the eldest"], "summary": "The miller dies.\nHis son inherits \"the mill\"."}`,
		"hub":       `{"document": {"id": "d", "summary": {"text": "The miller dies.\nHis son inherits \"the mill\".", "tokens": ["The"]}, "text": "A whole book."}, "question": {"text": "Who owns the mill?", "tokens": ["Who"]}, "answers": [{"text": "The son.", "tokens": []}, {"text": "His son; the eldest", "tokens": []}]}`,
		"one csv":   "question,answer1,answer2,summary\nWho owns the mill?,The son.,His son; the eldest,\"The miller dies.\nHis son inherits \"\"the mill\"\".\"\n",
		"one csv 1": "document_id,summary,question,answer1,answer2\nd,\"The miller dies.\nHis son inherits \"\"the mill\"\".\",Who owns the mill?,The son.,His son; the eldest\n",
	},
}

func TestFormsOfADatasetAgree(t *testing.T) {
	want := map[workloads.Style]workloads.Query{
		workloads.BoolQ:       workloads.AskBoolQ("is the mill old", "The mill was built in 1712.", true),
		workloads.HellaSwag:   workloads.AskHellaSwag("Rowing", "Two men sit in a boat.", "the older", []string{"rows.", "flies.", "melts.", "reads."}, 2),
		workloads.TruthfulQA:  workloads.AskTruthfulQA("Is the mill new?", []string{"No", "It is old", "It is not, not at all"}),
		workloads.NarrativeQA: workloads.AskNarrativeQA("Who owns the mill?", "The miller dies.\nHis son inherits \"the mill\".", []string{"The son.", "His son; the eldest"}),
	}
	for style, contents := range forms {
		for name, content := range contents {
			t.Run(string(style)+"/"+name, func(t *testing.T) {
				queries, bad := mustDrain(t, content)
				if len(queries) != 1 || len(bad) > 0 {
					t.Fatalf("%d queries, %v", len(queries), bad)
				}
				w := want[style]
				w.Dataset, w.ID = string(style), "r1"
				if style == workloads.HellaSwag {
					w.ID = "a24"
				}
				if diff := cmp.Diff(w, queries[0]); diff != "" {
					t.Errorf("(-want +got)\n%s", diff)
				}
			})
		}
	}
}

func TestCustomPrompts(t *testing.T) {
	queries, bad := mustDrain(t, `{"prompt": "Say hello."}
{"prompt": "Name a prime.", "answers": "two", "id": "prime"}
{"prompt": "Name a colour.", "answers": ["red", "blue"], "id": 7}
{"prompt": "Two and two are", "options": ["four", "five"], "answer": 0, "length_normalised": true}
{"prompt": "Two and two are", "options": ["three", "four"], "answer": "four"}
{"prompt": "Say nothing.", "answers": []}
{"prompt": "Say nothing.", "answers": null, "note": "ignored"}
`)
	if len(bad) > 0 {
		t.Fatal(bad)
	}
	want := []workloads.Query{
		workloads.AskCustom("Say hello.", nil),
		workloads.AskCustom("Name a prime.", []string{"two"}),
		workloads.AskCustom("Name a colour.", []string{"red", "blue"}),
		workloads.AskCustomChoice("Two and two are", []string{"four", "five"}, 0),
		workloads.AskCustomChoice("Two and two are", []string{"three", "four"}, 1),
		workloads.AskCustom("Say nothing.", nil),
		workloads.AskCustom("Say nothing.", nil),
	}
	want[3].LengthNormalised = true
	for i, id := range []string{"r1", "prime", "7", "r4", "r5", "r6", "r7"} {
		want[i].Dataset, want[i].ID = "f", id
	}
	if diff := cmp.Diff(want, queries); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

const summariesHalf = "\ufeffdocument_id,set,summary,summary_tokenized\r\n" +
	"d1,train,\" The miller dies.\r\nHis son \"\"Ned\"\" inherits.\",x\r\nd2,test,A ship sinks.,x\r\n"

const questionsHalf = "document_id,set,question,answer1,answer2,question_tokenized\n" +
	"d1,train,Who inherits?,Ned,The son,x\nd2,test,What sinks?,A ship,,x\nd1,train,Who dies?,,The miller,x\n"

func TestPairFromEitherHalf(t *testing.T) {
	story := "The miller dies.\nHis son \"Ned\" inherits."
	want := []workloads.Query{
		workloads.AskNarrativeQA("Who inherits?", story, []string{"Ned", "The son"}),
		workloads.AskNarrativeQA("What sinks?", "A ship sinks.", []string{"A ship"}),
		workloads.AskNarrativeQA("Who dies?", story, []string{"The miller"}),
	}
	for i := range want {
		want[i].Dataset, want[i].ID = "narrativeqa", fmt.Sprintf("r%d", i+1)
	}
	dir := t.TempDir()
	q := write(t, dir, questionsFile, questionsHalf)
	s := write(t, dir, summariesFile, summariesHalf)
	other := write(t, dir, "renamed.csv", questionsHalf)
	for _, given := range []string{q, s, other} {
		queries, report, err := Load(Spec{Path: given}, 0, false)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, queries); diff != "" || report.Format != FormatPair {
			t.Errorf("%s: report %+v (-want +got)\n%s", given, report, diff)
		}
	}
	for name, half := range map[string]string{questionsFile: questionsHalf, summariesFile: summariesHalf} {
		alone := write(t, t.TempDir(), name, half)
		_, err := Open(Spec{Path: alone})
		if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "belong together") {
			t.Errorf("%s alone: %v", name, err)
		}
	}
}

// HellaSwag's ind is not unique over all its parts.
func TestHellaSwagIDs(t *testing.T) {
	const form = `{"ind": %d, "activity_label": "Rowing", "ctx_a": "%s", "ctx_b": "", "ctx": "%[2]s", "label": 0, "endings": ["a", "b", "c", "d"], "source_id": "%s"}` + "\n"
	content := fmt.Sprintf(form, 5, "First.", "activitynet~v_a") + fmt.Sprintf(form, 5, "Second.", "wikihow~1") +
		fmt.Sprintf(form, 5, "Third.", "activitynet~v_a") + fmt.Sprintf(form, 5, "Third.", "activitynet~v_b") +
		fmt.Sprintf(form, 5, "First.", "activitynet~v_a")
	queries, bad := mustDrain(t, content)
	var ids []string
	for _, q := range queries {
		ids = append(ids, q.ID)
	}
	if want := []string{"a5", "w5", "a5.r3", "a5.r4"}; !cmp.Equal(ids, want) {
		t.Errorf("ids %v, want %v", ids, want)
	}
	if len(bad) != 1 || bad[0].Line != 5 {
		t.Errorf("the same row twice: %v", bad)
	}
}

func TestLoadRepeats(t *testing.T) {
	path := write(t, t.TempDir(), "my.prompts.jsonl", `{"prompt": "a", "id": "x"}`+"\n"+`{"prompt": "b", "id": "x#2"}`+"\n")
	queries, report, err := Load(Spec{Path: path}, 5, false)
	if err != nil {
		t.Fatal(err)
	}
	checkQueries(t, queries)
	var got []string
	for _, q := range queries {
		got = append(got, q.Dataset+" "+q.ID+" "+q.Prompt)
	}
	want := []string{"my.prompts x a", "my.prompts x#2 b", "my.prompts x#2# a", "my.prompts x#2#2 b", "my.prompts x#3 a"}
	if !cmp.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if report.Note == "" || report.Used != 2 {
		t.Errorf("report %+v", report)
	}
	if queries, report, err = Load(Spec{Path: path}, 1, false); err != nil || len(queries) != 1 || report.Note != "" {
		t.Errorf("%d queries, %+v, %v", len(queries), report, err)
	}
	if _, _, err = Load(Spec{Path: path}, -1, false); err == nil {
		t.Error("-1 queries were loaded")
	}
}

func TestParseSpec(t *testing.T) {
	dir := t.TempDir()
	odd := write(t, dir, "a=b.jsonl", `{"prompt": "a"}`)
	for _, tc := range []struct {
		in   string
		want Spec
		err  string
	}{
		{"boolq", Spec{Name: "boolq"}, ""},
		{"dev=x.jsonl", Spec{Name: "dev", Path: "x.jsonl"}, ""},
		{"boolq=dir/x=y.jsonl", Spec{Name: "boolq", Path: "dir/x=y.jsonl"}, ""},
		{odd, Spec{Path: odd}, ""},
		{"", Spec{}, "empty"},
		{"squad", Spec{}, "no built-in queries"},
		{"squad.json", Spec{}, "no such file"},
		{"=x.jsonl", Spec{}, "the name"},
		{"a b=x.jsonl", Spec{}, "the name"},
		{"boolq=", Spec{}, "no file after"},
	} {
		got, err := ParseSpec(tc.in)
		if tc.err == "" && (err != nil || got != tc.want) || tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err)) {
			t.Errorf("ParseSpec(%q) = %+v, %v; want %+v, %q", tc.in, got, err, tc.want, tc.err)
		}
		if err == nil {
			if again, err := ParseSpec(got.String()); err != nil || again != got {
				t.Errorf("%q is read back as %+v, %v", got, again, err)
			}
		}
	}
}

// Memory does not grow with the file: the heap while reading 7 MB stays within
// 1 MB of what it is after the first rows.
func TestMemoryIsBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "long.jsonl")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	passage := strings.Repeat("The mill was built in 1712. ", 80)
	const rows = 3_000
	for i := range rows {
		if _, err := fmt.Fprintf(f, `{"question": "is mill %d old", "answer": true, "passage": "%s"}`+"\n", i, passage); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	s, err := Open(Spec{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	var first int64
	for n := 1; ; n++ {
		_, err := s.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case n == 10:
			first = heap()
		case n%1000 == 0:
			if grown := heap() - first; grown > 1<<20 {
				t.Fatalf("after %d rows the heap is %d bytes larger", n, grown)
			}
		}
	}
	if s.Info().Used != rows {
		t.Errorf("%d rows, want %d", s.Info().Used, rows)
	}
}
