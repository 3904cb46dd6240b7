package export

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"jouletop/engine/event"
	"jouletop/engine/session"
	"jouletop/gpu"
	"jouletop/gpu/host"
)

const (
	evil = `=m"<b>` + "\x1b[2J"
	unit = int64(1e6) // ns
)

// recorded is a session of two requests that lie over each other, one of unknown
// energy, with a phase, a pass, a clock change and readings.
func recorded(t *testing.T, simulated bool) *session.Session {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "s")
	id := "0:GPU-1a2b3c4d"
	m := session.Manifest{Program: "jouletop test", Name: "run", Simulated: simulated, Plan: session.Plan{Serving: &session.Serving{Concurrency: 2}}, HostSources: []host.Source{{ID: "psys"}},
		TimeBase: session.TimeBase{Kind: "monotonic", WallOffsetNS: 1_700_000_000_000_000_000}}
	if simulated {
		id = "sim:h100"
	}
	rec, err := session.Create(dir, m, session.Full)
	if err != nil {
		t.Fatal(err)
	}
	request := func(name string, from, to int64, joules float64) event.RequestEnergy {
		r := event.RequestEnergy{Request: event.Request{RequestID: name, BatchID: "b", PointID: "p", GPU: id, Model: evil, Dataset: "d", QueryID: "q", StartNS: from, EndNS: to,
			InputTokens: 10, OutputTokens: 4, PrefillS: .002, DecodeS: .003, TTFTS: .002, CachedTokens: -1, QueueS: math.NaN(), GapMaxS: math.NaN(),
			ServerPrefillS: math.NaN(), ServerDecodeS: math.NaN(), Quality: math.NaN()}, Energy: event.Energy{EnergyJ: joules, EnergyErrJ: 0.5, Method: "buffer"}, NetEnergyJ: math.NaN(), ServedEnergy: event.NotServed}
		if math.IsNaN(joules) {
			r.Method = "unresolved"
		}
		return r
	}
	sample := event.Sample{At: event.At{TimeNS: 2 * unit}, GPU: id, Sample: gpu.UnknownSample()}
	sample.SMMHz = 1005
	reading := func(at int64, watts, joules float64) event.Power {
		return event.Power{GPU: id, PowerReading: gpu.PowerReading{TimeNS: at, Source: "counter", PowerW: watts, CounterJ: joules, Fresh: true}}
	}
	for _, e := range []event.Event{
		sample, reading(1*unit, 300, 1000), reading(900*unit, 310, 1100), reading(950*unit, 1e9, 900),
		event.HostPower{At: event.At{TimeNS: 5 * unit}, Source: "psys", PowerW: 90, CounterJ: math.NaN()},
		event.PhaseEnergy{PhaseSpan: event.PhaseSpan{BatchID: "b", GPU: id, Phase: event.Mixed, StartNS: 1 * unit, EndNS: 9 * unit, BatchSize: 2, Tokens: 28, ThrottledPct: math.NaN()}, SMMHzMean: math.NaN(), Energy: event.Energy{EnergyJ: 5, EnergyErrJ: 1, Method: "buffer"}},
		event.IterationEnergy{IterationSpan: event.IterationSpan{IterationID: "i", GPU: id, StartNS: 1 * unit, EndNS: 2 * unit, PrefillTokens: 20, PrefillRequests: 2}, Energy: event.Energy{EnergyJ: 1, EnergyErrJ: .1, Method: "buffer"}},
		event.ClockChange{At: event.At{TimeNS: 3 * unit}, GPU: id, RequestedSMMHz: 1005, AchievedSMMHz: -1, CallMS: 2, SettleMS: math.NaN(), DelayMS: math.NaN(), Cause: event.Cause{By: event.ByOperator}},
		request("r1", 1*unit, 6*unit, 2.5), request("r2", 2*unit, 7*unit, math.NaN()), request("r3", 6*unit, 9*unit, 1.25),
	} {
		rec.Record(e)
	}
	if err := rec.Close(); err != nil {
		t.Fatal(err)
	}
	s, err := session.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestTotalsAreWhatIsStated(t *testing.T) {
	got, err := Sum(recorded(t, false))
	if err != nil || got != (Totals{Requests: 3, Unresolved: 1, EnergyJ: 3.75, ErrJ: 1}) {
		t.Errorf("%+v, %v", got, err)
	}
	if text := got.String(); text != "3 requests, 3.750000 J (± 1.00 J) of 2; the energy of the others is not stated" {
		t.Error(text)
	}
}

