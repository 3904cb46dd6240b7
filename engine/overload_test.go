package engine_test

import (
	"strings"
	"testing"

	"jouletop/engine/event"
)

// Requests that come faster than they are served are told of, with how fast and until
// when; those that only come at random, or that a closed loop sends, are not.
func TestQueueThatGrows(t *testing.T) {
	for _, c := range []struct {
		process string
		grows   bool
	}{{"poisson:5", false}, {"poisson:5.8", false}, {"poisson:13", true}, {"", false}} {
		k := &taker{slots: 8} // 1.23 s each: 6.5/s
		pt := served(t, 240, 8, c.process)
		pt.MaxTokens = 60
		b := serve(t, taking(k), pt, nil)
		var said []string
		for _, w := range of[event.Warning](b) {
			if strings.Contains(w.Text, "faster than they are served") {
				said = append(said, w.Text)
			}
		}
		if len(said) > 1 || (len(said) == 1) != c.grows {
			t.Errorf("%q: %q", c.process, said)
		}
		for _, s := range said {
			if !strings.Contains(s, "all are served in about ") {
				t.Error(s)
			}
			t.Log(s)
		}
	}
}
