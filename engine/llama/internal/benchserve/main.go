//go:build cgo

// Command benchserve tells what it costs to measure while serving: tokens/s of
// `jouletop run`, which serves in a child process, records and divides energy, against a
// bare loop over the scheduler and the binding in this process, in turns, both with the
// same requests. It fails where the program surely falls short.
package main

import (
	"context"
	"encoding/csv"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
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
	"jouletop/engine/serving"
	"jouletop/workloads"
)

// target is the least that the program may reach of the bare loop's tokens/s.
const target = 0.99

type options struct {
	figures.Llama
	program, flags string
	requests       int
	chunk          int
}

func main() {
	var o options
	o.Flags(llama.Cores(), 40, time.Minute)
	flag.StringVar(&o.program, "program", "bin/jouletop", "the program to judge")
	flag.StringVar(&o.flags, "flags", "", "more flags of its run, separated by spaces")
	flag.IntVar(&o.requests, "requests", 64, "requests of a round")
	flag.IntVar(&o.chunk, "prefill-chunk", 512, "most tokens of prompts in a pass")
	flag.Parse()
	short, err := run(o)
	if err == nil && short {
		err = errors.New("below the target")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench-serve:", err)
		os.Exit(1)
	}
}

// lengths of requests: of the prompt and of what is generated.
type lengths [][2]int

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
	dir, err := os.MkdirTemp("", "benchserve")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(dir)
	// All come at once: then who has how many slots decides what is in a pass.
	rng := rand.New(rand.NewPCG(1, 2))
	var trace strings.Builder
	var all lengths
	for range o.requests {
		l := [2]int{o.Prompt/2 + rng.IntN(o.Prompt), o.Generate/2 + rng.IntN(o.Generate)}
		fmt.Fprintf(&trace, `{"timestamp": 0, "input_length": %d, "output_length": %d, "hash_ids": []}`+"\n", l[0], l[1])
		all = append(all, l)
	}
	path := filepath.Join(dir, "trace.jsonl")
	if err := os.WriteFile(path, []byte(trace.String()), 0o644); err != nil {
		return false, err
	}
	fmt.Printf("%s, %d requests of %d + %d tokens about, chunks of %d\n", filepath.Base(o.Model), o.requests, o.Prompt, o.Generate, o.chunk)
	fmt.Printf("%5s %7s %12s %12s %24s %7s\n", "slots", "rounds", "bare tok/s", "program's", "ratio, 95 %", "target")
	for _, n := range sizes {
		var bare, whole []float64
		begin := time.Now()
		for round := 0; round < o.Rounds && (round < 5 || time.Since(begin) < o.Limit); round++ {
			b, err := o.bare(n, all)
			if err != nil {
				return false, err
			}
			w, err := o.whole(n, path, filepath.Join(dir, fmt.Sprintf("%d-%d", n, round)))
			if err != nil {
				return false, err
			}
			bare, whole = append(bare, b), append(whole, w)
		}
		ratio, low, high := figures.MedianRatio(bare, whole)
		verdict := "ok"
		if high < target {
			verdict, short = "SHORT", true
		}
		fmt.Printf("%5d %7d %12.1f %12.1f %8.3f, %.3f to %.3f %7.2f %s\n", n, len(bare), figures.Quantile(bare, 0.5), figures.Quantile(whole, 0.5), ratio, low, high, target, verdict)
	}
	return short, nil
}

// bare serves the requests in this process, with nothing around it, and returns
// tokens/s from the first pass to the last.
func (o options) bare(slots int, all lengths) (float64, error) {
	b, err := llama.New(llama.Options{BackendDir: o.BackendDir, Log: io.Discard})
	if err != nil {
		return 0, err
	}
	defer b.Close()
	ctx := context.Background()
	spec := o.Spec()
	spec.MaxBatch = slots
	if _, err := b.Load(ctx, spec, nil); err != nil {
		return 0, err
	}
	// What is built by the first passes is not what is compared: the program warms up too.
	if _, err := serve(ctx, b, slots, o.chunk, all[:min(len(all), 2*slots)]); err != nil {
		return 0, err
	}
	return serve(ctx, b, slots, o.chunk, all)
}

func serve(ctx context.Context, b *llama.Backend, slots, chunk int, all lengths) (float64, error) {
	sched, err := serving.New(serving.Config{Slots: slots, Chunk: chunk, Schedule: serving.Mixed, KVTokens: b.Room()})
	if err != nil {
		return 0, err
	}
	for id, l := range all {
		prompt, most, err := b.Prepare(id, engine.Request{ID: strconv.Itoa(id), Query: workloads.Query{ID: "q"}, MaxTokens: l[1], RandomTokens: l[0]})
		if err == nil {
			err = sched.Add(id, prompt, most)
		}
		if err != nil {
			return 0, err
		}
	}
	var start, end int64
	tokens := 0
	for {
		p, some := sched.Next()
		if !some {
			return float64(tokens) / (float64(end-start) / 1e9), nil
		}
		out, err := b.Pass(ctx, p)
		if err != nil {
			return 0, err
		}
		if start == 0 {
			start = out.StartNS
		}
		end = out.EndNS
		tokens += p.PrefillTokens() + p.Decodes()
		var own []int
		for _, t := range out.Tokens {
			if t.Ended {
				own = append(own, t.ID)
			}
		}
		for _, id := range sched.Done(p, own...) {
			b.End(id)
		}
	}
}

// whole runs the program on the trace and returns the same figure of its passes.
func (o options) whole(slots int, trace, session string) (float64, error) {
	args := []string{"run", "--backend", "llama", "--model", o.Model, "--gpu-layers", strconv.Itoa(o.Layers), "--threads", strconv.Itoa(o.Threads), "--dataset", "truthfulqa",
		"--arrivals", "trace:" + trace, "--slots", strconv.Itoa(slots), "--prefill-chunk", strconv.Itoa(o.chunk), "--queries", strconv.Itoa(o.requests), "--session", session}
	if o.BackendDir != "" {
		args = append(args, "--backend-dir", o.BackendDir)
	}
	args = append(args, strings.Fields(o.flags)...)
	if out, err := exec.Command(o.program, args...).CombinedOutput(); err != nil {
		return 0, fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, out)
	}
	f, err := os.Open(filepath.Join(session, "iterations.csv"))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil || len(rows) < 2 {
		return 0, errors.Join(err, errors.New("the program recorded no passes"))
	}
	at := func(row []string, name string) int {
		v, _ := strconv.Atoi(row[slices.Index(rows[0], name)])
		return v
	}
	tokens := 0
	start, end := at(rows[1], "start_ns"), 0
	for _, r := range rows[1:] {
		start, end = min(start, at(r, "start_ns")), max(end, at(r, "end_ns"))
		tokens += at(r, "prefill_tokens") + at(r, "decode_requests")
	}
	return float64(tokens) / (float64(end-start) / 1e9), nil
}
