package remote

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"jouletop/engine"
	"jouletop/engine/event"
	"jouletop/workloads"
)

// score finds the log-likelihood of every option after its prompt. The server
// is asked for the tokens of the prompt and of the prompt with each option; what
// all have in common is the prompt, as in engine/llama: a tokenizer may join the
// end of a prompt and the beginning of an option.
func (r *run) score(index int, q engine.Request) engine.Result {
	s := &scoring{run: r, index: index, q: q, prompt: r.nonce() + q.Query.Prompt, res: newResult(r.clk.Now())}
	lls, shared, err := s.options()
	s.rest()
	if s.retried {
		s.res.Flags = s.res.Flags.With(event.FlagRetried)
	}
	if err != nil {
		if errors.Is(err, ErrNoScoring) && !q.Chat {
			r.Backend.mu.Lock()
			r.quirks.noScoring = err
			r.Backend.mu.Unlock()
		}
		s.res.Err = r.wordError(q, err)
		return s.res
	}
	s.res.InputTokens = shared
	s.res.Output.LogLikelihoods = lls
	s.res.Output.Choice = workloads.Choose(q.Query, lls)
	return s.res
}

// scoring is one request under way.
type scoring struct {
	*run
	index   int
	q       engine.Request
	prompt  string // as it is sent
	retried bool
	at      int64 // when it was sent to work; 0: it waits
	end     int64 // of the last answer
	res     engine.Result
}

// work notes that a text is sent; rest that the request waits, or is done. Its
// start is put off by the time that it waited in between.
func (s *scoring) work() {
	if s.at != 0 {
		return
	}
	s.at = s.clk.Now()
	s.res.StartNS += s.at - max(s.end, s.res.StartNS)
	s.enter(s.at, -1)
}

func (s *scoring) rest() {
	if s.at == 0 {
		return
	}
	s.leave()
	if s.end > s.at {
		s.ran[s.index] = append(s.ran[s.index], span{s.at, s.end})
	}
	s.at = 0
}

func (s *scoring) options() (lls []float64, shared int, err error) {
	if s.q.Chat {
		return nil, 0, fmt.Errorf("%w; chats have none at all", ErrNoScoring)
	}
	prompt, err := s.echo(s.prompt)
	if err != nil {
		return nil, 0, err
	}
	shared = len(prompt.Tokens)
	options := make([]logprobs, len(s.q.Query.Options))
	for i, o := range s.q.Query.Options {
		if options[i], err = s.echo(s.prompt + o); err != nil {
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
			return nil, 0, fmt.Errorf("option %d, %q, is no token", i+1, s.q.Query.Options[i])
		}
		sum := 0.0
		for _, p := range o.TokenLogprobs[shared:] {
			if p == nil { // only the very first token of a text has none
				return nil, 0, fmt.Errorf("%w: a token of option %d has none", ErrNoScoring, i+1)
			}
			sum += *p
		}
		lls = append(lls, sum)
	}
	return lls, shared, nil
}

// echo returns the tokens of text and their log-probabilities. One token is
// generated, which is as few as every server takes, and dropped. A server that
// fails twice in the same words cannot do it.
func (s *scoring) echo(text string) (logprobs, error) {
	k := s.quirk()
	if k.noScoring != nil {
		return logprobs{}, k.noScoring
	}
	ask := completionRequest{Model: s.name, Prompt: &text, MaxTokens: 1, Echo: true, Logprobs: 1}
	if !k.noTemperature {
		ask.Temperature = new(float64)
	}
	if s.llamaServer && !s.opt.KeepCache && !k.noCachePrompt {
		ask.CachePrompt = new(bool)
	}
	const perByte = 256 // a token with its log-probabilities, of one byte
	var answer []byte
	var before error
	err := s.patiently(s.ctx, s.patience, func() error {
		s.work()
		var err error
		answer, err = s.call(s.ctx, http.MethodPost, "completions", ask, maxErrorBody+perByte*int64(len(text)))
		if err == nil {
			s.end = s.clk.Now()
			s.res.EndNS = s.end
			return nil
		}
		s.rest()
		if temporary(err) && before != nil && err.Error() == before.Error() && !loading(err) && !tooMany(err) {
			return fmt.Errorf("%w: %w", ErrNoScoring, noTry{err})
		}
		s.retried = s.retried || temporary(err)
		before = err
		return err
	})
	if e, ok := errors.AsType[*statusError](err); ok && !tooLong(e) && (e.code == http.StatusBadRequest || e.code == http.StatusNotFound ||
		e.code == http.StatusMethodNotAllowed || e.code == http.StatusUnprocessableEntity || e.code == http.StatusNotImplemented) {
		if !k.noTemperature && strings.Contains(strings.ToLower(e.body), "temperature") {
			if s.adapt(k, err) {
				return s.echo(text)
			}
		}
		err = fmt.Errorf("%w: %w", ErrNoScoring, err)
	}
	var out logprobs
	if err == nil {
		out, err = s.readEcho(text, answer)
	}
	return out, err
}

// tooMany tells whether a request was turned away for the number of them.
func tooMany(err error) bool {
	e, ok := errors.AsType[*statusError](err)
	return ok && e.code == http.StatusTooManyRequests
}

// noTry hides a status, so that a request is not sent again for it.
type noTry struct{ err error }

func (e noTry) Error() string { return e.err.Error() }

func (s *scoring) readEcho(text string, answer []byte) (logprobs, error) {
	got, err := parseCompletion(answer)
	if err != nil {
		return logprobs{}, fmt.Errorf("%w: %s", errMalformed, s.clean(err.Error()))
	}
	if e := got.failed(); e != "" {
		return logprobs{}, fmt.Errorf("the server gave up: %s", s.clean(e))
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
	n := promptLength(text, p.Tokens, got.Usage)
	if n <= 0 {
		return logprobs{}, ErrNoScoring // echo was ignored
	}
	if s.res.CachedTokens < 0 { // the options find their own prompt there
		believeCached(&s.res, got.cache.tokens, n, text, s.warn)
	}
	return logprobs{p.Tokens[:n], p.TokenLogprobs[:n]}, nil
}

// promptLength is how many of these tokens are the text that was sent: those that
// spell it out, after what a tokenizer puts before it; else as many as the server
// says. What was generated may have no entry, as the end of a text has not. 0 is
// a server that did not echo.
func promptLength(text string, tokens []string, u *usage) int {
	for before := range min(3, len(tokens)) {
		rest, n := text, before
		for n < len(tokens) && rest != "" && tokens[n] != "" && strings.HasPrefix(rest, tokens[n]) {
			rest = rest[len(tokens[n]):]
			n++
		}
		if rest == "" {
			return n
		}
	}
	switch {
	case u != nil && u.Prompt > 0 && u.Prompt <= len(tokens):
		return u.Prompt
	case u != nil && u.Prompt > 0:
		return 0
	case u != nil && u.Completion > 0:
		return len(tokens) - u.Completion
	}
	return len(tokens) - 1
}
