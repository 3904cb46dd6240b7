package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"jouletop/engine/event"
	"jouletop/engine/latency"
	"jouletop/gpu"
	"jouletop/workloads"
)

// Errors that a caller decides by; wrapped with what was tried.
var (
	// ErrModel: the model file is missing, damaged, or of an architecture the
	// backend does not know.
	ErrModel = errors.New("cannot load model")
	// ErrTooLong: a request does not fit the model's context or the memory.
	ErrTooLong = errors.New("request does not fit")
	// ErrNoAnswer: the model was run and gave no answer to this request.
	ErrNoAnswer = errors.New("no answer")
	// ErrBackendDied: the backend's process ended or hung; the next Load starts
	// a fresh one.
	ErrBackendDied = errors.New("backend died")
)

// Backend runs a language model. One batch runs at a time; Load and Run are
// called from one goroutine, Close from any, and it ends both.
type Backend interface {
	// Name is "llama", "sim" or "remote".
	Name() string
	// Load makes the model ready, replacing the one before. progress, if not
	// nil, is called with 0 to 1. Errors wrap ErrModel or ErrTooLong.
	Load(ctx context.Context, spec ModelSpec, progress func(float64)) (ModelInfo, error)
	// CountTokens returns how many tokens the loaded model reads text as.
	CountTokens(text string) (int, error)
	// Run evaluates the batch: one prefill pass over all prompts, then decode
	// (greedy, one token a sequence and step) or score. It reports boundaries
	// and tokens to obs as they happen, from its own goroutine or another, and
	// returns one result a request, in order. With a drafter and a depth, a drafting model
	// reads the prompts in a second prefill, and draft and verify take turns in place of
	// decode, and what is generated is the same; their tokens are
	// those proposed, and those that the model reads to verify them. A request that fails alone has its
	// error in its result; an error from Run fails the batch.
	Run(ctx context.Context, b Batch, obs Observer) ([]Result, error)
	// Close frees the model and the backend.
	Close() error
}

// Fitter is a Backend that may have to load a model again to serve with it, or to run
// batches after it has served.
type Fitter interface {
	// Fits tells whether the model as it is loaded does for spec, which asks for the same
	// one.
	Fits(spec ModelSpec) bool
}

// ModelSpec asks for a model.
type ModelSpec struct {
	Name      string `json:"name"` // as the operator gave it
	Path      string `json:"path,omitempty"`
	GPULayers int    `json:"gpu_layers"` // -1: all
	// Devices are the GPUs to load onto, the measured ones; none means the first.
	Devices []gpu.Card `json:"devices,omitempty"`
	Threads int        `json:"threads"` // 0: the cores there are
	// MaxBatch and MaxTokens (prompt and output, a sequence) size the context;
	// 0 means the backend grows it as batches need.
	MaxBatch  int `json:"max_batch,omitempty"`
	MaxTokens int `json:"max_tokens,omitempty"`
	// Drafter, if its name is not "", drafts tokens for the model: a model of its own, at
	// Path, or event.DraftSelf or event.DraftNGram. It is loaded with the model.
	Drafter Drafter `json:"drafter,omitzero"`
	// Serves: requests are served as they come, not run in batches.
	Serves bool `json:"serves,omitempty"`
}

// Drafter is what drafts tokens.
type Drafter struct {
	Name string `json:"name"`
	Path string `json:"path,omitempty"`
}

// Model tells whether it is a model, and not a lookup.
func (d Drafter) Model() bool { return d.Name != "" && d.Name != event.DraftNGram }

// Identity tells apart models that draw different power: the name, and layers and
// devices where there are several.
func (s ModelSpec) Identity() string {
	id := s.Name
	if s.GPULayers > 0 {
		id += fmt.Sprintf(" layers=%d", s.GPULayers)
	}
	if len(s.Devices) > 1 {
		id += fmt.Sprintf(" devices=%v", s.Devices)
	}
	if s.Drafter.Name != "" {
		id += " draft=" + s.Drafter.Name
	}
	return id
}

// ModelInfo describes a loaded model.
type ModelInfo struct {
	Name         string   `json:"name"`
	Path         string   `json:"path,omitempty"`
	SHA256       string   `json:"sha256,omitempty"`
	Architecture string   `json:"architecture"`
	Parameters   int64    `json:"parameters"`
	Quantisation string   `json:"quantisation"`
	SizeBytes    int64    `json:"size_bytes"`
	ContextMax   int      `json:"context_max"`
	Devices      []string `json:"devices"` // what it runs on: CPU, CUDA0, sim:h100
	BuildFlags   []string `json:"build_flags,omitempty"`
	Simulated    bool     `json:"simulated"`
	// Drafter is the model that drafts for it, where one of its own does.
	Drafter DraftModelInfo `json:"drafter,omitzero"`
	// Warnings tell what is wrong with the model that changes its results.
	Warnings []string `json:"warnings,omitempty"`
}

