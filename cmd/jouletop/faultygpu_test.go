package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"jouletop/engine/session"
	"jouletop/gpu/nvml/fakenvml"
	"jouletop/gpu/timebase"
)

// fakeGPU is a GPU behind the stand-in for NVML, and what jouletop keeps of it.
type fakeGPU struct {
	fakenvml.GPU
	state *fakenvml.State
	uuid  string
	home  string
	env   []string
	under []string // a command that becomes jouletop
	pid   int      // with leases on a disk of its own: who sees it

	epoch   int64 // of CLOCK_MONOTONIC, ns on the wall clock
	takenNS int64 // when somebody took the clock away; 0 never
}

// newFakeGPU makes one with a home of its own; its leases are in the one folder
// that root has, so that the UUID must be its own too.
func newFakeGPU(t testing.TB, conf fakenvml.Config) *fakeGPU {
	t.Helper()
	if !canFake() {
		t.Skip("no compiler for the stand-in, or built without NVML")
	}
	lib, err := fakenvml.Build()
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	conf.UUID = fmt.Sprintf("GPU-%08x-%04x-0000-0000-000000000000", uint32(time.Now().UnixNano()), os.Getpid()&0xffff)
	conf = conf.With(fakenvml.PowerPeriodNS, 200e6).With(fakenvml.PowerHighMW, 400e3)
	if os.Geteuid() != 0 && conf.Fields[fakenvml.Permission] == fakenvml.RootOnly {
		conf = conf.With(fakenvml.Permission, fakenvml.Anybody)
	}
	state, err := fakenvml.Create(filepath.Join(home, "gpus"), conf)
	if err != nil {
		t.Fatal(err)
	}
	g := &fakeGPU{GPU: state.GPU(0), state: state, uuid: conf.UUID, home: home,
		env: append(append(homeEnv(home), state.Env(lib)...), "PATH="+os.Getenv("PATH"))}
	g.epoch = time.Now().UnixNano() - timebase.Monotonic().Now()
	t.Cleanup(func() {
		files, _ := filepath.Glob(filepath.Join(g.leases(), g.uuid+".*")) // the pattern is well formed
		for _, f := range files {
			_ = os.Remove(f)
		}
		_ = state.Close()
	})
	return g
}

// leases is the folder of leases and records.
func (g *fakeGPU) leases() string {
	if os.Geteuid() == 0 && g.pid != 0 {
		return fmt.Sprintf("/proc/%d/root/run/jouletop", g.pid)
	}
	if os.Geteuid() == 0 {
		return "/run/jouletop"
	}
	return filepath.Join(g.home, "jouletop")
}

// guards returns the pids of guard and watcher, once a clock is locked.
func (g *fakeGPU) guards() (guard, watcher int, ok bool) {
	var rec struct{ Guard, Watcher struct{ PID int } }
	b, err := os.ReadFile(filepath.Join(g.leases(), g.uuid+".locked"))
	if err != nil || json.Unmarshal(b, &rec) != nil {
		return 0, 0, false
	}
	return rec.Guard.PID, rec.Watcher.PID, true
}

// leased tells whether a guard has taken the GPU's lease.
func (g *fakeGPU) leased() bool {
	b, err := os.ReadFile(filepath.Join(g.leases(), g.uuid+".lease"))
	return err == nil && len(b) > 0
}

func (g *fakeGPU) locked() int {
	_, mhz, _ := g.Locked()
	return mhz
}

// start starts jouletop on the GPU.
func (g *fakeGPU) start(t testing.TB, args ...string) (*exec.Cmd, *saying) {
	t.Helper()
	out := &saying{}
	c := g.command(out, args...)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	g.started(c)
	t.Cleanup(func() { _ = c.Process.Kill() })
	return c, out
}

// command is jouletop on the GPU, in a session of its own as a terminal would have
// it.
func (g *fakeGPU) command(out *saying, args ...string) *exec.Cmd {
	all := slices.Concat(g.under, []string{"jouletop"}, args)
	c := exec.Command(all[0], all[1:]...)
	c.Dir, c.Env, c.Stdout, c.Stderr = g.home, g.env, out, out
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return c
}

// started notes who sees the disk of the leases.
func (g *fakeGPU) started(c *exec.Cmd) {
	if g.under != nil {
		g.pid = c.Process.Pid
	}
}

