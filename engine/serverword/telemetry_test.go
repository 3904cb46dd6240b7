package serverword

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"
)

const llamaPage = `# HELP llamacpp:prompt_tokens_total Number of prompt tokens processed, excluding cached tokens
# TYPE llamacpp:prompt_tokens_total counter
llamacpp:prompt_tokens_total 1573
# TYPE llamacpp:tokens_predicted_total counter
llamacpp:tokens_predicted_total 2416
# TYPE llamacpp:n_decode_total counter
llamacpp:n_decode_total 1337
# TYPE llamacpp:requests_processing gauge
llamacpp:requests_processing 8
# TYPE llamacpp:requests_deferred gauge
llamacpp:requests_deferred 3
`

const vllmPage = `# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="m"} 5.0
vllm:num_requests_running{engine="1",model_name="m"} 2.0
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{engine="0",model_name="m"} 1.0
# TYPE vllm:prompt_tokens_total counter
vllm:prompt_tokens_total{engine="0",model_name="m"} 9000.0
# TYPE vllm:generation_tokens_total counter
vllm:generation_tokens_total{engine="0",model_name="m"} 400.0
# TYPE vllm:iteration_tokens_total histogram
vllm:iteration_tokens_total_bucket{engine="0",le="1.0"} 3.0
vllm:iteration_tokens_total_bucket{engine="0",le="+Inf"} 77.0
vllm:iteration_tokens_total_sum{engine="0"} 9400.0
vllm:iteration_tokens_total_count{engine="0"} 77.0
`

func TestParseMetrics(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		name, text string
		want       Reading
		bad        bool
	}{
		{name: "llama-server", text: llamaPage, want: Reading{Kind: LlamaServer, Running: 8, Waiting: 3, Read: 1573, Made: 2416, Passes: 1337}},
		{name: "vllm", text: vllmPage, want: Reading{Kind: VLLM, Running: 7, Waiting: 1, Read: 9000, Made: 400, Passes: 77}},
		{name: "sglang", text: "sglang:num_running_reqs{model_name=\"Qwen/Qwen3\"} 8\nsglang:num_queue_reqs 4\n", want: Reading{Kind: SGLang, Running: 8, Waiting: 4, Read: nan, Made: nan, Passes: nan}},
		{name: "lies", text: "llamacpp:n_decode_total -3\nllamacpp:requests_processing NaN\nllamacpp:requests_deferred +Inf\nllamacpp:tokens_predicted_total 1e300\nllamacpp:prompt_tokens_total 7\n",
			want: Reading{Kind: LlamaServer, Running: nan, Waiting: nan, Read: 7, Made: nan, Passes: nan, Impossible: 4}},
		{name: "another", text: "process_cpu_seconds_total 3\n", bad: true},
		{name: "none", bad: true},
		{name: "a web page", text: "<html><body>hello</body></html>", bad: true},
		{name: "cut", text: vllmPage[:len(vllmPage)/2] + "{", bad: true},
		{name: "endless", text: strings.Repeat("# HELP a b\n", maxMetrics/11+1), bad: true},
	} {
		got, err := ParseMetrics(strings.NewReader(c.text))
		if c.bad {
			if !errors.Is(err, ErrMalformed) {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		same := func(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) }
		if err != nil || got.Kind != c.want.Kind || got.Impossible != c.want.Impossible || !same(got.Running, c.want.Running) || !same(got.Waiting, c.want.Waiting) ||
			!same(got.Read, c.want.Read) || !same(got.Made, c.want.Made) || !same(got.Passes, c.want.Passes) {
			t.Errorf("%s: %+v, want %+v (%v)", c.name, got, c.want, err)
		}
	}
}

func TestParseSlots(t *testing.T) {
	for _, c := range []struct {
		text string
		want Slots
	}{
		{`[{"id":0,"is_processing":true,"n_ctx":2048},{"id":1,"is_processing":false}]`, Slots{2, 1}},
		{`[]`, Slots{}}, {`{"error":{"code":501}}`, Slots{}}, {`[{"id":0}]`, Slots{}}, {`[{"id":0,"is_processing":true},{"id":0,"is_processing":true}]`, Slots{}}, {``, Slots{}},
	} {
		got, err := ParseSlots([]byte(c.text))
		if got != c.want || (err == nil) != (c.want.All > 0) || err != nil && !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %+v, %v", c.text, got, err)
		}
	}
}

