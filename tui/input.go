package tui

import (
	"slices"
	"strconv"

	tea "charm.land/bubbletea/v2"

	"jouletop/engine/command"
	"jouletop/tui/page"
	"jouletop/tui/panel"
	"jouletop/tui/view"
)

// panels lie over the page, the topmost last.
type panels []panel.Panel

// top is the topmost panel, nil for none.
func (p panels) top() panel.Panel {
	if len(p) == 0 {
		return nil
	}
	return p[len(p)-1]
}

// typing tells whether what lies on top takes every letter: no key means what it does on
// a page.
func (p panels) typing() bool {
	switch p.top().(type) {
	case *panel.Form, *panel.Line, *panel.Prompt:
		return true
	}
	return false
}

// open are those that are not done with.
func (p panels) open() panels { return slices.DeleteFunc(p, panel.Panel.Closed) }

// input takes what comes from the keyboard and the mouse.
func (m *Model) input(msg tea.Msg) tea.Cmd {
	defer m.dropClosed()
	switch msg := msg.(type) {
	case tea.KeyPressMsg:
		return m.key(msg)
	case tea.PasteMsg:
		return m.paste(msg.Content)
	case tea.MouseClickMsg:
		if mouse := msg.Mouse(); mouse.Button == tea.MouseLeft {
			return m.click(mouse.X, mouse.Y)
		}
	case tea.MouseWheelMsg:
		return m.wheel(msg.Mouse())
	}
	return nil
}

// gate holds what was asked for before it was known what can be run and set.
type gate struct {
	open    bool
	waiting func() tea.Cmd // the last that was asked for
}

// hold keeps what is to be done once the gate opens.
func (g *gate) hold(do func() tea.Cmd) { g.waiting = do }

// pass opens the gate and does what waited.
func (g *gate) pass() tea.Cmd {
	do := g.waiting
	*g = gate{open: true}
	if do == nil {
		return nil
	}
	return do()
}

// openForm opens the page's form, or the one for a job.
func (m *Model) openForm() tea.Cmd {
	if m.Mode != view.Dashboard {
		return m.Say(view.ErrNotHere.Error(), true)
	}
	if !m.choices.open && m.Controller != nil {
		m.choices.hold(m.openForm)
		return m.Say("finding what can be run…", false)
	}
	f := m.page().Form()
	if f == nil {
		f = page.JobForm(m.Context)
	}
	m.lay(f)
	return f.Open()
}

// askArm asks whether to arm, with what comes of it, and arms where there is nothing to
// read. As long as it is not known what there is to read, nothing is armed.
func (m *Model) askArm() tea.Cmd {
	switch {
	case m.Status.Armed || m.Mode != view.Dashboard || m.Controller == nil:
		return m.operator.arm()
	case !m.choices.open:
		m.choices.hold(m.askArm)
		return m.Say("finding what arming sets…", false)
	case m.Choices.Arming != "":
		m.lay(panel.NewArm(m.Context, m.operator.arm))
		return nil
	}
	return m.operator.arm()
}

// answered takes the answer to a form.
func (m *Model) answered(a panel.Answer) tea.Cmd {
	m.dirty = true
	done, ok := a.Msg.(commandMsg)
	open := a.Answered(done.err)
	m.dropClosed()
	if !ok {
		return nil
	}
	if open {
		m.operator.pending--
		return nil // the form says it
	}
	return m.operator.answered(done)
}

// lay lays a panel over the page.
func (m *Model) lay(p panel.Panel) {
	m.panels = append(m.panels, p)
	m.layout()
}

// dropClosed takes away the panels that are done with.
func (m *Model) dropClosed() {
	n := len(m.panels)
	m.panels = m.panels.open()
	if len(m.panels) != n {
		m.layout()
	}
}

// key takes a key press: first for what lies open, then for every page, then for
// the page that is shown.
func (m *Model) key(msg tea.KeyPressMsg) tea.Cmd {
	k := &m.Keys
	if k.Interrupt.Is(msg) {
		if m.Leaving {
			m.forced = true
			return tea.Quit
		}
		return m.leave()
	}
	msg, means := readKey(m.Context, m.panels, m.pages, m.page(), msg)
	if !means {
		return nil
	}
	if m.asking {
		m.asking = false
		if k.Quit.Is(msg) || msg.String() == "y" {
			return m.leave()
		}
		return nil
	}
	for i := len(m.panels) - 1; i >= 0; i-- {
		if cmd, taken := m.panels[i].Key(msg); taken {
			return cmd
		}
	}
	m.message.text = ""
	if k.Close.Is(msg) && m.Unseen() > 0 && !typing(nil, m.page()) { // before a table unsorts
		m.Seen = m.State.Noticed
		return nil
	}
	if m.page().Greedy(msg) {
		return m.page().Key(msg)
	}
	for i := range m.pages {
		if msg.String() == strconv.Itoa(i+1) {
			return m.open(i)
		}
	}
	for _, of := range []func(tea.KeyPressMsg) (tea.Cmd, bool){m.programKey, m.operator.key, m.player.key} {
		if cmd, taken := of(msg); taken {
			return cmd
		}
	}
	return m.page().Key(msg)
}

// open shows a page, which may ask for what it needs.
func (m *Model) open(i int) tea.Cmd {
	m.at = i
	return m.page().Open()
}

