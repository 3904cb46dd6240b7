package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"jouletop/engine/analysis/compare"
	"jouletop/engine/analysis/paired"
	"jouletop/engine/event"
)

func TestDashboardAtEverySizeInRun(t *testing.T) {
	t.Parallel()
	x := open(t, 80, 24, nil, append(generate, "--sim-speed", "2")...)
	x.inRun()
	// What each screen shows at each size, the run going on.
	screens := []struct{ key, shows string }{
		{"1", "Generated text"}, {"2", "Energy per token against SM clock"}, {"3", "Points, newest first"},
		{"4", "Nothing to compare yet"}, {"5", "Queries by dataset"}, {"6", "This session"},
	}
	for _, size := range [][2]int{{80, 24}, {120, 40}, {200, 60}, {60, 16}, {120, 40}} {
		x.fit(size[0], size[1])
		for _, s := range screens {
			x.keys(s.key)
			x.shows(s.shows)
		}
		x.keys("?")
		x.shows("Keys · jouletop")
		x.keys("?")
		x.hides("Keys · jouletop")
		x.keys("f")
		x.shows("type to jump")
		x.keys("f")
		x.hides("type to jump")
	}
	// Too small a terminal says what it needs, and gets over it.
	for _, size := range [][2]int{{59, 16}, {60, 15}, {20, 5}} {
		x.resize(size[0], size[1])
		x.until("what it needs", func(s string) bool {
			return strings.Contains(strings.Join(strings.Fields(s), " "), "needs a terminal of at least 60×16")
		})
	}
	// A window dragged about: it settles on the last size.
	for i := range 60 {
		x.resize(40+3*i, 60-i/2)
	}
	x.fit(120, 40)
	x.keys("1")
	x.shows("Generated text")
	x.keys("x")
	x.quit()
	whole(t, x.session(), "done")
}

var sgr = regexp.MustCompile("\x1b\\[([0-9;:]*)m")

// colours lists the kinds of colour in what a program wrote: 16, 256 or true.
func colours(raw string) map[string]bool {
	out := map[string]bool{}
	for _, m := range sgr.FindAllStringSubmatch(raw, -1) {
		p := strings.FieldsFunc(m[1], func(r rune) bool { return r == ';' || r == ':' })
		for i := 0; i < len(p); i++ {
			switch {
			case (p[i] == "38" || p[i] == "48" || p[i] == "58") && i+1 < len(p):
				kind, skip := "256", 2
				if p[i+1] == "2" {
					kind, skip = "true", 4
				}
				out[kind] = true
				i += skip
			case len(p[i]) == 2 && strings.ContainsAny(p[i][:1], "349") && p[i][1] <= '7', len(p[i]) == 3:
				out["16"] = true
			}
		}
	}
	return out
}

func TestDashboardColours(t *testing.T) {
	kinds := []string{"16", "256", "true"}
	for _, tt := range []struct {
		name string
		env  []string
		most int // index of the richest kind of colour; -1 none
	}{
		{"true colour", nil, 2},
		{"256 colours", []string{"COLORTERM="}, 1},
		{"16 colours", []string{"COLORTERM=", "TERM=xterm"}, 0},
		{"NO_COLOR", []string{"NO_COLOR=1"}, -1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			x := open(t, 120, 40, tt.env, append(generate, "--sim-speed", "4")...)
			x.inRun()
			// Phases can be told apart without colour too: the strip has letters.
			x.matches(`phase [^\n]*D`)
			x.mu.Lock()
			from := x.raw.Len() // the first frames may come before the terminal's answers
			x.mu.Unlock()
			x.keys("f")
			x.shows("type to jump")
			x.keys("f")
			x.hides("type to jump")
			x.mu.Lock()
			got := colours(x.raw.String()[from:])
			x.mu.Unlock()
			for i, kind := range kinds {
				if i > tt.most && got[kind] {
					t.Errorf("%s colours where there should be none", kind)
				}
				if i == tt.most && !got[kind] {
					t.Errorf("no %s colours, only %v", kind, got)
				}
			}
			x.keys("x")
			x.quit()
		})
	}
}

