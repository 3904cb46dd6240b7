package datasets

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"jouletop/workloads"
)

const goodBoolQ = `{"question": "is the mill old", "answer": true, "passage": "It was built in 1712."}`

// Each bad row stands on line 2 between good ones: it must be named with file,
// line and reason, and the rows around it read.
func TestBadRows(t *testing.T) {
	long := strings.Repeat("x ", MaxText/2+1)
	hella := func(fields string) string {
		return `{"ind": 1, "activity_label": "Rowing", "ctx": "c", "source_id": "a"` + fields + `}`
	}
	goodHella := hella(`, "ctx_a": "c", "ctx_b": "", "label": 0, "endings": ["a", "b", "c", "d"]`)
	story := func(fields string) string { return `{"passage": "A ship sinks."` + fields + `}` }
	goodStory := story(`, "question": "What sinks?", "answer": ["A ship"]`)
	truthHeader := "Type,Category,Question,Best Answer,Correct Answers,Incorrect Answers,Source\n"
	goodTruth := "a,b,Is it?,No,No; Never,Yes,x"
	for _, tc := range []struct {
		name, good, bad, why string
	}{
		{"torn", goodBoolQ, goodBoolQ[:40], "torn JSON"},
		{"torn within a string", goodBoolQ, `{"question": "is the`, "torn JSON"},
		{"not JSON", goodBoolQ, `{question: 1}`, "not JSON"},
		{"no object", goodBoolQ, `"question"`, "not a JSON object"},
		{"a list", goodBoolQ, `[1, 2]`, "not a JSON object"},
		{"two objects", goodBoolQ, goodBoolQ + goodBoolQ, "more than one JSON value"},
		{"invalid UTF-8", goodBoolQ, "{\"question\": \"is \xff old\", \"answer\": true, \"passage\": \"p\"}", "not valid UTF-8 (byte 18"},
		{"NUL", goodBoolQ, `{"question": "is \u0000 old", "answer": true, "passage": "p"}`, "NUL"},
		{"no passage", goodBoolQ, `{"question": "is it", "answer": true}`, `"passage" is missing`},
		{"no answer", goodBoolQ, `{"question": "is it", "passage": "p"}`, `"answer" is missing`},
		{"null question", goodBoolQ, `{"question": null, "answer": true, "passage": "p"}`, `"question" is null`},
		{"empty passage", goodBoolQ, `{"question": "is it", "answer": true, "passage": ""}`, `"passage" is empty`},
		{"blank question", goodBoolQ, `{"question": " \n", "answer": true, "passage": "p"}`, `"question" is empty`},
		{"question a number", goodBoolQ, `{"question": 3, "answer": true, "passage": "p"}`, "a number, not a text"},
		{"passage an object", goodBoolQ, `{"question": "q", "answer": true, "passage": {}}`, `"passage" is missing`},
		{"answer a list", goodBoolQ, `{"question": "q", "answer": [true], "passage": "p"}`, "neither true nor false"},
		{"answer a number", goodBoolQ, `{"question": "q", "answer": 2, "passage": "p"}`, "\"2\", neither true nor false"},
		{"long text", goodBoolQ, `{"question": "q", "answer": true, "passage": "` + long + `"}`, "more than the 524288"},
		{"long line", goodBoolQ, `{"question": "` + strings.Repeat("x", maxRecord) + `"}`, "longer than"},
		{"same id", `{"prompt": "p"}`, `{"prompt": "p", "id": "first"}`, `id "first" is used by an earlier row`},
		{"id an object", `{"prompt": "p"}`, `{"prompt": "p", "id": [1]}`, `"id" is a list`},
		{"id like a row's name", `{"prompt": "p"}`, `{"prompt": "p", "id": "r1"}`, "names given to rows without an id"},
		{"empty prompt", `{"prompt": "p"}`, `{"prompt": ""}`, `"prompt" is empty`},
		{"one option", `{"prompt": "p"}`, `{"prompt": "p", "options": ["a"], "answer": 0}`, "at least 2"},
		{"answer beyond options", `{"prompt": "p"}`, `{"prompt": "p", "options": ["a", "b"], "answer": 2}`, "not 0 to 1"},
		{"answer not an option", `{"prompt": "p"}`, `{"prompt": "p", "options": ["a", "b"], "answer": "c"}`, "not a whole number"},
		{"answers true", `{"prompt": "p"}`, `{"prompt": "p", "answers": true}`, "not a list of texts"},
		{"answers cut short", `{"prompt": "p"}`, `{"prompt": "p", "answers": "['a' 'b' ... 'z']"}`, "cut short"},
		{"answers an object", `{"prompt": "p"}`, `{"prompt": "p", "answers": "{'text': ['a']}"}`, "an object or a set"},
		{"answers of objects", `{"prompt": "p"}`, `{"prompt": "p", "answers": "[{'text': 'a'}]"}`, "an object or a set"},
		{"answers without quotes", `{"prompt": "p"}`, `{"prompt": "p", "answers": "[a, b]"}`, "not all quoted"},
		{"answers hold a number", `{"prompt": "p"}`, `{"prompt": "p", "answers": ["a", 5]}`, "item 2 is a number"},
		{"no endings", goodHella, hella(`, "ctx_a": "c", "ctx_b": "", "label": 0`), `"endings" is missing`},
		{"three endings", goodHella, hella(`, "ctx_a": "c", "ctx_b": "", "label": 0, "endings": ["a", "b", "c"]`), "3 items, not 4"},
		{"empty ending", goodHella, hella(`, "ctx_a": "c", "ctx_b": "", "label": 0, "endings": ["a", "b", "c", ""]`), `"endings" is empty (item 4)`},
		{"label 4", goodHella, hella(`, "ctx_a": "c", "ctx_b": "", "label": 4, "endings": ["a", "b", "c", "d"]`), "not 0 to 3"},
		{"label 1.5", goodHella, hella(`, "ctx_a": "c", "ctx_b": "", "label": 1.5, "endings": ["a", "b", "c", "d"]`), "not a whole number"},
		{"no label, as in the test split", goodHella, hella(`, "ctx_a": "c", "ctx_b": "", "label": "", "endings": ["a", "b", "c", "d"]`), `"label" is empty`},
		{"only marks", goodHella, hella(`, "ctx_a": "c", "ctx_b": "", "label": 0, "endings": ["a", "b", "c", "[step]"]`), "without its [marks]"},
		{"no story", goodStory, `{"question": "What?", "answer": ["A"]}`, `"passage" is missing`},
		{"no answers", goodStory, story(`, "question": "What?", "answer": []`), "empty list"},
		{"empty answers", goodStory, story(`, "question": "What?", "answer": ["", " "]`), "\"answer\" is empty"},
		{"answer true", goodStory, story(`, "question": "What?", "answer": true`), "not a list of texts"},
		{"few fields", truthHeader + goodTruth, "a,b,Is it?,No", "4 fields where the header has 7"},
		{"empty best answer", truthHeader + goodTruth, "a,b,Is it?,,No,Yes,x", `"best_answer" is empty`},
		{"no correct answer", truthHeader + goodTruth, "a,b,Is it?,No,; ,Yes,x", "empty list"},
		{"bare quote", truthHeader + goodTruth, `a,b,Is "it?,No,No,Yes,x`, `bare "`},
		{"invalid UTF-8 in CSV", truthHeader + goodTruth, "a,b,Is \xff?,No,No,Yes,x", "not valid UTF-8"},
		{"answer maybe in CSV", "question,answer,passage\nis it,yes,p", "is it,maybe,p", "neither true nor false"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before := tc.good
			if strings.Contains(tc.bad, `"first"`) {
				before = `{"prompt": "o", "id": "first"}`
			}
			after := tc.good[strings.LastIndex(tc.good, "\n")+1:]
			line := strings.Count(before, "\n") + 2
			if after == goodHella {
				after = strings.Replace(after, `"ind": 1`, `"ind": 2`, 1)
			}
			content := before + "\n" + tc.bad + "\n" + after + "\n"
			queries, bad := mustDrain(t, content)
			if len(queries) != 2 || len(bad) != 1 {
				t.Fatalf("%d queries and %d bad rows: %v", len(queries), len(bad), bad)
			}
			if bad[0].File != "f" || bad[0].Line != line || !strings.Contains(bad[0].Why, tc.why) {
				t.Errorf("%v, want line %d: … %s", bad[0], line, tc.why)
			}
			if len(bad[0].Error()) > 300 || strings.ContainsAny(bad[0].Error(), "\n\r\x00") || !utf8.ValidString(bad[0].Error()) {
				t.Errorf("not one clear line: %q", bad[0].Error())
			}

			path := write(t, t.TempDir(), "rows", content)
			if _, _, err := Load(Spec{Path: path}, 0, false); !errors.Is(err, ErrBadRow) ||
				!strings.Contains(err.Error(), fmt.Sprintf("%s:%d: ", path, line)) {
				t.Errorf("strict: %v", err)
			}
			_, report, err := Load(Spec{Path: path}, 0, true)
			if err != nil || report.Used != 2 || report.Skipped != 1 || len(report.Problems) != 1 {
				t.Errorf("lenient: %+v, %v", report, err)
			}
		})
	}
}

