package main

import (
	"errors"
	"os"
	"os/user"
	"testing"

	"github.com/adrg/xdg"
)

// Without HOME, files go to the user's home, not to the root of all files.
func TestFindHome(t *testing.T) {
	u, err := user.Current()
	if err != nil || u.HomeDir == "" {
		t.Skip("the system knows no home of this user")
	}
	t.Cleanup(xdg.Reload)
	t.Setenv("HOME", "")
	xdg.Reload()
	findHome()
	if home := os.Getenv("HOME"); home != u.HomeDir || xdg.Home != u.HomeDir {
		t.Errorf("home %q, %q for the library, want %q", home, xdg.Home, u.HomeDir)
	}
}

// What several say of one trouble is told once.
func TestOnce(t *testing.T) {
	full := errors.New("disk full")
	if text := once(errors.Join(full, errors.New("not given back"), errors.Join(full, full)).Error()); text != "disk full\nnot given back" {
		t.Errorf("%q", text)
	}
}
