package tui_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"

	"jouletop/engine/command"
	"jouletop/engine/event"
	"jouletop/gpu"
	"jouletop/tui"
	"jouletop/tui/theme"
)

// started is a driver with a job under way.
func started(t *testing.T, o tui.Options) *driver {
	if o.Theme == "" {
		o.Theme = theme.Dark
	}
	d := newDriver(t, o, "run")
	d.size(120, 40)
	d.step(4 * time.Second)
	return d
}

// told has the controller say something else of itself from now on.
func (d *driver) told(change func(s *command.Status)) {
	d.c.Tell(change)
	d.refresh()
}

func (d *driver) called(want string) {
	d.t.Helper()
	if made := d.c.Made(); !slices.Contains(made, want) {
		d.t.Errorf("the controller was not asked for %q; calls: %q", want, made)
	}
}

func TestSetClockInMidRun(t *testing.T) {
	d := started(t, tui.Options{})
	d.wants("SIMULATED", "sim:h100", "1005→1005 MHz", "not armed", "J/token", "llama-3.1-8b")
	d.press("f")
	d.wants("Not armed: a arms", "▸ 1005 MHz", "J/token at batch 8")
	d.c.Refuse(errors.New("clock control is not armed: press a"))
	d.press("9", "6", "0", "enter")
	d.called("clock  960")
	d.wants("not armed: press a") // the controller's refusal, in its own words
	d.c.Refuse(nil)
	d.press("a")
	d.called("arm true")
	d.told(func(s *command.Status) { s.Armed, s.Policy = true, "fixed:960" })
	d.wants("ARMED", "Armed: Enter sets at once", "fixed:960")
	now := event.At{TimeNS: d.now + int64(300*time.Millisecond)}
	d.see(event.Sample{At: now, GPU: d.gpu(), RequestedSMMHz: 960, Sample: gpu.Sample{SMMHz: 960}})
	d.wants("960→ 960 MHz")
	d.press("tab", "tab", "9", "9", "0", "enter")
	d.called("clock decode 990")
	d.press("r")
	d.called("give back")
	d.press("esc")
	if s := d.screen(); strings.Contains(s, "J/token at batch 8") {
		t.Error("Esc did not close the clock panel")
	}
}

func TestClockPanelPolicyAndWrongClock(t *testing.T) {
	d := started(t, tui.Options{})
	d.press("a", "f", "p", "p")
	d.wants("Enter sets policy phase:1980/1005")
	d.press("enter")
	d.called("policy phase:1980/1005")
	d.press("1", "0", "0", "1", "enter")
	d.wants("unsupported SM clock: 1001 MHz: the nearest are 990 and 1005 MHz")
	d.press("home", "down", "pgdown", "up", "enter")
	if last := d.c.Last(); !strings.HasPrefix(last, "clock  ") {
		t.Errorf("arrows and Enter asked for %q", last)
	}
}

func TestNoPermissionIsExplained(t *testing.T) {
	d := started(t, tui.Options{})
	d.c.Refuse(fmt.Errorf("%w: run as root", gpu.ErrNoPermission))
	d.press("a")
	d.wants("no permission: run as root")
	d.wants("not armed")
}

func TestMouse(t *testing.T) {
	d := started(t, tui.Options{})
	lines := strings.Split(d.screen(), "\n")
	d.send(tea.MouseClickMsg{X: strings.Index(lines[0], "3 Sweep"), Y: 0, Button: tea.MouseLeft})
	d.wants("Points, newest first")
	d.press("1", "f", "home")
	for y, l := range strings.Split(d.screen(), "\n") {
		if x := strings.Index(l, "1965 MHz"); x > 0 {
			d.send(tea.MouseClickMsg{X: len([]rune(l[:x])) + 1, Y: y, Button: tea.MouseLeft})
		}
	}
	if slices.Contains(d.c.Made(), "clock  1965") {
		t.Error("a click alone set the clock")
	}
	d.wants("▸ 1965 MHz")
	d.press("enter")
	d.called("clock  1965")
	d.send(tea.MouseWheelMsg{X: 110, Y: 10, Button: tea.MouseWheelDown})
	d.wants("▸ 1920 MHz")
}

