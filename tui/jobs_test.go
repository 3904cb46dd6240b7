package tui_test

import (
	"fmt"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"

	"jouletop/engine/command"
	"jouletop/tui"
)

// The queue is seen, put in another order and cancelled from, at every size.
func TestJobsAreOrderedAndCancelled(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {200, 60}} {
		d := newDriver(t, tui.Options{}, "run")
		d.size(size[0], size[1])
		d.press("j")
		d.wants("nothing runs and nothing waits")
		d.press("+", "delete")
		if made := d.c.Made(); len(made) > 0 {
			t.Errorf("asked for %v of no job", made)
		}
		d.c.Tell(func(s *command.Status) {
			s.Queue = []command.Queued{
				{ID: 1, Name: "llama-3.1-8b on boolq", Points: 4, Done: 1, Requests: 128, Seconds: 95, Running: true},
				{ID: 2, Name: "7 clocks: llama-3.2-1b on boolq", Points: 21, Requests: 168, Seconds: 600, Rough: true},
				{ID: 5, Name: "prompt: why", Points: 1, Requests: 1, Seconds: 2},
			}
		})
		d.refresh()
		d.wants("running", "1/4", "2 min", "0/21", "about 10 min", "3 jobs, about 12 min in all")
		d.press("+")
		d.wants("only a job that waits can be moved")
		d.press("down", "down", "+")
		if got := d.c.Last(); got != "move 5 -1" {
			t.Errorf("+: %s", got)
		}
		d.send(tea.KeyPressMsg{Code: tea.KeyDown, Mod: tea.ModShift})
		if got := d.c.Last(); got != "move 5 1" {
			t.Errorf("shift+down: %s", got)
		}
		d.press("up", "backspace")
		if got := d.c.Last(); got != "cancel 2" {
			t.Errorf("backspace: %s", got)
		}
		d.press("up", "x")
		if got := d.c.Last(); got != "cancel 1" {
			t.Errorf("x: %s", got)
		}
		d.wants("ending after its batch: llama-3.1-8b on boolq")
		d.press("esc", "3")
		if strings.Contains(d.screen(), "about 12 min in all") {
			t.Error("the jobs stay open")
		}
	}
}

// A form says what is wrong where it is wrong, what its plan comes to before it starts,
// and has what was typed when it is opened again.
func TestFormsValidateForecastAndRemember(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {200, 60}} {
		d := newDriver(t, tui.Options{}, "run")
		d.size(size[0], size[1])
		d.press("3", "n")
		d.wants("New sweep", "3 repeats = 3 points of 8 queries, about 3 min")
		d.press("right", "space", "down", "down")
		for range 20 {
			d.press("backspace")
		}
		d.typeText("960,1200,1500,1700,1980")
		d.wants("5 clocks × 2 models × 3 repeats = 30 points of 8 queries, about 30", " min")
		d.press("down", "backspace", "0")
		d.wants(`"0" is not a list of whole numbers`)
		if s := d.screen(); strings.Contains(s, "= 30 points") {
			t.Errorf("a plan of what is wrong:\n%s", s)
		}
		d.press("up", "up", "enter") // elsewhere: Enter goes to what is wrong
		d.wants(`batch sizes: "0" is not a list`)
		d.press("backspace", "4")
		d.typeText(",8")
		d.wants("× 2 batch sizes × 3 repeats = 60 points")
		d.press("down", "down", "down", "down")
		d.typeText("2")
		d.wants("want a percentage such as 2%")
		d.typeText("%")
		d.wants("until ± 2%")
		d.press("esc", "n")
		d.wants("960,1200,1500,1700,1980", "4,8", "2%", "☑ llama-3.2-3b")
		d.c.Refuse(fmt.Errorf("clock control: not armed: %w", command.ErrArmFirst))
		d.press("enter")
		d.wants("arm it first (a)", "960,1200,1500")
		d.c.Refuse(nil)
		d.press("enter")
		if got, want := d.c.Last(), "sweep {Models:[llama-3.2-1b llama-3.2-3b] Datasets:[boolq] Clocks:960,1200,1500,1700,1980 Knobs:[] Policies:[] Batches:[4 8] Repeats:3 Queries:8 MaxTokens:100 Until:2%}"; got != want {
			t.Errorf("asked for\n%s\nwant\n%s", got, want)
		}
	}
}

