package main

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/gonum/stat"

	"jouletop/engine/account"
	"jouletop/engine/analysis/curve"
	"jouletop/engine/event"
	"jouletop/gpu"
)

// The kinds of pass by which predictions are judged.
const (
	kindPrefill = "prefill-heavy"
	kindMixed   = "mixed"
	kindDecode  = "decode"
)

// heavyTokens of prompts make a pass prefill-heavy.
const heavyTokens = 128

func kindOf(it event.Iteration) string {
	switch {
	case it.PrefillTokens == 0:
		return kindDecode
	case it.PrefillTokens >= heavyTokens:
		return kindPrefill
	}
	return kindMixed
}

// replayed is a name of the sessions that replay one load, without and with a long
// request: same-1, long-1, …
const (
	replayedSame = "same"
	replayedLong = "long"
)

// served are sessions in which jouletop itself served, one load each, its repeats as runs of
// their own, recorded after each other on one machine.
type served struct {
	recording
	longest map[string]event.RequestEnergy // by session
}

// readServedSessions reads the session folders in dir. What the GPU did before the first
// pass and after the last (loading, warm-up) is left out, and the counter with it.
func readServedSessions(dir string) (*served, error) {
	s := &served{longest: map[string]event.RequestEnergy{}}
	folders, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var ends int64 // of what was read so far
	for _, f := range folders {
		path := filepath.Join(dir, f.Name())
		if _, err := os.Stat(filepath.Join(path, "iterations.csv")); err != nil {
			continue
		}
		runs, power, err := s.readSession(path)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if simulated := int64(100e9); runs[0].start < simulated { // each begins at no time
			shift(runs, power, ends+simulated)
		}
		ends = max(ends, runs[len(runs)-1].end)
		s.runs, s.power = append(s.runs, runs...), append(s.power, power...)
	}
	if len(s.runs) == 0 {
		return nil, fmt.Errorf("%s: no session in which requests were served", dir)
	}
	slices.SortFunc(s.runs, func(a, b recordedRun) int { return cmp.Compare(a.start, b.start) })
	slices.SortStableFunc(s.power, func(a, b event.Power) int { return cmp.Compare(a.TimeNS, b.TimeNS) })
	return s, nil
}

// shift moves runs in time.
func shift(runs []recordedRun, power []event.Power, by int64) {
	for i := range runs {
		r := &runs[i]
		r.start, r.end = r.start+by, r.end+by
		for i := range r.passes {
			it := &r.passes[i]
			it.StartNS, it.EndNS, it.TimeNS = it.StartNS+by, it.EndNS+by, it.TimeNS+by
		}
	}
	for i := range power {
		power[i].TimeNS += by
	}
}

// readSession reads one session with its readings: a run for each of its points, in order.
func (s *served) readSession(dir string) (runs []recordedRun, power []event.Power, err error) {
	name := filepath.Base(dir)
	kind, _, _ := strings.Cut(name, "-")
	points := map[string]int{} // what the ids of a point's passes and requests begin with, by its run
	runOf := func(id string) *recordedRun {
		point, _, _ := strings.Cut(id, "/")
		i, ok := points[point]
		if !ok {
			i = len(runs)
			points[point] = i
			runs = append(runs, recordedRun{name: fmt.Sprintf("%s-%d", name, i+1), kind: kind, load: kind})
		}
		return &runs[i]
	}
	if err := table(dir, "iterations.csv", func(field func(string) string) error {
		var it event.Iteration
		var err error
		n := func(name string) int {
			v, e := strconv.Atoi(field(name))
			err = errors.Join(err, e)
			return v
		}
		run := runOf(field("iteration_id"))
		it.IterationID, it.BatchID, it.GPU, it.Model = run.name+"/"+field("iteration_id"), run.name, field("gpu"), field("model")
		it.StartNS, it.EndNS = int64(n("start_ns")), int64(n("end_ns"))
		it.PrefillTokens, it.PrefillRequests, it.DecodeRequests, it.KVTokens = n("prefill_tokens"), n("prefill_requests"), n("decode_requests"), n("kv_tokens")
		it.Evaluations, it.TimeNS = 1, it.EndNS
		it.Members = []event.IterationMember{{RequestID: run.name, Evaluations: 1}} // whose it is does not matter here
		run.passes = append(run.passes, it)
		return err
	}); err != nil {
		return nil, nil, err
	}
	if len(runs) == 0 {
		return nil, nil, errors.New("no passes")
	}
	for i := range runs {
		runs[i].start, runs[i].end = runs[i].span()
	}
	if err := table(dir, "requests.csv", func(field func(string) string) error {
		var q event.RequestEnergy
		q.RequestID = field("request_id")
		q.InputTokens, _ = strconv.Atoi(field("input_tokens"))
		q.OutputTokens, _ = strconv.Atoi(field("output_tokens"))
		for name, to := range map[string]*float64{"energy_j": &q.EnergyJ, "energy_err_j": &q.EnergyErrJ, "marginal_energy_j": &q.MarginalJ, "marginal_energy_err_j": &q.MarginalErrJ} {
			*to = math.NaN()
			if v, err := strconv.ParseFloat(field(name), 64); err == nil {
				*to = v
			}
		}
		name := runOf(q.RequestID).name
		if longest := s.longest[name]; q.InputTokens+q.OutputTokens > longest.InputTokens+longest.OutputTokens {
			s.longest[name] = q
		}
		return nil
	}); err != nil {
		return nil, nil, err
	}
	start, end := runs[0].start, runs[len(runs)-1].end
	const around = int64(300e6)
	err = table(dir, "power.csv", func(field func(string) string) error {
		t, err := strconv.ParseInt(field("t_ns"), 10, 64)
		if err != nil || t < start-around || t > end+around || field("source") == gpu.SourceCounter {
			return err
		}
		p := event.Power{GPU: field("gpu"), PowerReading: gpu.PowerReading{TimeNS: t, Source: field("source"), CounterJ: math.NaN(), Fresh: field("fresh") == "1"}}
		p.PowerW, err = strconv.ParseFloat(field("power_w"), 64)
		power = append(power, p)
		return err
	})
	return runs, power, err
}

