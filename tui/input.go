package tui

import (
	"errors"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"

	"jouletop/tui/canvas"
)

// show opens a screen.
func (m *Model) show(s tab) {
	m.tab = s
	m.helping = false
}

// key takes a key press: first for what lies open, then for the screen.
func (m *Model) key(msg tea.KeyPressMsg) tea.Cmd {
	k := &m.keys
	if key.Matches(msg, k.interrupt) {
		if m.leaving {
			m.forced = true
			return tea.Quit
		}
		return m.leave()
	}
	switch {
	case m.line != nil:
		return m.lineKey(msg)
	case m.asking:
		m.asking = false
		if key.Matches(msg, k.quit) || msg.String() == "y" {
			return m.leave()
		}
		return nil
	case m.form != nil:
		return m.formKey(msg)
	case m.helping:
		if m.helpKey(msg) {
			return nil
		}
	case m.panel != nil:
		if cmd, taken := m.panelKey(msg); taken {
			return cmd
		}
	}
	m.message.text = ""
	for i, b := range k.screens {
		if key.Matches(msg, b) {
			return m.open(tab(i))
		}
	}
	if cmd, taken := m.commandKey(msg); taken {
		return cmd
	}
	if m.opt.Mode == Playback {
		if cmd, taken := m.replayKey(msg); taken {
			return cmd
		}
	}
	return m.screenKey(msg)
}

// open shows a screen and asks for what it needs.
func (m *Model) open(s tab) tea.Cmd {
	m.show(s)
	switch s {
	case screenWorkload:
		return m.workload.ask(m)
	case screenSession:
		return m.sessions.ask(m)
	}
	return nil
}

// commandKey takes the keys that work on every screen.
func (m *Model) commandKey(msg tea.KeyPressMsg) (tea.Cmd, bool) {
	k := &m.keys
	switch {
	case key.Matches(msg, k.next):
		return m.open((m.tab + 1) % screens), true
	case key.Matches(msg, k.prev):
		return m.open((m.tab + screens - 1) % screens), true
	case key.Matches(msg, k.help):
		m.helping = true
	case key.Matches(msg, k.quit):
		if m.st.busy() && m.opt.Mode == Dashboard {
			m.asking = true
			return nil, true
		}
		return m.leave(), true
	case key.Matches(msg, k.clock):
		m.openPanel()
	case key.Matches(msg, k.arm):
		return m.arm(), true
	case key.Matches(msg, k.giveBack):
		return m.do(func(c Controller) (string, error) {
			return "clock given back to the driver", c.GiveBack()
		}), true
	case key.Matches(msg, k.job):
		return m.openForm(), true
	case key.Matches(msg, k.prompt):
		return m.openLine(linePrompt), true
	case key.Matches(msg, k.mark):
		return m.openLine(lineMark), true
	case key.Matches(msg, k.export):
		return m.openLine(lineExport), true
	case key.Matches(msg, k.save):
		return m.saveScreen(), true
	case key.Matches(msg, k.pause):
		paused := m.status.Paused || m.st.status == "paused"
		return m.do(func(c Controller) (string, error) {
			if paused {
				return "run goes on", c.Resume()
			}
			return "run pauses after this batch; z resumes", c.Pause()
		}), true
	case key.Matches(msg, k.skip):
		return m.do(func(c Controller) (string, error) { return "point skipped after this batch", c.SkipPoint() }), true
	case key.Matches(msg, k.stop):
		return m.do(func(c Controller) (string, error) { return "stopping after this batch", c.Stop() }), true
	case key.Matches(msg, k.theme):
		m.nextTheme()
	case key.Matches(msg, k.gpu):
		m.pic.gpu++
		if n := len(m.st.gpus); n > 0 {
			m.pic.gpu %= n
		}
	default:
		return nil, false
	}
	return nil, true
}

// arm arms or disarms clock control.
func (m *Model) arm() tea.Cmd {
	on := !m.status.Armed
	return m.do(func(c Controller) (string, error) {
		text, err := c.Arm(on)
		if err == nil && text == "" {
			text = "clock control armed; given back on exit"
			if !on {
				text = "clock control disarmed; the clock is the driver's"
			}
		}
		return text, err
	})
}