const (
	vllmLog = `(EngineCore_DP0 pid=77) INFO 11-26 19:03:21 [core.py:412] Iteration(57): 2 context requests, 812 context tokens, 5 generation requests, 5 generation tokens, iteration elapsed time: 21.35 ms`
	fpmLine = `{"version":1,"worker_id":"w1","dp_rank":0,"counter_id":9,"wall_time":0.0125,"scheduled_requests":{"num_prefill_requests":1,"sum_prefill_tokens":512,"num_decode_requests":7,"sum_decode_kv_tokens":4096},"queued_requests":{"num_prefill_requests":2,"num_decode_requests":1}}`
)

func TestParseLines(t *testing.T) {
	for _, c := range []struct {
		name, text string
		parse      func([]byte) (Pass, bool, error)
		want       Pass
		some, bad  bool
	}{
		{name: "vllm", text: vllmLog, parse: ParseVLLM, some: true, want: Pass{Prefills: 2, PrefillTokens: 812, Decodes: 5, DecodeTokens: 5, KVTokens: -1, Queued: -1, Seconds: 0.02135, Number: 57, Worker: "EngineCore_DP0"}},
		{name: "with more at its end", text: vllmLog + ", GPU KV cache usage: 3.1%", parse: ParseVLLM, some: true, want: Pass{Prefills: 2, PrefillTokens: 812, Decodes: 5, DecodeTokens: 5, KVTokens: -1, Queued: -1, Seconds: 0.02135, Number: 57, Worker: "EngineCore_DP0"}},
		{name: "dummy", text: `Iteration(3): 0 context requests, 0 context tokens, 0 generation requests, 0 generation tokens, iteration elapsed time: 0.50 ms (dummy)`, parse: ParseVLLM, want: Pass{KVTokens: -1, Queued: -1, Seconds: 0.0005, Number: 3}},
		{name: "another line", text: "INFO 11-26 GET /metrics", parse: ParseVLLM, want: Pass{Number: -1}},
		{name: "half a line", text: vllmLog[:130], parse: ParseVLLM, bad: true},
		{name: "tokens of nobody", text: strings.Replace(vllmLog, "2 context requests", "0 context requests", 1), parse: ParseVLLM, bad: true},
		{name: "fewer tokens than requests", text: strings.Replace(vllmLog, "5 generation tokens", "4 generation tokens", 1), parse: ParseVLLM, bad: true},
		{name: "hours", text: strings.Replace(vllmLog, "21.35", "99999999", 1), parse: ParseVLLM, bad: true},
		{name: "dynamo", text: fpmLine, parse: ParseDynamo, some: true, want: Pass{Prefills: 1, PrefillTokens: 512, Decodes: 7, DecodeTokens: 7, KVTokens: 4096, Queued: 3, Seconds: 0.0125, Number: 9, Worker: "w1/0"}},
		{name: "of a trace", text: `{"schema":"dynamo.fpm.trace.v1","observed_at_unix_ms":1764183801000,"fpm":` + fpmLine + `}`, parse: ParseDynamo, some: true,
			want: Pass{Prefills: 1, PrefillTokens: 512, Decodes: 7, DecodeTokens: 7, KVTokens: 4096, Queued: 3, Seconds: 0.0125, Number: 9, Worker: "w1/0", WallNS: 1764183801000e6}},
		{name: "sign of life", text: `{"worker_id":"w1","counter_id":4,"wall_time":0,"scheduled_requests":{}}`, parse: ParseDynamo, want: Pass{Queued: -1, Number: 4, Worker: "w1/0"}},
		{name: "negative", text: strings.Replace(fpmLine, "512", "-512", 1), parse: ParseDynamo, bad: true},
		{name: "half a token", text: strings.Replace(fpmLine, "512", "512.5", 1), parse: ParseDynamo, bad: true},
		{name: "giant", text: strings.Replace(fpmLine, "512", "1e300", 1), parse: ParseDynamo, bad: true},
		{name: "negative time", text: strings.Replace(fpmLine, "0.0125", "-1", 1), parse: ParseDynamo, bad: true},
		{name: "nothing", text: `{}`, parse: ParseDynamo, bad: true},
		{name: "cut", text: fpmLine[:60], parse: ParseDynamo, bad: true},
	} {
		got, some, err := c.parse([]byte(c.text))
		if c.bad {
			if !errors.Is(err, ErrMalformed) || some {
				t.Errorf("%s: %v, %v", c.name, some, err)
			}
			continue
		}
		if err != nil || some != c.some || got != c.want {
			t.Errorf("%s: %+v, %v, %v; want %+v", c.name, got, some, err, c.want)
		}
	}
}

