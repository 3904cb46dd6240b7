package main

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"jouletop/engine/session"
)

// What the dashboard has to offer, each driven in a terminal of the smallest size that it
// is made for and in a large one.

var itemSizes = [][2]int{{80, 24}, {200, 60}}

// Keys as a terminal sends them, and the wheel over the middle of the smallest screen.
const (
	leftKey   = "\x1b[D"
	pageUp    = "\x1b[5~"
	pageDown  = "\x1b[6~"
	homeKey   = "\x1b[H"
	endKey    = "\x1b[F"
	deleteKey = "\x1b[3~"
	newLine   = "\n" // Ctrl+J
	wheelUp   = "\x1b[<64;20;12M"
	wheelDown = "\x1b[<65;20;12M"
)

// items are driven one after the other where they are of one run, so that what one leaves
// is what the next finds, as at a desk.
var items = []struct {
	name  string
	args  []string
	drive func(x *terminal)
}{
	{"tables", append(generate, "--sim-speed", "50"), driveTables},
	{"queue, forms and prompts", append(generate, "--sim-speed", "2"), driveJobs},
	{"sweep and curves", append(generate, "--queries", "1", "--sim-speed", "50"), driveCurves},
	{"compare", append(generate, "--queries", "1", "--sim-speed", "50"), driveCompare},
	{"live", append(generate, "--sim-speed", "2"), driveLive},
	{"serving", []string{"--gpu", "sim", "--arrivals", "poisson:4", "--queries", "400"}, driveServing},
	{"several GPUs", []string{"--gpu", "sim,sim", "--dataset", "truthfulqa", "--sim-speed", "10"}, driveGPUs},
	{"monitor", []string{"--monitor", "--gpu", "sim,sim", "--sim-speed", "10"}, driveMonitor},
	{"help", append(generate, "--queries", "1", "--sim-speed", "50"), driveHelp},
}

func TestItemsInTerminal(t *testing.T) {
	for _, item := range items {
		for _, size := range itemSizes {
			t.Run(fmt.Sprintf("%s, %d×%d", item.name, size[0], size[1]), func(t *testing.T) {
				t.Parallel()
				x := open(t, size[0], size[1], nil, item.args...)
				item.drive(x)
				x.leave()
			})
		}
	}
}

// The table of earlier sessions is sorted, filtered and copied from like any other.
func TestSessionsTableInTerminal(t *testing.T) {
	for _, size := range itemSizes {
		t.Run(fmt.Sprintf("%d×%d", size[0], size[1]), func(t *testing.T) {
			t.Parallel()
			home := t.TempDir()
			for name, queries := range map[string]string{"alpha": "5", "beta": "9", "gamma": "2"} {
				record(t, home, "run", "--gpu", "sim", "--dataset", "truthfulqa", "--queries", queries, "--max-tokens", "4", "--sim-speed", "max",
					"--session", filepath.Join(home, "state", "jouletop", "sessions", name))
			}
			x := openIn(t, home, size[0], size[1], nil, append(generate, "--queries", "1", "--sim-speed", "50")...)
			x.shows("no job running")
			x.keys("6")
			x.shows("Earlier sessions")
			x.shows("gamma")
			order := func(names ...string) func(string) bool {
				return func(s string) bool {
					return regexp.MustCompile(`(?s)  ` + strings.Join(names, ` .*  `) + ` `).MatchString(s)
				}
			}
			x.keys(rightKey, "o")
			x.matches(`requests▾`)
			x.until("the most requests first", order("beta", "alpha", "gamma"))
			x.keys("o")
			x.matches(`requests▴`)
			x.until("the fewest first", order("gamma", "alpha", "beta"))
			x.keys("/", "bet")
			x.until("only beta", func(s string) bool {
				return strings.Contains(s, "beta") && !strings.Contains(s, "alpha") && !strings.Contains(s, "gamma")
			})
			x.keys(enterKey, "c")
			x.shows("row copied")
			copied, err := base64.StdEncoding.DecodeString(x.wrote("the row for the clipboard", `\x1b\]52;c;([A-Za-z0-9+/=]+)`)[1])
			if text := string(copied); err != nil || !strings.Contains(text, "session\t") || !strings.Contains(text, "beta\t9\t") {
				t.Errorf("copied %q, %v", text, err)
			}
			x.keys(escKey)
			x.shows("alpha")
			x.leave()
		})
	}
}

