package clockguard

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/gofrs/flock"
	"golang.org/x/sys/unix"
)

// The lease is renewed every renewEvery and runs out leaseTime after the last
// renewal was sent; guard and watcher show each other that they live every
// beatEvery, and are taken for dead after beatLimit. Both limits leave room for
// the reset within a second.
const (
	leaseTime  = 500 * time.Millisecond
	renewEvery = 100 * time.Millisecond
	beatLimit  = 500 * time.Millisecond
	beatEvery  = 100 * time.Millisecond
)

// lease is the exclusive right to set a GPU's clock: a file lock, which the
// kernel frees with its process, and in the file who holds it.
type lease struct{ lock *flock.Flock }

// holding is what a lease's file says.
type holding struct {
	Holder Holder  `json:"holder"`
	Guard  process `json:"guard"`
}

// acquire takes the lease, or returns a *HeldError. A holder whose guard has
// been stopped for longer than a lease lasts has lost it.
func acquire(dir, uuid string, h Holder) (*lease, error) {
	if err := makeDir(dir); err != nil {
		return nil, err
	}
	path := leasePath(dir, uuid)
	lock := flock.New(path, flock.SetPermissions(0o644))
	ok, err := tryLock(lock)
	said := readHolding(path)
	if guard := holderOf(path); err == nil && !ok && guard.halted() {
		switch {
		case guard.kill(time.Second):
			ok, err = tryLock(lock)
		case readHolding(path) == said:
			// Frozen, it dies before it does anything else once it is thawed; until
			// then its lock stands, on a file that is nobody's any more.
			_ = lock.Close()
			if err = os.Remove(path); err == nil {
				lock = flock.New(path, flock.SetPermissions(0o644))
				ok, err = tryLock(lock)
			}
		}
	}
	if err != nil {
		return nil, fmt.Errorf("take the clock lease: %w", err)
	}
	if !ok {
		return nil, heldBy(dir, uuid)
	}
	l := &lease{lock}
	b, err := json.Marshal(holding{h, identify(os.Getpid())})
	if err == nil {
		err = os.WriteFile(path, append(b, '\n'), 0o644) // keeps the inode, and so the lock
	}
	if err != nil {
		l.release()
		return nil, fmt.Errorf("take the clock lease: %w", err)
	}
	return l, nil
}

// heldBy says who holds a GPU's lease, and what is set.
func heldBy(dir, uuid string) *HeldError {
	e := &HeldError{GPU: uuid, Holder: readHolding(leasePath(dir, uuid)).Holder}
	if rec, found := readRecord(dir, uuid); found && rec.Boot == bootID() {
		e.Holds = rec.what()
	}
	return e
}

// tryLock tries for a moment: somebody may just be looking whether it is held.
func tryLock(lock *flock.Flock) (bool, error) {
	for range 4 {
		if ok, err := lock.TryLock(); ok || err != nil {
			return ok, err
		}
		time.Sleep(5 * time.Millisecond)
	}
	return false, nil
}

// holderOf returns the guard that holds the lease kept at path: the one that the
// file names, or where there is none of that pid (it names one of a container's),
// the one that the kernel does.
func holderOf(path string) process {
	if p := readHolding(path).Guard; p.alive() {
		return p
	}
	var st unix.Stat_t
	locks, err := os.ReadFile("/proc/locks")
	if err != nil || unix.Stat(path, &st) != nil {
		return process{}
	}
	for line := range strings.Lines(string(locks)) {
		// 1: FLOCK  ADVISORY  WRITE 4711 fe:00:1234 0 EOF
		f := strings.Fields(line)
		if len(f) < 6 || f[1] != "FLOCK" || f[3] != "WRITE" || !strings.HasSuffix(f[5], fmt.Sprintf(":%d", st.Ino)) {
			continue
		}
		// The number may be another file system's: its holder has this file open.
		fds, _ := filepath.Glob("/proc/" + f[4] + "/fd/*") // the pattern is well formed
		for _, fd := range fds {
			var open unix.Stat_t
			if unix.Stat(fd, &open) == nil && open.Dev == st.Dev && open.Ino == st.Ino {
				pid, _ := strconv.Atoi(f[4]) // the kernel's number
				return identify(pid)
			}
		}
	}
	return process{}
}

func (l *lease) release() {
	if l != nil {
		_ = l.lock.Close() // the kernel would free it with the process anyhow
	}
}

func readHolding(path string) holding {
	var h holding
	if b, err := readState(path); err == nil {
		_ = json.Unmarshal(b, &h) // torn or foreign: an unknown holder
	}
	return h
}

// held tells whether somebody holds a GPU's lease now.
func held(dir, uuid string) bool {
	path := leasePath(dir, uuid)
	if _, err := readState(path); err != nil {
		return false // nor would a lock on it mean anything
	}
	lock := flock.New(path, flock.SetFlag(os.O_RDONLY))
	ok, err := lock.TryRLock()
	if err != nil {
		return false
	}
	_ = lock.Close()
	return !ok
}
