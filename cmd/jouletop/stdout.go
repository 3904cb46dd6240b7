package main

import (
	"io"
	"os"
	"strconv"

	"golang.org/x/term"

	"jouletop/engine/analysis/table"
)

// stdout and stderr are standard output and error with how wide they are: $COLUMNS, or the
// terminal; without either, lines may be of any length, for programs to read.
func stdout() io.Writer { return page(os.Stdout) }
func stderr() io.Writer { return page(os.Stderr) }

func page(f *os.File) io.Writer {
	columns, err := strconv.Atoi(os.Getenv("COLUMNS"))
	if err != nil || columns <= 0 {
		if columns, _, err = term.GetSize(int(f.Fd())); err != nil {
			columns = 0
		}
	}
	return table.Page{Writer: f, Columns: columns}
}
