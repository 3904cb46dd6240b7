package datasets

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
	"github.com/pierrec/lz4/v4"

	"jouletop/workloads"
)

// The columns of the four datasets on the Hugging Face hub.
type (
	hubBoolQ struct {
		Question *string `parquet:"question,optional"`
		Answer   *bool   `parquet:"answer,optional"`
		Passage  *string `parquet:"passage,optional"`
	}
	hubHellaSwag struct {
		Ind       int32    `parquet:"ind"`
		Activity  string   `parquet:"activity_label"`
		CtxA      string   `parquet:"ctx_a"`
		CtxB      string   `parquet:"ctx_b"`
		Ctx       string   `parquet:"ctx"`
		Endings   []string `parquet:"endings,list"`
		SourceID  string   `parquet:"source_id"`
		Split     string   `parquet:"split"`
		SplitType string   `parquet:"split_type"`
		Label     string   `parquet:"label"`
	}
	hubTruthfulQA struct {
		Type      string   `parquet:"type"`
		Category  string   `parquet:"category"`
		Question  string   `parquet:"question"`
		Best      string   `parquet:"best_answer"`
		Correct   []string `parquet:"correct_answers,list"`
		Incorrect []string `parquet:"incorrect_answers,list"`
		Source    string   `parquet:"source"`
	}
	hubText struct {
		Text   string   `parquet:"text"`
		Tokens []string `parquet:"tokens,list"`
	}
	hubNarrativeQA struct {
		Document struct {
			ID      string  `parquet:"id"`
			Summary hubText `parquet:"summary"`
			Text    string  `parquet:"text"`
		} `parquet:"document"`
		Question hubText   `parquet:"question"`
		Answers  []hubText `parquet:"answers,list"`
	}
	ownPrompts struct {
		Prompt  string   `parquet:"prompt"`
		Answers []string `parquet:"answers"` // repeated without a list around it
		ID      int64    `parquet:"id"`
	}
)

