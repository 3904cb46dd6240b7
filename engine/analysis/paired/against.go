package paired

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"jouletop/engine/analysis/verdict"
	"jouletop/engine/event"
	"jouletop/gpu/plaintext"
)

// Comparison is one side against the baseline.
type Comparison struct {
	A, B *Side // the baseline first
	Job  int   // whose rows alone are compared: it ran both; 0: all are
	// Mismatches are the reasons for which they cannot be compared; none where they can.
	Mismatches []string
	Figures    []Figure
	Queries    int // that both answered
	Unresolved int // of them, left out of the energies: one side's is not resolved

	a, b *part
	// What both sides ran, in the same words, and the queries that both have.
	runsA, runsB map[query]map[int]*tally
	both         []query
}

// Figure is one figure of both sides.
type Figure struct {
	Name, Unit string
	Scale      float64 // of what is shown: ms are 1000
	verdict.Difference
}

// Names of figures.
const (
	Energy       = "energy a query"
	EnergyToken  = "energy a token"
	Latency      = "latency"
	EDP          = "EDP"
	TTFT         = "TTFT"
	Prefill      = "prefill"
	AfterPrefill = "after prefill"
	Quality      = "quality"
)

// Against compares b with the baseline a. Of two settings of one session what a job ran
// under both is compared, the last that did: what else ran under one of them is other
// work, at another time.
func Against(a, b *Side) Comparison { return against(a, b, false) }

// SoFar compares b with the baseline a while both still run: by the queries that both have
// answered yet.
func SoFar(a, b *Side) Comparison { return against(a, b, true) }

func against(a, b *Side, soFar bool) Comparison {
	c := Comparison{A: a, B: b, Job: SharedJob(a, b)}
	c.a, c.b = a.all(c.Job), b.all(c.Job)
	c.runsA, c.runsB = inOneWord(c.a, c.b)
	c.both = common(c.runsA, c.runsB)
	c.Mismatches = c.mismatches(soFar)
	c.Queries = len(c.both)
	energy, late := c.sides(joules), c.sides(latency)
	for _, p := range energy.Pairs {
		if math.IsNaN(p.A + p.B) {
			c.Unresolved++
		}
	}
	add := func(name, unit string, scale float64, d verdict.Difference) {
		if !math.IsNaN(d.A) && d.Queries > 0 {
			c.Figures = append(c.Figures, Figure{name, unit, scale, d})
		}
	}
	add(Energy, "J", 1, verdict.Compare(energy))
	add(EnergyToken, "J", 1, verdict.Compare(c.perToken(energy, event.CountedTokens)))
	add("energy a token, read too", "J", 1, verdict.Compare(c.perToken(energy, func(in, out float64) float64 { return in + out })))
	add(Latency, "s", 1, verdict.Compare(late))
	add(EDP, "J·s", 1, verdict.Compare(verdict.Product(energy, late)))
	add(TTFT, "ms", 1000, verdict.Compare(c.sides(ttft)))
	add(Prefill, "ms", 1000, verdict.Compare(c.sides(prefill)))
	add(AfterPrefill, "ms", 1000, verdict.Compare(c.sides(decode)))
	if d := verdict.Shift(c.sides(quality)); d.Queries > 0 {
		c.Figures = append(c.Figures, Figure{Quality, "", 1, d})
	}
	return c
}

// Figure returns the figure of that name; ok is false where it is not known.
func (c Comparison) Figure(name string) (f Figure, ok bool) {
	i := slices.IndexFunc(c.Figures, func(f Figure) bool { return f.Name == name })
	if i < 0 {
		return Figure{Name: name, Difference: verdict.Difference{A: math.NaN(), B: math.NaN(), Mean: math.NaN(), Half: math.NaN()}}, false
	}
	return c.Figures[i], true
}

// Phases are what the phases of a kind came to on both sides.
func (c Comparison) Phases(kind event.Phase) (a, b Phase) {
	if p := c.a.phases[kind]; p != nil {
		a = *p
	}
	if p := c.b.phases[kind]; p != nil {
		b = *p
	}
	return a, b
}

// Repeats are the most repeats that a query has on either side.
func (c Comparison) Repeats() (a, b int) { return c.a.repeats(), c.b.repeats() }

func (p *part) repeats() int {
	most := 0
	for _, r := range p.runs {
		most = max(most, len(r))
	}
	return most
}

// Simulated tells whether a side is.
func (c Comparison) Simulated() bool { return c.A.facts.Simulated || c.B.facts.Simulated }

// sides lays one figure of the same queries out in pairs, and in sums by repeat.
func (c Comparison) sides(of figure) verdict.Sides {
	s := verdict.Sides{}
	for _, q := range c.both {
		s.Pairs = append(s.Pairs, verdict.Pair{A: mean(c.runsA[q]).of(of), B: mean(c.runsB[q]).of(of)})
	}
	s.RunsA, s.RunsB = sums(c.runsA, c.both, of), sums(c.runsB, c.both, of)
	return s
}

// sums are a figure's means over the queries, in the order of the repeats; NaN of one that
// has not all of them.
func sums(runs map[query]map[int]*tally, queries []query, of figure) []float64 {
	repeats := map[int]bool{}
	for _, q := range queries {
		for r := range runs[q] {
			repeats[r] = true
		}
	}
	var out []float64
	for _, r := range slices.Sorted(maps.Keys(repeats)) {
		sum := 0.0
		for _, q := range queries {
			t := runs[q][r]
			if t == nil {
				sum = math.NaN() // it has none
				break
			}
			sum += t.of(of)
		}
		out = append(out, sum)
	}
	return out
}

