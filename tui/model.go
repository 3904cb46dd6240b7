package tui

import (
	"cmp"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"jouletop/engine/command"
	"jouletop/engine/event"
	"jouletop/tui/canvas"
	"jouletop/tui/draw"
	"jouletop/tui/page"
	"jouletop/tui/panel"
	"jouletop/tui/state"
	"jouletop/tui/theme"
	"jouletop/tui/view"
)

// Model is the dashboard's tea.Model: it keeps the pages and the panels over
// them, hands messages on, and draws what stands around the page.
type Model struct {
	*view.Context
	opt    Options
	pages  []page.Page
	names  []string // of pages
	at     int      // of pages
	panels panels

	th  *theme.Theme
	pal palette

	keeper keeper // of what was chosen and typed

	asking   bool // whether to quit
	noticing int  // rows that say what nobody has seen yet
	forced   bool // left without waiting
	broken   error
	choices  gate // until it is known what can be run
	message  message
	operator *operator
	player   player
	pacer    pacer

	// ring tells of a run that has ended, to those who look elsewhere; "" nothing.
	ring string

	untimed bool // tests: nothing waits for a time or for the stream
	// present shows a frame, of which the cells changed may differ from the one before;
	// nil: View's text is shown.
	present func(c *canvas.Canvas, changed *canvas.Marks, title string)
	w, h    int // of the terminal
	content string
	dirty   bool // the frame is
	drawn   bool // it is, and content is of the one before
}

// message is a line shown in place of the hints for a while.
type message struct {
	text string
	bad  bool
	n    int // counts messages, so that an old timer does not end a new one
}

// Messages of the model's own.
type (
	frameMsg  struct{} // the source has something, and it is time to take it
	statusMsg struct { // the controller's answer
		command.Status
		once bool // asked for out of turn
	}
	statusDue struct{}        // time to ask again
	expireMsg struct{ n int } // a message has stood long enough
	choiceMsg struct {        // what can be run
		command.Choices
		err error
	}
	doneMsg struct { // something is done, or could not be
		text string
		err  error
	}
	commandMsg doneMsg // a command of the controller's is
	// signalMsg: the process was told to end, or its terminal is gone.
	signalMsg struct{}
)

const (
	statusEvery   = time.Second
	messageStands = 6 * time.Second
)

// New returns a dashboard.
func New(o Options) *Model {
	o.fill()
	m := &Model{opt: o, dirty: true}
	m.Context = &view.Context{
		Setup: o.setup(), State: state.New(), Keys: view.NewKeys(), Bindings: o.Keys, Frame: draw.NewFrame(),
		Controller: o.Controller, Say: m.say, Typed: map[string][]string{},
	}
	m.keeper.Context = m.Context
	m.pal = newPalette(m.keeper.recall(&o))
	m.operator = &operator{Context: m.Context}
	m.player = player{Context: m.Context}
	m.pacer = pacer{least: time.Second / time.Duration(o.FPS)}
	m.Do = m.operator.do
	if o.Controller != nil {
		m.Status = command.Status{Policy: "none"}
	}
	m.pages = page.All(m.Context)
	for _, p := range m.pages {
		m.names = append(m.names, p.Name())
	}
	m.setTheme()
	if o.Notice != "" {
		m.message = message{text: o.Notice, bad: true}
	}
	return m
}

// page is the one that is shown.
func (m *Model) page() page.Page { return m.pages[m.at] }

// Init asks the terminal for its ground and begins to read the stream.
func (m *Model) Init() tea.Cmd {
	cmds := []tea.Cmd{m.operator.askStatus(false), m.operator.askChoices()}
	if m.opt.Theme == "" {
		cmds = append(cmds, tea.RequestBackgroundColor)
	}
	if m.opt.Source != nil {
		cmds = append(cmds, m.wait())
	}
	return tea.Batch(cmds...)
}

// wait turns the source's signal into a message. What comes within a frame is taken
// together.
func (m *Model) wait() tea.Cmd {
	if m.untimed {
		return nil
	}
	ready, pace := m.opt.Source.Ready(), m.pacer.stands(m.Context, m.names[m.at] == "Live")
	return func() tea.Msg {
		<-ready
		time.Sleep(pace)
		return frameMsg{}
	}
}

// tick sends a message after a while.
func (m *Model) tick(d time.Duration, msg tea.Msg) tea.Cmd {
	if m.untimed {
		return nil
	}
	return tea.Tick(d, func(time.Time) tea.Msg { return msg })
}

// Update takes one message. A panic, which is a bug, ends the dashboard with an
// error, so that the session is saved and the terminal given back as always.
func (m *Model) Update(msg tea.Msg) (next tea.Model, cmd tea.Cmd) {
	next = m
	defer m.caught(&cmd)
	cmd = m.update(msg)
	return next, cmd
}

// caught turns a panic into an error and a command to quit.
func (m *Model) caught(cmd *tea.Cmd) {
	if r := recover(); r != nil {
		m.broken = fmt.Errorf("dashboard: internal error: %v (at %s)", r, origin())
		*cmd = tea.Quit
	}
}

