// Package sharedtest finds, for tests of every room, the data that lies beside the clone
// in ../shared/data, where it does: recordings of real GPUs, real datasets, the study's
// tables.
package sharedtest

import (
	"os"
	"path/filepath"
	"testing"
)

// Path is a file or folder of that data; the test is skipped where it is not there.
func Path(t testing.TB, names ...string) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		if filepath.Dir(dir) == dir {
			t.Fatal("no go.mod above the test")
		}
		dir = filepath.Dir(dir)
	}
	path := filepath.Join(append([]string{filepath.Dir(dir), "shared", "data"}, names...)...)
	if _, err := os.Stat(path); err != nil {
		t.Skip("data that is not beside this clone: ", err)
	}
	return path
}
