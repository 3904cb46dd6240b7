package tui

import (
	"fmt"
	"math"
	"strings"
	"testing"

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
	s := newState()
	nan := math.NaN()
	a, b, c := request("a", 100, 50, 0, 1e9), request("b", 100, 0, 1e9, 2e9), request("c", 10, 10, 2e9, 3e9)
	for _, r := range []event.Request{a, b, c} {
		s.apply(event.RequestDone{At: at(r.EndNS), Request: r})
	}
	if got := s.reqs.recent.at(2).JoulesPerToken; !math.IsNaN(got) {
		t.Errorf("J/token before the energy is known: %v", got)
	}
	s.apply(event.RequestEnergy{At: at(4e9), Request: a, Energy: event.Energy{EnergyJ: 100}})
	s.apply(event.RequestEnergy{At: at(4e9), Request: b, Energy: event.Energy{EnergyJ: 20}})
	s.apply(event.RequestEnergy{At: at(4e9), Request: c, Energy: event.Energy{EnergyJ: nan}})
	if got := s.reqs.recent.at(2).JoulesPerToken; got != 2 {
		t.Errorf("generated: %v J/token, want 2", got)
	}
	if got := s.reqs.recent.at(1).JoulesPerToken; got != 0.2 {
		t.Errorf("scored: %v J per token read, want 0.2", got)
	}
	// Tokens read are not mixed with tokens generated.
	if got := s.reqs.jpt(); got != 2 {
		t.Errorf("the run's J/token is %v, want 2", got)
	}
	if got := s.reqs.all.joules; got != 120 {
		t.Errorf("the run's energy is %v J, want 120", got)
	}
	if s.reqs.all.unresolved != 1 || s.reqs.priced.RequestID != "b" {
		t.Errorf("unresolved %d, last with its energy %s", s.reqs.all.unresolved, s.reqs.priced.RequestID)
	}
}

func TestFinestPowerSourceIsShown(t *testing.T) {
	s := newState()
	power := func(ns int64, source string, w float64) {
		s.apply(event.Power{GPU: testGPU, PowerReading: gpu.PowerReading{TimeNS: ns, Source: source, PowerW: w, Fresh: true}})
	}
	power(1e9, gpu.SourceAverage, 100)
	power(1e9, gpu.SourceInstant, 200)
	power(1.1e9, gpu.SourceAverage, 110)
	tele := s.gpu(testGPU)
	if tele.source != gpu.SourceInstant || tele.powerW != 200 {
		t.Errorf("%s %v W, want instant 200", tele.source, tele.powerW)
	}
	power(1.2e9, gpu.SourceBuffer, 300)
	power(1.3e9, gpu.SourceInstant, 210)
	power(1.25e9, gpu.SourceBuffer, 310) // late, but the newest of its source
	if tele.source != gpu.SourceBuffer || tele.powerW != 310 {
		t.Errorf("%s %v W, want buffer 310", tele.source, tele.powerW)
	}
	power(1.21e9, gpu.SourceBuffer, 999) // older than the newest: history alone
	if tele.powerW != 310 {
		t.Errorf("an older reading is shown: %v W", tele.powerW)
	}
	power(9e9, gpu.SourceInstant, 220) // the buffer has been silent for long
	if tele.source != gpu.SourceInstant || tele.powerW != 220 {
		t.Errorf("%s %v W, want instant 220 where the buffer is silent", tele.source, tele.powerW)
	}
	power(9e9, gpu.SourceCounter, 5)
	power(9.1e9, gpu.SourceInstant, math.NaN())
	if tele.powerW != 220 {
		t.Errorf("%v W", tele.powerW)
	}
}

// What was read too long ago is unknown now, by the events' time or by the clock's;
// garbage is not shown.
func TestLiveValuesAge(t *testing.T) {
	m := New(Options{})
	power := func(ns int64, w float64) {
		m.Apply(event.Power{GPU: testGPU, PowerReading: gpu.PowerReading{TimeNS: ns, Source: gpu.SourceBuffer, PowerW: w, Fresh: true}})
	}
	m.Apply(event.Sample{At: at(1e9), GPU: testGPU, Sample: gpu.Sample{SMMHz: 1980, TempC: 50}})
	power(1e9, 300)
	power(1.1e9, 3.7e6)
	power(1.2e9, 0)
	tele := m.st.gpu(testGPU)
	if tele.powerW != 300 || tele.peakW != 300 || tele.sample.SMMHz != 1980 {
		t.Errorf("%v W, peak %v W, %d MHz; want 300, 300, 1980", tele.powerW, tele.peakW, tele.sample.SMMHz)
	}
	m.takeStatus(Status{NowNS: 2e9})
	if tele.powerW != 300 {
		t.Error("unknown after one second")
	}
	m.takeStatus(Status{NowNS: 5e9})
	if !math.IsNaN(tele.powerW) || tele.sample.SMMHz != -1 || !math.IsNaN(tele.sample.TempC) {
		t.Errorf("%v W, %d MHz, %v °C with no reading for 4 s", tele.powerW, tele.sample.SMMHz, tele.sample.TempC)
	}
	power(5e9, 310)
	if tele.powerW != 310 {
		t.Errorf("%v W, want 310 again", tele.powerW)
	}
	m.Apply(event.Token{At: at(9e9)})
	if !math.IsNaN(tele.powerW) {
		t.Errorf("%v W with no reading for 4 s of events", tele.powerW)
	}
}

