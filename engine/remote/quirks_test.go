package remote

import (
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"jouletop/engine"
)

// event words a server-sent event.
func sse(data string) string { return "data: " + data + "\n\n" }

// said is n chunks of one text each, with a pause before each; with "%d" in
// form for their number.
func said(n int, form string) string {
	var b strings.Builder
	for i := range n {
		b.WriteString("PAUSE" + sse(strings.ReplaceAll(form, "%d", fmt.Sprint(i))))
	}
	return b.String()
}

const (
	oneToken = `{"choices":[{"text":"w%d "}]}`
	cutOff   = `{"choices":[{"text":"","finish_reason":"length"}]}`
	stopped  = `{"choices":[{"text":"","finish_reason":"stop"}]}`
	allDone  = "data: [DONE]\n\n"
)

func used(prompt, completion int, more string) string {
	return sse(fmt.Sprintf(`{"choices":[],"usage":{"prompt_tokens":%d,"completion_tokens":%d%s}}`, prompt, completion, more))
}

// A stream is judged before it is a measurement. Each request asks for 10 tokens.
func TestQuirksOfStreams(t *testing.T) {
	inOneChunk := func(n int) string {
		return "PAUSE" + sse(fmt.Sprintf(`{"choices":[{"text":"%s"}]}`, strings.Repeat("word ", n)))
	}
	for name, c := range map[string]struct {
		script  string
		err     string
		in, out int
		known   bool // when the prefill ended
		flags   string
		text    string // "" for any
	}{
		"well":                {said(10, oneToken) + sse(cutOff) + used(7, 10, "") + allDone, "", 7, 10, true, "", ""},
		"the end is a token":  {said(9, oneToken) + "PAUSE" + sse(stopped) + used(7, 10, "") + allDone, "", 7, 10, true, "", ""},
		"hidden reasoning":    {said(3, oneToken) + sse(cutOff) + used(7, 10, `,"completion_tokens_details":{"reasoning_tokens":7}`) + allDone, "", 7, 10, false, "hidden-tokens", "w0 w1 w2 "},
		"nothing but hidden":  {"PAUSE" + sse(cutOff) + used(7, 10, `,"output_tokens_details":{"reasoning_tokens":10}`) + allDone, "", 7, 10, false, "hidden-tokens", ""},
		"shown reasoning":     {said(7, `{"choices":[{"delta":{"reasoning":"t%d "}}]}`) + said(3, oneToken) + sse(cutOff) + used(7, 10, `,"completion_tokens_details":{"reasoning_tokens":7}`) + allDone, "", 7, 10, true, "", "w0 w1 w2 "},
		"all at once":         {"PAUSE" + strings.ReplaceAll(said(10, oneToken), "PAUSE", "") + sse(cutOff) + used(7, 10, "") + allDone, "", 7, 10, false, "buffered-stream", ""},
		"in bursts":           {strings.Repeat("PAUSE"+strings.ReplaceAll(said(5, oneToken), "PAUSE", ""), 2) + sse(cutOff) + used(7, 10, "") + allDone, "", 7, 10, false, "buffered-stream", ""},
		"five a chunk":        {inOneChunk(5) + inOneChunk(5) + sse(cutOff) + used(7, 10, "") + allDone, "", 7, 10, false, "buffered-stream", ""},
		"one chunk":           {inOneChunk(10) + sse(cutOff) + used(7, 10, "") + allDone, "", 7, 10, false, "buffered-stream", ""},
		"five a chunk, blind": {inOneChunk(5) + inOneChunk(5) + sse(cutOff) + allDone, "", -1, 10, false, "buffered-stream+count-doubtful", ""},
		"blind, of its own":   {inOneChunk(5) + inOneChunk(3) + sse(stopped) + allDone, "", -1, -1, false, "buffered-stream+count-doubtful", ""},
		"counted as it goes":  {said(1, `{"choices":[{"text":"w"}],"usage":{"prompt_tokens":7,"completion_tokens":1}}`) + "PAUSE" + sse(`{"choices":[{"text":"wwww"}],"usage":{"prompt_tokens":7,"completion_tokens":5}}`) + "PAUSE" + sse(cutOff) + allDone, "", 7, 5, true, "cut-short", ""},
		"each chunk's own":    {said(10, `{"choices":[{"text":"w"}],"usage":{"prompt_tokens":7,"completion_tokens":1}}`) + sse(cutOff) + allDone, "", 7, 10, true, "", ""},
		"other names":         {said(10, oneToken) + sse(cutOff) + sse(`{"choices":[],"usage":{"input_tokens":7,"output_tokens":10}}`) + allDone, "", 7, 10, true, "", ""},
		"in x_groq":           {said(10, oneToken) + sse(`{"choices":[{"text":"","finish_reason":"length"}],"x_groq":{"id":"1","usage":{"prompt_tokens":7,"completion_tokens":10}}}`) + allDone, "", 7, 10, true, "", ""},
		"in a choice":         {said(10, oneToken) + sse(`{"choices":[{"text":"","finish_reason":"length","usage":{"prompt_tokens":7,"completion_tokens":10}}]}`) + allDone, "", 7, 10, true, "", ""},
		"zeros":               {said(10, oneToken) + sse(cutOff) + used(0, 0, "") + allDone, "", -1, 10, true, "count-doubtful", ""},
		"too long a prompt":   {said(10, oneToken) + sse(cutOff) + used(5_000_000, 10, "") + allDone, "", -1, 10, true, "count-doubtful", ""},
		"max_tokens ignored":  {said(30, oneToken) + sse(stopped) + used(7, 30, "") + allDone, "", 7, 30, true, "max-tokens-ignored", ""},
		"cached":              {said(10, oneToken) + sse(cutOff) + used(7, 10, `,"prompt_tokens_details":{"cached_tokens":5}`) + allDone, "", 7, 10, true, "cached-tokens", ""},
		"nothing cached":      {said(10, oneToken) + sse(cutOff) + used(7, 10, `,"prompt_tokens_details":{"cached_tokens":0}`) + allDone, "", 7, 10, true, "", ""},
		"no reason":           {said(10, oneToken) + used(7, 10, "") + allDone, "", 7, 10, true, "end-doubtful", ""},
		"a reason too soon":   {said(10, `{"choices":[{"text":"w%d ","finish_reason":"stop"}]}`) + used(7, 10, "") + allDone, "", 7, 10, true, "", ""},
		"a reason as object":  {said(10, oneToken) + sse(`{"choices":[{"text":"","finish_reason":{"type":"EOS_TOKEN"}}]}`) + used(7, 10, "") + allDone, "", 7, 10, true, "", ""},
		"MAX_TOKENS":          {said(10, oneToken) + sse(`{"choices":[{"text":"","finish_reason":"MAX_TOKENS"}]}`) + used(7, 10, "") + allDone, "", 7, 10, true, "", ""},
		"abort":               {said(5, oneToken) + sse(`{"choices":[{"text":"","finish_reason":"abort"}]}`) + used(7, 5, "") + allDone, `finish_reason "abort"`, 7, 5, false, "", "w0 w1 w2 w3 w4 "},
		"content_filter":      {sse(`{"choices":[{"text":"","finish_reason":"content_filter"}]}`) + allDone, `finish_reason "content_filter"`, -1, 0, false, "", ""},
		"error as reason":     {said(5, oneToken) + sse(`{"choices":[{"text":"","finish_reason":"error"}]}`) + allDone, `finish_reason "error"`, -1, 5, false, "", ""},
		"both names":          {said(10, `{"choices":[{"delta":{"reasoning":"t%d ","reasoning_content":"t%d "}}]}`) + sse(cutOff) + used(7, 10, "") + allDone, "", 7, 10, true, "", ""},
		"parts":               {said(9, `{"choices":[{"delta":{"content":[{"type":"thinking","thinking":[{"type":"text","text":"t"}]}]}}]}`) + said(1, `{"choices":[{"delta":{"content":[{"type":"text","text":"an"},{"type":"text","text":"swer"}]}}]}`) + sse(cutOff) + used(7, 10, "") + allDone, "", 7, 10, true, "", "answer"},
		"a tool's call":       {said(9, `{"choices":[{"delta":{"content":null,"tool_calls":[{"index":0,"function":{"arguments":"x"}}]}}]}`) + sse(`{"choices":[{"delta":{},"finish_reason":"tool_calls"}]}`) + used(7, 10, "") + allDone, "", 7, 10, true, "", ""},
		"JSON":                {`PAUSE{"choices":[{"message":{"content":"whole"},"finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":3}}`, "", 7, 3, false, "buffered-stream", "whole"},
		"an error as JSON":    {`{"error":{"message":"out of luck"}}`, "out of luck", -1, 0, false, "", ""},
		"lines of JSON":       {strings.ReplaceAll(said(10, oneToken), "data: ", "") + cutOff + "\n" + `{"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":10}}`, "", 7, 10, true, "", ""},
		"a web page":          {"\n <!DOCTYPE html><html></html>", "this is a web page", -1, 0, false, "", ""},
		"comments before":     {": wait\n\nPAUSE: wait\n\n" + sse(`{"choices":[{"text":""}]}`) + said(10, oneToken) + sse(cutOff) + used(7, 10, "") + allDone, "", 7, 10, true, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, func(s *server) { s.scripts = map[string]string{name: c.script} })
			b := open(t, s, func(o *Options) { o.Stall = 10 * time.Second })
			obs := &heard{}
			results, err := b.Run(t.Context(), batch(10, name), obs)
			if err != nil {
				t.Fatal(err)
			}
			r := results[0]
			if c.err == "" && r.Err != nil || c.err != "" && (r.Err == nil || !strings.Contains(r.Err.Error(), c.err)) {
				t.Errorf("error %v, want %q", r.Err, c.err)
			}
			if r.InputTokens != c.in || r.OutputTokens != c.out || string(r.Flags) != c.flags {
				t.Errorf("%d tokens in, %d out, flags %q; want %d, %d, %q", r.InputTokens, r.OutputTokens, r.Flags, c.in, c.out, c.flags)
			}
			if (r.PrefillEndNS > 0) != c.known || c.text != "" && r.Output.Text != c.text {
				t.Errorf("prefill ended at %d (began at %d), text %q", r.PrefillEndNS, r.StartNS, r.Output.Text)
			}
			if first := strings.Split(obs.shape(), " ")[0]; c.err == "" && first != map[bool]string{true: "prefill", false: "mixed"}[c.known] {
				t.Errorf("phases %q", obs.shape())
			}
			if want := map[string]int{"cached": 5, "nothing cached": 0}; name == "cached" || name == "nothing cached" {
				if r.CachedTokens != want[name] {
					t.Errorf("%d cached", r.CachedTokens)
				}
			} else if r.CachedTokens != -1 {
				t.Errorf("%d cached; nobody said so", r.CachedTokens)
			}
		})
	}
}

