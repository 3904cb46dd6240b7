package state

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"jouletop/engine/analysis/paired"
	"jouletop/engine/event"
	"jouletop/gpu"
)

const testGPU = "sim:h100"

func at(ns int64) event.At { return event.At{TimeNS: ns} }

func request(id string, in, out int, start, end int64) event.Request {
	return event.Request{RequestID: id, Model: "m", Dataset: "d", QueryID: "q" + id, BatchSize: 1, GPU: testGPU, Policy: "none",
		StartNS: start, EndNS: end, InputTokens: in, OutputTokens: out, TTFTS: 0.1, Quality: math.NaN()}
}

func TestRequestsJoinTheirEnergy(t *testing.T) {
	s := New()
	nan := math.NaN()
	a, b, c := request("a", 100, 50, 0, 1e9), request("b", 100, 0, 1e9, 2e9), request("c", 10, 10, 2e9, 3e9)
	for _, r := range []event.Request{a, b, c} {
		s.Apply(event.RequestDone{At: at(r.EndNS), Request: r})
	}
	if got := s.Requests.Recent.At(2).JoulesPerToken; !math.IsNaN(got) {
		t.Errorf("J/token before the energy is known: %v", got)
	}
	s.Apply(event.RequestEnergy{At: at(4e9), Request: a, Energy: event.Energy{EnergyJ: 100}})
	s.Apply(event.RequestEnergy{At: at(4e9), Request: b, Energy: event.Energy{EnergyJ: 20}})
	s.Apply(event.RequestEnergy{At: at(4e9), Request: c, Energy: event.Energy{EnergyJ: nan}})
	if got := s.Requests.Recent.At(2).JoulesPerToken; got != 2 {
		t.Errorf("generated: %v J/token, want 2", got)
	}
	if got := s.Requests.Recent.At(1).JoulesPerToken; got != 0.2 {
		t.Errorf("scored: %v J per token read, want 0.2", got)
	}
	// Tokens read are not mixed with tokens generated.
	if got := s.Requests.JoulesPerToken(); got != 2 {
		t.Errorf("the run's J/token is %v, want 2", got)
	}
	if got := s.Requests.All.Joules; got != 120 {
		t.Errorf("the run's energy is %v J, want 120", got)
	}
	if s.Requests.All.Unresolved != 1 || s.Requests.priced.RequestID != "b" {
		t.Errorf("unresolved %d, last with its energy %s", s.Requests.All.Unresolved, s.Requests.priced.RequestID)
	}
}

func TestFinestPowerSourceIsShown(t *testing.T) {
	s := New()
	power := func(ns int64, source string, w float64) {
		s.Apply(event.Power{GPU: testGPU, PowerReading: gpu.PowerReading{TimeNS: ns, Source: source, PowerW: w, Fresh: true}})
	}
	power(1e9, gpu.SourceAverage, 100)
	power(1e9, gpu.SourceInstant, 200)
	power(1.1e9, gpu.SourceAverage, 110)
	tele := s.GPU(testGPU)
	if tele.Source != gpu.SourceInstant || tele.PowerW != 200 {
		t.Errorf("%s %v W, want instant 200", tele.Source, tele.PowerW)
	}
	power(1.2e9, gpu.SourceBuffer, 300)
	power(1.3e9, gpu.SourceInstant, 210)
	power(1.25e9, gpu.SourceBuffer, 310) // late, but the newest of its source
	if tele.Source != gpu.SourceBuffer || tele.PowerW != 310 {
		t.Errorf("%s %v W, want buffer 310", tele.Source, tele.PowerW)
	}
	power(1.21e9, gpu.SourceBuffer, 999) // older than the newest: history alone
	if tele.PowerW != 310 {
		t.Errorf("an older reading is shown: %v W", tele.PowerW)
	}
	power(9e9, gpu.SourceInstant, 220) // the buffer has been silent for long
	if tele.Source != gpu.SourceInstant || tele.PowerW != 220 {
		t.Errorf("%s %v W, want instant 220 where the buffer is silent", tele.Source, tele.PowerW)
	}
	power(9e9, gpu.SourceCounter, 5)
	power(9.1e9, gpu.SourceInstant, math.NaN())
	if tele.PowerW != 220 {
		t.Errorf("%v W", tele.PowerW)
	}
}

