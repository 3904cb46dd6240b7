package tui

import (
	"slices"
	"strings"

	"charm.land/bubbles/v2/key"
	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"

	"jouletop/engine/event"
	"jouletop/tui/canvas"
	"jouletop/tui/draw"
	"jouletop/tui/history"
	"jouletop/tui/state"
	"jouletop/tui/theme"
	"jouletop/tui/view"
)

// bars are what stands around the page: the tabs above it, the status and the
// keys below it, and what must be seen in spite of it.
type bars struct {
	*view.Context
	tabs []string
	at   int // of tabs
}

func (b *bars) drawTooSmall() {
	text := "jouletop needs a terminal of at least " + draw.Int(view.MinWidth) + "×" + draw.Int(view.MinHeight) +
		";\nthis one is " + draw.Int(b.Frame.W) + "×" + draw.Int(b.Frame.H) + "."
	b.Frame.Place("too small", canvas.Rect{W: b.Frame.W, H: b.Frame.H}, text, func(c *canvas.Canvas) {
		for y, l := range canvas.Wrap(text, c.W, 0) {
			c.Text(0, y, theme.Default, l)
		}
	})
}

// mostNotice is how many rows what nobody has seen yet takes at most.
const mostNotice = 3

// notice words the newest of what nobody has seen yet, a line a row; none where there is
// nothing.
func (b *bars) notice(w int) []string {
	n := b.Unseen()
	if n == 0 {
		return nil
	}
	esc := b.Label(b.Keys.Close)
	head, tail := "! ", " ("+esc+": seen)"
	if n > 1 {
		head, tail = "! "+draw.Int(n)+" new, the last: ", " ("+esc+": seen; "+draw.Int(1+slices.Index(b.tabs, "Session"))+": all)"
	}
	text := head + strings.Join(strings.Fields(canvas.Clean(b.State.Notices.At(0).Text)), " ")
	lines := canvas.Wrap(text+tail, w-2, 0)
	if len(lines) > mostNotice { // its beginning says what it is
		lines = lines[:mostNotice]
		lines[mostNotice-1] = ansi.Truncate(lines[mostNotice-1], max(w-3-canvas.Width(tail), 1), "") + "…" + tail
	}
	return lines
}

// drawNotice draws that, between the tabs and the page; see is called when it is clicked.
func (b *bars) drawNotice(lines []string, see func()) {
	r := canvas.Rect{Y: 1, W: b.Frame.W, H: len(lines)}
	b.Frame.Place("notice", r, strings.Join(lines, "\n"), func(c *canvas.Canvas) {
		c.Fill(canvas.Rect{W: c.W, H: c.H}, theme.Armed, ' ')
		for y, l := range lines {
			c.TextMax(1, y, c.W-1, theme.Armed, l)
		}
	})
	b.Frame.Hit(r, see)
}

// drawAlarm draws what must be seen, over the first row of the page.
func (b *bars) drawAlarm() {
	text := b.Status.Alarm
	if text == "" {
		return
	}
	b.Frame.Place("alarm", canvas.Rect{Y: b.Body.Y, W: b.Frame.W, H: 1}, text, func(c *canvas.Canvas) {
		c.Fill(canvas.Rect{W: c.W, H: 1}, theme.Armed, ' ')
		c.TextMax(1, 0, c.W-2, theme.Armed, text)
	})
}

// drawTabs draws the top line: the pages, and what is being looked at. It tells
// whether there was room for that. plain is for a terminal without colours; show
// is called with the number of a tab that is clicked.
func (b *bars) drawTabs(plain bool, show func(int)) (noted bool) {
	type key struct {
		at               int
		note             string
		noteStyle        canvas.Style
		plain, simulated bool
		size             view.Size
	}
	r := canvas.Rect{W: b.Frame.W, H: 1}
	note, style := b.tabNote()
	texts, x := b.tabTexts(plain)
	from := x
	for i, text := range texts {
		w := canvas.Width(text)
		b.Frame.Hit(canvas.Rect{X: x, W: w, H: 1}, func() { show(i) })
		x += w
	}
	right := r.W
	if b.IsSimulated() {
		right -= 11
	}
	noteAt := right - canvas.Width(note) - 1
	noted = note == "" || noteAt > x
	b.Frame.Place("tabs", r, key{b.at, note, style, plain, b.IsSimulated(), b.Size}, func(c *canvas.Canvas) {
		c.Fill(r, theme.Tab, ' ')
		if b.Size == view.Wide {
			c.Text(1, 0, theme.Bar, "jouletop")
		}
		x := from
		for i, text := range texts {
			s := theme.Tab
			if i == b.at {
				s = theme.TabActive
			}
			x = c.Text(x, 0, s, text)
		}
		if b.IsSimulated() {
			c.Text(right, 0, theme.Sim, " SIMULATED ")
		}
		if noted {
			c.Text(noteAt, 0, style, note)
		}
	})
	return noted
}

