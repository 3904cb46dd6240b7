package remote

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// unzip has a compressed answer read as it was before; nobody asked for
// compression, and some compress.
func unzip(resp *http.Response) error {
	switch encoding := strings.ToLower(strings.TrimSpace(resp.Header.Get("Content-Encoding"))); encoding {
	case "", "identity":
	case "gzip", "x-gzip":
		resp.Body = &unzipped{ReadCloser: resp.Body}
	default:
		return fmt.Errorf("%w: it is compressed (%q), which nobody asked for", errMalformed, encoding)
	}
	return nil
}

// unzipped reads as much of a compressed stream as has come.
type unzipped struct {
	io.ReadCloser
	z *gzip.Reader // nil before its header came
}

func (u *unzipped) Read(p []byte) (int, error) {
	if u.z == nil {
		z, err := gzip.NewReader(u.ReadCloser)
		if err != nil {
			return 0, err
		}
		u.z = z
	}
	return u.z.Read(p)
}
