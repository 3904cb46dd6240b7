package remote

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"jouletop/engine"
)

// timed is a chunk that ends a text of 10 tokens after a prompt of 7, with
// llama-server's timings.
func timed(timings string) string {
	return sse(`{"choices":[{"text":"","finish_reason":"length"}],"usage":{"prompt_tokens":7,"completion_tokens":10},"timings":{`+timings+`}}`) + allDone
}

// askOnce has a server answer a request for 10 tokens, and returns what it came to
// and what was warned of.
func askOnce(t *testing.T, prompt, script string, change func(*Backend)) (r engine.Result, warned string) {
	t.Helper()
	var mu sync.Mutex
	var said []string
	s := newServer(t, func(s *server) { s.scripts = map[string]string{prompt: script} })
	b := open(t, s, func(o *Options) {
		o.Stall = 10 * time.Second
		o.Warn = func(text string) { mu.Lock(); said = append(said, text); mu.Unlock() }
	})
	if change != nil {
		change(b)
	}
	results, err := b.Run(t.Context(), batch(10, prompt), &heard{})
	if err != nil || results[0].Err != nil {
		t.Fatal(err, results[0].Err)
	}
	return results[0], strings.Join(said, "\n")
}

// What a cache gave is found wherever a server tells of it, and nothing else is taken
// for it.
func TestWhereCachesAreToldOf(t *testing.T) {
	ten, end := said(10, oneToken), sse(cutOff)
	for more, want := range map[string]int{ // in the usage
		`,"prompt_tokens_details":{"cache_hit_tokens":5}`:                             5,
		`,"cacheReadTokens":5`:                                                        5,
		`,"cache_read_tokens":5,"cache_creation_input_tokens":7`:                      5,
		`,"input_token_details":{"cache_read":5}`:                                     5,
		`,"cache_creation_input_tokens":5,"cache_read_input_tokens":0`:                0,
		`,"prompt_cache_miss_tokens":7,"prompt_cache_hit_tokens":0`:                   0,
		`,"prompt_tokens_details":{"uncached_tokens":7}`:                              -1,
		`,"cache_discount":5,"cache_hit_rate":1`:                                      -1,
		`},"meta_info":{"cached_tokens":5`:                                            5,
		`},"timings":{"cache_n":5,"prompt_n":2,"prompt_ms":5,"predicted_ms":140`:      5,
		`,"cached_tokens":5},"timings":{"cache_n":0,"prompt_ms":5,"predicted_ms":140`: 5,  // the worse of two words
		`},"tokens_cached":17,"tokens_evaluated":7,"x":{"y":0`:                        -1, // what its slot holds in the end
	} {
		t.Run(more, func(t *testing.T) {
			t.Parallel()
			r, _ := askOnce(t, "x", ten+end+used(7, 10, more)+allDone, nil)
			flags := map[bool]string{true: "cached-tokens"}[want > 0]
			if r.CachedTokens != want || string(r.Flags) != flags {
				t.Errorf("%d cached, flags %q", r.CachedTokens, r.Flags)
			}
		})
	}
	// No more can be than there is of the prompt: that is not believed, and said.
	for cached, want := range map[int]int{7: 7, 8: -1, 4000: -1, 1 << 30: -1} {
		r, warned := askOnce(t, "x", ten+end+used(7, 10, fmt.Sprintf(`,"prompt_tokens_details":{"cached_tokens":%d}`, cached))+allDone, nil)
		doubtful := strings.Contains(string(r.Flags), "count-doubtful") && strings.Contains(warned, "more of the prompt was cached")
		if r.CachedTokens != want || !strings.Contains(string(r.Flags), "cached-tokens") || doubtful != (want < 0) || r.InputTokens != 7 {
			t.Errorf("%d of 7 tokens: %d cached, flags %q, warned %q", cached, r.CachedTokens, r.Flags, warned)
		}
	}
	// Older llama-servers say how many they computed.
	r, _ := askOnce(t, "x", ten+timed(`"prompt_n":2,"prompt_ms":5,"predicted_n":10,"predicted_ms":140`), nil)
	if r.CachedTokens != 5 || string(r.Flags) != "cached-tokens" {
		t.Errorf("2 of 7 computed: %d cached, flags %q", r.CachedTokens, r.Flags)
	}
	// Some say that there was something, and not how much.
	for field, flagged := range map[string]bool{
		`"cache_hit":true`: true, `"cached":true`: true, `"cache_status":"HIT"`: true, `"meta":{"from_cache":true}`: true,
		`"cache_hit":false`: false, `"cached":null`: false, `"cache_status":"MISS"`: false, `"cache":{"enabled":true}`: false,
	} {
		t.Run(field, func(t *testing.T) {
			t.Parallel()
			r, warned := askOnce(t, "x", strings.ReplaceAll(ten, `{"choices"`, `{`+field+`,"choices"`)+end+used(7, 10, "")+allDone, nil)
			if r.CachedTokens != -1 || (r.Flags == "cached-tokens") != flagged || strings.Contains(warned, "cache") != flagged {
				t.Errorf("%d cached, flags %q, warned %q", r.CachedTokens, r.Flags, warned)
			}
		})
	}
}

