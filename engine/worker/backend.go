package worker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"jouletop/engine"
	"jouletop/engine/nulljson"
)

// Options configure a Backend.
type Options struct {
	// Args follow the program's own name: the hidden subcommand that calls Main,
	// and its flags.
	Args []string
	// Env is added to the environment, such as LD_LIBRARY_PATH of GPU backends.
	Env []string
	// EnvOf, if not nil, is what a child must find in its environment besides to load a
	// model, and why, which its warnings then say. A child that was started with anything
	// else makes way to another.
	EnvOf func(engine.ModelSpec) (env []string, why string)
	// Log receives the child's standard output and error; nil drops them but for
	// the last lines, which an error quotes. It is written to from one goroutine
	// a child.
	Log io.Writer
	// Nice is added to the nice value of the child: a lower CPU priority, by 0 to 19.
	Nice int
	// HungAfter is how long a child may show no life before it is killed;
	// default 10 s. StalledAfter is how long one that beats may neither get on
	// with a call nor use CPU time; default 5 min. CancelWithin is how long it
	// may take to heed a cancelled context; default 10 s.
	HungAfter, StalledAfter, CancelWithin time.Duration
	// PassAfter is how long a pass over requests that are served may take beyond a
	// hundred times the longest before it; default 1 min.
	PassAfter time.Duration

	// startWithin bounds the time a child takes to make its backend, which loads
	// GPU libraries of a GB; default 2 min.
	startWithin time.Duration
}

// closeWithin bounds the time a child takes to free its model.
const closeWithin = 3 * time.Second

var (
	errClosed  = errors.New("engine/worker: closed")
	errNoModel = errors.New("engine/worker: no model is loaded")
)

// Backend is an engine.Backend in a child process. Make one with New.
type Backend struct {
	opt   Options
	name  string
	about []byte

	mu     sync.Mutex
	p      *process // the newest; nil after a death that was reported
	loaded bool     // p has a model
	death  error    // how the last one ended; nil if none did
	closed bool
}

var (
	_ engine.Backend = (*Backend)(nil)
	_ engine.Fitter  = (*Backend)(nil)
)

// New starts a child and waits for its backend.
func New(opt Options) (*Backend, error) {
	if opt.HungAfter <= 0 {
		opt.HungAfter = 10 * time.Second
	}
	if opt.PassAfter <= 0 {
		opt.PassAfter = time.Minute
	}
	if opt.StalledAfter <= 0 {
		opt.StalledAfter = 5 * time.Minute
	}
	if opt.CancelWithin <= 0 {
		opt.CancelWithin = 10 * time.Second
	}
	if opt.startWithin <= 0 {
		opt.startWithin = 2 * time.Minute
	}
	b := &Backend{opt: opt}
	p, err := b.fresh(context.Background(), nil)
	if err != nil {
		return nil, err
	}
	b.name, b.about = p.hello.Name, p.hello.About
	return b, nil
}

// Name returns the name of the backend in the child.
func (b *Backend) Name() string { return b.name }

// About decodes what the child's Main said of itself into v; it leaves v alone
// where that said nothing.
func (b *Backend) About(v any) error {
	if len(b.about) == 0 {
		return nil
	}
	if err := nulljson.Unmarshal(b.about, v); err != nil {
		return fmt.Errorf("what the worker process says of itself: %w", err)
	}
	return nil
}

// ChildPID returns the process id of the child, 0 while there is none: a process
// on the GPU that is the program's own.
func (b *Backend) ChildPID() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.p == nil || !b.p.alive() {
		return 0
	}
	return b.p.pid
}

// fresh starts a child with so much more in its environment.
func (b *Backend) fresh(ctx context.Context, env []string) (*process, error) {
	p, err := start(b.opt, env)
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		p.kill("was not needed any more")
		<-p.done
		return nil, errClosed
	}
	b.p, b.loaded, b.death = p, false, nil
	b.mu.Unlock()
	timeout := time.NewTimer(b.opt.startWithin)
	defer timeout.Stop()
	select {
	case <-p.greeted:
	case <-p.done:
		// A hello may have come just before the end.
		select {
		case <-p.greeted:
		default:
			return nil, b.buried(p)
		}
	case <-timeout.C:
		p.kill(fmt.Sprintf("did not start within %v", b.opt.startWithin))
		<-p.done
		return nil, b.buried(p)
	case <-ctx.Done():
		p.kill("was cancelled while it started")
		<-p.done
		_ = b.buried(p)
		return nil, ctx.Err()
	}
	if err := p.hello.Err.unpack(); err != nil {
		p.kill("has no backend")
		<-p.done
		_ = b.buried(p)
		return nil, err
	}
	return p, nil
}

// buried notes the end of p and returns it as an error.
func (b *Backend) buried(p *process) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return errClosed
	}
	if b.p == p {
		b.p, b.loaded, b.death = nil, false, p.err
	}
	return p.err
}

// child returns the child that is there, nil if none is.
func (b *Backend) child() (p *process, loaded bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.closed:
		return nil, false, errClosed
	case b.p != nil && !b.p.alive():
		// It ended between two calls.
		p := b.p
		b.mu.Unlock()
		<-p.done
		b.mu.Lock()
		if b.p == p {
			b.p, b.loaded, b.death = nil, false, p.err
		}
	}
	return b.p, b.loaded, nil
}

// ready returns the child with a model in it.
func (b *Backend) ready() (*process, error) {
	p, loaded, err := b.child()
	switch {
	case err != nil:
		return nil, err
	case p == nil:
		b.mu.Lock()
		defer b.mu.Unlock()
		return nil, fmt.Errorf("the model has to be loaded again: %w", b.death)
	case !loaded:
		return nil, errNoModel
	}
	return p, nil
}

