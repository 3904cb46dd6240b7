// Package simllm is a simulated language model on a simulated GPU
// (gpu/simgpu), so that the program does its job where there is neither. A
// [Backend] is an engine.Backend:
//
//   - time and power of a phase follow from the model's published shape and the
//     profile of the GPU ([Shape], cost.go, study.go);
//   - its text is filler and says so;
//   - how good an answer is, is drawn per query by a seeded model with the
//     statistics of the study (quality.go), arXiv 2501.08219.
//
// residuals_test.go compares what it comes to with the measurements and tables that
// it was fitted to. The same seed and batches give the same results and times,
// whatever else polls the GPU meanwhile.
package simllm

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"jouletop/engine"
	"jouletop/engine/event"
	"jouletop/gpu"
	"jouletop/gpu/simgpu"
	"jouletop/gpu/simgpu/draw"
	"jouletop/gpu/timebase"
	"jouletop/workloads"
)

// loadTime is how long loading takes, whatever the size, in loadSteps steps:
// a sweep that loads models hundreds of times shall not simulate hours of it.
const (
	loadTime  = 200 * time.Millisecond
	loadSteps = 4
)

// Features returns the entity density and the causal score (0 to 1 each) of a
// query as workloads/features measures them, which bear on how well it is
// answered; ok is false where they are not known. It is asked once a query.
type Features func(q workloads.Query) (entityDensity, causal float64, ok bool)

// Backend is the simulated model; see New.
type Backend struct {
	gpu     *simgpu.GPU
	all     simgpu.Joined // gpu first: those that the layers are split over
	clk     timebase.Clock
	seed    uint64
	jitter  float64
	quality quality

	shape  *Shape
	cost   costModel
	draft  *drafter // nil: the model was loaded without
	accept float64  // as WithAcceptance set it; NaN
	freeB  float64  // bytes of GPU memory left for the KV cache
	served map[int]*served
	passes uint64 // served so far
	closed context.CancelFunc
	done   context.Context

	once sync.Once
}

var _ engine.Backend = (*Backend)(nil)

// Option changes how a Backend is made.
type Option func(*Backend)

// WithFeatures lets quality depend on the queries' features; without it they
// are drawn from a hash of the query, like the study's datasets on average.
func WithFeatures(f Features) Option { return func(b *Backend) { b.quality.features = f } }

// WithSplit divides the model's layers, and what they hold in memory, equally among its GPU
// and these, which are of its kind.
func WithSplit(more ...*simgpu.GPU) Option {
	return func(b *Backend) { b.all = append(b.all, more...) }
}

// WithJitter sets the standard deviation of a phase's length, as a share of it
// (default 0.005; on an H100, equal phases differed by 0.3 to 1 %).
func WithJitter(rel float64) Option { return func(b *Backend) { b.jitter = rel } }

// tokenEvery is how often generated text is reported at most; what came in between is
// reported together.
const tokenEvery = 200 * time.Millisecond

// New returns a simulated model's backend on g. seed decides quality, jitter
// and text.
func New(g *simgpu.GPU, clk timebase.Clock, seed int64, opts ...Option) *Backend {
	b := &Backend{
		gpu: g, all: simgpu.Joined{g}, clk: clk, seed: draw.Mix(uint64(seed), 0x51a11a),
		jitter: 0.005, accept: math.NaN(),
	}
	b.quality = quality{seed: draw.Mix(b.seed, 1), known: map[queryKey]*drawn{}}
	b.done, b.closed = context.WithCancel(context.Background())
	for _, o := range opts {
		o(b)
	}
	return b
}

// Name returns "sim".
func (b *Backend) Name() string { return "sim" }

// Load makes a model of a published shape ready (see Shapes). The error wraps
// engine.ErrModel for an unknown one and engine.ErrTooLong where it does not
// fit the GPU's memory.
func (b *Backend) Load(ctx context.Context, spec engine.ModelSpec, progress func(float64)) (engine.ModelInfo, error) {
	if b.done.Err() != nil {
		return engine.ModelInfo{}, fmt.Errorf("load %s: %w", spec.Name, engine.ErrBackendDied)
	}
	name := spec.Name
	if name == "" {
		name = spec.Path
	}
	s, err := ShapeByName(name)
	if err != nil {
		return engine.ModelInfo{}, err
	}
	info := b.gpu.Info()
	draft, err := b.newDrafter(spec.Drafter, &s, info.Profile)
	if err != nil {
		return engine.ModelInfo{}, err
	}
	size := float64(s.WeightBytes() + draft.weightBytes())
	room := 0.0
	for _, i := range b.all.Infos() {
		room += float64(i.MemoryMiB) * (1 << 20)
	}
	free := room*0.97 - size
	if free <= 0 {
		return engine.ModelInfo{}, fmt.Errorf("%w: %s needs %.1f GB, %s has %.1f GB",
			engine.ErrTooLong, s.Name, size/1e9, gpu.Together(b.all.Infos()...).Name, room/1e9)
	}
	b.shape = nil
	for i := range loadSteps {
		if progress != nil {
			progress(float64(i) / loadSteps)
		}
		if err := b.clk.Sleep(ctx, loadTime/loadSteps); err != nil {
			return engine.ModelInfo{}, err
		}
		b.all.SetMemory(size / (1 << 20) * float64(i+1) / loadSteps)
	}
	if progress != nil {
		progress(1)
	}
	b.shape, b.freeB, b.draft = &s, free, draft
	if b.cost, err = newCostModel(s, info.Profile); err != nil {
		return engine.ModelInfo{}, err
	}
	return engine.ModelInfo{
		Name: s.Name, Architecture: s.Architecture, Parameters: s.Parameters(),
		Quantisation: "F16", SizeBytes: s.WeightBytes(), ContextMax: s.Context,
		Devices: gpu.MemberIDs(gpu.Together(b.all.Infos()...).ID()), Simulated: true, Drafter: draft.describe(),
	}, nil
}

// CountTokens estimates how many tokens a real model reads text as; see
// countTokens.
func (b *Backend) CountTokens(text string) (int, error) { return countTokens(text), nil }

// Close ends what runs and frees the GPU's memory.
func (b *Backend) Close() error {
	b.once.Do(func() {
		b.closed()
		b.all.SetMemory(0)
	})
	return nil
}

// Run simulates a batch; see engine.Backend. A request that is longer than the
// model's context fails alone; a batch whose KV cache does not fit the memory
// fails as a whole. Both wrap engine.ErrTooLong.
func (b *Backend) Run(ctx context.Context, batch engine.Batch, obs engine.Observer) ([]engine.Result, error) {
	if b.shape == nil {
		return nil, fmt.Errorf("%w: none is loaded", engine.ErrModel)
	}
	if len(batch.Requests) == 0 {
		return nil, errors.New("empty batch")
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(b.done, cancel)()

	r := &run{b: b, ctx: ctx, batch: batch, obs: obs, scored: batch.Scored()}
	if obs == nil {
		r.obs = silent{}
	}
	if err := r.prepare(); err != nil {
		return nil, err
	}
	if err := r.run(); err != nil {
		if b.done.Err() != nil {
			err = fmt.Errorf("%w: closed", engine.ErrBackendDied)
		}
		return nil, err
	}
	return r.results, nil
}

type silent struct{}

func (silent) PhaseStart(event.Phase, int64, int) {}
func (silent) PhaseEnd(event.Phase, int64, int)   {}
func (silent) Token(int, int64, string)           {}
