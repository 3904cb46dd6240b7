package clockguard

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"jouletop/gpu"
)

// serviceConfig is what the service is started with.
type serviceConfig struct {
	socket string
	uids   []int
	dir    string
	child  []string // a guard's command line
	open   Opener
	log    *slog.Logger
}

// maxGuards is how many clients are served at once. Each has its own guard; one
// that greets nobody within helloLimit ends, so idle connections hold no place.
const maxGuards = 32

// runService listens for clients and starts a guard for each that is allowed.
// It reads nothing that a client sends: whom it doesn't allow it has closed
// before, and the guard of one that it does is a process of its own.
func runService(cfg serviceConfig, stderr io.Writer) int {
	l, err := cfg.listen()
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "clock-guard:", err)
		return 1
	}
	for _, text := range cfg.restoreAll() {
		cfg.log.Warn(text)
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-stop
		_ = l.Close()
	}()
	cfg.log.Info("listening", "socket", l.Addr().String(), "uids", cfg.uids)
	s := &service{serviceConfig: cfg, slots: make(chan struct{}, maxGuards)}
	s.accept(l)
	s.guards.Wait() // each ends when its client does
	return 0
}

func (cfg serviceConfig) listen() (*net.UnixListener, error) {
	if err := makeDir(cfg.dir); err != nil {
		return nil, err
	}
	// What is left of a service that was killed; one that lives answers.
	if c, err := net.Dial("unixpacket", cfg.socket); err == nil {
		_ = c.Close()
		return nil, fmt.Errorf("another service listens on %s", cfg.socket)
	}
	if st, err := os.Lstat(cfg.socket); err == nil && st.Mode()&os.ModeSocket != 0 {
		_ = os.Remove(cfg.socket)
	}
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: cfg.socket, Net: "unixpacket"})
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	// Everybody may connect; who is served is decided by user id.
	if err := os.Chmod(cfg.socket, 0o666); err != nil {
		_ = l.Close()
		return nil, fmt.Errorf("listen: %w", err)
	}
	return l, nil
}

// restoreAll gives back what an earlier run left locked on any GPU.
func (cfg serviceConfig) restoreAll() []string {
	var out []string
	paths, _ := filepath.Glob(filepath.Join(cfg.dir, "*.locked")) // the pattern is well formed
	for _, p := range paths {
		uuid := strings.TrimSuffix(filepath.Base(p), ".locked")
		rec, found := readRecord(cfg.dir, uuid)
		if !found || held(cfg.dir, uuid) && !readHolding(leasePath(cfg.dir, uuid)).Guard.stopped() {
			continue
		}
		text, err := restoreOnce(cfg.dir, rec.Index, uuid, false, cfg.open, cfg.log)
		if err != nil {
			text = fmt.Sprintf("GPU %s still has %s: %v", uuid, rec, err)
		}
		if text != "" {
			out = append(out, text)
		}
	}
	return out
}

type service struct {
	serviceConfig
	slots   chan struct{} // one for each guard that runs
	guards  sync.WaitGroup
	refused tally
}

func (s *service) accept(l *net.UnixListener) {
	for {
		conn, err := l.AcceptUnix()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // out of descriptors, most likely
			s.log.Warn("accept", "error", err)
			time.Sleep(20 * time.Millisecond)
			continue
		}
		if err := s.admit(conn); err != nil {
			if n, told := s.refused.add(time.Now()); told {
				s.log.Warn("connection refused", "error", err, "refused_so_far", n)
			}
			_, _ = conn.Write(reply{op: opNotice, code: codeOf(err), text: err.Error()}.encode())
		}
		_ = conn.Close()
	}
}

// admit starts a guard for a connection, or says why not.
func (s *service) admit(conn *net.UnixConn) error {
	f, err := conn.File() // a duplicate, without O_NONBLOCK as the guard wants it
	if err != nil {
		return fmt.Errorf("connection: %w", err)
	}
	defer func() { _ = f.Close() }()
	cred, err := peer(int(f.Fd()))
	if err != nil {
		return err
	}
	if cred.Uid != 0 && !slices.Contains(s.uids, int(cred.Uid)) {
		return fmt.Errorf("%w: user %s (uid %d, pid %d) may not set clocks through this service",
			gpu.ErrNoPermission, userName(cred.Uid), cred.Uid, cred.Pid)
	}
	select {
	case s.slots <- struct{}{}:
	default:
		return fmt.Errorf("%w: %d clients are served already", ErrRefused, maxGuards)
	}
	s.log.Info("connection", "uid", cred.Uid, "client", cred.Pid)
	cmd := exec.Command(s.child[0], s.child[1:]...)
	cmd.ExtraFiles = []*os.File{f}
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		<-s.slots
		return fmt.Errorf("start a guard: %w", err)
	}
	s.guards.Go(func() {
		_ = cmd.Wait()
		<-s.slots
	})
	return nil
}

// tally counts refusals and tells which to log: the first ten of each second,
// so that a storm of connections fills no disk.
type tally struct {
	total, inSecond int
	second          int64
}

func (t *tally) add(now time.Time) (total int, tell bool) {
	if s := now.Unix(); s != t.second {
		t.second, t.inSecond = s, 0
	}
	t.total++
	t.inSecond++
	return t.total, t.inSecond <= 10
}
