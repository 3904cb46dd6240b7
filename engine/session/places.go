package session

import (
	"path/filepath"
	"regexp"
	"strings"

	"github.com/adrg/xdg"
)

// StateDir is where the program keeps what it writes by itself.
func StateDir() string { return filepath.Join(xdg.StateHome, "jouletop") }

// DefaultDir is where sessions go by default.
func DefaultDir() string { return filepath.Join(StateDir(), "sessions") }

// ShortenHome writes the home folder as ~.
func ShortenHome(path string) string {
	if rel, err := filepath.Rel(xdg.Home, path); err == nil && !strings.HasPrefix(rel, "..") {
		return filepath.Join("~", rel)
	}
	return path
}

// homes are the places at which a shell looks for the home folder: the beginning, and
// what follows the = of a name or the : of a kind.
var homes = regexp.MustCompile(`(^|[=:])~(/|$)`)

// ExpandHome makes of ~ and ~/… in a path, or in an argument that holds one as in
// NAME=~/FILE, what a shell would, where it did not: in quotes, in a form, after
// --flag=.
func ExpandHome(arg string) string {
	return homes.ReplaceAllString(arg, "${1}"+strings.ReplaceAll(xdg.Home, "$", "$$")+"${2}")
}
