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
	"strings"

	"gonum.org/v1/gonum/mat"

	"jouletop/gpu"
	"jouletop/gpu/energy"
)

// sessionsDir is where recorded H100 sessions lie beside a checkout, if any do.
const sessionsDir = "../shared/data/h100/sessions"

// minBins is how many bins of a kind its coverage is judged by.
const minBins = 100

// minEqual is of how many equal prefills nine in ten have to be resolved.
const minEqual = 60

// recordings judges the estimates of recorded sessions, whose truth nobody knows, by
// what the recordings themselves say: each reading predicted from the others;
// equal phases, which should scatter no more than their intervals promise; the
// sum of phases and gaps, which should be the integral; and steady blocks. It returns
// how many targets were missed.
func recordings() (missed int, err error) {
	list, err := os.ReadDir(sessionsDir)
	if errors.Is(err, fs.ErrNotExist) {
		fmt.Printf("\nno recorded sessions beside this checkout (%s): not judged\n", sessionsDir)
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	var sessions []*recorded
	for _, d := range list {
		s, err := readSession(filepath.Join(sessionsDir, d.Name()))
		if err != nil {
			return 0, err
		}
		s.estimate()
		sessions = append(sessions, s)
	}
	missed = groups(sessions) + coverage(sessions) + compositions(sessions)
	n, err := mixes(sessions)
	return missed + n, err
}

// coverage judges each reading by the others, and returns how many targets were
// missed.
func coverage(sessions []*recorded) int {
	var outside []string
	for _, s := range sessions {
		for _, k := range s.meter.Check() {
			if k.Bins < minBins {
				continue
			}
			// A share of n is itself known to two standard errors only.
			give := func(share float64) float64 { return 2 * math.Sqrt(share*(1-share)/float64(k.Bins)) }
			if k.Inside < 0.93-give(0.93) || k.Inside > 0.99+give(0.99) {
				outside = append(outside, fmt.Sprintf("%s %s b%d: %.1f %% of %d", s.name, k.Kind, k.Batch, 100*k.Inside, k.Bins))
			}
		}
	}
	missed := target("each reading inside the others' 95 % interval, 93 to 99 % a kind", fmt.Sprintf("%d outside", len(outside)), len(outside) == 0)
	for _, o := range outside {
		fmt.Println("  ", o)
	}
	return missed
}

// groups judges equal phases of the sessions without mixes by their scatter, and
// returns how many targets were missed.
func groups(sessions []*recorded) (missed int) {
	fmt.Printf("\nrecorded sessions\n%-14s %-18s %7s %9s %9s %9s %7s %8s\n", "session", "kind", "n", "resolved", "scatter", "promised", "z-sd", "inside")
	type named struct {
		session string
		equalGroup
	}
	var all []named
	marked, worst := 0, 0.0
	for _, s := range sessions {
		if s.mixed {
			continue
		}
		for _, g := range s.equal() {
			all = append(all, named{s.name, g})
			fmt.Printf("%-14s %-18s %7d %8.0f%%", s.name, g.name(), g.n, 100*g.resolved)
			if !g.judged {
				fmt.Println("  too few to judge")
				continue
			}
			worst = max(worst, g.zSD)
			mark := ""
			if g.zSD > 1.3 || g.inside < 0.88 {
				mark = "  <--"
				marked++
			}
			fmt.Printf(" %7.1f W %7.1f W %7.2f %7.0f%%%s\n", g.scatter, g.promised, g.zSD, 100*g.inside, mark)
		}
	}
	missed += target(fmt.Sprintf("at most 2 of %d groups of equal phases scatter too much", len(all)), fmt.Sprint(marked), marked <= 2)
	missed += target("no group scatters more than 1.6 times as promised", fmt.Sprintf("%.2f", worst), worst <= 1.6)
	for _, g := range all {
		if g.kind == "prefill" && g.n >= minEqual && (strings.HasSuffix(g.session, "_n1") || strings.HasSuffix(g.session, "_n20")) {
			missed += target(fmt.Sprintf("%s: at least 90 %% of %d equal prefills resolved", g.session, g.n), fmt.Sprintf("%.1f %%", 100*g.resolved), g.resolved >= 0.9)
		}
		if g.kind == "decode" && strings.HasPrefix(g.model, "8b") {
			missed += target(g.session+": 8B decodes promise their scatter within a factor 1.3", fmt.Sprintf("%.2f", g.promised/g.scatter), g.judged && g.promised <= 1.3*g.scatter && g.scatter <= 1.3*g.promised)
		}
	}
	return missed
}

// recorded is a session as the files tell it.
type recorded struct {
	readings []gpu.PowerReading
	phases   []recordedPhase
	mixed    bool // prompts of unequal length
	name     string

	meter     *energy.Meter
	buffer    integral
	estimates []energy.Estimate // of the phases, in their order
}

type recordedPhase struct {
	energy.Phase
	batch, point string
}

// block says whether p is part of a steady block.
func (p recordedPhase) block() bool { return strings.Contains(p.batch, "/block") }

// estimate lets a meter hear the session and asks it for each phase, batch by batch,
// as a recorder does.
func (s *recorded) estimate() {
	s.meter, s.buffer = energy.New(nil, energy.Options{}), bufferOf(s.readings)
	for _, r := range s.readings {
		s.meter.Add(r)
	}
	for _, p := range s.phases {
		s.meter.AddPhase(p.Phase)
	}
	for i := 0; i < len(s.phases); i = len(s.estimates) {
		var batch []energy.Phase
		for _, p := range s.phases[i:] {
			if p.batch != s.phases[i].batch {
				break
			}
			batch = append(batch, p.Phase)
		}
		_, parts := s.meter.Request(batch[0].Start, batch[len(batch)-1].End, batch)
		s.estimates = append(s.estimates, parts...)
	}
}

// equalGroup is a group of phases that did the same work.
type equalGroup struct {
	kind, model                 string
	batch, n                    int
	judged                      bool // enough are resolved to tell their scatter
	resolved, scatter, promised float64
	zSD, inside                 float64
}

func (g *equalGroup) name() string { return fmt.Sprintf("%s b%d", g.kind, g.batch) }

// equal returns the groups of 12 or more phases that did the same work, the first
// four left out, for they warm up.
func (s *recorded) equal() []equalGroup {
	type key struct {
		kind, model  string
		batch, token int
		point        string
	}
	type estimate struct{ secs, watts, sd float64 }
	found := map[key][]estimate{}
	n := map[key]int{}
	for i, p := range s.phases {
		if p.Kind == energy.KindIdle || p.Kind == "mixed" {
			continue
		}
		id := key{p.Kind, p.Model, p.Batch, p.Tokens, p.point}
		n[id]++
		if e := s.estimates[i]; n[id] > 4 && e.Resolved {
			found[id] = append(found[id], estimate{p.Seconds(), e.Joules / p.Seconds(), e.ErrJ / 1.96 / p.Seconds()})
		}
	}
	var out []equalGroup
	for id, n := range n {
		n -= 4
		if n < 12 {
			continue
		}
		es := found[id]
		g := equalGroup{kind: id.kind, model: id.model, batch: id.batch, n: n, judged: len(es) >= 6, resolved: float64(len(es)) / float64(n)}
		if !g.judged {
			out = append(out, g)
			continue
		}
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
	sort.Slice(out, func(i, j int) bool { return out[i].name()+out[i].model < out[j].name()+out[j].model })
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
	s := &recorded{name: filepath.Base(dir)}
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
