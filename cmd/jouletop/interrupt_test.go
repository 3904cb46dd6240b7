package main

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"jouletop/engine/event"
	"jouletop/engine/rig"
	"jouletop/engine/session"
)

// saying is a buffer that can be waited on.
type saying struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *saying) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *saying) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// command is a command whose working directory and home is a folder.
func command(home, name string, args ...string) *exec.Cmd {
	c := exec.Command(name, args...)
	c.Dir, c.Env = home, append(homeEnv(home), "PATH="+os.Getenv("PATH"))
	return c
}

// startProgram starts the program in a folder of its own.
func startProgram(t *testing.T, args ...string) (c *exec.Cmd, home string, stderr *saying) {
	t.Helper()
	home = t.TempDir()
	c = command(home, "jouletop", args...)
	return c, home, begin(t, c)
}

// begin starts a command, which ends with the test, and returns what it says on
// stderr.
func begin(t *testing.T, c *exec.Cmd) *saying {
	t.Helper()
	stderr := &saying{}
	c.Stderr = stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill() })
	return stderr
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(3 * time.Minute); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// written waits until a text stands in a file at least n times.
func written(t *testing.T, file, text string, n int) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d times %s in %s", n, text, file), func() bool {
		b, _ := os.ReadFile(file) // not there at first
		return bytes.Count(b, []byte(text)) >= n
	})
}

func TestRunInterrupted(t *testing.T) {
	t.Parallel()
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	t.Cleanup(func() {
		silent.CloseClientConnections() // or Close waits for them
		silent.Close()
	})
	for _, c := range []struct {
		name    string
		args    []string
		begun   string // in events.jsonl, before the first signal
		signals int
	}{
		// A batch takes about 30 s of real time.
		{"twice in a batch", []string{"--sim-speed", "1", "--max-tokens", "4000", "--dataset", "narrativeqa"}, "batch_start", 2},
		{"while loading", []string{"--gpu", "sim", "--url", silent.URL, "--model", "m"}, "run_start", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cmd, home, stderr := startProgram(t, append([]string{"run", "--session", "s"}, c.args...)...)
			dir := filepath.Join(home, "s")
			written(t, filepath.Join(dir, session.EventsFile), c.begun, 1)
			began := time.Now()
			for i := range c.signals {
				if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
					t.Fatal(err)
				}
				if i == 0 {
					eventually(t, "a word about it", func() bool { return strings.Contains(stderr.String(), "interrupt") })
				}
			}
			_ = cmd.Wait() // the status is looked at
			if code := cmd.ProcessState.ExitCode(); code != exitInterrupted {
				t.Errorf("exit status %d: %s", code, stderr)
			}
			if took := time.Since(began); took > 20*time.Second {
				t.Errorf("took %v", took)
			}
			s, err := session.Open(dir)
			if err != nil || s.Manifest.Ended != "interrupted" {
				t.Errorf("session: %v, ended %q", err, s.Manifest.Ended)
			}
		})
	}
}

// workerOf returns the child that runs llama.cpp for a process, once there is one.
func workerOf(t *testing.T, pid int) int {
	t.Helper()
	child := 0
	eventually(t, "a child", func() bool {
		lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid)) // of the thread that forked; fails for bad patterns only
		for _, list := range lists {
			b, _ := os.ReadFile(list) // not there once it ended
			for _, f := range strings.Fields(string(b)) {
				name, _ := os.ReadFile("/proc/" + f + "/cmdline") // neither
				if strings.Contains(string(name), rig.WorkerCommand) {
					child, _ = strconv.Atoi(f) // the kernel's number
				}
			}
		}
		return child > 0
	})
	return child
}

