package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"jouletop/engine/session"
)

// record runs jouletop without a terminal.
func record(t *testing.T, home string, args ...string) {
	t.Helper()
	if out, err := command(home, "jouletop", args...).CombinedOutput(); err != nil {
		t.Fatalf("jouletop %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// files reads a folder.
func files(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	for _, name := range session.Files() {
		b, err := os.ReadFile(filepath.Join(dir, name))
		switch {
		case err == nil:
			out[name] = b
		case !errors.Is(err, os.ErrNotExist):
			t.Error(err)
		}
	}
	return out
}

// replayAt is where a replay stands, and its length, in s.
func (x *terminal) replayAt(speed string) (at, of int) {
	x.t.Helper()
	m := x.matches(`REPLAY ` + speed + ` (\d):(\d\d):(\d\d) of (\d):(\d\d):(\d\d) `)
	seconds := func(hms []string) (s int) {
		for _, v := range hms {
			n, err := strconv.Atoi(v)
			if err != nil {
				x.t.Fatal(err)
			}
			s = 60*s + n
		}
		return s
	}
	return seconds(m[1:4]), seconds(m[4:7])
}

func TestReplayInTerminal(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	record(t, home, "run", "--gpu", "sim", "--dataset", "truthfulqa", "--repeats", "2", "--session", "rec")
	before := files(t, filepath.Join(home, "rec"))

	x := openIn(t, home, 120, 40, nil, "replay", "rec", "--speed", "50")
	x.shows("REPLAY 50x")
	x.until("the recorded decode phases", func(s string) bool { return strings.Contains(row(s, -2), "D decode") })

	// At the end all of it has been shown.
	x.until("the end", func(s string) bool {
		m := regexp.MustCompile(`REPLAY 50x (\S+) of (\S+) `).FindStringSubmatch(s)
		return m != nil && m[1] == m[2]
	})
	x.matches(`requests +124 done`)

	// Held, it stands; seeking moves it by what the help says.
	x.keys(" ")
	end, of := x.replayAt("held")
	if end != of || of < 60 {
		t.Errorf("held at %d s of %d s, want the end of a long session", end, of)
	}
	x.keys("<")
	x.until("1 min back", func(s string) bool { at, _ := x.replayAt("held"); return at == end-60 })
	x.matches(`requests +\d\d done`)
	x.keys(".")
	x.until("10 s on", func(s string) bool { at, _ := x.replayAt("held"); return at == end-50 })
	x.keys(",")
	x.until("10 s back", func(s string) bool { at, _ := x.replayAt("held"); return at == end-60 })

	// Whatever was drawn over whatever at whatever size: the terminal shows what
	// the program means it to, which is what it saves.
	for _, size := range [][2]int{{80, 24}, {200, 60}, {120, 40}} {
		x.fit(size[0], size[1])
		for _, keys := range []string{"1", "2", "3", "4", "5", "6", "?"} {
			x.keys(keys)
			x.same(size)
		}
	}

	// It goes on at the speeds there are.
	x.keys("1", "<", "<", "[")
	x.shows("REPLAY 1x")
	x.keys("]", "]", "]", "]", "]")
	x.shows("REPLAY 50x")

	// Nothing runs and no clock is set in a replay.
	// A message of an earlier key may come after this one's and hide it: once more.
	for key, says := range map[string]string{"n": "nothing is run in this mode", "r": "this is a replay"} {
		x.until("“"+says+"”", func(s string) bool {
			shown := strings.Contains(s, says)
			if !shown {
				x.keys(key)
			}
			return shown
		})
	}

	x.keys("e")
	x.shows("export to")
	x.keys("copy", enterKey)
	x.shows("exported to")
	x.keys("q") // nothing runs: it does not ask
	if code := x.end(); code != 0 {
		t.Errorf("exit status %d, want 0", code)
	}
	x.restored()
	for _, dir := range []string{"rec", "copy"} {
		after := files(t, filepath.Join(home, dir))
		for name := range before {
			if !bytes.Equal(after[name], before[name]) {
				t.Errorf("%s/%s is not as it was recorded", dir, name)
			}
		}
	}
}

// same saves the screen until what is saved is what the terminal shows, but for
// the last line, which says that it was saved.
func (x *terminal) same(size [2]int) {
	x.t.Helper()
	again := func() {
		for _, f := range x.saved() { // names have whole seconds
			_ = os.Remove(f)
		}
		x.keys("s")
	}
	again()
	x.until("the screen that is saved", func(s string) bool {
		names := x.saved()
		if len(names) != 1 {
			return false
		}
		b, err := os.ReadFile(names[0])
		if err != nil || bytes.Count(b, []byte("\n")) < size[1] {
			return false
		}
		meant, shown := lines(string(b))[:size[1]-1], lines(s)[:size[1]-1]
		if !slices.Equal(meant, shown) {
			again() // the screen may have changed in between
			return false
		}
		return true
	})
}

// lines splits a screen, without the blanks at the lines' ends.
func lines(screen string) []string {
	out := strings.Split(screen, "\n")
	for i := range out {
		out[i] = strings.TrimRight(out[i], " ")
	}
	return out
}

// saved lists the saved screens.
func (x *terminal) saved() []string {
	names, err := filepath.Glob(filepath.Join(x.home, "jouletop-*.txt"))
	if err != nil {
		x.t.Fatal(err)
	}
	return names
}
