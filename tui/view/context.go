// Package view is what pages and panels have in common: what is known of the
// session, where it is drawn, and whom to ask for more.
package view

import (
	"errors"
	"math"

	tea "charm.land/bubbletea/v2"

	"jouletop/engine/command"
	"jouletop/engine/event"
	"jouletop/gpu"
	"jouletop/gpu/plaintext"
	"jouletop/tui/canvas"
	"jouletop/tui/draw"
	"jouletop/tui/state"
)

// Mode is what the dashboard is opened for.
type Mode int

// The modes.
const (
	Dashboard Mode = iota
	Monitor        // watch a GPU that others use: no jobs, no phases
	Playback       // a recorded session
)

// Setup is what the dashboard was opened with.
type Setup struct {
	Mode    Mode
	Version string
	GPUs    []gpu.Info
	// Simulated marks every screen: GPU or model is simulated.
	Simulated bool
	// Caveat, where not empty, is a sentence shown beside the mark: what the
	// figures do not mean.
	Caveat string
	// PricePerKWh turns energy into cost, in whatever currency; NaN or 0 leaves
	// costs out.
	PricePerKWh float64
	// Currency is written beside a price, "" for none.
	Currency string
}

// Earlier is a session laid beside this one.
type Earlier struct {
	command.SessionInfo
	Results *state.Points
	Sum     state.Sum
}

// Context is handed to every page and panel.
type Context struct {
	Setup
	State   *state.State
	Status  command.Status
	Choices command.Choices
	Keys    Keys
	// Bindings are the operator's own keys; nil: none.
	Bindings *Bindings
	Window   Window
	Beside   *Earlier // nil: none
	// Typed is what was typed last, by what asked for it: a form's fields, a prompt.
	Typed   map[string][]string
	Seen    int  // of State.Noticed: what a person has seen
	Leaving bool // the session is being ended
	Closed  bool // the stream is: nothing more will come

	Size  Size
	Body  canvas.Rect // of the page
	Panel bool        // the knob panel stands beside the page
	Frame *draw.Frame

	// Controller is asked from a tea.Cmd, never while drawing; nil: there is none.
	Controller command.Controller
	// Do hands a command to the controller, after those given before it; its
	// answer is shown on the last line.
	Do func(func(command.Controller) (string, error)) tea.Cmd
	// Say shows a message on the last line for a while.
	Say func(text string, bad bool) tea.Cmd
}

// Label is how a key is written, as the operator knows it.
func (c *Context) Label(k Key) string { return c.Bindings.Shown(k).Help().Key }

// GPUID is the GPU whose readings are shown, "" while none is known.
func (c *Context) GPUID() string {
	if ids := c.State.GPUs; len(ids) > 0 {
		return ids[c.Window.GPU%len(ids)]
	}
	if len(c.GPUs) > 0 {
		return c.GPUs[0].ID()
	}
	return ""
}

// Several tells whether there are several GPUs, all of them shown together.
func (c *Context) Several() bool { return len(c.State.GPUs) > 1 && !c.Window.One }

// Unseen is how many notices nobody has seen yet.
func (c *Context) Unseen() int { return max(c.State.Noticed-c.Seen, 0) }

// Tenants tells what processes took of a GPU that is watched: as asked of the controller,
// or else as recorded.
func (c *Context) Tenants(id string) (event.Processes, bool) {
	if p, ok := c.Status.Tenants[id]; ok {
		return p, true
	}
	p, ok := c.State.Tenants[id]
	return p, ok
}

// Telemetry are the readings of the GPU shown.
func (c *Context) Telemetry() *state.Telemetry { return c.State.GPU(c.GPUID()) }

// Info is the description of the GPU shown.
func (c *Context) Info() gpu.Info {
	id := c.GPUID()
	for _, g := range c.GPUs {
		if g.ID() == id {
			return g
		}
	}
	return gpu.Info{Index: -1, PowerLimitW: 0, MemoryMiB: 0}
}

// IsSimulated tells whether the screens are marked.
func (c *Context) IsSimulated() bool {
	return c.Simulated || c.State.Run.Simulated || c.Info().Simulated()
}

// Policy is the policy in force.
func (c *Context) Policy() string {
	switch {
	case c.Status.Policy != "":
		return c.Status.Policy
	case c.State.Work.Point.Policy != "":
		return c.State.Work.Point.Policy
	case c.State.Run.Policy != "":
		return c.State.Run.Policy
	}
	return "none"
}

// Left is how long the job that runs still takes, in s: by what the controller knows of
// how long its points take, where it does, else by the share that is done.
func (c *Context) Left(p state.Progress) float64 {
	if q := c.Status.Queue; len(q) > 0 && q[0].Running && !math.IsNaN(q[0].Seconds) && q[0].Unknown == 0 {
		return q[0].Seconds
	}
	return p.Left
}

// Paused tells whether jobs are held back between batches.
func (c *Context) Paused() bool { return c.Status.Paused || c.State.Status == event.StatePaused }

// Hidden explains what is not shown, a sentence each.
func (c *Context) Hidden() []string {
	out := append([]string(nil), c.Status.Hidden...)
	return append(out, c.Info().Hidden...)
}

// Slow changes four times a second of the session: figures change no more often,
// so that they can be read.
func (c *Context) Slow() int64 { return Beat(c.State) }

// beatNS is the least time in which figures change and pictures move on, ns: all at the
// same time, so that there are fewer frames.
const beatNS = 250_000_000

// Beat numbers the times in which a session's figures and pictures stand still.
func Beat(s *state.State) int64 { return s.Now / beatNS }

// Present is the time of the session, ns: the clock's where that is known, else the newest
// event's.
func (c *Context) Present() int64 { return c.State.Present() }

// Second changes once a second of the session.
func (c *Context) Second() int64 { return c.State.Now / 1_000_000_000 }

// ErrNotHere says that a command has no place in this mode.
var ErrNotHere = errors.New("not here: nothing is run in this mode")

// Title is the window's.
func (c *Context) Title() string {
	t := "jouletop"
	if c.IsSimulated() {
		t += " SIMULATED"
	}
	if id := c.GPUID(); id != "" {
		t += " " + id
	}
	switch {
	case c.State.Work.InPoint && c.State.Work.Model != "":
		t += " · " + c.State.Work.Model
	case c.State.Ended && c.Mode == Dashboard:
		t += " · " + string(c.State.End.How)
	}
	return plaintext.Line(t)
}
