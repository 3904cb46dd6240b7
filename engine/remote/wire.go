package remote

import (
	"bytes"
	"encoding/json"
	"fmt"
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
	Temperature         *float64       `json:"temperature,omitempty"` // 0: greedy
	Stream              bool           `json:"stream,omitempty"`
	StreamOptions       *streamOptions `json:"stream_options,omitempty"`
	Echo                bool           `json:"echo,omitempty"`
	Logprobs            int            `json:"logprobs,omitempty"`
	CachePrompt         *bool          `json:"cache_prompt,omitempty"` // llama-server
	// llama-server: how the prompt comes forward, and what it counts with each token.
	ReturnProgress  bool `json:"return_progress,omitempty"`
	TimingsPerToken bool `json:"timings_per_token,omitempty"`
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
	Choices  choices         `json:"choices"`
	Usage    *usage          `json:"usage"`
	Timings  *timings        `json:"timings"`         // llama-server
	Progress *progress       `json:"prompt_progress"` // likewise
	Model    json.RawMessage `json:"model"`
	cache    cacheWord
	failure
}

// parseCompletion reads an answer or a chunk; usage also from where gateways put
// it: in a choice, at the top, or in an object of another name.
func parseCompletion(data []byte) (completion, error) {
	var c completion
	if err := json.Unmarshal(data, &c); err != nil {
		return c, err
	}
	c.cache = cacheOf(data)
	for _, choice := range c.Choices {
		for _, u := range []*usage{choice.Usage, choice.Delta.Usage, choice.Message.Usage} {
			if c.Usage == nil {
				c.Usage = u
			}
		}
	}
	if c.Usage == nil {
		c.Usage = findUsage(data)
	}
	if c.Usage != nil {
		c.cache.tokens = max(c.cache.tokens, c.Usage.Cached)
	}
	return c, nil
}

// failed is what the server says instead of going on; "" if it does go on.
func (c completion) failed() string {
	if len(c.Choices) > 0 {
		return messageOf(c.Error)
	}
	return c.text()
}

// choices are the first few: one is asked for.
type choices []choice

const maxChoices = 4

// UnmarshalJSON reads no more than maxChoices: an array of millions is a few
// bytes each on the wire, and hundreds here.
func (cs *choices) UnmarshalJSON(text []byte) error {
	d := json.NewDecoder(bytes.NewReader(text))
	switch t, err := d.Token(); {
	case err != nil:
		return err
	case t == nil: // null
		return nil
	case t != json.Delim('['):
		return fmt.Errorf("choices that are no list")
	}
	for d.More() && len(*cs) < maxChoices {
		var c choice
		if err := d.Decode(&c); err != nil {
			return err
		}
		*cs = append(*cs, c)
	}
	return nil
}

type choice struct {
	Index        json.RawMessage `json:"index"`
	Text         wireText        `json:"text"`
	Delta        delta           `json:"delta"`
	Message      delta           `json:"message"` // of an answer that is not streamed
	FinishReason json.RawMessage `json:"finish_reason"`
	Logprobs     *logprobs       `json:"logprobs"`
	Usage        *usage          `json:"usage"` // Kimi
}

// delta is what a chunk of a chat adds.
type delta struct {
	Content          json.RawMessage `json:"content"`
	Text             json.RawMessage `json:"text"`
	ReasoningContent json.RawMessage `json:"reasoning_content"` // vLLM, SGLang, DeepSeek, llama-server
	Reasoning        json.RawMessage `json:"reasoning"`         // Ollama, OpenRouter, newer vLLM
	Thinking         json.RawMessage `json:"thinking"`
	ReasoningDetails json.RawMessage `json:"reasoning_details"` // OpenRouter
	ThinkingBlocks   json.RawMessage `json:"thinking_blocks"`   // LiteLLM
	Refusal          json.RawMessage `json:"refusal"`
	ToolCalls        json.RawMessage `json:"tool_calls"`
	FunctionCall     json.RawMessage `json:"function_call"`
	Usage            *usage          `json:"usage"`
}

// piece is what a chunk adds: text of the answer, and what else was generated
// for it: thoughts, calls of tools.
type piece struct{ answer, thought string }

func (p piece) empty() bool { return p.answer == "" && p.thought == "" }

// piece takes each text once: servers that rename a field give it under both names.
func (c choice) piece() piece {
	p := piece{answer: string(c.Text)}
	for _, d := range []delta{c.Delta, c.Message} {
		content := contentOf(d.Content)
		if content.empty() {
			content = contentOf(d.Text)
		}
		if p.answer == "" { // some give text and content alike
			p.answer = content.answer
		}
		p.thought += content.thought
		for _, raw := range []json.RawMessage{d.ReasoningContent, d.Reasoning, d.Thinking, d.ReasoningDetails, d.ThinkingBlocks} {
			if t := contentOf(raw); !t.empty() {
				p.thought += t.answer + t.thought
				break
			}
		}
		for _, raw := range []json.RawMessage{d.Refusal, d.ToolCalls, d.FunctionCall} {
			if text := string(bytes.TrimSpace(raw)); text != "" && text != "null" && text != "[]" && text != `""` && text != "{}" {
				p.thought += text
			}
		}
	}
	return p
}