// perToken turns energies into those over the mean tokens of a query, counted so.
func (c Comparison) perToken(energy verdict.Sides, counted func(in, out float64) float64) verdict.Sides {
	tokens := func(runs map[query]map[int]*tally) float64 {
		read, made := 0.0, 0.0
		for i, q := range c.both {
			if math.IsNaN(energy.Pairs[i].A + energy.Pairs[i].B) {
				continue
			}
			m := mean(runs[q])
			read, made = read+m.of(in), made+m.of(generated)
		}
		return counted(read, made)
	}
	ta, tb := tokens(c.runsA), tokens(c.runsB)
	n := 0.0
	for _, p := range energy.Pairs {
		if !math.IsNaN(p.A + p.B) {
			n++
		}
	}
	s := verdict.Sides{Pairs: slices.Clone(energy.Pairs), RunsA: energy.RunsA, RunsB: energy.RunsB}
	for i := range s.Pairs {
		s.Pairs[i].A *= n / ta
		s.Pairs[i].B *= n / tb
	}
	return s
}

// Sentence says in one line what the comparison came to.
func (c Comparison) Sentence() string {
	said := func(name, less, more string) string {
		f, ok := c.Figure(name)
		if !ok {
			return ""
		}
		size := fmt.Sprintf("%.1f ± %.1f %% ", 100*math.Abs(f.Mean), 100*f.Half)
		switch f.Word() {
		case verdict.Lower:
			return size + less
		case verdict.Higher:
			return size + more
		case verdict.Unresolved:
			return fmt.Sprintf("no difference in %s resolved (%s)", name, f.Difference)
		}
		return fmt.Sprintf("%s %s, and how surely is not known", name, f.Difference)
	}
	return plaintext.Line(fmt.Sprintf("%s against %s: %s, %s", c.B.Name, c.A.Name, said(Energy, "less energy a query", "more energy a query"), said(Latency, "faster", "slower")))
}

// InShort is Sentence for a room: 34 ± 2 % less energy, 4 ± 1 % slower.
func (c Comparison) InShort() string {
	energy, ok := c.Figure(Energy)
	late, okLate := c.Figure(Latency)
	said := func(f Figure, less, more string) string {
		switch f.Word() {
		case verdict.Lower:
			return f.Size() + " " + less
		case verdict.Higher:
			return f.Size() + " " + more
		}
		return ""
	}
	first, second := said(energy, "less energy", "more energy"), said(late, "faster", "slower")
	unresolved := func(f Figure) bool { return f.Word() == verdict.Unresolved }
	switch {
	case !ok && !okLate:
		return "nothing known of both"
	case first != "" && second != "":
		return first + ", " + second
	case unresolved(energy) && unresolved(late):
		return "no difference resolved"
	case first != "" && unresolved(late):
		return first + ", no difference in latency resolved"
	case second != "" && unresolved(energy):
		return "no difference in energy resolved, " + second
	case first != "":
		return first + ", latency unknown"
	case second != "":
		return "energy unknown, " + second
	}
	return "how sure a difference is is not known: it takes two queries"
}

// Size is how large the difference is, without its sign, to as many places as its interval
// allows: 34 ± 2 %.
func (f Figure) Size() string {
	number, half := f.Rounded()
	return strings.TrimPrefix(number, "-") + " ± " + half + " %"
}

// Rounded are the difference and the half of its interval in percent, to as many places as
// the latter allows: "-34" and "2". half is "" where it is not known.
func (f Figure) Rounded() (number, half string) {
	if math.IsNaN(f.Half) {
		return plain(100*f.Mean, 0), ""
	}
	places := 0
	// Rounded they must not say anything else: 1.4 ± 1.3 is no 1 ± 1.
	for ; places < 3; places++ {
		step := math.Pow10(-places)
		m, h := math.Round(100*math.Abs(f.Mean)/step), math.Round(100*f.Half/step)
		if 100*f.Half/step >= 0.95 && (m > h) == f.Resolved() {
			break
		}
	}
	return plain(100*f.Mean, places), plain(100*f.Half, places)
}

// plain is a number without a negative zero.
func plain(v float64, places int) string {
	text := fmt.Sprintf("%.*f", places, v)
	if strings.Trim(text, "-0.") == "" {
		text = strings.TrimPrefix(text, "-")
	}
	return text
}

// Work is a part of a comparison: a model, a dataset and a batch size.
type Work struct {
	Model, Dataset  string
	Batch, Queries  int
	Energy, Latency verdict.Difference
}

// Works are the parts, each compared by itself.
func (c Comparison) Works() []Work {
	var out []Work
	parts := map[query][]query{}
	for _, q := range c.both {
		of := query{model: q.model, dataset: q.dataset, batch: q.batch}
		parts[of] = append(parts[of], q)
	}
	for of, both := range parts {
		part := c
		part.both = both
		out = append(out, Work{of.model, of.dataset, of.batch, len(both), verdict.Compare(part.sides(joules)), verdict.Compare(part.sides(latency))})
	}
	slices.SortFunc(out, func(x, y Work) int {
		return cmp.Or(cmp.Compare(x.Model, y.Model), cmp.Compare(x.Dataset, y.Dataset), x.Batch-y.Batch)
	})
	return out
}