// A server's own word for its phases stands, as long as it can be.
func TestTimings(t *testing.T) {
	stream := func(timings string) string {
		return "PAUSEPAUSEPAUSE" + strings.ReplaceAll(said(10, oneToken), "PAUSE", "") +
			sse(`{"choices":[{"text":"","finish_reason":"length"}],"usage":{"prompt_tokens":7,"completion_tokens":10},`+timings+`}`) + allDone
	}
	for name, c := range map[string]struct {
		timings         string
		prefill, decode float64 // s
		cached          int
		flags           string
	}{
		"llama-server":   {`"timings":{"cache_n":3,"prompt_n":4,"prompt_ms":10.5,"predicted_n":10,"predicted_ms":20.25}`, 0.0105, 0.02025, 3, "cached-tokens"},
		"nothing cached": {`"timings":{"cache_n":0,"prompt_n":7,"prompt_ms":10,"predicted_n":10,"predicted_ms":20}`, 0.01, 0.02, 0, ""},
		"too long":       {`"timings":{"cache_n":0,"prompt_ms":10000,"predicted_ms":20}`, math.NaN(), math.NaN(), 0, "buffered-stream"},
		"negative":       {`"timings":{"cache_n":0,"prompt_ms":-10,"predicted_ms":20}`, math.NaN(), math.NaN(), 0, "buffered-stream"},
		"odd":            {`"timings":"none"`, math.NaN(), math.NaN(), -1, "buffered-stream"},
		"Groq":           {`"x_groq":{"usage":{"prompt_tokens":7,"completion_tokens":10,"prompt_time":0.01,"completion_time":0.02}}`, math.NaN(), math.NaN(), -1, "buffered-stream"},
	} {
		script := stream(c.timings)
		if name == "Groq" { // there alone
			script = strings.Replace(script, `"usage":{"prompt_tokens":7,"completion_tokens":10},`, "", 1)
			c.prefill, c.decode, c.flags = 0.01, 0.02, ""
		}
		s := newServer(t, func(s *server) { s.scripts = map[string]string{name: script} })
		b := open(t, s, nil)
		results, err := b.Run(t.Context(), batch(10, name), &heard{})
		if err != nil || results[0].Err != nil {
			t.Fatal(name, err, results[0].Err)
		}
		r := results[0]
		prefill, decode := math.NaN(), math.NaN()
		if r.PrefillEndNS > 0 {
			prefill, decode = float64(r.PrefillEndNS-r.PrefillStartNS)/1e9, float64(r.EndNS-r.PrefillEndNS)/1e9
		}
		same := func(a, b float64) bool { return math.IsNaN(a) && math.IsNaN(b) || math.Abs(a-b) < 1e-6 }
		if !same(prefill, c.prefill) || !same(decode, c.decode) || r.CachedTokens != c.cached || string(r.Flags) != c.flags {
			t.Errorf("%s: prefill %g s, decode %g s, %d cached, flags %q", name, prefill, decode, r.CachedTokens, r.Flags)
		}
		if told := float64(r.ServerDecodeNS) / 1e9; name != "odd" && !same(told, 0.02) && !same(told, 0.02025) { // believed or not
			t.Errorf("%s: the server said a decode of %g s", name, told)
		}
		if r.FirstTokenNS-r.StartNS < 3*int64(pause) {
			t.Errorf("%s: the reader saw the first token after %d ns", name, r.FirstTokenNS-r.StartNS)
		}
	}
}