// A bad row is named as well where it is the first, which also tells what the
// file is.
func TestBadFirstRow(t *testing.T) {
	for _, first := range []string{"garbage", goodBoolQ[:30], `{"question": "q", "answer": "maybe", "passage": "p"}`,
		`{"question": "q", "answer": ["a"], "passage": "p"}`, `{"other": 1}`, `{"question": "` + strings.Repeat("x", 2<<20) + `"}`} {
		queries, bad := mustDrain(t, first+"\n"+goodBoolQ+"\n"+goodBoolQ+"\n")
		if len(queries) != 2 || len(bad) != 1 || bad[0].Line != 1 || queries[0].Style != workloads.BoolQ {
			t.Errorf("%.40q first: %d queries, %v", first, len(queries), bad)
		}
	}
}

// A torn quote costs its own record, not the rest of the file.
func TestTornQuote(t *testing.T) {
	const header = "question,answer,passage\n"
	queries, bad := mustDrain(t, header+"is a,yes,\"never closed\nis b,yes,p\nis c,no,p\n")
	if len(queries) != 2 || len(bad) != 1 || bad[0].Line != 2 || !strings.Contains(bad[0].Why, "never closed") {
		t.Errorf("%d queries, %v", len(queries), bad)
	}
	queries, bad = mustDrain(t, header+"is a,yes,5\" wide\nis b,yes,\"p\nq\"\nis c,no,p\n")
	if len(queries) != 2 || len(bad) != 1 || bad[0].Line != 2 {
		t.Errorf("%d queries, %v", len(queries), bad)
	}
	queries, bad = mustDrain(t, header+"is a,yes,\""+strings.Repeat(strings.Repeat("line ", 2000)+"\n", maxRecord/10_000+1)+"\"\nis b,yes,p\n")
	if len(queries) != 1 || len(bad) != 1 || bad[0].Line != 2 || !strings.Contains(bad[0].Why, "longer than") {
		t.Errorf("%d queries, %v", len(queries), bad)
	}
}

