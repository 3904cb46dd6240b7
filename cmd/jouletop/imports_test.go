package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// leaves are packages that stay small in what they need: of the repository they
// import nothing else.
var leaves = map[string][]string{
	"gpu":                     {"gpu/plaintext"},
	"gpu/plaintext":           {},
	"gpu/regular":             {},
	"gpu/timebase":            {},
	"gpu/sampler":             {"gpu", "gpu/timebase"},
	"gpu/switching":           {"gpu", "gpu/plaintext", "gpu/timebase"},
	"gpu/energy":              {"gpu"},
	"workloads":               {},
	"workloads/arrivals":      {"workloads/traces"},
	"workloads/study":         {},
	"workloads/traces":        {},
	"engine":                  {"engine/account", "engine/binding", "engine/clocks", "engine/event", "engine/latency", "engine/serverword", "engine/serving", "engine/serving/observed", "engine/stream", "gpu", "gpu/energy", "gpu/plaintext", "gpu/sampler", "gpu/timebase", "workloads", "workloads/arrivals"},
	"engine/account":          {"engine/event", "engine/serving", "gpu", "gpu/energy"},
	"engine/analysis/curve":   {"engine/event"},
	"engine/analysis/served":  {"engine/event"},
	"engine/analysis/paired":  {"engine/analysis/curve", "engine/analysis/verdict", "engine/event", "gpu/plaintext"},
	"engine/analysis/verdict": {"engine/analysis/curve"},
	"engine/binding":          {"engine/event", "gpu"},
	"engine/clocks":           {"engine/event", "gpu", "gpu/clockguard", "gpu/timebase"},
	"engine/command":          {"engine/event", "gpu"},
	"engine/event":            {"engine/nulljson", "gpu"},
	"engine/latency":          {"engine/event"},
	"engine/nulljson":         {},
	"engine/serverword":       {"engine/event", "gpu/timebase"},
	"engine/serving":          {},
	"engine/serving/observed": {"engine/event"},
	"engine/stream":           {"engine/event"},
	"engine/usage":            {},
}

// onlyFor are packages that do a thing, and who may ask them for it: everybody else
// knows the interface.
var onlyFor = map[string][]string{
	"engine/llama":    {"engine/llama", "engine/worker", "engine/rig", "cmd"},
	"engine/remote":   {"engine/rig"},
	"engine/simllm":   {"engine/rig", "engine/enginetest"},
	"engine/worker":   {"engine/worker", "engine/rig", "cmd"},
	"engine/rig":      {"engine/operator", "cmd"},
	"engine/operator": {"cmd"},
	"gpu/nvml":        {"gpu/nvml", "gpu/sampler/internal", "engine/rig"},
}

// within tells whether a package is another, or lies below it.
func within(pkg, root string) bool { return pkg == root || strings.HasPrefix(pkg, root+"/") }

// wrongImport says what is wrong with an import of one package by another, both by
// their folders; "" where nothing is.
func wrongImport(from, to string) string {
	if own, ok := leaves[from]; ok && !slices.Contains(own, to) {
		return "which is to need no more than " + strings.Join(own, ", ")
	}
	if users, ok := onlyFor[to]; ok && !slices.ContainsFunc(users, func(u string) bool { return within(from, u) }) {
		return "which is for " + strings.Join(users, ", ") + " alone"
	}
	room, _, _ := strings.Cut(from, "/")
	if within(from, "tui/internal") { // the tests' and the bench's: no part of the program
		room = "cmd"
	}
	other, _, _ := strings.Cut(to, "/")
	below := map[string][]string{
		"cmd": {"cmd", "tui", "engine", "gpu", "workloads"}, "tui": {"tui"},
		"engine": {"engine", "gpu", "workloads"}, "gpu": {"gpu"}, "workloads": {"workloads"},
	}
	if slices.Contains(below[room], other) {
		return ""
	}
	if from == "tui/preferences" && to == "gpu/regular" { // files that a person wrote
		return ""
	}
	if room == "tui" && slices.Contains([]string{"engine/command", "engine/event", "engine/analysis/curve", "engine/analysis/paired", "engine/analysis/served", "engine/analysis/verdict", "gpu", "gpu/plaintext"}, to) {
		return ""
	}
	return "against the one way: cmd, tui, engine, then gpu and workloads"
}

// Imports run one way, and leaves stay leaves.
func TestImportsRunOneWay(t *testing.T) {
	c := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "./...")
	c.Dir = "../.."
	out, err := c.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	packages := map[string]bool{}
	for line := range strings.Lines(string(out)) {
		paths := strings.Fields(line)
		from, _ := strings.CutPrefix(paths[0], "jouletop/")
		packages[from] = true
		for _, p := range paths[1:] {
			to, ours := strings.CutPrefix(p, "jouletop/")
			if !ours {
				continue
			}
			if wrong := wrongImport(from, to); wrong != "" {
				t.Errorf("%s imports %s, %s", from, to, wrong)
			}
		}
	}
	for p := range leaves {
		if !packages[p] {
			t.Errorf("there is no package %s", p)
		}
	}
	for p := range onlyFor {
		if !packages[p] {
			t.Errorf("there is no package %s", p)
		}
	}
}

func TestWrongImportsAreFound(t *testing.T) {
	for _, c := range [][2]string{
		{"gpu/simgpu", "engine/event"}, {"workloads", "gpu"}, {"engine", "engine/llama"}, {"engine/policy", "tui"},
		{"tui", "engine/session"}, {"tui/page", "engine/operator"}, {"engine/event", "gpu/timebase"}, {"engine/plan", "engine/rig"}, {"engine", "cmd/jouletop"},
	} {
		if wrongImport(c[0], c[1]) == "" {
			t.Errorf("%s may import %s", c[0], c[1])
		}
	}
}
