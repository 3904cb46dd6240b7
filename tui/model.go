package tui

import (
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"

	"jouletop/engine/event"
	"jouletop/gpu/plaintext"
	"jouletop/tui/canvas"
	"jouletop/tui/screen"
	"jouletop/tui/theme"
)

// tab numbers the screens.
type tab int

const (
	screenLive tab = iota
	screenCurves
	screenSweep
	screenCompare
	screenWorkload
	screenSession
	screens
)

// Model is the dashboard's tea.Model.
type Model struct {
	opt  Options
	keys keyMap
	st   *state
	th   *theme.Theme
	pal  palette

	lay layout
	tab tab
	pic picture

	status   Status
	choices  Choices
	chosen   bool // the choices are known
	workload workloadView
	sessions sessionsView
	curves   curvesView
	compare  compareView
	points   int // first row of the sweep table shown, from the newest

	panel *clockPanel // open over the screen
	form  *form
	// formWanted: the form opens once the choices are known.
	formWanted bool
	line       *lineInput // a note, a path or a prompt being typed
	helping    bool
	helpPage   int
	asking     bool // whether to quit
	leaving    bool // waiting for the stream to close
	forced     bool // left without waiting
	broken     error
	noteShown  bool                                                  // tabNote's, on the top line
	untimed    bool                                                  // tests: nothing waits for a time or for the stream
	present    func(c *canvas.Canvas, s screen.Styler, title string) // shows a frame; nil: View's text is shown

	message  message
	frame    *canvas.Canvas
	previous *canvas.Canvas
	lines    []string
	content  string
	dirty    bool
	panels   map[string]*panel
	commands commands
	pending  int  // commands without an answer yet; a status may be older than they
	closed   bool // the stream
	hits     []hit
	draws    int // panels drawn; for tests and benchmarks
}

// palette is what the terminal says of its colours.
type palette struct {
	dark    bool
	profile colorprofile.Profile
	fixed   theme.Name // chosen by the operator or the options
}

func (p palette) theme() theme.Name {
	switch {
	case p.fixed != "":
		return p.fixed
	case p.profile <= colorprofile.ASCII && p.profile != colorprofile.Unknown:
		return theme.Plain
	case p.profile == colorprofile.ANSI && p.dark:
		return theme.Dark16
	case p.profile == colorprofile.ANSI:
		return theme.Light16
	case p.dark:
		return theme.Dark
	}
	return theme.Light
}

// message is a line shown in place of the hints for a while.
type message struct {
	text string
	bad  bool
	n    int // counts messages, so that an old timer does not end a new one
}

