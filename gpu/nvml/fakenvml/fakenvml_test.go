package fakenvml

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestStateOutlivesItsMapping(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gpu")
	s, err := Create(path, H100(), H100().With(MaxMHz, 2842))
	if err != nil {
		t.Fatal(err)
	}
	s.GPU(1).Set(HangMS, 5000)
	s.GPU(1).s.put(s.GPU(1).base+int(lockField), 210<<32|1005)
	s.ShiftStamps(-time.Second)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s, err = Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if got := s.GPU(1).Get(HangMS); got != 5000 {
		t.Errorf("HangMS %d, want 5000", got)
	}
	if got := s.GPU(1).Get(MaxMHz); got != 2842 {
		t.Errorf("MaxMHz %d, want 2842", got)
	}
	if lo, hi, locked := s.GPU(1).Locked(); lo != 210 || hi != 1005 || !locked {
		t.Errorf("locked %d %d %v", lo, hi, locked)
	}
	if _, _, locked := s.GPU(0).Locked(); locked {
		t.Error("GPU 0 is locked")
	}
	s.GPU(1).Unlock()
	if _, _, locked := s.GPU(1).Locked(); locked {
		t.Error("still locked after Unlock")
	}
}

func TestOpenRefusesOtherFiles(t *testing.T) {
	for name, size := range map[string]int{"short": 100, "zeros": totalWords * 8} {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, make([]byte, size), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(path); err == nil {
			t.Errorf("%s: opened", name)
		}
	}
}

func TestBuildCaches(t *testing.T) {
	dir := t.TempDir()
	lib, err := BuildIn(dir)
	if err != nil {
		t.Skip(err)
	}
	before, err := os.Stat(lib)
	if err != nil {
		t.Fatal(err)
	}
	again, err := BuildIn(dir)
	if err != nil || again != lib {
		t.Fatalf("%q, %v; want %q", again, err, lib)
	}
	if after, _ := os.Stat(lib); !after.ModTime().Equal(before.ModTime()) {
		t.Error("built again")
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "build-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
