package compare

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"jouletop/engine/analysis/table"
	"jouletop/engine/analysis/verdict"
	"jouletop/engine/event"
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
	var tables []table.Table
	var refused []error
	for _, side := range sides[1:] {
		c := Against(sides[0], side)
		if err := c.Err(); err != nil && (!o.Anyway || c.Queries == 0) {
			refused = append(refused, err)
			continue
		}
		tables = append(tables, c.Table(share))
	}
	return tables, errors.Join(refused...)
}

// Comparison is one side against the baseline.
type Comparison struct {
	A, B *Side // the baseline first
	// Mismatches are the reasons for which they cannot be compared; none where they can.
	Mismatches []string
	Figures    []Figure
	Queries    int // that both answered
	Unresolved int // of them, left out of the energies: one side's is not resolved
}

// Figure is one figure of both sides.
type Figure struct {
	Name, Unit string
	Scale      float64 // of what is shown: ms are 1000
	verdict.Difference
}

// Against compares b with the baseline a.
func Against(a, b *Side) Comparison {
	c := Comparison{A: a, B: b, Mismatches: mismatches(a, b)}
	work := work{}
	work.a, work.b = paired(a, b)
	work.queries = common(work.a, work.b)
	c.Queries = len(work.queries)
	joules, latency := work.sides(func(f *figures) float64 { return f.joules }), work.sides(func(f *figures) float64 { return f.latency })
	for _, p := range joules.Pairs {
		if math.IsNaN(p.A + p.B) {
			c.Unresolved++
		}
	}
	add := func(name, unit string, scale float64, d verdict.Difference) {
		if !math.IsNaN(d.A) && d.Queries > 0 {
			c.Figures = append(c.Figures, Figure{name, unit, scale, d})
		}
	}
	add("energy a query", "J", 1, verdict.Compare(joules))
	add("energy a token", "J", 1, verdict.Compare(work.perToken(joules, event.CountedTokens)))
	add("energy a token, read too", "J", 1, verdict.Compare(work.perToken(joules, func(in, out float64) float64 { return in + out })))
	add("latency", "s", 1, verdict.Compare(latency))
	add("EDP", "J·s", 1, verdict.Compare(verdict.Product(joules, latency)))
	for _, f := range []struct {
		name string
		of   func(*figures) float64
	}{
		{"TTFT", func(f *figures) float64 { return f.ttft }},
		{"prefill", func(f *figures) float64 { return f.prefill }},
		{"after prefill", func(f *figures) float64 { return f.decode }},
	} {
		add(f.name, "ms", 1000, verdict.Compare(work.sides(f.of)))
	}
	if d := verdict.Shift(work.sides(func(f *figures) float64 { return f.quality })); d.Queries > 0 {
		c.Figures = append(c.Figures, Figure{"quality", "", 1, d})
	}
	return c
}

// work is what both sides did of the same queries.
type work struct {
	a, b    map[query]map[int][]figures
	queries []query
}

// sides lays one figure out in pairs, and in sums by repeat.
func (w work) sides(of func(*figures) float64) verdict.Sides {
	s := verdict.Sides{}
	for _, q := range w.queries {
		x, y := mean(w.a[q]), mean(w.b[q])
		s.Pairs = append(s.Pairs, verdict.Pair{A: of(&x), B: of(&y)})
	}
	s.RunsA, s.RunsB = sums(w.a, w.queries, of), sums(w.b, w.queries, of)
	return s
}

// sums are a figure's means over the queries, by repeat, of those repeats that have
// them all.
func sums(runs map[query]map[int][]figures, queries []query, of func(*figures) float64) []float64 {
	repeats := map[int]bool{}
	for _, q := range queries {
		for r := range runs[q] {
			repeats[r] = true
		}
	}
	var out []float64
	for r := range repeats {
		sum := 0.0
		for _, q := range queries {
			x := mean(map[int][]figures{r: runs[q][r]})
			sum += of(&x) // NaN where it has none
		}
		if !math.IsNaN(sum) {
			out = append(out, sum)
		}
	}
	slices.Sort(out)
	return out
}