// Messages of the model's own.
type (
	readyMsg  struct{}         // the source has something
	frameMsg  struct{}         // time to take it
	statusMsg struct{ Status } // the controller's answer
	statusDue struct{}         // time to ask again
	expireMsg struct{ n int }  // a message has stood long enough
	choiceMsg struct {         // what can be run
		Choices
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
	m := &Model{
		opt: o, keys: newKeyMap(), st: newState(), panels: map[string]*panel{},
		frame: canvas.New(0, 0), previous: canvas.New(0, 0), dirty: true,
		pal: palette{dark: true, profile: colorprofile.TrueColor, fixed: o.Theme},
	}
	m.setTheme()
	if o.Controller != nil {
		m.status = Status{Policy: "none"}
	}
	return m
}

func (m *Model) setTheme() {
	m.th = theme.New(m.pal.theme())
	if m.pal.profile == colorprofile.ANSI256 {
		m.th = m.th.Indexed()
	}
	m.lines = nil // every row is written anew
	m.dirty = true
}

// Init asks the terminal for its ground and begins to read the stream.
func (m *Model) Init() tea.Cmd {
	cmds := []tea.Cmd{m.askStatus(), m.askChoices()}
	if m.opt.Theme == "" {
		cmds = append(cmds, tea.RequestBackgroundColor)
	}
	if m.opt.Source != nil {
		cmds = append(cmds, m.wait())
	}
	return tea.Batch(cmds...)
}

// wait turns the source's signal into a message.
func (m *Model) wait() tea.Cmd {
	if m.untimed {
		return nil
	}
	ready := m.opt.Source.Ready()
	return func() tea.Msg {
		<-ready
		return readyMsg{}
	}
}

// tick sends a message after a while.
func (m *Model) tick(d time.Duration, f func(time.Time) tea.Msg) tea.Cmd {
	if m.untimed {
		return nil
	}
	return tea.Tick(d, f)
}

func (m *Model) askStatus() tea.Cmd {
	if c := m.opt.Controller; c != nil {
		return func() tea.Msg { return statusMsg{c.Status()} }
	}
	return nil
}

func (m *Model) askChoices() tea.Cmd {
	c := m.opt.Controller
	if c == nil {
		return nil
	}
	return func() tea.Msg {
		choices, err := c.Choices()
		return choiceMsg{choices, err}
	}
}

// takeChoices takes what can be run, and opens the form that waited for it.
func (m *Model) takeChoices(msg choiceMsg) tea.Cmd {
	wanted := m.formWanted
	m.choices, m.chosen, m.formWanted, m.dirty = msg.Choices, true, false, true
	var cmds []tea.Cmd
	if msg.err != nil {
		cmds = append(cmds, m.say(msg.err.Error(), true))
	}
	if wanted {
		cmds = append(cmds, m.openForm())
	}
	return tea.Batch(cmds...)
}

// Update takes one message. A panic, which is a bug, ends the dashboard with an
// error, so that the session is saved and the terminal given back as always.
func (m *Model) Update(msg tea.Msg) (next tea.Model, cmd tea.Cmd) {
	defer m.caught(&cmd)
	return m, m.update(msg)
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
	case readyMsg:
		// What comes within a frame is taken together.
		return m.tick(time.Second/time.Duration(m.opt.FPS), func(time.Time) tea.Msg { return frameMsg{} })
	case frameMsg:
		return m.drain()
	case statusMsg:
		m.takeStatus(msg.Status)
		return m.tick(statusEvery, func(time.Time) tea.Msg { return statusDue{} })
	case statusOnce:
		m.takeStatus(msg.Status)
	case statusDue:
		return m.askStatus()
	case choiceMsg:
		return m.takeChoices(msg)
	case commandMsg:
		m.pending--
		return m.commandDone(doneMsg(msg))
	case formMsg:
		return m.formAnswered(msg)
	case doneMsg:
		return m.commandDone(msg)
	case workloadMsg:
		m.workload.take(msg)
		m.dirty = true
	case sessionsMsg, detailMsg:
		m.dirty = true
		return m.sessions.take(m, msg)
	case expireMsg:
		if msg.n == m.message.n && m.message.text != "" {
			m.message.text = ""
			m.dirty = true
		}
	case signalMsg:
		return m.leave()
	case tea.KeyPressMsg:
		m.dirty = true
		return m.key(msg)
	case tea.PasteMsg:
		m.dirty = true
		return m.paste(msg.Content)
	case tea.MouseClickMsg:
		m.dirty = true
		return m.click(msg.Mouse())
	case tea.MouseWheelMsg:
		m.dirty = true
		return m.wheel(msg.Mouse())
	}
	return nil
}

// drain takes what the source has.
func (m *Model) drain() tea.Cmd {
	events, closed := m.opt.Source.Drain()
	m.Apply(events...)
	if !closed {
		return m.wait()
	}
	m.closed = true
	if m.leaving {
		return tea.Quit
	}
	return nil
}

// Apply folds events in without a source; for tests, benchmarks and pictures.
func (m *Model) Apply(events ...event.Event) {
	for _, e := range events {
		m.st.apply(e)
		if e, ok := e.(event.Error); ok {
			// Until a key is pressed: it may come while nobody looks.
			m.message = message{text: causeFirst(e.Text), bad: true, n: m.message.n + 1}
		}
	}
	m.st.age()
	m.pic.follow(m.st)
	m.dirty = true
}

func (m *Model) resize(w, h int) {
	m.lay = computeLayout(w, h, m.panel != nil)
	clear(m.panels)
	m.lines = nil
	m.dirty = true
}

// causeFirst words an error for one line, which may end early: what happened,
// then where. What else there is stands on the session's screen.
func causeFirst(text string) string {
	text, _, _ = strings.Cut(text, "; its last words")
	where, what, ok := strings.Cut(text, ": ")
	if !ok || !strings.HasPrefix(where, "point ") {
		return text
	}
	return what + " (" + where + ")"
}

