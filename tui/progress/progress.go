// Package progress tells of a run without the dashboard: a line that renews itself on a
// terminal, a line a point elsewhere.
package progress

import (
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"jouletop/engine/event"
	"jouletop/gpu"
	"jouletop/gpu/plaintext"
)

// progress shows how a run goes on stderr: one line that renews itself on a
// terminal, else a line a point.
type progress struct {
	out      io.Writer
	terminal bool
	width    int
	started  time.Time

	simulated bool
	bench     bool
	points    int
	pointsNow int
	total     int // requests
	done      int
	good      int // of those done
	pointDone int // requests of the point
	pointGood int // of those
	point     string
	loading   string
	watts     map[string]float64 // by GPU
	mhz       int
	jPerToken float64
	state     event.RunState
}

// source is where the events come from; stream.Subscriber is one.
type source interface {
	Ready() <-chan struct{}
	Drain() (events []event.Event, closed bool)
}

// Show reads the stream until it closes. It tells of the trouble that ends
// the run.
func Show(sub source, trouble <-chan error) {
	p := &progress{out: os.Stderr, started: time.Now(), watts: map[string]float64{}, jPerToken: math.NaN()}
	fd := int(os.Stderr.Fd())
	p.terminal = term.IsTerminal(fd)
	if w, _, err := term.GetSize(fd); err == nil {
		p.width = w
	}
	frame := time.NewTicker(200 * time.Millisecond)
	defer frame.Stop()
	for {
		select {
		case <-sub.Ready():
		case err := <-trouble:
			p.line("%s; the run ends after the batch in hand", plaintext.OneLine(err.Error()))
			continue
		}
		events, closed := sub.Drain()
		for _, e := range events {
			p.apply(e)
		}
		p.draw()
		if closed {
			p.clear()
			return
		}
		<-frame.C
	}
}

func (p *progress) apply(e event.Event) {
	switch e := e.(type) {
	case event.RunStart:
		p.simulated, p.points, p.total, p.bench = e.Simulated, e.Points, e.Requests, e.Name == "bench"
	case event.RunMore:
		p.points, p.total = p.points+e.Points, p.total+e.Requests
	case event.ModelLoading:
		p.loading = fmt.Sprintf("loading %s %3.0f %%", e.Model, 100*e.Progress)
	case event.PointStart:
		p.loading, p.point = "", e.PointID
		p.pointDone, p.pointGood = 0, 0
	case event.PointDone:
		p.pointsNow++
		if e.PointResult.Err != "" {
			switch {
			case p.pointGood > 0:
				p.line("point %s: %d of %s failed: %s", e.PointID, p.pointDone-p.pointGood, plaintext.Plural(p.pointDone, "request"), plaintext.OneLine(e.PointResult.Err))
			case p.points > 1 || p.good > 0: // else the run's own error tells it
				p.line("point %s failed: %s", e.PointID, plaintext.OneLine(e.PointResult.Err))
			}
		} else if !p.terminal {
			p.line("point %d/%d %s: %s", p.pointsNow, p.points, e.PointID, pointText(e, !p.bench))
		}
	case event.RequestDone:
		p.done++
		p.pointDone++
		if e.Err == "" {
			p.good++
			p.pointGood++
		}
	case event.RequestEnergy:
		p.jPerToken = e.JoulesPerToken()
	case event.Sample:
		p.mhz = e.SMMHz
	case event.Power:
		if gpu.Plausible(e.PowerW) {
			p.watts[e.GPU] = e.PowerW
		}
	case event.Error:
		if e.PointID == "" { // that comes with the point
			p.line("error: %s", plaintext.OneLine(e.Text))
		}
	case event.Warning:
		p.line("warning: %s", plaintext.OneLine(e.Text))
	case event.State:
		if p.state = e.State; p.state == event.StateStopping {
			p.line("ending after the batch in hand; an interrupt now ends it at once")
		}
	}
}

// pointText is what a point came to, in a few words; perToken is also said where a token
// generated is what it was for, which of a bench's reading of prompts it is not.
func pointText(e event.PointDone, perToken bool) string {
	within := ""
	if e.EnergyErrJ > 0 && !math.IsNaN(e.EnergyJ) {
		within = " ± " + plaintext.Significant(e.EnergyErrJ, 2)
	}
	text := fmt.Sprintf("%s s, %s%s J", plaintext.Significant(e.LatencyS, 3), plaintext.Significant(e.EnergyJ, 4), within)
	if perToken {
		text += fmt.Sprintf(", %s J/token", plaintext.Significant(e.JoulesPerToken, 3))
	}
	if e.Flags != "" {
		text += " [" + string(e.Flags) + "]"
	}
	return text
}

// line prints a whole line above the renewing one.
func (p *progress) line(format string, args ...any) {
	p.clear()
	fmt.Fprintf(p.out, format+"\n", args...)
}

func (p *progress) clear() {
	if p.terminal {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}

func (p *progress) draw() {
	if !p.terminal || p.total == 0 {
		return
	}
	const cells = 20
	share := min(float64(p.done)/float64(p.total), 1)
	full := int(share * cells)
	text := strings.Repeat("█", full) + strings.Repeat("░", cells-full)
	if p.simulated {
		text = "SIMULATED " + text
	}
	text += fmt.Sprintf(" %d/%d requests", p.done, p.total)
	if p.points > 1 {
		text += fmt.Sprintf(", point %d/%d", min(p.pointsNow+1, p.points), p.points)
	}
	if share > 0 && share < 1 {
		left := time.Duration(float64(time.Since(p.started)) * (1 - share) / share)
		text += ", " + left.Round(time.Second).String() + " left"
	}
	switch {
	case p.state == event.StateStopping:
		text += ", ending after this batch"
	case p.loading != "":
		text += ", " + p.loading
	case len(p.watts) > 0:
		watts := 0.0
		for _, w := range p.watts {
			watts += w
		}
		text += fmt.Sprintf(", %d MHz %.0f W", p.mhz, watts)
		if !math.IsNaN(p.jPerToken) && !p.bench {
			text += fmt.Sprintf(" %.3g J/token", p.jPerToken)
		}
	}
	if p.width > 1 && len([]rune(text)) > p.width-1 {
		text = string([]rune(text)[:p.width-1])
	}
	fmt.Fprint(p.out, "\r"+text+"\x1b[K")
}