// leave quits, in a run too.
func (x *terminal) leave() {
	x.t.Helper()
	x.keys(ctrlC)
	if code := x.end(); code != 0 {
		x.t.Errorf("exit status %d, want 0", code)
	}
	x.restored()
}

// wrote waits for something that the program writes and a screen does not show.
func (x *terminal) wrote(what, re string) []string {
	x.t.Helper()
	var found []string
	x.until(what, func(string) bool {
		x.mu.Lock()
		defer x.mu.Unlock()
		found = regexp.MustCompile(re).FindStringSubmatch(x.raw.String())
		return found != nil
	})
	return found
}

func driveTables(x *terminal) {
	x.shows("no job running")
	x.keys("7")
	x.shows("1 of 62 ─")
	x.keys(downKey)
	x.shows("2 of 62 ─")
	x.keys(wheelDown)
	x.shows("5 of 62 ─")
	x.keys(wheelUp, upKey)
	x.shows("1 of 62 ─")
	x.keys(pageDown)
	if at := x.matches(`─ (\d\d) of 62 ─`)[1]; at < "15" {
		x.t.Errorf("a page down is at row %s", at)
	}
	x.keys(pageUp)
	x.shows("─ 1 of 62 ─")
	x.keys(endKey)
	x.shows("62 of 62 ─")
	x.matches(`(?m)^ r1 `)
	x.keys(homeKey)
	x.shows("─ 1 of 62 ─")
	x.matches(`(?m)^ r62 `)

	// The place is kept while a row comes.
	x.keys(downKey)
	x.shows("─ 2 of 62 ─")
	x.keys("p")
	x.shows("─ Prompt ─")
	x.keys("Hello", enterKey)
	x.shows("─ 3 of 63 ─")
	x.keys(homeKey)

	// Sorted by energy: the most first, then the least, then the newest again.
	x.keys(rightKey, rightKey, rightKey, rightKey, rightKey, "o")
	x.matches(`energy▾`)
	first := func(row string) func(string) bool {
		return func(s string) bool {
			m := regexp.MustCompile(`(?m)^ (r\d+) `).FindStringSubmatch(s)
			return m != nil && m[1] == row
		}
	}
	x.until("the most energy first", first("r40"))
	x.keys("o")
	x.matches(`energy▴`)
	x.until("the least energy first", func(s string) bool { return !first("r40")(s) && !first("r62")(s) })
	x.keys("o")
	x.hides("energy▴")

	// Sideways, the first column stays.
	x.keys(strings.Repeat(rightKey, 20))
	x.matches(`(?m)^ query .* flags .*id`)
	x.matches(`(?m)^ r62 .* j\d+\.llama-3\.1-8b\.tr`)
	x.keys(strings.Repeat(leftKey, 20))
	x.matches(`(?m)^ query +model +dataset`)

	x.keys("/", "r5")
	x.shows("(63 in all)")
	x.matches(`─/r5 `)
	x.hides("v table") // a letter now
	x.keys(enterKey)
	x.shows("Requests with “r5”")
	if s := x.text(); regexp.MustCompile(`(?m)^ r[1-46-9]`).MatchString(s) {
		x.t.Errorf("rows without r5:\n%s", s)
	}
	x.keys(escKey)
	x.hides("(63 in all)")
	x.shows("v table")
	x.keys(homeKey, downKey, enterKey)
	x.shows("─ Request j1.llama-3.1-8b.truthfulqa")
	x.keys(endKey)
	x.shows("quality")
	x.keys(escKey)
	x.hides("quality ")
	x.keys("c")
	x.shows("row copied")
	copied, err := base64.StdEncoding.DecodeString(x.wrote("the row for the clipboard", `\x1b\]52;c;([A-Za-z0-9+/=]+)`)[1])
	if text := string(copied); err != nil || !strings.HasPrefix(text, "query\tmodel\tdataset\t") || !strings.Contains(text, "\nr62\tllama-3.1-8b\ttruthfulqa\t") {
		x.t.Errorf("copied %q, %v", text, err)
	}

	// The other tables, and those of other pages.
	x.keys("m")
	x.shows("note:")
	x.keys("here", enterKey)
	for _, title := range []string{"Points", "Events", "Processes", "Requests"} {
		x.keys("v")
		x.shows("─ " + title + " ─")
		if title == "Events" {
			x.matches(`mark +here`)
		}
	}
	x.keys("6")
	x.shows("Earlier sessions")
	x.keys("e")
	x.shows("export to")
	x.keys("out", enterKey)
	x.shows("exported to")
	for _, name := range []string{"out/" + session.RequestsFile, "out.zip"} {
		if st, err := os.Stat(filepath.Join(x.home, name)); err != nil || st.Size() == 0 {
			x.t.Errorf("export has no %s: %v", name, err)
		}
	}
	x.keys("3", downKey)
	x.shows("─ 2 of 2 ─")
	x.keys(wheelUp)
	x.shows("─ 1 of 2 ─")
	x.keys(enterKey)
	x.matches(`─ Point \S+\.r\d`)
	x.keys(escKey)
	x.hides("─ Point ")
}

