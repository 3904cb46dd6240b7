package session

import (
	"bytes"
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"jouletop/engine"
	"jouletop/engine/event"
	"jouletop/gpu"
	"jouletop/gpu/host"
)

func manifest() Manifest {
	return Manifest{Program: "jouletop test", Name: "sweep", Simulated: true, Backend: "sim", Plan: Plan{Serving: &Serving{Concurrency: 4}}, HostSources: []host.Source{{ID: "rapl:package-0", RangeJ: 262143.32885}}}
}

// iteration is a row of iterations.csv.
func iteration() event.IterationEnergy {
	return event.IterationEnergy{
		At: at(55), IterationSpan: event.IterationSpan{IterationID: "p1/i1", BatchID: "p1/s1", GPU: "sim:h100", Model: "llama-15m", StartNS: 40, EndNS: 55,
			PrefillTokens: 512, PrefillRequests: 2, DecodeRequests: 1, KVTokens: 700, Queued: 3, RequestedSMMHz: 1005, Evaluations: 2},
		SMMHzMean: 1004, Energy: event.Energy{EnergyJ: 1.5, EnergyErrJ: 0.25, Method: "buffer"}, Flags: event.Flags("").With(event.FlagReadingsGap),
	}
}

func at(t int64) event.At { return event.At{TimeNS: t} }

// sample events of every kind that has a row of its own.
func rows() (event.Sample, event.Power, event.PhaseEnergy, event.RequestEnergy, event.ClockChange, event.PointDone) {
	s := event.Sample{At: at(10), GPU: "sim:h100", RequestedSMMHz: 1005, Sample: gpu.UnknownSample()}
	s.SMMHz, s.TempC, s.Throttle = 1005, 41.5, gpu.ThrottleSWPowerCap|1<<20
	p := event.Power{GPU: "sim:h100", PowerReading: gpu.PowerReading{TimeNS: 12, Source: gpu.SourceBuffer, PowerW: 312.25, CounterJ: nan, Fresh: true}}
	ph := event.PhaseEnergy{At: at(30), SMMHzMean: 1004.5, PhaseSpan: event.PhaseSpan{BatchID: "p1/b1", PointID: "p1", GPU: "sim:h100", Phase: event.Prefill, StartNS: 1, EndNS: 29, BatchSize: 4, Tokens: 300, RequestedSMMHz: 1005},
		Energy: event.Energy{EnergyJ: 1.5, EnergyErrJ: 0.25, Method: "regression"}}
	rq := event.RequestEnergy{At: at(50), Request: requestsTable.blank.Request, Energy: event.Energy{EnergyJ: 12, EnergyErrJ: 1, Method: "buffer"}, NetEnergyJ: 9}
	rq.RequestID, rq.BatchID, rq.PointID, rq.QueryID = "p1/b1.0", "p1/b1", "p1", "q,\"1\""
	rq.StartNS, rq.EndNS, rq.OutputTokens, rq.InputTokens, rq.PrefillS, rq.DecodeS = 1, 1_000_000_001, 40, 75, 0.25, 0.75
	rq.ArrivalNS, rq.QueueS, rq.GapMaxS, rq.ServerPrefillS, rq.ServerDecodeS = 1, 0.5, 0.03, 0.2, 0.7
	rq.Drafting, rq.Proposed = event.Drafting{Draft: "llama-15m", DraftDepth: 4}, event.Proposed{DraftTokens: 50, AcceptedTokens: 29}
	rq.DraftedEnergy = event.DraftedEnergy{DraftJ: 2.5, DraftErrJ: 0.125, VerifyJ: nan, VerifyErrJ: 8}
	cc := event.ClockChange{At: at(60), GPU: "sim:h100", RequestedSMMHz: 1005, AchievedSMMHz: 1005, CallMS: 2.5, SettleMS: 21, DelayMS: nan, Cause: event.Cause{By: event.ByOperator}}
	pd := blankPoint
	pd.At, pd.PointID, pd.Model, pd.BatchSize, pd.Repeat, pd.Queries, pd.EnergyJ, pd.Flags = at(70), "p1", "llama-15m", 4, 1, 1, 12, "throttled"
	pd.Drafting = rq.Drafting
	pd.Drafted = event.Drafted{MeanDraftTokens: 50.5, MeanAcceptedTokens: 29, DraftedEnergy: rq.DraftedEnergy}
	return s, p, ph, rq, cc, pd
}

