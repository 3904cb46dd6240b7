package remote

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
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

// Headers by which caches before a server tell that they answered. What is said
// of prefixes of a prompt is the server's own.
var (
	cacheHeader = regexp.MustCompile(`(?i)cache`)
	otherCache  = regexp.MustCompile(`(?i)control|prompt|prefix|kv`)
	cacheHit    = regexp.MustCompile(`(?i)(^|[^a-z])hit($|[^a-z])`)
)

// cachedBy is the header by which an answer is one of a cache; "" if it is none.
func cachedBy(h http.Header) string {
	var found []string
	for name, values := range h {
		if !cacheHeader.MatchString(name) || otherCache.MatchString(name) {
			continue
		}
		for _, v := range values {
			if cacheHit.MatchString(v) || cacheHit.MatchString(name) && strings.EqualFold(v, "true") {
				found = append(found, name+": "+v)
			}
		}
	}
	if len(found) == 0 {
		return ""
	}
	return slices.Min(found)
}
