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

	"golang.org/x/sys/unix"

	"jouletop/gpu"
)

// serviceConfig is what the service is started with.
type serviceConfig struct {
	socket string
	uids   []int
	gid    int // of the group that may connect; -1 none
	dir    string
	child  []string // a guard's command line
	open   Opener
	log    *slog.Logger
}

// maxGuards is how many clients are served at once, maxPerUser how many of one user,
// so that none of those allowed can shut the others out. Each has its own guard; one
// that greets nobody within helloLimit ends, so idle connections hold no place.
const (
	maxGuards  = 64
	maxPerUser = 16 // a guard for each GPU of a host, and some
)

// endLimit is how long guards have to give their clocks back when the service ends;
// they try for resetPatience.
const endLimit = resetPatience + 2*time.Second

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
	s := &service{serviceConfig: cfg, rates: newRates(cfg.log, time.Now), serving: map[uint32]int{}, guards: map[*exec.Cmd]bool{}}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-stop
		_ = l.Close()
	}()
	cfg.log.Info("listening", "socket", l.Addr().String(), "uids", cfg.uids, "gid", cfg.gid)
	s.accept(l)
	return s.end()
}

// listen makes the socket. One that somebody listens on, be it another program's, is
// left alone, and so is one of another user.
func (cfg serviceConfig) listen() (*net.UnixListener, error) {
	if err := makeDir(cfg.dir); err != nil {
		return nil, err
	}
	var st unix.Stat_t
	if err := unix.Lstat(cfg.socket, &st); err == nil && st.Mode&unix.S_IFMT == unix.S_IFSOCK {
		c, err := net.Dial("unixpacket", cfg.socket)
		switch {
		case err == nil:
			_ = c.Close()
			return nil, fmt.Errorf("another service listens on %s", cfg.socket)
		case !errors.Is(err, unix.ECONNREFUSED): // which alone says that nobody listens
			return nil, fmt.Errorf("%s is in use by another program: %w", cfg.socket, err)
		case int(st.Uid) != os.Geteuid() && ours(filepath.Dir(cfg.socket), os.Geteuid()) != nil:
			return nil, fmt.Errorf("%s belongs to user %d: remove it first", cfg.socket, st.Uid)
		}
		_ = os.Remove(cfg.socket) // left by a service that was killed
	}
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: cfg.socket, Net: "unixpacket"})
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	if err := cfg.permit(); err != nil {
		_ = l.Close()
		return nil, fmt.Errorf("listen: %w", err)
	}
	return l, nil
}

// permit sets the socket's permissions: where one group or one user may connect,
// the kernel keeps all others out before they cost anything. Otherwise everybody may
// connect, and who is served is decided by user id.
func (cfg serviceConfig) permit() error {
	switch {
	case cfg.gid >= 0 && len(cfg.uids) == 0:
		if err := os.Chown(cfg.socket, -1, cfg.gid); err != nil {
			return err
		}
		return os.Chmod(cfg.socket, 0o660)
	case cfg.gid < 0 && len(cfg.uids) == 0:
		return os.Chmod(cfg.socket, 0o600)
	case cfg.gid < 0 && len(cfg.uids) == 1:
		if os.Chown(cfg.socket, cfg.uids[0], -1) == nil { // takes CAP_CHOWN
			return os.Chmod(cfg.socket, 0o600)
		}
	}
	return os.Chmod(cfg.socket, 0o666)
}

// restoreAll gives back what an earlier run left locked on any GPU.
func (cfg serviceConfig) restoreAll() []string {
	var out []string
	paths, _ := filepath.Glob(filepath.Join(cfg.dir, "*.locked")) // the pattern is well formed
	for _, p := range paths {
		uuid := strings.TrimSuffix(filepath.Base(p), ".locked")
		rec, found := readRecord(cfg.dir, uuid)
		if !found || held(cfg.dir, uuid) && !holderOf(leasePath(cfg.dir, uuid)).halted() {
			continue
		}
		var text string
		dev, err := find(cfg.open, rec.Index, uuid)
		if err == nil {
			text, err = restoreOn(dev, cfg.dir, uuid, false, cfg.log)
		}
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
	rates   *rates
	running sync.WaitGroup

	mu      sync.Mutex
	serving map[uint32]int // how many clients of each user
	clients int            // of all of them
	guards  map[*exec.Cmd]bool
	ending  bool
}

// accept takes connections until the socket is closed. Nothing that it does takes
// long: while it does it, the others stand in the queue.
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
		cred, err := s.admit(conn)
		if err != nil {
			refuse(conn, err)
			continue
		}
		s.running.Go(func() { s.serve(conn, cred) })
	}
}

