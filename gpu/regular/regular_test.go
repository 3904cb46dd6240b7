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
	at := func(name string) string { return filepath.Join(dir, name) }
	for from, to := range map[string]string{at("null"): "/dev/null", at("stdout"): "/proc/self/fd/1", at("folder"): dir, at("loose"): at("nowhere"), at("link"): at("file")} {
		if err := os.Symlink(to, from); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mkfifo(at("fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{at("null"), dir, at("folder"), at("stdout")} {
		before, _ := os.Lstat(path)
		err := Replace(path, []byte("x"), 0o600)
		if after, _ := os.Lstat(path); !errors.Is(err, ErrNotRegular) || after.Mode() != before.Mode() {
			t.Errorf("%s: %v, %v", path, err, after.Mode())
		}
	}
	for _, path := range []string{at("file"), at("file"), at("loose"), at("link"), at("fifo")} {
		if err := Replace(path, []byte("x"), 0o600); err != nil {
			t.Error(err)
		}
		if st, err := os.Lstat(path); err != nil || !st.Mode().IsRegular() {
			t.Errorf("%s: %v", path, err)
		}
	}
}
