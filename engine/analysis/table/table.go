// Package table lays figures out as text, Markdown, CSV and JSON: a [Table] of
// [Cell]s, each a word or a number with its half-width and, where there is one, what
// the study published.
package table

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"jouletop/engine/analysis/curve"
	"jouletop/engine/nulljson"
	"jouletop/gpu/plaintext"
)

// Cell is one entry of a table: text, or a number with its interval and, where
// the study has one, the published number.
type Cell struct {
	Text      string
	Value     float64 // NaN: text, or unknown
	Half      float64 // half-width of the 95 % interval; NaN: unknown
	Published float64 // NaN: none
	Decimals  int
	Sign      bool // write + before what is above zero
}

// Table is a table of results.
type Table struct {
	ID      string // XI, XII, …; or a word
	Title   string
	Columns []string // with units
	Rows    [][]Cell
	Notes   []string
	// Simulated marks the table: its numbers were computed, not measured.
	Simulated bool
}

// Word is a cell of text, which may be others'.
func Word(s string) Cell {
	return Cell{Text: plaintext.Line(s), Value: math.NaN(), Half: math.NaN(), Published: math.NaN()}
}

// Num is a number with so many decimals.
func Num(v float64, decimals int) Cell {
	return Cell{Value: v, Half: math.NaN(), Published: math.NaN(), Decimals: decimals}
}

// WithError is a mean with its half-width.
func WithError(s curve.Stat, decimals int) Cell {
	return Cell{Value: s.Mean, Half: s.Half, Published: math.NaN(), Decimals: decimals}
}

// Change is a mean with its half-width and sign, in %.
func Change(s curve.Stat) Cell {
	c := WithError(s, 1)
	c.Sign = true
	return c
}

// Beside returns c with what was published beside it.
func (c Cell) Beside(published float64) Cell {
	c.Published = published
	return c
}

// Absurd is where a number is no result any more, and its digits would fill lines.
const Absurd = 1e12

