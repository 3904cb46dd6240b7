package worker

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"jouletop/engine"
	"jouletop/engine/event"
	"jouletop/gpu/timebase"
	"jouletop/workloads"
)

// childEnv makes the test binary a child: its value is how its backend opens.
const childEnv = "JOULETOP_WORKER_TEST"

func TestMain(m *testing.M) {
	if how := os.Getenv(childEnv); how != "" {
		if err := Main(context.Background(), func() (engine.Backend, any, error) { return openFake(how) }); err != nil {
			fmt.Fprintln(os.Stderr, "worker:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func openFake(how string) (engine.Backend, any, error) {
	switch how {
	case "refuse":
		return nil, nil, fmt.Errorf("%w: no such library", engine.ErrModel)
	case "die":
		fmt.Fprintln(os.Stderr, "libcuda.so.1: initialisation failed")
		os.Exit(7)
	case "mute":
		time.Sleep(time.Hour)
	}
	return &fake{clk: timebase.Monotonic(), life: make(chan struct{})}, map[string]any{"nice": niceness()}, nil
}

func niceness() int {
	n, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err != nil {
		return -1
	}
	return 20 - n // the system call's own counting
}

// fake is a backend that does what the prompts say.
type fake struct {
	clk  timebase.Clock
	life chan struct{} // closed by Close
}

func (f *fake) Name() string { return "fake" }

func (f *fake) Load(ctx context.Context, spec engine.ModelSpec, progress func(float64)) (engine.ModelInfo, error) {
	switch spec.Path {
	case "damaged":
		return engine.ModelInfo{}, fmt.Errorf("%w: %s: truncated", engine.ErrModel, spec.Path)
	case "slow":
		select {
		case <-ctx.Done():
			return engine.ModelInfo{}, ctx.Err()
		case <-f.life:
			return engine.ModelInfo{}, errors.New("closed while loading")
		}
	}
	if err := misbehave(spec.Path); err != nil {
		return engine.ModelInfo{}, err
	}
	for i := range 1000 {
		progress(float64(i+1) / 1000)
	}
	devices := []string{"CPU", "pid " + strconv.Itoa(os.Getpid())}
	if v, set := os.LookupEnv("JOULETOP_WORKER_SAYS"); set {
		devices = append(devices, v)
	}
	return engine.ModelInfo{Name: spec.Name, Path: spec.Path, Parameters: 1 << 40, Devices: devices}, nil
}

func (f *fake) CountTokens(text string) (int, error) {
	if text == "" {
		return 0, engine.ErrTooLong
	}
	return len(strings.Fields(text)), nil
}

// Run generates MaxTokens pieces a request; a prompt may name a misbehaviour to
// come half-way.
func (f *fake) Run(ctx context.Context, b engine.Batch, obs engine.Observer) ([]engine.Result, error) {
	results := make([]engine.Result, len(b.Requests))
	start := f.clk.Now()
	obs.PhaseStart(event.Prefill, start, 10*len(results))
	first := f.clk.Now()
	obs.PhaseEnd(event.Prefill, first, 10*len(results))
	if b.Scored() {
		obs.PhaseStart(event.Score, first, 7)
		obs.PhaseEnd(event.Score, f.clk.Now(), 7)
	} else {
		obs.PhaseStart(event.Decode, first, 3)
	}
	for i, r := range b.Requests {
		results[i] = engine.Result{InputTokens: 10, StartNS: start, PrefillEndNS: first, Quality: math.NaN(), Output: event.Output{Choice: -1}}
		if b.Scored() {
			results[i].Output = event.Output{Choice: 1, LogLikelihoods: []float64{math.Inf(-1), -0.1, math.NaN()}}
			results[i].EndNS = f.clk.Now()
			continue
		}
		for n := range r.MaxTokens {
			if n == r.MaxTokens/2 {
				if err := f.halfway(ctx, r.Query.Prompt, obs); err != nil {
					return nil, err
				}
			}
			t, text := f.clk.Now(), fmt.Sprintf("%d.%d\xff ", i, n)
			obs.Token(i, t, text)
			results[i].Output.Text += text
			results[i].EndNS = t
		}
		results[i].FirstTokenNS, results[i].OutputTokens = first, r.MaxTokens
		if r.Query.Prompt == "too long" {
			results[i] = engine.Result{Err: fmt.Errorf("%w: 9000 tokens", engine.ErrTooLong), Quality: math.NaN()}
		}
	}
	if !b.Scored() {
		obs.PhaseEnd(event.Decode, f.clk.Now(), 3)
	}
	if b.Requests[0].Query.Prompt == "lose one" {
		results = results[1:]
	}
	return results, nil
}

func (f *fake) halfway(ctx context.Context, prompt string, obs engine.Observer) error {
	obs.(*forward).out.finish(time.Second) // what was said so far is on its way
	switch prompt {
	case "wait":
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-f.life:
			return errors.New("closed while running")
		}
	case "spin":
		for time.Now().Unix() > 0 {
		}
	case "slow":
		// Slow is not hung: native code that holds a thread for long.
		for end := time.Now().Add(1500 * time.Millisecond); time.Now().Before(end); {
		}
	}
	return misbehave(prompt)
}

func (f *fake) Close() error {
	close(f.life)
	return nil
}

// crashes are the misbehaviours that end a child, with a pattern of what its
// death is called.
var crashes = map[string]string{
	"abort":     "SIGABRT",
	"SIGKILL":   "SIGKILL",
	"SIGSTOP":   "was stopped by a signal",
	"memory":    "fatal error: |SIGABRT|SIGSEGV", // whoever wants memory first
	"panic":     "panic: runtime error: index out of range",
	"exit":      "exited with status 3",
	"garbage":   "sent what is no frame: it starts with",
	"truncated": "exited with status 0",
	"cut short": "sent what is no frame: ",
	"oversized": "claims 4294967295 bytes",
	"flipped":   "checksum",
	"deaf":      "exited with status 0|closed its connection",
}

// hog keeps what it took.
var hog [][]byte

// misbehave does what is asked for, after some words on standard error.
func misbehave(how string) error {
	if _, ok := crashes[how]; ok {
		fmt.Fprintf(os.Stderr, "ggml.c:1234: GGML_ASSERT(a->%s) failed\n", strings.ReplaceAll(how, " ", "_"))
	}
	frame := appendFrame(nil, kindToken, func(b []byte) []byte {
		return tokenMessage{0, 1, "a token of some length"}.append(callID(2).append(b))
	})
	write := func(b []byte) { _, _ = unix.Write(sockFD, b) }
	switch how {
	case "abort":
		_ = unix.Kill(os.Getpid(), unix.SIGABRT)
	case "SIGKILL":
		_ = unix.Kill(os.Getpid(), unix.SIGKILL)
	case "SIGSTOP":
		_ = unix.Kill(os.Getpid(), unix.SIGSTOP)
	case "memory":
		_ = unix.Setrlimit(unix.RLIMIT_AS, &unix.Rlimit{Cur: 1 << 20, Max: 1 << 20})
		for {
			hog = append(hog, make([]byte, 64<<20))
		}
	case "panic":
		_ = []int(nil)[len(how)]
	case "exit":
		os.Exit(3)
	case "garbage":
		write([]byte("CUDA error: an illegal memory access was encountered"))
	case "truncated":
		write(frame[:len(frame)/2])
		unix.Exit(0) // at once, before another heartbeat
	case "cut short": // and lives on: the next frame lies in its body
		write(frame[:len(frame)/2])
	case "oversized":
		write([]byte{0x4a, 0x57, version, byte(kindToken), 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0})
	case "flipped":
		frame[len(frame)-1] ^= 1
		write(frame)
	case "deaf":
		_ = unix.Shutdown(sockFD, unix.SHUT_WR)
	default:
		return nil
	}
	select {} // the parent must end it
}

// newFake starts a child with a fake backend.
func newFake(t *testing.T, how string, change func(*Options)) (*Backend, error) {
	t.Helper()
	opt := Options{Env: childAs(how), HungAfter: 2 * time.Second}
	if change != nil {
		change(&opt)
	}
	b, err := New(opt)
	if err == nil {
		t.Cleanup(func() { _ = b.Close() })
	}
	return b, err
}

// childAs is the environment of a child; the race detector would hold each up
// for a second as it ends.
func childAs(how string) []string {
	return []string{childEnv + "=" + how, "GORACE=atexit_sleep_ms=0"}
}

func mustFake(t *testing.T, change func(*Options)) *Backend {
	t.Helper()
	b, err := newFake(t, "well", change)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func generate(prompt string, tokens int) engine.Batch {
	return engine.Batch{ID: "b1", Requests: []engine.Request{
		{ID: "b1.0", Query: workloads.Query{Prompt: prompt}, MaxTokens: tokens},
		{ID: "b1.1", Query: workloads.Query{Prompt: "other"}, MaxTokens: tokens},
	}}
}

// heard is an Observer that keeps what it hears.
type heard struct {
	phases []phaseMessage
	tokens []tokenMessage
}

func (h *heard) PhaseStart(p event.Phase, t int64, n int) {
	h.phases = append(h.phases, phaseMessage{p, false, n, t})
}

func (h *heard) PhaseEnd(p event.Phase, t int64, n int) {
	h.phases = append(h.phases, phaseMessage{p, true, n, t})
}

func (h *heard) Token(i int, t int64, text string) {
	h.tokens = append(h.tokens, tokenMessage{i, t, text})
}

func (h *heard) text(i int) string {
	var b strings.Builder
	for _, m := range h.tokens {
		if m.index == i {
			b.WriteString(m.text)
		}
	}
	return b.String()
}
