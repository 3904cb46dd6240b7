package simllm

import "jouletop/gpu/simgpu/draw"

// Answers are filler: common words in no order, after a word that says what
// they are.
const simulatedMark = "[simulated]"

var words = [...]string{
	" the", " answer", " is", " that", " it", " was", " in", " a", " way", " of", " one", " and",
	" most", " people", " would", " say", " so", " by", " then", " some", " time", " after", " which", " place",
	" had", " been", " known", " for", " its", " part", " they", " there", " what", " this", " many", " more",
	" from", " where", " first", " with", " as", " only", " because", " both", " often", " made", " to", " other",
	" not", " each", " story", " year", " could", " at", " when", " on", " all", " such", " about", " like",
	" than", " into", " out", " also",
}

// filler makes a sequence's text, a token a word.
type filler struct {
	state   uint64
	started bool
}

func newFiller(key uint64) filler { return filler{state: draw.Mix(key, 0x7e87)} }

// next returns the text of n more tokens.
func (f *filler) next(n int) string {
	buf := make([]byte, 0, 6*n+len(simulatedMark))
	for range n {
		if !f.started {
			f.started = true
			buf = append(buf, simulatedMark...)
			continue
		}
		f.state = draw.Mix(f.state, 1)
		buf = append(buf, words[f.state%uint64(len(words))]...)
	}
	return string(buf)
}

// answerLength is how many tokens an answer has until its end-of-sequence: one
// in twenty ends after 20 to 99 tokens, the others go on, so that most run to
// the usual limit of 100, the mean output of the study.
func answerLength(key uint64) int {
	const goesOn = 1 << 30
	h := draw.Mix(key, 0xe05)
	if draw.Uniform(h) >= 0.05 {
		return goesOn
	}
	return 20 + int(80*draw.Uniform(draw.Mix(h, 1)))
}
