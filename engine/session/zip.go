package session

import (
	"archive/zip"
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"time"

	"jouletop/gpu/regular"
)

// ExportZip is Export, and one zip file of the copy beside it, which it returns: its
// name is the folder's with .zip behind. What is there already is not written over, and
// a zip file that could not be made whole is removed.
func ExportZip(dir, to string) (file string, err error) {
	to = filepath.Clean(to)
	file = to + ".zip"
	if _, err := os.Lstat(file); err == nil {
		return "", fmt.Errorf("export to %s: %w: it is there already", file, ErrExists)
	}
	if err := Export(dir, to); err != nil {
		return "", err
	}
	out, err := regular.OpenInside(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return "", fmt.Errorf("export: %w", err)
	}
	if err := errors.Join(zipFolder(out, to), out.Close()); err != nil {
		_ = os.Remove(file)
		return "", fmt.Errorf("export to %s: %w", file, err)
	}
	return file, nil
}

// zipFolder writes a copied session's files, below a folder of its name.
func zipFolder(w io.Writer, folder string) error {
	b := bufio.NewWriterSize(w, 1<<16)
	z := zip.NewWriter(b)
	for _, name := range append(Files(), ReadmeFile) {
		if err := zipFile(z, folder, name); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return errors.Join(z.Close(), b.Flush())
}

func zipFile(z *zip.Writer, folder, name string) error {
	in, err := regular.OpenInside(filepath.Join(folder, name), os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer in.Close()
	h := &zip.FileHeader{Name: path.Join(filepath.Base(folder), name), Method: zip.Deflate, Modified: time.Now()}
	h.SetMode(0o644)
	out, err := z.CreateHeader(h)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return err
}
