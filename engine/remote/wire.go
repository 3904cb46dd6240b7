package remote

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"

	"jouletop/engine"
)

// completionRequest is what both endpoints are asked; of prompt and messages
// one is set.
type completionRequest struct {
	Model               string         `json:"model"`
	Prompt              *string        `json:"prompt,omitempty"`
	Messages            []message      `json:"messages,omitempty"`
	MaxTokens           int            `json:"max_tokens,omitempty"`
	MaxCompletionTokens int            `json:"max_completion_tokens,omitempty"`
	Temperature         float64        `json:"temperature"` // 0: greedy
	Stream              bool           `json:"stream,omitempty"`
	StreamOptions       *streamOptions `json:"stream_options,omitempty"`
	Echo                bool           `json:"echo,omitempty"`
	Logprobs            int            `json:"logprobs,omitempty"`
}

type message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

type streamOptions struct {
	IncludeUsage         bool `json:"include_usage"`
	ContinuousUsageStats bool `json:"continuous_usage_stats,omitempty"` // vLLM, SGLang
}

// completion is an answer, or a chunk of one.
type completion struct {
	Choices []choice `json:"choices"`
	Usage   *usage   `json:"usage"`
	failure
}

// failed is what the server says instead of going on; "" if it does go on.
func (c completion) failed() string {
	if len(c.Choices) > 0 {
		return messageOf(c.Error)
	}
	return c.text()
}

type choice struct {
	Text  string `json:"text"`
	Delta struct {
		Content          string `json:"content"`
		ReasoningContent string `json:"reasoning_content"` // vLLM, SGLang, DeepSeek
		Reasoning        string `json:"reasoning"`         // Ollama, OpenRouter
	} `json:"delta"`
	FinishReason string    `json:"finish_reason"`
	Logprobs     *logprobs `json:"logprobs"`
}

// text is what the chunk adds; thinking aloud is generated like the rest.
func (c choice) text() string {
	return c.Text + c.Delta.ReasoningContent + c.Delta.Reasoning + c.Delta.Content
}

type usage struct {
	PromptTokens     int // 0: not given, -1: not to be made out
	CompletionTokens int
}

// UnmarshalJSON reads what it can and never fails: an answer is whole without
// its counts.
func (u *usage) UnmarshalJSON(text []byte) error {
	var form struct {
		Prompt     json.RawMessage `json:"prompt_tokens"`
		Completion json.RawMessage `json:"completion_tokens"`
	}
	if json.Unmarshal(text, &form) != nil {
		*u = usage{-1, -1}
		return nil
	}
	*u = usage{tokenCount(form.Prompt), tokenCount(form.Completion)}
	return nil
}

// tokenCount reads 7, 7.0 and "7".
func tokenCount(raw json.RawMessage) int {
	text := strings.Trim(string(raw), `"`)
	if text == "" || text == "null" {
		return 0
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || n != math.Trunc(n) || math.Abs(n) > 1<<53 {
		return -1
	}
	return int(n)
}

type logprobs struct {
	Tokens        []string   `json:"tokens"`
	TokenLogprobs []*float64 `json:"token_logprobs"`
}

// servedModel is an entry of /models, with what vLLM and llama-server add.
type servedModel struct {
	ID          string `json:"id"`
	MaxModelLen int    `json:"max_model_len"` // vLLM, SGLang
	Meta        struct {
		Context    int   `json:"n_ctx_train"`
		Parameters int64 `json:"n_params"`
		Size       int64 `json:"size"`
	} `json:"meta"` // llama-server
}

func (m servedModel) describe(info *engine.ModelInfo) {
	if n := max(m.MaxModelLen, m.Meta.Context); n > 0 {
		info.ContextMax = n
	}
	if m.Meta.Parameters > 0 {
		info.Parameters = m.Meta.Parameters
	}
	if m.Meta.Size > 0 {
		info.SizeBytes = m.Meta.Size
	}
}

// find looks a model up, by its name or by what is shown of it; Ollama lists "m:latest" for "m".
func (c cleaner) find(served []servedModel, name string) (servedModel, bool) {
	for _, want := range []string{name, name + ":latest"} {
		for _, m := range served {
			if m.ID == want || c.clean(m.ID) == want {
				return m, true
			}
		}
	}
	return servedModel{}, false
}

func (c cleaner) names(served []servedModel) string {
	const most = 12
	var list []string
	for i, m := range served {
		if i == most {
			list = append(list, "…")
			break
		}
		list = append(list, c.clean(m.ID))
	}
	return strings.Join(list, ", ")
}
