package tui_test

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"jouletop/engine/event"
	"jouletop/gpu"
	"jouletop/tui"
	"jouletop/tui/theme"
)

// checkLines fails where a line is wider than the terminal or there are too many.
func checkLines(t *testing.T, content string, w, h int) {
	t.Helper()
	lines := strings.Split(content, "\n")
	if len(lines) > h {
		t.Fatalf("%d lines on a terminal of %d×%d", len(lines), w, h)
	}
	for i, l := range lines {
		if n := ansi.StringWidth(l); n > w {
			t.Fatalf("line %d is %d columns wide on a terminal of %d×%d:\n%s", i, n, w, h, l)
		}
	}
}

// nasty is text that breaks careless screens.
var nasty = []string{
	"\x1b[31mred\x1b[0m\x1b[2J", "tab\there\nand\r\nthere", strings.Repeat("long ", 400), "日本語のテキスト",
	"👩‍👩‍👧‍👦👍🏽🇨🇭🇨", "e\u0301\u0302\u0303 z̷̢̧", "\u202eright to left", "\x00\x07\x9b\xff\xfe", "कषक्षि ก็ำ", "\u200b\u200d\ufe0f",
}

const stormGPU = "sim:h100"

// storm puts random events of every kind to the model.
func stormEvents(r *rand.Rand, now int64) []event.Event {
	at := event.At{TimeNS: now - r.Int64N(3e9)}
	text := nasty[r.IntN(len(nasty))]
	f := []float64{math.NaN(), math.Inf(1), math.Inf(-1), 0, -1, 1e-9, 1e18, r.Float64() * 1000}[r.IntN(8)]
	n := []int{-1, 0, 1, 7, 1 << 40, r.IntN(3000)}[r.IntN(6)]
	phase := []event.Phase{event.Prefill, event.Decode, event.Score, event.Mixed, event.Idle, event.Phase(text)}[r.IntN(6)]
	point := event.Point{PointID: text, GPU: stormGPU, Model: text, Dataset: text, BatchSize: n, Policy: text, RequestedSMMHz: n, Repeat: n, Queries: n}
	span := event.PhaseSpan{BatchID: text, GPU: stormGPU, Phase: phase, StartNS: at.TimeNS, EndNS: now, BatchSize: n, Tokens: n, RequestedSMMHz: n}
	req := event.Request{RequestID: text + string(rune('a'+r.IntN(26))), Model: text, Dataset: text, QueryID: text, Class: text, Policy: text,
		RequestedSMMHz: n, StartNS: at.TimeNS, EndNS: now, InputTokens: n, OutputTokens: n, PrefillS: f, DecodeS: f, TTFTS: f, Quality: f, Err: text}
	energy := event.Energy{EnergyJ: f, EnergyErrJ: f, Method: text}
	all := []event.Event{
		event.Sample{At: at, GPU: stormGPU, RequestedSMMHz: n, Sample: gpu.Sample{SMMHz: n, MemMHz: n, TempC: f, GPUUtil: f, DRAMUtil: f, TensorUtil: f, MemUsedMiB: f, Throttle: gpu.Throttle(n)}},
		event.Power{GPU: stormGPU, PowerReading: gpu.PowerReading{TimeNS: at.TimeNS, Source: gpu.SourceInstant, PowerW: f, Fresh: true}},
		event.RunStart{At: at, Name: text, GPU: stormGPU, Policy: text, Points: n, Requests: n}, event.RunEnd{At: at, How: event.How(text), Err: text},
		event.ModelLoading{At: at, Model: text, Progress: f}, event.PointStart{At: at, Point: point},
		event.PointDone{At: at, Point: point, PointResult: event.PointResult{AchievedSMMHz: f, LatencyS: f, Energy: energy, JoulesPerToken: f, EDPJS: f, Flags: event.Flags(text), Err: text}},
		event.PointDone{At: at, Point: point, PointResult: event.PointResult{AchievedSMMHz: f, LatencyS: f, Energy: energy, JoulesPerToken: f, EDPJS: f}},
		event.BatchStart{At: at, BatchID: text, Prompt: text, Class: text}, event.PhaseStart{At: at, BatchID: text, GPU: stormGPU, Phase: phase},
		event.PhaseEnd{At: at, PhaseSpan: span}, event.Token{At: at, BatchID: text, Index: n, Text: text}, event.RequestDone{At: at, Request: req},
		event.RequestEnergy{At: at, Request: req, Energy: energy}, event.PhaseEnergy{At: at, PhaseSpan: span, Energy: energy},
		event.ClockChange{At: at, GPU: stormGPU, RequestedSMMHz: n, AchievedSMMHz: n, CallMS: f, SettleMS: f, Cause: event.Cause{By: event.By(text)}, Err: text},
		event.PolicyNote{At: at, Text: text}, event.Mark{At: at, Note: text}, event.Warning{At: at, Text: text}, event.Error{At: at, Text: text},
		event.State{At: at, State: event.RunState(text)},
	}
	return []event.Event{all[r.IntN(len(all))]}
}