func TestBadPairs(t *testing.T) {
	files := func(questions, summaries string) memory {
		return memory{questionsFile: "document_id,set,question,answer1,answer2\n" + questions,
			summariesFile: "document_id,set,summary\n" + summaries}
	}
	for _, tc := range []struct {
		name  string
		files memory
		good  int
		bad   []string
	}{
		{"unknown document", files("d1,x,Who?,a,b\nd9,x,Who?,a,b\n", "d1,x,story\n"), 1, []string{`qaps.csv:3: document_id "d9" has no usable summary`}},
		{"empty summary", files("d1,x,Who?,a,b\nd2,x,Who?,a,b\n", "d1,x,story\nd2,x, \n"), 1,
			[]string{`summaries.csv:3: field "summary" is empty`, `qaps.csv:3: document_id "d2" has no usable summary`}},
		{"document twice", files("d1,x,Who?,a,b\n", "d1,x,story\nd1,x,other\n"), 1, []string{`summaries.csv:3: document_id "d1" is used by an earlier row`}},
		{"no answer", files("d1,x,Who?,,\n", "d1,x,story\n"), 0, []string{`qaps.csv:2: fields "answer1" and "answer2" are empty`}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, err := openWith(Spec{Path: questionsFile}, questionsFile, questionsFile, tc.files.open)
			if err != nil {
				t.Fatal(err)
			}
			queries, bad, err := drain(s)
			if err != nil || len(queries) != tc.good || len(bad) != len(tc.bad) {
				t.Fatalf("%d queries, %v, %v", len(queries), bad, err)
			}
			for i, want := range tc.bad {
				if !strings.HasPrefix(bad[i].Error(), want) {
					t.Errorf("%v, want %s", bad[i], want)
				}
			}
		})
	}
}

