package clockguard

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"jouletop/gpu/nvml/fakenvml"
)

// freezer is a control group made for a test, of either version.
type freezer struct{ dir, file, on, off string }

// newFreezer makes one; the test is skipped where this user may not.
func newFreezer(t *testing.T, version int) freezer {
	t.Helper()
	name := fmt.Sprintf("jouletop-test-%d", os.Getpid())
	var tries []freezer
	if version == 1 {
		tries = []freezer{{filepath.Join("/sys/fs/cgroup/freezer", name), "freezer.state", "FROZEN", "THAWED"}}
	} else {
		for _, root := range []string{"/sys/fs/cgroup/unified", "/sys/fs/cgroup"} {
			tries = append(tries, freezer{filepath.Join(root, name), "cgroup.freeze", "1", "0"})
		}
	}
	for _, f := range tries {
		if os.Mkdir(f.dir, 0o755) != nil {
			continue
		}
		t.Cleanup(func() {
			for range 100 { // until those in it have ended
				if os.Remove(f.dir) == nil {
					return
				}
				time.Sleep(20 * time.Millisecond)
			}
		})
		if _, err := os.Stat(filepath.Join(f.dir, f.file)); err == nil {
			return f
		}
	}
	t.Skipf("no control group (version %d) can be made here", version)
	return freezer{}
}

func (f freezer) write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(f.dir, file), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Frozen with its guard and watcher, as by `docker pause`, a program keeps nobody
// from giving the clock back, nor sets it again once it is thawed.
func TestResetGetsThroughToTheFrozen(t *testing.T) {
	for _, version := range []int{1, 2} {
		for _, force := range []bool{true, false} {
			t.Run(fmt.Sprintf("version %d, force %v", version, force), func(t *testing.T) {
				f := newFreezer(t, version)
				b := newRig(t, 1, fakenvml.H100())[0]
				p, err := b.start()
				if err != nil {
					t.Fatal(err)
				}
				for _, pid := range []int{p.cmd.Process.Pid, p.rec.Guard.PID, p.rec.Watcher.PID} {
					f.write(t, "cgroup.procs", strconv.Itoa(pid))
				}
				f.write(t, f.file, f.on)
				defer f.write(t, f.file, f.off)
				time.Sleep(100 * time.Millisecond)
				if !b.locked() {
					t.Fatal("not locked")
				}
				text, err := Reset(t.Context(), b.info, b.options(), force)
				if err != nil || b.locked() {
					t.Fatalf("Reset: %q, %v, locked %v", text, err, b.locked())
				}
				// Another program can have the clock now.
				c, err := Open(t.Context(), b.info, b.options())
				if err == nil {
					err = c.Arm(true)
				}
				if err == nil {
					err = c.Set(1500)
				}
				if err != nil {
					t.Fatal(err)
				}
				f.write(t, f.file, f.off)
				_ = p.end()
				for end := time.Now().Add(3 * time.Second); p.rec.Guard.alive() || p.rec.Watcher.alive(); time.Sleep(5 * time.Millisecond) {
					if time.Now().After(end) {
						t.Fatal("guard or watcher lives on")
					}
				}
				if _, mhz, _ := b.gpu.Locked(); mhz != 1500 || !c.Armed() {
					t.Errorf("thawed, they took the other's clock: locked to %d MHz, armed %v", mhz, c.Armed())
				}
				if err := c.Close(); err != nil || b.locked() {
					t.Errorf("Close: %v, locked %v", err, b.locked())
				}
			})
		}
	}
}

// A lease that names a pid of another namespace has its holder by the kernel.
func TestHolderByTheKernel(t *testing.T) {
	b := newRig(t, 1, fakenvml.H100())[0]
	p, err := b.start()
	if err != nil {
		t.Fatal(err)
	}
	path := leasePath(b.dir, b.info.UUID)
	if got := holderOf(path); got != p.rec.Guard {
		t.Errorf("by its file: %+v, want %+v", got, p.rec.Guard)
	}
	if err := writeFile(path, `{"guard":{"pid":1,"start":1}}`); err != nil { // keeps the lock
		t.Fatal(err)
	}
	if got := holderOf(path); got != p.rec.Guard {
		t.Errorf("by the kernel: %+v, want %+v", got, p.rec.Guard)
	}
	if err := p.end(); err != nil {
		t.Error(err)
	}
	if got := holderOf(path); got != (process{}) {
		t.Errorf("of nobody: %+v", got)
	}
}
