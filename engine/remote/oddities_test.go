package remote

import (
	"compress/gzip"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"jouletop/engine"
)

// More of what servers and gateways do. Each request asks for 10 tokens.
func TestOddStreams(t *testing.T) {
	ten, end, usage := said(10, oneToken), sse(cutOff), used(7, 10, "")
	const text = "w0 w1 w2 w3 w4 w5 w6 w7 w8 w9 "
	finish := func(reason string) string { return sse(`{"choices":[{"text":"","finish_reason":` + reason + `}]}`) }
	soFar := func(n int) string { // each chunk has all the text until then
		var b strings.Builder
		for i := range n {
			b.WriteString("PAUSE" + sse(`{"choices":[{"text":"`+text[:3*(i+1)]+`"}]}`))
		}
		return b.String()
	}
	for name, c := range map[string]struct {
		script  string
		err     string
		in, out int
		known   bool
		flags   string
		text    string
	}{
		// Counts in other places and by other names.
		"usage_metadata":      {ten + end + sse(`{"usageMetadata":{"promptTokenCount":7,"candidatesTokenCount":10,"totalTokenCount":17}}`) + allDone, "", 7, 10, true, "", text},
		"metrics of a cloud":  {ten + end + sse(`{"choices":[],"amazon-bedrock-invocationMetrics":{"inputTokenCount":7,"outputTokenCount":10}}`) + allDone, "", 7, 10, true, "", text},
		"in an inner object":  {ten + end + sse(`{"choices":[],"metadata":{"usage":{"prompt_tokens":7,"completion_tokens":10}}}`) + allDone, "", 7, 10, true, "", text},
		"at the top":          {ten + end + sse(`{"choices":[],"prompt_eval_count":7,"eval_count":10,"done":true}`) + allDone, "", 7, 10, true, "", text},
		"in the message":      {ten + sse(`{"choices":[{"text":"","finish_reason":"length","message":{"usage":{"prompt_tokens":7,"completion_tokens":10}}}]}`) + allDone, "", 7, 10, true, "", text},
		"a total alone":       {ten + end + sse(`{"choices":[],"usage":{"total_tokens":17}}`) + allDone, "", -1, 10, true, "count-doubtful", text},
		"null details":        {ten + end + used(7, 10, `,"prompt_tokens_details":null,"completion_tokens_details":null`) + allDone, "", 7, 10, true, "", text},
		"null in each":        {said(10, `{"choices":[{"text":"w%d ","finish_reason":null}],"usage":null,"error":null}`) + end + usage + allDone, "", 7, 10, true, "", text},
		"usage twice":         {ten + end + usage + usage + allDone, "", 7, 10, true, "", text},
		"the end twice":       {ten + end + end + usage + allDone, "", 7, 10, true, "", text},
		"reasoning unbounded": {ten + end + used(7, 210, `,"completion_tokens_details":{"reasoning_tokens":200}`) + allDone, "", 7, 210, false, "hidden-tokens+max-tokens-ignored", text},

		// Ends.
		"FINISH_REASON_STOP":   {ten + finish(`"FINISH_REASON_STOP"`) + usage + allDone, "", 7, 10, true, "", text},
		"a class's name":       {ten + finish(`"FinishReason.MAX_TOKENS"`) + usage + allDone, "", 7, 10, true, "", text},
		"max_new_tokens":       {ten + finish(`"max_new_tokens"`) + usage + allDone, "", 7, 10, true, "", text},
		"stop sequence":        {ten + finish(`"Stop Sequence"`) + usage + allDone, "", 7, 10, true, "", text},
		"false until it ends":  {said(10, `{"choices":[{"text":"w%d ","finish_reason":false}]}`) + finish(`"eos"`) + usage + allDone, "", 7, 10, true, "", text},
		"empty until it ends":  {said(10, `{"choices":[{"text":"w%d ","finish_reason":""}]}`) + finish(`"end_turn"`) + usage + allDone, "", 7, 10, true, "", text},
		"an unknown reason":    {ten + finish(`"recitation"`) + usage + allDone, `finish_reason "recitation"`, 7, 10, false, "", text},
		"fewer than asked for": {said(5, oneToken) + end + used(7, 5, "") + allDone, "", 7, 5, true, "cut-short", "w0 w1 w2 w3 w4 "},
		"garbage at the end":   {ten + end + usage + "data: [END]\n\n" + allDone, "", 7, 10, true, "", text},
		"closed mid-stream":    {said(5, oneToken), "broke off", -1, 5, false, "", ""},

		// Events.
		"pings":               {"event: ping\ndata: still here\n\nPAUSE" + ten + end + usage + allDone, "", 7, 10, true, "", text},
		"no blank lines":      {strings.ReplaceAll(ten+end+usage+allDone, "\n\n", "\n"), "", 7, 10, true, "", text},
		"an empty error":      {said(10, `{"error":{},"choices":[{"text":"w%d "}]}`) + end + usage + allDone, "", 7, 10, true, "", text},
		"a role long before":  {sse(`{"choices":[{"delta":{"role":"assistant","content":""}}]}`) + "PAUSEPAUSE" + ten + end + usage + allDone, "", 7, 10, true, "", text},
		"text in the delta":   {said(10, `{"choices":[{"delta":{"text":"w%d "}}]}`) + end + usage + allDone, "", 7, 10, true, "", text},
		"text in both places": {said(10, `{"choices":[{"text":"w%d ","delta":{"content":"w%d "}}]}`) + end + usage + allDone, "", 7, 10, true, "", text},
		"all again at last":   {ten + sse(`{"choices":[{"text":"`+text+`","finish_reason":"length"}]}`) + usage + allDone, "", 7, 10, true, "", text},
		"all as a message":    {ten + sse(`{"choices":[{"delta":{},"message":{"content":"`+text+`"},"finish_reason":"length"}]}`) + usage + allDone, "", 7, 10, true, "", text},
		"all so far in each":  {soFar(10) + end + usage + allDone, "", 7, 10, true, "", text},
		"several choices":     {said(10, `{"choices":[{"index":0,"text":"w%d "},{"index":1,"text":"v%d "}]}`) + end + used(7, 20, "") + allDone, "several answers", 7, 20, false, "", ""},
		"choices by turns":    {said(10, `{"choices":[{"index":0,"text":"w%d "}]}`+"\n\ndata: "+`{"choices":[{"index":1,"text":"v%d "}]}`) + end + used(7, 20, "") + allDone, "several answers", -1, 1, false, "", ""},
		"counted from one":    {said(10, `{"choices":[{"index":1,"text":"w%d "}]}`) + end + usage + allDone, "", 7, 10, true, "", text},

		"data without a space": {strings.ReplaceAll(ten+end+usage+allDone, "data: ", "data:"), "", 7, 10, true, "", text},
		"empty data":           {"data:\n\nPAUSEdata: \n\n" + ten + end + usage + allDone, "", 7, 10, true, "", text},
		"a null delta":         {sse(`{"choices":[{"delta":null,"finish_reason":null}]}`) + ten + end + usage + allDone, "", 7, 10, true, "", text},
		"null choices":         {ten + end + sse(`{"choices":null,"usage":{"prompt_tokens":7,"completion_tokens":10}}`) + allDone, "", 7, 10, true, "", text},
		"the end with a text":  {said(9, oneToken) + "PAUSE" + sse(`{"choices":[{"text":"w9 ","finish_reason":"length"}]}`) + usage + allDone, "", 7, 10, true, "", text},
		"the last chunk twice": {said(9, oneToken) + "PAUSE" + strings.Repeat(sse(`{"id":"x","choices":[{"text":"w9 ","finish_reason":"length"}]}`), 2) + usage + allDone, "", 7, 10, true, "", text},
		"usage before the end": {ten + usage + end + allDone, "", 7, 10, true, "", text},
		"nothing after it":     {ten + end + usage, "", 7, 10, true, "", text},
		"an error at the end":  {ten + sse(`{"error":{"message":"out of memory","code":500}}`), "out of memory", 7, 10, false, "", text},
		"an error as text":     {ten + sse(`{"error":"out of memory"}`) + allDone, "out of memory", 7, 10, false, "", text},
		"halves of a letter":   {said(1, "{\"choices\":[{\"text\":\"\xc3\"}]}") + said(1, "{\"choices\":[{\"delta\":{\"content\":\"\xa9\"}}]}") + said(8, oneToken) + end + usage + allDone, "", 7, 10, true, "", "é" + text[:24]},
		"halves in UTF-16":     {said(1, `{"choices":[{"text":"a\ud83d"}]}`) + said(1, `{"choices":[{"delta":{"content":"\ude00b"}}]}`) + said(8, oneToken) + end + usage + allDone, "", 7, 10, true, "", "a😀b" + text[:24]},
		"a letter in each":     {said(40, `{"choices":[{"text":"x"}]}`) + end + usage + allDone, "", 7, 10, true, "count-doubtful", strings.Repeat("x", 40)}, // not more than max_tokens
		"a lone half":          {said(1, `{"choices":[{"text":"a\ud83d"}]}`) + said(9, oneToken) + end + usage + allDone, "", 7, 10, true, "", "a\ufffd" + text[:27]},
		"a half at the end":    {said(9, oneToken) + "PAUSE" + sse("{\"choices\":[{\"text\":\"\xf0\x9f\"}]}") + end + usage + allDone, "", 7, 10, true, "", text[:27] + "\ufffd"},
		"escapes and halves":   {said(9, oneToken) + "PAUSE" + sse(`{"choices":[{"text":"\ud83d\ude00\u00e9\n\t\"\\\/\ud83d"}]}`) + end + usage + allDone, "", 7, 10, true, "", text[:27] + "😀é\n\t\"\\/\ufffd"},
		"no text at all":       {said(9, oneToken) + "PAUSE" + sse(`{"choices":[{"text":7}]}`) + allDone, "no JSON", 7, 10, false, "", ""},
		"a letter in packets":  {said(9, oneToken) + "PAUSEdata: {\"choices\":[{\"text\":\"\xf0\x9fPAUSE\x98\x80\"}]}\n\n" + end + usage + allDone, "", 7, 10, true, "", text[:27] + "😀"},

		// Thoughts.
		"reasoning_details": {said(7, `{"choices":[{"delta":{"reasoning_details":[{"type":"reasoning.text","text":"t"}]}}]}`) + said(3, oneToken) + end + usage + allDone, "", 7, 10, true, "", "w0 w1 w2 "},
		"thinking_blocks":   {said(7, `{"choices":[{"delta":{"thinking_blocks":[{"type":"thinking","thinking":"t"}]}}]}`) + said(3, oneToken) + end + usage + allDone, "", 7, 10, true, "", "w0 w1 w2 "},
		"think tags":        {said(1, `{"choices":[{"text":"<think>"}]}`) + said(6, `{"choices":[{"text":"t"}]}`) + said(1, `{"choices":[{"text":"</think>"}]}`) + said(2, oneToken) + end + usage + allDone, "", 7, 10, true, "", "w0 w1 "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, func(s *server) { s.scripts = map[string]string{name: c.script} })
			b := open(t, s, func(o *Options) { o.Stall = 10 * time.Second })
			results, err := b.Run(t.Context(), batch(10, name), &heard{})
			if err != nil {
				t.Fatal(err)
			}
			r := results[0]
			if c.err == "" && r.Err != nil || c.err != "" && (r.Err == nil || !strings.Contains(r.Err.Error(), c.err)) {
				t.Errorf("error %v, want %q", r.Err, c.err)
			}
			if c.err == "" && (r.InputTokens != c.in || r.OutputTokens != c.out || string(r.Flags) != c.flags || r.Output.Text != c.text) {
				t.Errorf("%d tokens in, %d out, flags %q, text %q; want %d, %d, %q", r.InputTokens, r.OutputTokens, r.Flags, r.Output.Text, c.in, c.out, c.flags)
			}
			if (r.PrefillEndNS > 0) != c.known {
				t.Errorf("prefill ended at %d (began at %d)", r.PrefillEndNS, r.StartNS)
			}
		})
	}
}

