package tui_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"jouletop/engine/command"
	"jouletop/engine/event"
	"jouletop/tui"
	"jouletop/tui/internal/recorded"
	"jouletop/tui/shot"
	"jouletop/tui/theme"
	"jouletop/tui/view"
)

var update = flag.Bool("update", false, "write the golden files anew")

// opened reads one of the recorded sessions: "run" is a policy on eight requests at
// once with all its telemetry, "sweep" a dashboard's session with a sweep of two
// models, a comparison of two policies, a clock set by hand and a mark, "serving"
// requests as they come, four slots for them.
func opened(t testing.TB, name string) *recorded.Session {
	t.Helper()
	s, err := recorded.Open(filepath.Join("testdata", "sessions", name))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// driver presses keys on a model, runs its commands at once and plays a recorded
// session to it.
type driver struct {
	t      testing.TB
	m      *tui.Model
	c      *recorded.Calls
	player *recorded.Player
	now    int64         // of the player, ns
	seen   []event.Event // so far
}

func newDriver(t testing.TB, o tui.Options, session string) *driver {
	d := unasked(t, o, session)
	d.refresh()
	return d
}

// unasked is a driver whose model has asked its controller nothing yet.
func unasked(t testing.TB, o tui.Options, session string) *driver {
	s := opened(t, session)
	c := recorded.NewCalls(s, opened(t, "sweep"), opened(t, "run"))
	o.Source, o.Controller = c, c
	o.Simulated = true
	o.PricePerKWh = 0.30
	if o.GPUs == nil {
		o.GPUs = s.GPUs
	}
	o.Wall = func() time.Time { return time.Date(2026, 11, 22, 9, 41, 0, 0, time.UTC) }
	d := &driver{t: t, m: tui.New(o), c: c, player: recorded.NewPlayer(s)}
	d.m.Untimed()
	return d
}

// send gives the model a message and runs what it asks for.
func (d *driver) send(msg tea.Msg) {
	_, cmd := d.m.Update(msg)
	d.run(cmd)
}

// run runs a command to its end, and what comes of it.
func (d *driver) run(cmd tea.Cmd) {
	if cmd == nil {
		return
	}
	switch msg := cmd().(type) {
	case nil, tea.QuitMsg:
	case tea.BatchMsg:
		for _, c := range msg {
			d.run(c)
		}
	default:
		d.send(msg)
	}
}

// refresh has the model ask for status and choices, as a program's start does.
func (d *driver) refresh() { d.run(d.m.Init()) }

func (d *driver) size(w, h int) { d.send(tea.WindowSizeMsg{Width: w, Height: h}) }

// step lets the session go on and the model see it.
func (d *driver) step(by time.Duration) {
	d.now += int64(by)
	d.see(d.player.Until(d.now)...)
}

// see shows the model events, after those that were put to its source.
func (d *driver) see(events ...event.Event) {
	put, _ := d.c.Drain()
	d.seen = append(append(d.seen, put...), events...)
	d.m.Apply(append(put, events...)...)
}

var named = map[string]tea.Key{
	"enter": {Code: tea.KeyEnter}, "esc": {Code: tea.KeyEscape}, "tab": {Code: tea.KeyTab}, "up": {Code: tea.KeyUp},
	"down": {Code: tea.KeyDown}, "left": {Code: tea.KeyLeft}, "right": {Code: tea.KeyRight}, "end": {Code: tea.KeyEnd},
	"home": {Code: tea.KeyHome}, "pgup": {Code: tea.KeyPgUp}, "pgdown": {Code: tea.KeyPgDown}, "space": {Code: tea.KeySpace, Text: " "},
	"backspace": {Code: tea.KeyBackspace}, "shift+up": {Code: tea.KeyUp, Mod: tea.ModShift}, "shift+down": {Code: tea.KeyDown, Mod: tea.ModShift}, "shift+tab": {Code: tea.KeyTab, Mod: tea.ModShift}, "ctrl+c": {Code: 'c', Mod: tea.ModCtrl},
}

// press presses keys, by name or one letter each.
func (d *driver) press(keys ...string) {
	for _, k := range keys {
		if key, ok := named[k]; ok {
			d.send(tea.KeyPressMsg(key))
			continue
		}
		d.send(view.Press(k))
	}
}

// typeText presses the letters of text.
func (d *driver) typeText(text string) {
	for _, r := range text {
		d.send(tea.KeyPressMsg(tea.Key{Code: r, Text: string(r)}))
	}
}

func (d *driver) screen() string {
	return d.m.Canvas().Plain()
}

func (d *driver) wants(parts ...string) {
	d.t.Helper()
	s := d.screen()
	for _, p := range parts {
		if !strings.Contains(s, p) {
			d.t.Errorf("the screen does not show %q:\n%s", p, s)
		}
	}
}

// gpu is the session's.
func (d *driver) gpu() string { return opened(d.t, "run").GPUs[0].ID() }

// whole plays the session to its end.
func (d *driver) whole() {
	d.now = d.player.Length()
	d.step(0)
	d.refresh()
}

// midRun is a moment of the session "run" in which it decodes, midServing one of the
// session "serving" in which all its slots are taken.
const (
	midRun     = 9200 * time.Millisecond
	midServing = 3400 * time.Millisecond
)

// goldenScreens are the screens that are kept: every page, every panel, and what else
// there is to be seen; of which session at which moment (0: its end), and what to press
// from the live screen to get there.
var goldenScreens = []struct {
	name    string
	session string
	at      time.Duration
	keys    string // with blanks between them
	mode    tui.Mode
	tell    func(*command.Status)
}{
	{name: "live", session: "run", at: midRun},
	{name: "live-minute", session: "run", at: midRun, keys: "w"},
	{name: "live-serving", session: "serving", at: midServing, keys: "w w w w"},
	{name: "live-slots", session: "serving", at: midServing, keys: "w w w w l"},
	{name: "live-idle", session: "sweep"},
	{name: "live-monitor", session: "run", at: midRun, mode: tui.Monitor},
	{name: "live-replay", session: "run", at: midRun, mode: tui.Playback, tell: func(s *command.Status) {
		s.Replay = &command.Replay{StartNS: 0, EndNS: int64(20 * time.Second), AtNS: int64(midRun), Speed: 2}
	}},
	{name: "curves", session: "sweep", keys: "2"},
	{name: "sweep", session: "sweep", keys: "3"},
	{name: "compare", session: "sweep", keys: "4"},
	{name: "workload", session: "sweep", keys: "5 down"},
	{name: "session", session: "sweep", keys: "6 down enter"},
	{name: "rows", session: "sweep", keys: "7 v right right right right right right o down down"},
	{name: "clock", session: "run", at: midRun, keys: "a f 1 0 0 5"},
	{name: "job", session: "sweep", keys: "n down down x"},
	{name: "plan", session: "sweep", keys: "3 n down down"},
	{name: "jobs", session: "run", at: midRun, keys: "j down", tell: func(s *command.Status) {
		s.Queue = []command.Queued{
			{ID: 1, Name: "llama-3.1-8b on narrativeqa", Running: true, Points: 1, Requests: 60, Seconds: 42},
			{ID: 2, Name: "sweep of 5 clocks", Points: 30, Requests: 240, Seconds: 720, Rough: true},
		}
	}},
	{name: "prompt", session: "run", at: midRun, keys: "p W h y ctrl+j ?"},
	{name: "note", session: "run", at: midRun, keys: "m h o t"},
	{name: "quitting", session: "run", at: midRun, keys: "q"},
	{name: "details", session: "sweep", keys: "3 down down enter"},
	{name: "terms", session: "sweep", keys: "7 v right right right i"},
	{name: "help", session: "run", at: midRun, keys: "?"},
}

// goldenThemes are the themes of a size: all of them at one, where every part of a page
// is to be seen; what a theme changes does not depend on the size.
func goldenThemes(size string) []theme.Name {
	if size == "120x40" {
		return theme.Names
	}
	return []theme.Name{theme.Dark}
}

var goldenSizes = []struct {
	name string
	w, h int
}{{"80x24", 80, 24}, {"120x40", 120, 40}, {"200x60", 200, 60}}

func TestGoldenScreens(t *testing.T) {
	left := map[string]bool{} // files of screens that are no more
	files, err := filepath.Glob(filepath.Join("testdata", "golden", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		left[strings.TrimSuffix(filepath.Base(f), ".ansi")] = true
	}
	for _, sc := range goldenScreens {
		d := unasked(t, tui.Options{Theme: theme.Dark, Version: "test", Mode: sc.mode}, sc.session)
		if sc.tell != nil {
			d.c.Tell(sc.tell)
		}
		d.refresh()
		d.size(120, 40)
		if sc.at == 0 {
			d.whole()
		}
		d.step(sc.at)
		d.press("esc") // what is told over the page has been seen
		d.press(strings.Fields(sc.keys)...)
		for _, size := range goldenSizes {
			d.size(size.w, size.h)
			for _, th := range goldenThemes(size.name) {
				d.m.SetTheme(th)
				name := sc.name + "-" + size.name + "-" + string(th)
				delete(left, name)
				t.Run(name, func(t *testing.T) {
					golden(t, name, ansiOf(t, d.m))
				})
				if th == theme.Dark {
					picture(t, d.m, name)
				}
			}
		}
	}
	for name := range left {
		if *update {
			if err := os.Remove(filepath.Join("testdata", "golden", name+".ansi")); err != nil {
				t.Error(err)
			}
		} else {
			t.Errorf("%s is of no screen: renew with -update", name)
		}
	}
}

// picture writes a picture of the screen into the folder JOULETOP_LOOK, where it is set.
func picture(t testing.TB, m *tui.Model, name string) {
	look := os.Getenv("JOULETOP_LOOK")
	if look == "" {
		return
	}
	var b bytes.Buffer
	if err := shot.SVG(&b, m.Canvas(), m.Theme(), name); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(look, name+".svg"), b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

func ansiOf(t testing.TB, m *tui.Model) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := shot.ANSI(&b, m.Canvas()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", "golden", name+".ansi")
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		was, is := strings.Split(string(want), "\n"), strings.Split(string(got), "\n")
		for i := range max(len(was), len(is)) {
			row := func(of []string) string {
				if i >= len(of) {
					return "(no such row)"
				}
				return of[i]
			}
			if row(was) != row(is) {
				t.Errorf("row %d differs from %s (renew with -update after looking), which has\n%s\nnot\n%s", i, path, row(was), row(is))
				return
			}
		}
	}
}
