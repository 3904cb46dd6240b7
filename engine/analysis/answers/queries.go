package answers

import (
	"errors"
	"fmt"
	"strings"

	"jouletop/engine/session"
	"jouletop/workloads"
	"jouletop/workloads/datasets"
)

// ErrQueries: the queries of a session cannot be had again.
var ErrQueries = errors.New("the session's queries cannot be read again")

// Queries reads again the queries that sessions ran, from the datasets that
// their manifests name. The files must be as they were (SHA-256). Errors wrap
// ErrQueries.
func Queries(sessions []*session.Session) ([]workloads.Query, error) {
	var names []string
	used := map[string]session.Dataset{}
	for _, s := range sessions {
		for _, d := range s.Manifest.Datasets {
			before, met := used[d.Name]
			switch {
			case !met:
				names = append(names, d.Name)
			case before.SHA256 != d.SHA256:
				return nil, fmt.Errorf("%w: dataset %s is another file in %s", ErrQueries, d.Name, s.Dir)
			}
			if d.Rows >= before.Rows {
				used[d.Name] = d
			}
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%w: no dataset is named in it", ErrQueries)
	}
	var out []workloads.Query
	for _, name := range names {
		d := used[name]
		spec := datasets.Spec{Name: d.Name, Path: d.Path}
		if style, ok := strings.CutPrefix(d.Path, "builtin:"); ok {
			spec = datasets.Spec{Name: style}
		}
		qs, report, err := datasets.Load(spec, d.Rows, d.Skipped > 0)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrQueries, err)
		}
		if d.SHA256 != "" && report.SHA256 != d.SHA256 {
			return nil, fmt.Errorf("%w: %s has changed since (its SHA-256 is another)", ErrQueries, d.Path)
		}
		out = append(out, qs...)
	}
	return out, nil
}
