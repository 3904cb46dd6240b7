package datasets

import (
	"flag"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
)

// checkReading reads a whole source and demands what holds for every input:
// it ends, every query is usable, ids are unique, every error is one line that
// names the file, and the counts add up.
func checkReading(t *testing.T, s *Source, err error, atMost int) {
	t.Helper()
	named := func(err error) {
		if text := err.Error(); !strings.Contains(text, "f:") && !strings.Contains(text, ".csv") && !strings.Contains(text, "dataset f") || strings.ContainsAny(text, "\n") {
			t.Errorf("not one line that names the file: %q", text)
		}
	}
	if err != nil {
		named(err)
		return
	}
	defer s.Close()
	queries, bad, err := drain(s)
	if err != nil {
		named(err)
	}
	for _, b := range bad {
		named(b)
		if (b.Line > 0) == (b.Row > 0) {
			t.Errorf("neither or both of line and row: %+v", b)
		}
	}
	checkQueries(t, queries)
	info := s.Info()
	if info.Used != len(queries) || info.Skipped != len(bad) || len(queries)+len(bad) > atMost {
		t.Errorf("%d queries and %d bad rows, at most %d rows, info %+v", len(queries), len(bad), atMost, info)
	}
}

func FuzzJSONL(f *testing.F) {
	for _, contents := range forms {
		for _, c := range contents {
			if strings.HasPrefix(c, "{") {
				f.Add(c)
				f.Add(c + "\n" + c[:len(c)/2] + "\n" + c)
			}
		}
	}
	f.Add(`{"prompt": "p", "options": ["a", "b"], "answer": 1, "id": "x"}` + "\n{}\n[]\nnull\n")
	f.Add(`{"prompt": "\ud800"}` + "\n" + `{"prompt": {"a": [{"b": [{"c": {}}]}]}}`)
	f.Fuzz(func(t *testing.T, content string) {
		s, err := openMemory("{" + content)
		checkReading(t, s, err, 1+strings.Count(content, "\n"))
	})
}

func FuzzCSV(f *testing.F) {
	for _, contents := range forms {
		for _, c := range contents {
			if !strings.HasPrefix(c, "{") {
				f.Add(c)
				f.Add(c + c[:len(c)/2] + "\n" + c)
			}
		}
	}
	f.Add("prompt,answers,options,answer\np,a; b,,\np,,x; y,1\np,,x; y,\"y\n")
	f.Fuzz(func(t *testing.T, content string) {
		s, err := openMemory(content)
		checkReading(t, s, err, 1+strings.Count(content, "\n"))
	})
}

func FuzzPair(f *testing.F) {
	f.Add(questionsHalf, summariesHalf)
	f.Add(questionsHalf+"d1,\"x", summariesHalf+"d1,x,again,y\nd3,\"\n")
	f.Add("document_id,question,answer1\nd,q,a\n", "document_id,summary\nd,\"a\nb\"\n")
	f.Fuzz(func(t *testing.T, questions, summaries string) {
		m := memory{questionsFile: questions, summariesFile: summaries}
		s, err := openWith(Spec{Path: questionsFile}, questionsFile, questionsFile, m.open)
		checkReading(t, s, err, 2+strings.Count(questions+summaries, "\n"))
	})
}

// FuzzParquet minimises with 5 tries: parquet-go pools its buffers, so the same input
// does not always cover the same code, and minimising would take all of the minute
// that it may.
func FuzzParquet(f *testing.F) {
	if fl := flag.Lookup("test.fuzzminimizetime"); fl.Value.String() == fl.DefValue {
		if err := fl.Value.Set("5x"); err != nil {
			f.Fatal(err)
		}
	}
	question, passage, yes := "is the mill old", "The mill was built in 1712.", true
	f.Add([]byte(parquetFile(f, []hubBoolQ{{&question, &yes, &passage}, {&question, nil, &passage}})))
	f.Add([]byte(parquetFile(f, []hubNarrativeQA{narrativeRow(1), narrativeRow(5)}, parquet.PageBufferSize(64))))
	f.Add([]byte(parquetFile(f, []hubTruthfulQA{{Question: "q", Best: "a", Correct: []string{"a", "b"}}}, parquet.Compression(&parquet.Snappy))))
	f.Add([]byte(parquetFile(f, []hubTruthfulQA{{Question: "q", Best: "a", Correct: []string{"a", "b"}}}, parquet.Compression(&parquet.Lz4Raw))))
	f.Fuzz(func(t *testing.T, content []byte) {
		s, err := openMemory("PAR1" + strings.TrimPrefix(string(content), "PAR1"))
		if err == nil && s.rows.(*parquetRows).pf.NumRows() > 10_000 {
			return // the row count is what the file says it is
		}
		checkReading(t, s, err, 10_000)
	})
}
