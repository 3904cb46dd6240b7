package llama

import (
	"errors"
	"strings"
	"testing"
)

func TestCheckVersion(t *testing.T) {
	defer func(was []string) { tested = was }(tested)
	tested = []string{"0.5.0", "0.6.2"}
	for _, c := range []struct {
		headers, library, want string
		refused                bool
	}{
		{headers: "0.5.0", library: "0.5.0"},
		{headers: "0.5.0-dev", library: "0.5.0-dev"},
		{library: "0.6.2"},
		{headers: "0.6.2"},
		{want: "older than 0.5.0"},
		{headers: "0.4.9", library: "0.4.9", want: "0.4.9 is older than what this program is tested with (0.5.0, 0.6.2)"},
		{headers: "0.10.0", library: "0.10.0", want: "0.10.0 is newer"},
		{headers: "1.0", library: "1.0", want: "1.0 is newer"},
		{headers: "0.5.0", library: "0.5.1", want: "built with llama.cpp 0.5.0, and the loader finds 0.5.1", refused: true},
		{headers: "0.5.0", library: "0.5.0-dev", want: "finds 0.5.0-dev", refused: true},
	} {
		warning, err := checkVersion(c.headers, c.library)
		got := warning
		if err != nil {
			got = err.Error()
		}
		if errors.Is(err, ErrVersion) != c.refused || (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
			t.Errorf("%q, %q: %q (%v), want %q", c.headers, c.library, warning, err, c.want)
		}
	}
}
