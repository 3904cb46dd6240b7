package remote

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"os"
	"sync"
	"time"

	"jouletop/engine"
	"jouletop/engine/event"
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
	// without any bytes, in the queue too, default 2 min.
	Timeout, Stall time.Duration
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
	client *http.Client
	clk    timebase.Clock
	life   context.Context // done when Close is called
	finish context.CancelFunc

	mu        sync.Mutex
	model     string // "" before Load
	tokenizer bool   // the server counts tokens
	quirks    quirks
	warned    map[string]bool
}

var _ engine.Backend = (*Backend)(nil)

var (
	errClosed  = errors.New("engine/remote: closed")
	errNoModel = errors.New("engine/remote: no model is loaded")
	// ErrNoScoring is wrapped by the error of a request with answer options on a
	// server that gives no log-likelihoods of a prompt.
	ErrNoScoring = errors.New("the server gives no log-likelihoods of a prompt (completions with echo and logprobs), which tasks with answer options need: use a generation dataset, or a server such as vLLM")
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
	orDefault(&opt.Backoff, 500*time.Millisecond)
	if opt.Retries == 0 {
		opt.Retries = 4
	}
	if opt.Transport == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.MaxIdleConnsPerHost = 256
		t.DisableCompression = true // a compressor would hold tokens back
		opt.Transport = t
	}
	b := &Backend{
		opt: opt, base: base, cleaner: newCleaner(key), brief: 5 * time.Second, clk: timebase.Monotonic(), warned: map[string]bool{},
		client: &http.Client{Transport: opt.Transport, CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse // a prompt and a key go where the operator said
		}},
	}
	b.life, b.finish = context.WithCancel(context.Background())
	return b, nil
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

// Load implements engine.Backend: it asks the server for its models, where it
// lists them, and takes spec.Name; the only one served if that is empty.
func (b *Backend) Load(ctx context.Context, spec engine.ModelSpec, progress func(float64)) (engine.ModelInfo, error) {
	ctx, cancel, err := b.within(ctx)
	if err != nil {
		return engine.ModelInfo{}, err
	}
	defer cancel()
	b.setModel("", false)
	served, err := b.models(ctx)
	if err != nil {
		return engine.ModelInfo{}, fmt.Errorf("%w: %w", engine.ErrModel, err)
	}
	name := spec.Name
	if name == "" && len(served) == 1 {
		name = b.clean(served[0].ID)
	}
	id := name // as the server has it
	info := engine.ModelInfo{
		Name: b.clean(name), Parameters: -1, SizeBytes: -1, ContextMax: -1, Devices: []string{"remote:" + b.base.Host},
	}
	if len(served) > 0 {
		m, ok := b.find(served, name)
		if !ok {
			return engine.ModelInfo{}, fmt.Errorf("%w: %q: %s serves %s", engine.ErrModel, name, b.base.Host, b.names(served))
		}
		if b.clean(m.ID) == name {
			id = m.ID
		}
		m.describe(&info)
	}
	if name == "" {
		return engine.ModelInfo{}, fmt.Errorf("%w: %s lists no models; name one", engine.ErrModel, b.base.Host)
	}
	_, err = b.count(ctx, id, "a")
	if ctx.Err() != nil {
		return engine.ModelInfo{}, fmt.Errorf("ask %s: %w", b.base.Host, ctx.Err())
	}
	b.setModel(id, err == nil)
	if progress != nil {
		progress(1)
	}
	return info, nil
}

func (b *Backend) setModel(name string, tokenizer bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.model, b.tokenizer = name, tokenizer
}

func (b *Backend) loaded() (name string, tokenizer bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.model, b.tokenizer
}

