package main

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"jouletop/engine/session"
)

var recordTo = flag.String("record", "", "folder to record the sessions into that the dashboard's tests are shown")

// TestRecordSessions records those sessions anew, from the simulator: a run with a
// phase-aware policy, requests served as they come, and a dashboard in which an operator sweeps and compares.
func TestRecordSessions(t *testing.T) {
	if *recordTo == "" {
		t.Skip("go test ./cmd/jouletop -run RecordSessions -record FOLDER")
	}
	for name, flags := range map[string]string{
		"run":     "--dataset narrativeqa --batch 8 --queries 56 --policy phase:1980/1005",
		"serving": "--dataset truthfulqa --queries 20 --max-tokens 24 --arrivals poisson:8 --slots 4 --slo ttft=100ms,tpot=12ms",
	} {
		dir := filepath.Join(t.TempDir(), name)
		args := append(strings.Fields("run --gpu sim --model llama-3.1-8b --samples full --session"), dir)
		if out, err := exec.Command("jouletop", append(args, strings.Fields(flags)...)...).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		keepSession(t, dir, name)
	}

	x := open(t, 120, 40, nil, "--gpu", "sim", "--model", "llama-3.2-1b", "--queries", "4", "--sim-speed", "20", "--samples", "thin")
	points := func(n int) {
		x.stored(session.PointsFile, "its points", func(s string) bool { return strings.Count(s, "\n") == 1+n })
		x.shows("─ idle ─")
	}
	x.shows("SIMULATED")
	x.keys("3")
	points(4)

	// A sweep of two models over seven clocks, twice.
	x.keys("n")
	x.shows("New sweep")
	x.keys(rightKey, rightKey, " ")
	x.keys(downKey, downKey, downKey)
	x.form("1", "2", "4")
	x.keys(enterKey)
	points(4 + 28)

	// The highest clock against one by phase: long prompts at batch 8, then short ones.
	compare := func(dataset []string, batch string, all int) {
		x.keys("4", "n")
		x.shows("New comparison")
		x.form("fixed:1980", "phase:1980/1155")
		x.keys(downKey, downKey)
		x.keys(dataset...)
		x.keys(downKey)
		x.form(batch, "3", "8")
		x.keys(enterKey)
		x.hides("New comparison")
		x.keys("3")
		points(all)
	}
	compare([]string{" ", rightKey, " "}, "8", 4+28+6) // truthfulqa goes, narrativeqa comes
	x.keys("m")
	x.shows("note:")
	x.keys("fan noise changes here", enterKey)
	x.shows("marked")
	compare(nil, "1", 4+28+2*6)

	x.keys("f")
	x.shows("type to jump")
	x.keys("1005", enterKey)
	x.shows("1005→1005 MHz")
	x.keys(escKey)
	x.hides("type to jump")
	x.quit()
	keepSession(t, x.session(), "sweep")
}

// keepSession copies a session into the folder, without what was generated and
// without what tells the machine it was recorded on.
func keepSession(t *testing.T, dir, name string) {
	t.Helper()
	host := regexp.MustCompile(`(?s)"host": \{.*?\}`)
	to := filepath.Join(*recordTo, name)
	if err := os.MkdirAll(to, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, file := range session.Files() {
		b, err := os.ReadFile(filepath.Join(dir, file))
		if file == session.OutputsFile || os.IsNotExist(err) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if file == session.ManifestFile {
			b = host.ReplaceAll(b, []byte(`"host": {
    "name": "workstation",
    "os": "linux/amd64",
    "kernel": "6.12",
    "cpu": "",
    "cores": 16
  }`))
		}
		if err := os.WriteFile(filepath.Join(to, file), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
