package remote

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"jouletop/engine"
	"jouletop/engine/event"
)

// quirks is what a server has been seen not to take.
type quirks struct {
	noContinuousUsage   bool // stream_options.continuous_usage_stats
	noUsage             bool // stream_options
	maxCompletionTokens bool // instead of max_tokens (OpenAI's newer models)
	earlyUsage          bool // seen: the first chunk tells the prompt's tokens
}

func (b *Backend) quirk() quirks {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.quirks
}

// adapt notes what the server will not take, and tells whether the request may
// be worded anew.
func (b *Backend) adapt(asked quirks, err error) bool {
	s, ok := errors.AsType[*statusError](err)
	if !ok || s.code != http.StatusBadRequest && s.code != http.StatusUnprocessableEntity {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case strings.Contains(s.text, "max_completion_tokens") && !asked.maxCompletionTokens:
		b.quirks.maxCompletionTokens = true
	case !strings.Contains(s.text, "stream_options") && !strings.Contains(s.text, "continuous_usage_stats"):
		return false
	case !asked.noContinuousUsage:
		b.quirks.noContinuousUsage = true
	case !asked.noUsage:
		b.quirks.noUsage = true
	default:
		return false
	}
	return true
}

// request words a generation.
func (r *run) request(q engine.Request, k quirks) (path string, body completionRequest) {
	body = completionRequest{Model: r.model, Stream: true}
	if k.maxCompletionTokens {
		body.MaxCompletionTokens = max(q.MaxTokens, 1)
	} else {
		body.MaxTokens = max(q.MaxTokens, 1)
	}
	if !k.noUsage {
		body.StreamOptions = &streamOptions{IncludeUsage: true, ContinuousUsageStats: !k.noContinuousUsage}
	}
	if q.Chat {
		body.Messages = []message{{"user", q.Query.Prompt}}
		return "chat/completions", body
	}
	body.Prompt = &q.Query.Prompt
	return "completions", body
}

// generate runs one request to its end.
func (r *run) generate(index int, q engine.Request) engine.Result {
	g := &generation{run: r, index: index, q: q, counted: -1}
	if r.tokenizer && !q.Chat && !r.quirk().earlyUsage {
		// Before the clock starts. A count that fails leaves it to the server's usage.
		if n, err := r.count(r.ctx, r.model, q.Query.Prompt); err == nil {
			g.counted = n
		}
	}
	err := r.patiently(r.ctx, g.try)
	if err == nil && g.res.OutputTokens == 0 {
		err = errors.New("the server generated nothing")
	}
	if err != nil {
		g.res.Err = r.wordError(q, err)
	}
	return g.res
}

// wordError makes an error of a request one that tells what to do.
func (r *run) wordError(q engine.Request, err error) error {
	if s, ok := errors.AsType[*statusError](err); ok {
		switch {
		case s.code == http.StatusNotFound && !q.Chat && !strings.Contains(s.text, r.model):
			return fmt.Errorf("%w (a server for chats alone? --chat uses the other endpoint)", err)
		case s.code == http.StatusRequestEntityTooLarge, s.code == http.StatusBadRequest && (strings.Contains(s.text, "context length") || strings.Contains(s.text, "context size")):
			return fmt.Errorf("%w: %w", engine.ErrTooLong, err)
		}
	}
	return err
}

// generation is one request under way.
type generation struct {
	*run
	index   int
	q       engine.Request
	counted int // tokens of the prompt, counted before; -1 unknown
	res     engine.Result
	chunks  int // with text
	usage   usage
	absurd  bool        // the server gave counts that cannot be
	phase   event.Phase // begun and not ended; ""
}

// try sends the request once and follows its stream.
func (g *generation) try() error {
	for {
		k := g.quirk()
		g.res = newResult(g.clk.Now())
		g.chunks, g.absurd, g.usage = 0, false, usage{PromptTokens: g.counted, CompletionTokens: -1}
		g.begin(event.Prefill, g.res.StartNS, g.counted)
		path, body := g.request(g.q, k)
		a, err := g.open(g.ctx, http.MethodPost, path, body)
		if err != nil {
			g.res.EndNS = g.clk.Now()
			g.end(g.res.EndNS, 0)
			if g.adapt(k, err) {
				continue
			}
			return err
		}
		err = g.follow(a)
		a.Close()
		if err != nil {
			err = fmt.Errorf("after %d tokens: %w", g.chunks, err)
		}
		g.close(err == nil)
		return err
	}
}

// begin and end report a phase of a single request.
func (g *generation) begin(p event.Phase, t int64, tokens int) {
	if g.single {
		g.phase = p
		g.obs.PhaseStart(p, t, tokens)
	}
}