// However long the session, what is kept is bounded.
func TestStateIsBounded(t *testing.T) {
	s := newState()
	for i := range 25_000 {
		ns := int64(i) * 1e8
		r := request(fmt.Sprint(i), 10, 10, ns, ns+1e8)
		r.Policy, r.RequestedSMMHz = fmt.Sprint("fixed:", i%300), i%300+1
		r.Output.Text = strings.Repeat("x", 1000)
		s.apply(event.BatchStart{At: at(ns), BatchID: fmt.Sprint(i)})
		for k := 0; i >= 24_990 && k < 3; k++ {
			s.apply(event.Token{At: at(ns), BatchID: fmt.Sprint(i), Text: strings.Repeat("long ", 900)})
		}
		s.apply(event.RequestDone{At: at(ns), Request: r})
		s.apply(event.RequestEnergy{At: at(ns), Request: r, Energy: event.Energy{EnergyJ: 1}})
		s.apply(event.PhaseEnergy{At: at(ns), PhaseSpan: event.PhaseSpan{Phase: event.Decode, RequestedSMMHz: i%300 + 1, Tokens: 1, EndNS: 1}, Energy: event.Energy{EnergyJ: 1}})
		s.apply(event.PointDone{At: at(ns), Point: event.Point{PointID: fmt.Sprint(i)}})
		s.apply(event.Warning{At: at(ns), Text: "again"})
	}
	if n := s.reqs.recent.len(); n != keepRequests || len(s.reqs.byID) != keepRequests {
		t.Errorf("%d requests kept, %d named, want %d", n, len(s.reqs.byID), keepRequests)
	}
	text := 0
	for i := range s.reqs.recent.items {
		text += len(s.reqs.recent.items[i].Output.Text)
	}
	if text > 1000 {
		t.Errorf("%d bytes of outputs kept", text)
	}
	if n := s.log.len(); n != keepLog {
		t.Errorf("%d log entries, want %d", n, keepLog)
	}
	if n := len(s.sweep.done); n > keepPoints {
		t.Errorf("%d points, want at most %d", n, keepPoints)
	}
	if n := len(s.work.streams[0]); n > keepText {
		t.Errorf("%d bytes of text, want at most %d", n, keepText)
	}
	if n := len(s.comp.settings); n != keepSettings || s.comp.entries > keepEntries {
		t.Errorf("%d settings, %d queries compared", n, s.comp.entries)
	}
	if s.reqs.total != 25_000 || s.sweep.count != 25_000 || s.warnings != 25_000 {
		t.Errorf("counts: %d requests, %d points, %d warnings", s.reqs.total, s.sweep.count, s.warnings)
	}
}

func TestCurvesAreMeansOverRepeats(t *testing.T) {
	point := func(model string, mhz, batch int, jpt float64, flags event.Flags, err string) event.PointDone {
		return event.PointDone{Point: event.Point{Model: model, RequestedSMMHz: mhz, BatchSize: batch, Dataset: "boolq"},
			PointResult: event.PointResult{AchievedSMMHz: float64(mhz) - 5, JoulesPerToken: jpt, LatencyS: 1, EDPJS: jpt, Flags: flags, Err: err}}
	}
	done := []event.PointDone{
		point("b", 1980, 1, 4, "", ""), point("b", 1980, 1, 2, "throttled", ""), point("b", 960, 1, 1, "", ""),
		point("a", 960, 1, 7, "", ""), point("b", 960, 8, 9, "", ""), point("b", 1200, 1, 99, "", "failed"),
		point("b", 0, 1, 99, "", ""), point("b", 1500, 1, math.NaN(), "", ""),
	}
	got := curvesOf(done, 1, "")
	if len(got) != 2 || got[0].model != "a" || got[1].model != "b" || len(got[1].points) != 2 {
		t.Fatalf("curves %+v", got)
	}
	p := got[1].points
	if p[0].requested != 960 || p[1].requested != 1980 || p[1].jpt != 3 || p[1].n != 2 || p[1].achieved != 1975 || !p[1].throttled {
		t.Errorf("points %+v", p)
	}
	if got := got[1].least(); got.requested != 960 {
		t.Errorf("least at %d MHz", got.requested)
	}
	if n := len(curvesOf(done, 0, "")); n != 3 {
		t.Errorf("%d curves over all batch sizes, want 3", n)
	}
	if n := len(curvesOf(done, 0, "hellaswag")); n != 0 {
		t.Errorf("%d curves of a dataset that was not run", n)
	}
}