func parquetFile[T any](t testing.TB, rows []T, options ...parquet.WriterOption) string {
	t.Helper()
	var b bytes.Buffer
	w := parquet.NewGenericWriter[T](&b, options...)
	if _, err := w.Write(rows); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func narrativeRow(i int) hubNarrativeQA {
	var r hubNarrativeQA
	r.Document.ID = fmt.Sprint(i / 3)
	r.Document.Summary = hubText{fmt.Sprintf("Story %d is short.", i/3), []string{"Story"}}
	r.Document.Text = strings.Repeat("A whole book of many words. ", 400)
	r.Question = hubText{fmt.Sprintf("What happens in %d?", i), []string{"What", "happens"}}
	for j := range i % 4 {
		r.Answers = append(r.Answers, hubText{fmt.Sprintf("Answer %d.%d", i, j), []string{"Answer"}})
	}
	r.Answers = append(r.Answers, hubText{Text: "Nothing"})
	return r
}

func TestParquetHubColumns(t *testing.T) {
	yes, question, passage := true, "is the mill old", "The mill was built in 1712."
	for name, tc := range map[string]struct {
		content string
		want    workloads.Query
	}{
		"boolq": {parquetFile(t, []hubBoolQ{{&question, &yes, &passage}}),
			workloads.AskBoolQ(question, passage, true)},
		"hellaswag": {parquetFile(t, []hubHellaSwag{{Ind: 24, Activity: "Rowing", CtxA: "Two men sit.", CtxB: "the older",
			Ctx: "Two men sit. the older", Endings: []string{"a", "b", "c", "d"}, SourceID: "wikihow~3", Label: "3"}},
			parquet.Compression(&parquet.Zstd)),
			workloads.AskHellaSwag("Rowing", "Two men sit.", "the older", []string{"a", "b", "c", "d"}, 3)},
		"truthfulqa": {parquetFile(t, []hubTruthfulQA{{Question: "Is it new?", Best: "No; it is old",
			Correct: []string{"No; it is old", "Never"}, Incorrect: []string{"Yes"}}}, parquet.Compression(&parquet.Snappy)),
			workloads.AskTruthfulQA("Is it new?", []string{"No; it is old", "Never"})},
		"narrativeqa": {parquetFile(t, []hubNarrativeQA{narrativeRow(2)}, parquet.DataPageVersion(1)),
			workloads.AskNarrativeQA("What happens in 2?", "Story 0 is short.", []string{"Answer 2.0", "Answer 2.1", "Nothing"})},
		"f": {parquetFile(t, []ownPrompts{{"Name a prime.", []string{"two", "three"}, 17}}),
			workloads.AskCustom("Name a prime.", []string{"two", "three"})},
	} {
		t.Run(name, func(t *testing.T) {
			queries, bad := mustDrain(t, tc.content)
			if len(queries) != 1 || len(bad) > 0 {
				t.Fatalf("%d queries, %v", len(queries), bad)
			}
			tc.want.Dataset, tc.want.ID = name, "r1"
			switch name {
			case "hellaswag":
				tc.want.ID = "w24"
			case "f":
				tc.want.ID = "17"
			}
			if diff := cmp.Diff(tc.want, queries[0]); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// Lists that span pages and row groups come out whole, and the books that lie
// beside the summaries are not read.
func TestParquetPagesAndUnreadColumns(t *testing.T) {
	const n = 500
	var rows []hubNarrativeQA
	for i := range n {
		rows = append(rows, narrativeRow(i))
	}
	content := parquetFile(t, rows, parquet.PageBufferSize(512), parquet.MaxRowsPerRowGroup(123))
	var read atomic.Int64
	s, err := openWith(Spec{Path: "f"}, "f", "f", func(path string) (file, error) {
		f, err := memory{"f": content}.open(path)
		return &countingFile{f, &read}, err
	})
	if err != nil {
		t.Fatal(err)
	}
	queries, bad, err := drain(s)
	if err != nil || len(queries) != n || len(bad) > 0 {
		t.Fatalf("%d queries, %v, %v", len(queries), bad, err)
	}
	checkQueries(t, queries)
	for i, q := range queries {
		var answers []string
		for _, a := range rows[i].Answers {
			answers = append(answers, a.Text)
		}
		want := workloads.AskNarrativeQA(rows[i].Question.Text, rows[i].Document.Summary.Text, answers)
		want.Dataset, want.ID = "narrativeqa", fmt.Sprintf("r%d", i+1)
		if diff := cmp.Diff(want, q); diff != "" {
			t.Fatalf("row %d (-want +got)\n%s", i+1, diff)
		}
	}
	if got, all := read.Load(), int64(len(content)); got > all/4 {
		t.Errorf("%d of %d bytes were read", got, all)
	}
}

type countingFile struct {
	file
	read *atomic.Int64
}

func (f *countingFile) ReadAt(b []byte, at int64) (int, error) {
	n, err := f.file.ReadAt(b, at)
	if at > 0 || n < sniffLen { // the first look tells the format
		f.read.Add(int64(n))
	}
	return n, err
}

func TestParquetBadRows(t *testing.T) {
	text := func(s string) *string { return &s }
	yes := true
	content := parquetFile(t, []hubBoolQ{
		{text("q1"), &yes, text("p")},
		{nil, &yes, text("p")},
		{text("q3"), nil, text("p")},
		{text("q4"), &yes, text(" ")},
		{text("q5"), &yes, text("\xff")},
		{text("q6"), &yes, text(strings.Repeat("x", MaxText+1))},
		{text("q7"), &yes, text("p")},
	}, parquet.MaxRowsPerRowGroup(2))
	queries, bad := mustDrain(t, content)
	if len(queries) != 2 || queries[1].ID != "r7" {
		t.Errorf("queries %+v", queries)
	}
	want := []string{
		`f: row 2: field "question" is missing`,
		`f: row 3: field "answer" is missing`,
		`f: row 4: field "passage" is empty`,
		`f: row 5: field "passage" is not valid UTF-8`,
		`f: row 6: field "passage": 524289 bytes, more than the 524288 bytes that a text may have`,
	}
	var got []string
	for _, b := range bad {
		got = append(got, b.Error())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// A file that is cut off or overwritten in places is an error, never a panic or
// a short dataset taken for a whole one.
func TestParquetDamaged(t *testing.T) {
	question, passage, yes := "is the mill old", strings.Repeat("The mill was built in 1712. ", 40), true
	for _, codec := range []compress.Codec{&parquet.Uncompressed, &parquet.Lz4Raw} {
		testDamaged(t, parquetFile(t, slicesRepeat(hubBoolQ{&question, &yes, &passage}, 200), parquet.PageBufferSize(1024), parquet.Compression(codec)))
	}
}

func testDamaged(t *testing.T, whole string) {
	t.Helper()
	for cut := 5; cut < len(whole); cut += len(whole) / 40 {
		if _, err := openMemory(whole[:cut]); !errors.Is(err, ErrFormat) && !errors.Is(err, ErrEmpty) {
			t.Fatalf("cut at %d: %v", cut, err)
		}
	}
	for at := 4; at < len(whole)-8; at += len(whole) / 200 {
		damagedFile := []byte(whole)
		for i := range min(8, len(whole)-at) {
			damagedFile[at+i] ^= 0xa5
		}
		s, err := openMemory(string(damagedFile))
		if err != nil {
			if !strings.Contains(err.Error(), "f") {
				t.Errorf("damaged at %d: %v does not name the file", at, err)
			}
			continue
		}
		queries, bad, err := drain(s)
		if err == nil && len(queries)+len(bad) > 200 {
			t.Errorf("damaged at %d: %d queries and %d bad rows of 200", at, len(queries), len(bad))
		}
	}
}

func slicesRepeat[T any](v T, n int) []T {
	out := make([]T, n)
	for i := range out {
		out[i] = v
	}
	return out
}

// TestCompressions: each is read to the last text, or refused by its name.
func TestCompressions(t *testing.T) {
	var rows []hubBoolQ
	for i := range 500 {
		question, passage, yes := fmt.Sprintf("is it %x", sha256.Sum256([]byte{byte(i), 1})), fmt.Sprintf("It is %x.", sha256.Sum256([]byte{byte(i), byte(i >> 8)})), i%2 == 0
		rows = append(rows, hubBoolQ{&question, &yes, &passage})
	}
	for _, codec := range []compress.Codec{&parquet.Uncompressed, &parquet.Snappy, &parquet.Gzip, &parquet.Brotli, &parquet.Zstd, &parquet.Lz4Raw} {
		for version := 1; version <= 2; version++ {
			queries, bad := mustDrain(t, parquetFile(t, rows, parquet.Compression(codec), parquet.DataPageVersion(version), parquet.PageBufferSize(4096), parquet.MaxRowsPerRowGroup(200)))
			if len(bad) > 0 || len(queries) != len(rows) {
				t.Fatalf("%v: %d queries, %d bad rows", codec, len(queries), len(bad))
			}
			for i, q := range queries {
				if !strings.Contains(q.Prompt, *rows[i].Passage) {
					t.Fatalf("%v, version %d: row %d is %q", codec, version, i, q.Prompt)
				}
			}
		}
	}
}

// TestLZ4Pages: a page is what its header says, or an error before memory is taken
// for it.
func TestLZ4Pages(t *testing.T) {
	text := []byte(strings.Repeat("the mill ", 100))
	packed := make([]byte, lz4.CompressBlockBound(len(text)))
	n, err := lz4.CompressBlock(text, packed, nil)
	if err != nil {
		t.Fatal(err)
	}
	packed = packed[:n]
	header := func(size int, v2 ...format.DataPageHeaderV2) *format.PageHeader {
		h := &format.PageHeader{UncompressedPageSize: int32(size), CompressedPageSize: int32(n), CRC: 7}
		for _, v := range v2 {
			h.DataPageHeaderV2 = thrift.New(v)
		}
		return h
	}
	levels := format.DataPageHeaderV2{RepetitionLevelsByteLength: 2, DefinitionLevelsByteLength: 1}
	plain := levels
	plain.IsCompressed = thrift.New(false)
	for name, c := range map[string]struct {
		header *format.PageHeader
		page   string
		want   string // "" for an error
	}{
		"whole":               {header(len(text)), string(packed), string(text)},
		"levels before":       {header(3+len(text), levels), "abc" + string(packed), "abc" + string(text)},
		"levels alone":        {header(3, levels), "abc", "abc"},
		"not compressed":      {header(3+len(text), plain), "abc" + string(text), "abc" + string(text)},
		"said to be longer":   {header(len(text) + 1), string(packed), ""},
		"said to be shorter":  {header(len(text) - 1), string(packed), ""},
		"far too long":        {header(1 << 30), string(packed), ""},
		"more than LZ4 can":   {header(256 * n), string(packed), ""},
		"negative":            {header(-1), string(packed), ""},
		"cut off":             {header(len(text)), string(packed[:n-1]), ""},
		"levels beyond":       {header(2, levels), "ab", ""},
		"plain, another size": {header(4, plain), "abc", ""},
	} {
		got, err := unpackPage(c.header, []byte(c.page), 1<<20)
		if string(got) != c.want || (err != nil) != (c.want == "") {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
		if h := c.header; err == nil && (int(h.CompressedPageSize) != len(got) || h.CRC != 0 || h.DataPageHeaderV2.Valid && h.DataPageHeaderV2.V.IsCompressed != thrift.New(false)) {
			t.Errorf("%s: header %+v", name, h)
		}
	}
}