// Decimal writes v with so many decimals; nothing where it is unknown.
func Decimal(v float64, decimals int) string {
	if !curve.Finite(v) {
		return ""
	}
	if math.Abs(v) >= Absurd {
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
	return strconv.FormatFloat(v, 'f', decimals, 64)
}

// Format writes v with the cell's decimals; "" where it is unknown.
func (c Cell) Format(v float64) string {
	s := Decimal(v, c.Decimals)
	if strings.Trim(s, "-0.") == "" {
		s = strings.TrimPrefix(s, "-")
	}
	if c.Sign && v > 0 {
		s = "+" + s
	}
	return s
}

// String is our side of the cell.
func (c Cell) String() string { return c.own() }

// own is our side of the cell.
func (c Cell) own() string {
	if c.Text != "" {
		return c.Text
	}
	// An interval is never shown as none.
	const finer = 2 // decimals
	for most := c.Decimals + finer; c.Half > 0 && c.Decimals < most && strings.Trim(Decimal(c.Half, c.Decimals), "0.") == ""; {
		c.Decimals++
	}
	s := c.Format(c.Value)
	if half := Decimal(c.Half, c.Decimals); s != "" && half != "" {
		s += " ±" + half
	}
	return s
}

// Texts are the table's columns and rows as they are shown; paper lays what the study
// published beside.
func (t Table) Texts(paper bool) (columns []string, rows [][]string) { return t.grid(paper) }

// grid lays the table out as strings, with the published numbers and the
// difference as columns of their own where paper is set.
func (t Table) grid(paper bool) (header []string, rows [][]string) {
	published := make([]bool, len(t.Columns))
	for _, r := range t.Rows {
		for i, c := range r {
			published[i] = published[i] || paper && !math.IsNaN(c.Published)
		}
	}
	for i, name := range t.Columns {
		header = append(header, plaintext.Line(name)) // some are models' names
		if published[i] {
			header = append(header, "study", "Δ")
		}
	}
	for _, r := range t.Rows {
		var row []string
		for i, c := range r {
			row = append(row, c.own())
			if published[i] {
				diff := c
				diff.Sign = true
				row = append(row, c.Format(c.Published), diff.Format(c.Value-c.Published))
			}
		}
		rows = append(rows, row)
	}
	return header, rows
}

func (t Table) heading() string {
	h := t.Title
	if t.ID != "" {
		h = "Table " + t.ID + ": " + h
	}
	if t.Simulated {
		h = "SIMULATED " + h
	}
	return h
}

// WriteText writes the table for people, columns aligned; on a Page no line is longer
// than that is wide.
func (t Table) WriteText(w io.Writer, paper bool) error {
	header, rows := t.grid(paper)
	var notes strings.Builder
	writeNotes(&notes, t.Notes, columnsOf(w))
	notes.WriteByte('\n')
	if err := errors.Join(WriteLines(w, t.heading()), WriteGrid(w, header, rows)); err != nil {
		return err
	}
	_, err := io.WriteString(w, notes.String())
	return err
}

// markdown keeps text from being markup, a link, a picture or HTML.
var markdown = strings.NewReplacer("|", `\|`, `\`, `\\`, "<", "&lt;", "&", "&amp;", "[", `\[`, "]", `\]`, "`", "\\`", "*", `\*`)

// WriteMarkdown writes the table as Markdown.
func (t Table) WriteMarkdown(w io.Writer, paper bool) error {
	header, rows := t.grid(paper)
	var b strings.Builder
	b.WriteString("### " + t.heading() + "\n\n")
	line := func(r []string) {
		for _, c := range r {
			b.WriteString("| " + markdown.Replace(c) + " ")
		}
		b.WriteString("|\n")
	}
	line(header)
	b.WriteString("| --- |" + strings.Repeat(" ---: |", len(header)-1) + "\n")
	for _, r := range rows {
		line(r)
	}
	b.WriteByte('\n')
	for _, n := range t.Notes {
		b.WriteString(markdown.Replace(plaintext.Line(n)) + "\n\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// WriteCSV writes tables in long form: table, whether simulated, row, column, text,
// value, half-width, published. One header stands before all of them.
func WriteCSV(w io.Writer, tables []Table) error {
	out := csv.NewWriter(w)
	_ = out.Write([]string{"table", "simulated", "row", "column", "text", "value", "err95", "published"})
	for _, t := range tables {
		for _, r := range t.Rows {
			for i, c := range r[1:] {
				_ = out.Write([]string{t.name(), strconv.FormatBool(t.Simulated), plaintext.Cell(r[0].own()), plaintext.Cell(plaintext.Line(t.Columns[i+1])), plaintext.Cell(c.Text), cellNumber(c.Value), cellNumber(c.Half), cellNumber(c.Published)})
			}
		}
	}
	out.Flush()
	return out.Error()
}

func (t Table) name() string {
	if t.ID != "" {
		return t.ID
	}
	return t.Title
}

func cellNumber(v float64) string {
	if !curve.Finite(v) {
		return ""
	}
	return strconv.FormatFloat(v, 'g', 8, 64)
}

// jsonCell and jsonTable are a table as JSON.
type (
	jsonCell struct {
		Text      string   `json:"text,omitempty"`
		Value     *float64 `json:"value,omitempty"`
		Half      *float64 `json:"err95,omitempty"`
		Published *float64 `json:"published,omitempty"`
	}
	jsonTable struct {
		ID        string                `json:"id"`
		Title     string                `json:"title"`
		Simulated bool                  `json:"simulated"`
		Columns   []string              `json:"columns"`
		Rows      []map[string]jsonCell `json:"rows"`
		Notes     []string              `json:"notes,omitempty"`
	}
)

// MarshalJSON writes the table as an object; what is unknown is left out.
func (t Table) MarshalJSON() ([]byte, error) {
	j := jsonTable{ID: t.ID, Title: t.Title, Simulated: t.Simulated, Columns: t.Columns, Notes: t.Notes, Rows: []map[string]jsonCell{}}
	for _, r := range t.Rows {
		row := map[string]jsonCell{}
		for i, c := range r {
			row[plaintext.Line(t.Columns[i])] = jsonCell{c.Text, nulljson.Known(c.Value), nulljson.Known(c.Half), nulljson.Known(c.Published)}
		}
		j.Rows = append(j.Rows, row)
	}
	return nulljson.Marshal(j)
}

// WriteJSON writes tables as an array of objects.
func WriteJSON(w io.Writer, tables []Table) error {
	if tables == nil {
		tables = []Table{}
	}
	if err := nulljson.Write(w, tables); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}
