// Package regular opens regular files and nothing else. A session's folder, a
// manifest or a list may have been made by somebody else: a FIFO in a file's place
// would hang the program, a device or a file without end take its memory, and a
// symbolic link lead a writer elsewhere.
package regular

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

var (
	// ErrNotRegular: what lies there is a folder, a link, a FIFO, a device.
	ErrNotRegular = errors.New("not a regular file")
	// ErrTooLarge: the file holds more than the caller takes.
	ErrTooLarge = errors.New("too large")
)

// Open opens the regular file that a person named, for reading. Links are
// followed: they are that person's own. It never waits. Errors are an
// *fs.PathError or wrap ErrNotRegular.
func Open(path string) (*os.File, error) { return open(path, os.O_RDONLY, 0) }

// OpenInside opens a regular file in a folder that somebody else may have
// filled: a symbolic link at path is refused. flag and perm are os.OpenFile's.
func OpenInside(path string, flag int, perm fs.FileMode) (*os.File, error) {
	f, err := open(path, flag|unix.O_NOFOLLOW, perm)
	if errors.Is(err, unix.ELOOP) {
		err = fmt.Errorf("%s: %w but a symbolic link", path, ErrNotRegular)
	}
	return f, err
}

func open(path string, flag int, perm fs.FileMode) (*os.File, error) {
	// Without O_NONBLOCK the opening of a FIFO waits for its other end.
	f, err := os.OpenFile(path, flag|unix.O_NONBLOCK, perm)
	if errors.Is(err, unix.ENXIO) { // a FIFO that nobody reads, a socket
		return nil, fmt.Errorf("%s: %w", path, ErrNotRegular)
	}
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = fmt.Errorf("%s: %w", path, ErrNotRegular)
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// Read returns what f holds, at most limit bytes. Errors wrap ErrTooLarge.
func Read(f *os.File, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("%s: %w: more than %d bytes", f.Name(), ErrTooLarge, limit)
	}
	if err != nil {
		return nil, err
	}
	return b, nil
}

// Replace puts content in place of the file at path, whole or not at all; what lay there
// (a link or a FIFO too) is replaced, not written to. A device, a folder, and a link to a
// device or to an open file, such as /dev/stdout, stay: the error wraps ErrNotRegular.
func Replace(path string, content []byte, perm fs.FileMode) error {
	if err := replaceable(path); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	_, err = tmp.Write(content)
	if err == nil {
		err = tmp.Chmod(perm)
	}
	if err == nil {
		err = tmp.Sync()
	}
	if e := tmp.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		_ = os.Remove(tmp.Name())
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

func replaceable(path string) error {
	if to, err := os.Readlink(path); err == nil && strings.HasPrefix(to, "/proc/") {
		return fmt.Errorf("%w but a link to what is open", ErrNotRegular)
	}
	st, err := os.Stat(path)
	switch {
	case err != nil: // nothing is there, or it cannot be reached: writing tells
		return nil
	case st.IsDir():
		return fmt.Errorf("%w but a folder", ErrNotRegular)
	case st.Mode()&fs.ModeDevice != 0:
		return fmt.Errorf("%w but a device", ErrNotRegular)
	}
	return nil
}