// DraftModelInfo describes a model that drafts for another, loaded beside it.
type DraftModelInfo struct {
	Name         string `json:"name"`
	Path         string `json:"path,omitempty"`
	SHA256       string `json:"sha256,omitempty"`
	Architecture string `json:"architecture"`
	Parameters   int64  `json:"parameters"`
	Quantisation string `json:"quantisation"`
	SizeBytes    int64  `json:"size_bytes"`
}

// OnCPU tells whether the model computes on no GPU.
func (i ModelInfo) OnCPU() bool { return slices.Equal(i.Devices, []string{"CPU"}) }

// Batch is what one Run evaluates. Either every request generates or every one
// is scored.
type Batch struct {
	ID       string
	Requests []Request
	// WarmUp marks the first batch after a load. It is no measurement, and may
	// take as long as loading does.
	WarmUp bool
	// DraftDepth is how many tokens the model's drafter proposes at a time, at most; 0
	// decodes plainly.
	DraftDepth int
}

// Request is one sequence of a batch.
type Request struct {
	ID    string
	Query workloads.Query // Prompt and Options are what the model is given
	// MaxTokens is the most to generate; ignored where Options are scored.
	MaxTokens int
	// Chat wraps the prompt in the model's chat template, where it has one.
	Chat bool
	// RandomTokens, if not 0, is how many random tokens are read in place of the
	// query's prompt; then no token ends the generation before MaxTokens. A
	// benchmark's work.
	RandomTokens int
}

// Scored tells whether the batch is answered by log-likelihood.
func (b Batch) Scored() bool {
	return len(b.Requests) > 0 && b.Requests[0].Query.Classification()
}

// Observer hears of a batch as it runs. Its methods return at once.
type Observer interface {
	// PhaseStart: phase begins at t (ns). tokens as in event.PhaseStart.
	PhaseStart(phase event.Phase, t int64, tokens int)
	// PhaseEnd: phase ended at t (ns), having processed or generated tokens.
	PhaseEnd(phase event.Phase, t int64, tokens int)
	// Token: request index (in the batch) has more text at t (ns).
	Token(index int, t int64, text string)
}

// CountingObserver is an Observer that is told how many tokens a text is, as the engine's
// own.
type CountingObserver interface {
	Observer
	// Tokens is Token of so many tokens.
	Tokens(index int, t int64, text string, made int)
}

// TellTokens tells an observer of text that is so many tokens.
func TellTokens(obs Observer, index int, t int64, text string, made int) {
	if c, ok := obs.(CountingObserver); ok && made > 0 {
		c.Tokens(index, t, text, made)
		return
	}
	obs.Token(index, t, text)
}

// LateObserver is an Observer that can be told of a phase when it is over, as the
// engine's own. A backend that sees its phases from outside alone (a server's)
// starts them as it guesses them, ends none, and says with Phase what they were;
// an idle one is time within the batch that belongs to none of its requests.
type LateObserver interface {
	Observer
	// Phase: there was this phase from start to end (ns), with tokens as in PhaseEnd.
	Phase(phase event.Phase, start, end int64, tokens int)
}

// Result is what one request came to.
type Result struct {
	InputTokens  int // -1: unknown
	OutputTokens int // generated; 0 where scored, -1 unknown
	// CachedTokens of the input were not computed: a server had them; -1 unknown.
	CachedTokens int
	StartNS      int64 // prefill's start; on a server, of the try that was accepted
	// PrefillStartNS is prefill's start where it is known to have waited first; 0: StartNS.
	PrefillStartNS int64
	PrefillEndNS   int64 // 0: unknown
	FirstTokenNS   int64 // as the reader saw it; 0 where scored
	EndNS          int64 // its own last token; score's end where scored
	event.Proposed       // by the drafter, or as a server said
	// GapMaxNS is the longest time between two of its tokens, in ns; 0 unknown.
	GapMaxNS int64
	// What a server said that prefill and decode took, believed or not, in ns; 0 where
	// it said nothing.
	ServerPrefillNS, ServerDecodeNS int64
	Output                          event.Output
	Flags                           event.Flags
	// Quality is set by the simulated model alone, whose text means nothing;
	// NaN otherwise, and the engine scores the output.
	Quality float64
	Err     error
}

// stamps are the result's times.
func (r Result) stamps() latency.Stamps {
	return latency.Stamps{
		StartNS: r.StartNS, PrefillStartNS: r.PrefillStartNS, PrefillEndNS: r.PrefillEndNS, FirstTokenNS: r.FirstTokenNS, EndNS: r.EndNS, GapMaxNS: cmp.Or(r.GapMaxNS, -1),
		ServerPrefillNS: r.ServerPrefillNS, ServerDecodeNS: r.ServerDecodeNS,
	}
}
