package compare

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"jouletop/engine/analysis/paired"
	"jouletop/engine/analysis/table"
	"jouletop/engine/analysis/verdict"
	"jouletop/engine/plan"
	"jouletop/engine/usage"
	"jouletop/gpu/plaintext"
)

// Options of a comparison, in the words of the command line.
type Options struct {
	Baseline string // setting or session that the others are compared with; "": see Sides
	Resolve  string // a difference to be found, such as 2%; "": none
	Anyway   bool   // what is not the same but for the setting is compared too, and marked
}

// Tables compares what args name (see [Sides]) with the baseline, a table each. Where
// some cannot be compared the error says why, beside the tables of the others. Errors of
// what was asked for are usage errors.
func Tables(args []string, o Options) ([]table.Table, error) {
	share := 0.0
	if o.Resolve != "" {
		var err error
		if share, err = plan.Share("--resolve", o.Resolve); err == nil && share == 0 {
			err = usage.Errorf("--resolve %s: no number of repeats finds nothing", o.Resolve)
		}
		if err != nil {
			return nil, err
		}
	}
	sides, err := Sides(args, o.Baseline)
	if errors.Is(err, ErrNoSuchSide) || errors.Is(err, ErrOneSide) || errors.Is(err, ErrAmbiguous) {
		return nil, usage.Wrap(err)
	}
	if err != nil {
		return nil, err
	}
	compared, err := All(sides, o.Anyway)
	var tables []table.Table
	for _, c := range compared {
		tables = append(tables, Table(c, share))
	}
	return tables, err
}

// All compares each of the sides after the first with the first. Those that cannot be
// are left out, unless anyway, and the error says which and why, and, where all are of one
// session, which other baseline compares more of them.
func All(sides []*paired.Side, anyway bool) ([]paired.Comparison, error) {
	var compared, refused []paired.Comparison
	for _, side := range sides[1:] {
		c := paired.Against(sides[0], side)
		if Err(c) != nil && (!anyway || c.Queries == 0) {
			refused = append(refused, c)
		} else {
			compared = append(compared, c)
		}
	}
	if len(refused) == 0 {
		return compared, nil
	}
	var why []error
	for i := 0; i < len(refused); {
		names := []string{refused[i].B.Name}
		first := refused[i]
		for i++; i < len(refused) && alike(refused[i], first); i++ {
			names = append(names, refused[i].B.Name)
		}
		why = append(why, errOf(first, names))
	}
	if other, n := Better(sides, len(compared)); other != nil {
		why = append(why, fmt.Errorf("--baseline %s compares %d of the %d others", plaintext.Line(other.Name), n, len(sides)-1))
	}
	return compared, errors.Join(why...)
}

// alike tells whether two are refused for the same.
func alike(a, b paired.Comparison) bool {
	return (a.Queries == 0) == (b.Queries == 0) && slices.Equal(a.Mismatches, b.Mismatches)
}

// Better is the side of one session with which more of the others can be compared than so
// many, and how many can; nil where there is none.
func Better(sides []*paired.Side, than int) (side *paired.Side, others int) {
	for i, a := range sides[1:] {
		if !paired.OfOneSession(sides[0], a) {
			return nil, 0
		}
		n := 0
		for j, b := range sides {
			if j != i+1 && Err(paired.Against(a, b)) == nil {
				n++
			}
		}
		if n > max(than, others) {
			side, others = a, n
		}
	}
	return side, others
}

// Table lays a comparison out; resolve, where it is above 0, asks how many repeats would
// find a difference of that share.
func Table(c paired.Comparison, resolve float64) table.Table {
	t := table.Table{
		ID: "compare", Title: plaintext.Line(c.B.Name + " against " + c.A.Name), Simulated: c.Simulated(),
		Columns: []string{"figure", "baseline", "other", "difference", "verdict"},
	}
	if resolve > 0 {
		t.Columns = append(t.Columns, fmt.Sprintf("repeats to find %.3g %%", 100*resolve))
	}
	for _, f := range c.Figures {
		name := f.Name
		if f.Unit != "" {
			name += " " + f.Unit
		}
		change := table.Cell{Text: f.Difference.String(), Value: 100 * f.Mean, Half: 100 * f.Half, Published: math.NaN()}
		if f.Absolute {
			change.Value, change.Half = f.Mean, f.Half
		}
		row := []table.Cell{table.Word(name), figure(f.A * f.Scale), figure(f.B * f.Scale), change, table.Word(f.Word())}
		if resolve > 0 {
			cell := table.Word("–")
			if n, ok := f.Repeats(resolve); ok {
				cell = table.Num(float64(n), 0)
			}
			row = append(row, cell)
		}
		t.Rows = append(t.Rows, row)
	}
	t.Notes = append(t.Notes, c.Sentence())
	x, y := c.Repeats()
	runs := ""
	if c.Queries > 1 && max(x, y) == 1 {
		runs = fmt.Sprintf(": taken to be %.3g %% as on H100s, since neither side has repeats that would tell", 100*verdict.RunSD)
	}
	t.Notes = append(t.Notes, fmt.Sprintf("queries that both answered: %d; repeats: %d and %d; ±: half of a 95 %% interval, which holds what runs of the same work differ by%s",
		c.Queries, x, y, runs))
	if c.Unresolved > 0 {
		t.Notes = append(t.Notes, fmt.Sprintf("%d of them are left out of the energies: one side's is not resolved", c.Unresolved))
	}
	if f, ok := c.Figure(paired.Latency); ok && c.Queries == 1 && f.Word() == verdict.Unknown {
		t.Notes = append(t.Notes, "One query, or command, that ran once on each side tells nothing of how much it differs from itself. Run it again (--repeats 3), best in turns; several sessions are a side with commas between them: A1,A2,A3 B1,B2,B3.")
	}
	for _, m := range c.Mismatches {
		t.Notes = append(t.Notes, "NOT COMPARABLE: "+m)
	}
	return t
}

// figure is a number with four significant digits.
func figure(v float64) table.Cell {
	c := table.Num(v, 0)
	c.Text = plaintext.Significant(v, 4)
	if math.IsNaN(v) {
		c.Text = "–"
	}
	return c
}

// ErrMismatch: two sides are not the same but for their setting.
var ErrMismatch = errors.New("not comparable")

// Err says in one line why the sides cannot be compared; nil where they can.
func Err(c paired.Comparison) error {
	if len(c.Mismatches) == 0 {
		return nil
	}
	return errOf(c, []string{c.B.Name})
}

// errOf is Err for all sides of these names, which differ in the same from the first.
func errOf(c paired.Comparison, names []string) error {
	others := plaintext.Line(strings.Join(names, ", "))
	if c.Queries == 0 {
		return fmt.Errorf("%s and %s are %w, and have no query in common: %s", plaintext.Line(c.A.Name), others, ErrMismatch, strings.Join(c.Mismatches, "; "))
	}
	return fmt.Errorf("%s and %s are %w: %s (--anyway compares them all the same)", plaintext.Line(c.A.Name), others, ErrMismatch, strings.Join(c.Mismatches, "; "))
}
