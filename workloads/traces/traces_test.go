package traces

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"jouletop/gpu/sharedtest"
)

type sums struct {
	rows, in, out int
	last          time.Duration
}

func readAll(r *Reader) (sums, error) {
	var s sums
	for {
		row, err := r.Next()
		if errors.Is(err, io.EOF) {
			return s, nil
		}
		if err != nil {
			return s, err
		}
		s.rows, s.in, s.out, s.last = s.rows+1, s.in+row.Input, s.out+row.Output, row.At
	}
}

// The sums were made with Python's csv and json.
func TestPublishedTraces(t *testing.T) {
	for name, want := range map[string]sums{
		"azure_llm_2023_conv.csv":     {6000, 6903766, 1515140, 1202*time.Second + 186_033*time.Microsecond},
		"azure_llm_2023_code.csv":     {3000, 6017797, 84937, 1088*time.Second + 955_361*time.Microsecond},
		"mooncake_conversation.jsonl": {600, 8293542, 214274, 200_999 * time.Millisecond},
	} {
		r, err := Open(sharedtest.Path(t, "traces", name))
		if err != nil {
			t.Fatal(err)
		}
		got, err := readAll(r)
		if err != nil || got != want || r.Skipped() != (Skipped{}) {
			t.Errorf("%s: %+v, %v, skipped %+v; want %+v", name, got, err, r.Skipped(), want)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}

const (
	azure    = "TIMESTAMP,ContextTokens,GeneratedTokens\n"
	azureRow = "2023-11-16 18:15:46,374,44\n"
	burst    = "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
)

func TestFormats(t *testing.T) {
	for name, c := range map[string]struct {
		text, format string
		want         sums
		skipped      Skipped
	}{
		"azure 2023":    {azure + "2023-11-16 18:15:46.6805900,374,44\r\n2023-11-16 18:15:50.9951690,396,109\r\n", "azure", sums{2, 770, 153, 4_314_579 * time.Microsecond}, Skipped{}},
		"azure 2024":    {azure + "2024-05-10 00:00:00.009930+00:00,2162,5\n2024-05-10 00:00:00.017335+00:00,2399,6\n", "azure", sums{2, 4561, 11, 7405 * time.Microsecond}, Skipped{}},
		"a mark":        {"\ufeff" + azure + "2023-11-16 18:15:46,374,44\n", "azure", sums{1, 374, 44, 0}, Skipped{}},
		"over midnight": {azure + "2023-11-16 23:59:59,1,1\n2023-11-17 00:00:01,1,1\n", "azure", sums{2, 2, 2, 2 * time.Second}, Skipped{}},
		"BurstGPT":      {burst + "5,ChatGPT,472,18,490,Conversation log\n45,ChatGPT,1087,230,1317,Conversation log\n118,GPT-4,417,276,693,API log\n", "burstgpt", sums{3, 1976, 524, 113 * time.Second}, Skipped{}},
		"BurstGPT, fuller": {"Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,Total tokens,Log Type\n" +
			"0.5,1,2.5,GPT-4,10,20,30,API log\n1.75,,3,GPT-4,10.0,20.0,30,API log\n", "burstgpt", sums{2, 20, 40, 1250 * time.Millisecond}, Skipped{}},
		"failed requests": {burst + "5,ChatGPT,472,0,472,x\n6,ChatGPT,10,1,11,x\n7,ChatGPT,10,0,10,x\n", "burstgpt", sums{1, 10, 1, time.Second}, Skipped{2, 2}},
		"Mooncake":        {`{"timestamp": 27482, "input_length": 6955, "output_length": 52, "hash_ids": [46, 47]}` + "\n\n" + `{"output_length": 26, "input_length": 6472, "timestamp": 30535.5}`, "mooncake", sums{2, 13427, 78, 3053500 * time.Microsecond}, Skipped{}},
		"at once":         {azure + "2023-11-16 18:15:46,1,2\n2023-11-16 18:15:46,3,4\n", "azure", sums{2, 4, 6, 0}, Skipped{}},
		"nothing":         {azure, "azure", sums{}, Skipped{}},
	} {
		r, err := NewReader("t", strings.NewReader(c.text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got, err := readAll(r)
		if err != nil || got != c.want || r.Format() != c.format || r.Skipped() != c.skipped {
			t.Errorf("%s: %s, %+v, %v, skipped %+v; want %+v, %+v", name, r.Format(), got, err, r.Skipped(), c.want, c.skipped)
		}
	}
}

// What is wrong is told with file and line.
func TestMalformed(t *testing.T) {
	const json = `{"timestamp": 5, "input_length": 1, "output_length": 1}` + "\n"
	for text, want := range map[string]string{
		"":                                      "trace.csv:1: it is empty",
		"a,b\n1,2\n":                            "trace.csv:1: it is no trace known",
		azure + "2023-11-16 18:15:46,374\n":     "trace.csv:2: wrong number of fields",
		azure + "18:15,374,44\n":                `trace.csv:2: "18:15" is no time`,
		azure + "2023-11-16 18:15:46,x,44\n":    `trace.csv:2: "x" is no number of tokens`,
		azure + "2023-11-16 18:15:46,1.5,44\n":  `trace.csv:2: "1.5" is no number of tokens`,
		azure + "2023-11-16 18:15:46,NaN,44\n":  `trace.csv:2: "NaN" is no number of tokens`,
		azure + "2023-11-16 18:15:46,1e99,44\n": `trace.csv:2: "1e99" is no number of tokens`,
		azure + "2023-11-16 18:15:46,0,44\n":    "trace.csv:2: a prompt of 0 tokens",
		azure + "2023-11-16 18:15:46,1,-1\n":    "trace.csv:2: -1 tokens generated",
		azure + "2023-11-16 18:15:46,1,1\n2023-11-16 18:15:45,1,1\n": "trace.csv:3: time goes back by 1s",
		azure + "\"2023\n":                                                 "trace.csv:2: extraneous or missing",
		burst + "x,m,1,1,2,l\n":                                            `trace.csv:2: "x" is no time in seconds`,
		burst + "1e300,m,1,1,2,l\n":                                        "trace.csv:2: a time of 1e+300",
		burst + "NaN,m,1,1,2,l\n":                                          "trace.csv:2: a time of NaN",
		burst + "1,m,1,1,2,l\n2,m,1,1,2,l\n1.5,m,1,1,2,l\n":                "trace.csv:4: time goes back by 500ms",
		json + "{\"timestamp\": 1":                                         "trace.csv:2: unexpected end",
		json + `{"timestamp": 6}`:                                          "trace.csv:2: timestamp, input_length or output_length is missing",
		json + `{"timestamp": 4, "input_length": 1, "output_length": 1}`:   "trace.csv:2: time goes back by 1ms",
		json + `{"timestamp": 6, "input_length": 1.5, "output_length": 1}`: "trace.csv:2: 1.5 is no number of tokens",
		json + `{"timestamp": "6", "input_length": 1, "output_length": 1}`: "trace.csv:2: json: cannot unmarshal",
		json + strings.Repeat(" ", maxLine+1):                              "trace.csv:2: a line of more than",
		strings.Repeat("a", maxLine+9000):                                  "trace.csv:1: a line of more than",
		azure + azureRow + "\"" + strings.Repeat("a\n", maxLine):           "trace.csv:3: a line of more than",
	} {
		r, err := NewReader("trace.csv", strings.NewReader(text))
		if err == nil {
			_, err = readAll(r)
		}
		if !errors.Is(err, ErrMalformed) || !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%.60q: %v, want %s", text, err, want)
		}
	}
	if _, err := Open(filepath.Join(t.TempDir(), "none.csv")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(fifo); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Error(err)
	}
}

// rows is a BurstGPT-like file of so many rows, made as it is read.
type rows struct {
	n, at int
	rest  string
}

func (r *rows) Read(p []byte) (int, error) {
	for r.rest == "" {
		if r.at > r.n {
			return 0, io.EOF
		}
		r.rest = burst
		if r.at > 0 {
			r.rest = fmt.Sprintf("%d,ChatGPT,%d,%d,%d,Conversation log\n", r.at*3, 1+r.at%900, 1+r.at%300, 2+r.at%900+r.at%300)
		}
		r.at++
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// A million rows take no memory that grows with them.
func TestStreams(t *testing.T) {
	n := 1_000_000
	if testing.Short() {
		n = 50_000
	}
	r, err := NewReader("big", &rows{n: n})
	if err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	debug.FreeOSMemory() // what other tests took
	runtime.ReadMemStats(&before)
	got, err := readAll(r)
	if err != nil || got.rows != n {
		t.Fatalf("%+v, %v", got, err)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	held := after.HeapSys - after.HeapReleased
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 4<<20 || held > 100<<20 {
		t.Errorf("the heap grew by %d bytes and takes %d of the system", grown, held)
	}
}
