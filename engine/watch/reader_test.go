package watch

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

// read gives a reader an output, so many bytes at a time.
func read(command []string, output string, step int) (r *Reader, tests []Test) {
	r = NewReader(command)
	r.Test = func(t Test, _ int64) { tests = append(tests, t) }
	for i := 0; i < len(output); i += step {
		r.Write([]byte(output[i:min(i+step, len(output))]), int64(i))
	}
	r.Close(int64(len(output)))
	return r, tests
}

// row is a test as llama-bench's JSON has it: runs of so many ns.
func row(prompt, gen int, ns float64, runs int, more string) string {
	samples := strings.TrimSuffix(strings.Repeat(fmt.Sprintf("%.0f, ", ns), runs), ", ")
	return fmt.Sprintf(`{"build_commit": "abc", "backends": "CUDA", "model_filename": "/models/a{b.gguf", "model_type": "llama 8B", "n_batch": 2048, "n_gpu_layers": 99, `+
		`"n_prompt": %d, "n_gen": %d, %s"test_time": "2026-11-26T19:00:05Z", "avg_ns": %.0f, "avg_ts": %f, "stddev_ts": 0.5, "samples_ns": [ %s ],"samples_ts": [ 1 ]}`,
		prompt, gen, more, ns, 1e9*float64(prompt+gen)/ns, samples)
}

const table = `ggml_cuda_init: found 1 CUDA devices:
| model                          |       size |     params | backend    | ngl |            test |                  t/s |
| ------------------------------ | ---------: | ---------: | ---------- | --: | --------------: | -------------------: |
| llama 8B F16                   |  14.96 GiB |     8.03 B | CUDA       |  99 |           pp512 |      9500.25 ± 30.50 |
| llama 8B F16                   |  14.96 GiB |     8.03 B | CUDA       |  99 |           tg128 |         80.00 ± 0.10 |
| llama 8B F16                   |  14.96 GiB |     8.03 B | CUDA       |  99 |     pp512+tg128 |        300.00 ± 1.00 |
| llama 8B F16                   |  14.96 GiB |     8.03 B | CUDA       |  99 |   tg128 @ d4096 |         70.00 ± 0.10 |

build: abc (1)
`

const csvText = `build_commit,backends,model_filename,n_gpu_layers,n_prompt,n_gen,n_depth,test_time,avg_ns,stddev_ns,avg_ts,stddev_ts
"abc","CPU","m.gguf","0","512","0","0","2026-11-26T19:00:05Z","256000000","0","2000.000000","1.5"
`

const vllmText1 = `INFO starting
============ Serving Benchmark Result ============
Successful requests:                     100
Benchmark duration (s):                  12.50
Total input tokens:                      21800
Total generated tokens:                  12500
Request throughput (req/s):              8.00
Output token throughput (tok/s):         1000.00
---------------Time to First Token----------------
Mean TTFT (ms):                          25.10
==================================================
`

const vllmJSON = `{"date": "20261126-190000", "backend": "vllm", "model_id": "meta/Llama", "num_prompts": 100, "duration": 12.5, "completed": 100, "total_input_tokens": 21800, "total_output_tokens": 12500, "request_throughput": 8.0, "output_throughput": 1000.0, "errors": ["", "{\"}"], "nested": {"a": [{}]}}`