func TestJobPromptAndMark(t *testing.T) {
	d := started(t, tui.Options{})
	d.press("n")
	d.wants("New job", "llama-3.2-1b", "boolq")
	d.press("right", "down", "right", "down", "backspace", "8", "down", "x", "enter")
	d.wants(`queries: "32x" is not a whole number`)
	d.press("backspace", "enter")
	d.called("job {Model:llama-3.2-3b Dataset:hellaswag Batch:8 Queries:32 MaxTokens:100 Repeats:1 Policy: Until:}")

	d.press("p")
	d.send(tea.PasteMsg{Content: "why is\nthe sky"})
	d.typeText(" blue?")
	d.wants("Prompt", "why is", "the sky blue?")
	d.press("enter")
	d.called("prompt why is\nthe sky blue?")
	d.send(tea.PasteMsg{Content: "pasted out of the blue"})
	d.press("enter")
	d.called("prompt pasted out of the blue")

	d.press("m")
	d.typeText("quiet fan; qfr5")
	d.press("enter")
	d.called("mark quiet fan; qfr5")
	d.see(event.Mark{At: event.At{TimeNS: d.now}, Note: "quiet fan; qfr5"})
	d.press("6")
	d.wants("quiet fan; qfr5", "1 mark")
	d.press("m", "x", "esc")
	if slices.Contains(d.c.Made(), "mark x") {
		t.Error("Esc did not take back a note")
	}
}

// TestErrorStands until somebody has pressed a key, its cause first.
func TestErrorStands(t *testing.T) {
	d := started(t, tui.Options{})
	d.size(80, 24)
	d.c.Put(event.Error{At: event.At{TimeNS: 5e9},
		Text:    "point j3.15m.narrativeqa.b2.r1: backend died: process 4711 was killed (SIGKILL); its last words: a | b",
		PointID: "j3.15m.narrativeqa.b2.r1", What: "backend died: process 4711 was killed (SIGKILL)", LastWords: "a | b"})
	for range 20 {
		d.step(100 * time.Millisecond)
	}
	d.wants("backend died: process 4711 was killed (SIGKILL) (point j3.")
	d.press("1")
	if n := strings.Count(d.screen(), "backend died"); n != 1 {
		t.Errorf("after a key it stands %d times, not over the page alone", n)
	}
	d.press("esc")
	if strings.Contains(d.screen(), "backend died") {
		t.Error("it stands after it was seen")
	}
}

func TestSweepFromTheKeyboard(t *testing.T) {
	d := started(t, tui.Options{})
	d.press("3", "n")
	d.wants("New sweep", "345:1980:7")
	d.press("right", "right", "space", "down", "right", "space", "down")
	for range len("345:1980:7") {
		d.press("backspace")
	}
	d.typeText("960,1980")
	d.press("enter")
	d.called("sweep {Models:[llama-3.2-1b llama-3.1-8b] Datasets:[boolq hellaswag] Clocks:960,1980 Knobs:[] Policies:[] Batches:[1] Repeats:3 Queries:8 MaxTokens:100 Until:}")
	d.press("z")
	d.called("pause")
	d.told(func(s *command.Status) { s.Paused = true })
	d.wants("RUN PAUSED")
	d.press("z", "k", "x")
	d.called("resume")
	d.called("skip")
	d.called("stop")
}

// A form that the controller refuses stays open with the reason, and what is
// typed goes on going into it.
func TestRefusedFormStaysOpen(t *testing.T) {
	d := started(t, tui.Options{})
	d.c.Refuse(errors.New("unsupported SM clock: 7 MHz"))
	d.press("3", "n", "down", "down")
	for range len("345:1980:7") {
		d.press("backspace")
	}
	d.typeText("7")
	d.press("enter")
	d.wants("New sweep", "unsupported SM clock: 7 MHz")
	d.press("backspace")
	d.typeText("q")
	d.wants("New sweep")
	if slices.Contains(d.c.Made(), "end") {
		t.Error("typing into the form quit")
	}
	d.press("backspace")
	d.typeText("345")
	d.c.Refuse(nil)
	d.press("enter")
	if s := d.screen(); strings.Contains(s, "New sweep") {
		t.Error("the form stays open though the sweep has started")
	}
}