// TestWorkerKilled kills the child that runs llama.cpp: as it starts, and in a
// job, of which the rest runs on a fresh child.
func TestWorkerKilled(t *testing.T) {
	if !engineBuilt() {
		t.Skip("built without llama.cpp")
	}
	t.Parallel()
	home := t.TempDir()
	record(t, home, "synth", "llama-15m", "-o", "m.gguf")
	run := []string{"run", "--gpu", "sim", "--backend", "llama", "--model", filepath.Join(home, "m.gguf"), "--dataset", "narrativeqa", "--queries", "4", "--max-tokens", "60", "--session", "s"}
	t.Run("at its start", func(t *testing.T) {
		c, _, stderr := startProgram(t, run...)
		if err := syscall.Kill(workerOf(t, c.Process.Pid), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		_ = c.Wait() // the status is looked at
		text := strings.TrimSpace(stderr.String())
		if code := c.ProcessState.ExitCode(); code != exitFailure || !strings.Contains(text, "SIGKILL") || strings.Count(text, "\n") > 1 {
			t.Errorf("exit status %d: %s", code, text)
		}
	})
	t.Run("in a job", func(t *testing.T) {
		c, dir, stderr := startProgram(t, append(run, "--repeats", "2")...)
		dir = filepath.Join(dir, "s")
		written(t, filepath.Join(dir, session.EventsFile), `"decode"`, 1)
		if err := syscall.Kill(workerOf(t, c.Process.Pid), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		_ = c.Wait() // the status is looked at
		rec, err := readRecording(dir)
		if err != nil {
			t.Fatal(err)
		}
		answered := map[int]int{} // by repeat
		for _, r := range rec.requests {
			if r.PointID != "" && r.Err == "" {
				answered[r.Repeat]++
			}
		}
		// A point of which something came is flagged; one that came to nothing fails
		// the run.
		want := 0
		if answered[1] == 0 {
			want = exitFailure
		}
		if code := c.ProcessState.ExitCode(); code != want {
			t.Errorf("exit status %d with %d requests of the first job answered, want %d: %s", code, answered[1], want, stderr)
		}
		s, err := session.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		var failed []bool
		if err := s.Events(func(e event.Event) error {
			if p, ok := e.(event.PointDone); ok {
				failed = append(failed, strings.Contains(p.PointResult.Err, "SIGKILL"))
			}
			return nil
		}); err != nil || !slices.Equal(failed, []bool{true, false}) {
			t.Errorf("points that failed: %v, %v", failed, err)
		}
		if answered[2] != 4 {
			t.Errorf("%d requests of the second job", answered[2])
		}
	})
}

// TestWorkerKilledAgainAndAgain: each time costs the batch in hand at the most, the
// run says so and is a success.
func TestWorkerKilledAgainAndAgain(t *testing.T) {
	if !engineBuilt() {
		t.Skip("built without llama.cpp")
	}
	t.Parallel()
	const queries, kills = 60, 5
	home := t.TempDir()
	record(t, home, "synth", "llama-15m", "-o", "m.gguf")
	c, dir, stderr := startProgram(t, "run", "--gpu", "sim", "--backend", "llama", "--model", filepath.Join(home, "m.gguf"),
		"--dataset", "truthfulqa", "--queries", strconv.Itoa(queries), "--max-tokens", "20", "--threads", "1", "--session", "s") // two would wait for each other on a busy machine
	dir = filepath.Join(dir, "s")
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	var err error
	over := false // a fast machine is done before the last kill
	for killed := 0; killed < kills && !over; {
		select {
		case err = <-ended:
			over = true
		case <-time.After(50 * time.Millisecond):
			b, _ := os.ReadFile(filepath.Join(dir, session.EventsFile)) // not there at first
			if bytes.Count(b, []byte(`"request_done"`)) > 10*killed && bytes.Contains(b, []byte(`"decode"`)) {
				_ = syscall.Kill(workerOf(t, c.Process.Pid), syscall.SIGKILL) // it may just have been dying
				killed++
			}
		}
	}
	if !over {
		err = <-ended
	}
	if err != nil {
		t.Errorf("%v: %s", err, stderr)
	}
	rec, err := readRecording(dir)
	if err != nil {
		t.Fatal(err)
	}
	lost := 0
	for _, r := range rec.requests {
		if r.Err != "" {
			lost++
		}
	}
	if len(rec.requests) != queries || lost < 1 || lost > kills {
		t.Errorf("%d of %d requests failed", lost, len(rec.requests))
	}
	if said := fmt.Sprintf("%d of %d requests failed", lost, queries); !strings.Contains(stderr.String(), said) {
		t.Errorf("nobody says that %s: %s", said, stderr)
	}
}

// TestAllRequestsFailed: a run of which nothing succeeded has failed.
func TestAllRequestsFailed(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/models"):
			_, _ = w.Write([]byte(`{"object":"list","data":[{"id":"m"}]}`))
		case !strings.HasSuffix(r.URL.Path, "/completions"):
			http.NotFound(w, r)
		default:
			http.Error(w, `{"error":{"message":"this model has gone home"}}`, http.StatusBadRequest)
		}
	}))
	t.Cleanup(server.Close)
	c, home, stderr := startProgram(t, "run", "--gpu", "sim", "--url", server.URL, "--model", "m", "--dataset", "narrativeqa", "--queries", "2", "--session", "s")
	_ = c.Wait() // the status is looked at
	if code := c.ProcessState.ExitCode(); code != exitFailure || !strings.Contains(stderr.String(), "gone home") {
		t.Errorf("exit status %d: %s", code, stderr)
	}
	if s, err := session.Open(filepath.Join(home, "s")); err != nil || s.Manifest.Ended != "failed" {
		t.Errorf("session: %v, ended %q", err, s.Manifest.Ended)
	}
}
