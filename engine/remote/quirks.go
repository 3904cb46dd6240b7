package remote

import (
	"errors"
	"net/http"
	"strings"

	"jouletop/engine"
)

// quirks is what a server has been seen not to take.
type quirks struct {
	noContinuousUsage   bool // stream_options.continuous_usage_stats
	noUsage             bool // stream_options
	maxCompletionTokens bool // instead of max_tokens (OpenAI's newer models)
	noTemperature       bool // temperature 0
	noCachePrompt       bool // cache_prompt
	noProgress          bool // return_progress, timings_per_token
	plain               bool // seen to refuse something that it did not name: nothing but the least was sent
	earlyUsage          bool // seen: the first chunk tells the prompt's tokens
	noScoring           error
}

func (b *Backend) quirk() quirks {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.quirks
}

// adapt notes what the server will not take, and tells whether the request may
// be worded anew: it named a field of the request, or refused it without naming
// anything.
func (b *Backend) adapt(asked quirks, err error) bool {
	s, ok := errors.AsType[*statusError](err)
	if !ok || s.code < http.StatusBadRequest || barred(err) || s.code == http.StatusTooManyRequests {
		return false
	}
	says := strings.ToLower(s.body)
	names := func(fields ...string) bool {
		for _, f := range fields {
			if strings.Contains(says, f) {
				return true
			}
		}
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	k := &b.quirks
	switch {
	case tooLong(s):
		return false
	case names("stream_options", "continuous_usage_stats", "include_usage") && !asked.noContinuousUsage:
		k.noContinuousUsage = true
	case names("stream_options", "include_usage") && !asked.noUsage:
		k.noUsage = true
	case names("temperature") && !asked.noTemperature:
		k.noTemperature = true
	case names("cache_prompt") && !asked.noCachePrompt:
		k.noCachePrompt = true
	case names("return_progress", "timings_per_token") && !asked.noProgress:
		k.noProgress = true
	case names("max_completion_tokens", "max_tokens") && !asked.maxCompletionTokens:
		k.maxCompletionTokens = true
	case (s.code == http.StatusBadRequest || s.code == http.StatusUnprocessableEntity) && !asked.plain:
		k.plain, k.noContinuousUsage, k.noUsage, k.noCachePrompt, k.noProgress = true, true, true, true, true
	default:
		return false
	}
	return true
}

// tooLong tells whether a request was refused for its length.
func tooLong(s *statusError) bool {
	says := strings.ToLower(s.text)
	return s.code == http.StatusRequestEntityTooLarge || s.code == http.StatusBadRequest &&
		(strings.Contains(says, "context length") || strings.Contains(says, "context size") || strings.Contains(says, "context window") || strings.Contains(says, "too long"))
}

// request words a generation.
func (r *run) request(q engine.Request, prompt string, k quirks) (path string, body completionRequest) {
	body = completionRequest{Model: r.name, Stream: true}
	if !k.noTemperature {
		body.Temperature = new(float64)
	}
	if r.llamaServer && !r.opt.KeepCache && !k.noCachePrompt {
		body.CachePrompt = new(bool) // else it keeps what all prompts begin with
	}
	if r.llamaServer && r.heard != nil && !k.noProgress {
		body.ReturnProgress, body.TimingsPerToken = true, true
	}
	if k.maxCompletionTokens {
		body.MaxCompletionTokens = max(q.MaxTokens, 1)
	} else {
		body.MaxTokens = max(q.MaxTokens, 1)
	}
	if !k.noUsage {
		body.StreamOptions = &streamOptions{IncludeUsage: true, ContinuousUsageStats: !k.noContinuousUsage}
	}
	if q.Chat {
		body.Messages = []message{{"user", prompt}}
		return "chat/completions", body
	}
	body.Prompt = &prompt
	return "completions", body
}