// What was read too long ago is unknown now, by the events' time or by the clock's;
// garbage is not shown.
func TestLiveValuesAge(t *testing.T) {
	s := New()
	power := func(ns int64, w float64) {
		s.Apply(event.Power{GPU: testGPU, PowerReading: gpu.PowerReading{TimeNS: ns, Source: gpu.SourceBuffer, PowerW: w, Fresh: true}})
	}
	s.Apply(event.Sample{At: at(1e9), GPU: testGPU, Sample: gpu.Sample{SMMHz: 1980, TempC: 50}})
	power(1e9, 300)
	power(1.1e9, 3.7e6)
	power(1.2e9, 0)
	tele := s.GPU(testGPU)
	if tele.PowerW != 300 || tele.PeakW != 300 || tele.Sample.SMMHz != 1980 {
		t.Errorf("%v W, peak %v W, %d MHz; want 300, 300, 1980", tele.PowerW, tele.PeakW, tele.Sample.SMMHz)
	}
	s.Tell(2e9)
	if tele.PowerW != 300 {
		t.Error("unknown after one second")
	}
	s.Tell(5e9)
	if !math.IsNaN(tele.PowerW) || tele.Sample.SMMHz != -1 || !math.IsNaN(tele.Sample.TempC) {
		t.Errorf("%v W, %d MHz, %v °C with no reading for 4 s", tele.PowerW, tele.Sample.SMMHz, tele.Sample.TempC)
	}
	power(5e9, 310)
	if tele.PowerW != 310 {
		t.Errorf("%v W, want 310 again", tele.PowerW)
	}
	s.Apply(event.Token{At: at(9e9)})
	s.Age()
	if !math.IsNaN(tele.PowerW) {
		t.Errorf("%v W with no reading for 4 s of events", tele.PowerW)
	}
}

// However long the session, what is kept is bounded.
func TestStateIsBounded(t *testing.T) {
	s := New()
	for i := range 25_000 {
		ns := int64(i) * 1e8
		r := request(fmt.Sprint(i), 10, 10, ns, ns+1e8)
		r.Policy, r.RequestedSMMHz = fmt.Sprint("fixed:", i%300), i%300+1
		r.Output.Text = strings.Repeat("x", 1000)
		s.Apply(event.BatchStart{At: at(ns), BatchID: fmt.Sprint(i)})
		for k := 0; i >= 24_990 && k < 3; k++ {
			s.Apply(event.Token{At: at(ns), BatchID: fmt.Sprint(i), Text: strings.Repeat("long ", 900)})
		}
		s.Apply(event.RequestDone{At: at(ns), Request: r})
		s.Apply(event.RequestEnergy{At: at(ns), Request: r, Energy: event.Energy{EnergyJ: 1}})
		s.Apply(event.PhaseEnergy{At: at(ns), PhaseSpan: event.PhaseSpan{Phase: event.Decode, RequestedSMMHz: i%300 + 1, Tokens: 1, EndNS: 1}, Energy: event.Energy{EnergyJ: 1}})
		s.Apply(event.PointDone{At: at(ns), Point: event.Point{PointID: fmt.Sprint(i)}})
		s.Apply(event.Warning{At: at(ns), Text: "again"})
	}
	if n := s.Requests.Recent.Len(); n != keepRequests || len(s.Requests.byID) != keepRequests {
		t.Errorf("%d requests kept, %d named, want %d", n, len(s.Requests.byID), keepRequests)
	}
	text := 0
	for i := range s.Requests.Recent.items {
		text += len(s.Requests.Recent.items[i].Output.Text)
	}
	if text > 1000 {
		t.Errorf("%d bytes of outputs kept", text)
	}
	if n := s.Log.Len(); n != keepLog {
		t.Errorf("%d log entries, want %d", n, keepLog)
	}
	if n := len(s.Sweep.Done); n > keepPoints {
		t.Errorf("%d points, want at most %d", n, keepPoints)
	}
	if n := len(s.Work.Streams[0]); n > keepText {
		t.Errorf("%d bytes of text, want at most %d", n, keepText)
	}
	if n := len(s.Comparisons.Settings); n != keepSettings {
		t.Errorf("%d settings", n)
	}
	kept := 0
	for _, side := range s.Comparisons.sides {
		kept += side.Size()
	}
	if kept > keepAnswers || len(s.Comparisons.batches) > keepBatches {
		t.Errorf("%d answers and %d batches are kept", kept, len(s.Comparisons.batches))
	}
	if s.Requests.Total != 25_000 || s.Sweep.Count != 25_000 || s.Warnings != 25_000 {
		t.Errorf("counts: %d requests, %d points, %d warnings", s.Requests.Total, s.Sweep.Count, s.Warnings)
	}
}