func record(t *testing.T, dir string) {
	t.Helper()
	r, err := Create(dir, manifest(), Full)
	if err != nil {
		t.Fatal(err)
	}
	s, p, ph, rq, cc, pd := rows()
	for _, e := range []event.Event{s, p, event.PhaseEnd{At: ph.At, PhaseSpan: ph.PhaseSpan}, event.RequestDone{At: rq.At, Request: rq.Request}, ph, rq, iteration(), cc, pd, hostPower()} {
		r.Record(e)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
}

func hostPower() event.HostPower {
	return event.HostPower{At: event.At{TimeNS: 5}, Source: "rapl:package-0", PowerW: math.NaN(), CounterJ: 262143.32885}
}

func all[T any](t *testing.T, read func(func(*T) error) error) []T {
	t.Helper()
	var out []T
	if err := read(func(r *T) error { out = append(out, *r); return nil }); err != nil {
		t.Fatal(err)
	}
	return out
}

// equal compares, taking NaN for equal to NaN.
func equal(a, b reflect.Value) bool {
	switch a.Kind() {
	case reflect.Float64:
		return a.Float() == b.Float() || math.IsNaN(a.Float()) && math.IsNaN(b.Float())
	case reflect.Struct:
		for i := range a.NumField() {
			if !equal(a.Field(i), b.Field(i)) {
				return false
			}
		}
		return true
	}
	return reflect.DeepEqual(a.Interface(), b.Interface())
}

func same(t *testing.T, want, got any) {
	t.Helper()
	if !equal(reflect.ValueOf(want), reflect.ValueOf(got)) {
		t.Errorf("\nwrote %+v\nread  %+v", want, got)
	}
}

func TestRoundTrip(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "s")
	record(t, dir)
	ses, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	s, p, ph, rq, cc, pd := rows()
	same(t, s, all(t, ses.Samples)[0])
	same(t, p, all(t, ses.Power)[0])
	same(t, hostPower(), all(t, ses.Host)[0])
	// A row has its own times, not that of the event that carried it.
	ph.At, rq.At, pd.At = event.At{}, event.At{}, event.At{}
	same(t, ph, all(t, ses.Phases)[0])
	same(t, rq, all(t, ses.Requests)[0])
	same(t, cc, all(t, ses.Clocks)[0])
	same(t, pd, all(t, ses.Points)[0])
	it := iteration()
	it.At, it.BatchID = event.At{}, ""
	same(t, it, all(t, ses.Iterations)[0])
	var kinds []string
	if err := ses.Events(func(e event.Event) error { kinds = append(kinds, e.Kind()); return nil }); err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(kinds, " "), "phase_end request_done phase_energy request_energy iteration_energy clock_change point_done"; got != want {
		t.Errorf("events: %s, want %s", got, want)
	}
	if _, err := os.Stat(filepath.Join(dir, ".lock")); err == nil {
		t.Error("the lock file stays behind")
	}
}

func TestTornLastLineIsNoRow(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "s")
	record(t, dir)
	for _, name := range []string{SamplesFile, PowerFile, HostFile, PhasesFile, IterationsFile, RequestsFile, ClocksFile, PointsFile, OutputsFile, EventsFile} {
		path := filepath.Join(dir, name)
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		// Every cut within a second copy of the last line leaves the first rows.
		body := bytes.TrimSuffix(whole, []byte("\n"))
		last := append(body[bytes.LastIndexByte(body, '\n')+1:len(body):len(body)], '\n')
		for cut := 1; cut < len(last); cut += 7 {
			if err := os.WriteFile(path, append(whole[:len(whole):len(whole)], last[:cut]...), 0o644); err != nil {
				t.Fatal(err)
			}
			ses, err := Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			n := map[string]func() int{
				SamplesFile: func() int { return len(all(t, ses.Samples)) }, PowerFile: func() int { return len(all(t, ses.Power)) }, HostFile: func() int { return len(all(t, ses.Host)) },
				PhasesFile: func() int { return len(all(t, ses.Phases)) }, IterationsFile: func() int { return len(all(t, ses.Iterations)) }, RequestsFile: func() int { return len(all(t, ses.Requests)) },
				ClocksFile: func() int { return len(all(t, ses.Clocks)) }, PointsFile: func() int { return len(all(t, ses.Points)) },
			}[name]
			if n != nil && n() != 1 {
				t.Fatalf("%s cut at %d: %d rows", name, cut, n())
			}
			r, _, err := Resume(dir)
			if err != nil {
				t.Fatalf("%s cut at %d: %v", name, cut, err)
			}
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			if got, _ := os.ReadFile(path); !bytes.Equal(got, whole) {
				t.Fatalf("%s cut at %d: not mended:\n%s", name, cut, got)
			}
		}
	}
}

