package gguf

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"sync"
	"time"
)

// sums remembers checksums of files that have not changed since, so that a
// model loaded again is not read again.
var sums struct {
	sync.Mutex
	of map[fileID]string
}

type fileID struct {
	path string
	size int64
	mod  time.Time
}

// StartSHA256 begins to compute the SHA-256 of the files, taken as one in their
// order, and returns a function that waits for it. A done ctx ends it early.
func StartSHA256(ctx context.Context, paths []string) func() (string, error) {
	type result struct {
		sum string
		err error
	}
	ch := make(chan result, 1)
	go func() {
		sum, err := sumFiles(ctx, paths)
		ch <- result{sum, err}
	}()
	return func() (string, error) {
		r := <-ch
		return r.sum, r.err
	}
}

func sumFiles(ctx context.Context, paths []string) (string, error) {
	var id fileID
	for _, p := range paths {
		st, err := os.Stat(p)
		if err != nil {
			return "", err
		}
		id.path += p + "\x00"
		id.size += st.Size()
		if st.ModTime().After(id.mod) {
			id.mod = st.ModTime()
		}
	}
	sums.Lock()
	sum, ok := sums.of[id]
	sums.Unlock()
	if ok {
		return sum, nil
	}
	h := sha256.New()
	buf := make([]byte, 1<<20)
	for _, p := range paths {
		if err := copyFile(ctx, h, p, buf); err != nil {
			return "", err
		}
	}
	sum = hex.EncodeToString(h.Sum(nil))
	sums.Lock()
	defer sums.Unlock()
	if sums.of == nil {
		sums.of = map[fileID]string{}
	}
	sums.of[id] = sum
	return sum, nil
}

func copyFile(ctx context.Context, w io.Writer, path string, buf []byte) error {
	f, err := OpenRegular(path)
	if err != nil {
		return err
	}
	defer f.Close()
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := f.Read(buf)
		if _, werr := w.Write(buf[:n]); werr != nil {
			return werr
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
