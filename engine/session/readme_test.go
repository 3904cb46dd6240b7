package session

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Whoever opens a session's folder finds every file and every column explained.
func TestReadmeExplainsEveryColumn(t *testing.T) {
	used := map[string]bool{}
	for file := range csvFiles {
		for _, c := range Columns(file) {
			if c.Meaning == "" {
				t.Errorf("%s: nothing says what %s is", file, c.Name)
			}
			used[c.Name], used[file+":"+c.Name] = true, true
		}
	}
	for c := range columnMeanings {
		if !used[c] {
			t.Errorf("%s is no column", c)
		}
	}
	for _, name := range Files() {
		if fileMeanings[name] == "" {
			t.Errorf("nothing says what %s is", name)
		}
	}
	dir := filepath.Join(t.TempDir(), "s")
	rec, err := Create(dir, Manifest{Program: "jouletop test", Simulated: true}, Full)
	if err != nil {
		t.Fatal(err)
	}
	if err := rec.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, ReadmeFile))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"jouletop test", "SIMULATED", "requests.csv: every request", "  energy_j               energy, J;", "  clock-lost "} {
		if !strings.Contains(string(text), want) {
			t.Errorf("it lacks %q:\n%s", want, text)
		}
	}
	copied := filepath.Join(t.TempDir(), "copy")
	if err := Export(dir, copied); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(copied, ReadmeFile)); err != nil {
		t.Error(err)
	}
}
