package session

import (
	"archive/zip"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// The zip file holds the copy's files, byte for byte, below one folder; nothing that is
// there is written over.
func TestExportZip(t *testing.T) {
	dir, to := filepath.Join(t.TempDir(), "s"), filepath.Join(t.TempDir(), "copy")
	record(t, dir)
	file, err := ExportZip(dir, to+"/")
	if err != nil || file != to+".zip" {
		t.Fatal(file, err)
	}
	z, err := zip.OpenReader(file)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	copied, err := os.ReadDir(to)
	if err != nil || len(copied) != len(z.File) || len(copied) < 8 {
		t.Errorf("%d files in the copy, %d in the zip file, %v", len(copied), len(z.File), err)
	}
	for _, e := range copied {
		in, err := z.Open("copy/" + e.Name())
		if err != nil {
			t.Error(err)
			continue
		}
		zipped, err1 := io.ReadAll(in)
		whole, err2 := os.ReadFile(filepath.Join(to, e.Name()))
		if err := errors.Join(err1, err2); err != nil || !bytes.Equal(zipped, whole) {
			t.Errorf("%s is not what was copied: %v", e.Name(), err)
		}
	}
	if err := os.RemoveAll(to); err != nil {
		t.Fatal(err)
	}
	if _, err := ExportZip(dir, to); !errors.Is(err, ErrExists) {
		t.Errorf("over a zip file that is there: %v", err)
	}
	if _, err := os.Lstat(to); err == nil {
		t.Error("the copy was made though its zip file could not be")
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(t.TempDir(), "elsewhere"), file); err != nil {
		t.Fatal(err)
	}
	if _, err := ExportZip(dir, to); err == nil {
		t.Error("through a link")
	}
}
