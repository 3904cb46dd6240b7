package clockguard

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"jouletop/gpu"
	"jouletop/gpu/nvml/fakenvml"
)

// served is a running clock-guard --serve.
type served struct {
	*rig
	socket string
	cmd    *exec.Cmd
	log    *logBuffer
}

// logBuffer is a log that may be read while it is written.
type logBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (s *served) expectLog(t *testing.T, want string) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); !strings.Contains(s.log.String(), want); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("service's log lacks %q:\n%s", want, s.log)
		}
	}
}

func serve(t *testing.T, args ...string) *served {
	t.Helper()
	s := &served{rig: newRig(t, 2, fakenvml.H100())[0], log: new(logBuffer)}
	top, err := os.MkdirTemp("", "clockguard") // t.TempDir is closed to other users
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(top) })
	if err := os.Chmod(top, 0o755); err != nil {
		t.Fatal(err)
	}
	s.dir = filepath.Join(top, "run")
	return s.run(t, args...)
}

func (s *served) run(t *testing.T, args ...string) *served {
	t.Helper()
	s.socket = filepath.Join(s.dir, "guard.sock")
	s.cmd = exec.Command(os.Args[0], append([]string{Subcommand, "--serve", s.socket, "--dir", s.dir}, args...)...)
	stderr, err := s.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.Copy(s.log, stderr) }()
	s.expectLog(t, "listening")
	t.Cleanup(func() {
		_ = s.cmd.Process.Signal(syscall.SIGTERM)
		if err := s.cmd.Wait(); err != nil && s.cmd.ProcessState.ExitCode() > 0 {
			t.Errorf("service: %v\n%s", err, s.log)
		}
		if s.locked() {
			t.Error("clock left locked")
		}
	})
	return s
}

func (s *served) client(t *testing.T, b Bounds) *Client {
	t.Helper()
	// A folder of the client's own shows that it needs nothing of the service's.
	c, err := Open(t.Context(), s.info, Options{Socket: s.socket, Dir: t.TempDir(), Bounds: b})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// alive shows that the service still does its work and the clock is untouched.
func (s *served) alive(t *testing.T) {
	t.Helper()
	if s.locked() {
		t.Error("clock was set")
	}
	c := s.client(t, Bounds{})
	if err := c.Arm(true); err != nil {
		t.Fatalf("service does not serve any more: %v\n%s", err, s.log)
	}
	if err := c.Set(1005); err != nil || !s.locked() {
		t.Errorf("Set: %v", err)
	}
	if err := c.Close(); err != nil || s.locked() {
		t.Errorf("Close: %v, locked %v", err, s.locked())
	}
}

func TestServiceSetsForItsUsers(t *testing.T) {
	s := serve(t, "--uid", fmt.Sprint(os.Getuid()), "--gpus", "0", "--min-mhz", "1000")
	c := s.client(t, Bounds{MaxMHz: 1600})
	if err := c.Arm(true); err != nil {
		t.Fatal(err)
	}
	for mhz, want := range map[int]error{1005: nil, 345: ErrBounds, 1980: ErrBounds, 1001: gpu.ErrBadClock} {
		if err := c.Set(mhz); !errors.Is(err, want) {
			t.Errorf("Set(%d): %v, want %v", mhz, err, want)
		}
	}
	if !s.locked() {
		t.Error("not locked")
	}
	other := s.client(t, Bounds{})
	if err := other.Arm(true); !errors.Is(err, ErrHeld) || !strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) {
		t.Errorf("second client: %v, want %v that names pid %d", err, ErrHeld, os.Getpid())
	}
	if err := c.Close(); err != nil || s.locked() {
		t.Errorf("Close: %v, locked %v", err, s.locked())
	}
	// Another GPU than those allowed.
	wrong := s.info
	wrong.Index = 1
	d, err := Open(t.Context(), wrong, Options{Socket: s.socket, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Arm(true); !errors.Is(err, ErrRefused) {
		t.Errorf("GPU 1: %v, want %v", err, ErrRefused)
	}
	s.expectLog(t, "mhz=1005")
	s.expectLog(t, "mhz=345")
}

// A service killed with all its guards leaves a record; the next one resets.
func TestServiceRestoresAtItsStart(t *testing.T) {
	s := serve(t, "--uid", fmt.Sprint(os.Getuid()))
	c := s.client(t, Bounds{})
	if err := c.Arm(true); err != nil {
		t.Fatal(err)
	}
	if err := c.Set(1005); err != nil {
		t.Fatal(err)
	}
	rec, _ := readRecord(s.dir, s.info.UUID)
	_ = s.cmd.Process.Kill()
	for _, p := range []process{rec.Watcher, rec.Guard} {
		_ = syscall.Kill(p.PID, syscall.SIGSTOP)
	}
	for _, p := range []process{rec.Watcher, rec.Guard} {
		p.kill(time.Second)
	}
	_ = s.cmd.Wait() // it listens until it is gone
	if !s.locked() {
		t.Fatal("not locked")
	}
	next := (&served{rig: s.rig, log: new(logBuffer)}).run(t)
	next.expectLog(t, "never given back")
	if s.locked() {
		t.Error("still locked")
	}
	_ = c.Close() // its guard is gone
}

func TestServiceRefusesOtherUsers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to become another user")
	}
	s := serve(t, "--uid", "12345,12346") // several: everybody may connect
	for uid, want := range map[uint32]string{65534: "no permission", 12345: "armed"} {
		cmd := exec.Command("/proc/self/exe", serviceUserMode, s.socket, s.info.UUID)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("uid %d: %v, %q; want %q", uid, err, out, want)
		}
	}
	s.expectLog(t, "user 65534")
	s.alive(t)
}

