package clockguard

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"jouletop/gpu/nvml/fakenvml"
)

// SIGTERM to the service alone: a client that stays, and does not even read, keeps
// nothing waiting.
func TestServiceEndsThoughClientsStay(t *testing.T) {
	s := serve(t, "--uid", fmt.Sprint(os.Getuid()))
	c := s.client(t, Bounds{})
	if err := c.Arm(true); err != nil {
		t.Fatal(err)
	}
	if err := c.Set(1005); err != nil || !s.locked() {
		t.Fatal(err)
	}
	idle := dialRaw(t, s.socket)
	defer idle.Close()
	start := time.Now()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	within(t, "the service's end", func() { _ = s.cmd.Wait() })
	if s.locked() || s.cmd.ProcessState.ExitCode() != 0 {
		t.Errorf("locked %v, status %d", s.locked(), s.cmd.ProcessState.ExitCode())
	}
	t.Logf("ended after %v", time.Since(start).Round(time.Millisecond))
	_ = c.Close() // its guard is gone
}

// A socket that somebody listens on stays, whatever is behind it.
func TestServiceLeavesLiveSockets(t *testing.T) {
	for name, listen := range map[string]func(path string) (func(), error){
		"stream": func(path string) (func(), error) {
			l, err := net.Listen("unix", path)
			return func() { _ = l.Close() }, err
		},
		"datagram": func(path string) (func(), error) {
			c, err := net.ListenPacket("unixgram", path)
			return func() { _ = c.Close() }, err
		},
		"full": func(path string) (func(), error) { // its queue, so that connecting to it fails
			fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
			if err == nil {
				err = errors.Join(unix.Bind(fd, &unix.SockaddrUnix{Name: path}), unix.Listen(fd, 0))
			}
			var waiting []net.Conn
			for range 5 {
				if c, derr := net.DialTimeout("unixpacket", path, 100*time.Millisecond); derr == nil {
					waiting = append(waiting, c)
				}
			}
			return func() {
				for _, c := range waiting {
					_ = c.Close()
				}
				_ = unix.Close(fd)
			}, err
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "run")
			if err := makeDir(dir); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, "guard.sock")
			end, err := listen(path)
			if err != nil {
				t.Fatal(err)
			}
			defer end()
			before, err := os.Lstat(path)
			if err != nil {
				t.Fatal(err)
			}
			l, err := serviceConfig{socket: path, dir: dir, gid: -1, log: slog.New(slog.DiscardHandler)}.listen()
			if err == nil {
				_ = l.Close()
				t.Fatal("took its place")
			}
			if after, lerr := os.Lstat(path); lerr != nil || !os.SameFile(before, after) {
				t.Errorf("the socket is gone: %v (%v)", lerr, err)
			}
		})
	}
	// One that nobody listens on any more makes room.
	dir := filepath.Join(t.TempDir(), "run")
	if err := makeDir(dir); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "guard.sock")
	old, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: path, Net: "unixpacket"})
	if err != nil {
		t.Fatal(err)
	}
	old.SetUnlinkOnClose(false)
	_ = old.Close()
	l, err := serviceConfig{socket: path, dir: dir, gid: -1}.listen()
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
}

// asUser arms clock control through a service as another user, and returns what
// it said.
func asUser(t *testing.T, s *served, uid, gid uint32, groups ...uint32) string {
	t.Helper()
	cmd := exec.Command("/proc/self/exe", serviceUserMode, s.socket, s.info.UUID)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: gid, Groups: groups}}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("user %d: %v, %s", uid, err, out)
	}
	return strings.TrimSpace(string(out))
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root to become another user")
	}
}

