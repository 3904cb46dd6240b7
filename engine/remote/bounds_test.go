package remote

import (
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"jouletop/engine"
	"jouletop/workloads"
)

// What a server sends is bounded by what it was asked for.
func TestMemoryIsBounded(t *testing.T) {
	flood := func(kind, head, again string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", kind)
			_, _ = w.Write([]byte(head))
			chunk := []byte(strings.Repeat(again, 1+64<<10/len(again)))
			for r.Context().Err() == nil {
				if _, err := w.Write(chunk); err != nil {
					return
				}
			}
		}
	}
	for name, c := range map[string]struct {
		path  string
		flood http.HandlerFunc
	}{
		"tokens for ever":    {"completions", flood("text/event-stream", "", sse(`{"choices":[{"text":"x"}]}`))},
		"nothing for ever":   {"completions", flood("text/event-stream", "", sse(`{"choices":[]}`))},
		"comments for ever":  {"completions", flood("text/event-stream", "", ": wait\n\n")},
		"choices for ever":   {"completions", flood("text/event-stream", `data: {"choices":[`, "{},")},
		"JSON for ever":      {"completions", flood("application/json", `{"choices":[`, "{},")},
		"a word for ever":    {"completions", flood("application/json", `{"choices":[{"text":"`, "xxxxxxxx")},
		"models for ever":    {"models", flood("application/json", `{"data":[`, `{"id":"x"},`)},
		"an echo for ever":   {"completions?score", flood("application/json", `{"choices":[{"logprobs":{"tokens":[`, `"",`)},
		"tokenized for ever": {"tokenize", flood("application/json", `{"tokens":[`, `1,`)},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, nil)
			inner := s.Config.Handler
			path, scored := strings.CutSuffix(c.path, "?score")
			var on atomic.Bool
			evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if on.Load() && strings.HasSuffix(r.URL.Path, path) {
					c.flood(w, r)
					return
				}
				inner.ServeHTTP(w, r)
			}))
			defer evil.Close()
			b := open(t, &server{Server: evil}, func(o *Options) { o.Timeout, o.Stall = 20*time.Second, 20*time.Second })
			on.Store(true)
			var peak, base runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&base)
			var err error
			switch {
			case c.path == "models":
				_, err = b.Load(t.Context(), engine.ModelSpec{Name: "m"}, nil)
			case c.path == "tokenize":
				_, err = b.count(t.Context(), "m", "two words")
			default:
				q := batch(4, "x")
				if scored {
					q.Requests[0].Query = workloads.Query{Prompt: "Is it", Options: []string{" so", " not"}}
				}
				var results []engine.Result
				if results, err = b.Run(t.Context(), q, &heard{}); err == nil {
					err = results[0].Err
				}
			}
			runtime.ReadMemStats(&peak)
			if err == nil {
				t.Error("it was believed")
			}
			// In all, the server's part with it; most of it is garbage at once.
			if got := peak.TotalAlloc - base.TotalAlloc; got > 400<<20 {
				t.Errorf("%d MiB for it (%v)", got>>20, err)
			}
		})
	}
}
