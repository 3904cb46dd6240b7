package remote

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"jouletop/engine"
	"jouletop/engine/event"
)

// generate runs one request to its end.
func (r *run) generate(index int, q engine.Request) engine.Result {
	g := &generation{run: r, index: index, q: q, prompt: r.nonce() + q.Query.Prompt, counted: -1}
	if r.tokenizer && !q.Chat && !r.quirk().earlyUsage {
		// Before the clock starts. A count that fails leaves it to the server's usage.
		if n, err := r.count(r.ctx, r.name, g.prompt); err == nil {
			g.counted = n
		}
	}
	r.counting.Done()
	r.counting.Wait()
	err := r.patiently(r.ctx, r.patience, g.try)
	if err == nil {
		g.judge()
		switch took := g.res.EndNS - g.res.StartNS; {
		case g.res.OutputTokens == 0:
			err = fmt.Errorf("%w: the server generated nothing", engine.ErrNoAnswer)
		case g.res.OutputTokens >= fewTokens && took < fastestToken*int64(g.res.OutputTokens):
			err = fmt.Errorf("%w: %d tokens in %v, faster than any model", errFromCache, g.res.OutputTokens, time.Duration(took))
		}
	}
	if err != nil {
		g.fail()
		g.res.Err = r.wordError(q, err)
	}
	if g.accepted {
		r.ran[index] = []span{{g.res.StartNS, g.res.EndNS}}
	}
	if g.tries > 1 {
		g.flag(event.FlagRetried)
	}
	return g.res
}

// fastestToken is how fast no model generates the tokens of one request, in ns.
const fastestToken = 20_000