func TestResizeStorm(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	d := newDriver(t, tui.Options{Theme: theme.Dark}, "sweep")
	d.size(120, 40)
	d.whole()
	screens := []string{"1", "2", "3", "4", "5", "6"}
	for i := range 1000 {
		w, h := 1+r.IntN(260), 1+r.IntN(90)
		d.m.Update(tea.WindowSizeMsg{Width: w, Height: h})
		if i%3 == 0 {
			d.press(screens[r.IntN(len(screens))])
		}
		if i%7 == 0 {
			d.press([]string{"f", "?", "n", "esc", "m", "w"}[r.IntN(6)])
		}
		view := d.m.View().Content
		if err := d.m.Broken(); err != nil {
			t.Fatalf("step %d: %v", i, err)
		}
		checkLines(t, view, w, h)
	}
}

// TestKeyStorm presses 50,000 random keys while events of every kind, most of
// them nonsense, come in.
func TestKeyStorm(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	played := newDriver(t, tui.Options{}, "sweep")
	played.whole()
	var d *driver
	w, h := 120, 40
	keys := []string{"enter", "esc", "tab", "up", "down", "left", "right", "end", "home", "pgup", "pgdown", "space", "backspace", "shift+tab", "ctrl+c"}
	letters := []rune("123456fargnpzkxmswvteqbd[],.<>?0897é漢")
	now := played.now
	presses := 50_000
	if testing.Short() {
		presses = 5_000
	}
	for i := range presses {
		if i%10_000 == 0 { // afresh: the one before may have been told to quit
			d = newDriver(t, tui.Options{Theme: theme.Dark, SaveDir: t.TempDir()}, "sweep")
			d.m.Update(tea.WindowSizeMsg{Width: w, Height: h})
			d.m.Apply(played.seen[:len(played.seen)/2]...)
		}
		var msg tea.Msg
		switch n := r.IntN(20); {
		case n == 0:
			msg = tea.PasteMsg{Content: nasty[r.IntN(len(nasty))]}
		case n == 1:
			msg = tea.MouseClickMsg{X: r.IntN(w + 4), Y: r.IntN(h + 4), Button: tea.MouseLeft}
		case n == 2:
			msg = tea.MouseWheelMsg{X: r.IntN(w), Y: r.IntN(h), Button: []tea.MouseButton{tea.MouseWheelUp, tea.MouseWheelDown}[r.IntN(2)]}
		case n < 9:
			msg = tea.KeyPressMsg(named[keys[r.IntN(len(keys))]])
		default:
			l := letters[r.IntN(len(letters))]
			msg = tea.KeyPressMsg(tea.Key{Code: l, Text: string(l)})
		}
		_, cmd := d.m.Update(msg)
		if cmd != nil && i%50 == 0 {
			d.run(cmd)
		}
		if i%10 == 0 {
			now += int64(5 * time.Millisecond)
			d.m.Apply(stormEvents(r, now)...)
		}
		if i%400 == 0 {
			w, h = 60+r.IntN(180), 16+r.IntN(60)
			d.m.Update(tea.WindowSizeMsg{Width: w, Height: h})
		}
		if i%50 == 0 {
			view := d.m.View().Content
			if err := d.m.Broken(); err != nil {
				t.Fatalf("step %d: %v", i, err)
			}
			checkLines(t, view, w, h)
		}
	}
}
