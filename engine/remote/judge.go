package remote

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"jouletop/engine"
	"jouletop/engine/event"
)

// judge makes a measurement of what came, as far as it is one: how many tokens,
// when the prefill ended, when the text did. What is not known is left so, and
// flagged.
func (g *generation) judge() {
	g.keepTexts()
	g.splitThoughts()
	if len(g.times) > 0 && !g.whole() {
		g.res.FirstTokenNS = g.times[0]
	}
	if g.asked.noTemperature {
		g.flag(event.FlagNotGreedy)
		g.say("the server refuses temperature 0: texts are sampled, not greedy")
	}
	g.countPrompt()
	g.countOutput()
	hidden := g.hiddenTokens()
	steady := !hidden && g.oneByOne()
	g.res.EndNS = g.lastToken(steady)
	if steady {
		g.texts[g.index] = g.times
		for k := 1; k < len(g.times); k++ {
			g.res.GapMaxNS = max(g.res.GapMaxNS, g.times[k]-g.times[k-1])
		}
	}
	switch {
	case g.told(steady):
	case steady:
		g.res.PrefillEndNS = g.times[0]
	case !hidden:
		g.flag(event.FlagBufferedStream)
		g.say("texts come several tokens at a time, or in bursts: when a prefill ends is unknown")
	}
}

// say tells the operator something once, but for what a warm-up's few tokens seem
// to show.
func (g *generation) say(text string) {
	if g.patience == 0 {
		g.warn(text)
	}
}

// whole tells whether the answer came as one, not streamed.
func (g *generation) whole() bool { return g.json && len(g.times) <= 1 }

// Bounds on the counts that a server may claim.
const (
	promptSpare   = 4096 // tokens of a chat template, or a system prompt that the server adds
	specialTokens = 8    // that some servers count beyond max_tokens
	// maxPromptBytes is how long the tokens of a prompt may be, on average: those of
	// languages of three bytes a letter, four letters a token, come near it.
	maxPromptBytes = 16
)

// countPrompt settles the input tokens and how many of them were cached.
func (g *generation) countPrompt() {
	n := g.usage.prompt
	if n > len(g.prompt)+promptSpare { // a token is at least a byte
		n = -1
		g.usage.unreadable = true
	}
	if n <= 0 {
		n = g.counted
	}
	if n <= 0 && g.tokenizer { // a chat's without its template
		if k, err := g.count(g.ctx, g.name, g.prompt); err == nil {
			n = k
		}
	}
	g.res.InputTokens = n
	cached := g.cached
	if t := g.timings; cached < 0 && g.usage.prompt > 0 && t != nil && t.PromptN != nil && *t.PromptN > 0 && *t.PromptN < float64(n) {
		cached = n - int(*t.PromptN) // as older llama-servers have it
	}
	if g.hit != "" && cached <= 0 {
		cached = -1
		g.flag(event.FlagCachedTokens)
		g.say(fmt.Sprintf("the server says that answers came from a cache (%s), not how much of them", g.clean(g.hit)))
	}
	believeCached(&g.res, cached, n, g.prompt, g.say)
	if g.usage.prompt <= 0 || g.usage.unreadable {
		g.doubt()
		return
	}
	if n < len(g.prompt)/maxPromptBytes || n < g.counted-g.counted/10-maxSpecial {
		g.flag(event.FlagCountDoubtful)
		g.say("the server counts far fewer tokens than the prompts have: it cuts them, or leaves out what it had cached")
	}
}

// believeCached takes what a server says was cached of a prompt of n tokens (0 or less: not
// known). No more of it can be than there is; or some count the prompt without what was
// cached, and then it is the prompt that is not known.
func believeCached(res *engine.Result, cached, n int, prompt string, say func(string)) {
	if cached > 0 {
		res.Flags = res.Flags.With(event.FlagCachedTokens)
	}
	if cached > n && (n > 0 || cached > len(prompt)+promptSpare) {
		cached = -1
		res.Flags = res.Flags.With(event.FlagCountDoubtful)
		say("the server says that more of the prompt was cached than it counts in it: how much, is not stated")
	}
	res.CachedTokens = cached
}