func TestLlamaBench(t *testing.T) {
	bench := []string{"/usr/bin/llama-bench", "-r", "3"}
	for _, c := range []struct {
		what    string
		command []string
		output  string
		want    string // of each test: name, runs, tokens, seconds
		doubt   string
	}{
		{"json lines", bench, row(512, 0, 5e7, 4, "") + "\n" + row(0, 128, 16e8, 2, "") + "\n", "pp512 4× 2048+0 0.200; tg128 2× 0+256 3.200", ""},
		{"json", bench, "[\n  " + row(512, 0, 5e7, 4, "") + ",\n  " + row(0, 128, 16e8, 2, "") + "\n]\n", "pp512 4× 2048+0 0.200; tg128 2× 0+256 3.200", ""},
		{"of a script", []string{"sh", "x"}, "hello {x}\n" + row(512, 0, 5e7, 4, "") + "\n", "pp512 4× 2048+0 0.200", ""},
		{"both at once", bench, row(512, 128, 1e9, 2, "") + "\n", "pp512+tg128 2× 1024+256 2.000", ""},
		{"another setting", bench, row(512, 0, 5e7, 4, "") + "\n" + row(512, 0, 4e7, 4, `"flash_attn": 1, `) + "\n", "pp512 4× 2048+0 0.200; pp512 flash_attn=1 4× 2048+0 0.160", ""},
		{"at a depth", bench, row(512, 0, 5e7, 4, `"n_depth": 4096, `) + "\n", "pp512 @ d4096 4× 2048+0 NaN", "what it reads before each run"},
		{"markdown", bench, table, "pp512 3× 1536+0 0.162; tg128 3× 0+384 4.800; pp512+tg128 3× 1536+384 6.400; tg128 @ d4096 3× 0+384 NaN", "what it reads before each run"},
		{"markdown on a terminal", bench, strings.ReplaceAll(table, "\n", "\x1b[0m\r\n"), "pp512 3× 1536+0 0.162; tg128 3× 0+384 4.800; pp512+tg128 3× 1536+384 6.400; tg128 @ d4096 3× 0+384 NaN", "what it reads before each run"},
		{"markdown of a script", []string{"sh", "x"}, table, "", "does not say how often"},
		{"markdown, runs by default", []string{"llama-bench"}, table[:strings.Index(table, "| llama 8B F16                   |  14.96 GiB |     8.03 B | CUDA       |  99 |           tg")], "pp512 5× 2560+0 0.269", ""},
		{"markdown, runs unlike", bench, strings.ReplaceAll(table[:strings.Index(table, "| llama 8B F16                   |  14.96 GiB |     8.03 B | CUDA       |  99 |           tg")], "± 30.50", "± 3000.50"), "pp512 3× 1536+0 NaN", "differ by so much"},
		{"csv", bench, csvText, "pp512 3× 1536+0 0.768", ""},
		{"contradiction", bench, strings.Replace(row(512, 0, 5e7, 4, ""), `"avg_ts": 10240`, `"avg_ts": 20240`, 1), "", "contradict each other"},
		{"no time", bench, row(512, 0, 0, 2, ""), "", ""},
		{"less than no time", bench, row(512, 0, -5e7, 2, ""), "", "a run took"},
		{"tokens beyond all bounds", bench, row(2e12, 0, 5e7, 2, ""), "", "a test of"},
		{"less than no tokens", bench, row(-5, 0, 5e7, 2, ""), "", "a test of"},
		{"no tokens", bench, row(0, 0, 5e7, 2, ""), "", "a test of"},
		{"half a test", bench, row(512, 0, 5e7, 4, "")[:100], "", ""},
		{"no test", bench, `{"n_prompt": 512}` + "\n{\n" + "| a | b |\n|---|---|\n| pp512 | 3 |\n", "", ""},
	} {
		for _, step := range []int{1, 7, 1 << 20} {
			r, tests := read(c.command, c.output, step)
			var got []string
			for _, x := range tests {
				got = append(got, fmt.Sprintf("%s %d× %d+%d %.3f", x.Name, x.Runs, x.Input, x.Output, x.Seconds))
			}
			if text := strings.Join(got, "; "); text != c.want {
				t.Errorf("%s: %s, want %s", c.what, text, c.want)
			}
			if text := strings.Join(r.Doubts(), "; "); c.doubt == "" && text != "" || !strings.Contains(text, c.doubt) {
				t.Errorf("%s: doubts %q, want %q", c.what, text, c.doubt)
			}
		}
	}
}

// A test is told when its last byte has come, not with the next.
func TestATestIsToldAtOnce(t *testing.T) {
	r, at := NewReader(nil), int64(-1)
	r.Test = func(x Test, t int64) { at = t }
	r.Write([]byte("[\n"+row(512, 0, 5e7, 4, "")), 7)
	if at != 7 {
		t.Errorf("told at %d", at)
	}
}

func TestModelAndPlace(t *testing.T) {
	_, tests := read(nil, row(512, 0, 5e7, 1, ""), 100)
	if x := tests[0]; x.Model != "a{b" || x.CPU || x.BeganUnix != 1795719605 {
		t.Errorf("%+v", x)
	}
	for backends, cpu := range map[string]bool{"CPU": true, "BLAS,CPU": true, "CUDA": false, "": false} {
		layers := 99
		if onCPU(llamaTest{Backends: backends, Layers: &layers}) != cpu {
			t.Errorf("%q", backends)
		}
	}
	if none := 0; !onCPU(llamaTest{Backends: "CUDA", Layers: &none}) {
		t.Error("no layers on the GPU")
	}
}