// without takes functions from the driver's library.
func (g *fakeGPU) without(t testing.TB, functions ...string) {
	t.Helper()
	lib, err := fakenvml.Build()
	if err != nil {
		t.Fatal(err)
	}
	short := filepath.Join(g.home, "libshort.so")
	if err := fakenvml.Without(lib, short, functions...); err != nil {
		t.Fatal(err)
	}
	g.env = append(g.env, fakenvml.EnvLibrary+"="+short)
}

// run runs jouletop on the GPU to its end.
func (g *fakeGPU) run(t testing.TB, args ...string) (status int, out string) {
	t.Helper()
	c, said := g.start(t, args...)
	_ = c.Wait() // the status is looked at
	return c.ProcessState.ExitCode(), said.String()
}

// work are the arguments of a run on the server, of n requests of about 0.15 s.
func work(server string, n int, args ...string) []string {
	return append(args, "--url", server, "--model", "m", "--dataset", "narrativeqa", "--queries", fmt.Sprint(n), "--max-tokens", "8", "--session", "s")
}

// newServer is an OpenAI-compatible server that takes its time.
func newServer(t testing.TB) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/models") {
			_, _ = w.Write([]byte(`{"object":"list","data":[{"id":"m"}]}`))
			return
		}
		var ask struct {
			MaxTokens int `json:"max_tokens"`
		}
		if !strings.HasSuffix(r.URL.Path, "/completions") || json.NewDecoder(r.Body).Decode(&ask) != nil {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		say := func(text string) {
			time.Sleep(15 * time.Millisecond)
			_, _ = fmt.Fprintf(w, "data: %s\n\n", text)
			w.(http.Flusher).Flush()
		}
		time.Sleep(25 * time.Millisecond)
		for range ask.MaxTokens {
			say(`{"choices":[{"index":0,"text":"word "}]}`)
		}
		say(fmt.Sprintf(`{"choices":[],"usage":{"prompt_tokens":300,"completion_tokens":%d}}`, ask.MaxTokens))
		say("[DONE]")
	}))
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s.URL
}

// begun waits until requests are recorded as they end.
func (g *fakeGPU) begun(t *testing.T, requests int) {
	t.Helper()
	written(t, filepath.Join(g.home, "s", session.EventsFile), `"kind":"request_done"`, requests)
}

// recorded reads what the session in s has.
func (g *fakeGPU) recorded(t testing.TB) *recording {
	t.Helper()
	rec, err := readRecording(filepath.Join(g.home, "s"))
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

// hit signals processes, of which some may have ended; 0 is nobody.
func hit(sig syscall.Signal, pids ...int) {
	for _, pid := range pids {
		if pid > 0 {
			_ = syscall.Kill(pid, sig)
		}
	}
}

// hitGuard signals the guard, hitWatcher its watcher.
func (g *fakeGPU) hitGuard(sig syscall.Signal)   { guard, _, _ := g.guards(); hit(sig, guard) }
func (g *fakeGPU) hitWatcher(sig syscall.Signal) { _, watcher, _ := g.guards(); hit(sig, watcher) }

// failSet lets the driver refuse the next n settings of a clock, failReset so many
// resets, all for -1; hang lets so many calls take that long; heal ends all that.
func (g *fakeGPU) failSet(n, code int64) {
	g.Set(fakenvml.SetFaultLeft, n)
	g.Set(fakenvml.SetFault, code)
}
func (g *fakeGPU) failReset(n int64) {
	g.Set(fakenvml.ResetFaultLeft, n)
	g.Set(fakenvml.ResetFault, fakenvml.CodeUnknown)
}
func (g *fakeGPU) hang(n, ms int64) { g.Set(fakenvml.HangLeft, n); g.Set(fakenvml.HangMS, ms) }
func (g *fakeGPU) heal() {
	for _, field := range []fakenvml.Field{fakenvml.SetFault, fakenvml.ResetFault, fakenvml.HangMS} {
		g.Set(field, 0)
	}
}

// resetByOthers takes the clock away and notes when, which the driver's log lacks.
func (g *fakeGPU) resetByOthers() {
	g.Unlock()
	g.takenNS = time.Now().UnixNano() - g.epoch
}