// Times that cannot be are not taken for phases: then the stream is what is known.
func TestTimingsThatCannotBe(t *testing.T) {
	atOnce := "PAUSEPAUSE" + strings.ReplaceAll(said(10, oneToken), "PAUSE", "")
	for timings, believed := range map[string]bool{
		`"prompt_ms":5,"predicted_ms":20`:                 true,
		`"prompt_ms":0.005,"predicted_ms":0.02`:           false, // in seconds
		`"prompt_ms":0,"predicted_ms":20`:                 false,
		`"prompt_ms":5,"predicted_ms":0`:                  false,
		`"prompt_ms":0,"predicted_ms":0`:                  false,
		`"prompt_ms":-5,"predicted_ms":20`:                false,
		`"prompt_ms":5,"predicted_ms":-20`:                false,
		`"prompt_ms":NaN,"predicted_ms":NaN`:              false,
		`"prompt_ms":Infinity,"predicted_ms":-Infinity`:   false,
		`"prompt_ms":null,"predicted_ms":null`:            false,
		`"prompt_ms":"5","predicted_ms":1e999`:            false,
		`"prompt_ms":5000,"predicted_ms":20`:              false,
		`"prompt_ms":1764150000000,"predicted_ms":0.0001`: false, // a time of day
	} {
		t.Run(timings, func(t *testing.T) {
			t.Parallel()
			r, _ := askOnce(t, "x", atOnce+timed(timings), nil)
			if (r.PrefillEndNS > 0) != believed || (r.Flags == "") != believed || r.OutputTokens != 10 {
				t.Errorf("at once: prefill ended at %d, flags %q, %d tokens", r.PrefillEndNS, r.Flags, r.OutputTokens)
			}
			if believed {
				return
			}
			r, _ = askOnce(t, "x", said(10, oneToken)+timed(timings), nil)
			if r.PrefillEndNS != r.FirstTokenNS || r.Flags != "" || r.OutputTokens != 10 || r.ServerPrefillNS < 0 || r.ServerDecodeNS < 0 {
				t.Errorf("as they came: prefill ended at %d, first token at %d, flags %q, %d tokens", r.PrefillEndNS, r.FirstTokenNS, r.Flags, r.OutputTokens)
			}
		})
	}
}

func TestWithoutNaN(t *testing.T) {
	for in, want := range map[string]string{
		`{"a":NaN,"b":-Infinity,"c":[Infinity,-1,-NaN]}`: `{"a":null,"b":null,"c":[null,-1,null]}`,
		`{"NaN":"Infinity \" NaN \\","I":"-Infinity"}`:   `{"NaN":"Infinity \" NaN \\","I":"-Infinity"}`,
		`{"a":None}`: `{"a":None}`,
		`"\`:         `"\`,
	} {
		if got := string(withoutNaN([]byte(in))); got != want {
			t.Errorf("%s: %s", in, got)
		}
	}
}

// Some servers give the prompt back before the answer, long before there is one.
func TestPromptGivenBack(t *testing.T) {
	const prompt = "Is the sky blue, and why is it?"
	for name, script := range map[string]string{
		"by itself":      sse(`{"choices":[{"text":"`+prompt+`"}]}`) + "PAUSE" + said(10, oneToken),
		"with the first": "PAUSEPAUSE" + sse(`{"choices":[{"text":"`+prompt+`w0 "}]}`) + strings.Join(strings.SplitAfter(said(10, oneToken), "\n\n")[1:], ""),
	} {
		r, _ := askOnce(t, prompt, script+sse(cutOff)+used(7, 10, "")+allDone, nil)
		if r.Output.Text != "w0 w1 w2 w3 w4 w5 w6 w7 w8 w9 " || r.Flags != "" || r.PrefillEndNS-r.StartNS < 2*int64(pause) {
			t.Errorf("%s: %q, flags %q, a prefill of %d ns", name, r.Output.Text, r.Flags, r.PrefillEndNS-r.StartNS)
		}
	}
}

