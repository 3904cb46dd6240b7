//go:build cgo

package llama

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"

	"github.com/dustin/go-humanize"

	"jouletop/engine"
	"jouletop/engine/gguf"
)

// Backend is llama.cpp in this process. Make one with New.
type Backend struct {
	opt    Options
	life   context.Context // done when Close is called
	finish context.CancelFunc

	mu      sync.Mutex // held while the library works for this backend
	model   *model
	eval    *evaluator
	draft   *drafter // nil: the model was loaded without
	info    engine.ModelInfo
	threads int
	gpu     bool // some layers are on a GPU
	// onDevice: a GPU computes the logits, and a token can be evaluated again.
	onDevice bool
	kvBytes  uint64 // of one token
	slots    int    // that the model was loaded for; 0 unknown
	served   *serves
}

var _ engine.Backend = (*Backend)(nil)

// New starts the library and loads the backends of opt.BackendDir.
func New(opt Options) (*Backend, error) {
	if _, err := releases(); err != nil {
		return nil, fmt.Errorf("engine/llama: %w", err)
	}
	start()
	nativeLog.setWriter(opt.Log)
	if opt.BackendDir != "" {
		if err := loadBackends(opt.BackendDir); err != nil {
			return nil, err
		}
	}
	b := &Backend{opt: opt}
	b.life, b.finish = context.WithCancel(context.Background())
	return b, nil
}

// Name returns "llama".
func (b *Backend) Name() string { return "llama" }

// errClosed is returned by a backend after Close.
var errClosed = errors.New("engine/llama: closed")

// begin locks the backend for one call and returns a context that Close ends
// too.
func (b *Backend) begin(ctx context.Context) (context.Context, func(), error) {
	b.mu.Lock()
	if b.life.Err() != nil {
		b.mu.Unlock()
		return nil, nil, errClosed
	}
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(b.life, cancel)
	return ctx, func() {
		stop()
		cancel()
		b.mu.Unlock()
	}, nil
}

// Load implements engine.Backend. Without a backend for GPUs, or with GPULayers 0,
// the model runs on the CPU.
func (b *Backend) Load(ctx context.Context, spec engine.ModelSpec, progress func(float64)) (engine.ModelInfo, error) {
	ctx, end, err := b.begin(ctx)
	if err != nil {
		return engine.ModelInfo{}, err
	}
	defer end()
	if progress == nil {
		progress = func(float64) {}
	}
	info, err := b.load(ctx, spec, progress)
	if err == nil && !b.model.text {
		err = fmt.Errorf("%w: %s has no tokenizer, so it reads no text", engine.ErrModel, spec.Path)
	}
	if err != nil {
		b.unload()
		return engine.ModelInfo{}, err
	}
	progress(1)
	return info, nil
}

// load is Load that takes a model without a tokenizer too.
func (b *Backend) load(ctx context.Context, spec engine.ModelSpec, progress func(float64)) (engine.ModelInfo, error) {
	b.unload()
	file, err := gguf.OpenModel(spec.Path)
	if err != nil {
		return engine.ModelInfo{}, fmt.Errorf("%w: %w", engine.ErrModel, err)
	}
	if err := file.Generates(); err != nil && !installed {
		return engine.ModelInfo{}, fmt.Errorf("%w: %s: %w, which the llama.cpp in this program does not have", engine.ErrModel, spec.Path, err)
	}
	devices, names, err := pickDevices(Devices(), spec, b.opt.BackendDir != "")
	if err != nil {
		return engine.ModelInfo{}, fmt.Errorf("%w: %w", engine.ErrModel, err)
	}
	layers := spec.GPULayers
	if layers < 0 {
		layers = 999 // more than any model has
	}
	sum := gguf.StartSHA256(ctx, file.Paths)
	nativeLog.mark()
	m := loadModel(file.Paths[0], devices, layers, func(p float64) bool {
		progress(p)
		return ctx.Err() == nil
	})
	if m == nil {
		if err := ctx.Err(); err != nil {
			return engine.ModelInfo{}, fmt.Errorf("loading %s: %w", spec.Path, err)
		}
		return engine.ModelInfo{}, fmt.Errorf("%w: %s: %s", engine.ErrModel, spec.Path,
			nativeLog.firstError("llama.cpp gives no reason"))
	}
	b.model, b.gpu = m, len(devices) > 0
	b.onDevice = b.gpu && layers > m.layers && m.forgets
	b.threads = spec.Threads
	if b.threads <= 0 {
		b.threads = Cores()
	}
	if b.draft, err = loadDrafter(ctx, b, spec, devices, layers); err != nil {
		return engine.ModelInfo{}, err
	}
	head := file.Files[0]
	b.kvBytes = head.KVBytesPerToken()
	b.slots = spec.MaxBatch
	b.info = engine.ModelInfo{
		Name:         spec.Name,
		Path:         file.Paths[0],
		Architecture: head.Architecture(),
		Parameters:   file.Parameters(),
		Quantisation: head.Quantisation(),
		SizeBytes:    file.Size,
		ContextMax:   head.ContextLength(),
		Devices:      names,
		BuildFlags:   BuildFlags(),
		Warnings:     append(file.Warnings(), nativeLog.warnings()...),
		Drafter:      b.draft.describe(),
	}
	if spec.MaxBatch > 0 && spec.MaxTokens > 0 {
		if err := b.fit(spec.MaxBatch, min(spec.MaxTokens, b.info.ContextMax), spec.MaxBatch*spec.MaxTokens); err != nil {
			return engine.ModelInfo{}, err
		}
	}
	if b.info.SHA256, err = sum(); err != nil {
		return engine.ModelInfo{}, fmt.Errorf("%w: %w", engine.ErrModel, err)
	}
	debug.FreeOSMemory() // the vocabulary's check left garbage
	return b.info, nil
}

