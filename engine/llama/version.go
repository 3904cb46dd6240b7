package llama

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// tested are the releases of an installed llama.cpp with which every test of this
// package passes, oldest first. The Go module's is the one go.mod pins.
var tested = []string{"0.5.0"}

// ErrVersion is returned by New where the llama.cpp that the loader found is not
// the one that the program was built with: llama.cpp promises no binary interface
// from one release to the next.
var ErrVersion = errors.New("another llama.cpp than the program was built with")

// Installed tells whether an installed llama.cpp is linked, which may have newer
// architectures than package gguf knows; the one compiled in has those and no
// others.
func Installed() bool { return installed }

// checkVersion compares the release of an installed llama.cpp with that of the
// headers the program was built with; "" is unknown. The warning tells of a
// release that is not a tested one.
func checkVersion(headers, library string) (warning string, err error) {
	if headers != "" && library != "" && headers != library {
		return "", fmt.Errorf("%w: built with llama.cpp %s, and the loader finds %s: build again, or take the other out of LD_LIBRARY_PATH", ErrVersion, headers, library)
	}
	release := cmp.Or(library, headers)
	if release == "" {
		return fmt.Sprintf("the installed llama.cpp tells no release, so it is older than %s, with which this program is tested", tested[0]), nil
	}
	for _, t := range tested {
		if compareReleases(release, t) == 0 {
			return "", nil
		}
	}
	is := "older"
	if compareReleases(release, tested[len(tested)-1]) > 0 {
		is = "newer"
	}
	return fmt.Sprintf("llama.cpp %s is %s than what this program is tested with (%s)", release, is, strings.Join(tested, ", ")), nil
}

// compareReleases compares "0.5.0" and "0.10.2-dev" by their numbers; what follows
// them is left out.
func compareReleases(a, b string) int {
	for range 3 {
		var x, y int
		x, a = number(a)
		y, b = number(b)
		if c := cmp.Compare(x, y); c != 0 {
			return c
		}
	}
	return 0
}

// number cuts the first number off a release.
func number(s string) (n int, rest string) {
	end := strings.IndexFunc(s, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(s)
	}
	n, _ = strconv.Atoi(s[:end]) // 0 for none
	return n, strings.TrimPrefix(s[end:], ".")
}
