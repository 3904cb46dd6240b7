package session

import (
	"strings"

	"jouletop/gpu/plaintext"
)

// ColumnKind says what a column's cells are.
type ColumnKind int

// The kinds. An empty cell of any but Text is unknown; a YesNo is 1 or 0.
const (
	Text ColumnKind = iota
	Number
	Whole
	YesNo
)

// Column is a column of one of the CSV files.
type Column struct {
	Name    string
	Kind    ColumnKind
	Unit    string // "" for text, counts and shares
	Meaning string // in words
}

// csvFile is a table, whatever its rows are.
type csvFile interface {
	described() []Column
	cells(dir string, each func(cells []string) error) error
}

// csvFiles are the session's, by name.
var csvFiles = map[string]csvFile{
	SamplesFile: samplesTable, PowerFile: powerTable, HostFile: hostTable, PhasesFile: phasesTable, IterationsFile: iterationsTable,
	RequestsFile: requestsTable, ClocksFile: clocksTable, PointsFile: pointsTable,
}

// Columns are the columns of one of the CSV files, in order; none for another file.
func Columns(file string) []Column {
	if t, ok := csvFiles[file]; ok {
		return t.described()
	}
	return nil
}

// Cells reads one of the CSV files as text, a row at a time: a cell for each of its
// Columns, as its table writes it, but without what is there for spreadsheets. The
// cells are not kept between calls. Errors are those of the other readers.
func (s *Session) Cells(file string, each func(cells []string) error) error {
	if t, ok := csvFiles[file]; ok {
		return t.cells(s.Dir, each)
	}
	return nil
}

func (t table[T]) described() []Column {
	var out []Column
	for _, c := range t.columns {
		out = append(out, Column{Name: c.name, Kind: c.kind, Unit: unitOf(c.name), Meaning: meaning(t.file, c.name)})
	}
	return out
}

func (t table[T]) cells(dir string, each func(cells []string) error) error {
	cells := make([]string, len(t.columns))
	var b []byte
	return t.read(dir, func(row *T) error {
		for i, c := range t.columns {
			b = c.put(b[:0], row)
			cell, _, _, err := cutCell(b)
			if err != nil {
				return err
			}
			if c.kind == Text {
				cell = plaintext.FromCell(cell)
			}
			cells[i] = cell
		}
		return each(cells)
	})
}

// unitOf is the unit that stands in a column's name.
func unitOf(column string) string {
	switch column {
	case "joules_per_token", "joules_per_total_token", "joules_per_accepted_token":
		return "J/token"
	case "tokens_per_s":
		return "token/s"
	}
	column = strings.TrimSuffix(column, "_mean")
	return map[string]string{
		"ns": "ns", "ms": "ms", "s": "s", "mhz": "MHz", "c": "°C", "pct": "%", "mib": "MiB", "w": "W", "j": "J", "js": "J·s",
	}[column[strings.LastIndexByte(column, '_')+1:]]
}
