// Package tui is the dashboard: it draws the engine's state and hands on the
// operator's commands. [New] makes its model, [Run] shows it on a terminal.
//
// One tea.Model; what it shows derives from a state that folds the event stream,
// in bounded memory. Each part of the screen is drawn on a canvas of its own and
// drawn again only when what it shows has changed, so a frame costs the same
// after eight hours as after one minute. The model does no IO: commands of the
// operator go to the [Controller] from tea.Cmds.
package tui

import (
	"io"
	"time"

	"jouletop/engine/command"
	"jouletop/gpu"
	"jouletop/tui/theme"
	"jouletop/tui/view"
)

// Mode is what the dashboard is opened for.
type Mode = view.Mode

// The modes.
const (
	Dashboard = view.Dashboard
	Monitor   = view.Monitor  // watch a GPU that others use: no jobs, no phases
	Playback  = view.Playback // a recorded session
)

// Options is what a dashboard is made of.
type Options struct {
	Source     Source
	Controller command.Controller
	Mode       Mode
	Version    string
	GPUs       []gpu.Info
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
	// SaveDir is where `s` saves screens; "" is the working directory.
	SaveDir string
	// Theme overrides what the terminal says of itself and what was chosen last; "" does
	// not.
	Theme theme.Name
	// Window is how much of the session is shown at first, one of view.WindowNames; "" is
	// as it was last.
	Window string
	// Keys are the operator's own; see BindKeys. nil: none.
	Keys *view.Bindings
	// Typed is what was chosen and typed last, by what asked for it.
	Typed map[string][]string
	// Keep is given what of Typed has changed, one call after the other; nil: it is
	// forgotten.
	Keep func(changed map[string][]string) error
	// Notice stands on the last line until a key is pressed; "" for nothing.
	Notice string
	// FPS is the most frames a second but for keys, which are answered at once; 0 is 4: the
	// picture moves on no more often (view.Beat), and text is read no faster.
	FPS int
	// Wall tells the wall-clock time for file names; nil is time.Now.
	Wall func() time.Time
	// Input, Output and Environ replace the process's own, for tests.
	Input   io.Reader
	Output  io.Writer
	Environ []string
}

func (o *Options) fill() {
	if o.FPS <= 0 {
		o.FPS = 4
	}
	if o.Wall == nil {
		o.Wall = time.Now
	}
}

// setup is what pages and panels see of the options.
func (o *Options) setup() view.Setup {
	return view.Setup{
		Mode: o.Mode, Version: o.Version, GPUs: o.GPUs, Simulated: o.Simulated, Caveat: o.Caveat,
		PricePerKWh: o.PricePerKWh, Currency: o.Currency,
	}
}
