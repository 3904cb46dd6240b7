package plan

import (
	"fmt"

	"jouletop/engine/analysis/answers"
	"jouletop/engine/session"
)

// OpenWorkload reads the queries that o names and what models made of them in
// recorded sessions.
func OpenWorkload(o *Work, dirs []string) (*answers.Characterized, error) {
	var recorded []*session.Session
	for _, dir := range dirs {
		s, err := session.OpenForeign(dir)
		if err != nil {
			return nil, err
		}
		recorded = append(recorded, s)
	}
	w := &answers.Characterized{}
	if len(o.Datasets) == 0 && len(recorded) > 0 {
		var err error
		if w.Queries, err = answers.Queries(recorded); err != nil {
			return nil, fmt.Errorf("%w; name the files to look at", err)
		}
		if o.Queries > 0 {
			w.Queries = answers.FirstOfEach(w.Queries, o.Queries)
		}
	} else {
		data, err := Datasets(o)
		if err != nil {
			return nil, err
		}
		for _, d := range data {
			w.Queries = append(w.Queries, d.Queries...)
			w.Remarks = append(w.Remarks, d.Notes()...)
		}
	}
	return w, w.Characterize(recorded)
}