// The curves are package curve's: what throttled is left out of the means, failed
// points are no points, and the datasets together are those that ran at every clock.
func TestCurvesFollowTheOneRule(t *testing.T) {
	point := func(model, dataset string, mhz, batch, repeat int, jpt float64, flags event.Flags, err string) event.PointDone {
		return event.PointDone{
			Point: event.Point{PointID: fmt.Sprint(model, dataset, mhz, batch, repeat), Model: model, RequestedSMMHz: mhz, BatchSize: batch, Dataset: dataset, Repeat: repeat, Queries: 1},
			PointResult: event.PointResult{AchievedSMMHz: float64(mhz) - 5, JoulesPerToken: jpt, LatencyS: 1, OutputTokens: 1,
				Energy: event.Energy{EnergyJ: jpt}, MeanPowerW: 100, Flags: flags, Err: err},
		}
	}
	s := New()
	for _, p := range []event.PointDone{
		point("b", "boolq", 1980, 1, 1, 4, "", ""), point("b", "boolq", 1980, 1, 2, 99, "throttled", ""), point("b", "boolq", 960, 1, 1, 1, "", ""),
		point("b", "boolq", 960, 8, 1, 9, "", ""), point("b", "boolq", 1200, 1, 1, 99, "", "failed"), point("b", "boolq", 0, 1, 1, 99, "", ""),
		point("b", "hellaswag", 1980, 1, 1, 77, "", ""), // at one clock alone
	} {
		s.Apply(p)
	}
	got := s.Sweep.Curves(CurveFilter{Batch: 1})
	if len(got) != 1 || len(got[0].Clocks) != 2 {
		t.Fatalf("curves %+v", got)
	}
	k := got[0].Clocks
	if k[0].RequestedMHz != 960 || k[1].RequestedMHz != 1980 || k[1].JoulesPerToken.Mean != 4 || k[1].Flagged != 1 || k[1].MHz != 1975 {
		t.Errorf("clocks %+v", k)
	}
	if least, top := got[0].RunAt, got[0].Highest(); least.RequestedMHz != 960 || top.RequestedMHz != 1980 {
		t.Errorf("least at %d MHz, highest %d MHz", least.RequestedMHz, top.RequestedMHz)
	}
	if n := len(s.Sweep.Curves(CurveFilter{})); n != 2 {
		t.Errorf("%d curves over all batch sizes, want 2", n)
	}
	if n := len(s.Sweep.Curves(CurveFilter{Dataset: "narrativeqa"})); n != 0 {
		t.Errorf("%d curves of a dataset that was not run", n)
	}
	s.Apply(point("c", "boolq", 960, 1, 1, 2, "", ""))
	if n := len(s.Sweep.Curves(CurveFilter{Batch: 1})); n != 2 {
		t.Errorf("%d curves after another model's point, want 2", n)
	}
}

