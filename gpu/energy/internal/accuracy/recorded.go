package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"sort"
	"strconv"

	"gonum.org/v1/gonum/mat"

	"jouletop/gpu"
	"jouletop/gpu/energy"
)

// sessionsDir is where recorded H100 sessions lie beside a checkout, if any do.
const sessionsDir = "../shared/data/h100/sessions"

// minBins is how many bins of a kind its coverage is judged by.
const minBins = 100

// recordings judges the estimates of recorded sessions, whose truth nobody knows, by
// what the recordings themselves say: each reading predicted from the others;
// equal phases, which should scatter no more than their intervals promise; and the
// sum of phases and gaps, which should be the integral. It returns how many targets
// were missed.
func recordings() (missed int, err error) {
	list, err := os.ReadDir(sessionsDir)
	if errors.Is(err, fs.ErrNotExist) {
		fmt.Printf("\nno recorded sessions beside this checkout (%s): not judged\n", sessionsDir)
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	fmt.Printf("\nrecorded sessions\n%-14s %-18s %7s %9s %9s %9s %7s %8s\n", "session", "kind", "n", "resolved", "scatter", "promised", "z-sd", "inside")
	groups, marked, worst := 0, 0, 0.0
	var outside []string
	for _, d := range list {
		s, err := readSession(filepath.Join(sessionsDir, d.Name()))
		if err != nil {
			return 0, err
		}
		m := energy.New(nil, energy.Options{})
		for _, r := range s.readings {
			m.Add(r)
		}
		for _, p := range s.phases {
			m.AddPhase(p.Phase)
		}
		for _, k := range m.Check() {
			if k.Bins >= minBins {
				name := fmt.Sprintf("%s %s b%d", d.Name(), k.Kind, k.Batch)
				// A share of n is itself known to two standard errors only.
				give := func(share float64) float64 { return 2 * math.Sqrt(share*(1-share)/float64(k.Bins)) }
				if k.Inside < 0.93-give(0.93) || k.Inside > 0.99+give(0.99) {
					outside = append(outside, fmt.Sprintf("%s: %.1f %% of %d", name, 100*k.Inside, k.Bins))
				}
			}
		}
		if s.mixed {
			continue
		}
		for _, g := range s.equal(m) {
			groups++
			worst = max(worst, g.zSD)
			mark := ""
			if g.zSD > 1.3 || g.inside < 0.88 {
				mark = "  <--"
				marked++
			}
			fmt.Printf("%-14s %-18s %7d %8.0f%% %7.1f W %7.1f W %7.2f %7.0f%%%s\n", d.Name(), g.name, g.n, 100*g.resolved, g.scatter, g.promised, g.zSD, 100*g.inside, mark)
		}
	}
	for _, t := range []struct {
		name, reached string
		ok            bool
	}{
		{"each reading inside the others' 95 % interval, 93 to 99 % a kind", fmt.Sprintf("%d outside", len(outside)), len(outside) == 0},
		{fmt.Sprintf("at most 2 of %d groups of equal phases scatter too much", groups), fmt.Sprint(marked), marked <= 2},
		{"no group scatters more than 1.6 times as promised", fmt.Sprintf("%.2f", worst), worst <= 1.6},
	} {
		mark := "met"
		if !t.ok {
			mark = "MISSED"
			missed++
		}
		fmt.Printf("%-66s %10s %10s\n", t.name, t.reached, mark)
	}
	for _, o := range outside {
		fmt.Println("  ", o)
	}
	return missed, nil
}

// recorded is a session as the files tell it.
type recorded struct {
	readings []gpu.PowerReading
	phases   []recordedPhase
	mixed    bool // prompts of unequal length
}

type recordedPhase struct {
	energy.Phase
	batch, point string
}

// equalGroup is a group of phases that did the same work.
type equalGroup struct {
	name                        string
	n                           int
	resolved, scatter, promised float64
	zSD, inside                 float64
}

// equal estimates the phases batch by batch and returns the groups of 12 or more
// that did the same work, the first four left out, for they warm up.
func (s *recorded) equal(m *energy.Meter) []equalGroup {
	type key struct {
		kind         string
		batch, token int
		point        string
	}
	type estimate struct{ secs, watts, sd float64 }
	found := map[key][]estimate{}
	n := map[key]int{}
	for i := 0; i < len(s.phases); {
		j := i
		var batch []energy.Phase
		for j < len(s.phases) && s.phases[j].batch == s.phases[i].batch {
			batch = append(batch, s.phases[j].Phase)
			j++
		}
		_, parts := m.Request(batch[0].Start, batch[len(batch)-1].End, batch)
		for k, e := range parts {
			p := s.phases[i+k]
			id := key{p.Kind, p.Batch, p.Tokens, p.point}
			n[id]++
			if n[id] > 4 && e.Resolved && p.Kind != energy.KindIdle && p.Kind != "mixed" {
				found[id] = append(found[id], estimate{p.Seconds(), e.Joules / p.Seconds(), e.ErrJ / 1.96 / p.Seconds()})
			}
		}
		i = j
	}
	var out []equalGroup
	for id, es := range found {
		if n[id]-4 < 12 || len(es) < 6 {
			continue
		}
		g := equalGroup{name: fmt.Sprintf("%s b%d", id.kind, id.batch), n: n[id] - 4, resolved: float64(len(es)) / float64(n[id]-4)}
		watts, secs := make([]float64, len(es)), make([]float64, len(es))
		for i, e := range es {
			watts[i], secs[i] = e.watts, e.secs
			g.promised += e.sd / float64(len(es))
		}
		rest := leftover(watts, secs)
		var z2, r2, inside float64
		for i, x := range rest {
			z2 += x / es[i].sd * x / es[i].sd
			r2 += x * x
			if math.Abs(x/es[i].sd) < 1.96 {
				inside++
			}
		}
		k := float64(len(es))
		g.scatter, g.zSD, g.inside = math.Sqrt(r2/(k-1)), math.Sqrt(z2/k), inside/k
		out = append(out, g)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].name < out[j].name })
	return out
}

