package tui

import (
	"errors"
	"fmt"
	"sync"

	tea "charm.land/bubbletea/v2"

	"jouletop/engine/command"
	"jouletop/tui/draw"
	"jouletop/tui/page"
	"jouletop/tui/view"
)

// operator hands the operator's commands to the controller, in order.
type operator struct {
	*view.Context
	waiting commands
	pending int // commands without an answer yet; a status may be older than they
}

// askStatus asks the controller; once tells that it is out of turn.
func (o *operator) askStatus(once bool) tea.Cmd {
	c := o.Controller
	if c == nil {
		return nil
	}
	return func() tea.Msg { return statusMsg{c.Status(), once} }
}

// takeStatus shows a status, unless a command is on its way that it knows
// nothing of.
func (o *operator) takeStatus(s command.Status) {
	if o.pending == 0 {
		o.Status = s
	}
	if s.NowNS > 0 {
		o.State.Tell(s.NowNS)
	}
}

func (o *operator) askChoices() tea.Cmd {
	c := o.Controller
	if c == nil {
		return nil
	}
	return func() tea.Msg {
		choices, err := c.Choices()
		return choiceMsg{choices, err}
	}
}

// do hands a command to the controller from a goroutine of its own, after those
// given before it: of two clocks typed in a row the second must win. Its answer
// comes back as a message, and the status is asked again.
func (o *operator) do(f func(c command.Controller) (string, error)) tea.Cmd {
	c := o.Controller
	if c == nil {
		return o.Say("there is nothing to command here", true)
	}
	o.pending++
	q, arm := &o.waiting, o.Label(o.Keys.Arm)
	q.add(f)
	return func() (msg tea.Msg) {
		defer func() {
			if r := recover(); r != nil {
				msg = commandMsg{err: fmt.Errorf("internal error: %v (at %s)", r, origin())}
			}
		}()
		text, err := q.next(c)
		if errors.Is(err, command.ErrArmFirst) {
			err = fmt.Errorf("%w (%s)", err, arm)
		}
		return commandMsg{text, err}
	}
}

// finished says what came of a command, and asks for the status it has changed.
func (o *operator) finished(d doneMsg) tea.Cmd {
	fresh := o.askStatus(true)
	switch {
	case d.err != nil:
		return tea.Batch(o.Say(d.err.Error(), true), fresh)
	case d.text != "":
		return tea.Batch(o.Say(d.text, false), fresh)
	}
	return fresh
}

// answered takes the answer to a command.
func (o *operator) answered(msg commandMsg) tea.Cmd {
	o.pending--
	return o.finished(doneMsg(msg))
}

// key takes a key press and tells whether it was one that commands the session.
func (o *operator) key(msg tea.KeyPressMsg) (tea.Cmd, bool) {
	ask := func(said string, f func(command.Controller) error) (tea.Cmd, bool) {
		return o.do(func(c command.Controller) (string, error) { return said, f(c) }), true
	}
	switch k := &o.Keys; {
	case k.GiveBack.Is(msg):
		return ask("every knob given back", command.Controller.GiveBack)
	case k.Pause.Is(msg) && o.Paused():
		return ask("run goes on", command.Controller.Resume)
	case k.Pause.Is(msg):
		return ask("run pauses after this batch; "+o.Label(k.Pause)+" resumes", command.Controller.Pause)
	case k.Skip.Is(msg):
		return ask("point skipped after this batch", command.Controller.SkipPoint)
	case page.PaceKey.Is(msg) && o.serves():
		by := 1.25
		if msg.String() == "-" {
			by = 1 / by
		}
		return o.do(func(c command.Controller) (string, error) {
			times, err := c.ChangePace(by)
			return "requests come " + draw.Sig(times) + " times as fast as planned", err
		}), true
	case k.Stop.Is(msg):
		return ask("stopping after this batch", command.Controller.Stop)
	}
	return nil, false
}

// serves tells whether requests come by themselves.
func (o *operator) serves() bool {
	_, ok := o.State.Serving.Newest()
	return ok
}

// arm arms or disarms clock control.
func (o *operator) arm() tea.Cmd {
	on := !o.Status.Armed
	return o.do(func(c command.Controller) (string, error) {
		text, err := c.Arm(on)
		if err == nil && text == "" {
			text = "clock control armed; all is given back on exit"
			if !on {
				text = "clock control disarmed; every knob given back"
			}
		}
		return text, err
	})
}

// commands are those given to the controller, oldest first. Each goroutine takes
// the next one, not its own, so that their order does not depend on the
// scheduler.
type commands struct {
	mu      sync.Mutex
	waiting []func(c command.Controller) (string, error)
	running sync.Mutex
}

func (q *commands) add(f func(c command.Controller) (string, error)) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = append(q.waiting, f)
}

// next runs the oldest command and returns its answer.
func (q *commands) next(c command.Controller) (string, error) {
	q.running.Lock()
	defer q.running.Unlock()
	q.mu.Lock()
	f := q.waiting[0]
	q.waiting = q.waiting[1:]
	q.mu.Unlock()
	return f(c)
}