// What is no dataset at all: one clear line that names the file.
func TestUnusableFiles(t *testing.T) {
	dir := t.TempDir()
	file := func(content string) string {
		f, err := os.CreateTemp(dir, "f")
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
		return write(t, dir, filepath.Base(f.Name()), content)
	}
	for _, tc := range []struct {
		name, path string
		is         error
		why        string
	}{
		{"missing", filepath.Join(dir, "none"), fs.ErrNotExist, "no such file"},
		{"directory", dir, nil, "is a directory"},
		{"device", os.DevNull, nil, "not a regular file"},
		{"empty", file(""), ErrEmpty, "no rows"},
		{"blank", file(" \n\r\n\n"), ErrEmpty, "no rows"},
		{"header alone", file("question,answer,passage\n"), ErrEmpty, "no rows"},
		{"prose", file("Once upon a time there was a mill.\nIt was old.\n"), ErrFormat, "unknown format"},
		{"other columns", file("a,b,c\n1,2,3\n"), ErrFormat, "a, b, c"},
		{"other fields", file(`{"a": 1, "b": 2}` + "\n"), ErrFormat, "a, b"},
		{"array", file(`[{"prompt": "a"}]`), ErrFormat, "one object a line"},
		{"gzip", file("\x1f\x8b\x08\x00abc"), ErrFormat, "unpack it first"},
		{"UTF-16", file("\xff\xfe{\x00"), ErrFormat, "UTF-16"},
		{"binary", file("GGUF\x03\x00\x00\x00"), ErrFormat, "binary"},
		{"torn Parquet", file("PAR1 and nothing else"), ErrFormat, "damaged Parquet"},
		{"column twice", file("question,answer,question\na,b,c\n"), ErrFormat, "twice"},
		{"only bad rows", file(`{"prompt": ""}` + "\n"), ErrEmpty, "1 bad"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, _, err := Load(Spec{Path: tc.path}, 0, true)
			if err == nil || tc.is != nil && !errors.Is(err, tc.is) || !strings.Contains(err.Error(), tc.why) {
				t.Fatalf("got %v, want … %s", err, tc.why)
			}
			if text := err.Error(); !strings.Contains(text, tc.path) || strings.Contains(text, "\n") || len(text) > 600 {
				t.Errorf("not one clear line that names the file: %q", text)
			}
		})
	}
	if _, err := Open(Spec{Name: "squad"}); err == nil || !strings.Contains(err.Error(), "boolq, hellaswag") {
		t.Errorf("unknown built-in: %v", err)
	}
}

func TestProblemsAreCountedAndTheFirstNamed(t *testing.T) {
	s, err := openMemory(goodBoolQ + "\n" + strings.Repeat("{}\n", 3*maxProblems))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := drain(s); err != nil {
		t.Fatal(err)
	}
	if info := s.Info(); info.Used != 1 || info.Skipped != 3*maxProblems || len(info.Problems) != maxProblems {
		t.Errorf("%+v", info)
	}
}

// TestWhatIsNoFileOfRows: nothing is waited for and no hole is read to its end.
func TestWhatIsNoFileOfRows(t *testing.T) {
	dir := t.TempDir()
	pipe, link, giant, hole := filepath.Join(dir, "pipe"), filepath.Join(dir, "link"), filepath.Join(dir, "giant"), filepath.Join(dir, "hole")
	quoted, linked := filepath.Join(dir, "quoted"), filepath.Join(dir, "linked.jsonl")
	head := "prompt,answers\n" + "p," + strings.Repeat("a", sniffLen) + "\n"
	for path, content := range map[string]string{giant: `{"prompt": "p"}` + "\n", hole: head, quoted: head + `p,"x`} {
		write(t, dir, filepath.Base(path), content)
	}
	if err := errors.Join(unix.Mkfifo(pipe, 0o600), os.Symlink(pipe, link), os.Symlink(write(t, dir, "real", head), linked),
		os.Truncate(giant, 1<<40), os.Truncate(hole, 3<<30), os.Truncate(quoted, 3<<30)); err != nil {
		t.Fatal(err)
	}
	for path, why := range map[string]string{
		pipe: "not a regular file", link: "not a regular file", giant: "more than the 4294967296", hole: "no file of lines", quoted: "no file of lines",
	} {
		if _, _, err := Load(Spec{Path: path}, 0, true); err == nil || !strings.Contains(err.Error(), why) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, want %s", filepath.Base(path), err, why)
		}
	}
	if queries, _, err := Load(Spec{Path: linked}, 0, false); err != nil || len(queries) != 1 {
		t.Errorf("a link to a file: %d, %v", len(queries), err)
	}
}