// say shows a message for a while.
func (m *Model) say(text string, bad bool) tea.Cmd {
	m.message = message{text: text, bad: bad, n: m.message.n + 1}
	m.dirty = true
	n := m.message.n
	return m.tick(messageStands, func(time.Time) tea.Msg { return expireMsg{n} })
}

// do hands a command to the controller from a goroutine of its own, after those
// given before it: of two clocks typed in a row the second must win. Its answer
// comes back as a message, and the status is asked again.
func (m *Model) do(f func(c Controller) (string, error)) tea.Cmd {
	c := m.opt.Controller
	if c == nil {
		return m.say("there is nothing to command here", true)
	}
	m.pending++
	q := &m.commands
	q.add(f)
	return func() (msg tea.Msg) {
		defer func() {
			if r := recover(); r != nil {
				msg = commandMsg{err: fmt.Errorf("internal error: %v (at %s)", r, origin())}
			}
		}()
		text, err := q.next(c)
		return commandMsg{text, err}
	}
}

// commands are those given to the controller, oldest first. Each goroutine takes
// the next one, not its own, so that their order does not depend on the
// scheduler.
type commands struct {
	mu      sync.Mutex
	waiting []func(c Controller) (string, error)
	running sync.Mutex
}

func (q *commands) add(f func(c Controller) (string, error)) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = append(q.waiting, f)
}

// next runs the oldest command and returns its answer.
func (q *commands) next(c Controller) (string, error) {
	q.running.Lock()
	defer q.running.Unlock()
	q.mu.Lock()
	f := q.waiting[0]
	q.waiting = q.waiting[1:]
	q.mu.Unlock()
	return f(c)
}

// takeStatus shows a status, unless a command is on its way that it knows
// nothing of.
func (m *Model) takeStatus(s Status) {
	if m.pending == 0 {
		m.status = s
		m.dirty = true
	}
	if s.NowNS > 0 {
		m.st.present = s.NowNS
		m.st.age()
	}
}

func (m *Model) commandDone(d doneMsg) tea.Cmd {
	c := m.opt.Controller
	fresh := func() tea.Msg { return statusOnce{c.Status()} }
	if c == nil {
		fresh = nil
	}
	switch {
	case d.err != nil:
		return tea.Batch(m.say(d.err.Error(), true), fresh)
	case d.text != "":
		return tea.Batch(m.say(d.text, false), fresh)
	}
	return fresh
}

// gpuID is the GPU whose readings are shown.
func (m *Model) gpuID() string {
	if len(m.st.gpus) == 0 {
		if len(m.opt.GPUs) > 0 {
			return m.opt.GPUs[0].ID()
		}
		return ""
	}
	return m.st.gpus[m.pic.gpu%len(m.st.gpus)]
}

// simulated tells whether the screens are marked.
func (m *Model) simulated() bool {
	return m.opt.Simulated || m.st.run.Simulated || strings.HasPrefix(m.gpuID(), "sim:")
}

// View returns the screen. Where a terminal of our own shows the frames, it is
// handed the cells, and the text is left out.
func (m *Model) View() tea.View {
	if m.dirty {
		m.draw()
	}
	v := tea.NewView(m.content)
	v.AltScreen = true
	v.MouseMode = tea.MouseModeCellMotion
	v.WindowTitle = m.title()
	return v
}

// Canvas draws the screen and returns it, to read until the next View.
func (m *Model) Canvas() *canvas.Canvas {
	if m.dirty {
		m.draw()
	}
	return m.frame
}

// draw draws the frame; a panic in it ends the dashboard with the next message.
func (m *Model) draw() {
	m.dirty = false
	var quit tea.Cmd
	defer m.caught(&quit)
	m.render()
	if m.present != nil {
		m.present(m.frame, m.th, m.title())
	} else {
		m.write()
	}
}

// Theme returns the theme in force.
func (m *Model) Theme() *theme.Theme { return m.th }

func (m *Model) title() string {
	t := "jouletop"
	if m.simulated() {
		t += " SIMULATED"
	}
	if id := m.gpuID(); id != "" {
		t += " " + id
	}
	if m.st.work.inPoint && m.st.work.model != "" {
		t += " · " + m.st.work.model
	}
	return plaintext.Line(t)
}
