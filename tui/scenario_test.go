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

	"jouletop/engine/event"
	"jouletop/gpu"
	"jouletop/tui"
	"jouletop/tui/internal/synth"
	"jouletop/tui/shot"
	"jouletop/tui/theme"
)

var update = flag.Bool("update", false, "write the golden files anew")

// driver presses keys on a model and runs its commands at once.
type driver struct {
	t testing.TB
	m *tui.Model
	c *synth.Control
	// seen is every event so far, to show to another model.
	seen []event.Event
}

func newDriver(t testing.TB, o tui.Options) *driver {
	d := unasked(t, o)
	d.refresh()
	return d
}

// unasked is a driver whose model has asked its controller nothing yet.
func unasked(t testing.TB, o tui.Options) *driver {
	g := synth.New(1)
	c := synth.NewControl(g)
	o.Source, o.Controller = c, c
	o.Simulated = true
	o.PricePerKWh = 0.30
	o.Analyse = synth.Analyse
	if o.GPUs == nil {
		o.GPUs = []gpu.Info{synth.Info()}
	}
	o.Wall = func() time.Time { return time.Date(2026, 11, 22, 9, 41, 0, 0, time.UTC) }
	d := &driver{t: t, m: tui.New(o), c: c}
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
	d.c.Step(by)
	events, _ := d.c.Drain()
	d.seen = append(d.seen, events...)
	d.m.Apply(events...)
}

var named = map[string]tea.Key{
	"enter": {Code: tea.KeyEnter}, "esc": {Code: tea.KeyEscape}, "tab": {Code: tea.KeyTab}, "up": {Code: tea.KeyUp},
	"down": {Code: tea.KeyDown}, "left": {Code: tea.KeyLeft}, "right": {Code: tea.KeyRight}, "end": {Code: tea.KeyEnd},
	"home": {Code: tea.KeyHome}, "pgup": {Code: tea.KeyPgUp}, "pgdown": {Code: tea.KeyPgDown}, "space": {Code: tea.KeySpace, Text: " "},
	"backspace": {Code: tea.KeyBackspace}, "shift+tab": {Code: tea.KeyTab, Mod: tea.ModShift}, "ctrl+c": {Code: 'c', Mod: tea.ModCtrl},
}

// press presses keys, by name or one letter each.
func (d *driver) press(keys ...string) {
	for _, k := range keys {
		key, ok := named[k]
		if !ok {
			r := []rune(k)
			key = tea.Key{Code: r[0], Text: k}
		}
		d.send(tea.KeyPressMsg(key))
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

// session plays the session that the golden screens show: a sweep of two models,
// then a comparison of two policies, then a job with a clock change in the middle.
func (d *driver) session() {
	g := d.c.Gen
	g.Add(synth.Sweep([]string{"llama-3.2-1b", "llama-3.1-8b"}, []int{1980, 600, 1200, 960, 1500, 345, 1755}, []int{1}, 2, 4)...)
	for rep := 1; rep <= 3; rep++ {
		for _, p := range []string{"fixed:1980", "phase:1980/1005"} {
			g.Add(synth.CompareJob(p, rep, "llama-3.2-1b", "truthfulqa", 6))
		}
	}
	g.Begin("sweep", "none")
	for !g.Idle() {
		d.step(time.Second)
	}
	d.step(time.Second)
	for _, e := range []func(at event.At) event.Event{
		func(at event.At) event.Event { return event.Mark{At: at, Note: "fan noise changes here"} },
		func(at event.At) event.Event {
			return event.Warning{At: at, Text: "another process uses the GPU: python (pid 4711), its energy is counted as ours"}
		},
		func(at event.At) event.Event {
			return event.PolicyNote{At: at, Text: "switch skipped: prefill of 9 ms is shorter than the break-even of 41 ms"}
		},
	} {
		g.Put(e)
	}
	g.Add(synth.Job{Point: event.Point{PointID: "job", GPU: synth.ID, Model: "llama-3.2-1b", Dataset: "boolq", BatchSize: 4, Policy: "phase:1980/1005", Queries: 400, Repeat: 1},
		MaxTokens: 100, Prefill: 1980, Decode: 1005})
	g.Begin("run", "phase:1980/1005")
	for range 76 {
		d.step(250 * time.Millisecond)
	}
	d.refresh()
}

// screens are the golden screens: what to press from the live screen to get
// there.
var goldenScreens = []struct {
	name string
	keys []string
}{
	{"live", nil},
	{"live-minute", []string{"w"}},
	{"clock", []string{"a", "f", "1", "0", "0", "5"}},
	{"curves", []string{"2"}},
	{"sweep", []string{"3"}},
	{"plan", []string{"3", "n", "down", "down"}},
	{"compare", []string{"4"}},
	{"workload", []string{"5", "down"}},
	{"session", []string{"6", "down", "enter"}},
	{"help", []string{"?"}},
}

var goldenSizes = []struct {
	name string
	w, h int
}{{"80x24", 80, 24}, {"120x40", 120, 40}, {"200x60", 200, 60}}

func TestGoldenScreens(t *testing.T) {
	look := os.Getenv("JOULETOP_LOOK") // a folder for pictures of every screen
	played := newDriver(t, tui.Options{})
	played.session()
	for _, sc := range goldenScreens {
		d := newDriver(t, tui.Options{Theme: theme.Dark, Version: "test"})
		d.size(120, 40)
		d.c.Gen = played.c.Gen
		d.m.Apply(played.seen...)
		d.refresh()
		d.press(sc.keys...)
		for _, size := range goldenSizes {
			d.size(size.w, size.h)
			for _, th := range []theme.Name{theme.Dark, theme.Light, theme.Plain} {
				d.m.SetTheme(th)
				name := sc.name + "-" + size.name + "-" + string(th)
				t.Run(name, func(t *testing.T) {
					golden(t, name, ansiOf(t, d.m))
				})
				if look != "" && th != theme.Plain {
					var b bytes.Buffer
					if err := shot.SVG(&b, d.m.Canvas(), d.m.Theme(), name); err != nil {
						t.Fatal(err)
					}
					if err := os.WriteFile(filepath.Join(look, name+".svg"), b.Bytes(), 0o644); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
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
		t.Errorf("differs from %s (renew with -update after looking):\n%s", path, got)
	}
}
