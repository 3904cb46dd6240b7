// Command bench measures the sampler on a real clock while every core is
// busy: gaps between polls, polls lost, and processor time. It samples the fake
// NVML library, whose calls take the time that they take on an H100; with -real
// it samples the machine's own GPU 0.
//
// The load is a process of its own at the usual priority, as an inference
// worker's is, with a thread for each core that multiplies matrices; and, to be
// hard on the Go scheduler too, as many busy goroutines in the sampler's own
// process with -goroutines.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"jouletop/gpu"
	"jouletop/gpu/nvml"
	"jouletop/gpu/nvml/fakenvml"
	"jouletop/gpu/sampler"
	"jouletop/gpu/timebase"
)

// What the sampler must keep to.
const (
	targetP99  = 12 * time.Millisecond
	targetLost = 0
	targetCPU  = 2.0 // % of one core
)

func main() {
	duration := flag.Duration("for", 20*time.Second, "how long to sample")
	real := flag.Bool("real", false, "sample this machine's GPU 0 in place of the fake one")
	idle := flag.Bool("idle", false, "leave the cores idle")
	goroutines := flag.Int("goroutines", 0, "busy goroutines in the sampler's own process (their time is counted as its own)")
	plain := flag.Bool("goroutine", false, "poll from a goroutine, as a simulated GPU is polled on a real clock")
	load := flag.Bool("load", false, "be the load")
	flag.Parse()
	if *load {
		burn(runtime.NumCPU())
		select {}
	}
	ok, err := bench(*duration, *real, !*idle, *plain, *goroutines)
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchsampler:", err)
		os.Exit(1)
	}
	if !ok {
		os.Exit(1)
	}
}

func bench(duration time.Duration, real, busy, plain bool, goroutines int) (ok bool, err error) {
	if !real {
		dir, err := os.MkdirTemp("", "benchsampler")
		if err != nil {
			return false, err
		}
		defer os.RemoveAll(dir)
		if err := useFake(filepath.Join(dir, "gpu")); err != nil {
			return false, err
		}
	}
	opened, err := nvml.Open(0)
	if err != nil {
		return false, err
	}
	defer opened.Close()
	var dev gpu.Device = opened
	if plain {
		dev = struct{ gpu.Device }{opened} // hides that it can poll itself
	}
	if busy {
		stop, err := startLoad()
		if err != nil {
			return false, err
		}
		defer stop()
	}
	burn(goroutines)

	var gaps []time.Duration
	var powers atomic.Int64
	last := int64(0)
	before := cpuTime()
	begin := time.Now()
	s := sampler.Start(dev, sampler.Options{
		Clock: timebase.Monotonic(),
		Sample: func(t int64, _ gpu.Sample) {
			if last != 0 {
				gaps = append(gaps, time.Duration(t-last))
			}
			last = t
		},
		Power:   func(gpu.PowerReading) { powers.Add(1) },
		Problem: func(err error) { fmt.Fprintln(os.Stderr, "benchsampler:", err) },
	})
	time.Sleep(duration)
	s.Stop()
	wall := time.Since(begin)
	cpu := 100 * float64(cpuTime()-before) / float64(wall)
	if len(gaps) == 0 {
		return false, errors.New("no poll at all")
	}
	slices.Sort(gaps)
	at := func(q float64) time.Duration { return gaps[int(q*float64(len(gaps)-1))] }
	stats := s.Stats()

	fmt.Printf("%s, %d cores %s, %v at %v, %d power readings\n", dev.Info().Name, runtime.NumCPU(),
		map[bool]string{true: "busy", false: "idle"}[busy], wall.Round(time.Millisecond), sampler.Period, powers.Load())
	ok = true
	row := func(name, figure, target string, good bool) {
		verdict := ""
		if target != "" {
			verdict = "ok"
			if !good {
				verdict, ok = "MISSED", false
			}
		}
		fmt.Printf("%-28s %12s   %-12s %s\n", name, figure, target, verdict)
	}
	row("gap p50", at(0.5).Round(time.Microsecond).String(), "", true)
	row("gap p99", at(0.99).Round(time.Microsecond).String(), "< "+targetP99.String(), at(0.99) < targetP99)
	row("gap max", stats.MaxGap.Round(time.Microsecond).String(), "", true)
	row("polls", fmt.Sprint(stats.Polls), "", true)
	row("polls lost", fmt.Sprint(stats.Missed), fmt.Sprint(targetLost), stats.Missed == targetLost)
	if goroutines == 0 {
		row("processor time, % of a core", fmt.Sprintf("%.2f", cpu), fmt.Sprintf("< %g", targetCPU), cpu < targetCPU)
	}
	return ok, nil
}

// useFake points this process at a fake GPU whose calls take as long as an
// H100's: 2 to 8 µs a cheap one, 0.4 ms the sample buffer (its two calls
// together), 3.8 ms the energy counter.
func useFake(state string) error {
	lib, err := fakenvml.Build()
	if err != nil {
		return err
	}
	h100 := fakenvml.H100().With(fakenvml.CallUS, 5).With(fakenvml.BufferCallUS, 200).With(fakenvml.CounterCallUS, 3800).
		With(fakenvml.PowerLowMW, 150_000).With(fakenvml.PowerHighMW, 600_000).With(fakenvml.PowerPeriodNS, 730e6)
	st, err := fakenvml.Create(state, h100)
	if err != nil {
		return err
	}
	for _, kv := range [][2]string{{fakenvml.EnvLibrary, lib}, {fakenvml.EnvState, st.Path()}} {
		if err := os.Setenv(kv[0], kv[1]); err != nil {
			return err
		}
	}
	return nil
}

func startLoad() (stop func(), err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, "-load")
	cmd.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	time.Sleep(300 * time.Millisecond) // until it is under way
	return func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}, nil
}

// burn starts n goroutines that multiply matrices for ever.
func burn(n int) {
	for range n {
		go func() {
			const size = 96
			var a, b, c [size][size]float32
			for {
				for i := range size {
					for k := range size {
						for j := range size {
							c[i][j] += a[i][k] * b[k][j]
						}
					}
				}
				a[0][0] = c[0][0]
			}
		}()
	}
}

// cpuTime returns the processor time of this process so far.
func cpuTime() time.Duration {
	var u unix.Rusage
	// The only possible failure is a bad argument.
	_ = unix.Getrusage(unix.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