// Load implements engine.Backend; it starts a fresh child where the last one
// died, or has another environment than the model needs.
func (b *Backend) Load(ctx context.Context, spec engine.ModelSpec, progress func(float64)) (engine.ModelInfo, error) {
	p, _, err := b.child()
	if err != nil {
		return engine.ModelInfo{}, err
	}
	env, why := b.envOf(spec)
	if p != nil && !slices.Equal(p.env, env) {
		b.end(p, "made way to one with another environment, and did not close within %v")
		_ = b.buried(p)
		p = nil
	}
	if p == nil {
		if p, err = b.fresh(ctx, env); err != nil {
			return engine.ModelInfo{}, err
		}
	}
	if progress == nil {
		progress = func(float64) {}
	}
	b.setLoaded(p, false)
	p.onGPU.Store(false) // until it is there
	r, err := b.call(ctx, p, kindLoad, spec, &call{progress: progress})
	if err == nil {
		err = r.Err.unpack()
	}
	if err != nil {
		return engine.ModelInfo{}, err
	}
	b.setLoaded(p, true)
	p.onGPU.Store(spec.GPULayers < 0 && !r.Info.OnCPU())
	if why != "" {
		r.Info.Warnings = append(r.Info.Warnings, why)
	}
	return r.Info, nil
}

// envOf is Options.EnvOf.
func (b *Backend) envOf(spec engine.ModelSpec) (env []string, why string) {
	if b.opt.EnvOf == nil {
		return nil, ""
	}
	return b.opt.EnvOf(spec)
}

// Fits implements engine.Fitter: the model need not be loaded again where the child that it
// is in has the environment that spec needs.
func (b *Backend) Fits(spec engine.ModelSpec) bool {
	p, err := b.ready()
	env, _ := b.envOf(spec)
	return err == nil && slices.Equal(p.env, env)
}

func (b *Backend) setLoaded(p *process, on bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.p == p {
		b.loaded = on
	}
}

// CountTokens implements engine.Backend.
func (b *Backend) CountTokens(text string) (int, error) {
	p, err := b.ready()
	if err != nil {
		return 0, err
	}
	r, err := b.call(context.Background(), p, kindCount, text, &call{})
	if err != nil {
		return 0, err
	}
	return r.Tokens, r.Err.unpack()
}

// Run implements engine.Backend. Where the child dies, the error wraps
// engine.ErrBackendDied, and what it had reported until then stays reported.
func (b *Backend) Run(ctx context.Context, batch engine.Batch, obs engine.Observer) ([]engine.Result, error) {
	p, err := b.ready()
	if err != nil {
		return nil, err
	}
	r, err := b.call(ctx, p, kindRun, batch, &call{obs: obs, size: len(batch.Requests)})
	if err != nil {
		return nil, err
	}
	err = r.Err.unpack()
	results, bad := r.unpack()
	if bad == nil && len(results) != len(batch.Requests) && (err == nil || len(results) > 0) {
		bad = fmt.Errorf("%w: %d results for %d requests", errGarbage, len(results), len(batch.Requests))
	}
	if bad != nil {
		p.kill(bad.Error())
		<-p.done
		return nil, b.buried(p)
	}
	return results, err
}

// call asks the child and waits for its reply, or its end.
func (b *Backend) call(ctx context.Context, p *process, k kind, arg any, c *call) (reply, error) {
	if err := ctx.Err(); err != nil {
		return reply{}, err
	}
	var body []byte
	if packed, ok := arg.([]byte); ok {
		body = packed
	} else if text, ok := arg.(string); ok {
		if body = []byte(text); len(body) > maxBody-4 {
			return reply{}, fmt.Errorf("%w: a text of %d bytes", engine.ErrTooLong, len(body))
		}
	} else {
		var err error
		if body, err = encode(arg); err != nil {
			return reply{}, fmt.Errorf("%w: %w", engine.ErrTooLong, err)
		}
	}
	c.reply = make(chan reply, 1)
	id := p.begin(c)
	p.send(k, func(d []byte) []byte { return append(id.append(d), body...) })
	select {
	case r := <-c.reply:
		return r, nil
	case <-p.done:
		return b.lastWords(p, c)
	case <-ctx.Done():
	}
	p.send(kindCancel, id.append)
	patience := time.NewTimer(b.opt.CancelWithin)
	defer patience.Stop()
	select {
	case r := <-c.reply:
		return r, nil
	case <-p.done:
	case <-patience.C:
		p.kill(fmt.Sprintf("did not stop within %v of being told to", b.opt.CancelWithin))
		<-p.done
	}
	return b.lastWords(p, c)
}

// lastWords returns the reply that came just before the child's end, or that
// end as an error.
func (b *Backend) lastWords(p *process, c *call) (reply, error) {
	err := b.buried(p)
	select {
	case r := <-c.reply:
		return r, nil
	default:
		return reply{}, err
	}
}

// Close ends what runs, frees the model and ends the child, for good if it takes
// longer than some seconds. It may be called from any goroutine and more than
// once.
func (b *Backend) Close() error {
	b.mu.Lock()
	p := b.p
	b.closed = true
	b.mu.Unlock()
	if p != nil {
		b.end(p, "did not close within %v")
	}
	return nil
}

// end has a child free its model and end; one that takes longer is killed, for the reason.
func (b *Backend) end(p *process, late string) {
	// Not on this goroutine: a child that reads nothing must not hold it up.
	go p.send(kindClose, nil)
	select {
	case <-p.done:
	case <-time.After(closeWithin):
		p.kill(fmt.Sprintf(late, closeWithin))
		<-p.done
	}
}