// tabTexts are the tabs as they are written, and the column of the first.
func (b *bars) tabTexts(plain bool) (texts []string, from int) {
	room := b.Frame.W
	if b.IsSimulated() {
		room -= 11
	}
	texts, from = b.tabsOf(plain, func(int) bool { return true })
	if need := canvas.Width(strings.Join(texts, "")); from+need > room {
		texts, from = b.tabsOf(plain, func(i int) bool { return i == b.at }) // the others by their numbers
	}
	return texts, from
}

// tabsOf are the tabs, those with their names that named tells.
func (b *bars) tabsOf(plain bool, named func(int) bool) (texts []string, from int) {
	if b.Size == view.Wide {
		from = len(" jouletop  ")
	}
	for i, name := range b.tabs {
		text := " " + draw.Int(i+1) + " "
		if named(i) {
			text += name + " "
		}
		if i == b.at && plain {
			text = "[" + strings.TrimSpace(text) + "]"
		}
		texts = append(texts, text)
	}
	return texts, from
}

// tabNote is what stands before the mark on the top line, or, where there is no
// room, at the end of the last.
func (b *bars) tabNote() (string, canvas.Style) {
	switch {
	case b.Status.Replay != nil:
		p := b.Status.Replay
		speed := "held"
		if p.Speed > 0 {
			speed = draw.Float(p.Speed, 0) + "x"
		}
		return "REPLAY " + speed + " " + draw.Clock(p.AtNS-p.StartNS) + " of " + draw.Clock(p.EndNS-p.StartNS), theme.Bar
	case b.Window.Frozen:
		return "FROZEN at " + draw.Clock(b.Window.End-b.State.StartNS) + " (" + b.Label(b.Keys.Freeze) + " goes on)", theme.Armed
	case b.Paused():
		return "RUN PAUSED (" + b.Label(b.Keys.Pause) + " resumes)", theme.Armed
	case b.State.Status == event.StateStopping || b.Leaving:
		return "STOPPING after this batch", theme.Armed
	case b.Mode == view.Monitor:
		return "MONITOR: watching only", theme.Bar
	case b.Caveat != "" && b.Size != view.Compact:
		return b.Caveat, theme.BarDim
	}
	return "", theme.Bar
}

// drawStatus draws the status line, the same on every page.
func (b *bars) drawStatus() {
	type key struct {
		slow   int64
		work   uint64
		run    uint64
		jpt    string
		mhz    int
		size   view.Size
		armed  string
		policy string
		gpu    string
	}
	b.Frame.Place("status", canvas.Rect{Y: b.Frame.H - 2, W: b.Frame.W, H: 1}, key{
		b.Slow(), b.State.Versions.Work, b.State.Versions.Run, draw.Sig(b.State.Requests.JoulesPerToken()), b.Telemetry().Requested, b.Size, b.armText(), b.Policy(), b.GPUID(),
	}, b.statusLine)
}