func (b *Backend) unload() {
	b.served = nil
	b.draft.free()
	b.draft = nil
	if b.eval != nil {
		b.eval.free()
		b.eval = nil
	}
	if b.model != nil {
		b.model.free()
		b.model = nil
	}
}

// Bounds of llama.cpp: sequences of a context, and the tokens worth evaluating
// at once, on a GPU gpuUbatch.
const (
	maxSequences = 256
	maxUbatch    = 2048
	minUbatch    = 512
	// granule is what llama.cpp rounds a sequence's cells up to.
	granule = 256
)

// fit makes a context for sequences of tokens each, of which prompts are
// evaluated at once; the one there is stays if it is large enough.
func (b *Backend) fit(sequences, tokens, prompts int) error {
	return b.fitRows(sequences, tokens, prompts, 0)
}

// fitRows is fit for passes after which so many tokens are wanted.
func (b *Backend) fitRows(sequences, tokens, prompts, rows int) error {
	if sequences > maxSequences {
		return fmt.Errorf("%w: %d sequences at once are needed, and llama.cpp takes %d", engine.ErrTooLong, sequences, maxSequences)
	}
	need := shape{sequences, roundUp(tokens, granule), min(roundUp(prompts, granule), b.mostUbatch()), rows}
	err := fitted(&b.eval, need, func(s shape) (*evaluator, error) { return b.make(b.model, b.kvBytes, b.onDevice, s) })
	if err != nil || rows == 0 || b.draft.model() == nil {
		return err
	}
	d := b.draft
	need.rows = 0
	return fitted(&d.eval, need, func(s shape) (*evaluator, error) { return b.make(d.own, d.kvBytes, d.onDevice, s) })
}

// fitted makes a context of a shape, unless x is one that is large enough.
func fitted(x **evaluator, need shape, make func(shape) (*evaluator, error)) (err error) {
	if *x != nil {
		if (*x).shape.covers(need) {
			return nil
		}
		old := (*x).shape
		(*x).free()
		*x = nil
		// Grow in each direction, so that batches that alternate settle, unless
		// that is what does not fit.
		if grown, err := make(old.and(need)); err == nil {
			*x = grown
			return nil
		}
	}
	*x, err = make(need)
	return err
}

// mostUbatch is how many tokens are evaluated at once at most.
func (b *Backend) mostUbatch() int {
	if b.gpu {
		return gpuUbatch
	}
	return maxUbatch
}

// make makes a context for a model, of whose cache a token takes kvBytes.
func (b *Backend) make(m *model, kvBytes uint64, onDevice bool, s shape) (*evaluator, error) {
	kv := uint64(s.sequences) * uint64(s.tokens) * kvBytes
	tooMuch := func(why string) error {
		return fmt.Errorf("%w: %d × %d tokens need %s for keys and values on %v: %s",
			engine.ErrTooLong, s.sequences, s.tokens, humanize.IBytes(kv), b.info.Devices, why)
	}
	if free, ok := availableMemory(); ok && !b.gpu && kv > free {
		return nil, tooMuch(humanize.IBytes(free) + " of memory are free")
	}
	nativeLog.mark()
	for {
		if x := newEvaluator(m, s, b.threads, b.gpu, onDevice, !b.opt.NoGraphSearch); x != nil {
			return x, nil
		}
		if s.ubatch <= minUbatch {
			return nil, tooMuch(nativeLog.firstError("llama.cpp cannot make a context"))
		}
		s.ubatch = minUbatch // smaller buffers, slower prefill
	}
}

func roundUp(n, to int) int { return (n + to - 1) / to * to }

// CountTokens returns how many tokens a prompt is, those that begin it included.
func (b *Backend) CountTokens(text string) (int, error) {
	_, end, err := b.begin(context.Background())
	if err != nil {
		return 0, err
	}
	defer end()
	if b.model == nil {
		return 0, errNoModel
	}
	tokens, err := b.model.tokenize(text, true, false)
	return len(tokens), err
}

var errNoModel = errors.New("engine/llama: no model is loaded")

// Close ends what runs and frees the model. It may be called from any goroutine
// and more than once.
func (b *Backend) Close() error {
	b.finish()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.unload()
	return nil
}
