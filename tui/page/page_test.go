package page

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"jouletop/engine/command"
	"jouletop/tui/draw"
	"jouletop/tui/state"
	"jouletop/tui/view"
)

// The list of pages is all that knows them: each has a name of its own and is a type
// of its own.
func TestPagesAreTold(t *testing.T) {
	c := &view.Context{State: state.New(), Keys: view.NewKeys(), Frame: draw.NewFrame(), Status: command.Status{}}
	names, types := map[string]bool{}, map[reflect.Type]bool{}
	for _, p := range All(c) {
		if p.Name() == "" || names[p.Name()] {
			t.Errorf("a page is named %q, as another is or not at all", p.Name())
		}
		if kind := reflect.TypeOf(p); types[kind] {
			t.Errorf("%s is listed twice", kind)
		}
		names[p.Name()], types[reflect.TypeOf(p)] = true, true
		t.Log(p.Name())
	}
	if len(names) < 6 {
		t.Errorf("%d pages", len(names))
	}
}

// The page that the contributor's guide adds as a diff builds, and is told like the
// others.
func TestGuidesPageBuilds(t *testing.T) {
	guide, err := os.ReadFile("../../.github/CONTRIBUTING.md")
	if err != nil {
		t.Fatal(err)
	}
	_, diff, _ := strings.Cut(string(guide), "```diff\n")
	diff, _, ok := strings.Cut(diff, "```")
	if !ok {
		t.Fatal("the guide shows no diff")
	}
	replace := map[string]string{}
	for _, file := range strings.Split(diff, "--- ")[1:] {
		_, file, _ = strings.Cut(file, "+++ b/")
		name, hunk, _ := strings.Cut(file, "\n")
		_, hunk, _ = strings.Cut(hunk, "\n") // where it stands, which changes
		var was, is strings.Builder
		for line := range strings.Lines(hunk) {
			if line[0] != '+' {
				was.WriteString(line[1:])
			}
			if line[0] != '-' {
				is.WriteString(line[1:])
			}
		}
		path, err := filepath.Abs(filepath.Join("../..", name))
		if err != nil {
			t.Fatal(err)
		}
		source := is.String()
		if was.Len() > 0 {
			old, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Count(string(old), was.String()) != 1 {
				t.Fatalf("%s does not have what the guide changes:\n%s", name, was.String())
			}
			source = strings.Replace(string(old), was.String(), source, 1)
		}
		with := filepath.Join(t.TempDir(), filepath.Base(name))
		if err := os.WriteFile(with, []byte(source), 0o644); err != nil {
			t.Fatal(err)
		}
		replace[path] = with
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	at := filepath.Join(t.TempDir(), "overlay.json")
	if err := os.WriteFile(at, overlay, 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("go", "test", "-overlay", at, "-run", "TestPagesAreTold", "-v", ".").CombinedOutput()
	if err != nil || len(replace) != 2 || !strings.Contains(string(out), "Thermal") {
		t.Errorf("with the guide's page: %v\n%s", err, out)
	}
}
