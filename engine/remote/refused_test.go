package remote

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"jouletop/engine"
	"jouletop/engine/event"
)

// What was refused, and the pause after it, is in no time of the request; nor is
// a pause that another request of the batch had to make.
func TestRefusedTriesAreNoTimeOfARequest(t *testing.T) {
	s := newServer(t, nil)
	b := open(t, s, func(o *Options) { o.Backoff = 300 * time.Millisecond })
	obs := &heard{}
	before := b.clk.Now()
	results, err := b.Run(t.Context(), batch(4, "429 once"), obs)
	if err != nil || results[0].Err != nil {
		t.Fatal(err, results[0].Err)
	}
	r := results[0]
	if waited := r.StartNS - before; waited < 300e6 || r.EndNS-r.StartNS > 250e6 || r.Flags != event.FlagsOf(event.FlagRetried) {
		t.Errorf("began after %d ns, took %d ns, flags %q", waited, r.EndNS-r.StartNS, r.Flags)
	}
	if obs.shape() != "prefill 12, decode 3" || obs.live() != "prefill -1, idle 0, prefill -1, decode 3, idle 0" || obs.phases[0].start != r.StartNS {
		t.Errorf("phases %q, live %q", obs.shape(), obs.live())
	}

	s = newServer(t, nil)
	b = open(t, s, func(o *Options) { o.Backoff = 300 * time.Millisecond })
	obs = &heard{}
	results, err = b.Run(t.Context(), batch(4, "429 once", "x"), obs)
	if err != nil || results[0].Err != nil || results[1].Err != nil {
		t.Fatal(err, results)
	}
	if obs.shape() != "mixed -1, idle 0, mixed -1" {
		t.Fatalf("phases %q", obs.shape())
	}
	if a, b := results[0].Flags, results[1].Flags; a != event.FlagsOf(event.FlagRetried, event.FlagBatchApart) || b != event.FlagsOf(event.FlagBatchApart) {
		t.Errorf("flags %q and %q", a, b)
	}
	p := obs.phases
	if p[0].end != results[1].EndNS || p[1].start != p[0].end || p[1].end != p[2].start || p[2].start != results[0].StartNS || p[2].end != results[0].EndNS {
		t.Errorf("phases %+v of %+v", p, results)
	}
}

// Requests of a batch that overlap are one yet only where they began together.
func TestLateRequestsAreNoBatch(t *testing.T) {
	s := newServer(t, nil)
	b := open(t, s, func(o *Options) { o.Backoff = 200 * time.Millisecond })
	obs := &heard{}
	results, err := b.Run(t.Context(), batch(40, "429 once", "x"), obs)
	if err != nil || results[0].Err != nil || results[1].Err != nil {
		t.Fatal(err, results)
	}
	if len(obs.phases) != 1 || !results[0].Flags.Has(event.FlagBatchApart) || !results[1].Flags.Has(event.FlagBatchApart) {
		t.Errorf("flags %q and %q, phases %q", results[0].Flags, results[1].Flags, obs.shape())
	}
	for name, c := range map[string]struct {
		ran  [][]span
		want bool
	}{
		"together":         {[][]span{{{0, 100}}, {{10, 90}}}, false},
		"one ends early":   {[][]span{{{0, 100}}, {{0, 5}}}, false},
		"late":             {[][]span{{{0, 100}}, {{11, 100}}}, true},
		"after":            {[][]span{{{50, 100}}, {{0, 49}}}, true},
		"several each":     {[][]span{{{0, 40}, {50, 100}}, {{1, 30}, {60, 100}}}, false},
		"one never ran":    {[][]span{{{7, 100}}, nil}, false},
		"none of them ran": {[][]span{nil, nil}, false},
	} {
		if got := apart(c.ran); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// An idle connection that the server closes as a request is sent is no refusal.
func TestIdleConnectionClosed(t *testing.T) {
	s := newServer(t, nil)
	inner := s.Config.Handler
	var mu sync.Mutex
	used := map[string]int{}
	closing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		used[r.RemoteAddr]++
		again := used[r.RemoteAddr] > 1
		mu.Unlock()
		if again && r.Method == http.MethodPost {
			panic(http.ErrAbortHandler)
		}
		inner.ServeHTTP(w, r)
	}))
	closing.Config.ErrorLog = log.New(io.Discard, "", 0)
	defer closing.Close()
	b, err := New(Options{URL: closing.URL, Retries: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if _, err := b.Load(t.Context(), engine.ModelSpec{Name: "m"}, nil); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		results, err := b.Run(t.Context(), batch(3, "x"), &heard{})
		if err != nil || results[0].Err != nil || results[0].Flags.Has(event.FlagRetried) {
			t.Fatal(err, results[0].Err, results[0].Flags)
		}
	}
}

// A server that loads its model is waited for, in a load and in a warm-up.
func TestLoadingIsWaitedFor(t *testing.T) {
	var refusals atomic.Int32
	s := newServer(t, nil)
	inner := s.Config.Handler
	loading := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n := int(refusals.Add(-1)); n >= 0 {
			// As servers, proxies and gateways say it; some with a date, which may be past.
			w.Header().Set("Retry-After", time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat))
			w.WriteHeader([]int{http.StatusServiceUnavailable, http.StatusBadGateway, http.StatusGatewayTimeout, 524, 529}[n%5])
			_, _ = w.Write([]byte(`{"error":{"code":503,"message":"Loading model"}}`))
			return
		}
		inner.ServeHTTP(w, r)
	}))
	defer loading.Close()
	b, err := New(Options{URL: loading.URL, Backoff: time.Millisecond, Retries: -1, Stall: 50 * time.Millisecond, KeepCache: true})
	if err != nil {
		t.Fatal(err)
	}
	refusals.Store(6)
	var progress []float64
	if _, err := b.Load(t.Context(), engine.ModelSpec{Name: "m"}, func(p float64) { progress = append(progress, p) }); err != nil || len(progress) == 0 || progress[0] != 0 {
		t.Fatalf("Load: %v, progress %v", err, progress)
	}
	warm := batch(2, "x")
	warm.WarmUp = true
	refusals.Store(6)
	if results, err := b.Run(t.Context(), warm, &heard{}); err != nil || results[0].Err != nil {
		t.Errorf("warm-up: %v, %+v", err, results)
	}
	if n := s.bodies[len(s.bodies)-1]["max_tokens"].(float64); n < fewTokens {
		t.Errorf("a warm-up of %g tokens", n)
	}
	refusals.Store(6)
	if results, err := b.Run(t.Context(), batch(2, "x"), &heard{}); err != nil || results[0].Err == nil {
		t.Errorf("a measured request waited for it: %v", err)
	}
}