// origin names the place of a panic that is being recovered from.
func origin() string {
	var pcs [32]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs[:])])
	for {
		f, more := frames.Next()
		if strings.HasPrefix(f.Function, "jouletop/") && !strings.HasSuffix(f.Function, ".caught") {
			return fmt.Sprintf("%s:%d", filepath.Base(f.File), f.Line)
		}
		if !more {
			return "unknown place"
		}
	}
}

func (m *Model) update(msg tea.Msg) tea.Cmd {
	if m.broken != nil {
		return tea.Quit
	}
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.resize(msg.Width, msg.Height)
	case tea.BackgroundColorMsg:
		m.pal.dark = msg.IsDark()
		m.setTheme()
	case tea.ColorProfileMsg:
		m.pal.profile = msg.Profile
		m.setTheme()
	case frameMsg:
		return m.drain()
	case statusMsg:
		m.operator.takeStatus(msg.Status)
		m.dirty = true
		if !msg.once {
			return m.tick(statusEvery, statusDue{})
		}
	case statusDue:
		return m.operator.askStatus(false)
	case choiceMsg:
		m.Choices, m.dirty = msg.Choices, true
		var told tea.Cmd
		if msg.err != nil {
			told = m.Say(msg.err.Error(), true)
		}
		return tea.Batch(told, m.choices.pass())
	case commandMsg:
		return m.operator.answered(msg)
	case panel.Shown:
		m.dirty = true
		m.lay(msg.Panel)
	case page.Shown:
		m.dirty = true
		return m.open(slices.Index(m.names, msg.Name))
	case panel.Told:
		m.dirty = true
		msg.Take()
	case panel.Answer:
		return m.answered(msg)
	case doneMsg:
		return m.operator.finished(msg)
	case expireMsg:
		if msg.n == m.message.n && m.message.text != "" {
			m.message.text = ""
			m.dirty = true
		}
	case signalMsg:
		return m.leave()
	case tea.KeyPressMsg, tea.PasteMsg, tea.MouseClickMsg, tea.MouseWheelMsg:
		m.dirty = true
		return tea.Batch(m.input(msg), m.keeper.keep())
	default:
		m.dirty = true
		return m.toPages(msg)
	}
	return nil
}

// toPages hands a message to every page: one of them asked for it.
func (m *Model) toPages(msg tea.Msg) tea.Cmd {
	var cmds []tea.Cmd
	for _, p := range m.pages {
		cmds = append(cmds, p.Update(msg))
	}
	return tea.Batch(cmds...)
}

// drain takes what the source has.
func (m *Model) drain() tea.Cmd {
	events, closed := m.opt.Source.Drain()
	was := m.State.Now
	m.Apply(events...)
	m.pacer.taken(m.Context, m.State.Now-was)
	var ring tea.Cmd
	if m.ring != "" {
		ring, m.ring = tea.Raw(notification(m.ring)), ""
	}
	if !closed {
		return tea.Batch(m.wait(), ring)
	}
	m.Closed = true
	if m.Leaving {
		return tea.Quit
	}
	return nil
}

// Apply folds events in without a source; for tests, benchmarks and pictures.
func (m *Model) Apply(events ...event.Event) {
	for _, e := range events {
		m.State.Apply(e)
		if e, ok := e.(event.RunEnd); ok {
			m.ring = ringFor(m.Context, e)
		}
		if e, ok := e.(event.Error); ok {
			// Until a key is pressed: it may come while nobody looks.
			m.message = message{text: causeFirst(e), bad: true, n: m.message.n + 1}
		}
	}
	m.State.Age()
	m.Window.Follow(m.State)
	m.dirty = true
}

// causeFirst words an error for one line, which may end early: what happened,
// then where. What else there is stands on the session's page.
func causeFirst(e event.Error) string {
	text := cmp.Or(e.What, e.Text)
	if e.PointID != "" {
		text += " (point " + e.PointID + ")"
	}
	return text
}

// say shows a message for a while.
func (m *Model) say(text string, bad bool) tea.Cmd {
	m.message = message{text: text, bad: bad, n: m.message.n + 1}
	m.dirty = true
	return m.tick(messageStands, expireMsg{m.message.n})
}

// View returns the screen. Where a terminal of our own shows the frames, it is
// handed the cells, and the text is left out.
func (m *Model) View() tea.View {
	if m.dirty {
		m.draw()
	}
	if m.present == nil && m.drawn {
		m.drawn, m.content = false, m.Frame.Render()
	}
	v := tea.NewView(m.content)
	v.AltScreen = true
	v.MouseMode = tea.MouseModeCellMotion
	v.WindowTitle = m.Title()
	return v
}

// Canvas draws the screen and returns it, to read until the next View.
func (m *Model) Canvas() *canvas.Canvas {
	if m.dirty {
		m.draw()
	}
	return m.Frame.Canvas
}

// draw draws the frame; a panic in it ends the dashboard with the next message.
func (m *Model) draw() {
	m.dirty = false
	var quit tea.Cmd
	defer m.caught(&quit)
	m.render()
	m.drawn = true
	if m.present != nil {
		m.present(m.Frame.Canvas, m.Frame.Changed(), m.Title())
	}
}
