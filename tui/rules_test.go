package tui_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// sources calls f with every source file of the repository but tests, its path
// relative to the root.
func sources(t *testing.T, f func(path string, file *ast.File)) {
	t.Helper()
	root := ".."
	set := token.NewFileSet()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if name == "testdata" || rel != "." && strings.HasPrefix(name, ".") || rel == "build" || rel == "bin" {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		f(filepath.ToSlash(rel), file)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// No type of the repository does everything: at most 40 methods each.
func TestNoTypeHasTooManyMethods(t *testing.T) {
	const most = 40
	methods := map[string]int{}
	sources(t, func(path string, file *ast.File) {
		for _, d := range file.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Recv == nil {
				continue
			}
			of := fn.Recv.List[0].Type
			if star, ok := of.(*ast.StarExpr); ok {
				of = star.X
			}
			switch generic := of.(type) {
			case *ast.IndexExpr:
				of = generic.X
			case *ast.IndexListExpr:
				of = generic.X
			}
			methods[filepath.Dir(path)+"."+of.(*ast.Ident).Name]++
		}
	})
	if methods["tui.Model"] < 10 {
		t.Fatalf("counted %d methods of the dashboard's model: the counting is broken", methods["tui.Model"])
	}
	for name, n := range methods {
		if n > most {
			t.Errorf("%s has %d methods, want at most %d", name, n, most)
		}
	}
}

// What each package of the dashboard may import of the repository. What is asked
// and told is known, who does it is not.
func TestImportsWithinTheDashboard(t *testing.T) {
	words := []string{"engine/command", "engine/event", "gpu"}
	may := map[string][]string{
		"tui/canvas":      {},
		"tui/history":     {},
		"tui/theme":       {"tui/canvas"},
		"tui/chart":       {"tui/canvas"},
		"tui/screen":      {"tui/canvas"},
		"tui/shot":        {"tui/canvas", "tui/theme"},
		"tui/progress":    {"engine/event", "gpu", "gpu/plaintext"},
		"tui/state":       append([]string{"engine/analysis/curve", "engine/analysis/paired", "engine/analysis/served", "engine/analysis/verdict", "tui/history"}, words...),
		"tui/draw":        {"tui/canvas", "tui/theme"},
		"tui/preferences": {"gpu/plaintext", "gpu/regular", "tui/theme", "tui/view"},
		"tui/view":        append([]string{"gpu/plaintext", "tui/canvas", "tui/draw", "tui/history", "tui/state"}, words...),
		"tui/grid":        {"tui/canvas", "tui/draw", "tui/theme", "tui/view"},
		"tui/panel":       append([]string{"tui/state", "tui/canvas", "tui/draw", "tui/theme", "tui/view"}, words...),
		"tui/page":        append([]string{"engine/analysis/curve", "engine/analysis/paired", "engine/analysis/served", "engine/analysis/verdict", "tui/canvas", "tui/chart", "tui/draw", "tui/grid", "tui/history", "tui/panel", "tui/state", "tui/theme", "tui/view"}, words...),
		"tui":             append([]string{"gpu/plaintext", "tui/canvas", "tui/draw", "tui/history", "tui/page", "tui/panel", "tui/screen", "tui/shot", "tui/state", "tui/theme", "tui/view"}, words...),
	}
	seen := map[string]bool{}
	sources(t, func(path string, file *ast.File) {
		from := filepath.Dir(path)
		allowed, ruled := may[from]
		if !ruled {
			if strings.HasPrefix(from, "tui/") && !strings.HasPrefix(from, "tui/internal/") {
				t.Errorf("%s has no rule here: say what it may import", from)
			}
			return
		}
		seen[from] = true
		for _, spec := range file.Imports {
			to, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			own, ours := strings.CutPrefix(to, "jouletop/")
			ok := !ours
			for _, a := range allowed {
				ok = ok || own == a
			}
			if !ok {
				t.Errorf("%s imports %s", path, own)
			}
		}
	})
	for from := range may {
		if !seen[from] {
			t.Errorf("there is no package %s", from)
		}
	}
}