func (g *generation) end(t int64, tokens int) {
	if g.single && g.phase != "" {
		g.obs.PhaseEnd(g.phase, t, tokens)
		g.phase = ""
	}
}

// follow reads the stream to its end.
func (g *generation) follow(a *answer) error {
	header := a.resp.Header.Get("Content-Type")
	if kind, _, _ := mime.ParseMediaType(header); kind != "text/event-stream" {
		text, _ := io.ReadAll(io.LimitReader(a, maxErrorBody)) // what there is of it
		return fmt.Errorf("%w: %q instead of a stream of events: %s", errMalformed, g.clean(header), g.clean(errorText(text)))
	}
	events := newEventReader(a)
	finished := false
	for {
		data, err := events.next()
		switch {
		case err != nil && finished && g.ctx.Err() == nil:
			return nil // some servers leave [DONE] out, or the end
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return errors.New("the stream broke off")
		case err != nil && (errors.Is(err, errStalled) || errors.Is(err, errTimeout) || errors.Is(err, errMalformed) || g.ctx.Err() != nil):
			return err
		case err != nil:
			return fmt.Errorf("the stream broke off: %s", g.clean(err.Error()))
		}
		now := g.clk.Now()
		if events.failed {
			return fmt.Errorf("the server gave up: %s", g.clean(errorText(data)))
		}
		if string(data) == "[DONE]" {
			if !finished && g.chunks == 0 {
				return errors.New("the stream ended without a token, and without a reason")
			}
			return nil
		}
		var c completion
		if err := json.Unmarshal(data, &c); err != nil {
			return fmt.Errorf("%w: an event that is no JSON: %s", errMalformed, g.clean(string(data)))
		}
		if e := c.failed(); e != "" {
			return fmt.Errorf("the server gave up: %s", g.clean(e))
		}
		if c.Usage != nil {
			g.takeUsage(*c.Usage)
		}
		for _, choice := range c.Choices {
			if text := choice.text(); text != "" {
				g.token(now, text)
			}
			if choice.FinishReason != "" {
				finished = true
				a.finishWithin(g.brief)
				if g.chunks > 0 {
					g.res.EndNS = now // the token that ends a text has none
				}
			}
		}
	}
}

// Bounds on the counts that a server may claim.
const (
	maxPromptTokens = 1 << 24
	specialTokens   = 8 // that some servers count beyond max_tokens
)

// takeUsage takes the counts over that can be.
func (g *generation) takeUsage(u usage) {
	take := func(into *int, n, most int) {
		switch {
		case n < 0 || n > most:
			g.absurd = true
		case n > 0:
			*into = n
		}
	}
	take(&g.usage.PromptTokens, u.PromptTokens, maxPromptTokens)
	take(&g.usage.CompletionTokens, u.CompletionTokens, max(g.q.MaxTokens, 1)+specialTokens)
}

// token takes a chunk of text that came at t.
func (g *generation) token(t int64, text string) {
	if g.chunks == 0 {
		g.res.PrefillEndNS, g.res.FirstTokenNS = t, t
		if g.usage.CompletionTokens > 0 && !g.quirk().earlyUsage {
			g.Backend.mu.Lock()
			g.quirks.earlyUsage = true
			g.Backend.mu.Unlock()
		}
		g.end(t, g.usage.PromptTokens)
		if most := max(g.q.MaxTokens, 1) - 1; most > 0 { // the first comes out of prefill
			g.begin(event.Decode, t, most)
		}
	}
	g.chunks++
	g.res.EndNS = t
	g.res.Output.Text += text
	g.run.mu.Lock()
	g.obs.Token(g.index, t, text)
	g.run.mu.Unlock()
}

// close ends the phases and counts; whole tells whether the stream came to its
// end, after which no usage can follow.
func (g *generation) close(whole bool) {
	g.res.OutputTokens = g.usage.CompletionTokens
	if g.res.OutputTokens < 0 {
		g.res.OutputTokens = g.chunks
		if whole && g.chunks > 0 && !g.absurd {
			g.warn("the server gives no token counts (usage): the chunks of its streams are counted instead, and prompts only where it has /tokenize")
		}
	}
	if g.absurd && min(g.usage.PromptTokens, g.usage.CompletionTokens) < 0 {
		g.warn("the server gives token counts (usage) that cannot be: the chunks of its streams are counted instead, and prompts only where it has /tokenize")
	}
	g.res.InputTokens = g.usage.PromptTokens
	if g.chunks == 0 { // it never came to a token
		g.res.EndNS = g.clk.Now()
		g.res.PrefillEndNS = g.res.EndNS
		g.end(g.res.EndNS, g.usage.PromptTokens)
		return
	}
	g.end(g.res.EndNS, g.res.OutputTokens-1)
}
