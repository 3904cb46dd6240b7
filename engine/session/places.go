package session

import (
	"path/filepath"
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

// ExpandHome makes of ~ and ~/… what a shell would, where it did not.
func ExpandHome(path string) string {
	if rest, ok := strings.CutPrefix(path, "~"); ok && (rest == "" || rest[0] == filepath.Separator) {
		return filepath.Join(xdg.Home, rest)
	}
	return path
}
