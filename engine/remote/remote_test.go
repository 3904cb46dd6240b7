package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"jouletop/engine"
	"jouletop/engine/event"
	"jouletop/workloads"
)

type boundary struct {
	phase      event.Phase
	start, end int64
	tokens     int
}

// heard is an Observer that keeps what it hears, and notices calls at once.
type heard struct {
	mu     sync.Mutex
	starts []boundary // as they began
	phases []boundary // as they were in the end
	text   map[int]string
	times  []int64
}

func (h *heard) PhaseStart(p event.Phase, t int64, n int) {
	h.starts = append(h.starts, boundary{p, t, 0, n})
}

func (h *heard) PhaseEnd(event.Phase, int64, int) { panic("a phase was ended before it was known") }

func (h *heard) Phase(p event.Phase, start, end int64, n int) {
	if start > end {
		panic("a phase ends before it starts")
	}
	h.phases = append(h.phases, boundary{p, start, end, n})
}

func (h *heard) Token(i int, t int64, text string) {
	if !h.mu.TryLock() {
		panic("two reports at once")
	}
	defer h.mu.Unlock()
	if h.text == nil {
		h.text = map[int]string{}
	}
	h.text[i] += text
	h.times = append(h.times, t)
}

// live is the phases as they began, without their times; shape as they were.
func (h *heard) live() string  { return shapeOf(h.starts) }
func (h *heard) shape() string { return shapeOf(h.phases) }

func shapeOf(list []boundary) string {
	var out []string
	for _, b := range list {
		out = append(out, fmt.Sprintf("%s %d", b.phase, b.tokens))
	}
	return strings.Join(out, ", ")
}

func open(t *testing.T, s *server, change func(*Options)) *Backend {
	t.Helper()
	o := Options{
		URL: s.URL, Getenv: func(string) string { return "" },
		Stall: 400 * time.Millisecond, Backoff: time.Millisecond, Retries: 2, KeepCache: true,
	}
	if change != nil {
		change(&o)
	}
	b, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	b.still = time.Minute // a machine that is busy with other tests halts
	if _, err := b.Load(t.Context(), engine.ModelSpec{Name: "m"}, nil); err != nil {
		t.Fatal(err)
	}
	return b
}

func batch(tokens int, prompts ...string) engine.Batch {
	b := engine.Batch{ID: "b"}
	for i, p := range prompts {
		b.Requests = append(b.Requests, engine.Request{ID: fmt.Sprint(i), Query: workloads.Query{Prompt: p}, MaxTokens: tokens})
	}
	return b
}

