package remote

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"jouletop/engine"
	"jouletop/workloads"
)

// heardOf sends a request to a server of that kind, which answers by the script, and
// returns what was heard of it: of the prompt as "tokens/cached/read/seconds", of each
// text how many tokens were made by it.
func heardOf(t *testing.T, models, script string) (prompts []string, made []int, s *server) {
	t.Helper()
	s = newServer(t, func(s *server) {
		s.models, s.scripts = models, map[string]string{"x": script}
	})
	b := open(t, s, nil)
	var mu sync.Mutex
	note := func(f func()) { mu.Lock(); defer mu.Unlock(); f() }
	r := b.Send(t.Context(), engine.Request{ID: "x", Query: workloads.Query{Prompt: "x"}, MaxTokens: 6}, engine.Heard{
		Sent: func(int64) {},
		Prompt: func(_ int64, p engine.PromptWord) {
			note(func() { prompts = append(prompts, fmt.Sprintf("%d/%d/%d/%g", p.Tokens, p.Cached, p.Read, p.Seconds)) })
		},
		Text: func(_ int64, _ string, n int) { note(func() { made = append(made, n) }) },
	})
	if r.Err != nil {
		t.Fatal(r.Err)
	}
	return prompts, made, s
}

const llamaModels = `{"data":[{"id":"m","owned_by":"llamacpp"}]}`

// said is an event of llama-server: text, or how a prompt comes forward.
func llamaEvent(text, more string) string {
	return fmt.Sprintf(`data: {"choices":[{"text":%q,"index":0,"finish_reason":null}]%s}`+"\n\n", text, more)
}

func llamaEnd(n int) string {
	return fmt.Sprintf(`data: {"choices":[{"text":"","index":0,"finish_reason":"length"}],"usage":{"prompt_tokens":40,"completion_tokens":%d},"timings":{"cache_n":8,"prompt_n":32,"prompt_ms":20,"predicted_n":%d,"predicted_ms":30}}`+"\n\ndata: [DONE]\n\n", n, n)
}

// What servers say of prompts and tokens in their streams is handed on, as far as it can
// be; a server that is none of them is not asked for it.
func TestHeard(t *testing.T) {
	progress := func(done int) string {
		return llamaEvent("", fmt.Sprintf(`,"prompt_progress":{"total":40,"cache":8,"processed":%d,"time_ms":3}`, done))
	}
	timed := func(n int) string {
		return fmt.Sprintf(`,"timings":{"cache_n":8,"prompt_n":32,"prompt_ms":20,"predicted_n":%d,"predicted_ms":3}`, n)
	}
	counted := func(n int) string {
		return fmt.Sprintf(`,"usage":{"prompt_tokens":40,"completion_tokens":%d,"prompt_tokens_details":{"cached_tokens":8}}`, n)
	}
	for _, c := range []struct {
		name, models, script string
		prompts              []string
		made                 []int
	}{
		{name: "llama-server", models: llamaModels,
			script:  progress(8) + progress(24) + progress(40) + llamaEvent("a ", timed(1)) + "PAUSE" + llamaEvent("b ", timed(3)) + "PAUSE" + llamaEvent("c ", timed(4)) + llamaEnd(5),
			prompts: []string{"40/8/8/NaN", "40/8/24/NaN", "40/8/40/NaN", "40/8/-1/0.02"}, made: []int{1, 3, 4}},
		{name: "vLLM", models: `{"data":[{"id":"m","owned_by":"vllm"}]}`,
			script:  llamaEvent("a ", counted(1)) + "PAUSE" + llamaEvent("b ", counted(2)) + "PAUSE" + llamaEvent("c ", counted(4)) + llamaEnd(4),
			prompts: []string{"40/8/-1/NaN"}, made: []int{1, 2, 4}},
		{name: "says nothing", models: `{"data":[{"id":"m"}]}`,
			script: llamaEvent("a ", "") + "PAUSE" + llamaEvent("b ", "") + "PAUSE" + llamaEvent("c ", "") + llamaEnd(3),
			made:   []int{0, 0, 0}},
		{name: "lies", models: llamaModels,
			script: progress(-5) + progress(4) + progress(41) + llamaEvent("", `,"prompt_progress":{"total":1e300,"cache":0,"processed":3}`) + llamaEvent("", `,"prompt_progress":"soon"`) +
				llamaEvent("a ", `,"timings":{"prompt_n":-3,"prompt_ms":20,"predicted_n":1e18,"predicted_ms":3}`) + "PAUSE" + llamaEvent("b ", timed(2)) + "PAUSE" + llamaEvent("c ", timed(2)) + llamaEnd(3),
			made: []int{0, 2, 0}},
	} {
		prompts, made, s := heardOf(t, c.models, c.script)
		if !slices.Equal(prompts, c.prompts) || !slices.Equal(made, c.made) {
			t.Errorf("%s: prompts %q, made %v; want %q, %v", c.name, prompts, made, c.prompts, c.made)
		}
		body := s.bodies[len(s.bodies)-1]
		if asks := body["return_progress"] == true && body["timings_per_token"] == true; asks != (c.models == llamaModels) {
			t.Errorf("%s: asked with %v", c.name, body)
		}
	}
}

// A server's pages beside its API are read with its key, and bounded.
func TestPage(t *testing.T) {
	s := newServer(t, func(s *server) {
		s.answers = map[string]string{"/metrics": "vllm:num_requests_running 3\n", "/slots": strings.Repeat("x", 5<<20)}
	})
	b := open(t, s, func(o *Options) {
		o.Getenv = func(name string) string { return map[string]string{"JOULETOP_API_KEY": "secret-key"}[name] }
	})
	text, date, err := b.Page(t.Context(), "metrics")
	if err != nil || string(text) != "vllm:num_requests_running 3\n" || date == "" || s.keys[len(s.keys)-1] != "Bearer secret-key" {
		t.Errorf("%q, %q, %v, keys %q", text, date, err, s.keys)
	}
	if text, _, err = b.Page(t.Context(), "slots"); err != nil || len(text) > 4<<20+1 {
		t.Errorf("%d bytes, %v", len(text), err)
	}
	if _, _, err = b.Page(t.Context(), "nothing"); err == nil {
		t.Error("a page that is not there")
	}
}

func FuzzStreamWords(f *testing.F) {
	for _, s := range []string{`{"total":40,"cache":8,"processed":24}`, `{"cache_n":8,"prompt_n":32,"prompt_ms":20,"predicted_n":5}`, `{"total":1e999}`, `"soon"`, `null`, `{"prompt_n":-1,"prompt_ms":1e300}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		const most = 100
		var p progress
		if err := p.UnmarshalJSON(text); err != nil {
			t.Fatal(err)
		}
		if p.credible(most) && !(p.Total >= 1 && p.Total <= most && p.Processed >= p.Cache && p.Processed <= p.Total && p.Cache >= 0) {
			t.Fatalf("%+v", p)
		}
		var times timings
		if err := times.UnmarshalJSON(text); err != nil {
			t.Fatal(err)
		}
		if n, cached, ok := times.prompt(most); ok && (n < 1 || cached < 0 || n+cached > most) {
			t.Fatalf("%d, %d", n, cached)
		}
	})
}