// Two settings are compared on the queries that both have answered, and on
// those alone.
func TestComparisonIsOnTheSameWork(t *testing.T) {
	s := New()
	put := func(policy string, mhz int, query string, joules float64, latency int64, mixed bool) {
		r := request(policy+query, 10, 10, 0, latency)
		r.Policy, r.RequestedSMMHz, r.QueryID = policy, mhz, query
		s.Apply(event.RequestEnergy{At: at(1), Request: r, Energy: event.Energy{EnergyJ: joules}, MixedClock: mixed})
	}
	put("fixed:1980", 1980, "q1", 100, 1e9, false)
	put("fixed:1980", 1980, "q1", 120, 1e9, false)
	put("fixed:1980", 1980, "q2", 1000, 9e9, false)   // the other side has no answer
	put("phase:1980/960", 960, "q1", 55, 1.1e9, true) // as the policy has it
	put("phase:1980/960", 960, "q3", 1, 1e9, true)
	put("fixed:1980", 1980, "q3", math.NaN(), 1e9, false) // unresolved
	put("fixed:1980", 1980, "q1", 1, 1e9, true)           // its clock was changed under it
	a, b := s.Comparisons.MostShared()
	if a.String() != "fixed:1980" || b.String() != "phase:1980/960" {
		t.Fatalf("compares %v with %v", a, b)
	}
	x, _ := s.Comparisons.Compare(a, b)
	energy, _ := x.Figure(paired.Energy)
	latency, _ := x.Figure(paired.Latency)
	token, _ := x.Figure(paired.EnergyToken)
	edp, _ := x.Figure(paired.EDP)
	if energy.Queries != 1 || energy.A != 110 || energy.B != 55 || x.Unresolved != 1 {
		t.Errorf("over %d queries, %d unresolved: %v J against %v J", energy.Queries, x.Unresolved, energy.A, energy.B)
	}
	if token.A != 11 || math.Abs(edp.B-55*1.1) > 1e-9 || math.Abs(latency.B-1.05) > 1e-9 {
		t.Errorf("%v J/token, EDP %v, %v s", token.A, edp.B, latency.B)
	}
	if w := x.Works(); len(w) != 1 || w[0].Queries != 2 || w[0].Energy.Queries != 1 {
		t.Errorf("by work: %+v", w)
	}
}

func TestProgressCountsTheRun(t *testing.T) {
	s := New()
	s.Apply(event.RunStart{At: at(0), Requests: 10})
	for i := range 4 {
		s.Apply(event.RequestDone{At: at(int64(i+1) * 1e9), Request: request(fmt.Sprint(i), 1, 1, 0, 1)})
	}
	if p := s.Progress(); p.Done != 4 || p.Total != 10 || p.Left != 6 {
		t.Errorf("%+v, want 4 of 10 and 6 s left", p)
	}
	s.Apply(event.ModelLoading{At: at(4e9), Model: "m", Progress: 0.5})
	s.Apply(event.RunEnd{At: at(5e9), How: "stopped"})
	if !math.IsNaN(s.Work.Loading) {
		t.Errorf("a run has ended, and its model is %.0f %% loaded", 100*s.Work.Loading)
	}
	if p := s.Progress(); p.Total != 0 {
		t.Errorf("after the run: %+v", p)
	}
	// A second run of the same session counts its own requests.
	s.Apply(event.RunStart{At: at(6e9), Requests: 2})
	s.Apply(event.RequestDone{At: at(7e9), Request: request("x", 1, 1, 0, 1)})
	if p := s.Progress(); p.Done != 1 || p.Total != 2 || p.Left != 1 {
		t.Errorf("second run: %+v", p)
	}
}

func TestPolicyClocksAreCountedNotLogged(t *testing.T) {
	s := New()
	nan := math.NaN()
	for range 100 {
		s.Apply(event.ClockChange{At: at(1), GPU: testGPU, RequestedSMMHz: 960, AchievedSMMHz: 960, CallMS: 3, SettleMS: 20, DelayMS: nan, Cause: event.Cause{By: event.ByPolicy, Policy: "phase:1980/960", Phase: event.Decode}})
	}
	s.Apply(event.ClockChange{At: at(2), GPU: testGPU, RequestedSMMHz: 960, AchievedSMMHz: -1, CallMS: nan, SettleMS: nan, Cause: event.Cause{By: event.ByPolicy, Policy: "phase:1980/960", Phase: event.Decode}, Err: "no permission"})
	s.Apply(event.ClockChange{At: at(3), GPU: testGPU, RequestedSMMHz: 1005, AchievedSMMHz: 1005, CallMS: 3, SettleMS: 20, Cause: event.Cause{By: event.ByOperator}})
	if s.Log.Len() != 2 || s.GPU(testGPU).PolicyChanges != 100 {
		t.Fatalf("%d logged, %d counted", s.Log.Len(), s.GPU(testGPU).PolicyChanges)
	}
	if got, ok := (*s.Log.At(0)).(event.ClockChange); !ok || got.RequestedSMMHz != 1005 {
		t.Errorf("%+v", *s.Log.At(0))
	}
	if got, ok := (*s.Log.At(1)).(event.ClockChange); !ok || got.Err == "" {
		t.Errorf("%+v", *s.Log.At(1))
	}
}