func TestCachedCountsByOtherNames(t *testing.T) {
	for usage, want := range map[string]int{
		`,"prompt_cache_hit_tokens":5`:                   5,
		`,"cache_read_input_tokens":5`:                   5,
		`,"num_cached_tokens":5`:                         5,
		`,"prompt_tokens_details":{"cachedTokens":5}`:    5,
		`,"prompt_tokens_details":{"cached_tokens":"5"}`: 5,
		`,"prompt_tokens_details":null`:                  -1,
		`,"cachedContentTokenCount":5`:                   5,
	} {
		s := newServer(t, func(s *server) {
			s.scripts = map[string]string{"x": said(10, oneToken) + sse(cutOff) + used(7, 10, usage) + allDone}
		})
		results, err := open(t, s, nil).Run(t.Context(), batch(10, "x"), &heard{})
		if err != nil || results[0].Err != nil {
			t.Fatal(err, results[0].Err)
		}
		if got := results[0].CachedTokens; got != want {
			t.Errorf("%s: %d", usage, got)
		}
	}
}

// A server's word for its phases is not believed against what was seen: its clock
// may have stepped.
func TestTimingsAgainstWhatWasSeen(t *testing.T) {
	for timings, flags := range map[string]string{
		`"timings":{"prompt_ms":5,"predicted_ms":0.5}`: "",
		`"timings":{"prompt_ms":0,"predicted_ms":0}`:   "",
	} {
		s := newServer(t, func(s *server) {
			s.scripts = map[string]string{"x": said(10, oneToken) + sse(`{"choices":[{"text":"","finish_reason":"length"}],"usage":{"prompt_tokens":7,"completion_tokens":10},`+timings+`}`) + allDone}
		})
		results, err := open(t, s, nil).Run(t.Context(), batch(10, "x"), &heard{})
		if err != nil || results[0].Err != nil {
			t.Fatal(err, results[0].Err)
		}
		r := results[0]
		if decode := r.EndNS - r.PrefillEndNS; r.PrefillEndNS != r.FirstTokenNS || decode < 8*int64(pause) || string(r.Flags) != flags {
			t.Errorf("%s: decode of %d ns, flags %q", timings, decode, r.Flags)
		}
	}
}

