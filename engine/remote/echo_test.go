package remote

import (
	"errors"
	"slices"
	"testing"
)

func TestEchoes(t *testing.T) {
	q := options("Is it", " so", " not")
	for _, c := range []struct {
		echoes string
		cached int
		lls    []float64
		flags  string
	}{
		{"", 0, []float64{-5, -6}, ""},
		{"eos", 0, []float64{-5, -6}, ""}, // cut by its count, not one before
		{"", 2, []float64{-5, -6}, "cached-tokens"},
		{"", 99, []float64{-5, -6}, "cached-tokens+count-doubtful"}, // of three tokens
	} {
		s := newServer(t, func(s *server) { s.echoes, s.cached = c.echoes, c.cached })
		results, err := open(t, s, nil).Run(t.Context(), q, &heard{})
		if err != nil || results[0].Err != nil {
			t.Fatal(err, results[0].Err)
		}
		r := results[0]
		if c.cached > 3 {
			c.cached = -1
		}
		if !slices.Equal(r.Output.LogLikelihoods, c.lls) || r.Output.Choice != 0 || r.CachedTokens != c.cached || string(r.Flags) != c.flags || r.PrefillEndNS != 0 {
			t.Errorf("%q: %+v", c.echoes, r)
		}
	}
	// Equal likelihoods are no answer.
	s := newServer(t, nil)
	tie := options("Is it", " so", " no")
	if results, err := open(t, s, nil).Run(t.Context(), tie, &heard{}); err != nil || results[0].Output.Choice != -1 {
		t.Errorf("a tie: %v, %+v", err, results)
	}
	// A server that cannot is asked no more than it takes to know.
	for echoes, most := range map[string]int{"500": 2, "none": 3} {
		s := newServer(t, func(s *server) { s.echoes = echoes })
		b := open(t, s, func(o *Options) { o.Retries = 9 })
		for range 2 {
			if _, err := b.Run(t.Context(), q, &heard{}); !errors.Is(err, ErrNoScoring) {
				t.Errorf("%s: %v", echoes, err)
			}
		}
		if len(s.bodies) > most {
			t.Errorf("%s: asked %d times", echoes, len(s.bodies))
		}
	}
}

func TestPromptLength(t *testing.T) {
	for _, c := range []struct {
		tokens []string
		u      *usage
		want   int
	}{
		{[]string{"Is", " it", "!"}, &usage{Prompt: 2, Completion: 1}, 2},
		{[]string{"<s>", "Is", " it", "!"}, &usage{Prompt: 2, Completion: 1}, 3}, // its count leaves <s> out
		{[]string{"Is", " it"}, &usage{Prompt: 2, Completion: 1}, 2},             // the end has no entry
		{[]string{"▁Is", "▁it", "▁so"}, &usage{Prompt: 2, Completion: 1}, 2},     // not the text's own letters
		{[]string{"▁Is", "▁it", "▁so"}, nil, 2},
		{[]string{"!"}, &usage{Prompt: 2, Completion: 1}, 0},
		{[]string{"!"}, nil, 0},
	} {
		if n := promptLength("Is it", c.tokens, c.u); n != c.want {
			t.Errorf("%q: %d, want %d", c.tokens, n, c.want)
		}
	}
}