// servedSessions judges sessions of jouletop's own serving on a real GPU: a model learned
// on half of them predicts the others, as wholes and by kind of pass, and what the replays
// with and without a long request differ in is that request's marginal energy.
func servedSessions(dir string) error {
	s, err := readServedSessions(dir)
	if err != nil {
		return err
	}
	fmt.Printf("\nsessions of %s: %d\n", dir, len(s.runs))
	full, _ := s.account(func(string) bool { return false })
	var names []string
	for _, r := range s.runs {
		names = append(names, r.name)
	}
	for odd := range 2 {
		// By loads: neighbours may be the same load twice.
		out := func(run string) bool { return slices.Index(names, run)%2 == odd }
		learned, _ := s.account(out)
		kinds := map[string][2]float64{}
		worst := 0.0
		for i := range s.runs {
			r := &s.runs[i]
			if !out(r.name) {
				continue
			}
			off := s.predictKinds(r, full, learned, kinds)
			if math.Abs(off) > math.Abs(worst) {
				worst = off
			}
		}
		check(fmt.Sprintf("half %d learned on the other: worst run", odd+1), 100*worst, "%", -3, 3)
		for _, k := range []string{kindPrefill, kindMixed, kindDecode} {
			if j := kinds[k]; j[0] > 0 {
				check("    and all its passes that are "+k, 100*(j[1]/j[0]-1), "%", -5, 5)
			}
		}
	}
	return s.difference(full)
}

// predictKinds prints what a run drew and was expected to, adds both up by kind of pass,
// and returns by which part of the whole the expectation is off.
func (s *served) predictKinds(r *recordedRun, full, learned account.Meter, kinds map[string][2]float64) float64 {
	start, end := r.span()
	want, got := full.Window(start, end), learned.Expect(start, end)
	off := got.Likely()/want.Likely() - 1
	outside := ""
	if math.Abs(got.Likely()-want.Likely()) > math.Hypot(got.HalfWidth(), want.HalfWidth()) {
		outside = "  outside"
	}
	fmt.Printf("    %-14s %7.1f s %8.0f J ± %.0f, expected %8.0f ± %.0f (%+.2f %%)%s\n", r.name, float64(end-start)/1e9, want.Likely(), want.HalfWidth(), got.Likely(), got.HalfWidth(), 100*off, outside)
	for i := 0; i < len(r.passes); {
		// Passes of a kind that follow each other are measured together.
		k, j := kindOf(r.passes[i]), i
		for j+1 < len(r.passes) && kindOf(r.passes[j+1]) == k {
			j++
		}
		a, b := r.passes[i].StartNS, r.passes[j].EndNS
		sum := kinds[k]
		kinds[k] = [2]float64{sum[0] + full.Window(a, b).Likely(), sum[1] + learned.Expect(a, b).Likely()}
		i = j + 1
	}
	return off
}

// difference judges the long request by the replays.
func (s *served) difference(full account.Meter) error {
	totals := map[string][]float64{}
	var marginal, within []float64
	var window int64
	for i := range s.runs {
		a, b := s.runs[i].span()
		if k := s.runs[i].kind; k == replayedSame || k == replayedLong {
			window = max(window, b-a)
		}
	}
	if window == 0 {
		return nil
	}
	for i := range s.runs {
		r := &s.runs[i]
		if r.kind != replayedSame && r.kind != replayedLong {
			continue
		}
		a, b := r.span()
		// The rest of the window the GPU would have been as it was between busy times.
		const falls, reads = int64(100e6), int64(150e6) // ns
		idle := full.Window(b+falls, b+falls+reads).Likely() / (float64(reads) / 1e9)
		totals[r.kind] = append(totals[r.kind], full.Window(a, b).Likely()+idle*float64(window-(b-a))/1e9)
		if r.kind == replayedLong {
			q := s.longest[r.name]
			marginal, within = append(marginal, q.MarginalJ), append(within, q.MarginalErrJ)
		}
	}
	if len(totals[replayedSame]) < 2 || len(totals[replayedLong]) < 2 {
		return errors.New("to judge the long request, the replays with and without it must be there twice each")
	}
	m0, s0 := stat.MeanStdDev(totals[replayedSame], nil)
	m1, s1 := stat.MeanStdDev(totals[replayedLong], nil)
	n0, n1 := float64(len(totals[replayedSame])), float64(len(totals[replayedLong]))
	differ := m1 - m0
	give := curve.StudentT(n0+n1-2) * math.Sqrt(s0*s0/n0+s1*s1/n1)
	fmt.Printf("    replays: %.0f J without (%.0f), %.0f J with (%.0f) the long request: it added %.0f ± %.0f J\n", m0, n0, m1, n1, differ, give)
	for i := range marginal {
		check("its marginal energy, as stated, less that", marginal[i]-differ, "J", -math.Hypot(within[i], give), math.Hypot(within[i], give))
	}
	fmt.Printf("    stated ± %.0f J\n", stat.Mean(within, nil))
	return nil
}
