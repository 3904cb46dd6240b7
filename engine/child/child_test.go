package child

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// run runs a program; what it wrote, what was seen of it, and how it ended.
func run(t *testing.T, args ...string) (out, seen string, end End) {
	t.Helper()
	file, err := os.CreateTemp(t.TempDir(), "out")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	var copied bytes.Buffer
	end = Command{Args: args, Stdin: null, Stdout: file, Stderr: file, Output: func(p []byte) { copied.Write(p) }, Patience: 200 * time.Millisecond}.Run()
	b, err := os.ReadFile(file.Name())
	if err != nil {
		t.Fatal(err)
	}
	return string(b), copied.String(), end
}

func TestStatus(t *testing.T) {
	plain := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(plain, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args   []string
		status int
		text   string
	}{
		{[]string{"true"}, 0, "exit status 0"},
		{[]string{"sh", "-c", "exit 7"}, 7, "exit status 7"},
		{[]string{"sh", "-c", "kill -TERM $$"}, 143, "ended by SIGTERM"},
		{[]string{"sh", "-c", "kill -KILL $$"}, 137, "ended by SIGKILL"},
		{[]string{"no-such-program-here"}, StatusNotFound, "run no-such-program-here: "},
		{[]string{"/no/such/program"}, StatusNotFound, "run /no/such/program: "},
		{[]string{plain}, StatusCannotRun, "permission denied"},
	} {
		if _, _, end := run(t, c.args...); end.Status != c.status || !strings.Contains(end.String(), c.text) {
			t.Errorf("%q: %d, %s; want %d, %s", c.args, end.Status, end, c.status, c.text)
		}
	}
}

// The output comes through as it is, however much there is.
func TestOutput(t *testing.T) {
	out, seen, end := run(t, "sh", "-c", "head -c 300000 /dev/zero; printf 'a\\r\\n\\033[1mb'; echo err >&2")
	want := strings.Repeat("\x00", 300000) + "a\r\n\x1b[1mb"
	if seen != want || strings.ReplaceAll(out, "err\n", "") != want || end.Status != 0 {
		t.Errorf("%d bytes out, %d seen, %v", len(out), len(seen), end)
	}
}

// A reader that goes away ends the program as it would have without us.
func TestNobodyReads(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	_ = r.Close()
	defer w.Close()
	end := Command{Args: []string{"sh", "-c", "while :; do echo y; done"}, Stdin: nil, Stdout: w, Stderr: os.Stderr}.Run()
	if end.Signal != "SIGPIPE" && end.Status == 0 {
		t.Errorf("%v", end)
	}
}

// Nothing of the program's group is left, be it stopped or deaf.
func TestNothingIsLeft(t *testing.T) {
	for _, left := range []string{"sleep 100 &", "(trap '' TERM; sleep 100) & sleep 0.1;", "sleep 100 & kill -STOP $!;"} {
		out, _, end := run(t, "sh", "-c", left+" echo $$")
		var pgid int
		if _, err := fmt.Sscan(out, &pgid); err != nil || !end.Left || end.Status != 0 {
			t.Fatalf("%q: %v, %v", left, err, end)
		}
		for until := time.Now().Add(5 * time.Second); unix.Kill(-pgid, 0) == nil; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(until) {
				t.Fatalf("%q: group %d is left", left, pgid)
			}
		}
	}
}

// A signal comes once, and the program decides what to make of it.
func TestSignals(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	var once sync.Once
	go func() { _, _ = io.Copy(io.Discard, r) }()
	defer w.Close()
	end := Command{
		Args:  []string{"sh", "-c", `n=0; trap 'n=$((n+1))' INT; trap 'echo $n; exit 9' TERM; echo ready; while :; do sleep 0.02; done`},
		Stdin: nil, Stdout: w, Stderr: os.Stderr,
		Output: func(p []byte) {
			out.Write(p)
			once.Do(func() {
				go func() {
					for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
						_ = syscall.Kill(os.Getpid(), s)
						time.Sleep(200 * time.Millisecond)
					}
				}()
			})
		},
	}.Run()
	if end.Status != 9 || out.String() != "ready\n1\n" {
		t.Errorf("%v: %q", end, out.String())
	}
}

// A terminal stays one, of the same size, and lines come through unchanged.
func TestTerminal(t *testing.T) {
	master, slave, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	defer slave.Close()
	if err := pty.Setsize(master, &pty.Winsize{Rows: 33, Cols: 77}); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.Copy(io.Discard, master) }()
	var out bytes.Buffer
	end := Command{Args: []string{"sh", "-c", `test -t 1 && test ! -t 0 && stty size <&1`}, Stdin: nil, Stdout: slave, Stderr: os.Stderr, Output: func(p []byte) { out.Write(p) }}.Run()
	if end.Status != 0 || out.String() != "33 77\n" {
		t.Errorf("%v: %q", end, out.String())
	}
}
