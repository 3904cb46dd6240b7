package main

import (
	"cmp"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"
)

// rooms are what packages do, by the beginnings of their names; the deepest call that is of
// one of them says what a moment was for. What does "" serves whoever called it, and so does
// what is not here.
var rooms = []struct{ prefix, does string }{
	{"jouletop/engine/event", ""}, {"jouletop/engine/nulljson", ""}, {"jouletop/engine/command", ""}, {"jouletop/engine/analysis", ""},
	{"jouletop/gpu/simgpu", simulating}, {"jouletop/engine/simllm", simulating}, {"jouletop/gpu/timebase", simulating},
	{"jouletop/gpu/energy", "fitting: what phases and requests drew"}, {"jouletop/engine/account", "fitting: what phases and requests drew"}, {"jouletop/engine/binding", "fitting: what phases and requests drew"},
	{"jouletop/engine/session", "writing: the recorder"},
	{"jouletop/tui/screen", "showing: bytes to the terminal"},
	{"jouletop/tui", "drawing: events folded in, and the picture"}, {"charm.land/bubbletea", "drawing: events folded in, and the picture"},
	{"jouletop/gpu/sampler", "sampling, and the stream"}, {"jouletop/gpu/nvml", "sampling, and the stream"}, {"jouletop/engine/stream", "sampling, and the stream"}, {"jouletop/engine/clocks", "sampling, and the stream"}, {"jouletop/engine.(*Engine)", "sampling, and the stream"},
	{"jouletop/engine", "running jobs"}, {"jouletop/workloads", "running jobs"}, {"main.", "running jobs"},
}

const simulating = "simulated GPU, model and clock: a real GPU costs calls"

// purpose says what a moment was for, by its calls, the deepest first.
func purpose(calls []string) string {
	for _, c := range calls {
		for _, p := range []string{"runtime.gcBgMarkWorker", "runtime.gcAssistAlloc", "runtime.bgsweep", "runtime.bgscavenge", "runtime.gcStart", "runtime.gcMarkDone"} {
			if strings.HasPrefix(c, p) {
				return "Go: collecting garbage"
			}
		}
	}
	for _, c := range calls {
		i := slices.IndexFunc(rooms, func(r struct{ prefix, does string }) bool { return strings.HasPrefix(c, r.prefix) })
		if i >= 0 && rooms[i].does != "" {
			return rooms[i].does
		}
	}
	return "Go: waking, sleeping, timers"
}

// printSplit prints what of the program's time, total % of a core, went where: by its stacks
// over the time cpu that it took.
func printSplit(how string, seen []trace, cpu time.Duration, total float64) error {
	took, sum := map[string]time.Duration{}, time.Duration(0)
	for _, t := range seen {
		took[purpose(t.calls)] += t.took
		sum += t.took
	}
	if sum == 0 {
		return fmt.Errorf("nothing was seen by %s", how)
	}
	if unseen := cpu - sum; unseen > cpu/50 {
		took["not seen, most of it waking and sleeping"] = unseen
		sum = cpu
	}
	fmt.Printf("where that goes, as %s saw another such run:\n", how)
	for _, what := range slices.SortedFunc(maps.Keys(took), func(a, b string) int { return cmp.Compare(took[b], took[a]) }) {
		share := float64(took[what]) / float64(sum)
		note("  "+what, fmt.Sprintf("%.2f %%", total*share), fmt.Sprintf("%.0f %% of it", 100*share))
	}
	return nil
}

// profileTraces reads a profile of a program.
func profileTraces(program, file string) ([]trace, error) {
	out, err := exec.Command("go", "tool", "pprof", "-traces", program, file).Output()
	if err != nil {
		return nil, fmt.Errorf("go tool pprof: %w", err)
	}
	return traces(string(out)), nil
}

// perfHz is how often perf looks, a second of CPU time.
const perfHz = 4000

// perf has the perf of Linux look at a process for a while; it sees the kernel's part and
// the shortest stretches too, which the timers of a profile miss.
func perf(pid int, file string, d time.Duration) ([]trace, error) {
	record := exec.Command("perf", "record", "-q", "-e", "cpu-clock", "-F", strconv.Itoa(perfHz), "-g", "-o", file, "-p", strconv.Itoa(pid), "--", "sleep", strconv.FormatFloat(d.Seconds(), 'f', 1, 64))
	if out, err := record.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("perf record: %w: %s", err, out)
	}
	out, err := exec.Command("perf", "script", "-i", file, "-F", "ip,sym").Output()
	if err != nil {
		return nil, fmt.Errorf("perf script: %w", err)
	}
	return perfTraces(string(out)), nil
}

// perfTraces reads what perf script writes: stacks with an empty line after each.
func perfTraces(text string) (out []trace) {
	for stack := range strings.SplitSeq(text, "\n\n") {
		t := trace{took: time.Second / perfHz}
		for line := range strings.Lines(stack) {
			if f := strings.Fields(line); len(f) > 1 {
				name, _, _ := strings.Cut(f[1], "+0x")
				t.calls = append(t.calls, name)
			}
		}
		if len(t.calls) > 0 {
			out = append(out, t)
		}
	}
	return out
}

// trace is a stack that was seen, the deepest call first, and for how long.
type trace struct {
	calls []string
	took  time.Duration
}

// traces reads what go tool pprof -traces writes.
func traces(text string) (out []trace) {
	var t trace
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "-----------+") {
			if t.took > 0 {
				out = append(out, t)
			}
			t = trace{}
			continue
		}
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		if d, err := time.ParseDuration(f[0]); err == nil && len(t.calls) == 0 && len(f) > 1 {
			t.took, t.calls = d, []string{f[1]}
		} else if len(t.calls) > 0 {
			t.calls = append(t.calls, f[0])
		}
	}
	if t.took > 0 {
		out = append(out, t)
	}
	return out
}