// refuse tells a client why it is not served.
func refuse(conn *net.UnixConn, err error) {
	_, _ = conn.Write(reply{op: opNotice, code: codeOf(err), text: err.Error()}.encode())
	_ = conn.Close()
}

var errTooOften = fmt.Errorf("%w: more connections of this user than the %d a second that are served", ErrRefused, perSecondConnections)

// admit takes a place for a connection, or says why not. Who comes too often is
// turned away before it has cost more than it cost to connect.
func (s *service) admit(conn *net.UnixConn) (*unix.Ucred, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("connection: %w", err)
	}
	var cred *unix.Ucred
	if cerr := raw.Control(func(fd uintptr) {
		if cred, err = peer(int(fd)); err != nil {
			return
		}
		if !s.rates.take(cred.Uid) {
			err = errTooOften
			return
		}
		if !s.allows(int(fd), cred) {
			// By number: looking up a name may take long, which a storm would make of use.
			err = fmt.Errorf("%w: user %d (pid %d) may not set clocks through this service", gpu.ErrNoPermission, cred.Uid, cred.Pid)
			return
		}
		err = s.enter(cred.Uid)
	}); cerr != nil {
		return nil, fmt.Errorf("connection: %w", cerr)
	}
	if err != nil {
		if !errors.Is(err, errTooOften) { // that is logged for the user
			s.log.Warn("connection refused", "error", err)
		}
		return nil, err
	}
	return cred, nil
}

// enter takes one of the places for clients.
func (s *service) enter(uid uint32) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.clients >= maxGuards:
		return fmt.Errorf("%w: %d clients are served already", ErrRefused, maxGuards)
	case s.serving[uid] >= maxPerUser:
		return fmt.Errorf("%w: %d clients of user %d are served already", ErrRefused, maxPerUser, uid)
	}
	s.clients++
	s.serving[uid]++
	return nil
}

func (s *service) leave(uid uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clients--
	if s.serving[uid]--; s.serving[uid] == 0 {
		delete(s.serving, uid)
	}
}

// serve starts a guard for a client that has a place, and waits for its end.
func (s *service) serve(conn *net.UnixConn, cred *unix.Ucred) {
	defer s.leave(cred.Uid)
	s.log.Info("connection", "uid", cred.Uid, "client", cred.Pid)
	cmd, err := s.start(conn)
	if err != nil {
		s.log.Warn("connection refused", "error", err)
		refuse(conn, err)
		return
	}
	_ = conn.Close() // the guard has its own
	_ = cmd.Wait()   // it has logged how it ended
	s.mu.Lock()
	delete(s.guards, cmd)
	s.mu.Unlock()
}

func (s *service) start(conn *net.UnixConn) (*exec.Cmd, error) {
	f, err := conn.File() // a duplicate, without O_NONBLOCK as the guard wants it
	if err != nil {
		return nil, fmt.Errorf("connection: %w", err)
	}
	defer func() { _ = f.Close() }()
	cmd := exec.Command(s.child[0], s.child[1:]...)
	cmd.ExtraFiles = []*os.File{f}
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start a guard: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.guards[cmd] = true
	if s.ending { // end came before
		_ = cmd.Process.Signal(syscall.SIGTERM) // one that has ended needs none
	}
	return cmd, nil
}

// allows tells whether the peer may set clocks: root, a user named, a member of the
// group.
func (s *service) allows(fd int, cred *unix.Ucred) bool {
	if cred.Uid == 0 || slices.Contains(s.uids, int(cred.Uid)) {
		return true
	}
	return s.gid >= 0 && (int(cred.Gid) == s.gid || slices.Contains(peerGroups(fd), uint32(s.gid)))
}

// end has every guard give its clock back, whatever its client does, and waits for
// them. It returns the exit status.
func (s *service) end() int {
	s.mu.Lock()
	s.ending = true
	for cmd := range s.guards {
		_ = cmd.Process.Signal(syscall.SIGTERM) // one that has ended needs none
	}
	s.mu.Unlock()
	all := make(chan struct{})
	go func() {
		s.running.Wait()
		close(all)
	}()
	select {
	case <-all:
		return 0
	case <-time.After(endLimit):
		s.log.Warn("guards still run: a driver does not answer; their watchers and records stay")
		return 1
	}
}
