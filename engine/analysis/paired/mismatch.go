package paired

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"jouletop/engine/event"
	"jouletop/gpu/plaintext"
)

// mismatches are the reasons for which the sides are not the same but for their setting;
// so far, queries that one side has not answered are none.
func (c Comparison) mismatches(soFar bool) []string {
	var out []string
	for _, side := range []*Side{c.A, c.B} {
		for _, p := range side.parts[min(1, len(side.parts)):] {
			for _, m := range against(side.parts[0], p, false).Mismatches {
				if m = "within " + plaintext.Line(side.Name) + ", " + m; !slices.Contains(out, m) {
					out = append(out, m)
				}
			}
		}
	}
	a, b := c.a, c.b
	differ := func(what, of, than string) {
		if of != than {
			out = append(out, fmt.Sprintf("%s: %s against %s", what, cmp.Or(plaintext.Line(of), "none"), cmp.Or(plaintext.Line(than), "none")))
		}
	}
	x, y := &c.A.facts, &c.B.facts
	differ("measured or not", x.measured(), y.measured())
	differ("device", x.device(a), y.device(b))
	differ("backend", x.Backend, y.Backend)
	differ("model", x.models(a), y.models(b))
	differ("dataset", x.datasets(a), y.datasets(b))
	differ("batch size", a.batches(), b.batches())
	if len(x.Load) == len(y.Load) {
		for i, f := range x.Load {
			differ(f.Name, f.Value, y.Load[i].Value)
		}
	} else {
		differ("load", x.load(), y.load())
	}
	out = append(out, c.workload(soFar)...)
	differ("sensor", a.method(), b.method())
	if x, y := a.throttle > throttled, b.throttle > throttled; x || y {
		out = append(out, fmt.Sprintf("throttling: a limit held the clock down for up to %s of a point's time against %s", percent(a.throttle), percent(b.throttle)))
	}
	if x, y := a.spoilt(), b.spoilt(); x != "" || y != "" {
		out = append(out, fmt.Sprintf("flags: %s against %s", cmp.Or(plaintext.Line(string(x)), "none"), cmp.Or(plaintext.Line(string(y)), "none")))
	}
	if a.failed > 0 || b.failed > 0 {
		out = append(out, fmt.Sprintf("failures: %s against %d", plaintext.Plural(a.failed, "failed request"), b.failed))
	}
	return out
}

// throttled is from what share of the time on, in percent, a point counts as throttled.
const throttled = 1

func percent(v float64) string {
	if math.IsNaN(v) {
		return "an unknown share"
	}
	return fmt.Sprintf("%.3g %%", v)
}

// harmless are flags of rows that can be compared all the same: queries whose energy is
// not resolved are left out by themselves, the rest is said of both sides or of what was
// left out of the readings.
var harmless = []event.Flag{
	event.FlagEnergyUnresolved, event.FlagFailedRequests, event.FlagThrottled, event.FlagNoAnswer,
	event.FlagSensorImplausible, event.FlagSensorZero, event.FlagSensorOutvoted, event.FlagRetried,
}

// spoilt are the flags for which a side is not what it says, or not known well.
func (p *part) spoilt() event.Flags { return p.flags.Without(harmless...) }

// measured names what is not measured.
func (f *Facts) measured() string {
	if f.Simulated {
		return "simulated"
	}
	return "measured"
}

// load is how requests came.
func (f *Facts) load() string {
	if len(f.Load) == 0 {
		return "batches"
	}
	return f.Load[0].Value
}

// device is what ran, and under which limit.
func (f *Facts) device(p *part) string {
	var out []string
	for _, g := range f.GPUs {
		if p.gpus[g.ID] || len(p.gpus) == 0 {
			out = append(out, g.Text)
		}
	}
	if len(out) == 0 {
		out = slices.Sorted(maps.Keys(p.gpus))
	}
	return strings.Join(out, ", ")
}

// models are the models that ran, by their content where it is known.
func (f *Facts) models(p *part) string {
	return p.used(func(q query) string { return cmp.Or(f.Models[q.model], q.model) })
}

func (f *Facts) datasets(p *part) string {
	return p.used(func(q query) string { return cmp.Or(f.Datasets[q.dataset], q.dataset) })
}

// used lists what the queries are of, each once.
func (p *part) used(of func(query) string) string {
	used := map[string]bool{}
	for q := range p.runs {
		used[of(q)] = true
	}
	return strings.Join(slices.Sorted(maps.Keys(used)), ", ")
}

func (p *part) batches() string {
	used := map[int]bool{}
	for q := range p.runs {
		used[q.batch] = true
	}
	var out []string
	for _, n := range slices.Sorted(maps.Keys(used)) {
		out = append(out, fmt.Sprint(n))
	}
	return strings.Join(out, ", ")
}

// method is how most of the energy was obtained.
func (p *part) method() string {
	best := ""
	for _, m := range slices.Sorted(maps.Keys(p.methods)) {
		if best == "" || p.methods[m] > p.methods[best] {
			best = m
		}
	}
	return best
}

// tokensMay is by how much, as a share, tokens of the same queries may differ: a text
// that a rounding ends a token earlier, not another text.
const tokensMay = 0.005

// workload compares which queries ran, and how many tokens they had.
func (c Comparison) workload(soFar bool) []string {
	var out []string
	a, b := c.a, c.b
	if n := len(c.both); !soFar && (n < len(a.runs) || n < len(b.runs)) {
		out = append(out, fmt.Sprintf("workload: %s against %d, of which %d are the same", queries(len(a.runs)), len(b.runs), n))
	}
	var read, otherRead, made, otherMade float64
	for _, q := range c.both {
		x, y := mean(c.runsA[q]), mean(c.runsB[q])
		read, otherRead, made, otherMade = read+x.of(in), otherRead+y.of(in), made+x.of(generated), otherMade+y.of(generated)
	}
	for _, t := range []struct {
		what string
		a, b float64
	}{{"input", read, otherRead}, {"output", made, otherMade}} {
		if math.Abs(t.a-t.b) > tokensMay*max(t.a, t.b) {
			out = append(out, fmt.Sprintf("tokens: %.0f %s tokens against %.0f over the same queries", t.a, t.what, t.b))
		}
	}
	return out
}

func queries(n int) string {
	if n == 1 {
		return "1 query"
	}
	return fmt.Sprintf("%d queries", n)
}

// common are the queries of both, in an order of their own.
func common(a, b map[query]map[int]*tally) []query {
	var out []query
	for q := range a {
		if b[q] != nil {
			out = append(out, q)
		}
	}
	slices.SortFunc(out, func(x, y query) int {
		return cmp.Or(cmp.Compare(x.model, y.model), cmp.Compare(x.dataset, y.dataset), cmp.Compare(x.id, y.id), x.batch-y.batch)
	})
	return out
}
