// Bench measures what the dashboard costs and prints it beside its targets:
//
//	go run ./tui/internal/bench [-jouletop bin/jouletop] [-seconds 20]
//
// It exits with 1 where a figure falls short. The bare program that it compares
// with is itself, run with -bare.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"
	"golang.org/x/sys/unix"

	"jouletop/engine/event"
	"jouletop/gpu"
	"jouletop/tui"
	"jouletop/tui/internal/synth"
	"jouletop/tui/theme"
)

// Targets.
const (
	frameLimit  = 5 * time.Millisecond
	growthLimit = 1.5 // cost of a frame after 8 h against after 1 min
	cpuLimit    = 4.0 // % of one core
	rssLimit    = 100 // MB
)

var failed bool

func row(what, got, want string, ok bool) {
	mark := "ok"
	if !ok {
		mark, failed = "TOO MUCH", true
	}
	fmt.Printf("%-58s %14s   %-16s %s\n", what, got, want, mark)
}

func note(what, got, why string) { fmt.Printf("%-58s %14s   %s\n", what, got, why) }

func main() {
	program := flag.String("jouletop", "bin/jouletop", "the program to run in a terminal of 200×60; skipped where it is missing")
	seconds := flag.Int("seconds", 20, "how long each program is watched")
	bare := flag.Bool("bare", false, "be the bare program to compare with")
	long := flag.Bool("long", true, "also run the program through a simulated session of 8 h")
	flag.Parse()
	if *bare {
		runBare()
		return
	}
	frames()
	watchPrograms(*program, time.Duration(*seconds)*time.Second, *long)
	if failed {
		os.Exit(1)
	}
}

// frames measures a frame after one minute and after eight hours of a session
// sampled at 100 Hz.
func frames() {
	g := synth.New(1)
	c := synth.NewControl(g)
	m := tui.New(tui.Options{Source: c, Controller: c, GPUs: []gpu.Info{synth.Info()}, Simulated: true, Analyse: synth.Analyse, Theme: theme.Dark})
	m.Update(tea.WindowSizeMsg{Width: 200, Height: 60})
	g.Add(synth.Job{Point: event.Point{PointID: "p1", GPU: synth.ID, Model: "llama-3.2-1b", Dataset: "boolq", BatchSize: 4, Policy: "phase:1980/1005", Queries: 1 << 30, Repeat: 1}, MaxTokens: 100, Prefill: 1980, Decode: 1005})
	g.Begin("run", "none")
	play := func(until time.Duration) {
		for g.Now() < int64(until) {
			m.Apply(g.Advance(g.Now() + int64(time.Second))...)
		}
	}
	play(time.Minute)
	early := measure(g, m)
	play(8 * time.Hour)
	late := measure(g, m)
	ms := func(d time.Duration) string { return fmt.Sprintf("%.2f ms", float64(d)/1e6) }
	note("frame at 200×60 after 1 min, median CPU time", ms(early.median), "100 ms of telemetry folded in, and drawn")
	row("frame at 200×60 after 8 h, median", ms(late.median), "5 ms", late.median < frameLimit)
	row("frame at 200×60 after 8 h, 95th percentile", ms(late.p95), "5 ms", late.p95 < frameLimit)
	ratio := float64(late.median) / float64(early.median)
	row("after 8 h against after 1 min", fmt.Sprintf("%.2f", ratio), fmt.Sprintf("%.1f", growthLimit), ratio < growthLimit)
	for _, w := range []string{"1 min", "10 min", "session"} {
		m.Update(tea.KeyPressMsg(tea.Key{Code: 'w', Text: "w"}))
		f := measure(g, m)
		row("frame after 8 h, window "+w+", 95th percentile", ms(f.p95), "5 ms", f.p95 < frameLimit)
	}
	runtime.GC()
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	note("heap of the dashboard after 8 h", fmt.Sprintf("%.0f MB", float64(mem.HeapAlloc)/1e6), "with the generator's")
	runtime.KeepAlive(m)
}

// threadTime is the CPU time that this thread has taken.
func threadTime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		panic(err) // every Linux has this clock
	}
	return time.Duration(t.Nano())
}

type cost struct{ median, p95 time.Duration }

func measure(g *synth.Gen, m *tui.Model) cost {
	// The CPU time of this thread: what else runs on the machine does not count.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var took []time.Duration
	for range 300 {
		events := g.Advance(g.Now() + int64(100*time.Millisecond))
		t := threadTime()
		m.Apply(events...)
		_ = m.View()
		took = append(took, threadTime()-t)
	}
	slices.Sort(took)
	return cost{took[len(took)/2], took[len(took)*95/100]}
}