// CountTokens asks the server (POST /tokenize of vLLM and llama-server); it
// fails where that does not count.
func (b *Backend) CountTokens(text string) (int, error) {
	ctx, cancel, err := b.within(context.Background())
	if err != nil {
		return 0, err
	}
	defer cancel()
	name, tokenizer := b.loaded()
	switch {
	case name == "":
		return 0, errNoModel
	case !tokenizer:
		return 0, fmt.Errorf("%s counts no tokens for others (no /tokenize)", b.base.Host)
	}
	return b.count(ctx, name, text)
}

// Run implements engine.Backend. The batch fails, with engine.ErrBackendDied,
// only where no request of it reached the server; it fails too where the server
// lets nobody in.
func (b *Backend) Run(ctx context.Context, batch engine.Batch, obs engine.Observer) ([]engine.Result, error) {
	ctx, cancel, err := b.within(ctx)
	if err != nil {
		return nil, err
	}
	defer cancel()
	name, tokenizer := b.loaded()
	if name == "" {
		return nil, errNoModel
	}
	if len(batch.Requests) == 0 {
		return nil, nil
	}
	scored := batch.Scored()
	for _, r := range batch.Requests {
		if r.Query.Classification() != scored {
			return nil, fmt.Errorf("batch %s mixes requests to generate and to score", batch.ID)
		}
	}
	run := &run{
		Backend: b, ctx: ctx, model: name, tokenizer: tokenizer, obs: obs, single: len(batch.Requests) == 1 && !scored,
		results: make([]engine.Result, len(batch.Requests)),
	}
	if !run.single {
		run.beginBatch(batch, scored)
	}
	var all sync.WaitGroup
	for i, r := range batch.Requests {
		all.Go(func() {
			if scored {
				run.results[i] = run.score(r)
			} else {
				run.results[i] = run.generate(i, r)
			}
		})
	}
	all.Wait()
	if !run.single {
		run.endBatch()
	}
	return run.finish()
}

// run is one batch under way.
type run struct {
	*Backend
	ctx       context.Context
	model     string
	tokenizer bool
	single    bool // one request: its phases are its own

	mu  sync.Mutex // one report at a time
	obs engine.Observer

	whole      event.Phase // of a batch that is one phase
	wholeStart int64
	results    []engine.Result
}

func (r *run) beginBatch(batch engine.Batch, scored bool) {
	r.whole, r.wholeStart = event.Mixed, r.clk.Now()
	tokens := 0
	for _, q := range batch.Requests {
		tokens += max(q.MaxTokens, 1)
	}
	if scored {
		r.whole, tokens = event.Score, -1 // only the server's tokenizer knows
	}
	r.obs.PhaseStart(r.whole, r.wholeStart, tokens)
}

func (r *run) endBatch() {
	end, tokens := r.wholeStart, 0
	for _, q := range r.results {
		end = max(end, q.EndNS)
		tokens += max(q.OutputTokens, 0)
		tokens += max(q.InputTokens, 0) * btoi(r.whole == event.Score)
	}
	r.obs.PhaseEnd(r.whole, end, tokens)
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// finish returns the results, with an error where the server is not there.
func (r *run) finish() ([]engine.Result, error) {
	if err := r.ctx.Err(); err != nil {
		if r.life.Err() != nil {
			err = errClosed
		}
		return r.results, err
	}
	for _, q := range r.results {
		if !errors.Is(q.Err, errUnreachable) && !barred(q.Err) {
			return r.results, nil
		}
	}
	if err := r.results[0].Err; barred(err) {
		return r.results, err
	}
	return r.results, fmt.Errorf("%w: %w", engine.ErrBackendDied, r.results[0].Err)
}

// newResult is a result of which nothing is known yet.
func newResult(start int64) engine.Result {
	return engine.Result{
		InputTokens: -1, StartNS: start, PrefillEndNS: start, EndNS: start,
		Quality: math.NaN(), Output: event.Output{Choice: -1},
	}
}

// Close ends what runs. It may be called from any goroutine and more than once.
func (b *Backend) Close() error {
	b.finish()
	b.client.CloseIdleConnections()
	return nil
}