// The key bar ends with what explains and what leaves, at every size, and the
// help cuts nothing.
func TestKeysEndWithHelpAndQuit(t *testing.T) {
	for _, w := range []int{60, 80, 120, 200} {
		d := started(t, tui.Options{})
		d.size(w, 24)
		for _, tab := range []string{"1", "2", "3", "4", "5", "6", "7"} {
			d.press(tab)
			lines := strings.Split(strings.TrimRight(d.screen(), "\n"), "\n")
			if bar := strings.TrimSpace(lines[len(lines)-1]); !strings.HasSuffix(bar, "? help  q quit") {
				t.Errorf("%d columns, screen %s: %q", w, tab, bar)
			}
		}
		d.press("?")
		for range 8 {
			for l := range strings.Lines(d.screen()) {
				if strings.Contains(l, "│") && strings.Contains(l, "…") && strings.HasPrefix(l, "│") {
					t.Errorf("%d columns: help is cut: %q", w, l)
				}
			}
			d.press("down")
		}
	}
}

// What must be seen is seen on every screen.
func TestAlarm(t *testing.T) {
	d := started(t, tui.Options{})
	d.told(func(s *command.Status) { s.Alarm = "recording failed: no space left on device" })
	for _, tab := range []string{"1", "2", "3", "4", "5", "6", "f", "?"} {
		d.press(tab)
		d.wants("recording failed: no space left")
	}
	d.told(func(s *command.Status) { s.Alarm = "" })
	if strings.Contains(d.screen(), "recording failed") {
		t.Error("the alarm outlasts its cause")
	}
}

func TestCompareFromTheKeyboard(t *testing.T) {
	d := started(t, tui.Options{})
	d.press("4", "n")
	d.wants("policy A     none", "phase:1980/1005")
	d.press("enter")
	d.called("sweep {Models:[llama-3.2-1b] Datasets:[truthfulqa] Clocks: Knobs:[] Policies:[none phase:1980/1005] Batches:[1] Repeats:3 Queries:8 MaxTokens:100 Until:}")
}

func TestQuit(t *testing.T) {
	d := started(t, tui.Options{})
	d.press("q")
	d.wants("End it after the running batch")
	d.press("esc")
	if slices.Contains(d.c.Made(), "end") {
		t.Fatal("Esc did not take back the quit")
	}
	d.press("q", "q")
	d.called("end")
	d.wants("STOPPING", "everything is saved")
}

func TestExportAndSave(t *testing.T) {
	dir := t.TempDir()
	d := started(t, tui.Options{SaveDir: dir})
	d.press("e")
	d.typeText("/tmp/out")
	d.press("enter")
	d.wants("exported to /tmp/out")
	want := d.screen()
	d.press("s")
	plain, err := os.ReadFile(filepath.Join(dir, "jouletop-20261122-094100.txt"))
	if err != nil {
		t.Fatal(err)
	}
	colour, err := os.ReadFile(filepath.Join(dir, "jouletop-20261122-094100.ansi"))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(plain), "\x1b") || !strings.Contains(string(colour), "\x1b[") {
		t.Error("the plain file has colours or the coloured none")
	}
	firstLines := func(s string) string { return strings.Join(strings.Split(s, "\n")[:38], "\n") }
	if firstLines(string(plain)) != firstLines(want) {
		t.Errorf("saved\n%s\nof\n%s", plain, want)
	}
}

func TestFreezeAndScroll(t *testing.T) {
	d := started(t, tui.Options{})
	d.step(30 * time.Second)
	d.press("space")
	d.wants("FROZEN at 0:00:34")
	before := chartRows(d)
	for range 20 {
		d.step(100 * time.Millisecond)
	}
	if chartRows(d) != before {
		t.Error("the frozen picture moved")
	}
	d.press("left", "left")
	if chartRows(d) == before {
		t.Error("scrolling back changed nothing")
	}
	d.wants("FROZEN at 0:00:29")
	d.press("end")
	if s := d.screen(); strings.Contains(s, "FROZEN") {
		t.Error("End did not go back to the newest")
	}
}

