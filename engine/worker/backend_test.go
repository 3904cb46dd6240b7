package worker

import (
	"bytes"
	"context"
	"errors"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"jouletop/engine"
	"jouletop/engine/event"
	"jouletop/gpu/timebase"
	"jouletop/workloads"
)

func TestRunsAsInProcess(t *testing.T) {
	b := mustFake(t, nil)
	if b.Name() != "fake" {
		t.Errorf("Name = %q", b.Name())
	}
	var progress []float64
	info, err := b.Load(t.Context(), engine.ModelSpec{Name: "m", Path: "p"}, func(p float64) { progress = append(progress, p) })
	if err != nil {
		t.Fatal(err)
	}
	if info.Name != "m" || info.Parameters != 1<<40 || info.Devices[1] != "pid "+strconv.Itoa(b.ChildPID()) {
		t.Errorf("Load = %+v, child is %d", info, b.ChildPID())
	}
	if n := len(progress); n != 101 || progress[n-1] < 0.99 {
		t.Errorf("%d progress calls, to %v", n, progress)
	}
	if n, err := b.CountTokens("four words are here"); n != 4 || err != nil {
		t.Errorf("CountTokens = %d, %v", n, err)
	}
	if _, err := b.CountTokens(""); !errors.Is(err, engine.ErrTooLong) {
		t.Errorf("CountTokens of nothing: %v", err)
	}

	obs, before := &heard{}, timebase.Monotonic().Now()
	results, err := b.Run(t.Context(), generate("hello\xff", 50), obs)
	after := timebase.Monotonic().Now()
	if err != nil {
		t.Fatal(err)
	}
	want := []phaseMessage{{event.Prefill, false, 20, 0}, {event.Prefill, true, 20, 0}, {event.Decode, false, 3, 0}, {event.Decode, true, 3, 0}}
	if len(obs.phases) != len(want) {
		t.Fatalf("phases = %v", obs.phases)
	}
	last := before
	for i, m := range obs.phases {
		if m.t < last || m.t > after {
			t.Errorf("phase %d at %d, want %d to %d: not the same clock", i, m.t, last, after)
		}
		last = m.t
		if m.t = 0; m != want[i] {
			t.Errorf("phase %d = %v, want %v", i, m, want[i])
		}
	}
	for i, r := range results {
		if r.Output.Text != obs.text(i) || r.OutputTokens != 50 || !strings.Contains(r.Output.Text, "\xff") {
			t.Errorf("request %d: %d tokens, text %q, heard %q", i, r.OutputTokens, r.Output.Text, obs.text(i))
		}
		if !math.IsNaN(r.Quality) || r.Output.Choice != -1 {
			t.Errorf("request %d: quality %v, choice %d", i, r.Quality, r.Output.Choice)
		}
	}
}

func TestScoresAndErrorsTravelExactly(t *testing.T) {
	b := mustFake(t, nil)
	if _, err := b.Run(t.Context(), generate("x", 1), &heard{}); err == nil || errors.Is(err, engine.ErrBackendDied) {
		t.Errorf("Run before Load: %v", err)
	}
	if _, err := b.Load(t.Context(), engine.ModelSpec{Path: "damaged"}, nil); !errors.Is(err, engine.ErrModel) || !strings.Contains(err.Error(), "truncated") {
		t.Errorf("damaged model: %v", err)
	}
	if _, err := b.Load(t.Context(), engine.ModelSpec{}, nil); err != nil {
		t.Fatal(err)
	}
	batch := engine.Batch{Requests: []engine.Request{{Query: workloads.Query{Options: []string{"yes", "no"}}}}}
	r, err := b.Run(t.Context(), batch, &heard{})
	if err != nil {
		t.Fatal(err)
	}
	if ll := r[0].Output.LogLikelihoods; len(ll) != 3 || !math.IsInf(ll[0], -1) || ll[1] != -0.1 || !math.IsNaN(ll[2]) {
		t.Errorf("log-likelihoods %v", ll)
	}
	r, err = b.Run(t.Context(), generate("too long", 3), &heard{})
	if err != nil {
		t.Fatal(err)
	}
	if !errors.Is(r[0].Err, engine.ErrTooLong) || r[1].Err != nil {
		t.Errorf("errors %v, %v", r[0].Err, r[1].Err)
	}
}