// Counts of prompts that were cut, or of which what was cached is left out.
func TestPromptCountedTooShort(t *testing.T) {
	long := strings.Repeat("word ", 100)
	for _, c := range []struct {
		counted int
		flags   string
	}{{100, ""}, {40, ""}, {30, "count-doubtful"}, {1, "count-doubtful"}} {
		r, warned := askOnce(t, long, said(10, oneToken)+sse(cutOff)+used(c.counted, 10, "")+allDone, nil)
		if r.InputTokens != c.counted || string(r.Flags) != c.flags || strings.Contains(warned, "far fewer") != (c.flags != "") {
			t.Errorf("%d: %d tokens in, flags %q, warned %q", c.counted, r.InputTokens, r.Flags, warned)
		}
	}
	// Where the server has a tokenizer, its word is there to compare.
	s := newServer(t, func(s *server) {
		s.tokenizer, s.scripts = true, map[string]string{long: said(10, oneToken) + sse(cutOff) + used(60, 10, "") + allDone}
	})
	results, err := open(t, s, nil).Run(t.Context(), batch(10, long), &heard{})
	if err != nil || results[0].Flags != "count-doubtful" {
		t.Errorf("60 of 100: %v, %+v", err, results)
	}
}

// Reasoning that is counted beside the completion was generated too.
func TestReasoningCountedApart(t *testing.T) {
	for usage, want := range map[string]int{
		`"completion_tokens":3,"total_tokens":17,"completion_tokens_details":{"reasoning_tokens":7}`:  10,
		`"completion_tokens":3,"completion_tokens_details":{"reasoning_tokens":7}`:                    10,
		`"completion_tokens":7,"total_tokens":17,"completion_tokens_details":{"reasoning_tokens":3}`:  10,
		`"completion_tokens":10,"total_tokens":17,"completion_tokens_details":{"reasoning_tokens":7}`: 10,
		`"completion_tokens":10,"completion_tokens_details":{"reasoning_tokens":7}`:                   10,
		`"completion_tokens":0,"completion_tokens_details":{"reasoning_tokens":10}`:                   10,
	} {
		r, _ := askOnce(t, "x", said(3, oneToken)+sse(cutOff)+sse(`{"choices":[],"usage":{"prompt_tokens":7,`+usage+`}}`)+allDone, nil)
		if r.OutputTokens != want || string(r.Flags) != "hidden-tokens" {
			t.Errorf("%s: %d tokens, flags %q", usage, r.OutputTokens, r.Flags)
		}
	}
}

// A text that stands still in its middle is not what a model takes for it.
func TestStandstills(t *testing.T) {
	halting := said(5, oneToken) + strings.Repeat("PAUSE", 40) + said(5, oneToken) + sse(cutOff) + used(7, 10, "") + allDone
	r, warned := askOnce(t, "x", halting, func(b *Backend) { b.still = shortStandstill })
	if r.Flags != "stalled" || r.GapMaxNS < 40*int64(pause) || !strings.Contains(warned, "stood still") {
		t.Errorf("flags %q, warned %q", r.Flags, warned)
	}
	// Requests that come by themselves wait for one another as they must.
	s := newServer(t, func(s *server) { s.scripts = map[string]string{"x": halting} })
	b := open(t, s, func(o *Options) { o.Stall = 10 * time.Second })
	b.still = shortStandstill
	if r := b.Send(t.Context(), batch(10, "x").Requests[0], ignored()); r.Err != nil || r.Flags != "" {
		t.Errorf("sent alone: %v, flags %q", r.Err, r.Flags)
	}
	const ms = int64(time.Millisecond)
	for name, c := range map[string]struct {
		texts [][]int64
		gap   int64
	}{
		"steady":                 {[][]int64{steps(100*ms, 50, 20*ms)}, 0},
		"one halts":              {[][]int64{append(steps(100*ms, 20, 20*ms), steps(1500*ms, 20, 20*ms)...)}, 1020 * ms},
		"a short halt":           {[][]int64{append(steps(100*ms, 20, 20*ms), steps(700*ms, 20, 20*ms)...)}, 0},
		"a halt in much":         {[][]int64{append(steps(100*ms, 500, 20*ms), steps(10_500*ms, 500, 20*ms)...)}, 0},
		"another goes on":        {[][]int64{append(steps(100*ms, 20, 20*ms), steps(1500*ms, 20, 20*ms)...), steps(100*ms, 100, 20*ms)}, 0},
		"all halt":               {[][]int64{append(steps(100*ms, 20, 20*ms), steps(1500*ms, 20, 20*ms)...), append(steps(110*ms, 20, 20*ms), steps(1500*ms, 20, 20*ms)...)}, 1010 * ms},
		"one is not read yet":    {[][]int64{append(steps(100*ms, 5, 20*ms), steps(1500*ms, 20, 20*ms)...), steps(1490*ms, 20, 20*ms)}, 0},
		"one of which is unsure": {[][]int64{append(steps(100*ms, 20, 20*ms), steps(1500*ms, 20, 20*ms)...), nil}, 0},
		"one token":              {[][]int64{{100 * ms}}, 0},
	} {
		r := &run{Backend: &Backend{still: shortStandstill}, texts: c.texts, results: make([]engine.Result, len(c.texts))}
		if gap, _ := r.standstill(); gap != c.gap {
			t.Errorf("%s: %v, want %v", name, time.Duration(gap), time.Duration(c.gap))
		}
	}
}