func TestVLLM(t *testing.T) {
	for _, c := range []struct {
		what, output string
		in, out      int // -2: nothing
		model, doubt string
	}{
		{"text", vllmText1, 21800, 12500, "", ""},
		{"json", vllmJSON, 21800, 12500, "meta/Llama", ""},
		{"both", vllmText1 + vllmJSON, 21800, 12500, "meta/Llama", ""},
		{"both, other way round", vllmJSON + "\n" + vllmText1, 21800, 12500, "meta/Llama", ""},
		{"two results", vllmText1 + strings.Replace(vllmText1, "21800", "21801", 1), -1, -1, "", "several results"},
		{"text cut short", strings.Split(vllmText1, "Total input")[0], -2, -2, "", "cannot be"},
		{"text without the rule below", strings.Split(vllmText1, "-----")[0], 21800, 12500, "", ""},
		{"too many", strings.Replace(vllmJSON, "21800", "21800000000000000", 1), -2, -2, "", "cannot be"},
		{"less than none", strings.Replace(vllmJSON, `"total_output_tokens": 12500`, `"total_output_tokens": -12500`, 1), -2, -2, "", "cannot be"},
		{"a part of a token", strings.Replace(vllmJSON, "21800", "21800.5", 1), -2, -2, "", "cannot be"},
		{"contradiction", strings.Replace(vllmJSON, `"output_throughput": 1000.0`, `"output_throughput": 10.0`, 1), -2, -2, "", "contradict"},
		{"no request", strings.Replace(vllmJSON, `"completed": 100`, `"completed": 0`, 1), -2, -2, "", "0 requests"},
		{"words for numbers", strings.Replace(vllmJSON, "21800", `"many"`, 1), -2, -2, "", "does not read"},
		{"control characters", strings.Replace(vllmJSON, "meta/", `\u001b]0;x\u0007`, 1), 21800, 12500, "�]0;x�Llama", ""},
	} {
		for _, step := range []int{1, 1 << 20} {
			r, _ := read(nil, c.output, step)
			got, ok := r.Totals()
			if ok != (c.in != -2) || ok && (got.Input != c.in || got.Output != c.out || got.Model != c.model) {
				t.Errorf("%s: %+v %v", c.what, got, ok)
			}
			if text := strings.Join(r.Doubts(), "; "); c.doubt == "" && text != "" || !strings.Contains(text, c.doubt) {
				t.Errorf("%s: doubts %q, want %q", c.what, text, c.doubt)
			}
		}
	}
}

// An output without end, or without lines, is passed over.
func TestBounds(t *testing.T) {
	r, tests := read(nil, strings.Repeat("x", 3*maxLine)+"\n"+row(512, 0, 5e7, 1, ""), 1<<12)
	if len(tests) != 1 || cap(r.line) > 2*maxLine {
		t.Errorf("%d tests, a line of %d", len(tests), cap(r.line))
	}
	r, tests = read(nil, `{"a": "`+strings.Repeat("x", maxObject)+`"}`+"\n"+row(512, 0, 5e7, 1, ""), 1<<16)
	if len(tests) != 1 || len(r.Doubts()) != 1 {
		t.Errorf("%d tests, %v", len(tests), r.Doubts())
	}
}

func FuzzReader(f *testing.F) {
	for _, s := range []string{table, csvText, vllmText1, vllmJSON, row(512, 0, 5e7, 4, "") + "\n" + row(0, 128, 16e8, 2, "")} {
		f.Add(s, 5)
	}
	f.Fuzz(func(t *testing.T, output string, step int) {
		r, tests := read([]string{"llama-bench"}, output, max(step, 1))
		for _, x := range tests {
			if x.Input < 0 || x.Output < 0 || x.Input+x.Output == 0 || x.Runs < 1 || !(x.TokensPerS > 0) || x.Seconds <= 0 || math.IsInf(x.Seconds, 0) {
				t.Errorf("%+v", x)
			}
		}
		if got, ok := r.Totals(); ok && (got.Input < -1 || got.Output < -1) {
			t.Errorf("%+v", got)
		}
	})
}

// A brace and megabytes of blanks are read a byte at a time, not all of them again for each:
// the command waits for whoever reads.
func TestBlanksAfterABrace(t *testing.T) {
	_, tests := read(nil, "{"+strings.Repeat("\n", 2<<20)+row(512, 0, 5e7, 3, "")[1:], 1<<16)
	if len(tests) != 1 || tests[0].Name != "pp512" {
		t.Errorf("%+v", tests)
	}
}
