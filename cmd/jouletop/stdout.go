package main

import (
	"io"
	"os"
	"strconv"

	"golang.org/x/term"

	"jouletop/engine/analysis/table"
)

// stdout is standard output with how wide it is: $COLUMNS, or the terminal; without
// either, lines may be of any length, for programs to read.
func stdout() io.Writer {
	columns, err := strconv.Atoi(os.Getenv("COLUMNS"))
	if err != nil || columns <= 0 {
		if columns, _, err = term.GetSize(int(os.Stdout.Fd())); err != nil {
			columns = 0
		}
	}
	return table.Page{Writer: os.Stdout, Columns: columns}
}