// An answer that nobody computed costs nothing, and says nothing of a model.
func TestAnswersFromACache(t *testing.T) {
	all := strings.ReplaceAll(said(40, oneToken), "PAUSE", "") + sse(cutOff) + used(7, 40, "") + allDone
	for name, c := range map[string]struct{ header, value, script, err string }{
		"by a header":      {"Cf-Aig-Cache-Status", "HIT", "PAUSE" + all, "Cf-Aig-Cache-Status: HIT"},
		"by another":       {"X-Cache", "Hit from cloudfront", "PAUSE" + all, "X-Cache: Hit"},
		"a miss":           {"X-Cache", "MISS", "PAUSE" + all, ""},
		"a header of time": {"Cache-Control", "no-cache", "PAUSE" + all, ""},
		"by its speed":     {"", "", `data: {"choices":[{"text":"` + strings.Repeat("word ", 4000) + `","finish_reason":"length"}],"usage":{"prompt_tokens":7,"completion_tokens":4000}}` + "\n\n" + allDone, "faster than"},
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if c.header != "" {
				w.Header().Set(c.header, c.value)
			}
			(&stream{w: w}).head()
			for i, part := range strings.Split(c.script, "PAUSE") {
				if i > 0 {
					time.Sleep(pause)
				}
				(&stream{w: w}).raw(part)
			}
		}))
		b := open(t, newServer(t, nil), nil)
		var err error
		if b.base, err = parseURL(s.URL); err != nil {
			t.Fatal(err)
		}
		n := 40
		if name == "by its speed" {
			n = 4000
		}
		results, err := b.Run(t.Context(), batch(n, "x"), &heard{})
		if err != nil {
			t.Fatal(err)
		}
		if got := results[0].Err; c.err == "" && got != nil || c.err != "" && (got == nil || !strings.Contains(got.Error(), c.err)) {
			t.Errorf("%s: %v, want %q", name, got, c.err)
		}
		s.Close()
	}
}