// leftover is p less its least-squares fit on the order (two terms: the card warms
// up) and on the phases' own durations.
func leftover(p, secs []float64) []float64 {
	n := len(p)
	var mean float64
	for _, s := range secs {
		mean += s / float64(n)
	}
	A := mat.NewDense(n, 4, nil)
	for i := range n {
		x := float64(i) / float64(n)
		A.SetRow(i, []float64{1, x, x * x, secs[i]/mean - 1 + 1e-9*float64(i%7)})
	}
	var fit mat.VecDense
	y := mat.NewVecDense(n, p)
	if fit.SolveVec(A, y) != nil {
		return p
	}
	var got mat.VecDense
	got.MulVec(A, &fit)
	f := math.Sqrt(float64(n) / float64(n-4)) // the fit took its share
	out := make([]float64, n)
	for i := range out {
		out[i] = (p[i] - got.AtVec(i)) * f
	}
	return out
}

// readSession reads what is needed of a session's files.
func readSession(dir string) (*recorded, error) {
	s := &recorded{}
	err := eachRow(filepath.Join(dir, "power.csv"), func(cell func(string) string) {
		r := gpu.PowerReading{TimeNS: whole(cell("t_ns")), Source: cell("source"), PowerW: float(cell("power_w")), CounterJ: float(cell("energy_counter_j")), Fresh: cell("fresh") == "1"}
		s.readings = append(s.readings, r)
	})
	if err != nil {
		return nil, err
	}
	models, points := map[string]string{}, map[string]string{}
	if err := eachRow(filepath.Join(dir, "requests.csv"), func(cell func(string) string) {
		models[cell("batch_id")], points[cell("batch_id")] = cell("model"), cell("point_id")
	}); err != nil {
		return nil, err
	}
	prompt, prompts := 0.0, map[string]map[int]bool{}
	err = eachRow(filepath.Join(dir, "phases.csv"), func(cell func(string) string) {
		id := cell("batch_id")
		p := recordedPhase{batch: id, point: points[id], Phase: energy.Phase{
			Kind: cell("phase"), Batch: int(whole(cell("batch_size"))), Start: whole(cell("start_ns")), End: whole(cell("end_ns")),
			Tokens: int(whole(cell("tokens"))), SMMHz: int(whole(cell("requested_sm_mhz"))), Model: models[id],
		}}
		if p.Batch > 0 {
			each := float64(p.Tokens) / float64(p.Batch)
			switch p.Kind {
			case "prefill":
				prompt, p.Context = each, each
				if points[id] != "" {
					if prompts[points[id]] == nil {
						prompts[points[id]] = map[int]bool{}
					}
					prompts[points[id]][p.Tokens] = true
				}
			case "decode":
				p.Context = prompt + each/2
			}
		}
		s.phases = append(s.phases, p)
	})
	for _, sizes := range prompts {
		s.mixed = s.mixed || len(sizes) > 3
	}
	return s, err
}

func whole(s string) int64 {
	n, _ := strconv.ParseInt(s, 10, 64)
	return n
}

func float(s string) float64 {
	x, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return math.NaN()
	}
	return x
}

// eachRow calls f for the rows of a CSV file, with a function that gives cells by
// column.
func eachRow(file string, f func(cell func(string) string)) error {
	r, err := os.Open(file)
	if err != nil {
		return err
	}
	defer r.Close()
	rows, err := csv.NewReader(r).ReadAll()
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	column := map[string]int{}
	for i, c := range rows[0] {
		column[c] = i
	}
	for _, row := range rows[1:] {
		f(func(name string) string {
			if i, ok := column[name]; ok {
				return row[i]
			}
			return ""
		})
	}
	return nil
}