// With a group the kernel keeps everybody else off the socket.
func TestServiceServesAGroup(t *testing.T) {
	needRoot(t)
	s := serve(t, "--uid", "", "--group", "23456")
	if st, err := os.Stat(s.socket); err != nil || st.Mode().Perm() != 0o660 {
		t.Errorf("%v, %v", st.Mode(), err)
	}
	for _, c := range []struct {
		gid    uint32
		groups []uint32
		want   string
	}{{23456, nil, "armed"}, {7, []uint32{5, 23456}, "armed"}, {7, []uint32{5}, "permission"}} {
		if got := asUser(t, s, 65534, c.gid, c.groups...); !strings.Contains(got, c.want) {
			t.Errorf("group %d of %v: %s, want %s", c.gid, c.groups, got, c.want)
		}
	}
	if strings.Contains(s.log.String(), "refused") {
		t.Errorf("one that was not allowed got through:\n%s", s.log)
	}
	// Beside a list of users the group counts as well, by the service's own look.
	s = serve(t, "--uid", "12345", "--group", "23456")
	for _, c := range []struct {
		uid    uint32
		groups []uint32
		want   string
	}{{12345, nil, "armed"}, {65534, []uint32{23456}, "armed"}, {65534, nil, "no permission"}} {
		if got := asUser(t, s, c.uid, 7, c.groups...); !strings.Contains(got, c.want) {
			t.Errorf("user %d of %v: %s, want %s", c.uid, c.groups, got, c.want)
		}
	}
}

// stormMode connects as fast as it can until it is killed; idle keeps what it got.
const stormMode = "clock-test-storm"

func stormMain(socket string, idle bool) {
	var kept []*net.UnixConn
	for {
		c, err := net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: socket, Net: "unixpacket"})
		if err == nil && idle && len(kept) < 500 {
			kept = append(kept, c)
		} else if err == nil {
			_ = c.Close()
		}
	}
}

// A storm of connections, by users who are not allowed and by one who is: another
// who is allowed is served, and the log stays small.
func TestServiceThroughAStorm(t *testing.T) {
	needRoot(t)
	s := serve(t, "--uid", "12345,12346")
	start := time.Now() // of what is logged, too
	for _, storm := range []struct {
		uid  uint32
		idle bool
	}{{65534, false}, {65533, true}, {12346, true}} {
		cmd := exec.Command("/proc/self/exe", stormMode, s.socket, strconv.FormatBool(storm.idle))
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: storm.uid, Gid: storm.uid}}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	}
	// Who storms is turned away, as soon as he has all that is his. (The log may leave
	// his line out: those who are not allowed at all have its room.)
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		got := asUser(t, s, 12346, 7)
		if strings.Contains(got, "clients of user 12346 are served already") || strings.Contains(got, "more connections of this user") {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("the user who storms: %s", got)
		}
	}
	for range 3 {
		if got := asUser(t, s, 12345, 7); got != "armed" {
			t.Errorf("the user who is allowed: %s", got)
		}
	}
	s.expectLog(t, "too many of one user")
	took := time.Since(start).Seconds()
	lines := strings.Count(s.log.String(), "\n")
	t.Logf("three served within %.1f s, %d lines of log", took, lines)
	// Those that the service may write, and of the few guards that got to serve.
	if most := 600 + int(took*(perSecondDone+perSecondRefused)); lines > most {
		t.Errorf("%d lines of log, want at most %d; the last: %.2000s", lines, most, s.log.String()[max(0, len(s.log.String())-2000):])
	}
}

// Who connects too often is turned away and others are not; of it there is a line now
// and then, and no memory is kept for long.
func TestConnectionsOfAUser(t *testing.T) {
	var out bytes.Buffer
	now := time.Unix(1000, 0)
	r := newRates(slog.New(slog.NewTextHandler(&out, nil)), func() time.Time { return now })
	flood := func(uid uint32) (served int) {
		for range 10_000 {
			if r.take(uid) {
				served++
			}
		}
		return served
	}
	if n := flood(7); n != burstConnections {
		t.Errorf("%d served at once", n)
	}
	if !r.take(8) {
		t.Error("another user is turned away")
	}
	const seconds = 60
	served := 0
	for range seconds {
		now = now.Add(time.Second)
		served += flood(7)
		if !r.take(8) {
			t.Error("another user is turned away")
		}
	}
	if served != seconds*perSecondConnections {
		t.Errorf("%d served in %d s", served, seconds)
	}
	if n := strings.Count(out.String(), "\n"); n != 7 || strings.Count(out.String(), "uid=7 ") != n {
		t.Errorf("%d lines of log:\n%s", n, &out)
	}
	for uid := range uint32(100_000) {
		r.take(100 + uid)
		now = now.Add(10 * time.Millisecond)
	}
	if n := len(r.user); n > 2000 {
		t.Errorf("%d users are remembered", n)
	}
}