func (b *bars) statusLine(c *canvas.Canvas) {
	short, labels := b.Size == view.Compact, b.Size == view.Wide
	c.Fill(canvas.Rect{W: c.W, H: 1}, theme.Bar, ' ')
	id := b.GPUID()
	t := b.State.GPU(id)
	w := &b.State.Work
	x := 0
	if b.IsSimulated() {
		x = c.Text(x, 0, theme.Sim, " SIMULATED ")
	}
	put := func(label, text string, width int) {
		if label != "" && labels {
			x = c.Text(x+1, 0, theme.BarDim, label)
		}
		x = c.Text(x+1, 0, theme.Bar, draw.Pad(text, width))
	}
	gpuName := id
	if info := b.Info(); short && info.Simulated() {
		gpuName = strings.TrimPrefix(id, "sim:") // the mark stands beside it
	}
	if gpuName == "" {
		gpuName = "no GPU"
	}
	if n := len(b.State.GPUs); n > 1 {
		gpuName += " +" + draw.Int(n-1)
	}
	powerW := b.State.PowerW()
	put("", gpuName, 0)
	policy := b.Policy()
	if limit := view.Pick(b.Size, 15, 24, 40); canvas.Width(policy) > limit {
		policy = string([]rune(policy)[:limit-1]) + "…"
	}
	put("policy", policy, 0)
	mhz := draw.Pad(draw.MHz(t.Requested), 4) + "→" + draw.Pad(draw.MHz(t.Sample.SMMHz), 4)
	jpt := draw.Pad(draw.Sig(b.State.Requests.JoulesPerToken()), 6)
	if short {
		put("", mhz+"MHz", 11)
		put("", draw.Float(powerW, 0)+"W", 5)
		put("", jpt+"J/t", 9)
	} else {
		put("clock", mhz+" MHz", 13)
		put("power", draw.Float(powerW, 1)+" W", 8)
		put("energy", jpt+" J/token", 14)
	}
	l := w.Letter()
	phase, name := string(l), "idle"
	style := theme.Bar
	if l != '-' {
		style, name = theme.StripStyle(l), history.Names[state.PhaseIndex(w.Phase.Phase)]
	}
	if !short {
		phase += " " + draw.Pad(name, -7)
	}
	if labels {
		x = c.Text(x+1, 0, theme.BarDim, "phase")
	}
	x = c.Text(x+1, 0, style, " "+phase+" ")
	arm := " " + b.armText() + " "
	const elapsed = 7 // columns: given up whole where they do not fit
	if x+1+elapsed+canvas.Width(arm) <= c.W {
		put("", draw.Clock(b.State.Elapsed()), elapsed)
	}
	style = theme.BarDim
	if b.Status.Armed {
		style = theme.Armed
	}
	c.Right(c.W, 0, style, arm)
}

func (b *bars) armText() string {
	switch {
	case b.Mode != view.Dashboard || b.Status.ReadOnly:
		return "read-only"
	case b.Status.Armed:
		return "ARMED"
	}
	return "not armed"
}

// lastLine is what the last line shows: a text, or keys.
type lastLine struct {
	text  string
	style canvas.Style
	keys  []key.Binding
	ends  []key.Binding // those that it always ends with
}

// drawKeys draws the last line, with the note at its end where the first had no
// room for it.
func (b *bars) drawKeys(l lastLine, noted bool) {
	type shown struct {
		text      string
		style     canvas.Style
		keys      string
		note      string
		noteStyle canvas.Style
	}
	k := shown{text: l.text, style: l.style}
	if !noted {
		k.note, k.noteStyle = b.tabNote()
	}
	for _, h := range slices.Concat(l.keys, l.ends) {
		k.keys += h.Help().Key + " " + h.Help().Desc + "\n"
	}
	b.Frame.Place("keys", canvas.Rect{Y: b.Frame.H - 1, W: b.Frame.W, H: 1}, k, func(c *canvas.Canvas) {
		if l.text != "" {
			c.TextMax(0, 0, c.W, l.style, l.text)
			return
		}
		room := c.W - 1
		if k.note != "" {
			// What the figures do not mean comes before the keys, but for the last ones.
			note := ansi.Truncate(k.note, c.W-lipgloss.Width(draw.Hints(c, l.ends, c.W))-5, "…")
			room -= canvas.Width(note) + 3
			c.Text(room+3, 0, k.noteStyle, note)
		}
		ends := draw.Hints(c, l.ends, room)
		keys := draw.Hints(c, l.keys, room-lipgloss.Width(ends)-2)
		at := 1
		if keys != "" && len(l.keys) > 0 {
			c.Print(canvas.Rect{X: 1, W: room, H: 1}, keys)
			at += lipgloss.Width(keys) + 2
		}
		c.Print(canvas.Rect{X: at, W: room - at + 1, H: 1}, ends)
	})
}
