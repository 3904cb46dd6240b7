package tui

import (
	"testing"
	"time"

	"jouletop/engine/event"
	"jouletop/tui/state"
	"jouletop/tui/view"
)

// A frame stands until a token or a column can be seen to change, within bounds.
func TestFramesFollowWhatChanges(t *testing.T) {
	const ms = time.Millisecond
	for _, tt := range []struct {
		name   string
		width  time.Duration // of a column
		by     time.Duration // of the session, since the frame before
		token  bool
		live   bool
		frozen bool
		want   time.Duration
	}{
		{"narrow columns", 71 * ms, 250 * ms, false, true, false, 250 * ms},
		{"wide columns", 420 * ms, 250 * ms, false, true, false, 420 * ms},
		{"very wide columns", 4 * time.Second, 250 * ms, false, true, false, 500 * ms},
		{"a token", 4 * time.Second, 250 * ms, true, true, false, 250 * ms},
		{"frozen", 71 * ms, 250 * ms, false, true, true, 500 * ms},
		{"frozen, and a token", 71 * ms, 250 * ms, true, true, true, 250 * ms},
		{"another page", 71 * ms, 250 * ms, true, false, false, 500 * ms},
		{"faster than its clock", 4 * time.Second, time.Minute, false, true, false, 250 * ms},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := &view.Context{State: state.New()}
			c.Window.Shown = view.Columns{N: 140, Width: int64(tt.width)}
			c.Window.Frozen = tt.frozen
			p := pacer{least: 250 * ms}
			p.taken(c, 0)
			if tt.token {
				c.State.Apply(event.BatchStart{BatchID: "b", Queries: []string{"q"}})
				c.State.Apply(event.Token{BatchID: "b", Text: "word"})
			}
			p.taken(c, int64(tt.by))
			if got := p.stands(c, tt.live); got != tt.want {
				t.Errorf("stands %v, want %v", got, tt.want)
			}
			p.taken(c, int64(tt.by)) // and no token
			if got := p.stands(c, tt.live); tt.token && tt.live && got == 250*ms {
				t.Errorf("without a token it stands %v too", got)
			}
		})
	}
}