// replayKey takes the keys that move a replay.
func (m *Model) replayKey(msg tea.KeyPressMsg) (tea.Cmd, bool) {
	k := &m.keys
	r := m.status.Replay
	if r == nil {
		return nil, false
	}
	// What was asked for counts at once: the next key may come before the answer.
	seek := func(by int64) tea.Cmd {
		to := min(max(r.AtNS+by*1_000_000_000, r.StartNS), r.EndNS)
		r.AtNS = to
		return m.do(func(c Controller) (string, error) { return "", c.SeekTo(to) })
	}
	speed := func(times float64) tea.Cmd {
		r.Speed = times
		return m.do(func(c Controller) (string, error) { return "", c.SetReplaySpeed(times) })
	}
	switch {
	case key.Matches(msg, k.freeze):
		if r.Speed > 0 {
			return speed(0), true
		}
		return speed(max(m.sessions.lastSpeed, 1)), true
	case key.Matches(msg, k.slower, k.faster):
		next := nextSpeed(r.Speed, key.Matches(msg, k.faster))
		m.sessions.lastSpeed = next
		return speed(next), true
	case key.Matches(msg, k.seekBack):
		return seek(-10), true
	case key.Matches(msg, k.seekOn):
		return seek(10), true
	case key.Matches(msg, k.seekFarBack):
		return seek(-60), true
	case key.Matches(msg, k.seekFarOn):
		return seek(60), true
	}
	return nil, false
}

// nextSpeed returns the next of the replay's speeds.
func nextSpeed(now float64, faster bool) float64 {
	steps := []float64{1, 2, 5, 10, 20, 50}
	if faster {
		for _, s := range steps {
			if s > now {
				return s
			}
		}
		return steps[len(steps)-1]
	}
	for i := len(steps) - 1; i >= 0; i-- {
		if steps[i] < now {
			return steps[i]
		}
	}
	return steps[0]
}

// screenKey takes the keys of the screen that is shown.
func (m *Model) screenKey(msg tea.KeyPressMsg) tea.Cmd {
	k := &m.keys
	switch {
	case key.Matches(msg, k.window):
		m.pic.window = (m.pic.window + 1) % len(windows)
		return nil
	case key.Matches(msg, k.freeze):
		m.pic.frozen = !m.pic.frozen
		m.pic.follow(m.st)
		return nil
	case key.Matches(msg, k.newest):
		m.pic.frozen, m.points = false, 0
		m.pic.follow(m.st)
		return nil
	case key.Matches(msg, k.stream):
		m.pic.stream++
		return nil
	}
	switch m.tab {
	case screenLive:
		switch {
		case key.Matches(msg, k.back):
			m.pic.scroll(m.st, -1)
		case key.Matches(msg, k.forward):
			m.pic.scroll(m.st, 1)
		}
	case screenCurves:
		m.curves.key(m, msg)
	case screenSweep:
		switch {
		case key.Matches(msg, k.up):
			m.points--
		case key.Matches(msg, k.down): // the older ones are below
			m.points++
		}
		m.points = min(max(m.points, 0), m.oldestFirst())
	case screenCompare:
		m.compare.key(m, msg)
	case screenWorkload:
		m.workload.key(m, msg)
	case screenSession:
		return m.sessions.key(m, msg)
	}
	return nil
}

// oldestFirst is how far the table of points can be scrolled: until the oldest
// stands in the last row.
func (m *Model) oldestFirst() int {
	const head = 3 // the title and two rows of column names
	return max(len(m.st.sweep.done)-(m.lay.points.H-head), 0)
}

// leave ends the session and quits when the stream has closed.
func (m *Model) leave() tea.Cmd {
	if m.closed || m.opt.Source == nil || m.opt.Controller == nil {
		return tea.Quit
	}
	if m.leaving {
		return nil
	}
	m.leaving = true
	m.dirty = true
	return m.do(func(c Controller) (string, error) { return "", c.End() })
}