// wordError makes an error of a request one that tells what to do.
func (r *run) wordError(q engine.Request, err error) error {
	if s, ok := errors.AsType[*statusError](err); ok {
		switch {
		case (s.code == http.StatusNotFound || s.code == http.StatusMethodNotAllowed) && !q.Chat && !strings.Contains(s.text, r.name):
			return fmt.Errorf("%w (a server for chats alone? --chat uses the other endpoint)", err)
		case tooLong(s):
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
	prompt  string // as it is sent
	counted int    // tokens of the prompt, counted before; -1 unknown
	tries   int    // turned away for the moment and sent again, or not
	asked   quirks // what the try was worded by
	res     engine.Result
	// accepted: the server took it; it ran from res.StartNS to res.EndNS.
	accepted bool

	times    []int64 // of the chunks with text, in ns
	choice   string  // the index of the answer that is followed; "" not known yet
	last     string  // the text of the last chunk
	chained  int     // chunks, from the first on, that each begin with the one before
	half     piece   // of a letter whose rest has not come yet
	final    []byte  // the chunk that ended the text, as it came, for some come twice; nil before
	answer   strings.Builder
	thought  strings.Builder
	usage    tally
	cached   int    // of the prompt's tokens; -1 unknown
	hit      string // the field by which the answer is from a cache; "" none
	model    string // that answers, by its own word; "" not said
	timings  *timings
	made     int    // tokens by the newest chunk, as the server says; 0 unknown
	atFirst  int    // tokens so far by the usage that came with the first text; 0 unknown
	finish   string // the reason; "" none yet
	finishNS int64
	json     bool // the answer is no stream of events
}

func (g *generation) flag(f ...event.Flag) { g.res.Flags = g.res.Flags.With(f...) }

// try sends the request once and follows its answer.
func (g *generation) try() error {
	g.tries++
	for {
		k := g.quirk()
		g.asked, g.res, g.usage = k, newResult(g.clk.Now()), newTally()
		g.cached = -1
		if g.heard != nil {
			g.heard.Sent(g.res.StartNS)
			if g.counted > 0 {
				g.heard.Prompt(g.res.StartNS, engine.PromptWord{Tokens: g.counted, Read: -1, Seconds: math.NaN()})
			}
		}
		g.enter(g.res.StartNS, g.counted)
		path, body := g.request(g.q, g.prompt, k)
		a, err := g.openWithin(g.ctx, g.opt.Timeout+g.patience, max(g.opt.Stall, g.patience), http.MethodPost, path, body)
		if err != nil {
			g.res.EndNS = g.clk.Now()
			// One that was left without a word may have run.
			g.accepted = errors.Is(err, errStalled) || errors.Is(err, errTimeout)
			g.leave()
			if g.adapt(k, err) {
				continue
			}
			return err
		}
		g.accepted = true
		err = g.follow(a)
		a.Close()
		g.leave()
		if err != nil && len(g.times) > 0 {
			err = fmt.Errorf("after %d tokens: %w", len(g.times), err)
		}
		return err
	}
}

// Bounds on an answer to a request for n tokens: of chunks with text, of its text
// and of all that is read, in bytes.
const (
	maxOver       = 4   // times as many as asked for
	spare         = 256 // and so many more
	maxTokenBytes = 64  // on average
	maxChunkBytes = 4 << 10
)

func (g *generation) mostChunks() int { return maxOver*max(g.q.MaxTokens, 1) + spare }

// errEndless: the answer is far longer than what was asked for.
var errEndless = errors.New("the server goes on far beyond what it was asked for")

// follow reads the answer to its end.
func (g *generation) follow(a *answer) error {
	chunks := int64(g.mostChunks())
	limited := &io.LimitedReader{R: a, N: maxEvent + maxChunkBytes*chunks}
	next, failed, err := g.events(limited)
	if err != nil {
		return g.wordRead(err)
	}
	for seen := false; ; seen = true {
		data, err := next()
		switch {
		case err != nil && limited.N <= 0:
			return errEndless
		case err != nil && g.finish != "" && g.ctx.Err() == nil:
			return g.ended() // some servers leave [DONE] out, or the end
		case errors.Is(err, io.EOF) && g.json:
			return g.ended()
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			if kind := a.resp.Header.Get("Content-Type"); !seen && !strings.Contains(kind, "event-stream") {
				return fmt.Errorf("%w: %q instead of a stream of events", errMalformed, g.clean(kind))
			}
			return errors.New("the stream broke off")
		case err != nil:
			return g.wordRead(err)
		}
		now := g.clk.Now()
		if failed() {
			return fmt.Errorf("the server gave up: %s", g.clean(errorText(data)))
		}
		if string(bytes.TrimSpace(data)) == "[DONE]" {
			if g.finish == "" && len(g.times) == 0 {
				return errors.New("the stream ended without a token, and without a reason")
			}
			return g.ended()
		}
		if err := g.take(a, now, data); err != nil && (g.finish == "" || !errors.Is(err, errNoJSON)) {
			return err
		}
	}
}

// errNoJSON: an event is something else.
var errNoJSON = fmt.Errorf("%w: an event that is no JSON", errMalformed)

// wordRead words a failure to read on.
func (g *generation) wordRead(err error) error {
	for _, known := range []error{errStalled, errTimeout, errMalformed, errWebPage} {
		if errors.Is(err, known) {
			return err
		}
	}
	if g.ctx.Err() != nil {
		return err
	}
	return fmt.Errorf("the stream broke off: %s", g.clean(err.Error()))
}

// events tells a stream of events from other answers by how it begins: servers
// and proxies give many types for it. JSON is taken value by value.
func (g *generation) events(r io.Reader) (next func() ([]byte, error), failed func() bool, err error) {
	br := bufio.NewReaderSize(r, 1<<14)
	first, err := firstByte(br)
	switch {
	case errors.Is(err, io.EOF):
		return nil, nil, io.ErrUnexpectedEOF
	case err != nil:
		return nil, nil, err
	case first == '<':
		return nil, nil, fmt.Errorf("%s: %w", g.base.Host, errWebPage)
	case first == '{' || first == '[':
		d := json.NewDecoder(br)
		g.json = true
		return func() ([]byte, error) {
			var raw json.RawMessage
			if err := d.Decode(&raw); err != nil {
				if _, ok := errors.AsType[*json.SyntaxError](err); ok {
					err = fmt.Errorf("%w: %s", errMalformed, g.clean(err.Error()))
				}
				return nil, err
			}
			return raw, nil
		}, func() bool { return false }, nil
	}
	events := newEventReader(br)
	return events.next, func() bool { return events.failed }, nil
}

// firstByte is the first one that is no white space or byte order mark.
func firstByte(r *bufio.Reader) (byte, error) {
	for {
		c, err := r.ReadByte()
		if err != nil {
			return 0, err
		}
		if !bytes.ContainsRune([]byte(" \t\r\n\xef\xbb\xbf"), rune(c)) {
			return c, r.UnreadByte()
		}
	}
}

// ended tells whether the reason that the server gave is one of success.
func (g *generation) ended() error {
	switch {
	case g.finish == "":
		g.flag(event.FlagEndDoubtful)
	case !ownEnd[g.finish] && !cutEnd[g.finish]:
		return fmt.Errorf("%w: the server ended the text with finish_reason %q", engine.ErrNoAnswer, g.clean(g.finish))
	}
	return nil
}

// take takes a chunk that came at t.
func (g *generation) take(a *answer, t int64, data []byte) error {
	if len(g.final) > 0 && bytes.Equal(data, g.final) {
		return nil
	}
	c, err := parseCompletion(data)
	if err != nil {
		c, err = parseCompletion(withoutNaN(data))
	}
	if err != nil {
		return fmt.Errorf("%w: %s", errNoJSON, g.clean(string(data)))
	}
	if e := c.failed(); e != "" {
		return fmt.Errorf("the server gave up: %s", g.clean(e))
	}
	if c.Usage != nil {
		g.usage.take(*c.Usage)
	}
	if c.Timings != nil {
		g.timings = c.Timings
	}
	g.cached = max(g.cached, c.cache.tokens)
	if c.cache.hit != "" {
		g.hit = c.cache.hit
	}
	g.answeredBy(contentOf(c.Model).answer)
	g.hear(t, &c)
	if len(c.Choices) == 0 {
		return nil
	}
	for i, other := range c.Choices {
		if err := g.follows(i, other); err != nil {
			return err
		}
	}
	choice := c.Choices[0] // one was asked for
	if p := g.unrepeated(g.unechoed(choice.piece())); !p.empty() {
		if g.finish != "" { // it was said too soon
			g.finish = ""
			a.goOn()
		}
		if err := g.token(t, p, &c); err != nil {
			return err
		}
		if len(g.times) == 1 && c.Usage != nil {
			g.atFirst = max(c.Usage.Completion, 0)
		}
	}
	if reason := choice.finish(); reason != "" {
		if g.final == nil {
			g.final = []byte{}
			if len(g.times) > 1 { // else it may be one of those that give a reason in each chunk
				g.final = bytes.Clone(data)
			}
		}
		g.finish, g.finishNS = reason, t
		a.finishWithin(g.brief)
	}
	return nil
}

// follows notes whose text a choice of a chunk is: one answer was asked for.
func (g *generation) follows(position int, c choice) error {
	if c.piece().empty() {
		return nil
	}
	index := string(c.Index)
	if index == "" || index == "null" {
		index = strconv.Itoa(position)
	}
	if g.choice != "" && g.choice != index {
		return fmt.Errorf("%w: several answers (choices) where one was asked for", errMalformed)
	}
	g.choice = index
	return nil
}

// unechoed is what of the first text is no prompt: some servers give that back
// first, at once.
func (g *generation) unechoed(p piece) piece {
	if len(g.times) == 0 && len(g.prompt) >= sureBytes && strings.HasPrefix(p.answer, g.prompt) {
		g.say("the server gives each prompt back before its answer; it was taken out")
		p.answer = p.answer[len(g.prompt):]
	}
	return p
}

// Some servers give all of a text again when it has ended, or in each chunk all of
// it so far. So much must have come to be sure of either.
const (
	sureBytes  = 2 * maxWordBytes
	sureChunks = 4
)

// unrepeated is what of a chunk was not said before.
func (g *generation) unrepeated(p piece) piece {
	if len(g.times) >= 2 {
		if len(p.answer) >= sureBytes && p.answer == g.answer.String() {
			p.answer = ""
		}
		if len(p.thought) >= sureBytes && p.thought == g.thought.String() {
			p.thought = ""
		}
	}
	if p.answer == "" {
		return p
	}
	longer := len(p.answer) > len(g.last) && strings.HasPrefix(p.answer, g.last)
	if longer && g.chained == len(g.times) {
		g.chained++
	}
	g.last = p.answer
	if g.chained < sureChunks || !longer {
		return p
	}
	if g.chained == sureChunks && len(g.times) == sureChunks-1 { // what is here is all of it several times
		g.answer.Reset()
		return p
	}
	return piece{strings.TrimPrefix(p.answer, g.answer.String()), p.thought}
}

// token takes the text of a chunk that came at t.
func (g *generation) token(t int64, p piece, c *completion) error {
	g.times = append(g.times, t)
	p.answer, g.half.answer = wholeLetters(g.half.answer + p.answer)
	p.thought, g.half.thought = wholeLetters(g.half.thought + p.thought)
	g.answer.WriteString(p.answer)
	g.thought.WriteString(p.thought)
	most := g.mostChunks()
	if len(g.times) > most || g.answer.Len()+g.thought.Len() > maxTokenBytes*most {
		return errEndless
	}
	if g.heard != nil {
		g.heard.Text(t, p.answer+p.thought, g.madeBy(c))
		return nil
	}
	g.run.mu.Lock()
	defer g.run.mu.Unlock()
	if len(g.times) == 1 && g.single && max(g.q.MaxTokens, 1) > 1 { // the first comes out of prefill
		g.obs.PhaseStart(event.Decode, t, max(g.q.MaxTokens, 1)-1)
	}
	g.obs.Token(g.index, t, p.answer+p.thought)
	return nil
}

// keepTexts leaves the texts in the result. Of a letter that ended in its half is
// known that it was one.
func (g *generation) keepTexts() {
	cut := func(text, half string) string {
		if half != "" {
			text += string(utf8.RuneError)
		}
		return text
	}
	g.res.Output.Text = cut(g.answer.String(), g.half.answer)
	g.res.Output.Reasoning = cut(g.thought.String(), g.half.thought)
}

// fail leaves what was received in the result of a request that failed.
func (g *generation) fail() {
	g.keepTexts()
	g.res.InputTokens = cmpCount(g.usage.prompt, g.counted)
	believeCached(&g.res, g.cached, g.res.InputTokens, g.prompt, g.say)
	if g.res.OutputTokens == 0 {
		g.res.OutputTokens = max(len(g.times), g.usage.completion(len(g.times)))
	}
	if len(g.times) > 0 {
		g.res.FirstTokenNS = g.times[0]
	}
	if g.accepted {
		g.res.EndNS = g.clk.Now()
	}
}
