package table

import (
	"io"
	"slices"
	"strings"

	"github.com/rivo/uniseg"

	"jouletop/gpu/plaintext"
)

// Page is a writer of so many columns: text tables are laid out so that no line is
// longer.
type Page struct {
	io.Writer
	Columns int // 0: lines may be of any length
}

// columnsOf is how many columns a writer has; 0 for any number.
func columnsOf(w io.Writer) int {
	if p, ok := w.(Page); ok && p.Columns > 0 {
		return max(p.Columns, leastColumns)
	}
	return 0
}

const (
	leastColumns = 20 // less is no page
	gap          = 2  // blanks before each cell
)

// WriteLines writes text, a paragraph a line of it, wrapped where the writer is a Page.
func WriteLines(w io.Writer, text string) error {
	columns := columnsOf(w)
	var b strings.Builder
	for l := range strings.Lines(text) {
		l = strings.TrimSuffix(l, "\n")
		if columns == 0 || uniseg.StringWidth(l) <= columns {
			b.WriteString(l + "\n")
			continue
		}
		for _, part := range wrap(l, columns) {
			b.WriteString(part + "\n")
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// WriteGrid writes a header and rows under each other, the first column to the left,
// the others to the right. On a Page that is too narrow for all columns they stand in
// several parts below each other, each with the first columns again, as many as tell
// the rows apart; a cell that is too long goes on below itself.
func WriteGrid(w io.Writer, header []string, rows [][]string) error {
	all := append([][]string{header}, rows...)
	width := make([]int, len(header))
	for _, r := range all {
		for i, c := range r {
			width[i] = max(width[i], uniseg.StringWidth(c))
		}
	}
	parts := [][]int{columnsUpTo(len(header))}
	if page := columnsOf(w); page > 0 && lineWidth(width, parts[0]) > page {
		keys := keyColumns(rows, width, page)
		most := page/2 - gap // of a key, so that something fits beside
		for i := range width {
			if i == 0 && i < keys {
				width[i] = min(width[i], most)
			}
			width[i] = min(width[i], page-gap-lineWidth(width, columnsUpTo(min(keys, i))))
		}
		parts = split(width, keys, page)
	}
	var b strings.Builder
	for i, part := range parts {
		if i > 0 {
			b.WriteByte('\n')
		}
		for _, r := range all {
			writeRow(&b, r, part, width)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func columnsUpTo(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// lineWidth is how long a line of these columns is.
func lineWidth(width []int, columns []int) int {
	n := 0
	for _, i := range columns {
		n += gap + width[i]
	}
	return n
}

// keyColumns is how many of the first columns tell the rows apart; one where those
// would take more than half of the page.
func keyColumns(rows [][]string, width []int, page int) int {
	for k := 1; k < len(width) && lineWidth(width, columnsUpTo(k)) <= page/2; k++ {
		seen := map[string]bool{}
		twice := slices.ContainsFunc(rows, func(r []string) bool {
			key := strings.Join(r[:k], "\x00")
			defer func() { seen[key] = true }()
			return seen[key]
		})
		if !twice {
			return k
		}
	}
	return 1
}

// split lays out columns in parts that fit on the page, the first ones in each.
func split(width []int, keys, page int) [][]int {
	var parts [][]int
	part := columnsUpTo(keys)
	for i := keys; i < len(width); i++ {
		if len(part) > keys && lineWidth(width, part)+gap+width[i] > page {
			parts, part = append(parts, part), columnsUpTo(keys)
		}
		part = append(part, i)
	}
	return append(parts, part)
}

// writeRow writes a row's cells of these columns, on as many lines as the longest needs.
func writeRow(b *strings.Builder, row []string, columns, width []int) {
	cells := make([][]string, len(columns))
	lines := 1
	for n, i := range columns {
		cells[n] = wrapCell(row[i], width[i])
		lines = max(lines, len(cells[n]))
	}
	for l := range lines {
		var line strings.Builder
		for n, i := range columns {
			text := ""
			if l < len(cells[n]) {
				text = cells[n][l]
			}
			pad := strings.Repeat(" ", max(width[i]-uniseg.StringWidth(text), 0))
			line.WriteString(strings.Repeat(" ", gap))
			if i == 0 {
				line.WriteString(text + pad)
			} else {
				line.WriteString(pad + text)
			}
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
}

// wrapCell breaks a cell's text into lines of at most width columns: behind a blank or
// a sign that joins words, where there is one.
func wrapCell(text string, width int) []string {
	if width <= 0 || uniseg.StringWidth(text) <= width {
		return []string{text}
	}
	var lines []string
	line, at, good := "", 0, 0 // width of line, and up to where it may be broken well
	for g := uniseg.NewGraphemes(text); g.Next(); {
		if at > 0 && at+g.Width() > width {
			cut := len(line)
			if good > 0 && g.Str() != " " {
				cut = good
			}
			lines, line = append(lines, strings.TrimRight(line[:cut], " ")), line[cut:]
			at, good = uniseg.StringWidth(line), 0
			if line == "" && g.Str() == " " {
				continue
			}
		}
		line += g.Str()
		at += g.Width()
		if strings.ContainsAny(g.Str(), " +/-_.,") {
			good = len(line)
		}
	}
	return append(lines, line)
}

// wrap breaks text at blanks into lines of at most columns; a word that is longer has a
// line of its own.
func wrap(text string, columns int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && uniseg.StringWidth(line)+1+uniseg.StringWidth(word) > columns {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}

// writeNotes writes a table's notes, indented.
func writeNotes(b *strings.Builder, notes []string, page int) {
	columns := noteColumns
	if page > 0 {
		columns = min(columns, page)
	}
	for _, n := range notes {
		for _, l := range wrap(plaintext.Line(n), columns-gap) {
			b.WriteString(strings.Repeat(" ", gap) + l + "\n")
		}
	}
}

// noteColumns is how wide a note is set, where there is more room.
const noteColumns = 78
