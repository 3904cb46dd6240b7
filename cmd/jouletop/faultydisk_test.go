package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// limited is the program where no file may grow beyond some KiB.
func limited(home, kib string, args ...string) *exec.Cmd {
	return command(home, "bash", append([]string{"-c", "ulimit -f " + kib + `; exec jouletop "$@"`, "jouletop"}, args...)...)
}

// ownLeases puts the folder of leases on a small disk of its own, which only those
// that are started from now on see. fill is what is written to it first.
func (g *fakeGPU) ownLeases(t testing.TB, options, fill string) {
	t.Helper()
	mount := fmt.Sprintf(`mkdir -p "%[1]s" && mount -t tmpfs -o mode=755,%[2]s leases "%[1]s" && { %[3]s; exec "$@"; }`,
		g.leases(), options, strings.ReplaceAll(fill, "DIR", g.leases()))
	g.under = []string{"unshare", "--mount", "--propagation", "private", "bash", "-c", mount, "leases"}
	c := exec.Command(g.under[0], append(g.under[1:len(g.under):len(g.under)], "true")...)
	if out, err := c.CombinedOutput(); err != nil {
		t.Skipf("no disk can be mounted: %v: %s", err, out)
	}
}

// mountSmall puts the session on a disk that fills up; false where this user
// may not.
func (f *round) mountSmall() bool {
	dir := filepath.Join(f.g.home, "disk")
	if err := os.Mkdir(dir, 0o700); err != nil {
		f.v.fail(&f.v.other, "%v", err)
		return false
	}
	if syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=2m") != nil {
		return false
	}
	f.fullDir = filepath.Join(dir, "s")
	f.t.Cleanup(f.unmount)
	f.args[slices.Index(f.args, "--session")+1] = f.fullDir
	return true
}

// fillDisk takes all the room there is on a disk, and may give it back after a while.
func (f *round) fillDisk(dir string) {
	big := filepath.Join(dir, "big")
	fillUp(big)
	time.Sleep(time.Duration(500+f.r.IntN(2000)) * time.Millisecond)
	if f.r.IntN(2) == 0 {
		_ = os.Remove(big)
	}
}

// fillUp writes a file until the disk is full.
func fillUp(path string) {
	file, err := os.Create(path)
	if err != nil {
		return // full already
	}
	for err == nil {
		_, err = file.Write(make([]byte, 4096))
	}
	_ = file.Close() // full
}

// unmount moves the session off the disk, with all the room it needs.
func (f *round) unmount() {
	if f.fullDir == "" {
		return
	}
	disk := filepath.Dir(f.fullDir)
	_ = os.CopyFS(filepath.Join(f.g.home, "s"), os.DirFS(f.fullDir)) // what could not be written is judged
	_ = syscall.Unmount(disk, syscall.MNT_DETACH)
	f.fullDir = ""
	f.args[slices.Index(f.args, "--session")+1] = "s"
}