func TestOneRequestHasPrefillAndDecode(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*server)
		chat   bool
		live   string
		input  int
		warns  bool
	}{
		{"usage at the end", nil, false, "prefill -1, decode 4, idle 0", 12, false},
		{"usage in every chunk", func(s *server) { s.early = true }, false, "prefill -1, decode 4, idle 0", 12, false},
		{"a tokenizer", func(s *server) { s.tokenizer = true }, false, "prefill 3, decode 4, idle 0", 12, false},
		{"no usage", func(s *server) { s.noUsage = true }, false, "prefill -1, decode 4, idle 0", -1, true},
		{"no usage, a tokenizer", func(s *server) { s.noUsage, s.tokenizer = true, true }, false, "prefill 3, decode 4, idle 0", 3, true},
		{"strict", func(s *server) { s.strict = true }, false, "prefill -1, idle 0, prefill -1, decode 4, idle 0", 12, false},
		{"chat", nil, true, "prefill -1, decode 4, idle 0", 12, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var warnings []string
			b := open(t, newServer(t, c.change), func(o *Options) { o.Warn = func(s string) { warnings = append(warnings, s) } })
			q := batch(5, "three words here")
			q.Requests[0].Chat = c.chat
			obs := &heard{}
			before := b.clk.Now()
			results, err := b.Run(t.Context(), q, obs)
			if err != nil || results[0].Err != nil {
				t.Fatal(err, results[0].Err)
			}
			r := results[0]
			if got := obs.live(); got != c.live {
				t.Errorf("live %q, want %q", got, c.live)
			}
			if got, want := obs.shape(), fmt.Sprintf("prefill %d, decode 4", c.input); got != want {
				t.Errorf("phases %q, want %q", got, want)
			}
			if r.InputTokens != c.input || r.OutputTokens != 5 || r.Output.Text != "w0 w1 w2 w3 w4 " || obs.text[0] != r.Output.Text {
				t.Errorf("result %+v, heard %q", r, obs.text[0])
			}
			p, d := obs.phases[0], obs.phases[1]
			if p.start < before || p.start != r.StartNS || p.end != r.FirstTokenNS || p.end != r.PrefillEndNS || d.start != p.end || d.end != r.EndNS {
				t.Errorf("phases %v and result %+v do not agree", obs.phases, r)
			}
			// The queue and the first token; then four more.
			if p.end-p.start < int64(pause) || d.end-d.start < 4*int64(pause) || p.end != obs.times[0] {
				t.Errorf("prefill %d ns, decode %d ns", p.end-p.start, d.end-d.start)
			}
			if !math.IsNaN(r.Quality) || r.Output.Choice != -1 || r.CachedTokens != -1 {
				t.Errorf("%+v", r)
			}
			if c.warns != (len(warnings) == 1) || c.warns != r.Flags.Has(event.FlagCountDoubtful) {
				t.Errorf("warnings %q, flags %s", warnings, r.Flags)
			}
			if c.name == "strict" { // and it remembers
				again := &heard{}
				if _, err := b.Run(t.Context(), batch(1, "x"), again); err != nil || again.live() != "prefill -1, idle 0" || again.shape() != "prefill 12" {
					t.Errorf("the second time: %q, %q, %v", again.live(), again.shape(), err)
				}
			}
		})
	}
}

func TestBatchIsMixedAndAtOnce(t *testing.T) {
	s := newServer(t, nil)
	b := open(t, s, nil)
	obs := &heard{}
	results, err := b.Run(t.Context(), batch(3, "together", "together", "x", "y"), obs)
	if err != nil {
		t.Fatal(err)
	}
	if got := obs.shape(); got != "mixed 12" || obs.live() != "mixed -1, idle 0" {
		t.Errorf("phases %q, live %q", got, obs.live())
	}
	end := int64(0)
	for i, r := range results {
		end = max(end, r.EndNS)
		if r.Err != nil || r.OutputTokens != 3 || r.StartNS < obs.phases[0].start || obs.text[i] != "w0 w1 w2 " {
			t.Errorf("request %d: %+v", i, r)
		}
	}
	if obs.phases[0].end != end {
		t.Errorf("mixed ends at %d, the last token came at %d", obs.phases[0].end, end)
	}
	if s.most < 2 {
		t.Errorf("at most %d requests at once", s.most)
	}
}

