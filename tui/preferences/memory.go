package preferences

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/gofrs/flock"

	"jouletop/gpu/plaintext"
	"jouletop/gpu/regular"
)

// Memory is the file in which is kept what was chosen and typed last, by what asked for it.
type Memory struct{ path string }

// NewMemory keeps in the file at path.
func NewMemory(path string) *Memory { return &Memory{path} }

const (
	mostRemembered = 4 << 20 // bytes of the file
	mostOfOne      = 1 << 20 // bytes of what is kept under one name: the newest of it
	lockWait       = 2 * time.Second
)

// Load returns what is remembered, nothing where there is no such file. A file that
// somebody else could have put there, or that cannot be read, is an error.
func (m *Memory) Load() (map[string][]string, error) {
	all, err := m.load()
	if err != nil {
		return nil, loadError{m.path, err}
	}
	return all, nil
}

// loadError says of which file what is wrong.
type loadError struct {
	path string
	err  error
}

func (e loadError) Error() string { return e.path + ": " + plaintext.Line(reason(e.err, e.path)) }
func (e loadError) Unwrap() error { return e.err }

// Damaged tells whether an error of Load is of the program's own file, which holds no
// such thing and is written anew.
func Damaged(err error) bool {
	return errors.Is(err, errDamaged) || errors.Is(err, regular.ErrTooLarge)
}

var (
	errDamaged = errors.New("damaged")
	errForeign = errors.New("it belongs to another user")
)

func (m *Memory) load() (map[string][]string, error) {
	f, err := regular.OpenInside(m.path, os.O_RDONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return map[string][]string{}, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if uid, is := foreign(st); is {
		return nil, fmt.Errorf("%w: %d", errForeign, uid)
	}
	data, err := regular.Read(f, mostRemembered)
	if err != nil {
		return nil, err
	}
	all := map[string][]string{}
	if err := json.Unmarshal(data, &all); err != nil {
		return nil, fmt.Errorf("%w: %w", errDamaged, err)
	}
	maps.DeleteFunc(all, func(_ string, v []string) bool { return len(v) == 0 })
	return all, nil
}

// Keep changes what is remembered under some names, empty forgets; what another program
// remembered under others meanwhile stays. A damaged file is written anew.
func (m *Memory) Keep(changed map[string][]string) error {
	if err := os.MkdirAll(filepath.Dir(m.path), 0o755); err != nil {
		return fmt.Errorf("remember: %w", err)
	}
	lock := flock.New(m.path+".lock", flock.SetPermissions(0o600))
	ctx, cancel := context.WithTimeout(context.Background(), lockWait)
	defer cancel()
	if ok, err := lock.TryLockContext(ctx, 50*time.Millisecond); !ok {
		return fmt.Errorf("remember: %s is held by another program: %w", m.path, err)
	}
	defer func() { _ = lock.Unlock() }()
	all, err := m.load()
	switch {
	case Damaged(err):
		all = map[string][]string{}
	case err != nil:
		return fmt.Errorf("remember: %w", loadError{m.path, err})
	}
	maps.Copy(all, changed)
	maps.DeleteFunc(all, func(_ string, v []string) bool { return len(v) == 0 })
	for name, values := range all {
		all[name] = newest(values)
	}
	text, err := json.MarshalIndent(all, "", "  ")
	if err == nil && len(text) > mostRemembered {
		err = fmt.Errorf("%s: %w", m.path, regular.ErrTooLarge)
	}
	if err == nil {
		err = regular.Replace(m.path, append(text, '\n'), 0o600)
	}
	if err != nil {
		return fmt.Errorf("remember: %w", err)
	}
	return nil
}

// newest are the last of the values that find room.
func newest(values []string) []string {
	n := 0
	for i, v := range slices.Backward(values) {
		if n += len(v); n > mostOfOne {
			return values[i+1:]
		}
	}
	return values
}