// A server of fewer slots than the batch runs it in parts.
func TestFewerSlotsThanTheBatch(t *testing.T) {
	alone := said(10, oneToken) + sse(cutOff) + used(7, 10, "") + allDone
	s := newServer(t, func(s *server) {
		s.scripts = map[string]string{"a": alone, "b": strings.Repeat("PAUSE", 60) + alone}
	})
	var mu sync.Mutex
	var warned []string
	b := open(t, s, func(o *Options) {
		o.Stall = 10 * time.Second
		o.Warn = func(text string) { mu.Lock(); warned = append(warned, text); mu.Unlock() }
	})
	results, err := b.Run(t.Context(), batch(10, "a", "b"), &heard{})
	if err != nil || results[0].Flags != "batch-apart" || results[1].Flags != "batch-apart" {
		t.Errorf("%v, flags %q and %q", err, results[0].Flags, results[1].Flags)
	}
	if !slices.ContainsFunc(warned, func(w string) bool { return strings.Contains(w, "fewer slots") }) {
		t.Errorf("warned %q", warned)
	}
	for name, c := range map[string]struct {
		texts [][]int64
		most  int
		want  bool
	}{
		"together":               {[][]int64{steps(100, 20, 10), steps(110, 20, 10)}, 20, false},
		"one after another":      {[][]int64{steps(100, 20, 10), steps(400, 20, 10)}, 20, true},
		"two at a time":          {[][]int64{steps(100, 20, 10), steps(110, 20, 10), steps(310, 20, 10), steps(320, 20, 10)}, 20, true},
		"a short one ends":       {[][]int64{steps(100, 5, 10), steps(400, 20, 10)}, 20, false},
		"short ones in turns":    {[][]int64{steps(100, 5, 10), steps(400, 5, 10)}, 5, true},
		"one token each":         {[][]int64{{100}, {200}}, 1, false},
		"it is not known of one": {[][]int64{steps(100, 20, 10), nil}, 20, false},
	} {
		r := &run{texts: c.texts}
		for range c.texts {
			r.most = append(r.most, c.most)
		}
		if got := r.inTurns(); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// steps are the times of n tokens from from on.
func steps(from, n, every int64) (times []int64) {
	for k := range n {
		times = append(times, from+k*every)
	}
	return times
}

// A server that answers with another model says so in its answers.
func TestModelsThatAnswer(t *testing.T) {
	from := func(name string, n int) string {
		return said(n, fmt.Sprintf(`{"model":%q,"choices":[{"text":"w%%d "}]}`, name))
	}
	rest := sse(cutOff) + used(7, 10, "") + allDone
	for name, c := range map[string]struct {
		answers []string
		flags   []string
	}{
		"itself":              {[]string{from("m", 10), from("m", 10)}, []string{"", ""}},
		"a version of it":     {[]string{from("M-2026-05-01", 10), from("M-2026-05-01", 10)}, []string{"", ""}},
		"a file of it":        {[]string{from("/models/m.gguf", 10)}, []string{""}},
		"no name":             {[]string{from("", 10)}, []string{""}},
		"no text":             {[]string{strings.ReplaceAll(from("m", 10), `"m"`, `7`)}, []string{""}},
		"a stand-in":          {[]string{from("other", 10), from("other", 10)}, []string{"other-model", "other-model"}},
		"a stand-in at times": {[]string{from("m", 10), from("other", 10), from("m", 10)}, []string{"", "other-model", ""}},
		"versions by turns":   {[]string{from("m-1", 10), from("m-2", 10)}, []string{"", "other-model"}},
		"in the middle":       {[]string{from("m", 5) + from("other", 5)}, []string{"other-model"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			scripts := map[string]string{}
			for i, a := range c.answers {
				scripts[fmt.Sprint(i)] = a + rest
			}
			var warned []string
			s := newServer(t, func(s *server) { s.scripts = scripts })
			b := open(t, s, func(o *Options) {
				o.Stall, o.Warn = 10*time.Second, func(text string) { warned = append(warned, text) }
			})
			for i, want := range c.flags {
				results, err := b.Run(t.Context(), batch(10, fmt.Sprint(i)), &heard{})
				if err != nil || results[0].Err != nil || string(results[0].Flags) != want {
					t.Errorf("answer %d: %v, %v, flags %q", i, err, results[0].Err, results[0].Flags)
				}
			}
			if flagged := slices.Contains(c.flags, "other-model"); flagged != (len(warned) > 0) {
				t.Errorf("warned %q", warned)
			}
		})
	}
}