// contentOf reads content that is a text, a part, or a list of parts; parts of
// another type than text (thinking, reasoning) are thoughts.
func contentOf(raw json.RawMessage) piece {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 {
		return piece{}
	}
	switch raw[0] {
	case '"':
		var t wireText
		_ = t.UnmarshalJSON(raw) // it is a JSON text
		return piece{answer: string(t)}
	case '[':
		var parts []json.RawMessage
		if json.Unmarshal(raw, &parts) != nil {
			return piece{}
		}
		var answer, thought strings.Builder
		for _, part := range parts {
			p := contentOf(part)
			answer.WriteString(p.answer)
			thought.WriteString(p.thought)
		}
		return piece{answer.String(), thought.String()}
	case '{':
		var part struct {
			Type                               string
			Text, Content, Thinking, Reasoning json.RawMessage
		}
		if json.Unmarshal(raw, &part) != nil {
			return piece{}
		}
		own := contentOf(part.Text)
		if own.empty() {
			own = contentOf(part.Content)
		}
		other := contentOf(part.Thinking)
		if other.empty() {
			other = contentOf(part.Reasoning)
		}
		p := piece{own.answer, own.thought + other.answer + other.thought}
		if t := strings.ToLower(part.Type); t != "" && (!strings.HasSuffix(t, "text") || strings.Contains(t, "reason") || strings.Contains(t, "think")) {
			p = piece{thought: p.answer + p.thought}
		}
		return p
	}
	return piece{}
}

// finish is why the server ended, in small letters; "" where it goes on. Some
// give an object with the reason as its type.
func (c choice) finish() string {
	var text string
	if json.Unmarshal(c.FinishReason, &text) != nil {
		var inner struct{ Type, Reason string }
		if json.Unmarshal(c.FinishReason, &inner) != nil {
			return endOf(string(c.FinishReason))
		}
		text = inner.Type + inner.Reason
	}
	return endOf(text)
}

// endOf is a reason without what programming languages and people make of it:
// "FinishReason.MAX_TOKENS", "Stop Sequence".
func endOf(text string) string {
	text = strings.NewReplacer(" ", "_", "-", "_").Replace(strings.ToLower(strings.TrimSpace(text)))
	for _, prefix := range []string{"finish_reason_", "finishreason.", "finish_reason."} {
		text = strings.TrimPrefix(text, prefix)
	}
	switch text {
	case "null", "none", "false", "unspecified":
		return ""
	}
	return text
}

// Ends of a text that came to its own end, and of one that came to max_tokens,
// as servers spell them. Any other is a failure: abort, error, content_filter, …
var (
	ownEnd = map[string]bool{
		"stop": true, "eos": true, "eos_token": true, "end": true, "end_turn": true, "stop_sequence": true, "stop_token": true,
		"complete": true, "completed": true, "done": true, "finished": true, "eos_found": true, "end_of_text": true, "stop_word": true, "stop_str": true,
		"tool_calls": true, "tool_call": true, "tool_use": true, "function_call": true,
	}
	cutEnd = map[string]bool{"length": true, "max_tokens": true, "max_new_tokens": true, "max_completion_tokens": true, "token_limit": true, "max_length": true, "model_length": true, "max_output_tokens": true, "limit": true}
)

type logprobs struct {
	Tokens        []string   `json:"tokens"`
	TokenLogprobs []*float64 `json:"token_logprobs"`
}

// servedModel is an entry of /models, with what vLLM and llama-server add.
type servedModel struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	Model       string `json:"model"`
	OwnedBy     string `json:"owned_by"`
	MaxModelLen int    `json:"max_model_len"` // vLLM, SGLang
	Meta        struct {
		Context    int   `json:"n_ctx"` // as served; the model's own may be longer
		Trained    int   `json:"n_ctx_train"`
		Parameters int64 `json:"n_params"`
		Size       int64 `json:"size"`
	} `json:"meta"` // llama-server
}

func (m servedModel) describe(info *engine.ModelInfo) {
	if n := cmpCount(m.MaxModelLen, m.Meta.Context, m.Meta.Trained); n > 0 {
		info.ContextMax = n
	}
	if m.Meta.Parameters > 0 {
		info.Parameters = m.Meta.Parameters
	}
	if m.Meta.Size > 0 {
		info.SizeBytes = m.Meta.Size
	}
}