// What a client is refused fills no disk either.
func TestRefusedSetsAreLoggedSparingly(t *testing.T) {
	b, c, _ := armed(t, fakenvml.H100())
	start := time.Now()
	const floods = 3000
	for range floods {
		if err := c.Set(1006); err == nil {
			t.Fatal("set")
		}
	}
	text, err := os.ReadFile(b.options().logPath())
	if err != nil {
		t.Fatal(err)
	}
	most := burstRefused + int(time.Since(start).Seconds()+1)*perSecondRefused + 20
	if n := bytes.Count(text, []byte("\n")); n > most || n < 10 {
		t.Errorf("%d lines of log for %d refusals, want at most %d", n, floods, most)
	}
	if err := c.Set(1005); err != nil || !b.locked() {
		t.Errorf("Set after: %v", err)
	}
}

func TestLimitedLog(t *testing.T) {
	var out bytes.Buffer
	now := time.Unix(1000, 0)
	log := slog.New(newLimitedAt(slog.NewTextHandler(&out, nil), func() time.Time { return now })).With("pid", 7)
	for range 10_000 {
		log.Warn("no")
	}
	if n := strings.Count(out.String(), "msg=no"); n != burstRefused {
		t.Errorf("%d lines at once", n)
	}
	log.Info("yes") // has an allowance of its own
	if !strings.Contains(out.String(), "msg=yes pid=7 lines_left_out_before=9950") {
		t.Errorf("%s", out.String()[out.Len()-200:])
	}
	out.Reset()
	for range 600 { // a minute
		now = now.Add(100 * time.Millisecond)
		log.Warn("no")
	}
	if n := strings.Count(out.String(), "msg=no"); n != 60*perSecondRefused {
		t.Errorf("%d lines in a minute", n)
	}
}

// The unit is well formed and closes what the guard does not need, by systemd's own
// judgement where it is at hand.
func TestUnit(t *testing.T) {
	text, err := os.ReadFile("systemd/jouletop-clockguard.service")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"RestrictNamespaces=yes", "ProtectKernelTunables=yes", "ProtectKernelModules=yes", "ProtectKernelLogs=yes", "ProtectControlGroups=yes",
		"ProtectClock=yes", "ProtectHostname=yes", "SystemCallFilter=", "DevicePolicy=closed", "DeviceAllow=char-nvidia", "MemoryMax=", "TasksMax=",
		"LogRateLimitBurst=", "RestrictSUIDSGID=yes", "NoNewPrivileges=yes",
	} {
		if !strings.Contains(string(text), "\n"+want) {
			t.Errorf("no %s", want)
		}
	}
	if strings.Contains(string(text), "\nRestrictRealtime=yes") {
		t.Error("the guard runs at a real-time priority")
	}
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("no systemd-analyze")
	}
	unit := filepath.Join(t.TempDir(), "jouletop-clockguard.service")
	// It looks for the program, which need not be installed here.
	if err := os.WriteFile(unit, bytes.Replace(text, []byte("ExecStart=/usr/local/bin/jouletop"), []byte("ExecStart=/bin/true"), 1), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(analyze, "verify", "--man=no", unit).CombinedOutput(); err != nil || len(bytes.TrimSpace(out)) > 0 {
		t.Errorf("verify: %v\n%s", err, out)
	}
	// 0 to 100 of exposure; CAP_SYS_ADMIN and running as root, which locked clocks
	// take, are most of what is left.
	out, err := exec.Command(analyze, "security", "--offline=true", "--no-pager", "--threshold=40", unit).CombinedOutput()
	if err != nil {
		t.Errorf("security: %v\n%s", err, out)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	t.Log(lines[len(lines)-1])
}
