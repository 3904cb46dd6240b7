package llama

import (
	"slices"
	"testing"
)

// TestWarningsOfConsequence: what llama.cpp warns of is kept where it changes
// results, without the name of a function; the rest is the log's alone.
func TestWarningsOfConsequence(t *testing.T) {
	var s logSink
	s.add(levelWarn, "load: missing or unrecognized pre-tokenizer type, using: 'default'\n")
	s.add(levelWarn, "load: control-looking token: 5 '</s>' was not control-type\n")
	s.add(levelWarn, "load: bad special token: 'tokenizer.ggml.eos_token_id' = 99, ")
	s.add(levelCont, "using default id 11\n")
	s.add(levelError, "load: pre-tokenizer on fire\n")
	want := []string{"missing or unrecognized pre-tokenizer type, using: 'default'", "bad special token: 'tokenizer.ggml.eos_token_id' = 99, using default id 11"}
	if got := s.warnings(); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if s.mark(); s.warnings() != nil {
		t.Error("kept beyond the mark")
	}
}