// hints are the keys shown on the last line.
func (m *Model) hints() []key.Binding {
	k := &m.keys
	switch {
	case m.helping:
		return []key.Binding{k.esc, k.quit}
	case m.form != nil:
		return m.form.hints(k)
	case m.panel != nil:
		return []key.Binding{k.quit, k.help, k.panelSet, k.panelMove, k.panelType, k.panelPhase, k.panelPolicy, k.giveBack, k.arm, k.esc}
	}
	var own []key.Binding
	choose := bind("↑ ↓", "choose", "up")
	switch m.tab {
	case screenLive:
		own = []key.Binding{k.clock, k.arm, k.job, k.prompt, k.window, k.freeze, k.mark, k.stop}
	case screenCurves:
		own = []key.Binding{k.clock, k.job, k.batch, k.dataset, k.mark}
		if len(m.curveSet().curves) > 1 {
			own = append(own, choose)
		}
	case screenSweep:
		own = []key.Binding{k.job, k.pause, k.skip, k.stop, k.clock, k.mark}
		if m.oldestFirst() > 0 {
			own = append(own, bind("↑ ↓", "scroll", "up"))
		}
	case screenCompare:
		own = []key.Binding{k.job, k.clock, k.stop}
		if len(m.st.comp.settings) > 2 {
			own = append(own, bind("← →", "side A", "left"), bind("↑ ↓", "side B", "up"))
		}
	case screenWorkload:
		if len(m.workload.data.Features) > 1 {
			own = []key.Binding{choose, k.dataset}
		}
	case screenSession:
		own = []key.Binding{k.export, k.mark, k.save}
		if len(m.sessions.list) > 0 {
			own = append(own, choose, k.enter)
		}
	}
	switch m.opt.Mode {
	case Playback:
		own = []key.Binding{
			k.freeze, bind("[ ]", "speed", "["), bind(", .", "10 s", ","), bind("< >", "1 min", "<"), k.window, k.export, k.save,
		}
	case Monitor:
		own = []key.Binding{k.window, k.freeze, k.mark, k.export, k.save}
	}
	return append([]key.Binding{k.quit, k.help}, own...)
}

// hintWord is a binding's description cut to what a hint has room for.
func hintWord(desc string) string {
	for i := range desc {
		if c := desc[i]; c == ',' || c == ';' || c == '(' || c == ':' {
			desc = desc[:i]
			break
		}
	}
	words := map[string]string{
		"arm or disarm clock control": "arm", "a prompt of one's own": "prompt", "freeze the picture": "freeze",
		"mark this moment with a note": "mark", "stop after the running batch": "stop", "pause or resume the run": "pause",
		"skip the running point": "skip", "export the session's CSV files": "export", "save this screen as text": "save",
		"this help": "help", "quit, in a run after its batch": "quit", "give the clock to the driver": "give back", "batch size of the curves": "batch",
		"dataset shown": "dataset", "clock panel": "clock",
		"lay a session beside": "beside", "all phases": "phase", "set it at once": "set", "jump to the clock typed": "type",
		"choose a clock": "move", "next policy": "policy",
	}
	if w := words[desc]; w != "" {
		return w
	}
	return desc
}

// click takes a mouse click: a tab, a clock, a row.
func (m *Model) click(mouse tea.Mouse) tea.Cmd {
	if mouse.Button != tea.MouseLeft {
		return nil
	}
	// The newest hits lie on top.
	for i := len(m.hits) - 1; i >= 0; i-- {
		if h := m.hits[i]; h.r.Contains(mouse.X, mouse.Y) {
			before := m.tab
			h.do()
			if m.tab != before {
				return m.open(m.tab)
			}
			return nil
		}
	}
	return nil
}

func (m *Model) wheel(mouse tea.Mouse) tea.Cmd {
	up := mouse.Button == tea.MouseWheelUp
	if !up && mouse.Button != tea.MouseWheelDown {
		return nil
	}
	if m.panel != nil && m.lay.clockPanel.Contains(mouse.X, mouse.Y) {
		by := 3
		if up {
			by = -3
		}
		m.panel.move(by)
		return nil
	}
	code := tea.KeyDown
	if up {
		code = tea.KeyUp
	}
	if m.form != nil || m.line != nil || m.helping {
		return nil
	}
	return m.screenKey(tea.KeyPressMsg{Code: code})
}

// paste takes pasted text where text is typed; elsewhere it opens the prompt.
func (m *Model) paste(text string) tea.Cmd {
	switch {
	case m.line != nil:
		m.line.insert(text)
	case m.form != nil:
		m.form.insert(text)
	case m.panel == nil && m.opt.Mode == Dashboard && !m.asking && !m.leaving:
		if cmd := m.openLine(linePrompt); m.line == nil {
			return cmd
		}
		m.line.insert(text)
	}
	return nil
}

// errNotHere says that a command has no place in this mode.
var errNotHere = errors.New("not here: nothing is run in this mode")

// canRun tells whether jobs can be started.
func (m *Model) canRun() bool { return m.opt.Mode == Dashboard }

// rowHit makes rows of a list clickable.
func (m *Model) rowHit(r canvas.Rect, do func()) { m.hits = append(m.hits, hit{r, do}) }
