package simllm

import (
	"fmt"
	"math"
	"strings"

	"jouletop/engine"
	"jouletop/engine/event"
	"jouletop/gpu/simgpu"
	"jouletop/gpu/simgpu/draw"
)

// drafter proposes tokens for the model: a model of a published shape, the model itself,
// or a lookup of n-grams, which costs the GPU nothing.
type drafter struct {
	name  string
	shape *Shape    // nil: a lookup
	cost  costModel // likewise
	self  bool
	// accept is how likely it is right about a token that the model goes on to say.
	accept float64
}

// What a simulated drafter is right about, as shares of the tokens: assumed. A lookup finds
// something to propose but at times.
const (
	acceptSelf  = 1
	acceptModel = 0.7
	acceptNGram = 0.6
	foundNGram  = 0.5
)

// WithAcceptance sets how likely a drafter is right about a token, 0 to 1, in place of
// what is assumed.
func WithAcceptance(share float64) Option { return func(b *Backend) { b.accept = share } }

func (b *Backend) newDrafter(d engine.Drafter, model *Shape, profile string) (*drafter, error) {
	out := &drafter{name: d.Name}
	switch {
	case d.Name == "":
		return nil, nil
	case d.Name == event.DraftNGram:
		out.accept = acceptNGram
	case d.Name == event.DraftSelf:
		out.shape, out.self, out.accept = model, true, acceptSelf
	default:
		s, err := ShapeByName(d.Name)
		if err != nil {
			return nil, fmt.Errorf("draft model: %w", err)
		}
		if s.Vocabulary != model.Vocabulary {
			return nil, fmt.Errorf("%w: draft model %s has %d tokens and %s has %d: they must be the same", engine.ErrModel, s.Name, s.Vocabulary, model.Name, model.Vocabulary)
		}
		out.shape, out.accept = &s, acceptModel
	}
	if !math.IsNaN(b.accept) {
		out.accept = b.accept
	}
	if out.shape == nil {
		return out, nil
	}
	var err error
	out.cost, err = newCostModel(*out.shape, profile)
	return out, err
}

// weightBytes is what it takes of the GPU's memory beside the model's.
func (d *drafter) weightBytes() int64 {
	if d == nil || d.shape == nil || d.self {
		return 0
	}
	return d.shape.WeightBytes()
}

// kvBytes is likewise for a token in its cache.
func (d *drafter) kvBytes() float64 {
	if d == nil || d.shape == nil {
		return 0
	}
	return d.shape.kvBytes()
}

// right tells whether it proposes what the model says as the n-th token of the answer
// whose key is given.
func (d *drafter) right(key uint64, n int) bool {
	return draw.Uniform(draw.Mix(draw.Mix(key, draw.String(d.name)), uint64(n)+0xd4af)) < d.accept
}

// proposes is how many tokens it proposes, of depth at most, after n of the answer.
func (d *drafter) proposes(key uint64, n, depth int) int {
	if d.shape == nil && draw.Uniform(draw.Mix(draw.Mix(key, 0x96a3), uint64(n))) >= foundNGram {
		return 0
	}
	return depth
}

// describe tells of a model of its own.
func (d *drafter) describe() (info engine.DraftModelInfo) {
	if d == nil || d.shape == nil || d.self {
		return info
	}
	return engine.DraftModelInfo{Name: d.shape.Name, Architecture: d.shape.Architecture, Parameters: d.shape.Parameters(), Quantisation: "F16", SizeBytes: d.shape.WeightBytes()}
}

// drafts tells whether tokens are drafted for the batch.
func (r *run) drafts() bool { return r.b.draft != nil && r.batch.DraftDepth > 0 && !r.scored }

// speculated is a sequence for which tokens are drafted.
type speculated struct {
	*sequence
	key      uint64
	made     int // tokens so far
	told     int // of them
	proposed int // in this round
	text     strings.Builder
	shownNS  int64
}

// speculate generates in rounds: each sequence's tokens are drafted, and the model reads
// them in one pass. It says what it would have said without.
func (r *run) speculate() error {
	var active []*speculated
	for i := range r.seqs {
		s := &r.seqs[i]
		active = append(active, &speculated{sequence: s, key: r.b.quality.key(r.batch.Requests[s.index].Query)})
	}
	for len(active) > 0 {
		r.round++
		most, context, proposed := 0, 0, 0
		for _, s := range active {
			s.proposed = r.b.draft.proposes(s.key, s.made, min(r.batch.DraftDepth, s.length-s.made-1))
			most = max(most, s.proposed)
			proposed += s.proposed
			context += s.prompt + s.made
		}
		if proposed > 0 && r.b.draft.cost != nil {
			if _, err := r.phase(event.Draft, proposed, r.b.draft.cost.decode(most, len(active), context)); err != nil {
				return err
			}
		}
		kind := event.Verify
		if proposed == 0 {
			kind = event.Decode
		}
		evaluated := proposed + len(active)
		for _, s := range active {
			n := 0
			for n < s.proposed && r.b.draft.right(s.key, s.made+n) {
				n++
			}
			res := &r.results[s.index]
			res.DraftTokens += s.proposed
			res.AcceptedTokens += n
			s.made += n + 1
			s.text.WriteString(s.sequence.text.next(n + 1))
		}
		w := r.b.cost.decode(1, evaluated, context)
		w.Light = 0 // measured of several sequences, not of several tokens of one
		end, err := r.phase(kind, evaluated, w)
		if err != nil {
			return err
		}
		active = r.show(active, end)
	}
	return nil
}

// phase runs one phase of so many tokens, and returns its end.
func (r *run) phase(kind event.Phase, tokens int, w simgpu.Work) (end int64, err error) {
	r.obs.PhaseStart(kind, r.b.clk.Now(), tokens)
	if end, err = r.execute(kind, w); err != nil {
		tokens = 0
	}
	r.obs.PhaseEnd(kind, end, tokens)
	return end, err
}

// show reports new text, and returns the sequences that go on.
func (r *run) show(active []*speculated, t int64) []*speculated {
	goOn := active[:0]
	for _, s := range active {
		res := &r.results[s.index]
		ended := s.made >= s.length
		if res.FirstTokenNS == 0 {
			res.FirstTokenNS = t
		}
		if ended || s.shownNS == 0 || t-s.shownNS >= int64(tokenEvery) {
			text := s.text.String()
			s.text.Reset()
			s.shownNS = t
			res.Output.Text += text
			engine.TellTokens(r.obs, s.index, t, text, s.made-s.told)
			s.told = s.made
		}
		if !ended {
			goOn = append(goOn, s)
			continue
		}
		res.EndNS, res.OutputTokens = t, s.made
		res.Quality = r.b.quality.of(r.batch.Requests[s.index].Query, r.b.shape)
	}
	return goOn
}