func driveJobs(x *terminal) {
	x.inRun()
	// What is wrong is said where it stands, and what was typed is there again.
	x.keys("n")
	x.shows("New job")
	for _, field := range []string{"model", "dataset", "batch size", "queries", "max tokens", "policy", "repeats", "until"} {
		x.shows(field)
	}
	x.keys(downKey, downKey, wipeKey, "x")
	x.shows(`batch size: "x" is not a whole number`)
	x.keys(enterKey, escKey)
	x.hides("New job")
	x.keys("n")
	x.matches(`batch size   x `)
	x.keys(downKey, downKey)
	x.form("2", "4", "24", "fixed:1005", "2")
	x.shows("2 repeats = 2 points of 4 queries")
	// A model that there is not is said before it is asked for.
	x.keys(strings.Repeat(upKey, 6), "nowhere.gguf")
	x.shows("the simulated model knows")
	x.keys(wipeKey)
	x.hides("the simulated model knows")
	// So is a dataset.
	x.keys(downKey, "own=nowhere.jsonl")
	x.shows("nowhere.jsonl: no such file")
	x.keys(wipeKey, upKey)
	x.hides("no such file")
	x.shows("2 repeats = 2 points of 4 queries")
	x.keys(enterKey)
	x.shows("job queued")

	// One's own prompt, of two lines, and once more from the history.
	x.keys("p")
	x.shows("─ Prompt ─")
	x.keys("Why is", newLine, "the sky blue?")
	x.matches(`(?m)^[^\n]*│ Why is +│[^\n]*\n[^\n]*│ the sky blue\? +│`)
	x.keys(enterKey)
	x.shows("prompt queued")
	x.keys("p")
	x.shows("─ Prompt ─")
	x.keys(upKey)
	x.shows("─ Prompt 1 of 1 ─")
	x.shows("the sky blue?")
	x.keys(enterKey)
	x.shows("prompt queued")

	// The queue: seen, put in another order, cancelled.
	x.keys("j")
	x.shows("─ Jobs ─")
	jobs := func() (waiting []string) {
		for _, m := range regexp.MustCompile(`│ (\S[^\n]*?) +waiting +\d+/\d+ `).FindAllStringSubmatch(x.text(), -1) {
			waiting = append(waiting, m[1])
		}
		return waiting
	}
	order := func(what string, job, prompt int) { // of the three that wait
		x.t.Helper()
		x.until(what, func(string) bool {
			w := jobs()
			return len(w) == 3 && !strings.HasPrefix(w[job], "prompt: ") && strings.HasPrefix(w[prompt], "prompt: Why is the sky")
		})
	}
	x.shows("4 jobs, ")
	order("the job after both prompts, which run next", 2, 1)
	x.keys(downKey, downKey, downKey, "+")
	order("the job one place sooner", 1, 2)
	x.keys("-")
	order("the job last again", 2, 1)
	x.keys(deleteKey)
	x.shows("3 jobs, ")
	x.keys(escKey)
	x.hides("─ Jobs ─")
	x.matches(`left +\d:\d\d:\d\d`)
	x.keys("x")
	x.shows("no job running")
}

