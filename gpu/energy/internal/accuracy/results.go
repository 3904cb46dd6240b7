package main

import (
	"fmt"
	"math"
	"sort"
	"strings"
	"time"

	"jouletop/gpu"
	"jouletop/gpu/energy"
)

// naiveSource stands for integrating the polled 1 s average over the window.
const naiveSource = "naive"

// row names a row of the table.
type row struct {
	length time.Duration
	source string
	what   string
}

// tally holds the errors of a row, relative to the truth.
type tally struct {
	n       int       // asked for
	errors  []float64 // of those resolved
	width   float64   // sum of the bounds, relative
	covered int       // truth within the bound
	below   int       // unresolved, and the truth was at most the bound
}

func (t *tally) mean() (abs, bias float64) {
	for _, e := range t.errors {
		abs += math.Abs(e)
		bias += e
	}
	n := float64(len(t.errors))
	return abs / n, bias / n
}

// quantile of the absolute errors.
func (t *tally) quantile(q float64) float64 {
	if len(t.errors) == 0 {
		return math.NaN()
	}
	a := make([]float64, len(t.errors))
	for i, e := range t.errors {
		a[i] = math.Abs(e)
	}
	sort.Float64s(a)
	return a[min(int(q*float64(len(a))), len(a)-1)]
}

func (t *tally) coverage() float64 { return float64(t.covered) / float64(len(t.errors)) }

// results of many boards.
type results struct {
	rows      map[row]*tally
	simulated float64 // s
	metered   float64 // s of simulated time that the meters with all sources saw
	cpu       time.Duration
	readings  int
	phases    int
}

func newResults() *results { return &results{rows: map[row]*tally{}} }

func (r *results) count(src string, n *int) {
	if src == best {
		*n++
	}
}

func (r *results) add(k row, e energy.Estimate, truth float64) {
	t := r.rows[k]
	if t == nil {
		t = &tally{}
		r.rows[k] = t
	}
	t.n++
	if !e.Resolved {
		if truth <= e.ErrJ {
			t.below++
		}
		return
	}
	t.errors = append(t.errors, (e.Joules-truth)/truth)
	t.width += e.ErrJ / truth
	if math.Abs(e.Joules-truth) <= e.ErrJ {
		t.covered++
	}
}

func (r *results) merge(o *results) {
	for k, t := range o.rows {
		a := r.rows[k]
		if a == nil {
			r.rows[k] = t
			continue
		}
		a.n += t.n
		a.errors = append(a.errors, t.errors...)
		a.width += t.width
		a.covered += t.covered
		a.below += t.below
	}
	r.simulated += o.simulated
	r.metered += o.metered
	r.cpu += o.cpu
	r.readings += o.readings
	r.phases += o.phases
}

// naive books what tools do that integrate nvidia-smi's power: the polled 1 s
// average, each value until the next, over the window. It states no bound.
func (r *results) naive(j job, rec recording, where string) {
	var average []gpu.PowerReading
	for _, it := range rec.items {
		if it.phase.Kind == "" && it.reading.Source == gpu.SourceAverage {
			average = append(average, it.reading)
		}
	}
	integrate := func(start, end int64) energy.Estimate {
		e := energy.Estimate{Resolved: true}
		i := max(sort.Search(len(average), func(i int) bool { return average[i].TimeNS > start })-1, 0)
		for ; i+1 < len(average) && average[i].TimeNS < end; i++ {
			a, b := max(average[i].TimeNS, start), min(average[i+1].TimeNS, end)
			e.Joules += average[i].PowerW * float64(max(b-a, 0)) / 1e9
		}
		return e
	}
	for _, q := range rec.requests {
		r.add(row{j.length, naiveSource, "request " + where}, integrate(q.start, q.end), q.joules)
		for i, p := range q.phases {
			r.add(row{j.length, naiveSource, p.Kind + " " + where}, integrate(p.Start, p.End), q.phaseJ[i])
		}
	}
	if !j.alone {
		r.add(row{j.length, naiveSource, "stream's total"}, integrate(rec.requests[0].start, rec.requests[len(rec.requests)-1].end), rec.whole)
	}
}

// what the table shows, in order.
var what = []string{"stream's total", "request in a stream", "request alone", "prefill in a stream", "decode in a stream", "prefill alone", "decode alone", "prefill in a block", "decode in a block"}

