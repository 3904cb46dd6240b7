package watch

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"

	"jouletop/gpu/plaintext"
)

// vllmResult is the result of `vllm bench serve` (vllm/benchmarks/serve.py), as it saves
// it.
type vllmResult struct {
	Model    string  `json:"model_id"`
	Input    float64 `json:"total_input_tokens"`
	Output   float64 `json:"total_output_tokens"`
	Duration float64 `json:"duration"` // s
	Speed    float64 `json:"output_throughput"`
	Requests float64 `json:"completed"`
}

func (r *Reader) vllm(text []byte) {
	v := vllmResult{Input: math.NaN(), Output: math.NaN(), Duration: math.NaN(), Speed: math.NaN(), Requests: math.NaN()}
	if err := json.Unmarshal(text, &v); err != nil {
		r.doubt("vLLM's result does not read: %v", err)
		return
	}
	r.total(v, "vLLM's result")
}

// count tells whether x counts something.
func count(x, most float64) bool { return x >= 0 && x <= most && x == math.Trunc(x) }

// total takes what a whole benchmark came to. What is told twice is the same, or not
// believed.
func (r *Reader) total(v vllmResult, from string) {
	switch {
	case !count(v.Input, mostTokens) || !count(v.Output, mostTokens) || v.Input+v.Output == 0:
		r.doubt("%s: %g tokens read and %g generated cannot be", from, v.Input, v.Output)
		return
	case !(v.Requests >= 1) || !count(v.Requests, v.Input+v.Output):
		r.doubt("%s: %g requests succeeded", from, v.Requests)
		return
	case !(v.Duration > 0) || !math.IsNaN(v.Speed) && !(math.Abs(v.Output/v.Duration-v.Speed) <= agree*v.Speed+0.01):
		r.doubt("%s: its tokens, seconds and tokens a second contradict each other", from)
		return
	}
	t := Totals{Model: plaintext.Line(v.Model), Input: int(v.Input), Output: int(v.Output), Requests: int(v.Requests), Seconds: v.Duration, From: from}
	if old := r.totals; old != nil {
		same := old.Input == t.Input && old.Output == t.Output && old.Requests == t.Requests
		if !same {
			r.doubt("there are several results; which tokens were all of the command's is not known")
			r.totals = &Totals{Input: -1, Output: -1, From: from}
			return
		}
		if t.Model == "" {
			return
		}
	}
	r.totals = &t
}

// vllmText reads the table that the benchmark prints.
type vllmText struct {
	open   bool
	result vllmResult
}

func (v *vllmText) line(r *Reader, line string) {
	rule := strings.HasPrefix(line, "=====")
	switch {
	case rule && strings.Contains(line, "Serving Benchmark Result"):
		v.end(r)
		nan := math.NaN()
		*v = vllmText{true, vllmResult{Input: nan, Output: nan, Duration: nan, Speed: nan, Requests: nan}}
		return
	case !v.open:
		return
	case rule:
		v.end(r)
		return
	}
	name, value, ok := strings.Cut(line, ":")
	x, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
	if !ok || err != nil {
		return
	}
	switch name {
	case "Successful requests":
		v.result.Requests = x
	case "Benchmark duration (s)":
		v.result.Duration = x
	case "Total input tokens":
		v.result.Input = x
	case "Total generated tokens":
		v.result.Output = x
	case "Output token throughput (tok/s)":
		v.result.Speed = x
	}
}

func (v *vllmText) end(r *Reader) {
	if v.open {
		v.open = false
		r.total(v.result, "vLLM's table")
	}
}