// programKey takes the keys of the dashboard itself.
func (m *Model) programKey(msg tea.KeyPressMsg) (tea.Cmd, bool) {
	n := len(m.pages)
	switch k := &m.Keys; {
	case k.Next.Is(msg):
		return m.open((m.at + 1) % n), true
	case k.Prev.Is(msg):
		return m.open((m.at + n - 1) % n), true
	case k.Help.Is(msg):
		m.lay(panel.NewHelp(m.Context, m.helpGroups()))
	case k.Terms.Is(msg):
		m.lay(panel.NewDetails(m.Context, "What the words mean: "+m.page().Name(), page.Explain(m.page(), m.Panel)))
	case k.Quit.Is(msg):
		if m.State.Busy() && m.Mode == view.Dashboard {
			m.asking = true
			return nil, true
		}
		return m.leave(), true
	case k.Arm.Is(msg):
		return m.askArm(), true
	case k.Clock.Is(msg):
		m.lay(panel.NewKnobs(m.Context))
	case k.Save.Is(msg):
		return m.saveScreen(), true
	case k.Theme.Is(msg):
		return m.nextTheme(), true
	case k.Newest.Is(msg):
		m.Window.Freeze(m.State, false)
		m.page().Newest()
	case k.Job.Is(msg):
		return m.openForm(), true
	case k.Jobs.Is(msg):
		m.lay(panel.NewJobs(m.Context))
	case k.Prompt.Is(msg):
		return m.askPrompt(""), true
	case k.Mark.Is(msg):
		m.lay(panel.NewLine(m.Context, "note: ", func(text string) tea.Cmd {
			return m.Do(func(c command.Controller) (string, error) { return "marked", c.Mark(text) })
		}))
	case k.Export.Is(msg):
		m.lay(panel.NewLine(m.Context, "export to (empty: a place of its own): ", func(text string) tea.Cmd {
			return m.Do(func(c command.Controller) (string, error) {
				at, err := c.Export(text)
				return "exported to " + at, err
			})
		}))
	default:
		return nil, false
	}
	return nil, true
}

// askPrompt asks for a prompt, which begins with text.
func (m *Model) askPrompt(text string) tea.Cmd {
	if m.Mode != view.Dashboard {
		return m.Say(view.ErrNotHere.Error(), true)
	}
	m.lay(panel.NewPrompt(m.Context, text, func(text string) tea.Cmd {
		return m.Do(func(c command.Controller) (string, error) { return "prompt queued to run next", c.RunPrompt(text) })
	}))
	return nil
}

// leave ends the session and quits when the stream has closed.
func (m *Model) leave() tea.Cmd {
	if m.Closed || m.opt.Source == nil || m.Controller == nil {
		return tea.Quit
	}
	if m.Leaving {
		return nil
	}
	m.Leaving = true
	m.dirty = true
	return m.Do(func(c command.Controller) (string, error) { return "", c.End() })
}

// click takes a mouse click: a tab, a clock, a row.
func (m *Model) click(x, y int) tea.Cmd {
	before := m.at
	if m.Frame.Click(x, y) && m.at != before {
		return m.open(m.at)
	}
	return nil
}

// wheel scrolls what the mouse is over.
func (m *Model) wheel(mouse tea.Mouse) tea.Cmd {
	by := 1
	switch mouse.Button {
	case tea.MouseWheelUp:
		by = -1
	case tea.MouseWheelDown:
	default:
		return nil
	}
	if p := m.panels.top(); p == nil || !p.Wheel(mouse.X, mouse.Y, by) {
		m.page().Wheel(by)
	}
	return nil
}

// paste takes pasted text where text is typed; elsewhere it opens the prompt.
func (m *Model) paste(text string) tea.Cmd {
	if p := m.panels.top(); p != nil && p.Paste(text) || p == nil && m.page().Paste(text) || m.asking || m.Leaving || m.Mode != view.Dashboard {
		return nil
	}
	return m.askPrompt(text)
}

// hints are the keys shown on the last line.
func (m *Model) hints() []view.Key {
	k := &m.Keys
	if p := m.panels.top(); p != nil {
		return p.Hints()
	}
	own := m.page().Hints()
	switch m.Mode {
	case view.Playback:
		own = []view.Key{
			k.Freeze, k.Slower.As("[ ]", "speed"), k.SeekBack.As(", .", "10 s"), k.SeekFarBack.As("< >", "1 min"), k.Window, k.Export, k.Save,
		}
	}
	return own
}

// helpGroups are all keys, those of the page that is shown first.
func (m *Model) helpGroups() []view.KeyGroup {
	groups := keyGroups(m.Keys, m.pages)
	for _, g := range groups {
		for i, k := range g.Keys {
			g.Keys[i] = m.Bindings.Shown(k)
		}
	}
	own := slices.IndexFunc(groups, func(g view.KeyGroup) bool { return g.Title == "On "+m.page().Name() })
	if own < 0 {
		return groups
	}
	first := groups[own]
	return append([]view.KeyGroup{first}, slices.Delete(groups, own, own+1)...)
}

// keyGroups are all keys, for the help.
func keyGroups(keys view.Keys, shown []page.Page) []view.KeyGroup {
	before, after := keys.Groups()
	pages := view.KeyGroup{Title: "Pages", Keys: pageKeys(shown)}
	var own []view.KeyGroup
	for _, p := range shown {
		if keys := p.Keys(); len(keys) > 0 {
			own = append(own, view.KeyGroup{Title: "On " + p.Name(), Keys: keys})
		}
	}
	pages.Keys = append(pages.Keys, keys.Next, keys.Prev)
	groups := append(slices.Clip(before[:1]), pages)
	groups = append(groups, before[1:]...)
	groups = append(groups, panel.KeyGroups()...)
	groups = append(groups, own...)
	return append(groups, after...)
}
