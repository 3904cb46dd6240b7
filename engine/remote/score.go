package remote

import (
	"errors"
	"fmt"
	"net/http"

	"jouletop/engine"
	"jouletop/workloads"
)

// score finds the log-likelihood of every option after its prompt. The server
// is asked for the tokens of the prompt and of the prompt with each option; what
// all have in common is the prompt, as in engine/llama: a tokenizer may join the
// end of a prompt and the beginning of an option.
func (r *run) score(q engine.Request) engine.Result {
	start := r.clk.Now()
	res := newResult(start)
	lls, shared, err := r.scoreOptions(q)
	res.EndNS = r.clk.Now()
	if err != nil {
		res.Err = err
		return res
	}
	res.InputTokens = shared
	res.Output.LogLikelihoods = lls
	res.Output.Choice = workloads.Choose(q.Query, lls)
	return res
}

func (r *run) scoreOptions(q engine.Request) (lls []float64, shared int, err error) {
	if q.Chat {
		return nil, 0, fmt.Errorf("%w; chats have none at all", ErrNoScoring)
	}
	prompt, err := r.echo(q.Query.Prompt)
	if err != nil {
		return nil, 0, err
	}
	shared = len(prompt.Tokens)
	options := make([]logprobs, len(q.Query.Options))
	for i, o := range q.Query.Options {
		if options[i], err = r.echo(q.Query.Prompt + o); err != nil {
			return nil, 0, err
		}
		n := 0
		for n < min(shared, len(options[i].Tokens)) && options[i].Tokens[n] == prompt.Tokens[n] {
			n++
		}
		shared = n
	}
	for i, o := range options {
		if len(o.Tokens) == shared {
			return nil, 0, fmt.Errorf("option %d, %q, is no token", i+1, q.Query.Options[i])
		}
		sum := 0.0
		for _, p := range o.TokenLogprobs[shared:] {
			if p == nil { // only the very first token of a text has none
				return nil, 0, fmt.Errorf("%w: no log-probability for a token of option %d", errMalformed, i+1)
			}
			sum += *p
		}
		lls = append(lls, sum)
	}
	return lls, shared, nil
}

// echo returns the tokens of text and their log-probabilities. One token is
// generated, which is as few as every server takes, and dropped.
func (r *run) echo(text string) (logprobs, error) {
	ask := completionRequest{Model: r.model, Prompt: &text, MaxTokens: 1, Echo: true, Logprobs: 1}
	var got completion
	err := r.patiently(r.ctx, func() error {
		got = completion{}
		return r.call(r.ctx, http.MethodPost, "completions", ask, &got)
	})
	if s, ok := errors.AsType[*statusError](err); ok && (s.code == http.StatusBadRequest || s.code == http.StatusNotFound ||
		s.code == http.StatusUnprocessableEntity || s.code == http.StatusNotImplemented) {
		return logprobs{}, fmt.Errorf("%w: %w", ErrNoScoring, err)
	}
	if err != nil {
		return logprobs{}, err
	}
	if e := got.failed(); e != "" {
		return logprobs{}, fmt.Errorf("the server gave up: %s", r.clean(e))
	}
	if len(got.Choices) != 1 {
		return logprobs{}, fmt.Errorf("%w: %d choices for one prompt", errMalformed, len(got.Choices))
	}
	p := got.Choices[0].Logprobs
	if p == nil || len(p.Tokens) == 0 {
		return logprobs{}, ErrNoScoring
	}
	if len(p.Tokens) != len(p.TokenLogprobs) {
		return logprobs{}, fmt.Errorf("%w: %d tokens with %d log-probabilities", errMalformed, len(p.Tokens), len(p.TokenLogprobs))
	}
	generated := 1
	if got.Usage != nil {
		if got.Usage.CompletionTokens >= 0 {
			generated = got.Usage.CompletionTokens
		}
		if got.Usage.PromptTokens > 0 && len(p.Tokens) < got.Usage.PromptTokens {
			return logprobs{}, ErrNoScoring // echo was ignored
		}
	}
	n := len(p.Tokens) - generated
	if n <= 0 {
		return logprobs{}, ErrNoScoring
	}
	return logprobs{p.Tokens[:n], p.TokenLogprobs[:n]}, nil
}
