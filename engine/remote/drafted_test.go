package remote

import (
	"encoding/json"
	"testing"

	"jouletop/engine/event"
)

// What a server says of drafted tokens is taken where it can be.
func TestServersWordOfDrafts(t *testing.T) {
	for name, c := range map[string]struct {
		timings, usage string
		output         int
		want           event.Proposed
	}{
		"nothing":              {`{"prompt_n":1}`, `{"completion_tokens":9}`, 9, event.Proposed{}},
		"llama-server":         {`{"draft_n":12,"draft_n_accepted":7}`, `{}`, 9, event.Proposed{DraftTokens: 12, AcceptedTokens: 7}},
		"OpenAI":               {`{}`, `{"completion_tokens":9,"completion_tokens_details":{"accepted_prediction_tokens":5,"rejected_prediction_tokens":3}}`, 9, event.Proposed{DraftTokens: 8, AcceptedTokens: 5}},
		"both":                 {`{"draft_n":12,"draft_n_accepted":7}`, `{"completion_tokens_details":{"accepted_prediction_tokens":5}}`, 9, event.Proposed{DraftTokens: 12, AcceptedTokens: 7}},
		"more than there are":  {`{"draft_n":12,"draft_n_accepted":10}`, `{}`, 9, event.Proposed{}},
		"more than proposed":   {`{"draft_n":2,"draft_n_accepted":3}`, `{}`, 9, event.Proposed{}},
		"not whole":            {`{"draft_n":2.5,"draft_n_accepted":1}`, `{}`, 9, event.Proposed{}},
		"negative":             {`{"draft_n":-2,"draft_n_accepted":-3}`, `{}`, 9, event.Proposed{}},
		"absurd":               {`{"draft_n":1e300,"draft_n_accepted":1}`, `{}`, 9, event.Proposed{}},
		"half":                 {`{"draft_n":5}`, `{}`, 9, event.Proposed{}},
		"words":                {`{"draft_n":"many","draft_n_accepted":1}`, `{"completion_tokens_details":{"accepted_prediction_tokens":"lots"}}`, 9, event.Proposed{}},
		"output not known yet": {`{"draft_n":5,"draft_n_accepted":1}`, `{}`, -1, event.Proposed{}},
	} {
		g := generation{usage: newTally(), timings: &timings{}}
		g.res.OutputTokens = c.output
		var u usage
		if err := json.Unmarshal([]byte(c.usage), &u); err != nil {
			t.Fatal(err)
		}
		g.usage.take(u)
		if err := json.Unmarshal([]byte(c.timings), g.timings); err != nil {
			t.Fatal(err)
		}
		g.countDrafts()
		if g.res.Proposed != c.want {
			t.Errorf("%s: %+v, want %+v", name, g.res.Proposed, c.want)
		}
	}
}