func driveCurves(x *terminal) {
	x.shows("no job running")
	x.keys("3", "n")
	x.shows("New sweep")
	x.keys(rightKey, " ", downKey, downKey, wipeKey, "510,1005,1980", downKey, downKey, wipeKey, "1")
	x.shows("3 clocks × 2 models = 6 points of 8 queries")
	x.keys(enterKey)
	x.shows("6/6 points")
	x.shows("left 0:00:00")
	x.matches(`run at MHz`)
	// The end of a run is told to who looks elsewhere, and stands in the title.
	x.wrote("a notification", `\a\x1b\]9;jouletop: sweep ended: done after [^\a]+\a\x1b\]777;notify;jouletop;sweep ended`)
	x.wrote("a title", `\x1b\]2;[^\a]*jouletop[^\a]*\a`)

	x.keys("2")
	x.shows("EDP 1005")
	x.shows("run at 1980")
	x.shows("J/token│")
	screen := x.until("two curves of three points", func(s string) bool {
		return strings.Count(s, "▲") >= 5 // two of them beside the name
	})
	if !strings.ContainsAny(screen, "⠒⠤⣀⡠⠔") {
		x.t.Errorf("no smooth line:\n%s", screen)
	}
	x.keys("U")
	x.shows("1005 MHz set: EDP optimum of llama")
	x.until("the EDP optimum in force", func(s string) bool { return strings.Contains(row(s, -2), "fixed:1005") })
	x.keys("u")
	x.shows("1980 MHz set: least energy of llama")
	x.until("the bound's clock in force", func(s string) bool { return strings.Contains(row(s, -2), "fixed:1980") })
	x.keys("y")
	x.matches(`(?m)^ +%│`)
	x.keys("y")
	x.matches(`(?m)^ +J/token│`)
	x.keys(rightKey)
	x.shows("Latency per request")
	x.keys(downKey)
	x.matches(`▸▲ llama`)
}

func driveCompare(x *terminal) {
	x.shows("no job running")
	x.keys("4", "n")
	x.shows("New comparison")
	x.matches(`policy A +none`)
	x.matches(`policy B +phase:1980/`)
	x.shows("2 policies × 3 repeats = 6 points of 8 queries")
	x.keys(enterKey)
	x.shows("8 queries × 3 repeats")
	x.until("the comparison's end", func(s string) bool { return !strings.Contains(s, "so far") })
	x.matches(`\d\S* ± \d\S* % less energy, [^\n]*(faster|slower|resolved)`)
	x.shows("A driver's clock")
	x.shows("B phase:1980/")
	x.matches(`(?m)^ P prefill +\d`)
	x.matches(`(?m)^ D decode +\d`)
	x.matches(`(?m) A +(0 W│)?█+`)
	x.matches(`(?m) B +(0 W│)?█+`)
	x.matches(`(?m)^ +█{4,} +█{4,} `) // its figures, to be read from afar
	x.shows("SIMULATED: a model's savings, no measurement")
}

func driveLive(x *terminal) {
	x.inRun()
	x.matches(`made now +\d+(\.\d)? token/s`)
	x.matches(`\d\.\d+ s old`)
	if x.wide() {
		x.matches(`P prefill +\d\S* ± \d\S* J/token`)
		x.matches(`D decode +\d\S* ± \d\S* J/token`)
	} else {
		x.matches(`P D +\.?\d\S* \d\S* J/token`)
	}
	for range 10 {
		if strings.Contains(x.text(), "window 2 s") {
			break
		}
		was := x.matches(`window [^(]*\(w\)`)[0]
		x.keys("w")
		x.hides(was)
	}
	x.shows("window 2 s")
	x.matches(`phase [^\n]*P`) // short as they are
	x.keys(" ")
	x.shows("FROZEN at")
	x.keys(" ")
	x.hides("FROZEN at")
	x.keys(enterKey)
	x.matches(`─ Requests ─+ 1 of \d+ ─`)
	x.keys("1", "s")
	x.shows("saved jouletop-")
	x.keys("z")
	x.shows("RUN PAUSED")
	x.keys("z")
	x.hides("RUN PAUSED")
}