// A session recorded without its tokens shows each answer once it is whole; what
// was told token by token is not told twice.
func TestAnswersWithoutTokens(t *testing.T) {
	s := New()
	s.Apply(event.BatchStart{At: at(1), BatchID: "b", Queries: []string{"q1", "q2"}})
	s.Apply(event.Token{At: at(2), BatchID: "b", Index: 0, Text: "as it "})
	for i, text := range []string{"as it came", "whole"} {
		r := request(fmt.Sprint(i+1), 1, 1, 0, 1)
		r.BatchID, r.Output.Text = "b", text
		s.Apply(event.RequestDone{At: at(3), Request: r})
	}
	late := request("1", 1, 1, 0, 1)
	late.BatchID, late.Output.Text = "another", "of another batch"
	s.Apply(event.RequestDone{At: at(4), Request: late})
	if got := s.Work.Streams; len(got) != 2 || got[0] != "as it " || got[1] != "whole" {
		t.Errorf("shows %q", got)
	}
}

// The pair shown is the one that ran last and shares most; its baseline stands first.
func TestNewestPairIsCompared(t *testing.T) {
	s := New()
	put := func(policy string, mhz int, query string, mixed bool) {
		r := request(policy+query, 10, 10, 0, 1e9)
		r.Policy, r.RequestedSMMHz, r.QueryID = policy, mhz, query
		s.Apply(event.RequestEnergy{At: at(1), Request: r, Energy: event.Energy{EnergyJ: 1}, MixedClock: mixed})
	}
	for mhz := 1980; mhz > 345; mhz -= 135 { // a sweep of more clocks than are looked at
		put(fmt.Sprint("fixed:", mhz), mhz, "q1", false)
	}
	for _, q := range []string{"q1", "q2"} {
		put("phase:1980/960", 960, q, true)
		put("fixed:1980", 1980, q, false)
	}
	if a, b := s.Comparisons.MostShared(); a.String() != "fixed:1980" || b.String() != "phase:1980/960" {
		t.Errorf("compares %v with %v", a, b)
	}
	put("none", 0, "q1", false)
	put("none", 0, "q2", false)
	put("phase:1980/960", 960, "q1", true)
	if a, b := s.Comparisons.MostShared(); a != (event.Policy{}) || b.String() != "phase:1980/960" {
		t.Errorf("compares %v with %v, want the driver's clock as the baseline", a, b)
	}
}

// The energy of the whole session is what the counters counted, or nothing where one
// of them cannot be believed.
func TestEnergySinceTheStart(t *testing.T) {
	read := func(s *State, id string, ns int64, j float64) {
		s.Apply(event.Power{GPU: id, PowerReading: gpu.PowerReading{TimeNS: ns, Source: gpu.SourceCounter, PowerW: math.NaN(), CounterJ: j}})
	}
	for _, tt := range []struct {
		name string
		of   func(s *State)
		want float64
	}{
		{"no reading", func(*State) {}, math.NaN()},
		{"one reading", func(s *State) { read(s, "a", 1e9, 500) }, math.NaN()},
		{"counted", func(s *State) { read(s, "a", 1e9, 500); read(s, "a", 2e9, 900); read(s, "a", 3e9, 1200) }, 700},
		{"late", func(s *State) { read(s, "a", 1e9, 500); read(s, "a", 3e9, 1200); read(s, "a", 2e9, 900) }, 700},
		{"two GPUs", func(s *State) {
			for _, id := range []string{"a", "b"} {
				read(s, id, 1e9, 500)
				read(s, id, 2e9, 900)
			}
		}, 800},
		{"one of two", func(s *State) { read(s, "a", 1e9, 500); read(s, "a", 2e9, 900); s.GPU("b") }, math.NaN()},
		{"reset", func(s *State) { read(s, "a", 1e9, 500); read(s, "a", 2e9, 0); read(s, "a", 3e9, 900) }, math.NaN()},
		{"leap", func(s *State) { read(s, "a", 1e9, 500); read(s, "a", 2e9, 9e6) }, math.NaN()},
	} {
		s := New()
		tt.of(s)
		if got := s.EnergyJ(); got != tt.want && !(math.IsNaN(got) && math.IsNaN(tt.want)) {
			t.Errorf("%s: %v J, want %v", tt.name, got, tt.want)
		}
	}
}
