//go:build cgo

package llama

import (
	"context"
	"fmt"

	"jouletop/engine"
	"jouletop/engine/event"
)

// maxLogitBytes bounds the logits that one pass of scoring keeps.
const maxLogitBytes = 64 << 20

// scoreRows is how many tokens one pass of scoring evaluates at most.
func (m *model) scoreRows() int { return max(16, maxLogitBytes/(4*m.nVocab)) }

// scored is a token whose probability is asked for: the one after the token
// fed.
type scored struct {
	s            *sequence
	slot, option int
	pos          int
	feed, next   int32
}

// scoringSequences returns how many sequences it takes to score n requests. A
// recurrent model cannot take tokens back from what it has made of a prompt: its
// options are evaluated on copies, that of sequence i being sequence n+i.
func (m *model) scoringSequences(n int) int {
	if m.forgets {
		return n
	}
	return 2 * n
}

// scorer scores answers by a backend's model, after the prompts.
type scorer struct{ *Backend }

// score finds the log-likelihood of every option after its prompt. The first
// token of each is read off the prefill's logits. The others are evaluated on
// the prompt's own stream, the same option of all requests in one pass, and
// forgotten again before the next; see scoringSequences for recurrent models.
func (b scorer) score(ctx context.Context, run []*sequence, t int64, obs engine.Observer) error {
	total := 0
	for _, s := range run {
		for _, o := range s.options {
			total += len(o)
		}
	}
	obs.PhaseStart(event.Score, t, total)
	done, err := b.scoreOptions(ctx, run)
	t = b.eval.sync()
	obs.PhaseEnd(event.Score, t, done)
	for _, s := range run {
		s.res.EndNS = t
	}
	return err
}

// scoreOptions returns how many tokens it has scored.
func (b scorer) scoreOptions(ctx context.Context, run []*sequence) (done int, err error) {
	x := b.eval
	most := 0
	for row, s := range run {
		first := make([]int32, len(s.options))
		for i, o := range s.options {
			first[i] = o[0]
		}
		s.res.Output.LogLikelihoods = x.logprobs(row, first...)
		most = max(most, len(s.options))
		done += len(s.options)
	}
	chunk := b.model.scoreRows()
	for option := range most {
		var list []scored
		for slot, s := range run {
			if option >= len(s.options) || len(s.options[option]) < 2 {
				continue
			}
			if !b.model.forgets {
				from := slot
				slot += len(run)
				x.copy(from, slot)
			}
			o := s.options[option]
			for i := range len(o) - 1 {
				list = append(list, scored{s, slot, option, len(s.prompt) + i, o[i], o[i+1]})
			}
		}
		for len(list) > 0 {
			n := min(len(list), chunk)
			if err := b.scorePass(ctx, list[:n]); err != nil {
				return done, err
			}
			done += n
			list = list[n:]
		}
		for slot, s := range run {
			if b.model.forgets && !x.forget(slot, len(s.prompt)) {
				return done, fmt.Errorf("the cache cannot drop what follows token %d", len(s.prompt))
			}
		}
	}
	return done, nil
}

func (b scorer) scorePass(ctx context.Context, list []scored) error {
	x := b.eval
	x.reset()
	for _, e := range list {
		x.add(e.feed, e.pos, e.slot, true)
	}
	if err := b.submit(ctx, false); err != nil {
		return err
	}
	x.sync()
	for row, e := range list {
		e.s.res.Output.LogLikelihoods[e.option] += x.logprobs(row, e.next)[0]
	}
	return nil
}