func (r *results) print() {
	fmt.Printf("%-8s %-20s %-9s %6s %9s %9s %9s %9s %9s %9s\n", "length", "energy of", "by", "n", "resolved", "mean|err|", "bias", "95% below", "bound", "coverage")
	for _, l := range lengths {
		for _, w := range what {
			for _, src := range []string{best, gpu.SourceCounter, gpu.SourceInstant, naiveSource} {
				t := r.rows[row{l.length, src, w}]
				if t == nil {
					continue
				}
				name := src
				if src == best {
					name = "jouletop"
				}
				if len(t.errors) == 0 {
					fmt.Printf("%-8v %-20s %-9s %6d %8.1f%%\n", l.length, w, name, t.n, 0.0)
					continue
				}
				abs, bias := t.mean()
				fmt.Printf("%-8v %-20s %-9s %6d %8.1f%% %8.2f%% %+8.2f%% %8.2f%%", l.length, w, name, t.n, 100*float64(len(t.errors))/float64(t.n), 100*abs, 100*bias, 100*t.quantile(0.95))
				if src != naiveSource {
					fmt.Printf(" %8.2f%% %8.1f%%", 100*t.width/float64(len(t.errors)), 100*t.coverage())
				}
				fmt.Println()
			}
		}
	}
}

// check prints the targets with what was reached and returns how many were missed.
func (r *results) check() (missed int) {
	fmt.Printf("\n%-66s %10s %10s\n", "target", "reached", "")
	verdict := func(name, reached string, ok bool) {
		missed += target(name, reached, ok)
	}
	pct := func(x float64) string { return fmt.Sprintf("%.2f %%", 100*x) }
	const minCover, maxCover = 0.93, 0.99
	pool := map[string]*tally{} // rows too few a length for a coverage of their own
	for _, l := range lengths {
		get := func(w string) *tally { return r.rows[row{l.length, best, w}] }
		total := get("stream's total")
		verdict(fmt.Sprintf("%v: every stream's total within 1 %%", l.length), pct(total.quantile(1)), total.quantile(1) <= 0.01)
		for _, w := range what {
			t := get(w)
			abs, _ := t.mean()
			short := l.length <= 100*time.Millisecond
			switch {
			case strings.HasPrefix(w, "request"):
				verdict(fmt.Sprintf("%v: %s, mean error at most 2 %%", l.length, w), pct(abs), abs <= 0.02)
			case strings.HasSuffix(w, "block"):
				verdict(fmt.Sprintf("%v: %s, every one within 3 %%", l.length, w), pct(t.quantile(1)), t.quantile(1) <= 0.03)
			case w != "stream's total" && short:
				verdict(fmt.Sprintf("%v: %s, 95 %% of those resolved within 10 %%", l.length, w), pct(t.quantile(0.95)), t.quantile(0.95) <= 0.10)
			case w != "stream's total":
				verdict(fmt.Sprintf("%v: %s, 95 %% within 5 %%", l.length, w), pct(t.quantile(0.95)), t.quantile(0.95) <= 0.05)
			}
			if t.n < 500 {
				name := w
				if strings.HasSuffix(w, "block") {
					name = "phases in blocks"
				}
				if pool[name] == nil {
					pool[name] = &tally{}
				}
				pool[name].errors = append(pool[name].errors, t.errors...)
				pool[name].covered += t.covered
				continue
			}
			c := t.coverage()
			// A share of n draws is itself known to two standard errors only.
			give := 2 * math.Sqrt(c*(1-c)/float64(len(t.errors)))
			verdict(fmt.Sprintf("%v: %s, truth inside the bound 93 to 99 %% (± %.1f)", l.length, w, 100*give), pct(c), c >= minCover-give && c <= maxCover+give)
			if un := t.n - len(t.errors); un >= 20 {
				c := float64(t.below) / float64(un)
				verdict(fmt.Sprintf("%v: %s, unresolved, truth below the bound", l.length, w), pct(c), c >= minCover)
			}
		}
	}
	for _, w := range []string{"stream's total", "phases in blocks"} {
		if t := pool[w]; t != nil {
			verdict(fmt.Sprintf("%s at all lengths, truth inside the 95 %% bound at least 93 %%", w), pct(t.coverage()), t.coverage() >= minCover)
		}
	}
	cost := r.cpu.Seconds() / r.metered
	verdict("estimating, under 2 % of one core", pct(cost), cost < 0.02)
	return missed
}
