package remote

import (
	"encoding/json"
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
	Choices []choice        `json:"choices"`
	Usage   *usage          `json:"usage"`
	Error   json.RawMessage `json:"error"`
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
	PromptTokens     int `json:"prompt_tokens"`
	CompletionTokens int `json:"completion_tokens"`
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

// find looks a model up; Ollama lists "m:latest" for "m".
func find(served []servedModel, name string) (servedModel, bool) {
	for _, want := range []string{name, name + ":latest"} {
		for _, m := range served {
			if m.ID == want {
				return m, true
			}
		}
	}
	return servedModel{}, false
}

func names(served []servedModel) string {
	const most = 12
	var list []string
	for i, m := range served {
		if i == most {
			list = append(list, "…")
			break
		}
		list = append(list, m.ID)
	}
	return strings.Join(list, ", ")
}

// errorText finds what a server says of an error, in the forms that are about:
// {"error":{"message":…}}, {"error":"…"}, {"message":…}, {"detail":…}, or text.
func errorText(body []byte) string {
	var form struct {
		Error   json.RawMessage `json:"error"`
		Message string          `json:"message"`
		Detail  json.RawMessage `json:"detail"`
	}
	if json.Unmarshal(body, &form) == nil {
		for _, raw := range []json.RawMessage{form.Error, form.Detail} {
			if s := messageOf(raw); s != "" {
				return s
			}
		}
		if form.Message != "" {
			return oneLine(form.Message)
		}
	}
	return oneLine(string(body))
}

func messageOf(raw json.RawMessage) string {
	var inner struct {
		Message string `json:"message"`
	}
	if json.Unmarshal(raw, &inner) == nil && inner.Message != "" {
		return oneLine(inner.Message)
	}
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return oneLine(text)
	}
	if len(raw) > 0 && string(raw) != "null" {
		return oneLine(string(raw))
	}
	return ""
}

// oneLine cuts a foreign text to what a message can hold.
func oneLine(s string) string {
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "�")), " ")
	if r := []rune(s); len(r) > 300 {
		s = string(r[:300]) + "…"
	}
	return s
}