func TestDashboardComparesAndLaysBeside(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	record(t, home, "run", "--gpu", "sim", "--dataset", "truthfulqa", "--queries", "4")
	x := openIn(t, home, 120, 40, nil, "--gpu", "sim", "--queries", "1", "--sim-speed", "10")
	x.shows("no job running")

	// The phase-aware demonstration as proposed: the form, then Enter. That is all until
	// its verdict, over the job's own queries: what ran before at the driver's clock is no
	// part of it.
	x.keys("4", "n")
	x.shows("New comparison")
	x.keys(enterKey)
	x.shows("8 queries × 3 repeats")
	x.until("the comparison's end", func(s string) bool { return !strings.Contains(s, "so far") })
	sentence := x.matches(`\d\S* ± \d\S* % less energy, [^│\n]*?(faster|slower|resolved)`)[0]
	x.shows("SIMULATED: a model's savings, no measurement")
	// The driver has the clock again, as before.
	x.until("the driver's clock", func(s string) bool { return strings.Contains(row(s, -2), "none auto→") })

	// What the queries look like, and the earlier session beside this one.
	x.keys("5")
	x.matches(`truthfulqa +62 `)
	x.keys("6")
	x.matches(`-run\b`)
	x.keys(enterKey)
	x.until("both sessions side by side", func(s string) bool {
		// The status line has joules per token of its own; only the table has a change.
		_, beside, _ := strings.Cut(s, "Beside: ")
		return strings.Contains(beside, "latency median")
	})
	x.quit()

	// A recording says the same as the page did; the sides ran in turns.
	dirs, err := filepath.Glob(filepath.Join(home, "state/jouletop/sessions/*-dashboard"))
	if err != nil || len(dirs) != 1 {
		t.Fatalf("sessions %v (%v), want one", dirs, err)
	}
	s := whole(t, dirs[0], "done")
	var policies []string
	if err := s.Points(func(p *event.PointDone) error { policies = append(policies, p.Policy); return nil }); err != nil {
		t.Fatal(err)
	}
	a, b := policies[len(policies)-2], policies[len(policies)-1]
	if want := []string{a, b, a, b, a, b}; a != "none" || !strings.HasPrefix(b, "phase:") || !slices.Equal(policies[len(policies)-6:], want) {
		t.Errorf("points ran by %v", policies)
	}
	sides, err := compare.Sides([]string{dirs[0], a, b}, "")
	if err != nil {
		t.Fatal(err)
	}
	if c := paired.Against(sides[0], sides[1]); compare.Err(c) != nil || c.InShort() != sentence {
		t.Errorf("the page says %q, of its recording is to be said %q (%v)", sentence, c.InShort(), compare.Err(c))
	}
}

func TestDashboardRealInference(t *testing.T) {
	if !engineBuilt() {
		t.Skip("built without llama.cpp")
	}
	t.Parallel()
	home := t.TempDir()
	record(t, home, "synth", "llama-15m", "-o", "m.gguf")
	x := openIn(t, home, 120, 40, nil, "--gpu", "sim", "--model", "m.gguf", "--dataset", "truthfulqa", "--queries", "6", "--max-tokens", "12")
	x.shows("the joules mean nothing")
	x.matches(`truthfulqa +\d+ +\d+ `)
	x.keys("p")
	x.shows("─ Prompt ─")
	x.keys("Once upon a time", enterKey)
	x.shows("› Once upon a time")
	x.matches(`prompt +\d+ +\d+ `)
	x.shows("no job running")
	if s := x.text(); strings.Contains(s, "[simulated]") {
		t.Errorf("simulated text from a real model:\n%s", s)
	}
	// What would look at joules is refused, in words.
	x.keys("3", "n")
	x.shows("New sweep")
	x.keys(enterKey)
	x.until("why there is no sweep", func(s string) bool {
		return strings.Contains(s, "New sweep") && strings.Contains(s, "the joules mean nothing")
	})
	x.keys(escKey)
	x.until("no form", func(s string) bool { return !strings.Contains(s, "New sweep") })
	x.quit()
	s := whole(t, x.session(), "done")
	n := 0
	if err := s.Requests(func(r *event.RequestEnergy) error {
		n++
		if r.Model != "m" || r.OutputTokens < 1 || !(r.DecodeS > 0) {
			t.Errorf("request %+v", r)
		}
		return nil
	}); err != nil || n != 7 {
		t.Errorf("%d requests (%v), want 7", n, err)
	}
	if m := s.Manifest.Models; len(m) != 1 || m[0].Architecture != "llama" || m[0].Simulated {
		t.Errorf("models in the manifest: %+v", m)
	}
	// Nothing is left running: its process group is empty.
	gone := time.Now().Add(patience)
	for syscall.Kill(-x.cmd.Process.Pid, 0) == nil {
		if time.Now().After(gone) {
			t.Fatal("a child process is left")
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func TestDashboardThatCannotBegin(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args   []string
		status int
		says   string
	}{
		"no place for its session": {nil, exitFailure, "state"},
		"no such dataset":          {[]string{"--dataset", "nowhere.jsonl"}, exitUsage, "nowhere.jsonl: no such file"},
		"a dataset of nothing":     {[]string{"--dataset", "/dev/null"}, exitFailure, "/dev/null: is not a regular file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			home := t.TempDir()
			if err := os.WriteFile(filepath.Join(home, "state"), nil, 0o644); err != nil {
				t.Fatal(err)
			}
			x := openIn(t, home, 80, 24, nil, append(c.args, "--gpu", "sim")...)
			if code := x.end(); code != c.status {
				t.Errorf("exit status %d, want %d", code, c.status)
			}
			x.still()
			if s := strings.TrimSpace(x.text()); !strings.HasPrefix(s, "jouletop: ") || !strings.Contains(s, c.says) || x.settings() != x.before {
				t.Errorf("it leaves the terminal with:\n%s", s)
			}
		})
	}
}
