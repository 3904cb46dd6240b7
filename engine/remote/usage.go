package remote

import (
	"bytes"
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// usage is what a server says of a request's tokens; 0: not given, -1: not to be
// made out.
type usage struct {
	Prompt, Completion int
	Cached             int // of the prompt; -1: not given
	Reasoning          int // of the completion
	// Times that some give here (Groq), s; 0: not given.
	PromptS, CompletionS float64
	Predicted            predicted
}

// The names that counts go by.
var (
	promptNames     = []string{"prompt_tokens", "input_tokens", "prompt_eval_count", "promptTokens", "inputTokens", "promptTokenCount", "inputTokenCount"}
	completionNames = []string{"completion_tokens", "output_tokens", "eval_count", "completionTokens", "outputTokens", "candidatesTokenCount", "outputTokenCount"}
	outputDetails   = []string{"completion_tokens_details", "output_tokens_details", "output_token_details"}
	reasoningNames  = []string{"reasoning_tokens", "reasoning", "thinking_tokens"}
)

// UnmarshalJSON reads what it can and never fails: an answer is whole without
// its counts.
func (u *usage) UnmarshalJSON(text []byte) error {
	*u = usage{Prompt: -1, Completion: -1, Cached: -1}
	var form map[string]json.RawMessage
	if json.Unmarshal(text, &form) != nil || form == nil {
		return nil
	}
	u.Prompt, u.Completion = firstCount(form, promptNames, 0), firstCount(form, completionNames, 0)
	u.Cached = cacheOf(text).tokens
	u.Reasoning = max(firstCount(form, []string{"reasoning_tokens"}, 0), 0)
	for _, name := range outputDetails {
		var inner map[string]json.RawMessage
		if json.Unmarshal(form[name], &inner) == nil {
			u.Reasoning = max(u.Reasoning, firstCount(inner, reasoningNames, 0))
			if p := readPredicted(inner); p.accepted+p.rejected > 0 {
				u.Predicted = p
			}
		}
	}
	if n := firstCount(form, []string{"thoughtsTokenCount"}, 0); n > 0 && u.Completion >= 0 { // Gemini counts them apart
		u.Completion, u.Reasoning = u.Completion+n, n
	}
	total := firstCount(form, []string{"total_tokens"}, 0)
	if u.Completion >= 0 && (u.Reasoning > u.Completion || u.Prompt > 0 && total == u.Prompt+u.Completion+u.Reasoning) { // and xAI
		u.Completion += u.Reasoning
	}
	_ = json.Unmarshal(form["prompt_time"], &u.PromptS)
	_ = json.Unmarshal(form["completion_time"], &u.CompletionS)
	return nil
}

// findUsage looks for counts of tokens outside of "usage": at the top of an answer,
// or in an object in it; nil where there are none.
func findUsage(data []byte) *usage {
	if !slices.ContainsFunc(slices.Concat(promptNames, completionNames), func(name string) bool {
		return bytes.Contains(data, []byte(`"`+name+`"`))
	}) {
		return nil
	}
	const deepest = 3
	return usageIn(data, deepest)
}

func usageIn(data []byte, depth int) *usage {
	var form map[string]json.RawMessage
	if !bytes.HasPrefix(data, []byte("{")) || json.Unmarshal(data, &form) != nil {
		return nil
	}
	has := func(names []string) bool {
		return slices.ContainsFunc(names, func(name string) bool { return len(form[name]) > 0 })
	}
	if has(promptNames) && has(completionNames) {
		u := new(usage)
		_ = u.UnmarshalJSON(data) // never fails
		return u
	}
	if depth == 0 {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(form)) {
		if u := usageIn(form[name], depth-1); u != nil {
			return u
		}
	}
	return nil
}

// firstCount is the first of these counts that is there.
func firstCount(form map[string]json.RawMessage, names []string, otherwise int) int {
	for _, name := range names {
		if raw := form[name]; len(raw) > 0 && string(raw) != "null" {
			return tokenCount(raw)
		}
	}
	return otherwise
}

// tokenCount reads 7, 7.0 and "7"; -1 is what it cannot.
func tokenCount(raw json.RawMessage) int {
	text := strings.Trim(string(raw), `"`)
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || n != math.Trunc(n) || math.Abs(n) > 1<<53 || n < 0 {
		return -1
	}
	return int(n)
}

// timings is llama-server's own account of a request.
type timings struct {
	CacheN      *float64 `json:"cache_n"` // of the prompt, beside prompt_n
	PromptN     *float64 `json:"prompt_n"`
	PromptMS    *float64 `json:"prompt_ms"`
	PredictedN  *float64 `json:"predicted_n"`
	PredictedMS *float64 `json:"predicted_ms"`
	// Of a server that drafts.
	DraftN        *float64 `json:"draft_n"`
	DraftAccepted *float64 `json:"draft_n_accepted"`
}

// UnmarshalJSON never fails: an answer is whole without its timings.
func (t *timings) UnmarshalJSON(text []byte) error {
	type plain timings
	var p plain
	if json.Unmarshal(text, &p) == nil {
		*t = timings(p)
	}
	return nil
}

// split is how long prefill and decode took by the server's own clock, in s.
func (t *timings) split() (prefill, decode float64, ok bool) {
	if t == nil || t.PromptMS == nil || t.PredictedMS == nil {
		return 0, 0, false
	}
	return *t.PromptMS / 1e3, *t.PredictedMS / 1e3, true
}

// prompt is what it says of the prompt; false where that cannot be, of at most so many
// tokens.
func (t *timings) prompt(most int) (computed, cached int, ok bool) {
	if t == nil || t.PromptN == nil || t.PromptMS == nil {
		return 0, 0, false
	}
	n, c := *t.PromptN, 0.0
	if t.CacheN != nil {
		c = *t.CacheN
	}
	if !(n >= 1 && c >= 0 && n+c <= float64(most) && *t.PromptMS >= 0 && *t.PromptMS < 1e3*maxSaidS) {
		return 0, 0, false
	}
	return int(n), int(c), true
}

// progress is how far llama-server says to have read a prompt: of Total tokens Processed,
// of which Cache were there before.
type progress struct {
	Total     float64 `json:"total"`
	Cache     float64 `json:"cache"`
	Processed float64 `json:"processed"`
}

// UnmarshalJSON never fails: an answer is whole without it.
func (p *progress) UnmarshalJSON(text []byte) error {
	type plain progress
	var q plain
	if json.Unmarshal(text, &q) == nil {
		*p = progress(q)
	}
	return nil
}

// credible tells whether it can be, of a prompt of at most so many tokens.
func (p *progress) credible(most int) bool {
	return p.Total >= 1 && p.Total <= float64(most) && p.Cache >= 0 && p.Cache <= p.Processed && p.Processed <= p.Total
}

// tally gathers the usages of a stream. Most servers give totals, once or so
// far; some the tokens of each chunk alone.
type tally struct {
	n          int
	last, sum  int // of completion tokens
	prompt     int // the most of prompt tokens; -1 unknown
	reasoning  int
	promptS    float64
	decodeS    float64
	unreadable bool
	predicted  predicted
}

func newTally() tally { return tally{prompt: -1} }

func (t *tally) take(u usage) {
	t.unreadable = u.Prompt < 0 || u.Completion < 0 || t.unreadable && (u.Prompt == 0 || u.Completion == 0)
	if u.Prompt > 0 {
		t.prompt = max(t.prompt, u.Prompt)
	}
	t.reasoning = max(t.reasoning, u.Reasoning)
	if u.Predicted.accepted+u.Predicted.rejected > 0 {
		t.predicted = u.Predicted
	}
	if u.Completion > 0 {
		t.n++
		t.last = u.Completion
		t.sum += u.Completion
	}
	if u.PromptS > 0 && u.CompletionS > 0 {
		t.promptS, t.decodeS = u.PromptS, u.CompletionS
	}
}

// completion is the count of all, given how many chunks of text came; 0 where
// none was given.
func (t *tally) completion(chunks int) int {
	if t.n > 1 && 2*t.last < chunks && 2*t.sum >= chunks {
		return t.sum
	}
	return t.last
}
