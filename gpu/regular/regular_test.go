package regular

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestOnlyRegularFiles(t *testing.T) {
	dir := t.TempDir()
	file, link, fifo, folder := filepath.Join(dir, "file"), filepath.Join(dir, "link"), filepath.Join(dir, "fifo"), filepath.Join(dir, "folder")
	if err := errors.Join(os.WriteFile(file, []byte("hello"), 0o644), os.Symlink(file, link), unix.Mkfifo(fifo, 0o600), os.Mkdir(folder, 0o755)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path          string
		named, inside bool // may be opened
	}{
		{path: file, named: true, inside: true},
		{path: link, named: true},
		{path: fifo},
		{path: folder},
		{path: "/dev/zero"},
	} {
		f, err := Open(c.path)
		if (err == nil) != c.named || err != nil && !errors.Is(err, ErrNotRegular) {
			t.Errorf("Open %s: %v", c.path, err)
		}
		f.Close()
		for _, flag := range []int{os.O_RDONLY, os.O_WRONLY | os.O_APPEND} {
			f, err = OpenInside(c.path, flag, 0)
			if (err == nil) != c.inside || err != nil && !errors.Is(err, ErrNotRegular) && !errors.Is(err, unix.EISDIR) {
				t.Errorf("OpenInside %s: %v", c.path, err)
			}
			f.Close()
		}
	}
	if _, err := Open(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}

func TestReadIsBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sparse")
	if err := errors.Join(os.WriteFile(path, nil, 0o644), os.Truncate(path, 1<<40)); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := Read(f, 1<<10); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a sparse giant: %v", err)
	}
}

// What is no file of somebody's, such as a device, is not taken away.
func TestReplaceLeavesWhatIsNoFile(t *testing.T) {
	dir := t.TempDir()
	fifo, link, file, stdout := filepath.Join(dir, "fifo"), filepath.Join(dir, "link"), filepath.Join(dir, "file"), filepath.Join(dir, "stdout")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for from, to := range map[string]string{link: fifo, stdout: "/proc/self/fd/1", filepath.Join(dir, "loose"): filepath.Join(dir, "nowhere")} {
		if err := os.Symlink(to, from); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{fifo, link, dir, stdout} {
		before, _ := os.Lstat(path)
		err := Replace(path, []byte("x"), 0o600)
		if after, _ := os.Lstat(path); !errors.Is(err, ErrNotRegular) || after.Mode() != before.Mode() {
			t.Errorf("%s: %v, %v", path, err, after.Mode())
		}
	}
	for _, path := range []string{file, file, filepath.Join(dir, "loose")} {
		if err := Replace(path, []byte("x"), 0o600); err != nil {
			t.Error(err)
		}
	}
}