// A job has a policy of its own where one is given, and models and datasets may be typed.
func TestJobsOfTypedFilesAndPolicies(t *testing.T) {
	d := newDriver(t, tui.Options{}, "run")
	d.size(80, 24)
	d.press("n")
	d.wants("1 point of 32 queries, about 60 s")
	d.typeText("/models/my file.gguf")
	d.press("down")
	d.typeText("qa=/data/qa.jsonl")
	d.press("down", "down", "down", "down")
	d.typeText("fixed:x")
	d.press("enter")
	d.wants("policy: ")
	for range 7 {
		d.press("backspace")
	}
	d.typeText("fixed:1005")
	d.press("down", "backspace", "3", "enter")
	if got, want := d.c.Last(), "job {Model:/models/my file.gguf Dataset:qa=/data/qa.jsonl Batch:1 Queries:32 MaxTokens:100 Repeats:3 Policy:fixed:1005 Until:}"; got != want {
		t.Errorf("asked for\n%s\nwant\n%s", got, want)
	}
}

// Prompts have lines, and come back: those that were run, and one that was left.
func TestPromptsComeBack(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {200, 60}} {
		d := newDriver(t, tui.Options{}, "run")
		d.size(size[0], size[1])
		d.press("p")
		d.typeText("first")
		d.press("enter", "p")
		d.typeText("the second")
		d.wants("the second") // as on a terminal, each key is drawn
		d.send(tea.KeyPressMsg{Code: 'j', Mod: tea.ModCtrl})
		d.wants("the second")
		d.typeText("of two lines")
		d.wants("the second", "of two lines", "Ctrl+J new line")
		d.press("enter")
		if got := d.c.Last(); got != "prompt the second\nof two lines" {
			t.Errorf("%q", got)
		}
		d.press("p")
		for range 40 { // of more columns than there are
			d.typeText("begin and")
			d.screen()
		}
		if n := strings.Count(d.screen(), "begin"); size[0] == 200 && n != 40 || n < 30 {
			t.Errorf("of a long line %d of 40 words are shown:\n%s", n, d.screen())
		}
		d.send(tea.KeyPressMsg{Code: 'u', Mod: tea.ModCtrl})
		d.typeText("mine")
		d.press("up")
		d.wants("Prompt 2 of 2", "of two lines")
		d.press("up", "up")
		d.wants("Prompt 1 of 2", "first")
		d.press("down", "down", "down")
		d.wants("mine")
		d.press("esc", "p")
		d.wants("mine")
		d.press("enter")
		if got := d.c.Last(); got != "prompt mine" {
			t.Errorf("%q", got)
		}
	}
}

// Of a form that has more fields than the terminal rows the one being typed is in sight;
// what is wrong with it is said whole, once.
func TestFormsAtTheLeastSize(t *testing.T) {
	d := newDriver(t, tui.Options{}, "run")
	d.size(60, 16)
	d.press("4", "n")
	d.wants("▸ policy A", "↓")
	for range 8 {
		d.press("down")
	}
	d.wants("▸ until", "↑")
	d.press("up", "up", "up")
	d.wants("▸ repeats")
	d.size(80, 24)
	for range 5 {
		d.press("up")
	}
	d.typeText("x")
	d.wants("policy A: want one of none, fixed:MHZ", "phase:sm=PREFILL/DECODE[/SCORE]")
	if s := d.screen(); strings.Contains(s, "unknown policy") {
		t.Errorf("said twice:\n%s", s)
	}
}

// Where nothing like a part of a plan has run, the rest is told.
func TestForecastsOfAPart(t *testing.T) {
	d := newDriver(t, tui.Options{}, "run")
	d.size(80, 24)
	d.c.Tell(func(s *command.Status) {
		s.Queue = []command.Queued{
			{ID: 1, Name: "a", Points: 4, Seconds: 300, Unknown: 2, Running: true},
			{ID: 2, Name: "b", Points: 4, Seconds: 300},
		}
	})
	d.refresh()
	d.press("j")
	d.wants("over 5 min", "2 jobs, over 10 min in all")
}