// Nobody asked for compression, and some compress.
func TestCompressedAnswers(t *testing.T) {
	inner := newServer(t, nil)
	for _, encoding := range []string{"gzip", "br"} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", encoding)
			z := gzip.NewWriter(w)
			defer func() { _ = z.Close() }()
			inner.Config.Handler.ServeHTTP(&zipped{w, z}, r)
		}))
		b, err := New(Options{URL: s.URL, KeepCache: true, Retries: -1})
		if err != nil {
			t.Fatal(err)
		}
		_, err = b.Load(t.Context(), engine.ModelSpec{Name: "m"}, nil)
		var results []engine.Result
		if err == nil {
			results, err = b.Run(t.Context(), batch(3, "x"), &heard{})
		}
		switch {
		case encoding == "br":
			if err == nil || !strings.Contains(err.Error(), `"br"`) {
				t.Errorf("%s: %v", encoding, err)
			}
		case err != nil || results[0].Err != nil || results[0].OutputTokens != 3 || results[0].PrefillEndNS == 0:
			t.Errorf("%s: %v, %+v", encoding, err, results)
		}
		s.Close()
	}
}

// A server that leaves TCP_NODELAY off holds each token back until the one before
// is acknowledged, which a reader that is not asked to puts off for 40 ms.
func TestTokensAreNotHeldBackForWantOfAcknowledgement(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		st := &stream{w: w}
		st.head()
		st.raw("")
		time.Sleep(pause)
		for _, part := range strings.Split(said(10, oneToken)+sse(cutOff)+used(7, 10, "")+allDone, "PAUSE") {
			time.Sleep(pause / 3)
			st.raw(part)
		}
	}))
	s.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		if err := c.(*net.TCPConn).SetNoDelay(false); err != nil {
			t.Error(err)
		}
		return ctx
	}
	s.Start()
	defer s.Close()
	b, err := New(Options{URL: s.URL, KeepCache: true})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	b.setModel(served{name: "m"})
	b.still = time.Minute
	for range 8 {
		results, err := b.Run(t.Context(), batch(10, "x"), &heard{})
		if err != nil || results[0].Err != nil || results[0].Flags != "" || results[0].PrefillEndNS == 0 {
			t.Errorf("%v, %+v", err, results)
		}
	}
}

