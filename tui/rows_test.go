package tui_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"jouletop/engine/command"
	"jouletop/engine/event"
	"jouletop/gpu"
	"jouletop/tui"
)

// Every table is gone through by the same keys: points, requests, events, processes and
// sessions, at every size.
func TestTablesAreGoneThrough(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {200, 60}} {
		d := newDriver(t, tui.Options{}, "sweep")
		d.size(size[0], size[1])
		d.whole()
		d.press("3")
		d.wants("1 of 44")
		d.press("down", "down", "pgdown", "end")
		d.wants("44 of 44")
		d.send(tea.MouseWheelMsg{X: 10, Y: 15, Button: tea.MouseWheelUp})
		d.wants("41 of 44") // the wheel goes three at a time
		d.press("home", "/")
		d.typeText("8b truthfulqa 1155")
		d.wants("/8b truthfulqa 1155", "1 of 2 (44 in all)")
		d.press("down", "enter", "enter")
		d.wants("Point j", "dataset", "truthfulqa", "Esc")
		d.press("esc")
		d.wants("(Esc: seen")
		d.press("esc", "esc") // what is told first, then the filter
		d.wants("1 of 44")
		d.press("right", "right", "right", "right", "right", "right", "o")
		d.wants("energy▾")
		d.press("c")
		d.wants("row copied")

		d.press("1", "enter") // from the requests beside the picture to all of them
		d.wants("Requests 224", "1 of 224", "J/token")
		d.press("down", "enter")
		d.wants("Request j", "query", "latency")
		d.press("end")
		d.wants("net energy J")
		d.press("esc", "v", "v")
		d.wants("Events 13", "clock given back to the driver", "fan noise")
		d.press("end", "enter")
		d.wants("what")
		d.press("esc", "v")
		d.wants("no other program is on the GPU")
		d.c.Tell(func(s *command.Status) {
			s.Processes = map[string][]gpu.Process{d.gpu(): {{PID: 4711, Name: "ollama", MemoryMiB: 5120}, {PID: 12, Name: "Xorg", MemoryMiB: -1}}}
		})
		d.refresh()
		d.wants("Processes 2", "4711", "ollama", "5.0 GiB")
		d.press("right", "right", "o")
		d.wants("memory▾")

		d.press("6", "/")
		d.typeText("run")
		d.wants("/run", "1 of 1")
		d.press("enter", "enter")
		d.wants("Beside: run")
	}
}

// copied is what a command would put into the clipboard.
func copied(cmd tea.Cmd) string {
	if cmd == nil {
		return ""
	}
	switch msg := cmd().(type) {
	case tea.BatchMsg:
		for _, c := range msg {
			if s := copied(c); s != "" {
				return s
			}
		}
	case nil:
	default:
		if s := fmt.Sprintf("%T", msg); strings.Contains(s, "lipboard") {
			return fmt.Sprint(msg)
		}
	}
	return ""
}

// A row is copied whole, and what is typed into a filter is no key of the dashboard's.
func TestRowsAreCopied(t *testing.T) {
	d := newDriver(t, tui.Options{}, "sweep")
	d.size(80, 24)
	d.whole()
	d.press("3", "/")
	d.typeText("q?fx3")
	if made := d.c.Made(); len(made) > 0 {
		t.Errorf("a filter asked for %v", made)
	}
	d.wants("/q?fx3", "3 Sweep")
	d.send(tea.PasteMsg{Content: "\nmore"})
	d.wants("/q?fx3more")
	d.press("esc")
	_, cmd := d.m.Update(tea.KeyPressMsg(tea.Key{Code: 'c', Text: "c"}))
	if got := copied(cmd); !strings.HasPrefix(got, "model\tdataset\tclock MHz\t") || !strings.Contains(got, "\nllama-3.2-1b\ttruthfulqa\t1980\t") {
		t.Errorf("copied %q", got)
	}
}

// manyPoints are n points of a sweep that goes on for eight hours.
func manyPoints(n int) (out []event.Event) {
	for i := range n {
		at := event.At{TimeNS: int64(i) * int64(8*time.Hour) / int64(n)}
		p := event.PointDone{At: at, Point: event.Point{PointID: fmt.Sprintf("j1.p%d", i), Model: fmt.Sprintf("llama-%d", i%3), Dataset: "boolq", BatchSize: 1 + i%8, RequestedSMMHz: 600 + 15*(i%90), Repeat: 1 + i/720, Queries: 8}}
		p.JoulesPerToken, p.EnergyJ, p.EnergyErrJ, p.LatencyS, p.AchievedSMMHz, p.OutputTokens = float64(i%977)/100, float64(i%977), 1, float64(i%31)/10, float64(p.RequestedSMMHz), 100
		out = append(out, p)
	}
	return out
}

// Fifty thousand points are kept and listed, within the memory promised.
func TestFiftyThousandRows(t *testing.T) {
	d := newDriver(t, tui.Options{}, "run")
	d.size(200, 60)
	d.press("7", "v")
	d.see(manyPoints(50_000)...)
	d.seen = nil
	d.wants("Points 50000", "1 of 50000")
	d.press("end")
	d.wants("50000 of 50000")
	d.press("right", "right", "right", "right", "right", "right", "o")
	d.wants("energy▾", "9.760")
	d.press("/")
	d.typeText("llama-2 1005")
	d.wants("llama-2", "1005")
	d.press("esc")
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	if mib := m.HeapAlloc >> 20; mib > 70 {
		t.Errorf("%d MiB in use", mib)
	}
}

// BenchmarkManyRows is a frame of the table of 50,000 points to which one has come.
func BenchmarkManyRows(b *testing.B) {
	d := newDriver(b, tui.Options{}, "run")
	d.size(200, 60)
	d.see(manyPoints(50_000)...)
	d.press("7", "v")
	more := manyPoints(50_000)[49_000:]
	i := 0
	for b.Loop() {
		e := more[i%len(more)].(event.PointDone)
		e.TimeNS += int64(8 * time.Hour)
		d.m.Apply(e)
		_ = d.m.View()
		i++
	}
}
