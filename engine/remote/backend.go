package remote

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"jouletop/engine"
	"jouletop/gpu/timebase"
)

// Options configure a Backend. Only URL is needed.
type Options struct {
	// URL is the server ("http://host:8000") or its API ("https://host/api/v1").
	// It must not hold a user name or password.
	URL string
	// Getenv replaces the environment, where JOULETOP_API_KEY is looked up, and
	// OPENAI_API_KEY for servers of OpenAI or of OPENAI_BASE_URL.
	Getenv func(string) string
	// Timeout bounds one try of a request, default 10 min. Stall bounds the time
	// without any bytes, in the queue too, default 2 min. LoadWait is how long a
	// server that loads its model is waited for, default 10 min.
	Timeout, Stall, LoadWait time.Duration
	// KeepCache leaves it to the server's prompt cache what it computes. Else each
	// request begins with a nonce of its own, so that nothing of it is cached.
	KeepCache bool
	// NonceSeed makes the nonces; two sessions on one server must differ in it.
	NonceSeed uint64
	// Retries is how often a request that is refused for the moment is tried
	// again, default 4, none if negative. Backoff is the first pause, default
	// 500 ms; each is twice the one before, or what the server asks for, up to 30 s.
	Retries int
	Backoff time.Duration
	// Warn is told, once each, what the figures lack; from any goroutine.
	Warn func(text string)
	// Transport replaces the network; for tests.
	Transport http.RoundTripper
}

// Backend is a model served elsewhere. Make one with New.
type Backend struct {
	opt  Options
	base *url.URL // with /v1
	cleaner
	brief  time.Duration // bounds what an answer does not hang on
	still  time.Duration // how long a text may stand still in its middle
	client *http.Client
	clk    timebase.Clock
	life   context.Context // done when Close is called
	finish context.CancelFunc

	nonces atomic.Uint64 // given out

	mu     sync.Mutex
	model  served
	quirks quirks
	warned map[string]bool
}

var _ engine.Backend = (*Backend)(nil)

var (
	errClosed  = errors.New("engine/remote: closed")
	errNoModel = errors.New("engine/remote: no model is loaded")
	// ErrNoScoring is wrapped by the error of a request with answer options on a
	// server that gives no log-likelihoods of a prompt.
	ErrNoScoring = errors.New("the server gives no log-likelihoods of a prompt (completions with echo and logprobs), which tasks with answer options need: use a dataset of free answers (truthfulqa, narrativeqa), or a server such as vLLM or SGLang")
)

// New checks the address and the key; it does not connect.
func New(opt Options) (*Backend, error) {
	base, err := parseURL(opt.URL)
	if err != nil {
		return nil, err
	}
	if opt.Getenv == nil {
		opt.Getenv = os.Getenv
	}
	key, err := apiKey(opt.Getenv, base)
	if err != nil {
		return nil, err
	}
	orDefault := func(d *time.Duration, otherwise time.Duration) {
		if *d <= 0 {
			*d = otherwise
		}
	}
	orDefault(&opt.Timeout, 10*time.Minute)
	orDefault(&opt.Stall, 2*time.Minute)
	orDefault(&opt.LoadWait, 10*time.Minute)
	orDefault(&opt.Backoff, 500*time.Millisecond)
	if opt.Retries == 0 {
		opt.Retries = 4
	}
	if opt.Transport == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.MaxIdleConnsPerHost = 256
		t.DisableCompression = true // a compressor would hold tokens back
		t.DialContext = dial
		t.MaxResponseHeaderBytes = 1 << 20
		opt.Transport = t
	}
	b := &Backend{
		opt: opt, base: base, cleaner: newCleaner(key), brief: 5 * time.Second, still: shortStandstill, clk: timebase.Monotonic(), warned: map[string]bool{},
		client: &http.Client{Transport: opt.Transport, CheckRedirect: redirect},
	}
	b.life, b.finish = context.WithCancel(context.Background())
	return b, nil
}

// redirect follows an answer that only writes an address otherwise: a prompt and
// a key go where the operator said.
func redirect(to *http.Request, via []*http.Request) error {
	from := via[0]
	if len(via) > 3 || to.Method != from.Method || to.URL.Scheme != from.URL.Scheme || to.URL.Host != from.URL.Host {
		return http.ErrUseLastResponse
	}
	return nil
}

// Name returns "remote".
func (b *Backend) Name() string { return "remote" }

// warn tells the operator something once.
func (b *Backend) warn(text string) {
	b.mu.Lock()
	told := b.warned[text]
	b.warned[text] = true
	b.mu.Unlock()
	if !told && b.opt.Warn != nil {
		b.opt.Warn(text)
	}
}

// within returns a context that ends with ctx and with the backend.
func (b *Backend) within(ctx context.Context) (context.Context, context.CancelFunc, error) {
	if b.life.Err() != nil {
		return nil, nil, errClosed
	}
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(b.life, cancel)
	return ctx, func() { stop(); cancel() }, nil
}

// CountTokens asks the server (POST /tokenize of vLLM and llama-server); it
// fails where that does not count.
func (b *Backend) CountTokens(text string) (int, error) {
	ctx, cancel, err := b.within(context.Background())
	if err != nil {
		return 0, err
	}
	defer cancel()
	m := b.loaded()
	switch {
	case m.name == "":
		return 0, errNoModel
	case !m.tokenizer:
		return 0, fmt.Errorf("%s counts no tokens for others (no /tokenize)", b.base.Host)
	}
	return b.count(ctx, m.name, text)
}

// Close ends what runs. It may be called from any goroutine and more than once.
func (b *Backend) Close() error {
	b.finish()
	b.client.CloseIdleConnections()
	return nil
}