// An energy whose interval is not known has none to add up.
func TestTotalsWithoutAnInterval(t *testing.T) {
	var sum Totals
	sum.add(event.Energy{EnergyJ: 2, EnergyErrJ: 0.5})
	sum.add(event.Energy{EnergyJ: 3, EnergyErrJ: math.NaN()})
	if text := sum.String(); text != "2 requests, 5.000000 J" {
		t.Error(text)
	}
}

// A trace holds every row once, in lanes in which nothing lies over anything, its
// joules are the session's, and it says that it is simulated.
func TestPerfettoReadsBack(t *testing.T) {
	for _, simulated := range []bool{true, false} {
		s := recorded(t, simulated)
		file := filepath.Join(t.TempDir(), "out.pftrace")
		if err := Perfetto(context.Background(), s, file); err != nil {
			t.Fatal(err)
		}
		trace := readTrace(t, file)
		if got := strings.HasPrefix(trace.tracks[1].name, "SIMULATED "); got != simulated {
			t.Errorf("simulated %v: the first track is %q", simulated, trace.tracks[1].name)
		}
		sums := map[string]float64{}
		counts := map[string]int{}
		until := map[uint64]int64{}
		for _, x := range trace.slices {
			counts[x.category]++
			if j, ok := x.args["energy_j"]; ok {
				sums[x.category] += j.(float64)
				if x.category == "request" && x.args["joules_per_total_token"] != j.(float64)/14 {
					t.Errorf("%v J a token, read too, of %v J", x.args["joules_per_total_token"], j)
				}
			}
			if x.from < until[x.track] || x.to < x.from {
				t.Errorf("%s from %d to %d lies over another on its track", x.name, x.from, x.to)
			}
			until[x.track] = x.to
		}
		for category, want := range map[string]float64{"request": 3.75, "phase": 5, "iteration": 1} {
			if sums[category] != want {
				t.Errorf("%ss come to %g J, want %g", category, sums[category], want)
			}
		}
		if counts["request"] != 3 || counts["phase"] != 1 || counts["iteration"] != 1 || counts["clock"] != 1 {
			t.Errorf("rows: %v", counts)
		}
		for _, x := range trace.slices {
			if x.args["request_id"] == "r2" {
				if _, stated := x.args["energy_j"]; stated || x.args["energy_method"] != "unresolved" {
					t.Errorf("an energy that is not known: %v", x.args)
				}
				if model := x.args["model"].(string); strings.ContainsRune(model, '\x1b') || !strings.HasPrefix(model, "=m") {
					t.Errorf("model %q", model)
				}
			}
		}
		last := map[string]float64{}
		for _, c := range trace.counters {
			last[trace.tracks[c.track].name] = c.value
		}
		if last["SM clock"] != 1005 || last["power (psys)"] != 90 || last["power (counter)"] != 310 || last["energy (counter)"] != 900 || trace.tracks[trace.counters[0].track].unit != "MHz" {
			t.Errorf("counters: %v", last)
		}
	}
}

