package event

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"testing"
)

func TestFlagsAreASortedSet(t *testing.T) {
	f := FlagsOf(FlagThrottled, FlagClockOff, FlagThrottled, "")
	if f != "clock-off+throttled" {
		t.Errorf("got %q", f)
	}
	if !f.Has(FlagThrottled) || f.Has(FlagEnergyUnresolved) || Flags("").Has("") {
		t.Error("Has is wrong")
	}
	if got := f.Union("new-word+throttled"); got != "clock-off+new-word+throttled" {
		t.Errorf("union %q", got)
	}
	if got := Flags("").Union(""); got != "" {
		t.Errorf("union of none %q", got)
	}
}

// Every flag declared in flags.go has a meaning, and every meaning a flag.
func TestFlagsHaveMeanings(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "flags.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	declared := map[Flag]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if id, ok := spec.Type.(*ast.Ident); ok && id.Name == "Flag" {
			s, _ := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			declared[Flag(s)] = true
		}
		return true
	})
	if len(declared) == 0 {
		t.Fatal("no flags found")
	}
	for f := range declared {
		if FlagMeanings[f] == "" {
			t.Errorf("flag %q has no meaning", f)
		}
	}
	for f := range FlagMeanings {
		if !declared[f] {
			t.Errorf("meaning of %q, which is no flag", f)
		}
	}
}
