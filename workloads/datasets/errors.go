package datasets

import (
	"errors"
	"fmt"
)

// Errors that a caller decides by; each is wrapped with the file it concerns.
var (
	// ErrBadRow: one row cannot be used. It is always a [*RowError]; reading may
	// go on.
	ErrBadRow = errors.New("bad row")
	// ErrFormat: the file is none of the known formats or datasets.
	ErrFormat = errors.New("unknown format")
	// ErrEmpty: the file holds no row.
	ErrEmpty = errors.New("no rows")
)

// RowError is a row that cannot be used, and where it stands.
type RowError struct {
	File string
	Line int // 1-based line where the row starts; 0 in Parquet
	Row  int // 1-based row in Parquet; 0 elsewhere
	Why  string
}

// Error names file, line and reason: "boolq.jsonl:17: field \"passage\" is missing".
func (e *RowError) Error() string {
	if e.Row > 0 {
		return fmt.Sprintf("%s: row %d: %s", e.File, e.Row, e.Why)
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Why)
}

// Unwrap makes errors.Is(err, ErrBadRow) true.
func (e *RowError) Unwrap() error { return ErrBadRow }
