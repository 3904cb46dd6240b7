package datasets

import (
	"errors"
	"fmt"
	"io"

	"jouletop/workloads"
)

// Report says what Load read, for the session's manifest and the operator.
type Report struct {
	Info
	SHA256 string
	// Note tells of queries that were repeated; empty otherwise.
	Note string
}

// maxKept bounds the texts that Load keeps, in bytes: all queries of a run are in
// memory.
const maxKept = 1 << 30

// Load reads the first n queries of what spec names, all for n = 0. Where there
// are fewer they are repeated in order, the k-th time with "#k" behind the id,
// and the report notes it. A bad row is an error wrapping ErrBadRow, or with
// lenient is counted, named and passed over; rows behind the n-th query are not
// looked at. A file without a usable row is an error wrapping ErrEmpty. The
// report is complete for what was read also where an error is returned, but for
// the hash.
func Load(spec Spec, n int, lenient bool) ([]workloads.Query, Report, error) {
	if n < 0 {
		return nil, Report{}, fmt.Errorf("dataset %s: %d queries asked for; at least 1, or 0 for all", spec, n)
	}
	s, err := Open(spec)
	if err != nil {
		return nil, Report{Info: Info{Dataset: spec.Name, Path: spec.Path}}, err
	}
	defer s.Close()
	var queries []workloads.Query
	kept := 0
	for n == 0 || len(queries) < n {
		q, err := s.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if lenient && errors.Is(err, ErrBadRow) {
			continue
		}
		if err != nil {
			return nil, Report{Info: s.Info()}, err
		}
		if kept += len(q.Prompt) + len(q.Text) + len(q.Question); kept > maxKept {
			return nil, Report{Info: s.Info()}, fmt.Errorf("dataset %s: its first %d queries have more than %d bytes; ask for fewer (--queries)", s.Info().Path, len(queries)+1, maxKept)
		}
		queries = append(queries, q)
	}
	report := Report{Info: s.Info()}
	have := len(queries)
	if have == 0 {
		return nil, report, fmt.Errorf("dataset %s: %w that can be used (%d bad)", report.Path, ErrEmpty, report.Skipped)
	}
	if n > have {
		report.Note = fmt.Sprintf("%s has %d queries; they are repeated to make %d", report.Path, have, n)
	}
	if n > have {
		queries = repeat(queries, n)
	}
	report.SHA256, err = s.SHA256()
	return queries, report, err
}

// repeat makes n queries of fewer, each copy with an id of its own.
func repeat(queries []workloads.Query, n int) []workloads.Query {
	have := len(queries)
	taken := make(map[string]bool, n)
	for _, q := range queries {
		taken[q.ID] = true
	}
	for i := have; i < n; i++ {
		q := queries[i%have]
		q.ID = fmt.Sprintf("%s#%d", q.ID, i/have+1)
		for taken[q.ID] {
			q.ID += "#"
		}
		taken[q.ID] = true
		queries = append(queries, q)
	}
	return queries
}
