//go:build cgo

// Command benchworker compares llama.cpp in a child process with llama.cpp in
// this one: tokens/s of prefill and decode, in turns, as the median ratio
// of neighbouring runs; and tells how long a phase boundary takes from the child
// to the parent's Observer, and what CPU time the parent spends on a token. It fails where the child surely falls short.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"jouletop/engine"
	"jouletop/engine/backends"
	"jouletop/engine/event"
	"jouletop/engine/internal/figures"
	"jouletop/engine/llama"
	"jouletop/engine/worker"
	"jouletop/gpu/timebase"
	"jouletop/workloads"
)

// target is the least the child may reach of the tokens/s without it.
const target = 0.99

// child is the argument that makes this program the child.
const child = "child"

func main() {
	if len(os.Args) == 3 && os.Args[1] == child {
		err := worker.Main(context.Background(), func() (engine.Backend, any, error) {
			b, err := llama.New(llama.Options{BackendDir: os.Args[2], Log: os.Stderr})
			return b, nil, err
		})
		exitOn(err)
		return
	}
	var o figures.Llama
	o.Flags(llama.Cores(), 100, 60*time.Second)
	flag.Parse()
	exitOn(run(o))
}

func exitOn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench-worker:", err)
		os.Exit(1)
	}
}

var errShort = errors.New("below the target")

func run(o figures.Llama) error {
	sizes, err := o.Batches()
	if err != nil {
		return err
	}
	done, err := o.Synthesize()
	if err != nil {
		return err
	}
	defer done()
	here, err := llama.New(llama.Options{BackendDir: o.BackendDir})
	if err != nil {
		return err
	}
	defer here.Close()
	there, err := worker.New(worker.Options{Args: []string{child, o.BackendDir}, Env: backends.Env(o.BackendDir), Log: io.Discard})
	if err != nil {
		return err
	}
	defer there.Close()
	both := [2]engine.Backend{here, there}
	for _, b := range both {
		if _, err := b.Load(context.Background(), o.Spec(), nil); err != nil {
			return err
		}
	}
	fmt.Printf("%s, %d threads, prompts of %d tokens, %d generated\n", filepath.Base(o.Model), o.Threads, o.Prompt, o.Generate)
	fmt.Printf("%-8s %5s %7s %16s %16s %8s %14s %7s\n", "phase", "batch", "rounds", "in process tok/s", "in child tok/s", "ratio", "(95 %)", "target")
	var short error
	for _, n := range sizes {
		if err := compare(o, both, n); errors.Is(err, errShort) {
			short = err
		} else if err != nil {
			return err
		}
	}
	fmt.Printf("resident: child %s\n", residentOf(there.ChildPID()))
	return short
}

func compare(o figures.Llama, both [2]engine.Backend, batch int) error {
	job, err := jobOf(both[0], o, batch)
	if err != nil {
		return err
	}
	var of [2][2][]float64  // here or there, prefill or decode: tokens/s
	var late, cpu []float64 // µs; of the parent, a token
	begin := time.Now()
	rounds := 0
	for ; rounds < 2+o.Rounds && (rounds < 12 || time.Since(begin) < o.Limit); rounds++ {
		for i := range both {
			who := (i + rounds) % 2 // who goes first alternates
			w := watch{clk: timebase.Monotonic()}
			used := cpuTime()
			results, err := both[who].Run(context.Background(), job, &w)
			if err != nil {
				return err
			}
			for _, r := range results {
				if r.Err != nil {
					return r.Err
				}
			}
			if rounds < 2 {
				continue // warm-up
			}
			for phase, rate := range w.Of {
				of[who][phase] = append(of[who][phase], rate)
			}
			if who == 1 {
				late = append(late, w.late...)
				cpu = append(cpu, float64(cpuTime()-used)/1e3/float64(batch*o.Generate))
			}
		}
	}
	err = nil
	for phase, name := range []string{"prefill", "decode"} {
		ratio, low, high := figures.MedianRatio(of[0][phase], of[1][phase])
		fmt.Printf("%-8s %5d %7d %16.1f %16.1f %8.4f   %.4f-%.4f %7.2f\n", name, batch, len(of[0][phase]),
			figures.Quantile(of[0][phase], 0.5), figures.Quantile(of[1][phase], 0.5), ratio, low, high, target)
		if !(high >= target) {
			err = errShort
		}
	}
	fmt.Printf("a boundary reaches the parent after %.0f µs (median), %.0f µs (95 of 100); a token takes %.1f µs of the parent's CPU\n",
		figures.Quantile(late, 0.5), figures.Quantile(late, 0.95), figures.Quantile(cpu, 0.5))
	return err
}

// jobOf words a batch of prompts of about o.Prompt tokens.
func jobOf(b engine.Backend, o figures.Llama, batch int) (engine.Batch, error) {
	text, _, err := figures.PromptOf(b, o.Prompt)
	if err != nil {
		return engine.Batch{}, err
	}
	job := engine.Batch{ID: "bench"}
	for range batch {
		job.Requests = append(job.Requests, engine.Request{Query: workloads.Query{Prompt: text}, MaxTokens: o.Generate})
	}
	return job, nil
}

// watch takes the rates from what an engine would hear, and how late it hears.
type watch struct {
	figures.Rates
	clk  timebase.Clock
	late []float64 // µs
}

func (w *watch) PhaseStart(phase event.Phase, t int64, tokens int) {
	w.Rates.PhaseStart(phase, t, tokens)
	w.late = append(w.late, float64(w.clk.Now()-t)/1e3)
}

func (w *watch) PhaseEnd(phase event.Phase, t int64, tokens int) {
	w.Rates.PhaseEnd(phase, t, tokens)
	w.late = append(w.late, float64(w.clk.Now()-t)/1e3)
}

// cpuTime returns the CPU time of this process so far, in ns.
func cpuTime() int64 {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

// residentOf returns a process's resident memory.
func residentOf(pid int) string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(text)) {
		if v, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			return strings.TrimSpace(v)
		}
	}
	return "unknown"
}