type zipped struct {
	http.ResponseWriter
	z *gzip.Writer
}

func (w *zipped) Write(p []byte) (int, error) { return w.z.Write(p) }

func (w *zipped) Flush() {
	_ = w.z.Flush()
	w.ResponseWriter.(http.Flusher).Flush()
}

func TestRetryAfter(t *testing.T) {
	head := func(name, value string) http.Header { h := http.Header{}; h.Set(name, value); return h }
	for _, c := range []struct {
		head http.Header
		want time.Duration
	}{
		{head("Retry-After", "2"), 2 * time.Second},
		{head("Retry-After", "0.5"), 500 * time.Millisecond},
		{head("Retry-After", "1e300"), maxPause},
		{head("Retry-After", "NaN"), 0},
		{head("Retry-After-Ms", "250"), 250 * time.Millisecond},
		{head("Retry-After", "soon"), 0},
		{head("Retry-After", "Mon, 02 Jan 2006 15:04:05 GMT"), 0},
		{head("Retry-After", ""), 0},
		{head("Retry-After", "-1"), 0},
	} {
		if got := retryAfter(c.head); got != c.want {
			t.Errorf("%v: %v", c.head, got)
		}
	}
	date := time.Now().Add(20 * time.Second).UTC().Format(http.TimeFormat)
	if got := retryAfter(head("Retry-After", date)); got < 15*time.Second || got > 20*time.Second {
		t.Errorf("%s: %v", date, got)
	}
}
