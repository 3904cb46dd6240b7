// Bench measures what the dashboard costs and prints it beside its targets:
//
//	go run ./tui/internal/bench [-jouletop bin/jouletop] [-seconds 30] [-played FOLDER]
//
// What is compared runs in turns or at the same time, and a figure counts as too much
// where the lower end of its 95 % interval is. It exits with 1 where one is. The bare program that
// it compares with is itself, run with -bare.
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
	"jouletop/tui"
	"jouletop/tui/internal/recorded"
	"jouletop/tui/theme"
)

// Targets.
const (
	frameLimit  = 5 * time.Millisecond
	growthLimit = 1.5 // cost of a frame after 8 h against after 1 min
	cpuLimit    = 4.0 // % of one core
	rssLimit    = 100 // MB
	// painterLimit is the most that the painter may cost, % of Bubble Tea's renderer.
	painterLimit = 50
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
	seconds := flag.Int("seconds", 30, "how long programs are watched")
	bare := flag.Bool("bare", false, "be the bare program to compare with")
	long := flag.Bool("long", true, "also run the program through a simulated session of 8 h")
	folder := flag.String("played", "tui/testdata/sessions/run", "the recorded session that frames are drawn of")
	flag.Parse()
	if *bare {
		runBare()
		return
	}
	s, err := recorded.Open(*folder)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	frames(s)
	renderers(s)
	watchPrograms(*program, time.Duration(*seconds)*time.Second, *long)
	if failed {
		os.Exit(1)
	}
}

// dashboard is one over a session under way, sampled at 100 Hz: the recorded one,
// again and again.
type dashboard struct {
	player *recorded.Player
	model  *tui.Model
	now    time.Duration
}

// after returns a dashboard whose session has lasted for so long.
func after(s *recorded.Session, long time.Duration) *dashboard {
	c := recorded.NewCalls(s)
	m := tui.New(tui.Options{Source: c, Controller: c, GPUs: s.GPUs, Simulated: true, Theme: theme.Dark})
	m.Update(tea.WindowSizeMsg{Width: 200, Height: 60})
	d := &dashboard{player: recorded.NewPlayer(s), model: m}
	for d.now < long {
		m.Apply(d.next(time.Second)...)
	}
	return d
}

// next are the session's next events.
func (d *dashboard) next(by time.Duration) []event.Event {
	d.now += by
	return d.player.Until(int64(d.now))
}

// frames measures a frame after one minute and after eight hours.
func frames(s *recorded.Session) {
	young, old := after(s, time.Minute), after(s, 8*time.Hour)
	// In turns: a machine that is slower for a while is so for both.
	costs := measure(young, old)
	early, late := costs[0], costs[1]
	ms := func(d time.Duration) string { return fmt.Sprintf("%.2f ms", float64(d)/1e6) }
	note("frame at 200×60 after 1 min, median CPU time", ms(early.median), "100 ms of telemetry folded in, and drawn")
	row("frame at 200×60 after 8 h, median", ms(late.median), "5 ms", late.median < frameLimit)
	row("frame at 200×60 after 8 h, 95th percentile", ms(late.p95), "5 ms", late.p95 < frameLimit)
	ratio := float64(late.median) / float64(early.median)
	row("after 8 h against after 1 min", fmt.Sprintf("%.2f", ratio), fmt.Sprintf("%.1f", growthLimit), ratio < growthLimit)
	for _, w := range []string{"1 min", "10 min", "session"} {
		old.model.Update(tea.KeyPressMsg(tea.Key{Code: 'w', Text: "w"}))
		f := measure(old)[0]
		row("frame after 8 h, window "+w+", 95th percentile", ms(f.p95), "5 ms", f.p95 < frameLimit)
	}
	runtime.GC()
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	note("heap of the dashboard after 8 h", fmt.Sprintf("%.0f MB", float64(mem.HeapAlloc)/1e6), "with the young session and the recorded one")
	runtime.KeepAlive(old)
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

// measure draws frames of the dashboards in turns.
func measure(of ...*dashboard) []cost {
	// The CPU time of this thread: what else runs on the machine does not count.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	took := make([][]time.Duration, len(of))
	for range 300 {
		for i, d := range of {
			events := d.next(100 * time.Millisecond)
			t := threadTime()
			d.model.Apply(events...)
			_ = d.model.View()
			took[i] = append(took[i], threadTime()-t)
		}
	}
	costs := make([]cost, len(of))
	for i, t := range took {
		slices.Sort(t)
		costs[i] = cost{t[len(t)/2], t[len(t)*95/100]}
	}
	return costs
}
