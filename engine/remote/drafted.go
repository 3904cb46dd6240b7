package remote

import (
	"encoding/json"
	"math"

	"jouletop/engine/event"
)

// predicted is what a usage says of drafted tokens, by OpenAI's names.
type predicted struct{ accepted, rejected int }

// readPredicted reads it from where the details of the output are.
func readPredicted(details map[string]json.RawMessage) predicted {
	return predicted{
		max(firstCount(details, []string{"accepted_prediction_tokens"}, 0), 0),
		max(firstCount(details, []string{"rejected_prediction_tokens"}, 0), 0),
	}
}

// drafted is what llama-server says that was drafted, and accepted of it; false where it
// says nothing, or what cannot be.
func (t *timings) drafted() (event.Proposed, bool) {
	if t == nil || t.DraftN == nil || t.DraftAccepted == nil {
		return event.Proposed{}, false
	}
	n, a := *t.DraftN, *t.DraftAccepted
	if n != math.Trunc(n) || a != math.Trunc(a) || !(a >= 0 && n >= a && n < maxCount) {
		return event.Proposed{}, false
	}
	return event.Proposed{DraftTokens: int(n), AcceptedTokens: int(a)}, true
}

// countDrafts takes the server's word for what it drafted, as far as that can be: each
// token that was accepted is one of the output's.
func (g *generation) countDrafts() {
	p, ok := g.timings.drafted()
	if !ok {
		u := g.usage.predicted
		p = event.Proposed{DraftTokens: u.accepted + u.rejected, AcceptedTokens: u.accepted}
	}
	if p.DraftTokens < maxCount && p.AcceptedTokens <= max(g.res.OutputTokens, 0) {
		g.res.Proposed = p
	}
}
