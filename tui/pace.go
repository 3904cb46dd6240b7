package tui

import (
	"time"

	"jouletop/tui/view"
)

// resting is how long a frame stands of which no more than figures would change.
const resting = 500 * time.Millisecond

// pacer says how long a frame stands: until the next may look different by a token or by a
// column of the picture, whichever is seen on the page and comes sooner. Keys do not wait
// for it.
type pacer struct {
	least   time.Duration // that a frame stands
	took    int64         // time of the session that the newest events took, ns
	text    uint64        // its version, the text's that is generated
	written bool          // the newest events changed it
}

// taken notes that events were taken, which moved the session on by so many ns.
func (p *pacer) taken(c *view.Context, by int64) {
	v := c.State.Versions.Text
	p.took, p.text, p.written = by, v, v != p.text
}

// stands returns how long the frame that comes next stands; live tells that it shows
// the picture and the text.
func (p *pacer) stands(c *view.Context, live bool) time.Duration {
	still := max(resting, p.least)
	switch {
	case !live:
		return still
	case p.written, c.Window.Shown.N == 0, p.took > 2*int64(still): // the last: it runs faster than its clock
		return p.least
	case c.Window.Frozen:
		return still
	}
	return min(max(time.Duration(c.Window.Shown.Width), p.least), still)
}