func TestWhatGoesWrong(t *testing.T) {
	for prompt, want := range map[string]struct {
		err   string // "" for none
		text  string
		shape string // with MaxTokens 4
	}{
		"429 once":      {"", "w0 w1 w2 w3 ", "prefill -1, decode 3"},
		"500 twice":     {"", "w0 w1 w2 w3 ", "prefill -1, decode 3"},
		"no DONE":       {"", "w0 w1 w2 w3 ", "prefill -1, decode 3"},
		"always 429":    {"429 Too Many Requests: overloaded (tried 3 times)", "", ""},
		"always 500":    {"500 Internal Server Error (tried 3 times)", "", ""},
		"400":           {"request does not fit: the server answered 400", "", ""},
		"redirect":      {"it redirects to http://elsewhere/v1/completions", "", ""},
		"not a stream":  {"", "whole", "mixed -1"},
		"nothing":       {"generated nothing", "", "mixed 0"},
		"stalls":        {"after 2 tokens: stalled: no bytes for 400ms", "w0 w1 ", "mixed 2"},
		"breaks off":    {"after 2 tokens: the stream broke off", "w0 w1 ", "mixed 2"},
		"ends early":    {"after 2 tokens: the stream broke off", "w0 w1 ", "mixed 2"},
		"cut event":     {"after 2 tokens: the stream broke off", "w0 w1 ", "mixed 2"},
		"malformed":     {"after 2 tokens: malformed answer: an event that is no JSON", "w0 w1 ", "mixed 2"},
		"binary":        {"malformed answer", "w0 w1 ", "mixed 2"},
		"endless event": {"an event of more than 1048576 bytes", "w0 w1 ", "mixed 2"},
		"wrong types":   {"malformed answer", "w0 w1 ", "mixed 2"},
		"error event":   {"the server gave up: engine core died", "w0 w1 ", "mixed 2"},
	} {
		t.Run(prompt, func(t *testing.T) {
			t.Parallel()
			b := open(t, newServer(t, func(s *server) { s.noUsage = prompt != "nothing" }), nil)
			obs := &heard{}
			results, err := b.Run(t.Context(), batch(4, prompt), obs)
			if err != nil {
				t.Fatalf("the whole batch failed: %v", err)
			}
			r := results[0]
			switch {
			case want.err == "" && r.Err != nil:
				t.Error(r.Err)
			case want.err != "" && (r.Err == nil || !strings.Contains(r.Err.Error(), want.err)):
				t.Errorf("error %v, want %q", r.Err, want.err)
			}
			if r.Output.Text != want.text {
				t.Errorf("text %q, want %q", r.Output.Text, want.text)
			}
			if got := obs.shape(); got != want.shape {
				t.Errorf("phases %q, want %q", got, want.shape)
			}
			// One bad request leaves the others of a batch alone.
			results, err = b.Run(t.Context(), batch(4, "well", prompt), &heard{})
			if err != nil || results[0].Err != nil || results[0].Output.Text != "w0 w1 w2 w3 " {
				t.Errorf("beside it: %v, %+v", err, results)
			}
		})
	}
}

