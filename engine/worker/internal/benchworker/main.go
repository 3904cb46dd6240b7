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
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"jouletop/engine"
	"jouletop/engine/backends"
	"jouletop/engine/event"
	"jouletop/engine/internal/figures"
	"jouletop/engine/llama"
	"jouletop/engine/synth"
	"jouletop/engine/worker"
	"jouletop/gpu/timebase"
	"jouletop/workloads"
)

// target is the least the child may reach of the tokens/s without it.
const target = 0.99

// child is the argument that makes this program the child.
const child = "child"

type options struct {
	model, backendDir string
	layers, threads   int
	prompt, generate  int
	rounds            int
	limit             time.Duration
}

func main() {
	if len(os.Args) == 3 && os.Args[1] == child {
		err := worker.Main(context.Background(), func() (engine.Backend, any, error) {
			b, err := llama.New(llama.Options{BackendDir: os.Args[2], Log: os.Stderr})
			return b, nil, err
		})
		exitOn(err)
		return
	}
	var o options
	batches := flag.String("batch", "1,4", "batch sizes")
	flag.StringVar(&o.model, "model", "llama-15m", "GGUF, or a published shape to synthesize")
	flag.StringVar(&o.backendDir, "backend-dir", "", "folder of libggml-*.so")
	flag.IntVar(&o.layers, "gpu-layers", 0, "layers on the GPU; -1: all")
	flag.IntVar(&o.threads, "threads", llama.Cores(), "threads")
	flag.IntVar(&o.prompt, "prompt", 340, "tokens of a prompt, about")
	flag.IntVar(&o.generate, "generate", 100, "tokens to generate")
	flag.IntVar(&o.rounds, "rounds", 150, "the most rounds a batch size")
	flag.DurationVar(&o.limit, "limit", 60*time.Second, "the most time a batch size")
	flag.Parse()
	exitOn(run(o, *batches))
}

func exitOn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench-worker:", err)
		os.Exit(1)
	}
}

var errShort = errors.New("below the target")

func run(o options, batches string) error {
	if shape, err := synth.Lookup(o.model); err == nil {
		dir, err := os.MkdirTemp("", "jouletop-bench")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		o.model = shape.DefaultPath(dir, synth.F16)
		if err := synth.Write(context.Background(), shape, synth.F16, 1, o.model, nil); err != nil {
			return err
		}
	}
	here, err := llama.New(llama.Options{BackendDir: o.backendDir})
	if err != nil {
		return err
	}
	defer here.Close()
	there, err := worker.New(worker.Options{Args: []string{child, o.backendDir}, Env: backends.Env(o.backendDir), Log: io.Discard})
	if err != nil {
		return err
	}
	defer there.Close()
	both := [2]engine.Backend{here, there}
	for _, b := range both {
		spec := engine.ModelSpec{Path: o.model, GPULayers: o.layers, Threads: o.threads}
		if _, err := b.Load(context.Background(), spec, nil); err != nil {
			return err
		}
	}
	fmt.Printf("%s, %d threads, prompts of %d tokens, %d generated\n", filepath.Base(o.model), o.threads, o.prompt, o.generate)
	fmt.Printf("%-8s %5s %7s %16s %16s %8s %14s %7s\n", "phase", "batch", "rounds", "in process tok/s", "in child tok/s", "ratio", "(95 %)", "target")
	var short error
	for s := range strings.SplitSeq(batches, ",") {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 {
			return fmt.Errorf("batch %q", s)
		}
		if err := compare(o, both, n); errors.Is(err, errShort) {
			short = err
		} else if err != nil {
			return err
		}
	}
	fmt.Printf("resident: child %s\n", residentOf(there.ChildPID()))
	return short
}

func compare(o options, both [2]engine.Backend, batch int) error {
	job, err := jobOf(both[0], o, batch)
	if err != nil {
		return err
	}
	var of [2][2][]float64  // here or there, prefill or decode: tokens/s
	var late, cpu []float64 // µs; of the parent, a token
	begin := time.Now()
	rounds := 0
	for ; rounds < 2+o.rounds && (rounds < 12 || time.Since(begin) < o.limit); rounds++ {
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
			for phase, rate := range w.rates {
				of[who][phase] = append(of[who][phase], rate)
			}
			if who == 1 {
				late = append(late, w.late...)
				cpu = append(cpu, float64(cpuTime()-used)/1e3/float64(batch*o.generate))
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

// jobOf words a batch of prompts of about o.prompt tokens.
func jobOf(b engine.Backend, o options, batch int) (engine.Batch, error) {
	text := ""
	for i := 0; ; i++ {
		text += " " + []string{"energy", "clock", "power", "token", "phase", "memory", "bound"}[i*i%7]
		n, err := b.CountTokens(text)
		if err != nil {
			return engine.Batch{}, err
		}
		if n >= o.prompt {
			break
		}
	}
	job := engine.Batch{ID: "bench"}
	for range batch {
		job.Requests = append(job.Requests, engine.Request{Query: workloads.Query{Prompt: text}, MaxTokens: o.generate})
	}
	return job, nil
}

// watch takes the rates from what an engine would hear, and how late it hears.
type watch struct {
	clk   timebase.Clock
	start int64
	rates [2]float64
	late  []float64 // µs
}

func (w *watch) PhaseStart(_ event.Phase, t int64, _ int) {
	w.start = t
	w.late = append(w.late, float64(w.clk.Now()-t)/1e3)
}

func (w *watch) PhaseEnd(phase event.Phase, t int64, tokens int) {
	i := 0
	if phase == event.Decode {
		i = 1
	}
	w.rates[i] = float64(tokens) / (float64(t-w.start) / 1e9)
	w.late = append(w.late, float64(w.clk.Now()-t)/1e3)
}

func (w *watch) Token(int, int64, string) {}

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
