package remote

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// server is an OpenAI-compatible endpoint that does what the prompts say.
type server struct {
	*httptest.Server
	t *testing.T

	mu       sync.Mutex
	tries    map[string]int // of each prompt
	bodies   []map[string]any
	keys     []string
	running  int
	most     int           // requests at once
	together chan struct{} // closed when two requests of "together" are there

	noUsage, strict, early, noScoring, tokenizer bool
	nonces                                       bool              // prompts begin with a line that is not of the prompt
	models                                       string            // of /v1/models; "" answers 404
	prompts                                      []string          // as they came
	echoes                                       string            // "500": that is the answer to echo; "none", "eos": what is missing in it
	answers                                      map[string]string // bodies of other paths
	cached                                       int               // of an echoed prompt
	silent                                       string            // the path that is never answered
	scripts                                      map[string]string // the stream a prompt gets, with "PAUSE" in it, after which "HANG" or "RESET" may stand
}

func newServer(t *testing.T, change func(*server)) *server {
	s := &server{t: t, tries: map[string]int{}, together: make(chan struct{}), models: `{"data":[{"id":"m","max_model_len":4096}]}`}
	if change != nil {
		change(s)
	}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.keys = append(s.keys, r.Header.Get("Authorization"))
	s.mu.Unlock()
	switch r.URL.Path {
	case s.silent:
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	case "/v1/models":
		if s.models == "" {
			http.NotFound(w, r)
			return
		}
		_, _ = io.WriteString(w, s.models)
	case "/tokenize":
		if !s.tokenizer {
			http.NotFound(w, r)
			return
		}
		var ask struct{ Prompt string }
		s.decode(r, &ask)
		_, _ = fmt.Fprintf(w, `{"count":%d}`, len(strings.Fields(ask.Prompt)))
	case "/v1/completions", "/v1/chat/completions":
		s.complete(w, r)
	default:
		if text, ok := s.answers[r.URL.Path]; ok {
			_, _ = io.WriteString(w, text)
			return
		}
		http.NotFound(w, r)
	}
}

func (s *server) decode(r *http.Request, v any) {
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = json.Unmarshal(body, v)
	}
	if err != nil {
		s.t.Errorf("request: %v", err)
	}
}

