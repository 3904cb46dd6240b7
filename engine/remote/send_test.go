package remote

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"jouletop/engine"
	"jouletop/workloads"
)

// ignored hears nothing.
func ignored() engine.Heard {
	return engine.Heard{Sent: func(int64) {}, Prompt: func(int64, engine.PromptWord) {}, Text: func(int64, string, int) {}}
}

// Requests that are sent by themselves run beside each other, each with its own times
// and text.
func TestSend(t *testing.T) {
	s := newServer(t, nil)
	b := open(t, s, nil)
	b.setModel(served{name: "m"})
	var all sync.WaitGroup
	for range 2 { // neither is answered before both are there
		all.Go(func() {
			var texts []string
			last := int64(0)
			r := b.Send(t.Context(), engine.Request{ID: "x", Query: workloads.Query{Prompt: "together"}, MaxTokens: 4}, engine.Heard{
				Sent: func(at int64) { last = at }, Prompt: func(int64, engine.PromptWord) {},
				Text: func(at int64, text string, _ int) {
					if at < last {
						t.Errorf("text at %d after %d", at, last)
					}
					texts, last = append(texts, text), at
				},
			})
			if r.Err != nil || r.OutputTokens != 4 || r.Flags != "" || r.FirstTokenNS <= r.StartNS || r.EndNS <= r.FirstTokenNS || strings.Join(texts, "") != "w0 w1 w2 w3 " || r.Output.Text != "w0 w1 w2 w3 " {
				t.Errorf("%+v, %q", r, texts)
			}
		})
	}
	all.Wait()
	ignore := ignored()
	if r := b.Send(t.Context(), engine.Request{Query: workloads.Query{Prompt: "400"}, MaxTokens: 4}, ignore); !errors.Is(r.Err, engine.ErrTooLong) {
		t.Errorf("%v", r.Err)
	}
	s.Close()
	if r := b.Send(t.Context(), engine.Request{Query: workloads.Query{Prompt: "x"}, MaxTokens: 4}, ignore); !errors.Is(r.Err, engine.ErrBackendDied) || r.StartNS == 0 {
		t.Errorf("%+v", r)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if r := b.Send(t.Context(), engine.Request{Query: workloads.Query{Prompt: "x"}, MaxTokens: 4}, ignore); r.Err == nil {
		t.Error("sent by a closed backend")
	}
}
