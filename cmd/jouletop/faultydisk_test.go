package main

import (
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

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