// perToken turns energies into those over the mean tokens of a query, counted so.
func (w work) perToken(joules verdict.Sides, counted func(in, out float64) float64) verdict.Sides {
	tokens := func(runs map[query]map[int][]figures) float64 {
		in, out := 0.0, 0.0
		for i, q := range w.queries {
			if math.IsNaN(joules.Pairs[i].A + joules.Pairs[i].B) {
				continue
			}
			m := mean(runs[q])
			in, out = in+m.in, out+m.out
		}
		return counted(in, out)
	}
	ta, tb := tokens(w.a), tokens(w.b)
	n := 0.0
	for _, p := range joules.Pairs {
		if !math.IsNaN(p.A + p.B) {
			n++
		}
	}
	s := verdict.Sides{Pairs: slices.Clone(joules.Pairs), RunsA: joules.RunsA, RunsB: joules.RunsB}
	for i := range s.Pairs {
		s.Pairs[i].A *= n / ta
		s.Pairs[i].B *= n / tb
	}
	return s
}

// Sentence says in one line what the comparison came to.
func (c Comparison) Sentence() string {
	said := func(name, less, more string) string {
		i := slices.IndexFunc(c.Figures, func(f Figure) bool { return f.Name == name })
		if i < 0 {
			return ""
		}
		f := c.Figures[i]
		size := fmt.Sprintf("%.1f ± %.1f %% ", 100*math.Abs(f.Mean), 100*f.Half)
		switch f.Word() {
		case verdict.Lower:
			return size + less
		case verdict.Higher:
			return size + more
		case verdict.Unresolved:
			return fmt.Sprintf("no difference in %s resolved (%s)", name, f.Difference)
		}
		return name + " unknown"
	}
	return plaintext.Line(fmt.Sprintf("%s against %s: %s, %s", c.B.Name, c.A.Name, said("energy a query", "less energy a query", "more energy a query"), said("latency", "faster", "slower")))
}

// Table lays the comparison out; resolve, where it is above 0, asks how many repeats
// would find a difference of that share.
func (c Comparison) Table(resolve float64) table.Table {
	t := table.Table{
		ID: "compare", Title: plaintext.Line(c.B.Name + " against " + c.A.Name), Simulated: c.A.simulated() != "" || c.B.simulated() != "",
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
	t.Notes = append(t.Notes, fmt.Sprintf("queries that both answered: %d; repeats: %d and %d; ±: half of a 95 %% interval, which holds what runs of the same work differ by",
		c.Queries, c.repeats(c.A), c.repeats(c.B)))
	if c.Unresolved > 0 {
		t.Notes = append(t.Notes, fmt.Sprintf("%d of them are left out of the energies: one side's is not resolved", c.Unresolved))
	}
	if c.Queries == 1 && slices.ContainsFunc(c.Figures, func(f Figure) bool { return f.Word() == verdict.Unknown }) {
		t.Notes = append(t.Notes, "One command that ran once on each side tells nothing of how much it differs from itself. Run it again, in turns, and name the sessions of a side together: A1,A2,A3 B1,B2,B3.")
	}
	for _, m := range c.Mismatches {
		t.Notes = append(t.Notes, "NOT COMPARABLE: "+m)
	}
	return t
}

func (c Comparison) repeats(s *Side) int {
	most := 0
	for _, r := range s.runs {
		most = max(most, len(r))
	}
	return most
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
func (c Comparison) Err() error {
	if len(c.Mismatches) == 0 {
		return nil
	}
	if c.Queries == 0 {
		return fmt.Errorf("%s and %s are %w, and have no query in common: %s", plaintext.Line(c.A.Name), plaintext.Line(c.B.Name), ErrMismatch, strings.Join(c.Mismatches, "; "))
	}
	return fmt.Errorf("%s and %s are %w: %s (--anyway compares them all the same)", plaintext.Line(c.A.Name), plaintext.Line(c.B.Name), ErrMismatch, strings.Join(c.Mismatches, "; "))
}