func TestThoughtsAreNoAnswer(t *testing.T) {
	for text, want := range map[string][2]string{
		"<think>Let me see.</think>\n\nParis": {"Paris", "Let me see."},
		"Let me see.</think>Paris":            {"Paris", "Let me see."}, // the template opened it
		"<think>and on and on":                {"", "and on and on"},
		"Paris":                               {"Paris", ""},
		"a <think> b </think> c":              {"a <think> b </think> c", ""},
		"<reasoning>hm</reasoning>four":       {"four", "hm"},
	} {
		g := &generation{q: engine.Request{Chat: true}}
		g.res.Output.Text = text
		g.splitThoughts()
		if got := [2]string{g.res.Output.Text, g.res.Output.Reasoning}; got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
}

// Each prompt is unlike all before from its beginning on, and the texts of one
// scored request are alike.
func TestNonces(t *testing.T) {
	s := newServer(t, func(s *server) { s.nonces = true })
	b := open(t, s, func(o *Options) { o.KeepCache = false; o.NonceSeed = 7 })
	q := batch(2, "x", "x")
	q.Requests[1].Chat = true
	for range 2 {
		if results, err := b.Run(t.Context(), q, &heard{}); err != nil || results[0].Err != nil || results[1].Err != nil {
			t.Fatal(err, results)
		}
	}
	seen := map[string]bool{}
	for _, p := range s.prompts {
		nonce, rest, ok := strings.Cut(p, "\n")
		if !ok || len(nonce) != 12 || rest != "x" || seen[nonce[:4]] {
			t.Errorf("prompt %q", p)
		}
		seen[nonce[:4]] = true
	}
	if len(seen) != 4 {
		t.Errorf("%d prompts", len(seen))
	}
	s.prompts = nil
	if results, err := b.Run(t.Context(), options("Is it", " so", " not"), &heard{}); err != nil || results[0].Err != nil || results[0].Output.Choice != 0 {
		t.Fatal(err, results)
	}
	first, _, _ := strings.Cut(s.prompts[0], "\n")
	if len(s.prompts) != 3 || !strings.HasPrefix(s.prompts[1], first) || !strings.HasPrefix(s.prompts[2], first) {
		t.Errorf("scored %q", s.prompts)
	}
	again := open(t, s, func(o *Options) { o.KeepCache = false; o.NonceSeed = 7 })
	if a, other := again.nonce(), (&Backend{opt: Options{NonceSeed: 8}}).nonce(); a == other || a == again.nonce() {
		t.Errorf("nonces %q and %q", a, other)
	}
}

// llama-server keeps what all prompts begin with unless it is told not to.
func TestLlamaServerIsAskedNotToKeep(t *testing.T) {
	for _, keep := range []bool{false, true} {
		s := newServer(t, func(s *server) {
			s.nonces = !keep
			s.models = `{"data":[{"id":"m","owned_by":"llamacpp","meta":{"n_ctx":512,"n_ctx_train":8192}}]}`
		})
		b := open(t, s, func(o *Options) { o.KeepCache = keep })
		if _, err := b.Run(t.Context(), batch(2, "x"), &heard{}); err != nil {
			t.Fatal(err)
		}
		if got, there := s.bodies[0]["cache_prompt"]; there == keep || there && got != false {
			t.Errorf("keep %v: cache_prompt %v", keep, got)
		}
	}
}

func TestAdapts(t *testing.T) {
	for name, c := range map[string]struct {
		code    int
		says    string
		refuses func(body string) bool
		flags   string
	}{
		"temperature":       {400, `{"error":{"message":"Unsupported value: 'temperature' does not support 0 with this model."}}`, func(b string) bool { return strings.Contains(b, `"temperature":0`) }, "not-greedy"},
		"by parameter":      {400, `{"error":{"message":"unsupported value","param":"temperature"}}`, func(b string) bool { return strings.Contains(b, `"temperature":0`) }, "not-greedy"},
		"max_tokens":        {400, `{"error":{"message":"max_tokens is not accepted"}}`, func(b string) bool { return strings.Contains(b, `"max_tokens"`) }, ""},
		"a list of details": {422, `{"detail":[{"loc":["body","stream_options"],"msg":"extra fields not permitted"}]}`, func(b string) bool { return strings.Contains(b, "stream_options") }, "count-doubtful"},
		"as a failure":      {500, `{"error":{"message":"stream_options is not a parameter"}}`, func(b string) bool { return strings.Contains(b, "stream_options") }, "count-doubtful"},
		"without a name":    {400, `{"error":"bad request"}`, func(b string) bool { return strings.Contains(b, "stream_options") }, "count-doubtful"},
	} {
		var tries atomic.Int32
		s := newServer(t, nil)
		inner := s.Config.Handler
		picky := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body := make([]byte, r.ContentLength+1)
			n, _ := r.Body.Read(body[:max(r.ContentLength, 0)])
			if strings.HasSuffix(r.URL.Path, "completions") {
				tries.Add(1)
				if c.refuses(string(body[:n])) {
					w.WriteHeader(c.code)
					_, _ = w.Write([]byte(c.says))
					return
				}
				w.Header().Set("Content-Type", "text/event-stream")
				usage := ""
				if strings.Contains(string(body[:n]), "include_usage") {
					usage = used(7, 2, "")
				}
				_, _ = w.Write([]byte(sse(`{"choices":[{"text":"a"}]}`)))
				w.(http.Flusher).Flush()
				time.Sleep(pause)
				_, _ = w.Write([]byte(sse(`{"choices":[{"text":"b"}]}`) + sse(cutOff) + usage + allDone))
				return
			}
			inner.ServeHTTP(w, r)
		}))
		b := open(t, &server{Server: picky}, nil)
		for i := range 2 {
			results, err := b.Run(t.Context(), batch(2, "x"), &heard{})
			if err != nil || results[0].Err != nil || string(results[0].Flags) != c.flags || results[0].OutputTokens != 2 {
				t.Errorf("%s: %v, %+v", name, err, results)
			}
			if i == 1 && tries.Swap(0) != 1 {
				t.Errorf("%s: it does not remember", name)
			}
			tries.Store(0)
		}
		picky.Close()
	}
}