// Two settings are compared on the queries that both have answered, and on
// those alone.
func TestComparisonIsOnTheSameWork(t *testing.T) {
	s := newState()
	put := func(policy string, mhz int, query string, joules float64, latency int64, mixed bool) {
		r := request(policy+query, 10, 10, 0, latency)
		r.Policy, r.RequestedSMMHz, r.QueryID = policy, mhz, query
		s.apply(event.RequestEnergy{At: at(1), Request: r, Energy: event.Energy{EnergyJ: joules}, MixedClock: mixed})
	}
	put("fixed:1980", 1980, "q1", 100, 1e9, false)
	put("fixed:1980", 1980, "q1", 120, 1e9, false)
	put("fixed:1980", 1980, "q2", 1000, 9e9, false) // the other side has no answer
	put("phase:1980/960", 0, "q1", 55, 1.1e9, true)
	put("phase:1980/960", 0, "q3", 1, 1e9, true)
	put("fixed:1980", 1980, "q3", math.NaN(), 1e9, false) // unresolved
	put("fixed:1980", 1980, "q1", 1, 1e9, true)           // its clock was changed under it
	a, b := s.comp.mostShared()
	if a.mhz != 1980 || b.policy != "phase:1980/960" {
		t.Fatalf("compares %v with %v", a, b)
	}
	x := s.comp.compare(a, b)
	if x.queries != 1 || x.a.joules != 110 || x.b.joules != 55 || math.Abs(x.b.latency-1.1) > 1e-9 {
		t.Errorf("over %d queries: %v J against %v J, %v s", x.queries, x.a.joules, x.b.joules, x.b.latency)
	}
	if x.a.jpt != 11 || math.Abs(x.b.edp-55*1.1) > 1e-9 {
		t.Errorf("%v J/token, EDP %v", x.a.jpt, x.b.edp)
	}
	if len(x.works) != 1 || x.works[0].queries != 1 {
		t.Errorf("by work: %+v", x.works)
	}
}

func TestProgressCountsTheRun(t *testing.T) {
	m := New(Options{})
	s := m.st
	s.apply(event.RunStart{At: at(0), Requests: 10})
	for i := range 4 {
		s.apply(event.RequestDone{At: at(int64(i+1) * 1e9), Request: request(fmt.Sprint(i), 1, 1, 0, 1)})
	}
	if p := m.progress(); p.done != 4 || p.total != 10 || p.left != 6 {
		t.Errorf("%+v, want 4 of 10 and 6 s left", p)
	}
	s.apply(event.ModelLoading{At: at(4e9), Model: "m", Progress: 0.5})
	s.apply(event.RunEnd{At: at(5e9), How: "stopped"})
	if !math.IsNaN(s.work.loading) {
		t.Errorf("a run has ended, and its model is %.0f %% loaded", 100*s.work.loading)
	}
	if p := m.progress(); p.total != 0 {
		t.Errorf("after the run: %+v", p)
	}
	// A second run of the same session counts its own requests.
	s.apply(event.RunStart{At: at(6e9), Requests: 2})
	s.apply(event.RequestDone{At: at(7e9), Request: request("x", 1, 1, 0, 1)})
	if p := m.progress(); p.done != 1 || p.total != 2 || p.left != 1 {
		t.Errorf("second run: %+v", p)
	}
}

func TestPolicyClocksAreCountedNotLogged(t *testing.T) {
	s := newState()
	nan := math.NaN()
	for range 100 {
		s.apply(event.ClockChange{At: at(1), GPU: testGPU, RequestedSMMHz: 960, AchievedSMMHz: 960, CallMS: 3, SettleMS: 20, DelayMS: nan, Cause: event.Cause{By: event.ByPolicy, Policy: "phase:1980/960", Phase: event.Decode}})
	}
	s.apply(event.ClockChange{At: at(2), GPU: testGPU, RequestedSMMHz: 960, AchievedSMMHz: -1, CallMS: nan, SettleMS: nan, Cause: event.Cause{By: event.ByPolicy, Policy: "phase:1980/960", Phase: event.Decode}, Err: "no permission"})
	s.apply(event.ClockChange{At: at(3), GPU: testGPU, RequestedSMMHz: 1005, AchievedSMMHz: 1005, CallMS: 3, SettleMS: 20, Cause: event.Cause{By: event.ByOperator}})
	if s.log.len() != 2 || s.gpu(testGPU).policyChanges != 100 {
		t.Fatalf("%d logged, %d counted", s.log.len(), s.gpu(testGPU).policyChanges)
	}
	if got := s.log.at(0).text; got != "clock 1005 MHz, achieved 1005, call 3.0 ms, settled 20 ms (operator)" {
		t.Errorf("%q", got)
	}
	if got := s.log.at(1).text; !strings.Contains(got, "no permission") {
		t.Errorf("%q", got)
	}
}
