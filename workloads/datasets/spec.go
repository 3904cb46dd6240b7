package datasets

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"

	"jouletop/workloads"
)

// Spec names the queries to read.
type Spec struct {
	// Name is what the operator calls the dataset; empty: the style's name, or
	// for one's own prompts the file's name without its ending.
	Name string
	// Path is the file; empty for the built-in queries called Name.
	Path string
}

// Builtin tells whether the spec asks for built-in queries.
func (s Spec) Builtin() bool { return s.Path == "" }

// String is the form that ParseSpec reads.
func (s Spec) String() string {
	switch {
	case s.Path == "":
		return s.Name
	case s.Name == "":
		return s.Path
	}
	return s.Name + "=" + s.Path
}

var nameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

// ParseSpec reads NAME=FILE, FILE, or NAME alone for the built-in queries of
// that style (boolq, hellaswag, truthfulqa, narrativeqa). A name of a built-in
// set wins over a file of the same name (write ./boolq for the file), and an
// existing file over the reading of its "=" as NAME=FILE.
func ParseSpec(s string) (Spec, error) {
	if s == "" {
		return Spec{}, errors.New("dataset: empty; give NAME=FILE, FILE, or one of " + styleNames())
	}
	for _, style := range workloads.Styles {
		if s == string(style) {
			return Spec{Name: s}, nil
		}
	}
	if _, err := os.Stat(s); err == nil {
		return Spec{Path: s}, nil
	}
	name, path, ok := strings.Cut(s, "=")
	switch {
	case !ok && strings.ContainsAny(s, "./\\"):
		return Spec{}, fmt.Errorf("dataset %s: no such file", s)
	case !ok:
		return Spec{}, fmt.Errorf("dataset %q: no such file, and no built-in queries of that name (there are %s)", s, styleNames())
	case !nameForm.MatchString(name):
		return Spec{}, fmt.Errorf("dataset %q: the name %q must be letters, digits, '.', '_' or '-'", s, name)
	case path == "":
		return Spec{}, fmt.Errorf("dataset %q: no file after the =", s)
	}
	return Spec{Name: name, Path: path}, nil
}

func styleNames() string {
	var names []string
	for _, s := range workloads.Styles {
		names = append(names, string(s))
	}
	return strings.Join(names, ", ")
}