func TestCancelReachesTheChild(t *testing.T) {
	b := mustFake(t, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := b.Load(ctx, engine.ModelSpec{Path: "slow"}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("Load: %v", err)
	}
	pid := b.ChildPID()
	if _, err := b.Load(t.Context(), engine.ModelSpec{}, nil); err != nil {
		t.Fatal(err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := b.Run(ctx, generate("wait", 4), &heard{}); !errors.Is(err, context.Canceled) || errors.Is(err, engine.ErrBackendDied) {
		t.Errorf("Run: %v", err)
	}
	if _, err := b.Run(t.Context(), generate("well", 4), &heard{}); err != nil || b.ChildPID() != pid {
		t.Errorf("the child did not live on: %v", err)
	}
}

func TestCloseEndsWhatRuns(t *testing.T) {
	b := mustFake(t, nil)
	if _, err := b.Load(t.Context(), engine.ModelSpec{}, nil); err != nil {
		t.Fatal(err)
	}
	pid := b.ChildPID()
	ended := make(chan error)
	go func() {
		_, err := b.Run(t.Context(), generate("wait", 4), &heard{})
		ended <- err
	}()
	time.Sleep(20 * time.Millisecond)
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; err == nil {
		t.Error("Run went on")
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if _, err := b.Load(t.Context(), engine.ModelSpec{}, nil); !errors.Is(err, errClosed) {
		t.Errorf("Load after Close: %v", err)
	}
	if b.ChildPID() != 0 || unix.Kill(pid, 0) == nil {
		t.Errorf("process %d is still there", pid)
	}
}

func TestBackendThatDoesNotOpen(t *testing.T) {
	for how, want := range map[string]error{"refuse": engine.ErrModel, "die": engine.ErrBackendDied, "mute": engine.ErrBackendDied} {
		t.Run(how, func(t *testing.T) {
			_, err := newFake(t, how, func(o *Options) {
				if how == "mute" {
					o.startWithin = 300 * time.Millisecond
				}
			})
			if !errors.Is(err, want) {
				t.Fatalf("New: %v", err)
			}
			if how == "die" && !strings.Contains(err.Error(), "libcuda.so.1: initialisation failed") {
				t.Errorf("the last words are missing: %v", err)
			}
		})
	}
}

// TestHundredCrashes injects more than a hundred ends of a child: every one is
// an error with the child's last words, leaves no process behind, and the next
// load and run work.
func TestHundredCrashes(t *testing.T) {
	const rounds = 9
	limit := make(chan struct{}, 12)
	var all sync.WaitGroup
	count := 0
	for round := range rounds {
		where := "run"
		if round%3 == 2 {
			where = "load"
		}
		for how, want := range crashes {
			count++
			all.Add(1)
			limit <- struct{}{}
			go func() {
				defer func() { <-limit; all.Done() }()
				crash(t, how, want, where)
			}()
		}
	}
	all.Wait()
	if count < 100 {
		t.Errorf("%d injections", count)
	}
	if z := zombies(t); len(z) > 0 {
		t.Errorf("zombies or children left: %v", z)
	}
}

func crash(t *testing.T, how, want, where string) {
	b, err := New(Options{Env: childAs("well"), HungAfter: 4 * time.Second})
	if err != nil {
		t.Errorf("%s: %v", how, err)
		return
	}
	defer b.Close()
	path := ""
	if where == "load" {
		path = how
	}
	_, err = b.Load(t.Context(), engine.ModelSpec{Path: path}, nil)
	if where == "run" {
		if err != nil {
			t.Errorf("%s: load: %v", how, err)
			return
		}
		obs := &heard{}
		_, err = b.Run(t.Context(), generate(how, 20), obs)
		if len(obs.phases) != 3 || len(obs.tokens) != 10 {
			t.Errorf("%s: heard %d phase boundaries and %d tokens before the end, want 3 and 10", how, len(obs.phases), len(obs.tokens))
		}
	}
	var death *Death
	if !errors.Is(err, engine.ErrBackendDied) || !errors.As(err, &death) {
		t.Errorf("%s in %s: %v", how, where, err)
		return
	}
	if !regexp.MustCompile(want).MatchString(death.How) {
		t.Errorf("%s in %s: %q, want %q", how, where, death.How, want)
	}
	if !strings.Contains(err.Error(), "GGML_ASSERT(a->"+strings.ReplaceAll(how, " ", "_")+") failed") || strings.Contains(err.Error(), "\n") {
		t.Errorf("%s in %s: no last words: %v", how, where, err)
	}
	if unix.Kill(death.PID, 0) == nil {
		t.Errorf("%s in %s: process %d is still there", how, where, death.PID)
	}
	if _, err := b.Run(t.Context(), generate("well", 2), &heard{}); !errors.Is(err, engine.ErrBackendDied) {
		t.Errorf("%s: Run after the end: %v", how, err)
	}
	if _, err := b.Load(t.Context(), engine.ModelSpec{}, nil); err != nil {
		t.Errorf("%s: next load: %v", how, err)
	}
	if r, err := b.Run(t.Context(), generate("well", 2), &heard{}); err != nil || len(r) != 2 {
		t.Errorf("%s: next job: %v", how, err)
	}
}

// zombies lists the children of this process.
func zombies(t *testing.T) []string {
	t.Helper()
	var out []string
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range stats {
		text, err := os.ReadFile(s)
		if err != nil {
			continue // it has gone
		}
		f := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		if f[1] == strconv.Itoa(os.Getpid()) {
			out = append(out, s+" "+f[0])
		}
	}
	return out
}

func TestEndBetweenCalls(t *testing.T) {
	b := mustFake(t, nil)
	if _, err := b.Load(t.Context(), engine.ModelSpec{}, nil); err != nil {
		t.Fatal(err)
	}
	if err := unix.Kill(b.ChildPID(), unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Run(t.Context(), generate("well", 2), &heard{}); !errors.Is(err, engine.ErrBackendDied) || !strings.Contains(err.Error(), "SIGKILL") {
		t.Errorf("Run: %v", err)
	}
	if _, err := b.Load(t.Context(), engine.ModelSpec{}, nil); err != nil {
		t.Error(err)
	}
}

func TestSlowIsNotHung(t *testing.T) {
	t.Parallel()
	b := mustFake(t, func(o *Options) { o.HungAfter = 2 * time.Second; o.StalledAfter = time.Second })
	if _, err := b.Load(t.Context(), engine.ModelSpec{}, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Run(t.Context(), generate("slow", 2), &heard{}); err != nil {
		t.Errorf("slow: %v", err)
	}
	_, err := b.Run(t.Context(), generate("wait", 2), &heard{})
	if !errors.Is(err, engine.ErrBackendDied) || !strings.Contains(err.Error(), "no progress and no CPU time") {
		t.Errorf("hung: %v", err)
	}
}

// A child that is busy and never gets on is hung, too: one that waits so for a GPU is.
func TestBusyForEver(t *testing.T) {
	t.Parallel()
	b := mustFake(t, func(o *Options) { o.HungAfter = 2 * time.Second; o.StalledAfter = time.Second })
	if _, err := b.Load(t.Context(), engine.ModelSpec{GPULayers: -1}, nil); err != nil {
		t.Fatal(err)
	}
	_, err := b.Run(t.Context(), generate("spin", 2), &heard{})
	if !errors.Is(err, engine.ErrBackendDied) || !strings.Contains(err.Error(), "busy, but no progress") {
		t.Errorf("%v", err)
	}
}

// A child that was started with another environment than its next model needs makes way.
func TestEnvironmentOfTheModel(t *testing.T) {
	t.Parallel()
	b := mustFake(t, func(o *Options) {
		o.EnvOf = func(s engine.ModelSpec) ([]string, string) {
			if s.Serves {
				return []string{"JOULETOP_WORKER_SAYS=of the model"}, "it serves"
			}
			return nil, ""
		}
	})
	var before string
	for i, c := range []struct{ serves, another bool }{{false, false}, {true, true}, {true, false}, {false, true}} {
		spec := engine.ModelSpec{Name: "m", Serves: c.serves}
		if i > 0 && b.Fits(spec) == c.another {
			t.Errorf("load %d: fits %t", i, b.Fits(spec))
		}
		info, err := b.Load(t.Context(), spec, nil)
		if err != nil {
			t.Fatal(err)
		}
		pid, said := info.Devices[1], slices.Contains(info.Devices, "of the model")
		if another := before != "" && pid != before; another != c.another || said != c.serves || slices.Contains(info.Warnings, "it serves") != c.serves {
			t.Errorf("load %d: %q after %q, %q, %q", i, pid, before, info.Devices, info.Warnings)
		}
		before = pid
	}
}

func TestCancelThatIsNotHeeded(t *testing.T) {
	t.Parallel()
	b := mustFake(t, func(o *Options) { o.CancelWithin = 200 * time.Millisecond })
	if _, err := b.Load(t.Context(), engine.ModelSpec{}, nil); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := b.Run(ctx, generate("cut short", 2), &heard{}) // lives on and does nothing
	if !errors.Is(err, engine.ErrBackendDied) {
		t.Errorf("Run: %v", err)
	}
}

func TestWrongCountOfResults(t *testing.T) {
	b := mustFake(t, nil)
	if _, err := b.Load(t.Context(), engine.ModelSpec{}, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Run(t.Context(), generate("lose one", 2), &heard{}); !errors.Is(err, engine.ErrBackendDied) {
		t.Errorf("Run: %v", err)
	}
}

func TestLowerPriority(t *testing.T) {
	b := mustFake(t, func(o *Options) { o.Nice = 5 })
	var about struct{ Nice int }
	if err := b.About(&about); err != nil {
		t.Fatal(err)
	}
	if want := min(niceness()+5, 19); about.Nice != want {
		t.Errorf("child runs at nice %d, want %d", about.Nice, want)
	}
}

func TestOutputGoesToTheLog(t *testing.T) {
	var log bytes.Buffer
	b := mustFake(t, func(o *Options) { o.Log = &log })
	_, err := b.Load(t.Context(), engine.ModelSpec{Path: "exit"}, nil)
	if !errors.Is(err, engine.ErrBackendDied) {
		t.Fatal(err)
	}
	if got := log.String(); got != "ggml.c:1234: GGML_ASSERT(a->exit) failed\n" {
		t.Errorf("log: %q", got)
	}
}

// TestChildEndsWithItsParent kills a parent, whose child is even stopped.
func TestChildEndsWithItsParent(t *testing.T) {
	if os.Getenv("JOULETOP_WORKER_PARENT") != "" {
		b, err := New(Options{Env: childAs("well")})
		if err != nil {
			t.Fatal(err)
		}
		if err := unix.Kill(b.ChildPID(), unix.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		_, _ = os.Stdout.WriteString("child " + strconv.Itoa(b.ChildPID()) + "\n")
		_ = unix.Kill(os.Getpid(), unix.SIGKILL)
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestChildEndsWithItsParent$")
	cmd.Env = append(os.Environ(), "JOULETOP_WORKER_PARENT=1")
	out, err := cmd.Output()
	if err == nil {
		t.Fatalf("the parent lives on: %s", out)
	}
	_, text, _ := strings.Cut(string(out), "child ")
	pid, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil {
		t.Fatalf("the parent said %q", out)
	}
	for end := time.Now().Add(5 * time.Second); unix.Kill(pid, 0) == nil; time.Sleep(10 * time.Millisecond) {
		if stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat"); err == nil && strings.Contains(string(stat), ") Z ") {
			break // ended; whoever adopted it reaps it
		}
		if time.Now().After(end) {
			t.Fatalf("child %d outlives its parent", pid)
		}
	}
}

func TestMainByHand(t *testing.T) {
	if err := Main(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "jouletop itself") {
		t.Skipf("descriptor %d is a socket here: %v", sockFD, err)
	}
}
