package session

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"
	"golang.org/x/sys/unix"
)

// lock is the right to write into a session's folder.
type lock struct{ f *flock.Flock }

// lockFolder takes dir's lock. Errors wrap ErrInUse.
func lockFolder(dir string) (lock, error) {
	path := filepath.Join(dir, ".lock")
	for {
		f := flock.New(path, flock.SetFlag(os.O_CREATE|os.O_RDWR|unix.O_NOFOLLOW|unix.O_NONBLOCK))
		ok, err := f.TryLock()
		if err != nil {
			return lock{}, fmt.Errorf("session folder %s: %w", dir, err)
		}
		if !ok {
			return lock{}, fmt.Errorf("%s: %w", dir, ErrInUse)
		}
		// Whoever held it before may have removed the file since it was opened.
		held, err1 := f.Stat()
		there, err2 := os.Lstat(path)
		if err1 == nil && err2 == nil && os.SameFile(held, there) {
			return lock{f}, nil
		}
		_ = f.Unlock()
		if err := errors.Join(err1, err2); err != nil && !errors.Is(err, os.ErrNotExist) {
			return lock{}, fmt.Errorf("session folder %s: %w", dir, err)
		}
	}
}

// release gives the lock back.
func (l lock) release() {
	_ = os.Remove(l.f.Path())
	_ = l.f.Unlock()
}

// Lock takes the session's lock, which whoever changes its files holds: never
// under a program that is recording. Errors wrap ErrInUse.
func (s *Session) Lock() (release func(), err error) {
	l, err := lockFolder(s.Dir)
	return l.release, err
}

// NewFolder makes a new folder under parent and returns it: name, or, where
// somebody else was as fast, name-2 and so on.
func NewFolder(parent, name string) (string, error) {
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return "", fmt.Errorf("session folder: %w", err)
	}
	for n := 1; ; n++ {
		dir := filepath.Join(parent, name)
		if n > 1 {
			dir += fmt.Sprintf("-%d", n)
		}
		err := os.Mkdir(dir, 0o755)
		if !errors.Is(err, os.ErrExist) {
			if err != nil {
				return "", fmt.Errorf("session folder: %w", err)
			}
			return dir, nil
		}
	}
}
