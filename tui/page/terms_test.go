package page

import (
	"slices"
	"strings"
	"testing"

	"jouletop/engine/command"
	"jouletop/tui/draw"
	"jouletop/tui/state"
	"jouletop/tui/view"
)

// named are a table's columns.
func (t *table[T]) named() (out [][2]string) {
	for _, c := range t.grid.Columns {
		out = append(out, [2]string{c.Named(), c.Title})
	}
	return out
}

// Every column of every table that one can go through is explained, and so is every term
// that a page names.
func TestEveryColumnAndTermIsExplained(t *testing.T) {
	c := &view.Context{State: state.New(), Keys: view.NewKeys(), Frame: draw.NewFrame()}
	lists := append(NewRows(c).lists, NewSweep(c).points, NewSession(c).earlier)
	for _, l := range lists {
		for _, column := range l.(interface{ named() [][2]string }).named() {
			if meaning(column[0], column[1]) == "" {
				t.Errorf("%s: nobody says what %q is", l.title(), column[0])
			}
		}
	}
	for _, f := range []command.Feature{{Name: "length"}, {Name: "token entropy"}, {Name: "entity density"}, {Name: "causal score"}, {Name: "reasoning complexity"}, {Name: "complexity score"}} {
		if meaning(f.Name, f.Name) == "" {
			t.Errorf("nobody says what %q is", f.Name)
		}
	}
	known := func(name string) bool {
		return slices.ContainsFunc(glossary, func(t term) bool { return t.name == name })
	}
	for _, p := range All(c) {
		for _, name := range slices.Concat(p.Terms(), clockTerms) {
			if !known(name) {
				t.Errorf("%s: %q is not in the glossary", p.Name(), name)
			}
		}
	}
	letters := slices.DeleteFunc(slices.Clone(glossary), func(t term) bool { return strings.HasPrefix(t.name, "±") }) // stands first
	if !slices.IsSortedFunc(letters, func(a, b term) int { return strings.Compare(strings.ToLower(a.name), strings.ToLower(b.name)) }) {
		t.Error("the glossary is not in the order of the alphabet")
	}
}