// countOutput settles the output tokens: as the server counts them, where that
// can be; else by its tokenizer; else by max_tokens, where it says that it came to
// them; else a chunk is a token, as long as it may be one.
func (g *generation) countOutput() {
	chunks, bytes := len(g.times), g.answer.Len()+g.thought.Len()
	most := max(g.q.MaxTokens, 1)
	n := g.usage.completion(chunks)
	if t := g.timings; n <= 0 && t != nil && t.PredictedN != nil && *t.PredictedN >= 1 && *t.PredictedN < maxCount {
		n = int(*t.PredictedN)
	}
	switch {
	case n <= 0:
	case n-min(g.usage.reasoning, n) > max(most+specialTokens, bytes), n > maxCount, // a token that was shown is at least a byte
		chunks > n+max(2, n/10) && bytes > 16*n: // chunks may be parts of tokens, if those are as long
		g.usage.unreadable = true
		n = 0
	case chunks > n+max(2, n/10):
		g.flag(event.FlagCountDoubtful)
	}
	if n <= 0 && chunks > 0 {
		n = g.concludeOutput(chunks, bytes, most)
		g.doubt()
	}
	if n > most+specialTokens { // chunks may be less than a token each, or come twice
		g.flag(event.FlagMaxTokensIgnored)
		g.say("the server generates more tokens than max_tokens")
	}
	if cutEnd[g.finish] && n > 0 && n < most-max(2, most/10) {
		g.flag(event.FlagCutShort)
		g.say("the server ends texts before max_tokens: it has a limit of its own")
	}
	g.res.OutputTokens = n
	g.countDrafts()
}

// maxCount is more than any answer's tokens.
const maxCount = 1 << 24

// maxWordBytes is how long a chunk of one token may be, on average.
const maxWordBytes = 8

func (g *generation) concludeOutput(chunks, bytes, most int) int {
	cut := cutEnd[g.finish] && chunks <= most
	if n := g.tokenized(); n > 0 {
		if cut && max(n-most, most-n) <= max(2, most/10) {
			return most // a text may be read as other tokens than it was written in
		}
		return n
	}
	switch {
	case cut:
		return most
	case !g.whole() && bytes <= maxWordBytes*chunks:
		return chunks
	}
	return -1
}

// tokenized is how many tokens the server's tokenizer makes of what came; 0 where
// it has none.
func (g *generation) tokenized() int {
	if !g.tokenizer {
		return 0
	}
	text := g.thought.String() + g.answer.String()
	if !g.q.Chat && g.counted > 0 { // after its prompt
		if n, err := g.count(g.ctx, g.name, g.prompt+text); err == nil && n > g.counted {
			return n - g.counted
		}
	}
	n, err := g.count(g.ctx, g.name, text)
	if err != nil {
		return 0
	}
	return max(n-g.special, 1)
}

// doubt flags counts that are not the server's.
func (g *generation) doubt() {
	g.flag(event.FlagCountDoubtful)
	if g.usage.unreadable {
		g.say("the server gives token counts (usage) that cannot be: tokens are counted or concluded from what came, or unknown")
		return
	}
	g.say("the server gives no token counts (usage): tokens are counted or concluded from what came, or unknown")
}

// splitThoughts takes thoughts out of an answer that begins with them, where no
// parser at the server did.
func (g *generation) splitThoughts() {
	text := strings.TrimLeft(g.res.Output.Text, " \t\r\n")
	for open, end := range thoughtMarks {
		before, after, closed := strings.Cut(text, end)
		opened := strings.HasPrefix(text, open)
		if !opened && (!g.q.Chat || !closed || strings.Contains(before, open[:1])) { // templates may open it in the prompt
			continue
		}
		g.res.Output.Reasoning += strings.TrimPrefix(before, open)
		g.res.Output.Text = strings.TrimLeft(after, " \t\r\n")
		return
	}
}

// thoughtMarks are what models write around their thoughts.
var thoughtMarks = map[string]string{
	"<think>": "</think>", "<thinking>": "</thinking>", "<thought>": "</thought>", "<reasoning>": "</reasoning>", "<seed:think>": "</seed:think>",
	"[THINK]": "[/THINK]", "◁think▷": "◁/think▷", "<|START_THINKING|>": "<|END_THINKING|>",
}

// hiddenTokens tells whether tokens were generated that were not shown.
func (g *generation) hiddenTokens() bool {
	hidden := g.usage.reasoning > 0 && g.thought.Len() == 0 && g.res.Output.Reasoning == "" || len(g.times) == 0
	if hidden {
		g.flag(event.FlagHiddenTokens)
		g.say("the server generates tokens that it does not show (reasoning): when a prefill ends is unknown, but for what the server says")
	}
	return hidden
}