// chartRows is the part of the live screen with the power profile.
func chartRows(d *driver) string {
	var out []string
	for _, l := range strings.Split(d.screen(), "\n")[14:22] {
		out = append(out, string([]rune(l)[:80]))
	}
	return strings.Join(out, "\n")
}

func TestMonitor(t *testing.T) {
	d := newDriver(t, tui.Options{Mode: tui.Monitor, Theme: theme.Dark}, "run")
	d.size(120, 40)
	d.see(slices.DeleteFunc(d.player.Until(int64(4*time.Second)), func(e event.Event) bool { return !event.Telemetry(e) })...)
	d.wants("MONITOR: watching only", "no program is on the GPU", "read-only", "power", "throttle")
	d.press("n")
	d.wants("nothing is run in this mode")
	d.press("f", "enter")
	d.wants("Read-only: knobs are shown, never set", "nothing is run in this mode")
}

func TestReplayKeys(t *testing.T) {
	d := started(t, tui.Options{Mode: tui.Playback})
	d.told(func(s *command.Status) { s.Replay = &command.Replay{EndNS: 600e9, AtNS: 100e9, Speed: 1} })
	d.wants("REPLAY 1x 0:01:40 of 0:10:00")
	d.press("]", ".", "<", "<", "space")
	d.called("speed 2")
	d.called("seek 110000000000")
	d.called("seek 50000000000")
	d.called("seek 0")
	d.called("speed 0")
	d.wants("REPLAY held")
	d.press("space")
	if last := d.c.Last(); last != "speed 2" {
		t.Errorf("going on asked for %q, want the speed before", last)
	}
}

// A replay that is moved back begins its stream again.
func TestReplayBeginsAgain(t *testing.T) {
	d := started(t, tui.Options{})
	d.step(10 * time.Second)
	d.wants("0:00:14")
	d.see(event.RunStart{At: event.At{TimeNS: 0}, Name: "run", GPU: d.gpu(), Requests: 10},
		event.Sample{At: event.At{TimeNS: 2e9}, GPU: d.gpu(), Sample: gpu.UnknownSample()})
	d.wants("0:00:02", "0/10 requests")
}

func TestTerminalsColours(t *testing.T) {
	for _, tt := range []struct {
		msgs []tea.Msg
		want theme.Name
	}{
		{[]tea.Msg{tea.ColorProfileMsg{Profile: colorprofile.TrueColor}, tea.BackgroundColorMsg{Color: white{}}}, theme.Light},
		{[]tea.Msg{tea.ColorProfileMsg{Profile: colorprofile.ANSI256}}, theme.Dark},
		{[]tea.Msg{tea.ColorProfileMsg{Profile: colorprofile.ANSI}}, theme.Dark16},
		{[]tea.Msg{tea.BackgroundColorMsg{Color: white{}}, tea.ColorProfileMsg{Profile: colorprofile.ANSI}}, theme.Light16},
		{[]tea.Msg{tea.ColorProfileMsg{Profile: colorprofile.ASCII}}, theme.Plain},
	} {
		m := tui.New(tui.Options{})
		for _, msg := range tt.msgs {
			m.Update(msg)
		}
		if got := m.Theme().Name; got != tt.want {
			t.Errorf("after %v: theme %s, want %s", tt.msgs, got, tt.want)
		}
	}
}

type white struct{}

func (white) RGBA() (r, g, b, a uint32) { return 0xffff, 0xffff, 0xffff, 0xffff }

// Each prefill is seen, on the smallest screen too, in the strip and with its power in the
// chart.
func TestShortPrefillsAreSeen(t *testing.T) {
	d := newDriver(t, tui.Options{}, "run")
	d.step(9200 * time.Millisecond)
	prefills := 0
	for _, e := range d.seen {
		if e, ok := e.(event.PhaseEnd); ok && e.Phase == event.Prefill {
			prefills++
		}
	}
	if prefills < 5 {
		t.Fatalf("%d prefills recorded, want several", prefills)
	}
	for _, size := range [][2]int{{80, 24}, {120, 40}, {200, 60}} {
		d.size(size[0], size[1])
		strip := ""
		for line := range strings.SplitSeq(d.screen(), "\n") {
			if strings.HasPrefix(line, "phase ") {
				strip, _, _ = strings.Cut(line[len("phase "):], " ") // what stands beside it is no part of it
			}
		}
		n := 0
		for i, r := range strip {
			if r == 'P' && !strings.HasSuffix(strip[:i], "P") {
				n++
			}
		}
		if n != prefills {
			t.Errorf("%v: %d prefills in the strip, want %d:\n%s", size, n, prefills, d.screen())
		}
	}
}

