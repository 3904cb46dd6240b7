package page

import (
	"strings"

	"jouletop/tui/canvas"
	"jouletop/tui/draw"
	"jouletop/tui/history"
	"jouletop/tui/theme"
	"jouletop/tui/view"
)

// serving draws what is in the passes of a model that serves requests as they come: how
// many are read, how many go on by a token, and who waits; or, as lanes, which request
// is in which slot.
type serving struct {
	lanes   bool
	service service
}

var servingKeys = struct{ lanes view.Key }{
	lanes: view.Bind("l", "slots", "which request is in which slot, while requests are served", "l"),
}

// PaceKey makes requests come faster or slower, while they come by a rate.
var PaceKey = view.Bind("+ -", "rate", "requests come faster or slower, where they come by a rate", "+", "-")

// on tells whether requests are served as they come.
func (s *serving) on(c *view.Context) bool {
	_, ok := c.State.Serving.Newest()
	return ok
}

// keys are those of the strip.
func (s *serving) keys() []view.Key { return []view.Key{servingKeys.lanes, PaceKey} }

// servingRows is how high the strip is: a heading, rows of requests, and the queue.
func servingRows(size view.Size) int { return view.Pick(size, 4, 6, 8) }

// area cuts the strip's room off the charts; none where nothing is served.
func (s *serving) area(c *view.Context, charts canvas.Rect) (left, strip canvas.Rect) {
	if !s.on(c) {
		return charts, canvas.Rect{}
	}
	rows := servingRows(c.Size)
	if s.lanes {
		rows = min(c.State.Serving.Rows()+1, charts.H/2)
	}
	if charts.H-rows < 6 {
		return charts, canvas.Rect{}
	}
	return view.Cut(charts, charts.H-rows)
}

// place draws the strip into its part of the frame.
func (s *serving) place(c *view.Context, at canvas.Rect) {
	if at.H == 0 {
		return
	}
	type key struct {
		cols   view.Columns
		passes uint64
		lanes  bool
	}
	k := key{c.Window.Shown, c.State.Versions.Passes, s.lanes}
	c.Frame.Place("serving", at, k, func(to *canvas.Canvas) {
		if s.lanes {
			drawLanes(c, to)
		} else {
			drawPasses(c, to)
		}
	})
}

// servingNow words what goes on, as far as there is room for it beside a title.
func servingNow(c *view.Context, w int) string {
	v := &c.State.Serving
	p, _ := v.Newest()
	r := v.Rates()
	parts := []string{draw.Int(len(p.Lanes)) + " of " + draw.Int(v.Slots) + " at once"}
	if p.Queued >= 0 {
		parts = append(parts, "queue "+draw.Int(p.Queued))
	}
	parts = append(parts, draw.Float(r.Passes, 0)+" passes/s", draw.Float(r.Read, 0)+" token/s read", draw.Float(r.Made, 0)+" made")
	beside := 16
	if v.Observed {
		beside = 32
	}
	for len(parts) > 1 && canvas.Width(strings.Join(parts, " · ")) > w-beside {
		parts = parts[:len(parts)-1]
	}
	return strings.Join(parts, " · ")
}

// servingTitle is a strip's title; of a server's passes it says that they are concluded,
// and that which slot a request had is not known.
func servingTitle(c *view.Context, title string) string {
	switch {
	case !c.State.Serving.Observed:
		return title
	case title == "Slots":
		return "Requests (as streamed)"
	}
	return title + " (as streamed)"
}

// drawPasses stacks the requests in the passes over time: those that go on by a token
// below, those whose prompts are read above them.
func drawPasses(c *view.Context, to *canvas.Canvas) {
	y := draw.Heading(to, 0, servingTitle(c, "Passes"), servingNow(c, to.W))
	k := c.Window.Shown
	cols := c.State.Serving.Columns(k.From, k.Width, k.N)
	high, slots := to.H-y-1, max(float64(c.State.Serving.Slots), 1)
	x0 := profileGutter + 1
	to.Right(profileGutter, y, theme.Muted, draw.Int(c.State.Serving.Slots))
	to.Right(profileGutter, to.H-1, theme.Muted, "queue")
	for i, col := range cols {
		decodes, all := rows(col.Decodes, slots, high), rows(col.Decodes+col.Prefills, slots, high)
		if col.Prefills > 0 && all == decodes { // what is read shows, however little
			all = min(all+1, high)
			decodes = min(decodes, all-1)
		}
		for r := range all {
			fill, style := stripFill[history.Decode], theme.PhaseDecode
			if r >= decodes {
				fill, style = stripFill[history.Prefill], theme.PhasePrefill
			}
			to.Set(x0+i, to.H-2-r, style, fill)
		}
		if q := int(col.Queued); q > 9 {
			to.Set(x0+i, to.H-1, theme.Warn, '+')
		} else if q > 0 {
			to.Set(x0+i, to.H-1, theme.Muted, rune('0'+q))
		}
	}
}

// rows is how many of high rows stand for so many of all slots.
func rows(requests, slots float64, high int) int {
	n := int(requests/slots*float64(high) + 0.5)
	if requests > 0 {
		n = max(n, 1)
	}
	return min(n, high)
}

// drawLanes draws a row a slot, with the number of each request where it begins.
func drawLanes(c *view.Context, to *canvas.Canvas) {
	y := draw.Heading(to, 0, servingTitle(c, "Slots"), servingNow(c, to.W))
	k := c.Window.Shown
	x0 := profileGutter + 1
	for slot, cells := range c.State.Serving.Lanes(k.From, k.Width, k.N) {
		if y+slot >= to.H {
			return
		}
		to.Right(profileGutter, y+slot, theme.Muted, draw.Int(slot))
		last, name := "", ""
		for i, cell := range cells {
			if cell.Request == "" {
				last = ""
				to.Set(x0+i, y+slot, theme.PhaseIdle, '·')
				continue
			}
			fill, style := stripFill[history.Decode], theme.PhaseDecode
			if cell.Prefill {
				fill, style = stripFill[history.Prefill], theme.PhasePrefill
			}
			if cell.Request != last {
				last, name = cell.Request, cell.Request[strings.LastIndexByte(cell.Request, '/')+1:]
			}
			if name != "" {
				fill, name = rune(name[0]), name[1:]
			}
			to.Set(x0+i, y+slot, style, fill)
		}
	}
}