// sameInstant is how close together two tokens cannot have been generated, in ns.
const sameInstant = 500_000

// oneByOne tells whether the text came a token at a time, as it was generated.
func (g *generation) oneByOne() bool {
	chunks, n := len(g.times), g.res.OutputTokens
	// What ends a text is a token that most servers count and none shows; and a
	// letter may be several tokens.
	spare := 1 + n/20
	several := g.whole() || n < 0 || n > chunks+spare || chunks == 1 && n > 1
	if g.atFirst > 0 && !g.whole() { // the server said how many it had made by then
		several = g.atFirst > 1
	}
	return !several && !g.bursts()
}

// bursts tells whether chunks came together that cannot have been generated so.
func (g *generation) bursts() bool {
	if len(g.times) < 2 {
		return false
	}
	gaps := make([]int64, 0, len(g.times)-1)
	instants, first := 1, 0
	for i := 1; i < len(g.times); i++ {
		gap := g.times[i] - g.times[i-1]
		gaps = append(gaps, gap)
		if gap >= sameInstant {
			instants++
			if first == 0 {
				first = i
			}
		}
	}
	if instants == 1 || first >= 3 || 2*instants < len(g.times) {
		return true
	}
	// A pause after every few.
	median := medianOf(gaps)
	pauses := 0
	for _, gap := range gaps {
		if gap > 5*max(median, sameInstant) {
			pauses++
		}
	}
	return pauses > 1 && 10*pauses >= len(gaps)
}

func medianOf(values []int64) int64 {
	s := slices.Clone(values)
	slices.Sort(s)
	return s[len(s)/2]
}

// lastToken is when the last token came, in ns: what ends a text is a step after
// the last that is shown, unless the server takes its time to say so.
func (g *generation) lastToken(steady bool) int64 {
	if g.finishNS == 0 || len(g.times) == 0 {
		if len(g.times) > 0 {
			return g.times[len(g.times)-1]
		}
		return max(g.finishNS, g.res.StartNS)
	}
	last := g.times[len(g.times)-1]
	if steady && cutEnd[g.finish] && g.res.OutputTokens <= len(g.times) {
		return last
	}
	if steady {
		step := (last - g.times[0]) / int64(max(len(g.times)-1, 1))
		return min(g.finishNS, last+max(3*step, 50*sameInstant))
	}
	return g.finishNS
}

// told takes the server's own word for when the prefill began and ended, where it
// gives one that can be.
func (g *generation) told(steady bool) bool {
	prefill, decode, ok := g.timings.split()
	if !ok && g.usage.promptS > 0 {
		prefill, decode, ok = g.usage.promptS, g.usage.decodeS, true
	}
	if ok {
		g.res.ServerPrefillNS, g.res.ServerDecodeNS = saidNS(prefill), saidNS(decode)
	}
	const late = 0.01 // s; what a reader is behind
	length := float64(g.res.EndNS-g.res.StartNS) / 1e9
	least := fastestToken / 1e9 // s; a prompt has a token at least, and its first answer comes out of it
	if !ok || !(prefill >= least && decode >= least*float64(max(g.res.OutputTokens-1, 0)) && prefill+decode <= length*1.02+late) {
		return false
	}
	if steady { // what was seen is known; a clock may have stepped
		seen := float64(g.res.EndNS-g.times[0]) / 1e9
		if math.Abs(decode-seen) > 0.2*seen+late {
			return false
		}
	}
	g.res.PrefillEndNS = max(g.res.EndNS-int64(decode*1e9), g.res.StartNS)
	g.res.PrefillStartNS = max(g.res.PrefillEndNS-int64(prefill*1e9), g.res.StartNS)
	return true
}

// saidNS is a time in s that a server gave, in ns; 0 for one that is none.
func saidNS(s float64) int64 {
	if s > 0 && s < maxSaidS {
		return int64(s * 1e9)
	}
	return 0
}

// maxSaidS is longer than any request takes, s.
const maxSaidS = 1e6

// cmpCount is the first count that is known.
func cmpCount(counts ...int) int {
	for _, n := range counts {
		if n > 0 {
			return n
		}
	}
	return -1
}