func TestParquetReadsBack(t *testing.T) {
	s := recorded(t, true)
	folder := filepath.Join(t.TempDir(), "p")
	files, err := Parquet(context.Background(), s, folder)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != 7 {
		t.Errorf("files %v, want one for each of seven", files)
	}
	type row struct {
		RequestID string   `parquet:"request_id,optional"`
		Model     *string  `parquet:"model,optional"`
		StartNS   *int64   `parquet:"start_ns,optional"`
		EnergyJ   *float64 `parquet:"energy_j,optional"`
		LatencyS  *float64 `parquet:"latency_s,optional"`
		Cached    *int64   `parquet:"cached_tokens,optional"`
		Mixed     *bool    `parquet:"mixed_clock,optional"`
	}
	rows, err := parquet.ReadFile[row](filepath.Join(folder, "requests.parquet"))
	if err != nil {
		t.Fatal(err)
	}
	sum, unknown := 0.0, 0
	for _, r := range rows {
		if r.EnergyJ == nil {
			unknown++
		} else {
			sum += *r.EnergyJ
		}
		if r.Cached != nil || r.Mixed == nil || *r.Mixed || r.StartNS == nil || r.LatencyS == nil || *r.LatencyS <= 0 || r.Model == nil || *r.Model != evil {
			t.Errorf("row %+v", r)
		}
	}
	if len(rows) != 3 || sum != 3.75 || unknown != 1 {
		t.Errorf("%d rows, %g J, %d unknown", len(rows), sum, unknown)
	}
	f, err := os.Open(filepath.Join(folder, "requests.parquet"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	st, _ := f.Stat()
	pf, err := parquet.OpenFile(f, st.Size())
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{keySimulated: "true", keyUnit + "energy_j": "J", keyUnit + "start_ns": "ns", keyProgram: "jouletop test", keySession: "SIMULATED s"} {
		if got, _ := pf.Lookup(key); got != want {
			t.Errorf("metadata %s: %q, want %q", key, got, want)
		}
	}
	if text, _ := pf.Lookup(keyMeaning + "energy_j"); !strings.HasPrefix(text, "energy, J") {
		t.Errorf("energy_j: %q", text)
	}
	var names []string
	for _, c := range pf.Root().Columns() {
		names = append(names, c.Name())
	}
	var want []string
	for _, c := range session.Columns(session.RequestsFile) {
		want = append(want, c.Name)
	}
	if strings.Join(names, ",") != strings.Join(want, ",") {
		t.Errorf("columns are\n%v, want\n%v", names, want)
	}
}

func TestNothingIsWrittenOverOrThroughLinks(t *testing.T) {
	s, dir := recorded(t, true), t.TempDir()
	there, link, full, folderLink := filepath.Join(dir, "there"), filepath.Join(dir, "link"), filepath.Join(dir, "full"), filepath.Join(dir, "folderlink")
	empty := filepath.Join(dir, "empty")
	if err := errors.Join(os.WriteFile(there, []byte("mine"), 0o644), os.Symlink(filepath.Join(dir, "elsewhere"), link), os.Mkdir(full, 0o755),
		os.WriteFile(filepath.Join(full, "x"), nil, 0o644), os.Mkdir(empty, 0o755), os.Symlink(empty, folderLink)); err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	for _, path := range []string{there, link, filepath.Join(there, "below"), filepath.Join(dir, "no", "where")} {
		for name, write := range map[string]func() error{
			"perfetto": func() error { return Perfetto(ctx, s, path) },
			"otlp":     func() error { return OTLP(ctx, s, path) },
		} {
			if err := write(); err == nil || strings.ContainsRune(err.Error(), '\n') {
				t.Errorf("%s to %s: %v", name, path, err)
			}
		}
	}
	for _, path := range []string{there, link, full, folderLink} {
		if _, err := Parquet(ctx, s, path); err == nil || strings.ContainsRune(err.Error(), '\n') {
			t.Errorf("Parquet to %s: %v", path, err)
		}
	}
	if text, _ := os.ReadFile(there); string(text) != "mine" {
		t.Errorf("a file that was there is now %q", text)
	}
	if entries, _ := os.ReadDir(empty); len(entries) > 0 {
		t.Errorf("%v was written through a link", entries)
	}
	if _, err := os.Lstat(filepath.Join(dir, "elsewhere")); err == nil {
		t.Error("written through a link")
	}
	if _, err := Parquet(ctx, s, empty); err != nil {
		t.Errorf("an empty folder: %v", err)
	}
}

// What is interrupted, or of a session that is damaged, leaves nothing behind.
func TestNoHalfFileIsLeft(t *testing.T) {
	s, dir := recorded(t, true), t.TempDir()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := Perfetto(ctx, s, filepath.Join(dir, "a")); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
	if err := OTLP(ctx, s, filepath.Join(dir, "b")); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
	f, err := os.OpenFile(filepath.Join(s.Dir, session.ClocksFile), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteString("nonsense\n")
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	if err := Perfetto(context.Background(), s, filepath.Join(dir, "c")); !errors.Is(err, session.ErrRow) {
		t.Errorf("damaged: %v", err)
	}
	if _, err := Parquet(context.Background(), s, filepath.Join(dir, "d")); !errors.Is(err, session.ErrRow) {
		t.Errorf("damaged: %v", err)
	}
	if err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err == nil && path != dir {
			t.Errorf("%s is left", path)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

func TestASessionWithoutEnergyIsRefused(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "s")
	rec, err := session.Create(dir, session.Manifest{Program: "jouletop test"}, session.Full)
	if err != nil {
		t.Fatal(err)
	}
	rec.Record(event.RequestEnergy{Request: event.Request{RequestID: "r", EndNS: 1}, Energy: event.Energy{EnergyJ: math.NaN(), EnergyErrJ: math.NaN()}})
	if err := rec.Close(); err != nil {
		t.Fatal(err)
	}
	s, err := session.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), "out")
	_, parquetErr := Parquet(context.Background(), s, to)
	for _, err := range []error{Perfetto(context.Background(), s, to), OTLP(context.Background(), s, to), parquetErr} {
		if !errors.Is(err, ErrNoEnergy) {
			t.Error(err)
		}
	}
	if _, err := os.Lstat(to); err == nil {
		t.Error("something was written")
	}
}

// A file of OTLP's JSON has each request as a trace, ids in hexadecimal digits, and
// metrics whose last values are the session's, at the session's time.
func TestOTLPFileReadsBack(t *testing.T) {
	file := filepath.Join(t.TempDir(), "out.jsonl")
	if err := OTLP(context.Background(), recorded(t, true), file); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	type attribute struct {
		Key   string
		Value struct {
			DoubleValue *float64
			StringValue string
			BoolValue   bool
		}
	}
	type point struct {
		Attributes        []attribute
		AsDouble          float64
		TimeUnixNano      string
		StartTimeUnixNano string
		Count             string
		Sum               float64
	}
	type points struct{ DataPoints []point }
	type line struct {
		ResourceSpans []struct {
			Resource   struct{ Attributes []attribute }
			ScopeSpans []struct {
				Spans []struct {
					TraceID, SpanID, ParentSpanID, Name string
					Kind                                int
					StartTimeUnixNano, EndTimeUnixNano  string
					Attributes                          []attribute
				}
			}
		}
		ResourceMetrics []struct {
			Resource     struct{ Attributes []attribute }
			ScopeMetrics []struct {
				Metrics []struct {
					Name, Unit            string
					Sum, Gauge, Histogram points
				}
			}
		}
	}
	joules, total, requests, parts := 0.0, 0.0, 0, map[string]int{}
	last := map[string][]point{}
	for raw := range bytes.Lines(text) {
		var l line
		if err := json.Unmarshal(raw, &l); err != nil {
			t.Fatal(err)
		}
		simulated := func(attrs []attribute) {
			for _, a := range attrs {
				if a.Key == "jouletop.simulated" && a.Value.BoolValue {
					return
				}
			}
			t.Error("a line does not say that it is simulated")
		}
		for _, r := range l.ResourceSpans {
			simulated(r.Resource.Attributes)
			for _, sc := range r.ScopeSpans {
				for _, sp := range sc.Spans {
					id, err1 := hex.DecodeString(sp.TraceID)
					span, err2 := hex.DecodeString(sp.SpanID)
					if err := errors.Join(err1, err2); err != nil || len(id) != 16 || len(span) != 8 {
						t.Errorf("ids %q, %q", sp.TraceID, sp.SpanID)
					}
					if sp.ParentSpanID != "" {
						parts[sp.Name]++
						continue
					}
					requests++
					if !strings.HasPrefix(sp.Name, "text_completion =m") || !strings.HasPrefix(sp.StartTimeUnixNano, "17000000000") {
						t.Errorf("span %+v", sp)
					}
					for _, a := range sp.Attributes {
						if a.Key == "jouletop.energy_j" {
							joules += *a.Value.DoubleValue
						}
						if a.Key == "jouletop.joules_per_total_token" {
							total += 14 * *a.Value.DoubleValue
						}
					}
				}
			}
		}
		for _, r := range l.ResourceMetrics {
			simulated(r.Resource.Attributes)
			for _, sc := range r.ScopeMetrics {
				for _, m := range sc.Metrics {
					last[m.Name] = append(append(m.Sum.DataPoints, m.Gauge.DataPoints...), m.Histogram.DataPoints...)
				}
			}
		}
	}
	if requests != 3 || joules != 3.75 || math.Abs(total-3.75) > 1e-12 || parts["prefill"] != 3 || parts["decode"] != 3 {
		t.Errorf("%d requests of %g J, parts %v", requests, joules, parts)
	}
	for name, want := range map[string]float64{
		"hw.energy": 100, "jouletop.request.energy": 3.75, "jouletop.request.energy.uncertainty": 1, "jouletop.request.unresolved": 1,
		"jouletop.phase.energy": 5, "jouletop.phase.duration": 0.008, "jouletop.token.input": 30, "hw.power": 310,
	} {
		if p := last[name]; len(p) != 1 || !strings.HasPrefix(p[0].StartTimeUnixNano, "1700000000") || math.Abs(p[0].AsDouble-want) > 1e-9 || !strings.HasPrefix(p[0].TimeUnixNano, "17000000009") {
			t.Errorf("%s: %+v, want %g", name, p, want)
		}
	}
	if p := last["gen_ai.server.request.duration"]; len(p) != 1 || p[0].Count != "3" {
		t.Errorf("durations: %+v", p)
	}
}
