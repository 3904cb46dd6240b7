//go:build cgo

// Command benchengine compares the binding with a bare loop over the same
// library calls: tokens/s of prefill and decode, in turns, as the mean ratio of the
// rounds with its 95 % interval. It fails where all of the interval falls short.
//
// With -bareloop PROGRAM the yardstick is a program of its own, called as
// PROGRAM MODEL BACKEND_DIR GPU_LAYERS THREADS BATCH PROMPT GENERATE SECONDS,
// that prints a line "PHASE … tokens_per_s N" a phase.
//
// On a GPU it also runs prompts of unequal lengths, a third to each side of the
// mean, whose prefill it compares with the bare loop's of equal ones.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"jouletop/engine"
	"jouletop/engine/internal/figures"
	"jouletop/engine/llama"
	"jouletop/engine/llama/internal/bareloop"
	"jouletop/workloads"
)

// The least the binding may reach of the bare loop's tokens/s, and that with
// prompts of unequal lengths.
const (
	target        = 0.98
	unequalTarget = 0.80
)

type options struct {
	figures.Llama
	program string
}

func main() {
	var o options
	o.Flags(llama.Cores(), 33, 80*time.Second)
	flag.StringVar(&o.program, "bareloop", "", "a program to compare with instead")
	flag.Parse()
	short, err := run(o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench-engine:", err)
		os.Exit(1)
	}
	if short {
		fmt.Fprintln(os.Stderr, "bench-engine: below the target")
		os.Exit(1)
	}
}

func run(o options) (short bool, err error) {
	sizes, err := o.Batches()
	if err != nil {
		return false, err
	}
	done, err := o.Synthesize()
	if err != nil {
		return false, err
	}
	defer done()
	b, err := llama.New(llama.Options{BackendDir: o.BackendDir})
	if err != nil {
		return false, err
	}
	defer b.Close()
	info, err := b.Load(context.Background(), o.Spec(), nil)
	if err != nil {
		return false, err
	}
	fmt.Printf("%s on %v, %d threads, prompts of %d tokens, %d generated, built for %v\n",
		filepath.Base(o.Model), info.Devices, o.Threads, o.Prompt, o.Generate, info.BuildFlags)
	fmt.Printf("%-8s %5s %7s %14s %14s %16s %7s\n", "phase", "batch", "rounds", "bare tok/s", "binding tok/s", "ratio, 95 %", "target")
	for _, n := range sizes {
		below, err := compare(o, b, n)
		if err != nil {
			return false, err
		}
		short = short || below
	}
	return short, nil
}

// rates are tokens/s of prefill and decode.
type rates [2]float64

// contender is what a bench runs in turns with others.
type contender struct {
	run func() (rates, error)
	of  [2][]float64 // tokens/s by phase
}

func compare(o options, b *llama.Backend, batch int) (short bool, err error) {
	prompt, tokens, err := figures.PromptOf(b, o.Prompt)
	if err != nil {
		return false, err
	}
	measure, done, err := yardstick(o, batch, tokens)
	if err != nil {
		return false, err
	}
	defer done()
	bare := &contender{run: measure}
	equal := &contender{run: func() (rates, error) { return bindingRates(b, slices.Repeat([]string{prompt}, batch), o.Generate) }}
	turn := []*contender{bare, equal}
	var unequal *contender
	if o.Layers != 0 && batch > 1 {
		var prompts []string
		for i := range batch {
			text, _, err := figures.PromptOf(b, o.Prompt*2/3+o.Prompt*2*i/(3*(batch-1)))
			if err != nil {
				return false, err
			}
			prompts = append(prompts, text)
		}
		unequal = &contender{run: func() (rates, error) { return bindingRates(b, prompts, 1) }}
		turn = append(turn, unequal)
	}
	for _, c := range turn { // warm up
		if _, err := c.run(); err != nil {
			return false, err
		}
	}
	begin := time.Now()
	rounds := 0
	for ; rounds < o.Rounds && (rounds < fewest || time.Since(begin) < o.Limit); rounds++ {
		for i := range turn {
			c := turn[(i+rounds)%len(turn)] // who goes first alternates too
			r, err := c.run()
			if err != nil {
				return false, err
			}
			for phase := range r {
				c.of[phase] = append(c.of[phase], r[phase])
			}
		}
	}
	row := func(name string, phase int, c *contender, target float64) {
		x, y := figures.Quantile(bare.of[phase], 0.5), figures.Quantile(c.of[phase], 0.5)
		ratio, half := figures.PairedRatio(bare.of[phase], c.of[phase])
		fmt.Printf("%-8s %5d %7d %14.1f %14.1f %8.4f ±%.4f %7.2f\n", name, batch, rounds, x, y, ratio, half, target)
		short = short || !(ratio+half >= target)
	}
	row("prefill", 0, equal, target)
	row("decode", 1, equal, target)
	if unequal != nil {
		row("unequal", 0, unequal, unequalTarget)
	}
	return short, nil
}

// yardstick returns what measures the bare loop.
func yardstick(o options, batch, prompt int) (measure func() (rates, error), done func(), err error) {
	if o.program != "" {
		return func() (rates, error) { return programRates(o, batch, prompt) }, func() {}, nil
	}
	layers := o.Layers
	if layers < 0 {
		layers = 999
	}
	steps := o.Generate - 1 // the first token comes out of prefill
	l, err := bareloop.Open(o.Model, layers, o.Threads, batch, prompt, steps)
	if err != nil {
		return nil, nil, err
	}
	return func() (rates, error) {
		p, d, err := l.Run()
		return rates{float64(batch*prompt) / p.Seconds(), float64(batch*steps) / d.Seconds()}, err
	}, l.Close, nil
}

// programRates runs the bare loop that is a program, for about a second a phase.
func programRates(o options, batch, prompt int) (r rates, err error) {
	dir := o.BackendDir
	if dir == "" {
		dir = "-"
	}
	args := []string{o.Model, dir}
	for _, n := range []int{max(o.Layers, 0), o.Threads, batch, prompt, o.Generate, 1} {
		args = append(args, strconv.Itoa(n))
	}
	if o.Layers < 0 {
		args[2] = "999"
	}
	out, err := exec.Command(o.program, args...).Output()
	if err != nil {
		return r, fmt.Errorf("%s: %w", o.program, err)
	}
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		i := slices.Index(f, "tokens_per_s")
		phase := slices.Index([]string{"prefill", "decode"}, append(f, "")[0])
		if i >= 0 && i+1 < len(f) && phase >= 0 {
			if r[phase], err = strconv.ParseFloat(f[i+1], 64); err != nil {
				return r, fmt.Errorf("%s: %q", o.program, line)
			}
		}
	}
	return r, nil
}

func bindingRates(b *llama.Backend, prompts []string, generate int) (r rates, err error) {
	var w figures.Rates
	job := engine.Batch{ID: "bench"}
	for _, prompt := range prompts {
		job.Requests = append(job.Requests, engine.Request{Query: workloads.Query{Prompt: prompt}, MaxTokens: generate})
	}
	results, err := b.Run(context.Background(), job, &w)
	if err != nil {
		return r, err
	}
	for _, res := range results {
		if res.Err != nil {
			return r, res.Err
		}
		if res.OutputTokens != generate {
			return r, fmt.Errorf("generation ended after %d of %d tokens", res.OutputTokens, generate)
		}
	}
	return w.Of, nil
}

// fewest rounds are run whatever they take.
const fewest = 8