func (s *server) complete(w http.ResponseWriter, r *http.Request) {
	var body map[string]any
	s.decode(r, &body)
	prompt, _ := body["prompt"].(string)
	if m, ok := body["messages"].([]any); ok {
		prompt, _ = m[0].(map[string]any)["content"].(string)
	}
	s.mu.Lock()
	s.bodies = append(s.bodies, body)
	s.prompts = append(s.prompts, prompt)
	if s.nonces {
		_, prompt, _ = strings.Cut(prompt, "\n")
	}
	s.tries[prompt]++
	try := s.tries[prompt]
	s.running++
	s.most = max(s.most, s.running)
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.running--
		s.mu.Unlock()
	}()
	if body["echo"] == true {
		s.echo(w, prompt)
		return
	}
	if options, ok := body["stream_options"].(map[string]any); ok && s.strict && options["continuous_usage_stats"] != nil {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"error":{"message":"Unknown parameter: 'stream_options.continuous_usage_stats'."}}`)
		return
	}
	st := &stream{s, w, r, int(body["max_tokens"].(float64)), r.URL.Path == "/v1/chat/completions", body["stream_options"] != nil && !s.noUsage}
	st.play(prompt, try)
}

// echo answers as vLLM does: a token a word, log-probability minus its length,
// and one generated token.
func (s *server) echo(w http.ResponseWriter, text string) {
	tokens := []string{"<s>"}
	lps := []any{nil}
	for _, word := range strings.SplitAfter(text, " ") {
		if word != "" {
			tokens, lps = append(tokens, word), append(lps, -float64(len(word)))
		}
	}
	switch s.echoes {
	case "500":
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = io.WriteString(w, `{"error":{"message":"echo is not supported"}}`)
		return
	case "none":
		clear(lps)
	}
	prompt := len(tokens)
	choice := map[string]any{"text": text + "!", "logprobs": map[string]any{"tokens": append(tokens, "!"), "token_logprobs": append(lps, -0.5)}}
	if s.noScoring {
		choice = map[string]any{"text": "!", "logprobs": map[string]any{"tokens": []string{"!"}, "token_logprobs": []float64{-0.5}}}
	}
	if s.echoes == "eos" { // it is counted, and has no entry
		choice["logprobs"] = map[string]any{"tokens": tokens, "token_logprobs": lps}
	}
	_ = json.NewEncoder(w).Encode(map[string]any{
		"choices": []any{choice}, "usage": map[string]any{"prompt_tokens": prompt, "completion_tokens": 1, "prompt_tokens_details": map[string]int{"cached_tokens": s.cached}},
	})
}

// stream is one streamed answer.
type stream struct {
	s         *server
	w         http.ResponseWriter
	r         *http.Request
	maxTokens int
	chat      bool
	usage     bool
}

func (st *stream) raw(text string) {
	_, _ = io.WriteString(st.w, text)
	st.w.(http.Flusher).Flush()
}

func (st *stream) head() { st.w.Header().Set("Content-Type", "text/event-stream; charset=utf-8") }

func (st *stream) token(n int) {
	field := fmt.Sprintf(`"text":"w%d "`, n)
	if st.chat {
		field = fmt.Sprintf(`"delta":{"content":"w%d "}`, n)
	}
	usage := ""
	if st.s.early && st.usage {
		usage = fmt.Sprintf(`,"usage":{"prompt_tokens":12,"completion_tokens":%d}`, n+1)
	}
	st.raw(fmt.Sprintf("data: {\"choices\":[{%s,\"finish_reason\":null}]%s}\n\n", field, usage))
}

func (st *stream) finish() {
	st.raw("data: {\"choices\":[{\"text\":\"\",\"delta\":{},\"finish_reason\":\"length\"}]}\n\n")
	if st.usage {
		st.raw(fmt.Sprintf("data: {\"choices\":[],\"usage\":{\"prompt_tokens\":12,\"completion_tokens\":%d}}\n\n", st.maxTokens))
	}
	st.raw("data: [DONE]\n\n")
}

// pause lets the other side's clock move on.
const pause = 15 * time.Millisecond

func (st *stream) play(prompt string, try int) {
	status := func(code int, header, text string) {
		if header != "" {
			st.w.Header().Set("Retry-After", header)
		}
		st.w.WriteHeader(code)
		_, _ = io.WriteString(st.w, text)
	}
	switch {
	case prompt == "429 once" && try == 1:
		status(http.StatusTooManyRequests, "", `{"error":{"message":"slow down"}}`)
		return
	case prompt == "500 twice" && try <= 2:
		status(http.StatusInternalServerError, "", `{"detail":"CUDA error"}`)
		return
	case prompt == "always 429":
		status(http.StatusTooManyRequests, "", `{"error":"overloaded"}`)
		return
	case prompt == "later":
		status(http.StatusTooManyRequests, "30", "")
		return
	case prompt == "key in text":
		key := strings.TrimPrefix(st.r.Header.Get("Authorization"), "Bearer ")
		status(http.StatusBadRequest, "", `{"error":{"message":"`+strings.Repeat("x", 280)+" "+key+` \u001b[31m"}}`)
		return
	case prompt == "key at the cut":
		status(http.StatusBadRequest, "", strings.Repeat(" ", maxErrorBody-9)+strings.TrimPrefix(st.r.Header.Get("Authorization"), "Bearer "))
		return
	case prompt == "key as type":
		st.w.Header().Set("Content-Type", "text/"+strings.TrimPrefix(st.r.Header.Get("Authorization"), "Bearer "))
		status(http.StatusOK, "", "x")
		return
	case prompt == "always 500":
		status(http.StatusInternalServerError, "", "")
		return
	case prompt == "400":
		status(http.StatusBadRequest, "", `{"error":{"message":"This model's maximum context length is 4096 tokens"}}`)
		return
	case prompt == "401":
		status(http.StatusUnauthorized, "", `{"error":{"message":"Incorrect API key provided: `+st.r.Header.Get("Authorization")+`"}}`)
		return
	case prompt == "redirect":
		st.w.Header().Set("Location", "http://elsewhere/v1/completions")
		status(http.StatusTemporaryRedirect, "", "")
		return
	case prompt == "not a stream":
		st.w.Header().Set("Content-Type", "application/json")
		status(http.StatusOK, "", `{"choices":[{"text":"whole"}]}`)
		return
	case prompt == "hangs up":
		panic(http.ErrAbortHandler)
	case prompt == "together":
		st.s.mu.Lock()
		two := st.s.tries[prompt] == 2
		st.s.mu.Unlock()
		if two {
			close(st.s.together)
		}
		<-st.s.together
	}
	st.head()
	if script, ok := st.s.scripts[prompt]; ok {
		script, hang := strings.CutSuffix(script, "HANG")
		script, reset := strings.CutSuffix(script, "RESET")
		for i, part := range strings.Split(script, "PAUSE") {
			if i > 0 {
				time.Sleep(pause)
			}
			st.raw(part)
		}
		if hang {
			<-st.r.Context().Done()
		}
		if reset {
			panic(http.ErrAbortHandler)
		}
		return
	}
	st.raw(": queued\n\n")
	time.Sleep(pause)
	if st.chat {
		st.raw("data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\r\n\r\n")
		time.Sleep(pause)
	}
	if prompt == "nothing" {
		st.maxTokens = 0
		st.finish()
		return
	}
	for n := range st.maxTokens {
		if n == 2 && st.mishap(prompt) {
			return
		}
		if n > 0 {
			time.Sleep(pause)
		}
		if st.r.Context().Err() != nil {
			return
		}
		st.token(n)
	}
	if prompt == "no DONE" {
		st.raw("data: {\"choices\":[{\"text\":\"\",\"finish_reason\":\"stop\"}]}\n")
		return
	}
	st.finish()
}

// mishap is what may happen after two tokens; true ends the answer.
func (st *stream) mishap(prompt string) bool {
	switch prompt {
	case "stalls":
		<-st.r.Context().Done()
	case "breaks off":
		panic(http.ErrAbortHandler)
	case "ends early":
	case "cut event":
		st.raw("data: {\"choices\":[{\"te")
	case "malformed":
		st.raw("data: {\"choices\":[}\n\n")
		<-st.r.Context().Done()
	case "binary":
		st.raw("data: \x00\xff\xfe\n\n")
	case "endless event":
		st.raw("data: ")
		for range 40 {
			st.raw(strings.Repeat("x", 64<<10))
		}
	case "error event":
		st.raw("data: {\"error\":{\"message\":\"engine core died\",\"code\":500}}\n\n")
	case "wrong types":
		st.raw("data: {\"choices\":\"none\"}\n\n")
	default:
		return false
	}
	return true
}
