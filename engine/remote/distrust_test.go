package remote

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"jouletop/engine"
)

const secret = "sk-Very/Secret-12345"

func withKey(o *Options) {
	o.Getenv = func(name string) string { return map[string]string{"JOULETOP_API_KEY": secret}[name] }
}

func TestKeyIsRefused(t *testing.T) {
	for _, c := range []struct {
		url, variable, key, want string
	}{
		{"http://api.example.com", "JOULETOP_API_KEY", secret, "write https://"},
		{"http://8.8.8.8:8000", "JOULETOP_API_KEY", secret, "write https://"},
		{"http://api.openai.com", "OPENAI_API_KEY", secret, "OPENAI_API_KEY"},
		{"http://host:1", "JOULETOP_API_KEY", "sk-Very\nSecret", "JOULETOP_API_KEY"},
		{"https://api.openai.com", "OPENAI_API_KEY", "sk-Very\x00Secret", "OPENAI_API_KEY"},
	} {
		_, err := New(Options{URL: c.url, Getenv: func(name string) string { return map[string]string{c.variable: c.key}[name] }})
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "Very") {
			t.Errorf("%s with %s: %v", c.url, c.variable, err)
		}
	}
}

func TestForeignTextIsClean(t *testing.T) {
	s := newServer(t, nil)
	b := open(t, s, withKey)
	for _, prompt := range []string{"key in text", "key at the cut", "key as type"} {
		results, err := b.Run(t.Context(), batch(2, prompt), &heard{})
		if err != nil || results[0].Err == nil {
			t.Fatalf("%s: %v, %+v", prompt, err, results)
		}
		text := results[0].Err.Error()
		if strings.Contains(strings.ToLower(text), "sk-v") || strings.ContainsRune(text, '\x1b') || !strings.Contains(text, "***") {
			t.Errorf("%s: %q", prompt, text)
		}
	}
	c := newCleaner(secret)
	for text, want := range map[string]string{
		"a " + strings.ToLower(secret) + " b":        "a *** b",
		"?key=sk-Very%2fSecret-12345":                "?key=***",
		`{"k":"sk-Very\/Secret-12345"}`:              `{"k":"***"}`,
		"ends in sk-Ver":                             "ends in ***",
		"ends in sk-V":                               "ends in sk-V",
		"\x1b]0;x\x07 \u202egnp\u2066\u009b\x7f\xff": "�]0;x� �gnp����",
		"two\r\nlines":                               "two lines",
		strings.Repeat("x", 295) + " " + secret:      strings.Repeat("x", 295) + " ***",
		strings.Repeat("ä", 400):                     strings.Repeat("ä", 300) + "…",
	} {
		if got := c.clean(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestServedNames(t *testing.T) {
	for models, want := range map[string]string{
		`{"data":[{"id":"a\u001b[31m"}]}`:                       "a�[31m",
		`{"data":[{"id":"a-` + strings.ToUpper(secret) + `"}]}`: "a-***",
	} {
		s := newServer(t, func(s *server) { s.models = models })
		o := Options{URL: s.URL}
		withKey(&o)
		b, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"", want} { // alone, and as it was shown
			info, err := b.Load(t.Context(), engine.ModelSpec{Name: name}, nil)
			if err != nil || info.Name != want {
				t.Errorf("%q, %v; want %q", info.Name, err, want)
			}
		}
		if asked := b.loaded().name; !strings.Contains(models, "u001b") && asked == want {
			t.Errorf("the server is asked for %q", asked)
		}
		if _, err := b.Load(t.Context(), engine.ModelSpec{Name: "other"}, nil); err == nil || !strings.HasSuffix(err.Error(), "serves "+want) {
			t.Errorf("%v", err)
		}
	}
}

func TestStreams(t *testing.T) {
	const (
		word = "data: {\"choices\":[{\"text\":\"w\"}]}\n\n"
		stop = "data: {\"choices\":[{\"text\":\"\",\"finish_reason\":\"stop\"}]}\n\n"
		done = "data: [DONE]\n\n"
	)
	usage := func(p, c string) string {
		return fmt.Sprintf("data: {\"choices\":[],\"usage\":{\"prompt_tokens\":%s,\"completion_tokens\":%s}}\n\n", p, c)
	}
	for name, c := range map[string]struct {
		script, err string
		in, out     int
		warns       string
	}{
		"huge counts":          {word + stop + usage("1e15", "1000000000000000") + done, "", -1, 1, "cannot be"},
		"negative counts":      {word + stop + usage("-5", "-3") + done, "", -1, 1, "cannot be"},
		"too many":             {word + stop + usage("7", "13") + done, "", 7, 1, "cannot be"},
		"special tokens":       {word + stop + usage("7", "12") + done, "", 7, 12, "several tokens at a time"},
		"mended later":         {word + usage("7", "1e99") + stop + usage("7", "2") + done, "", 7, 2, "several tokens at a time"},
		"fractions":            {word + stop + usage("7.0", "2.0") + done, "", 7, 2, "several tokens at a time"},
		"texts":                {word + stop + usage(`"7"`, `"2"`) + done, "", 7, 2, "several tokens at a time"},
		"unreadable counts":    {word + stop + usage("[7]", "{}") + done, "", -1, 1, "cannot be"},
		"unreadable usage":     {word + stop + "data: {\"usage\":[1,2]}\n\n" + done, "", -1, 1, "cannot be"},
		"older llama-server":   {word + "error: {\"code\":500,\"message\":\"context size exceeded\"}\n\n", "context size exceeded", -1, 1, ""},
		"event: error":         {word + "event: error\ndata: {\"message\":\"out of memory\"}\n\n" + done, "out of memory", -1, 1, ""},
		"object: error":        {word + "data: {\"object\":\"error\",\"message\":\"engine died\"}\n\n" + done, "engine died", -1, 1, ""},
		"message alone":        {word + "data: {\"message\":\"engine\\u001b[31m died\"}\n\n" + done, "engine�[31m died", -1, 1, ""},
		"done at once":         {done, "ended without a token", -1, 0, ""},
		"only usage":           {usage("7", "2") + done, "ended without a token", 7, 2, ""},
		"no reason":            {word + usage("7", "1") + done, "", 7, 1, ""},
		"hangs when finished":  {word + stop + usage("7", "1") + "HANG", "", 7, 1, ""},
		"resets when finished": {word + stop + usage("7", "1") + "RESET", "", 7, 1, ""},
		"cut when finished":    {word + stop + usage("7", "1") + "data: [DO", "", 7, 1, ""},
		"empty data":           {"data:\n\ndata: \n\nevent: error\n\n" + word + stop + usage("7", "1") + done, "", 7, 1, ""},
		"BOM":                  {"\ufeff" + word + stop + usage("7", "1") + done, "", 7, 1, ""},
		"CR":                   {strings.ReplaceAll(word+stop+usage("7", "1")+done, "\n", "\r"), "", 7, 1, ""},
		"CR LF":                {strings.ReplaceAll(word+stop+usage("7", "1")+done, "\n", "\r\n"), "", 7, 1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var said []string
			s := newServer(t, func(s *server) { s.scripts = map[string]string{name: c.script} })
			b := open(t, s, func(o *Options) {
				o.Stall = 10 * time.Second
				o.Warn = func(text string) { said = append(said, text) }
			})
			b.brief = 200 * time.Millisecond
			results, err := b.Run(t.Context(), batch(4, name), &heard{})
			if err != nil {
				t.Fatal(err)
			}
			r := results[0]
			if c.err == "" && r.Err != nil || c.err != "" && (r.Err == nil || !strings.Contains(r.Err.Error(), c.err)) {
				t.Errorf("error %v, want %q", r.Err, c.err)
			}
			if r.InputTokens != c.in || r.OutputTokens != c.out {
				t.Errorf("%d tokens in, %d out; want %d, %d", r.InputTokens, r.OutputTokens, c.in, c.out)
			}
			if all := strings.Join(said, "\n"); !strings.Contains(all, c.warns) || c.warns == "" && all != "" {
				t.Errorf("warned %q, want %q", all, c.warns)
			}
		})
	}
}

func TestSilentTokenizer(t *testing.T) {
	s := newServer(t, func(s *server) { s.silent = "/tokenize" })
	b, err := New(Options{URL: s.URL, KeepCache: true, Getenv: func(string) string { return "" }})
	if err != nil {
		t.Fatal(err)
	}
	b.brief = 50 * time.Millisecond
	start := time.Now()
	if _, err := b.Load(t.Context(), engine.ModelSpec{Name: "m"}, nil); err != nil || time.Since(start) > 5*time.Second {
		t.Errorf("Load: %v after %v", err, time.Since(start))
	}
	b.setModel(served{name: "m", tokenizer: true})
	if _, err := b.CountTokens("a"); !errors.Is(err, errTimeout) {
		t.Errorf("CountTokens: %v", err)
	}
}

func TestCancelEndsAtOnce(t *testing.T) {
	for name, c := range map[string]struct {
		silent string
		do     func(*Backend, context.Context) error
	}{
		"Load, models": {"/v1/models", func(b *Backend, ctx context.Context) error {
			_, err := b.Load(ctx, engine.ModelSpec{Name: "m"}, nil)
			return err
		}},
		"Load, tokenize": {"/tokenize", func(b *Backend, ctx context.Context) error {
			_, err := b.Load(ctx, engine.ModelSpec{Name: "m"}, nil)
			return err
		}},
		"a pause": {"", func(b *Backend, ctx context.Context) error {
			b.setModel(served{name: "m"})
			_, err := b.Run(ctx, batch(4, "later"), &heard{})
			return err
		}},
		"a stalled Run": {"", func(b *Backend, ctx context.Context) error {
			b.setModel(served{name: "m"})
			_, err := b.Run(ctx, batch(4, "stalls", "stalls"), &heard{})
			return err
		}},
		"a count in Run": {"/tokenize", func(b *Backend, ctx context.Context) error {
			b.setModel(served{name: "m", tokenizer: true})
			_, err := b.Run(ctx, batch(4, "x"), &heard{})
			return err
		}},
		"CountTokens": {"/tokenize", func(b *Backend, ctx context.Context) error { // no context of its own: Close ends it
			b.setModel(served{name: "m", tokenizer: true})
			defer context.AfterFunc(ctx, func() { _ = b.Close() })()
			_, err := b.CountTokens("a")
			return err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, func(s *server) { s.silent = c.silent })
			b, err := New(Options{URL: s.URL, KeepCache: true, Getenv: func(string) string { return "" }})
			if err != nil {
				t.Fatal(err)
			}
			b.brief = time.Minute
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(100*time.Millisecond, cancel)
			start := time.Now()
			if err := c.do(b, ctx); !errors.Is(err, context.Canceled) || time.Since(start) > 2*time.Second {
				t.Errorf("%v after %v", err, time.Since(start))
			}
		})
	}
}