// Without colours a phase is still told by its letter and its line.
func TestPhasesWithoutColour(t *testing.T) {
	d := started(t, tui.Options{Theme: theme.Plain})
	s := string(ansiOf(t, d.m))
	if strings.Contains(s, "38;") || strings.Contains(s, "48;") || strings.Contains(s, "\x1b[3") {
		t.Error("colours on a colourless terminal")
	}
	d.wants("PD░░", "┓")
}

// Nothing is drawn again that did not change.
func TestNothingIsDrawnTwice(t *testing.T) {
	d := started(t, tui.Options{})
	d.screen()
	before := d.m.Draws()
	for range 10 {
		d.send(tea.KeyPressMsg(tea.Key{Code: 'y', Text: "y"})) // bound to nothing
		d.m.View()
	}
	if n := d.m.Draws() - before; n != 0 {
		t.Errorf("%d panels were drawn though nothing had changed", n)
	}
	d.step(10 * time.Millisecond) // within the same quarter second and column
	d.m.View()
	if n := d.m.Draws() - before; n > 6 {
		t.Errorf("%d panels were drawn for one more sample", n)
	}
}

func TestTooSmallSaysSo(t *testing.T) {
	d := started(t, tui.Options{})
	d.size(40, 10)
	d.wants("needs a terminal of at least", "60×16", "this one is 40×10")
	d.size(60, 16)
	d.wants("SIMULATED")
}

// Every screen says that it is simulated, at every size.
func TestSimulatedEverywhere(t *testing.T) {
	d := started(t, tui.Options{})
	for _, size := range goldenSizes {
		d.size(size.w, size.h)
		for _, k := range []string{"1", "2", "3", "4", "5", "6"} {
			d.press(k)
			lines := strings.Split(d.screen(), "\n")
			if n := size.h; !strings.Contains(lines[0], "SIMULATED") || !strings.Contains(lines[n-2], "SIMULATED") {
				t.Errorf("screen %s at %s is not marked:\n%s\n%s", k, size.name, lines[0], lines[n-2])
			}
		}
	}
}

// TestFormWaitsForChoices: asked for before it is known what can be run, the form
// opens filled once it is.
func TestFormWaitsForChoices(t *testing.T) {
	for _, screen := range []string{"1", "3", "4"} {
		d := unasked(t, tui.Options{Theme: theme.Dark}, "run")
		d.size(120, 40)
		d.press(screen, "n")
		d.wants("finding what can be run")
		if s := d.screen(); strings.Contains(s, "─ New ") {
			t.Errorf("screen %s: a form without choices:\n%s", screen, s)
		}
		d.refresh()
		d.wants("─ New ", "llama-3.2-1b")
	}
}

func TestProcessesAndHiddenAreShown(t *testing.T) {
	d := started(t, tui.Options{})
	d.size(200, 60)
	d.send(tui.StatusMessage(command.Status{
		Processes: map[string][]gpu.Process{d.gpu(): {{PID: 4711, Name: "python", MemoryMiB: 2048}}},
		Hidden:    []string{"MIG mode hides the power of a slice: readings are the whole GPU's."},
	}))
	d.wants("4711 python", "2.0 GiB", "energy counts as ours", "MIG mode hides")
}

