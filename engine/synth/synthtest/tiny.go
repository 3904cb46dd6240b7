// Package synthtest makes models small enough for tests.
package synthtest

import "jouletop/engine/synth"

// Window is how far the sliding attention of Tiny's models reaches, in tokens.
const Window = 32

// Tiny returns a published shape cut to a few megabytes. All that tells its kind
// of model from others stays: which tensors there are, how positions are
// stretched, which layers see a window alone, that a token chooses experts.
func Tiny(name string) (synth.Shape, error) {
	s, err := synth.Lookup(name)
	if err != nil {
		return s, err
	}
	s.Name = "tiny-" + name
	s.Layers = 7 // one more than the period of Gemma's windows
	s.Embedding = 256
	s.Vocabulary, s.SpecialTokens, s.Context = 4096, min(s.SpecialTokens, 64), 2048
	if s.Heads > 0 {
		s.Heads, s.KVHeads, s.HeadDim, s.FeedForward = 4, 2, 64, 512
	}
	if s.Window > 0 {
		s.Window = Window
	}
	if s.Experts > 0 {
		s.Experts, s.ExpertsUsed, s.ExpertFeedForward = 4, 2, 256
	}
	if s.State > 0 {
		s.TimeStepRank = s.Embedding / 16
	}
	return s, nil
}
