package panel

import (
	"strings"

	"github.com/charmbracelet/x/ansi"

	"jouletop/engine/event"
	"jouletop/gpu"
	"jouletop/tui/canvas"
	"jouletop/tui/draw"
	"jouletop/tui/theme"
	"jouletop/tui/view"
)

// line is a row under the list: a label and a text, or a text alone. Those of the highest
// rank go first where there is no room for all; rank 0 stays.
type line struct {
	label, text string
	style       canvas.Style
	rank        int
}

// labelWidth is the columns of a label.
const labelWidth = 9

func (l line) render(c *canvas.Canvas, w int) string {
	if l.label == "" {
		return c.Style(l.style).Render(ansi.Truncate(canvas.Clean(l.text), w, "…"))
	}
	return c.Style(theme.Muted).Render(draw.Pad(l.label, -labelWidth)) + c.Style(l.style).Render(ansi.Truncate(canvas.Clean(l.text), w-labelWidth, "…"))
}

// listRows is how many values of the list stay in sight, whatever stands under it.
const listRows = 4

// foot is what stands under the list, in w columns, of h rows for both.
func (p *Knobs) foot(w, h int) []line {
	out := p.facts(w)
	wrap := func(text string, style canvas.Style, rank int) {
		for _, l := range canvas.Wrap(text, w, 0) {
			out = append(out, line{text: l, style: style, rank: rank})
		}
	}
	t := p.tab()
	if p.policy >= 0 && p.policy < len(p.Choices.Policies) {
		out = append(out, line{text: "Enter sets policy " + p.Choices.Policies[p.policy], style: theme.Select})
	} else {
		text := p.Policy()
		if long := text + " (" + p.Label(knobKeys.policy) + " changes)"; canvas.Width(long) <= w-labelWidth {
			text = long
		}
		out = append(out, line{label: "policy", text: text, style: theme.Muted, rank: 4})
	}
	effect := 3 // what comes of setting it: said first where it is not armed yet
	switch {
	case p.Mode != view.Dashboard || p.Status.ReadOnly:
		wrap("Read-only: knobs are shown, never set.", theme.Muted, 0)
	case p.Status.HeldBy != "":
		wrap(p.Status.HeldBy, theme.Warn, 0)
	case p.Status.Permission != "":
		wrap(p.Status.Permission, theme.Warn, 0)
	case !p.Status.Armed:
		effect = 2
		wrap("Not armed: "+p.Label(p.Keys.Arm)+" arms. All that is set is given back on exit.", theme.Warn, 0)
	default:
		wrap("Armed: Enter sets at once, "+p.Label(p.Keys.GiveBack)+" gives all back.", theme.Good, 0)
	}
	if t.Unavailable == "" {
		wrap(strings.TrimSpace(t.SideEffect()+" "+t.Foreign()), theme.Muted, effect)
	}
	cut := false
	for rank := 9; rank > 0; rank-- {
		for i := len(out) - 1; i >= 0 && len(out) > h-listRows; i-- {
			if out[i].rank == rank {
				out = append(out[:i], out[i+1:]...)
				cut = cut || rank == effect
			}
		}
	}
	if last := len(out) - 1; cut && last >= 0 && out[last].rank == effect {
		out[last].text += " …"
	}
	return out
}

// facts are what is in force of the knob, wanted and achieved, and what held the clock.
func (p *Knobs) facts(w int) []line {
	t := p.tab()
	fact := func(label, text string, style canvas.Style) line {
		return line{label: label, text: text, style: style, rank: 1}
	}
	out := []line{
		fact("current", p.current(), theme.Default), fact("wanted", p.wanted(), theme.Default),
		fact("achieved", p.achieved(), theme.Strong), fact("bound by", p.boundBy(w-labelWidth), theme.Default),
	}
	text := t.Range()
	if text == "" {
		text = "cannot be set"
	}
	if t.Default > 0 && t.ID != gpu.KnobProfile {
		text += "; default " + t.ID.Text(t.Default)
	}
	if canvas.Width(text) > w-labelWidth {
		text = strings.Replace(text, " to ", "–", 1)
	}
	return append([]line{{label: "range", text: text, style: theme.Muted, rank: 5}}, out...)
}

// current is what is in force.
func (p *Knobs) current() string {
	t := p.tab()
	set := p.inForce(t.ID)
	change, changed := p.Telemetry().Knob(t.ID)
	switch {
	case set > 0 && t.ID.Resets():
		return "locked to " + t.ID.Text(set)
	case set > 0:
		return t.ID.Text(set) + ", set here"
	case set < 0:
		return draw.Unknown
	case t.ID.Resets():
		return "the driver's"
	case changed && change.Cause.By == event.ByOthers && change.Achieved >= 0:
		return t.ID.Text(change.Achieved) + ", set by somebody else"
	case t.Now >= 0:
		return t.ID.Text(t.Now) + ", as found"
	}
	return draw.Unknown
}

// wanted is what the policy, or the operator, asks for.
func (p *Knobs) wanted() string {
	t, s := p.tab(), p.Status
	asked := event.PolicyOf(p.Policy())
	if asked.Searches() {
		for _, k := range asked.SearchedKnobs() {
			if k == t.ID {
				return "what " + asked.String() + " finds"
			}
		}
	}
	v := asked.Setting().Value(t.ID)
	if t.ID == gpu.KnobSM {
		k := asked.Clocks
		if asked.Kind != event.ClockByPhase {
			k = event.PhaseClocks{Prefill: s.Prefill, Decode: s.Decode, Score: s.Score}
		}
		if k.Prefill != k.Decode || k.Score != k.Decode {
			return "P " + draw.MHz(k.Prefill) + "  D " + draw.MHz(k.Decode) + "  S " + draw.MHz(k.Score)
		}
		v = max(v, k.Decode)
	}
	if v > 0 {
		return t.ID.Text(v)
	}
	return "nothing"
}

// achieved is what the GPU does.
func (p *Knobs) achieved() string {
	t, tele := p.tab(), p.Telemetry()
	mhz := func(v int) string {
		if v < 0 {
			return draw.Unknown
		}
		return draw.Int(v) + " MHz now"
	}
	switch t.ID {
	case gpu.KnobSM:
		return mhz(tele.Sample.SMMHz)
	case gpu.KnobMem:
		return mhz(tele.Sample.MemMHz)
	case gpu.KnobPower:
		return draw.Float(tele.PowerW, 0) + " W drawn now"
	}
	if c, ok := tele.Knob(t.ID); ok && c.Achieved >= 0 {
		return t.ID.Text(c.Achieved)
	}
	if t.Now >= 0 {
		return t.ID.Text(t.Now)
	}
	return draw.Unknown
}

// boundBy says what held the SM clock by phase, or, of another clock, whether it is as
// asked.
func (p *Knobs) boundBy(w int) string {
	t := p.tab()
	switch t.ID {
	case gpu.KnobSM, gpu.KnobPower:
		held := p.State.Bound.Held
		if !held.Told() {
			return "not known yet"
		}
		return held.Short()
	case gpu.KnobMem:
		now, set := p.Telemetry().Sample.MemMHz, p.inForce(t.ID)
		switch {
		case now < 0 || set < 0:
			return draw.Unknown
		case set > 0 && now < set:
			return "the driver: below what was asked"
		case set > 0:
			return "the lock"
		case t.Max > 0 && now < t.Max:
			return "the driver: below its highest"
		}
		return "nothing: at its highest"
	}
	return "no reading tells"
}