// wide tells whether the terminal is of the large size.
func (x *terminal) wide() bool {
	w, _ := x.screen.Size()
	return w >= 200
}

func driveServing(x *terminal) {
	x.shows("─ Service ─")
	x.matches(`made +\d\S* token/s`)
	x.shows("at once")
	x.shows("l slots")
	x.keys("l")
	x.shows("─ Slots ─")
	x.matches(`(?m)^ +0 ·*q?\d*[░▓q]`)
	x.keys("+")
	x.shows("times as fast as planned")
	x.keys("l")
	x.hides("─ Slots ─")
	x.keys("2", "3", "4", "5", "6", "7")
	x.matches(`─ Requests ─+ 1 of \d+ ─`)
}

func driveGPUs(x *terminal) {
	x.shows("─ 2 GPUs ─")
	x.matches(`(?m)^h100 +.*\d+/700`)
	x.matches(`(?m)^h100:1 +.*\d+/700`)
	x.keys(downKey, "g")
	x.hides("─ 2 GPUs ─")
	x.shows("─ SM clock ─")
	x.until("the second GPU", func(s string) bool { return strings.Contains(row(s, -2), "h100:1") })
	x.keys("g")
	x.shows("─ 2 GPUs ─")
}

func driveMonitor(x *terminal) {
	x.shows("MONITOR: watching only")
	x.shows("─ 2 GPUs ─")
	x.shows("train.py")
	// Energy by process and GPU, once the driver has given samples.
	x.matches(`train\.py +60\.0 GiB +\d+ +\d+\.\d+ +\d+\.\d+`)
	x.matches(`drawn \d+\.\d+ ± \d+\.\d+ Wh`)
	x.keys("g")
	x.hides("─ 2 GPUs ─")
	x.shows("peak ")
	x.keys("g")
	x.shows("─ 2 GPUs ─")
	x.keys(downKey)
	x.shows("─ 2 of 3 ·")
	x.keys(enterKey)
	x.matches(`─ Process `)
	x.keys(escKey)
	x.hides("─ Process ")
	x.keys("n")
	x.shows("nothing is run in this mode")
	x.keys("i")
	x.shows("What the words mean: Monitor")
	x.keys(escKey)
	x.hides("What the words mean")
}

func driveHelp(x *terminal) {
	x.shows("no job running")
	for key, name := range map[string]string{"1": "Live", "2": "Curves", "3": "Sweep", "4": "Compare", "5": "Workload", "6": "Session", "7": "Rows"} {
		x.keys(key)
		x.until("the key bar's end", func(s string) bool {
			return strings.Contains(row(s, 0), " "+key+" "+name+" ") && strings.HasSuffix(strings.TrimRight(row(s, -1), " "), "? help  q quit")
		})
		x.keys("?")
		screen := x.until("the help of "+name, func(s string) bool { return strings.Contains(s, "─ Keys ") })
		// The page's own keys come first.
		if _, after, _ := strings.Cut(screen, "─ Keys "); !strings.Contains(row(after, 1), "│ On "+name+" ") {
			x.t.Errorf("the help of %s does not begin with its keys:\n%s", name, screen)
		}
		if strings.Contains(screen, " of ") {
			x.keys(endKey)
			x.shows("Replay")
		}
		x.keys(escKey)
		x.hides("─ Keys ")
		x.keys("i")
		x.shows("What the words mean: " + name)
		x.keys(escKey)
		x.hides("What the words mean")
	}
	// A clicked tab is shown.
	at := strings.Index(row(x.text(), 0), "3 Sweep")
	x.keys(fmt.Sprintf("\x1b[<0;%d;1M", at+2), fmt.Sprintf("\x1b[<0;%d;1m", at+2))
	x.shows("Points, newest first")
}