func TestServerThatIsNotThere(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	b, err := New(Options{URL: "http://" + address, Backoff: time.Millisecond, Retries: 1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Load(t.Context(), engine.ModelSpec{Name: "m"}, nil); !errors.Is(err, engine.ErrModel) || !strings.Contains(err.Error(), address) {
		t.Errorf("Load: %v", err)
	}
	s := newServer(t, nil)
	var warnings []string
	b = open(t, s, func(o *Options) { o.Warn = func(s string) { warnings = append(warnings, s) } })
	for _, prompts := range [][]string{{"hangs up"}, {"hangs up", "hangs up"}} {
		if results, err := b.Run(t.Context(), batch(3, prompts...), &heard{}); !errors.Is(err, engine.ErrBackendDied) || len(results) != len(prompts) {
			t.Errorf("Run: %v", err)
		}
	}
	s.Close()
	if _, err := b.Run(t.Context(), batch(3, "x"), &heard{}); !errors.Is(err, engine.ErrBackendDied) {
		t.Errorf("Run: %v", err)
	}
	if told := strings.Join(warnings, "\n"); !strings.Contains(told, "could not be reached") || strings.Contains(told, "turned") {
		t.Errorf("warned of %q", told)
	}
}

func TestBrokenStreamSaysNothingOfUsage(t *testing.T) {
	var warnings []string
	b := open(t, newServer(t, nil), func(o *Options) { o.Warn = func(s string) { warnings = append(warnings, s) } })
	if _, err := b.Run(t.Context(), batch(4, "breaks off"), &heard{}); err != nil || len(warnings) > 0 {
		t.Errorf("%v, %q", err, warnings)
	}
}

func TestCancelAndClose(t *testing.T) {
	b := open(t, newServer(t, nil), func(o *Options) { o.Stall = time.Minute })
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	obs := &heard{}
	results, err := b.Run(ctx, batch(4, "stalls"), obs)
	if !errors.Is(err, context.DeadlineExceeded) || results[0].Err == nil {
		t.Errorf("Run: %v", err)
	}
	if obs.shape() != "mixed 2" {
		t.Errorf("phases %q", obs.shape())
	}
	ended := make(chan error)
	go func() {
		_, err := b.Run(t.Context(), batch(4, "stalls", "stalls"), &heard{})
		ended <- err
	}()
	time.Sleep(50 * time.Millisecond)
	_ = b.Close()
	if err := <-ended; !errors.Is(err, errClosed) {
		t.Errorf("Run: %v", err)
	}
	if _, err := b.Run(t.Context(), batch(1, "x"), &heard{}); !errors.Is(err, errClosed) {
		t.Errorf("Run after Close: %v", err)
	}
}

func TestTimeLimit(t *testing.T) {
	b := open(t, newServer(t, nil), func(o *Options) { o.Timeout = 300 * time.Millisecond; o.Stall = time.Minute })
	results, err := b.Run(t.Context(), batch(1000, "x"), &heard{})
	if err != nil || results[0].Err == nil || !strings.Contains(results[0].Err.Error(), "took too long") {
		t.Errorf("%v, %+v", err, results[0].Err)
	}
}

func options(prompt string, opts ...string) engine.Batch {
	return engine.Batch{ID: "b", Requests: []engine.Request{{Query: workloads.Query{Prompt: prompt, Options: opts}}}}
}

func TestScoresByEcho(t *testing.T) {
	b := open(t, newServer(t, nil), nil)
	// The end of the prompt and the beginning of an option are one token: what
	// all have in common is "<s>" and "Is ", and the rest is scored alike.
	q := options("Is it", " so", "self")
	obs := &heard{}
	results, err := b.Run(t.Context(), q, obs)
	if err != nil || results[0].Err != nil {
		t.Fatal(err, results[0].Err)
	}
	r := results[0]
	// "it " and "so" against "itself".
	if !slices.Equal(r.Output.LogLikelihoods, []float64{-5, -6}) || r.Output.Choice != 0 || r.InputTokens != 2 || r.OutputTokens != 0 {
		t.Errorf("%+v", r)
	}
	if got := obs.shape(); got != "score 2" || obs.live() != "score -1, idle 0" {
		t.Errorf("phases %q, live %q", got, obs.live())
	}
	if r.StartNS > r.EndNS || r.FirstTokenNS != 0 || obs.phases[0].start != r.StartNS || obs.phases[0].end != r.EndNS {
		t.Errorf("times %+v", r)
	}
}

func TestServerWithoutLogLikelihoods(t *testing.T) {
	b := open(t, newServer(t, func(s *server) { s.noScoring = true }), nil)
	results, err := b.Run(t.Context(), options("Is it", " so", " not"), &heard{})
	if !errors.Is(err, ErrNoScoring) || !errors.Is(results[0].Err, ErrNoScoring) {
		t.Errorf("%v, %v", err, results[0].Err)
	}
	q := options("Is it", " so", " not")
	q.Requests[0].Chat = true
	if results, err = b.Run(t.Context(), q, &heard{}); !errors.Is(err, ErrNoScoring) {
		t.Errorf("chat: %v, %v", err, results[0].Err)
	}
	q.Requests = append(q.Requests, batch(1, "x").Requests...)
	if _, err := b.Run(t.Context(), q, &heard{}); err == nil || !strings.Contains(err.Error(), "mixes") {
		t.Errorf("a batch of both kinds: %v", err)
	}
}

func TestLoad(t *testing.T) {
	for _, c := range []struct {
		models, name string
		want         engine.ModelInfo
		err          string
	}{
		{`{"data":[{"id":"a"},{"id":"b","max_model_len":100}]}`, "b", engine.ModelInfo{Name: "b", ContextMax: 100, Parameters: -1, SizeBytes: -1}, ""},
		{`{"data":[{"id":"a.gguf","meta":{"n_ctx_train":7,"n_params":8,"size":9}}]}`, "", engine.ModelInfo{Name: "a.gguf", ContextMax: 7, Parameters: 8, SizeBytes: 9}, ""},
		{`{"data":[{"id":"llama3:latest"}]}`, "llama3", engine.ModelInfo{Name: "llama3", ContextMax: -1, Parameters: -1, SizeBytes: -1}, ""},
		{"", "any", engine.ModelInfo{Name: "any", ContextMax: -1, Parameters: -1, SizeBytes: -1}, ""},
		{`{"data":[{"id":"a"},{"id":"b"}]}`, "c", engine.ModelInfo{}, "serves a, b"},
		{`{"data":[{"id":"a"},{"id":"b"}]}`, "", engine.ModelInfo{}, "serves a, b"},
		{"", "", engine.ModelInfo{}, "name one"},
		{"<html>", "a", engine.ModelInfo{}, "this is a web page"},
	} {
		s := newServer(t, func(s *server) { s.models = c.models })
		b, err := New(Options{URL: s.URL, Retries: -1})
		if err != nil {
			t.Fatal(err)
		}
		info, err := b.Load(t.Context(), engine.ModelSpec{Name: c.name}, nil)
		if c.err != "" {
			if !errors.Is(err, engine.ErrModel) || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s of %s: %v, want %q", c.name, c.models, err, c.err)
			}
			if _, err := b.Run(t.Context(), batch(1, "x"), &heard{}); err == nil {
				t.Error("runs without a model")
			}
			continue
		}
		if err != nil || info.Name != c.want.Name || info.ContextMax != c.want.ContextMax || info.Parameters != c.want.Parameters || info.SizeBytes != c.want.SizeBytes || len(info.Devices) != 1 {
			t.Errorf("%s of %s: %+v, %v", c.name, c.models, info, err)
		}
	}
}

func TestCountTokens(t *testing.T) {
	b := open(t, newServer(t, func(s *server) { s.tokenizer = true }), nil)
	if n, err := b.CountTokens("one two three"); n != 3 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	b = open(t, newServer(t, nil), nil)
	if n, err := b.CountTokens("one"); err == nil {
		t.Errorf("%d counted by nobody", n)
	}
}

func TestKeyStaysSecret(t *testing.T) {
	const key = "sk-very-secret"
	for _, c := range []struct {
		name, url string
		env       map[string]string
		want      string
	}{
		{"ours", "http://host:1", map[string]string{"JOULETOP_API_KEY": key}, key},
		{"OpenAI's to OpenAI", "https://api.openai.com", map[string]string{"OPENAI_API_KEY": key}, key},
		{"OpenAI's to another", "http://host:1", map[string]string{"OPENAI_API_KEY": key}, ""},
		{"OpenAI's to its base", "http://host:1/v1", map[string]string{"OPENAI_API_KEY": key, "OPENAI_BASE_URL": "http://host:1/v1"}, key},
		{"OpenAI's to its base, another scheme", "http://host:1/v1", map[string]string{"OPENAI_API_KEY": key, "OPENAI_BASE_URL": "https://host:1/v1"}, ""},
		{"with a line end", "http://host:1", map[string]string{"JOULETOP_API_KEY": " " + key + "\r\n"}, key},
		{"blank", "https://api.openai.com", map[string]string{"JOULETOP_API_KEY": "\n", "OPENAI_API_KEY": key}, key},
		{"OpenAI's to a namesake", "https://openai.com.evil.example", map[string]string{"OPENAI_API_KEY": key}, ""},
	} {
		b, err := New(Options{URL: c.url, Getenv: func(k string) string { return c.env[k] }})
		if err != nil || b.key != c.want {
			t.Errorf("%s: %q, %v", c.name, b.key, err)
		}
	}
	s := newServer(t, nil)
	var said []string
	b := open(t, s, func(o *Options) {
		o.Getenv = func(k string) string { return map[string]string{"JOULETOP_API_KEY": key}[k] }
		o.Warn = func(text string) { said = append(said, text) }
	})
	results, err := b.Run(t.Context(), batch(2, "401"), &heard{})
	if err == nil || errors.Is(err, engine.ErrBackendDied) || !strings.Contains(err.Error(), "JOULETOP_API_KEY") {
		t.Errorf("401: %v", err)
	}
	info, err2 := b.Load(t.Context(), engine.ModelSpec{Name: "m"}, nil)
	text, _ := json.Marshal(info)
	for _, out := range []string{err.Error(), fmt.Sprint(results[0].Err, err2), string(text), strings.Join(said, " ")} {
		if strings.Contains(out, key) {
			t.Errorf("the key is in %q", out)
		}
	}
	if !slices.Contains(s.keys, "Bearer "+key) {
		t.Errorf("the server got %q", s.keys)
	}
}

func TestAddresses(t *testing.T) {
	for text, want := range map[string]string{
		"http://h:8000":                     "http://h:8000/v1",
		"h:8000":                            "http://h:8000/v1",
		"localhost:8000":                    "http://localhost:8000/v1",
		"127.0.0.1:8000":                    "http://127.0.0.1:8000/v1",
		"[::1]:8000":                        "http://[::1]:8000/v1",
		"192.168.1.2":                       "http://192.168.1.2/v1",
		"box.local:8000":                    "http://box.local:8000/v1",
		"api.openai.com":                    "https://api.openai.com/v1",
		"8.8.8.8:8000/v1":                   "https://8.8.8.8:8000/v1",
		"134744072":                         "https://134744072/v1",
		"172.32.0.1":                        "https://172.32.0.1/v1",
		"http://:8000":                      "!no host",
		"http://h:8000/":                    "http://h:8000/v1",
		"http://h:8000/v1":                  "http://h:8000/v1",
		"https://h/api/v1/":                 "https://h/api/v1",
		"https://h/v1/chat/completions":     "https://h/v1",
		"http://[::1]:8000":                 "http://[::1]:8000/v1",
		"http://u:hunter2@h":                "!user name or password",
		"ftp://h":                           "!scheme",
		"http://":                           "!no host",
		"http://h/v1?key=hunter2":           "!query",
		"http://h:port hunter2":             "!server address",
		"http://u:hunter2%zz@h":             "!server address",
		"https://h/v1/models":               "https://h/v1",
		"https://h/v1/completions":          "https://h/v1",
		"https://gateway/openai/deployment": "https://gateway/openai/deployment",
	} {
		u, err := parseURL(text)
		if bad, ok := strings.CutPrefix(want, "!"); ok {
			if err == nil || !strings.Contains(err.Error(), bad) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%s: %v, %v", text, u, err)
			}
			continue
		}
		if err != nil || u.String() != want {
			t.Errorf("%s: %v, %v; want %s", text, u, err, want)
		}
	}
}

func FuzzEvents(f *testing.F) {
	f.Add([]byte("data: {\"choices\":[]}\n\ndata: [DONE]\n\n"))
	f.Add([]byte(": hi\r\ndata:a\r\ndata: b\r\n\r\nevent: x\n\n"))
	f.Add([]byte("data"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		e := newEventReader(bytes.NewReader(stream))
		total := 0
		for {
			data, err := e.next()
			if err != nil {
				break
			}
			if total += len(data); total > len(stream) {
				t.Fatalf("%d bytes of events in %d", total, len(stream))
			}
			var c completion
			if json.Unmarshal(data, &c) == nil {
				_ = c.failed()
			}
		}
	})
}
