package clockguard

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"jouletop/gpu/nvml/fakenvml"
)

// planted are what may lie in a state file's place: none of it may hang a start,
// take the memory or be written through.
var planted = map[string]func(path string) error{
	"FIFO":    func(path string) error { return unix.Mkfifo(path, 0o666) },
	"giant":   func(path string) error { return giant(path) },
	"endless": func(path string) error { return os.Symlink("/dev/zero", path) },
	"folder":  func(path string) error { return os.Mkdir(path, 0o755) },
	"link":    func(path string) error { return os.Symlink(filepath.Join(filepath.Dir(path), "victim"), path) },
}

func giant(path string) error {
	if err := writeFile(path, "{"); err != nil {
		return err
	}
	return os.Truncate(path, 1<<40)
}

// within fails where f takes longer than a start may.
func within(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatalf("%s hangs", what)
	}
}

// A state folder that another user made first is neither believed nor used.
func TestForeignStateFolder(t *testing.T) {
	b := newRig(t, 1, fakenvml.H100())[0]
	for kind, plant := range planted {
		t.Run(kind, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "state")
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			for _, path := range []string{recordPath(dir, b.info.UUID), leasePath(dir, b.info.UUID), filepath.Join(dir, "clockguard.log")} {
				if err := plant(path); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Chmod(dir, 0o777); err != nil {
				t.Fatal(err)
			}
			if os.Geteuid() == 0 {
				if err := os.Chown(dir, 65534, 65534); err != nil {
					t.Fatal(err)
				}
			}
			o := Options{Dir: dir}
			within(t, "Stale", func() {
				if rec, found := Stale(b.info, o); found {
					t.Errorf("believed %s", rec)
				}
			})
			within(t, "Open and Arm", func() {
				c, err := Open(t.Context(), b.info, o)
				if err != nil {
					t.Error(err)
					return
				}
				if err := c.Arm(true); err == nil || !strings.Contains(err.Error(), dir+" is not a folder that only user") {
					t.Errorf("armed: %v", err)
				}
				_ = c.Close()
			})
			within(t, "Reset", func() {
				if text, err := Reset(t.Context(), b.info, o, true); err == nil {
					t.Errorf("reset through it: %s", text)
				}
			})
		})
	}
}

// Nor does what lies in our own folder hang or exhaust: a record that cannot be read
// still says that a clock was locked.
func TestOddStateFiles(t *testing.T) {
	b := newRig(t, 1, fakenvml.H100())[0]
	for kind, plant := range planted {
		t.Run(kind, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "state")
			if err := makeDir(dir); err != nil {
				t.Fatal(err)
			}
			victim := filepath.Join(dir, "victim")
			if err := writeFile(victim, "precious"); err != nil {
				t.Fatal(err)
			}
			for _, path := range []string{recordPath(dir, b.info.UUID), filepath.Join(dir, "clockguard.log")} {
				if err := plant(path); err != nil {
					t.Fatal(err)
				}
			}
			within(t, "Stale", func() {
				if _, found := Stale(b.info, Options{Dir: dir}); !found {
					t.Error("a record that cannot be read is none")
				}
			})
			within(t, "Reset", func() {
				if text, err := Reset(t.Context(), b.info, Options{Dir: dir}, false); err != nil || !strings.Contains(text, "never given back") {
					t.Errorf("%q, %v", text, err)
				}
			})
			if text, err := os.ReadFile(victim); err != nil || string(text) != "precious" {
				t.Errorf("written through a link: %q, %v", text, err)
			}
			// The lease itself: whoever cannot take it sets nothing.
			if err := plant(leasePath(dir, "GPU-other")); err != nil {
				t.Fatal(err)
			}
			within(t, "held", func() {
				if held(dir, "GPU-other") {
					t.Error("held")
				}
			})
		})
	}
}