func TestResumeDropsUnfinishedPoints(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "s")
	record(t, dir)
	r, done, err := Resume(dir)
	if err != nil || len(done) != 1 {
		t.Fatal(done, err)
	}
	_, _, ph, rq, _, _ := rows()
	ph.BatchID, ph.PointID, rq.BatchID, rq.PointID, rq.RequestID = "p2/b1", "p2", "p2/b1", "p2", "p2/b1.0"
	r.Record(event.RequestDone{Request: rq.Request})
	r.Record(ph)
	r.Record(rq)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r, done, err = Resume(dir)
	if err != nil || len(done) != 1 || done[0].PointID != "p1" {
		t.Fatal(done, err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	ses, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(all(t, ses.Requests)); n != 1 {
		t.Errorf("%d requests", n)
	}
	if n := len(all(t, ses.Phases)); n != 1 {
		t.Errorf("%d phases", n)
	}
	outputs := 0
	if err := ses.Outputs(func(OutputLine) error { outputs++; return nil }); err != nil || outputs != 1 {
		t.Errorf("%d outputs, %v", outputs, err)
	}
}

func TestResumeRepeatsPointsWhoseBackendDied(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "s")
	record(t, dir)
	r, done, err := Resume(dir)
	if err != nil || len(done) != 1 {
		t.Fatal(done, err)
	}
	for id, flag := range map[string]event.Flag{"p2": event.FlagBackendDied, "p3": event.FlagFailedRequests} {
		p := done[0]
		p.PointID, p.PointResult.Err, p.Queries, p.LatencyS = id, "a request failed", 0, 1
		p.Flags = p.Flags.With(flag)
		r.Record(p)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time it is out of the files
		r, done, err = Resume(dir)
		if err != nil || len(done) != 2 || done[0].PointID != "p1" || done[1].PointID != "p3" {
			t.Fatal(done, err)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFolderErrors(t *testing.T) {
	dir := t.TempDir()
	if _, err := Open(dir); !errors.Is(err, ErrNotSession) {
		t.Errorf("empty folder: %v", err)
	}
	if _, err := Open(filepath.Join(dir, "nowhere")); !errors.Is(err, ErrNotSession) {
		t.Errorf("no folder: %v", err)
	}
	s := filepath.Join(dir, "s")
	r, err := Create(s, manifest(), Full)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Create(s, manifest(), Full); !errors.Is(err, ErrInUse) {
		t.Errorf("twice: %v", err)
	}
	if _, _, err := Resume(s); !errors.Is(err, ErrInUse) {
		t.Errorf("resume while recording: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Create(s, manifest(), Full); !errors.Is(err, ErrExists) {
		t.Errorf("again: %v", err)
	}
	for _, text := range []string{"", "{", `{"schema": 99}`, `[]`, `{"schema": "x"}`} {
		if err := os.WriteFile(filepath.Join(s, ManifestFile), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(s); !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrSchema) {
			t.Errorf("manifest %q: %v", text, err)
		}
	}
}

func TestBadRowsAreNamed(t *testing.T) {
	for _, tc := range []struct{ name, body, want string }{
		{"cells", "t_ns,sm_mhz\n1,2\n1\n", "x.csv:3: 1 cells where the header has 2"},
		{"too many", "t_ns,sm_mhz\n1,2,3\n", "x.csv:2: more than 2 cells"},
		{"number", "t_ns,temp_c\n1,warm\n", `x.csv:2: temp_c: "warm" is not a number`},
		{"infinite", "t_ns,temp_c\n1,Inf\n", `x.csv:2: temp_c: "Inf" is not a number`},
		{"negative clock", "t_ns,sm_mhz\n1,-5\n", `x.csv:2: sm_mhz: "-5" is not a whole number`},
		{"no time", "t_ns,sm_mhz\n,5\n", "x.csv:2: t_ns is empty"},
		{"no time column", "sm_mhz\n5\n", "x.csv:1: no column t_ns"},
		{"twice", "t_ns,t_ns\n5,6\n", "x.csv:1: column t_ns stands twice"},
		{"quote", "t_ns,gpu\n5,\"a\n", "x.csv:2: a quote is not closed"},
		{"throttle", "t_ns,throttle\n5,tired\n", `x.csv:2: throttle: "tired" is not a throttle reason`},
	} {
		err := samplesTable.readFrom(strings.NewReader(tc.body), "x.csv", func(*event.Sample) error { return nil })
		if !errors.Is(err, ErrRow) || err.Error() != tc.want {
			t.Errorf("%s: %v, want %s", tc.name, err, tc.want)
		}
	}
}

func TestThinKeepsARowASecondAndAPhase(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "s")
	r, err := Create(dir, manifest(), Thin)
	if err != nil {
		t.Fatal(err)
	}
	for i := range int64(500) { // 5 s at 10 ms
		r.Record(event.Sample{At: at(i * 10e6), Sample: gpu.UnknownSample()})
		if i == 250 {
			r.Record(event.PhaseStart{At: at(i * 10e6)})
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	ses, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(all(t, ses.Samples)); n < 5 || n > 7 {
		t.Errorf("%d rows of 5 s and a phase", n)
	}
}

func FuzzTables(f *testing.F) {
	f.Add([]byte("t_ns,gpu,sm_mhz,throttle\n1,sim:h100,1005,idle+power-cap\n"))
	f.Add([]byte("t_ns,source,power_w,energy_counter_j,fresh\n1,buffer,3.5,,1\n"))
	f.Add([]byte("request_id,start_ns,end_ns,query_id\nr,1,2,\"a \"\"b\"\",c\"\n"))
	f.Add([]byte("phase,start_ns,end_ns\nprefill,1,2\n"))
	f.Fuzz(func(t *testing.T, body []byte) {
		fuzzTable(t, samplesTable, body)
		fuzzTable(t, powerTable, body)
		fuzzTable(t, hostTable, body)
		fuzzTable(t, phasesTable, body)
		fuzzTable(t, requestsTable, body)
		fuzzTable(t, clocksTable, body)
		fuzzTable(t, pointsTable, body)
	})
}

// fuzzTable: what reads without error writes and reads again as the same row.
func fuzzTable[T any](t *testing.T, tab table[T], body []byte) {
	_ = tab.readFrom(bytes.NewReader(body), "x", func(r *T) error {
		line := tab.row(nil, r)
		if bytes.Count(line, []byte("\n")) != 1 {
			t.Fatalf("%s: not one line: %q", tab.file, line)
		}
		var again []byte
		err := tab.readFrom(bytes.NewReader(append(tab.header(), line...)), "y", func(r *T) error {
			again = tab.row(nil, r)
			return nil
		})
		if err != nil {
			t.Fatalf("%s: %q: %v", tab.file, line, err)
		}
		if !bytes.Equal(line, again) {
			t.Fatalf("%s: %q became %q", tab.file, line, again)
		}
		return nil
	})
}

func FuzzManifest(f *testing.F) {
	f.Add([]byte(`{"schema":1,"plan":{"batches":[1]}}`))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(filepath.Join(dir, ManifestFile), text, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(dir); err != nil && !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrSchema) {
			t.Fatal(err)
		}
	})
}

// The command that does the same again asks for a server where there was one, and for the
// service level and the split that figures were made with.
func TestCommandThatDoesTheSame(t *testing.T) {
	m := Manifest{Name: "run", Backend: "remote", Seed: 3}
	p := Plan{Models: []string{"m"}, Datasets: []string{"boolq=a b.jsonl"}, Repeats: 1, MaxTokens: 10, Policy: "none",
		Serving: &Serving{Concurrency: 4, Slots: 8, Chunk: 512, Schedule: "mixed", SLO: "ttft=500ms", EnergySplit: "tokens"}}
	want := "jouletop run --url ADDRESS --model m --dataset 'boolq=a b.jsonl' --repeats 1 --max-tokens 10 --concurrency 4 --slots 8 --prefill-chunk 512 --schedule mixed --slo ttft=500ms --energy-split tokens --seed 3"
	if got := p.Command("run", &m); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	m = Manifest{Name: "sweep", NoGraphSearch: true, GPUs: []GPU{{Info: gpu.Info{Profile: "h100"}}},
		Models:   []engine.ModelInfo{{Name: "m", Path: "/models/m 1.gguf"}},
		Datasets: []Dataset{{Name: "boolq", Path: "builtin:boolq"}, {Name: "d", Path: "d.jsonl", Skipped: 1}},
	}
	p = Plan{Models: []string{"m"}, Datasets: []string{"boolq", "d"}, Repeats: 2, MaxTokens: 10, Clocks: []int{1005, 1980}, MaxSlowdown: "5%", MinPointS: 2.5}
	want = "jouletop sweep --gpu sim:h100 --model '/models/m 1.gguf' --dataset boolq --dataset d=d.jsonl --lenient --clocks 1005,1980 --repeats 2 --max-tokens 10 --max-slowdown 5% --min-point 2.5s --cool-down 0s --no-graph-search --seed 0"
	if got := p.Command("sweep", &m); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	m.Command = &Command{Args: []string{"llama-bench", "-m", "a b"}}
	if got, want := p.Command("watch", &m), "jouletop watch --gpu sim:h100 -- llama-bench -m 'a b'"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