// A picture has what was told about its moment over the page, not what was told long before;
// a replay's is seen by Esc, once, also where it goes back.
func TestNoticesOfWhatIsPast(t *testing.T) {
	d := started(t, tui.Options{})
	o := tui.Options{Controller: d.c, Simulated: true, GPUs: opened(t, "run").GPUs, Mode: tui.Playback}
	told := []event.Event{event.Warning{At: event.At{TimeNS: d.now - 2e9}, Text: "fan stands still"}}
	old := []event.Event{event.Warning{At: event.At{TimeNS: d.now - 2e9}, Text: "fan stands still"},
		event.Sample{At: event.At{TimeNS: d.now + 60e9}, GPU: d.gpu(), Sample: gpu.UnknownSample()}}
	for _, c := range []struct {
		events []event.Event
		press  []string
		want   bool
	}{{told, nil, true}, {told, []string{"esc"}, false}, {old, nil, false}} {
		for _, size := range [][2]int{{80, 24}, {200, 60}} {
			var b strings.Builder
			if err := tui.DrawPicture(&b, o, append(slices.Clone(d.seen), c.events...), tui.Picture{W: size[0], H: size[1], Press: c.press}); err != nil {
				t.Fatal(err)
			}
			if got := strings.Contains(b.String(), ": seen"); got != c.want {
				t.Errorf("%v, %d events, keys %v: told over the page: %v, want %v", size, len(c.events), c.press, got, c.want)
			}
		}
	}

	d = newDriver(t, tui.Options{Mode: tui.Playback}, "run")
	d.size(80, 24)
	warning := event.Warning{At: event.At{TimeNS: 3e9}, Text: "fan stands still"}
	begin := []event.Event{event.RunStart{At: event.At{TimeNS: 1e9}, Name: "run", GPU: d.gpu(), Requests: 10}}
	d.see(begin...)
	d.see(warning)
	d.wants("fan stands still", "(Esc: seen)")
	d.press("esc")
	for range 2 {
		if s := d.screen(); strings.Contains(s, "(Esc: seen)") {
			t.Errorf("it was seen:\n%s", s)
		}
		d.see(begin...) // back to the beginning, and on
		d.see(warning)
	}
	d.see(event.Warning{At: event.At{TimeNS: 4e9}, Text: "fan is gone"})
	d.wants("fan is gone", "(Esc: seen)")
}

func TestDrawPicture(t *testing.T) {
	d := started(t, tui.Options{})
	o := tui.Options{Controller: d.c, Simulated: true, GPUs: opened(t, "run").GPUs}
	for _, screen := range []string{"", "live", "Curves", "sweep", "compare", "workload", "session"} {
		var b strings.Builder
		if err := tui.DrawPicture(&b, o, d.seen, tui.Picture{Screen: screen}); err != nil {
			t.Errorf("%q: %v", screen, err)
		}
		if !strings.Contains(b.String(), "SIMULATED") || !strings.HasSuffix(b.String(), "</svg>\n") {
			t.Errorf("%q: not a whole, marked picture", screen)
		}
	}
	for press, want := range map[string]string{"f 1 0 0 5": "SM clock", "?": "Keys", "3 down enter": "Point", "m h i": "hi"} {
		var b strings.Builder
		if err := tui.DrawPicture(&b, o, d.seen, tui.Picture{Press: strings.Fields(press)}); err != nil || !strings.Contains(b.String(), want) {
			t.Errorf("after %s there is no %q: %v", press, want, err)
		}
	}
	var b strings.Builder
	if err := tui.DrawPicture(&b, o, nil, tui.Picture{Press: []string{"nokey"}}); err == nil || b.Len() > 0 {
		t.Errorf("a key that there is not: %v", err)
	}
	if err := tui.DrawPicture(&b, o, nil, tui.Picture{Screen: "moon"}); err == nil || !strings.Contains(err.Error(), `"moon"`) {
		t.Errorf("an unknown screen: %v", err)
	}
	if err := tui.DrawPicture(&b, o, nil, tui.Picture{W: 20, H: 5}); err == nil || b.Len() > 0 {
		t.Errorf("too small: %v", err)
	}
}

// Two seconds are the shortest window, and the theme is named as it changes.
func TestShortWindowAndThemesName(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {200, 60}} {
		d := started(t, tui.Options{})
		d.size(size[0], size[1])
		d.press("w", "w", "w", "w")
		d.wants("window 2 s (w)")
		d.press("w")
		d.wants("window 10 s (w)")
		d.press("t")
		d.wants("theme: " + string(d.m.Theme().Name))
	}
}