// Date headers bound the skew, and asking at the right moments does so soon; a clock that
// is set is noticed.
func TestSkew(t *testing.T) {
	const skew, back = 1370 * time.Millisecond, 3 * time.Millisecond
	var s Skew
	now := time.Unix(1_764_000_000, 123_456_789)
	ask := func(skew time.Duration) {
		asked := now
		now = now.Add(back)
		s.See(now.Add(-back/2).Add(skew).UTC().Truncate(time.Second).Format("Mon, 02 Jan 2006 15:04:05 GMT"), asked, now)
	}
	if v, most := s.Bound(); !math.IsNaN(v) || !math.IsNaN(most) || s.Ask(now) != 0 {
		t.Errorf("%g ± %g before any", v, most)
	}
	ask(skew)
	if v, most := s.Bound(); math.Abs(v-skew.Seconds()) > most || most < 0.4 {
		t.Errorf("%g ± %g after one", v, most)
	}
	for range 12 {
		now = now.Add(200 * time.Millisecond)
		now = now.Add(s.Ask(now))
		ask(skew)
		if v, most := s.Bound(); math.Abs(v-skew.Seconds()) > most {
			t.Errorf("%g ± %g", v, most)
		}
	}
	if _, most := s.Bound(); most > 0.005 || s.Steps != 0 {
		t.Errorf("± %g after 13, %d steps", most, s.Steps)
	}
	ask(skew + 5*time.Second)
	if v, most := s.Bound(); s.Steps != 1 || math.Abs(v-skew.Seconds()-5) > most {
		t.Errorf("%g ± %g, %d steps after its clock was set", v, most, s.Steps)
	}
	s.See("yesterday", now, now)
	s.See("", now, now.Add(-1))
	if s.Seen != 14 {
		t.Errorf("%d headers", s.Seen)
	}
}

func FuzzParseMetrics(f *testing.F) {
	for _, s := range []string{llamaPage, vllmPage, "sglang:num_running_reqs 8\n", "llamacpp:n_decode_total -3\n", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := ParseMetrics(strings.NewReader(text))
		if err != nil && !errors.Is(err, ErrMalformed) || err == nil && r.Kind == Unknown {
			t.Fatalf("%+v, %v", r, err)
		}
		for _, v := range []float64{r.Running, r.Waiting, r.Read, r.Made, r.Passes} {
			if v < 0 || math.IsInf(v, 0) {
				t.Fatalf("%+v", r)
			}
		}
	})
}

func FuzzParseSlots(f *testing.F) {
	f.Add([]byte(`[{"id":0,"is_processing":true}]`))
	f.Add([]byte(`{"error":1}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if s, err := ParseSlots(text); err == nil && (s.All < 1 || s.Busy > s.All) {
			t.Fatalf("%+v", s)
		}
	})
}

func FuzzParseLines(f *testing.F) {
	for _, s := range []string{vllmLog, fpmLine, `{"fpm":` + fpmLine + `,"observed_at_unix_ms":5}`, "Iteration(", `{"scheduled_requests":{},"wall_time":1e999}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, parse := range []func([]byte) (Pass, bool, error){ParseVLLM, ParseDynamo} {
			p, some, err := parse(text)
			if err != nil && (some || !errors.Is(err, ErrMalformed)) || some && (!p.possible() || p.Prefills+p.Decodes == 0 || len(p.Worker) > 128) {
				t.Fatalf("%+v, %v, %v", p, some, err)
			}
		}
	})
}