func dialRaw(t *testing.T, socket string) *net.UnixConn {
	t.Helper()
	c, err := net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: socket, Net: "unixpacket"})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Clients that send nonsense, nothing, too much or too often: refused, logged,
// the service alive, the clock untouched.
func TestServiceSurvivesHostileClients(t *testing.T) {
	s := serve(t, "--uid", fmt.Sprint(os.Getuid()))
	r := rand.New(rand.NewPCG(1, 2))
	noise := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return b
	}
	hello := func(text string) []byte { return order{op: opHello, sent: monotonic(), text: []byte(text)}.encode() }
	greet := fmt.Sprintf(`{"uuid":%q,"index":0,"program":"evil"}`, s.info.UUID)
	for name, messages := range map[string][][]byte{
		"noise":       {noise(100)},
		"empty":       {{}},
		"oversized":   {noise(100_000)},
		"no hello":    {order{op: opSet, value: 1005, sent: monotonic()}.encode()},
		"no JSON":     {hello("{")},
		"other GPU":   {hello(`{"uuid":"GPU-of-somebody-else","index":0}`)},
		"no such GPU": {hello(`{"uuid":"GPU-x","index":7}`)},
		"path":        {hello(`{"uuid":"../../../etc/passwd","index":0}`)},
		"noise after": {hello(greet), noise(24), noise(2000)},
		"stale":       {hello(greet), order{op: opSet, value: 1005, sent: monotonic() - int64(time.Minute)}.encode()},
		"future":      {hello(greet), order{op: opSet, value: 1005, sent: monotonic() + int64(time.Minute)}.encode()},
		"bad clock":   {hello(greet), order{op: opSet, value: 1006, sent: monotonic()}.encode()},
		"absurd":      {hello(greet), order{op: opSet, value: 1 << 20, sent: monotonic()}.encode()},
	} {
		c := dialRaw(t, s.socket)
		for i, m := range messages {
			if i == 1 { // once the guard serves
				_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
				if _, err := c.Read(make([]byte, maxMessage)); err != nil {
					t.Errorf("%s: no answer to the greeting: %v", name, err)
				}
			}
			_, _ = c.Write(m)
		}
		if len(messages) > 1 {
			_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
			buf := make([]byte, maxMessage)
			n, err := c.Read(buf)
			if answer, derr := decodeReply(buf[:n]); err != nil || derr != nil || answer.code == codeOK {
				t.Errorf("%s: answered %+v, %v, %v; want a refusal", name, answer, err, derr)
			}
		}
		_ = c.Close()
		if s.locked() {
			t.Errorf("%s: clock was set", name)
		}
	}
	s.expectLog(t, "request refused")

	// Slow ones hold no place for long, and thousands at once starve nobody.
	var idle []*net.UnixConn
	for range 2000 {
		c, err := net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: s.socket, Net: "unixpacket"})
		if err == nil {
			idle = append(idle, c)
		}
	}
	s.expectLog(t, "are served already")
	time.Sleep(helloLimit + 500*time.Millisecond)
	s.alive(t)
	for _, c := range idle {
		_ = c.Close()
	}
	if n := strings.Count(s.log.String(), "\n"); n > 500 {
		t.Errorf("%d lines of log for refused connections", n)
	}
}

// A flood from a client that is being served: each answered or dropped, none
// obeyed that shouldn't be, and the guard listens on.
func TestGuardSurvivesAFlood(t *testing.T) {
	b, c, _ := armed(t, fakenvml.H100())
	l := c.link.(*remote)
	r := rand.New(rand.NewPCG(3, 4))
	for i := range 5000 {
		m := make([]byte, r.IntN(200)+1)
		for j := range m {
			m[j] = byte(r.Uint32())
		}
		if i%2 == 0 { // nearly right
			copy(m, order{op: opSet, value: 1006}.encode())
		}
		_, _ = l.conn.Write(m)
	}
	if b.locked() {
		t.Error("clock was set")
	}
	if err := c.Set(1005); err != nil || !b.locked() {
		t.Errorf("Set after the flood: %v", err)
	}
	st, err := os.Stat(b.options().logPath())
	if err != nil || st.Size() > 1<<20 {
		t.Errorf("log: %v, %d bytes", err, st.Size())
	}
}

func TestServiceUsage(t *testing.T) {
	for _, args := range [][]string{{}, {"--serve"}, {"--serve", "x", "y"}, {"--uid", "me", "--serve", "x"}, {"watch"}, {"watch", "x", "y"}} {
		var out strings.Builder
		if code := run(args, openNVML, &out); code == 0 {
			t.Errorf("%q succeeded", args)
		}
	}
}
