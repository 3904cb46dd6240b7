package main

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"jouletop/engine/account"
)

// split is a way to divide a recording into what a model learns from and what it is
// judged by.
type split struct {
	name   string
	hidden []stretch // learned from all else
	judged []judged
}

// judged is a part of a run, predicted as a whole.
type judged struct {
	run *recordedRun
	stretch
}

// splits are the ways that say something: each run by all others and by one alone, loads
// that no other run had, light by heavy and heavy by light, the halves of each run in
// time, and by little.
func (rec *recording) splits() (all []split) {
	runs := map[string]*recordedRun{}
	var names []string
	for i := range rec.runs {
		if r := &rec.runs[i]; r.name != warm {
			runs[r.name], names = r, append(names, r.name)
		}
	}
	// by judges those in out, and learns from those in of.
	by := func(name string, of, out []string) {
		s := split{name: name, hidden: rec.spans(func(run string) bool { return !slices.Contains(of, run) })}
		for _, n := range out {
			a, b := runs[n].span()
			s.judged = append(s.judged, judged{runs[n], stretch{a, b}})
		}
		all = append(all, s)
	}
	but := func(out ...string) (of []string) {
		for _, n := range names {
			if !slices.Contains(out, n) {
				of = append(of, n)
			}
		}
		return of
	}
	for _, n := range names {
		by("all others", but(n), []string{n})
	}
	kinds := map[string][]string{}
	var order []string
	for _, n := range names {
		k := runs[n].load
		if kinds[k] == nil {
			order = append(order, k)
		}
		kinds[k] = append(kinds[k], n)
	}
	for _, k := range order {
		if len(kinds[k]) > 1 {
			by("no "+k, but(kinds[k]...), kinds[k])
		}
	}
	for _, n := range names {
		by("only "+n, []string{n}, but(n))
	}
	slices.SortStableFunc(names, func(a, b string) int { return cmpDecodes(runs[a], runs[b]) })
	by("the lighter half", names[:len(names)/2], names[len(names)/2:])
	by("the heavier half", names[len(names)/2:], names[:len(names)/2])
	for half, name := range []string{"the first half of each", "the second half of each"} {
		s := split{name: name}
		for _, n := range names {
			a, b := runs[n].span()
			first, second := stretch{a, (a + b) / 2}, stretch{(a + b) / 2, b}
			if half == 1 {
				first, second = second, first
			}
			s.hidden = append(s.hidden, second)
			s.judged = append(s.judged, judged{runs[n], second})
		}
		all = append(all, s)
	}
	for _, seconds := range []int64{1, 2} {
		s := split{name: fmt.Sprintf("%d s of each", seconds)}
		for _, n := range names {
			a, b := runs[n].span()
			from := a + (b-a)/3
			to := min(from+seconds*1e9, b)
			s.hidden = append(s.hidden, stretch{a, from}, stretch{to, b})
			s.judged = append(s.judged, judged{runs[n], stretch{to, b}})
		}
		all = append(all, s)
	}
	return all
}

// cmpDecodes orders runs by how many sequences decode together.
func cmpDecodes(a, b *recordedRun) int {
	mean := func(r *recordedRun) float64 {
		sum, n := 0.0, 0.0
		for _, it := range r.passes {
			sum, n = sum+float64(it.DecodeRequests), n+float64(max(it.Evaluations, 1))
		}
		return sum / n
	}
	switch x, y := mean(a), mean(b); {
	case x < y:
		return -1
	case x > y:
		return 1
	}
	return 0
}

// allSplits prints what is learned by each split says of the rest of a recording.
func allSplits(dir string, sessions bool) error {
	var rec *recording
	var err error
	if sessions {
		var s *served
		if s, err = readServedSessions(dir); s != nil {
			rec = &s.recording
		}
	} else {
		rec, err = readRecording(dir)
	}
	if err != nil {
		return err
	}
	full, _ := rec.account(func(string) bool { return false })
	fmt.Printf("%-24s %-12s %8s %8s %8s %8s  %-6s %8s %8s\n", "learned on", "run", "J", "expected", "off %", "± %", "", "0.2s rms", "in 10 %")
	var worst float64
	outside, n := 0, 0
	for _, s := range rec.splits() {
		learned, _ := rec.accountBut(s.hidden)
		for _, j := range s.judged {
			off, within, rms, near := j.off(full, learned)
			verdict := ""
			n++
			if math.Abs(off) > within {
				verdict = "OUT"
				outside++
			}
			if math.IsNaN(off) {
				return errors.New("nothing learned")
			}
			worst = max(worst, math.Abs(off))
			w, g := full.Window(j.start, j.end), learned.Expect(j.start, j.end)
			fmt.Printf("%-24s %-12s %8.0f %8.0f %+8.2f %8.2f  %-6s %8.1f %8.0f\n", s.name, j.run.name, w.Likely(), g.Likely(), off, within, verdict, rms, near)
		}
	}
	fmt.Printf("worst %.1f %% of %d\n", worst, n)
	check("parts that lie outside of the stated interval", 100*float64(outside)/float64(n), "%", 0, 5)
	return nil
}

// off is by how many percent what was learned is off, and what is stated of that; the
// same of its windows of 0.2 s (root mean square), and how many percent of those are
// within 10 %.
func (j judged) off(full, learned account.Meter) (off, within, rms, near float64) {
	w, g := full.Window(j.start, j.end), learned.Expect(j.start, j.end)
	off = 100 * (g.Likely()/w.Likely() - 1)
	within = 100 * math.Hypot(g.HalfWidth(), w.HalfWidth()) / w.Likely()
	const window = int64(200e6)
	n := 0.0
	for at := j.start; at+window <= j.end; at += window {
		d := learned.Expect(at, at+window).Likely()/full.Window(at, at+window).Likely() - 1
		rms, n = rms+d*d, n+1
		if math.Abs(d) <= 0.1 {
			near++
		}
	}
	return off, within, 100 * math.Sqrt(rms/n), 100 * near / n
}
