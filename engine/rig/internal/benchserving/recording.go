package main

import (
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"jouletop/engine/account"
	"jouletop/engine/event"
	"jouletop/engine/serving/observed"
	"jouletop/gpu"
)

// recording is a real server under load: what its clients saw, and what the GPU drew.
type recording struct {
	runs  []recordedRun
	power []event.Power
}

// recordedRun is one load; its passes are what they must have been.
type recordedRun struct {
	name, kind string
	load       string // what runs of one load have in common
	start, end int64
	requests   []observed.Request
	passes     []event.Iteration
}

// span is the time in which the server worked.
func (r *recordedRun) span() (start, end int64) {
	return r.passes[0].StartNS, r.passes[len(r.passes)-1].EndNS
}

// table reads a CSV file and gives each row's fields by name.
func table(dir, file string, row func(field func(string) string) error) error {
	f, err := os.Open(filepath.Join(dir, file))
	if err != nil {
		return err
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil || len(rows) == 0 {
		return errors.Join(err, fmt.Errorf("%s: no rows", file))
	}
	for n, r := range rows[1:] {
		if err := row(func(name string) string {
			if i := slices.Index(rows[0], name); i >= 0 {
				return r[i]
			}
			return ""
		}); err != nil {
			return fmt.Errorf("%s:%d: %w", file, n+2, err)
		}
	}
	return nil
}

func readRecording(dir string) (*recording, error) {
	rec := &recording{}
	at := map[string]*recordedRun{}
	err := table(dir, "runs.csv", func(field func(string) string) (err error) {
		r := recordedRun{name: field("run"), kind: field("parameter"), load: field("kind") + " " + field("parameter")}
		var e1, e2 error
		r.start, e1 = strconv.ParseInt(field("start_ns"), 10, 64)
		r.end, e2 = strconv.ParseInt(field("end_ns"), 10, 64)
		rec.runs = append(rec.runs, r)
		return errors.Join(e1, e2)
	})
	if err != nil {
		return nil, err
	}
	for i := range rec.runs {
		at[rec.runs[i].name] = &rec.runs[i]
	}
	tokens := map[string][]int64{}
	if err := table(dir, "tokens.csv", func(field func(string) string) error {
		first, err := strconv.ParseInt(field("first_token_ns"), 10, 64)
		all := []int64{first}
		for _, us := range strings.Fields(field("later_tokens_us")) {
			n, e := strconv.ParseInt(us, 10, 64)
			all, err = append(all, first+n*1000), errors.Join(err, e)
		}
		tokens[field("run")+"/"+field("request")] = all
		return err
	}); err != nil {
		return nil, err
	}
	if err := table(dir, "requests.csv", func(field func(string) string) error {
		id := field("run") + "/" + field("request")
		q := observed.Request{ID: id, TokensNS: tokens[id], PromptS: math.NaN()}
		var errs [4]error
		cached := 0
		q.SentNS, errs[0] = strconv.ParseInt(field("sent_ns"), 10, 64)
		q.Prompt, errs[1] = strconv.Atoi(field("prompt_tokens"))
		q.Output, errs[2] = strconv.Atoi(field("output_tokens"))
		if c := field("cached_tokens"); c != "" {
			cached, errs[3] = strconv.Atoi(c)
		}
		q.Prompt -= cached
		if ms, err := strconv.ParseFloat(field("server_prompt_ms"), 64); err == nil {
			q.PromptS = ms / 1e3
		}
		if r := at[field("run")]; r != nil {
			r.requests = append(r.requests, q)
		}
		return errors.Join(errs[:]...)
	}); err != nil {
		return nil, err
	}
	if err := table(dir, "power.csv", func(field func(string) string) error {
		t, err := strconv.ParseInt(field("t_ns"), 10, 64)
		p := event.Power{GPU: field("gpu"), PowerReading: gpu.PowerReading{TimeNS: t, Source: field("source"), PowerW: math.NaN(), CounterJ: math.NaN(), Fresh: field("fresh") == "1"}}
		for name, to := range map[string]*float64{"power_w": &p.PowerW, "energy_counter_j": &p.CounterJ} {
			if v := field(name); v != "" {
				var e error
				*to, e = strconv.ParseFloat(v, 64)
				err = errors.Join(err, e)
			}
		}
		rec.power = append(rec.power, p)
		return err
	}); err != nil {
		return nil, err
	}
	slices.SortStableFunc(rec.power, func(a, b event.Power) int { return cmp.Compare(a.TimeNS, b.TimeNS) })
	rec.reconstruct()
	return rec, nil
}

// reconstruct finds the passes of all runs: of one server, its evaluations take the same
// in each.
func (rec *recording) reconstruct() {
	var all []observed.Request
	for _, r := range rec.runs {
		all = append(all, r.requests...)
	}
	for _, it := range observed.Passes(all) {
		for i := range rec.runs {
			if r := &rec.runs[i]; it.StartNS >= r.start-1e9 && it.EndNS <= r.end+1e9 {
				it.IterationID, it.BatchID, it.GPU, it.Model = r.name+"/"+it.IterationID, r.name, rec.power[0].GPU, "8b"
				r.passes = append(r.passes, it)
				break
			}
		}
	}
	rec.runs = slices.DeleteFunc(rec.runs, func(r recordedRun) bool { return len(r.passes) == 0 })
}

// untouched knows of no clocks: nobody set any.
type untouched struct{}

func (untouched) RequestedIn(int64, int64) (int, bool) { return 0, false }
func (untouched) FlagsIn(int64, int64) event.Flags     { return "" }
func (untouched) Confirmed() int64                     { return math.MaxInt64 }
func (untouched) Forget(int64)                         {}

// pieceNS is how long a piece of a busy time is at least, as where a run is live.
const pieceNS = int64(2e9)

// stretch is a time in ns.
type stretch struct{ start, end int64 }

// spans are the times of some runs.
func (rec *recording) spans(of func(run string) bool) (all []stretch) {
	for _, r := range rec.runs {
		if of(r.name) {
			s, e := r.span()
			all = append(all, stretch{s, e})
		}
	}
	return all
}

// account replays the recording into an account, the readings of some runs left out, and
// returns its meter and the rows of the requests.
func (rec *recording) account(without func(run string) bool) (account.Meter, map[string]event.RequestEnergy) {
	return rec.accountBut(rec.spans(without))
}

// accountBut is account, the readings in some times left out.
func (rec *recording) accountBut(hidden []stretch) (account.Meter, map[string]event.RequestEnergy) {
	m := account.NewMeter(rec.power[0].GPU, nil, 700)
	a := account.New(account.Meters{m}, untouched{})
	var evs []event.Event
	for _, p := range rec.power {
		const beyond = int64(100e6)
		out := slices.ContainsFunc(hidden, func(h stretch) bool { return p.TimeNS > h.start-beyond && p.TimeNS < h.end+beyond })
		if !out {
			evs = append(evs, p)
		}
	}
	for _, r := range rec.runs {
		s, e := r.span()
		evs = append(evs, event.BatchStart{At: event.At{TimeNS: s}, BatchID: r.name, PointID: r.name, Open: true})
		for i, it := range r.passes {
			evs = append(evs, it)
			if it.EndNS-s >= pieceNS || i == len(r.passes)-1 {
				evs = append(evs, event.PhaseEnd{At: it.At, PhaseSpan: event.PhaseSpan{BatchID: r.name, Phase: event.Mixed, StartNS: s, EndNS: it.EndNS}})
				s = it.EndNS
			}
		}
		for _, q := range r.requests {
			if len(q.TokensNS) > 0 {
				end := min(q.TokensNS[len(q.TokensNS)-1], e)
				evs = append(evs, event.RequestDone{At: event.At{TimeNS: end}, Request: event.Request{RequestID: q.ID, BatchID: r.name, StartNS: q.SentNS, EndNS: end, InputTokens: q.Prompt, OutputTokens: q.Output}})
			}
		}
		evs = append(evs, event.BatchEnd{At: event.At{TimeNS: e + 1}, BatchID: r.name, Requests: len(r.requests)})
	}
	slices.SortStableFunc(evs, func(a, b event.Event) int { return cmp.Compare(a.When(), b.When()) })
	rows := map[string]event.RequestEnergy{}
	take := func(evs []event.Event) {
		for _, ev := range evs {
			if r, ok := ev.(event.RequestEnergy); ok {
				rows[r.RequestID] = r
			}
		}
	}
	for _, ev := range evs {
		take(a.Observe(ev))
	}
	take(a.Flush())
	return m, rows
}

// warm is a run that no one learns from or is judged by: kernels are loaded in it.
const warm = "warm"

// recorded judges the recording of a real server.
func recorded(dir string) error {
	rec, err := readRecording(dir)
	if errors.Is(err, fs.ErrNotExist) {
		fmt.Printf("\nno recording of a server beside this checkout (%s): not judged\n", dir)
		return nil
	}
	if err != nil {
		return err
	}
	passes, evaluations := 0, 0
	for _, r := range rec.runs {
		for _, it := range r.passes {
			passes, evaluations = passes+1, evaluations+it.Evaluations
		}
	}
	fmt.Printf("\nrecording of a server: %d runs, %d passes, %d evaluations of the model\n", len(rec.runs), passes, evaluations)
	full, rows := rec.account(func(string) bool { return false })
	var names []string
	for _, r := range rec.runs {
		if r.name != warm {
			names = append(names, r.name)
		}
	}
	half := func(odd int) func(string) bool {
		return func(run string) bool { return slices.Index(names, run)%2 == odd || run == warm }
	}
	for odd := range 2 {
		out := half(odd)
		learned, _ := rec.account(out)
		for i := range rec.runs {
			r := &rec.runs[i]
			if r.name == warm || !out(r.name) {
				continue
			}
			rec.predict(r, full, learned)
		}
	}
	rec.long(rows)
	return nil
}

// predict judges what one meter expects of a run by what another measured.
func (rec *recording) predict(r *recordedRun, full, learned account.Meter) {
	s, e := r.span()
	want, got := full.Window(s, e), learned.Expect(s, e)
	const window = int64(200e6)
	var squares, n, near float64
	for at := s; at+window <= e; at += window {
		w, g := full.Window(at, at+window), learned.Expect(at, at+window)
		d := g.Likely()/w.Likely() - 1
		squares, n = squares+d*d, n+1
		if math.Abs(d) <= 0.1 {
			near++
		}
	}
	check(fmt.Sprintf("%s, learned on other runs: energy of the run", r.name), 100*(got.Likely()/want.Likely()-1), "%", -4, 4)
	check("    and of its windows of 0.2 s (rms)", 100*math.Sqrt(squares/n), "%", 0, 10)
	fmt.Printf("    %.0f J of %.0f ± %.0f; %.0f %% of the windows within 10 %%\n", got.Likely(), want.Likely(), want.HalfWidth(), 100*near/n)
}

// long judges the one request that some replays have and others do not, by what the
// replays differ in.
func (rec *recording) long(rows map[string]event.RequestEnergy) {
	const differ, give = 410, 75 // J: four replays with it, four without
	for _, r := range rec.runs {
		if r.kind != "with" {
			continue
		}
		longest := slices.MaxFunc(r.requests, func(a, b observed.Request) int { return cmp.Compare(a.Prompt+a.Output, b.Prompt+b.Output) })
		q := rows[longest.ID]
		check(fmt.Sprintf("%s, %d + %d tokens: its marginal energy", longest.ID, longest.Prompt, longest.Output), q.MarginalJ, "J", differ-give, differ+give)
		check("    and how far the replays' difference lies from it", math.Abs(q.MarginalJ-differ), "J", 0, math.Hypot(q.MarginalErrJ, give))
		fmt.Printf("    marginal ± %.0f J; its share %.0f ± %.0f J; by tokens %.0f J, by capped tokens %.0f J\n", q.MarginalErrJ, q.EnergyJ, q.EnergyErrJ, q.TokenJ, q.CappedJ)
	}
}
