package telemetry

import (
	"context"
	"fmt"
	"io"
	"maps"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"go.opentelemetry.io/otel/attribute"
	metricspb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	tracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"jouletop/engine/event"
	"jouletop/gpu"
)

func power(at int64, watts, joules float64) event.Power {
	return event.Power{GPU: "sim:h100", PowerReading: gpu.PowerReading{TimeNS: at, Source: "counter", PowerW: watts, CounterJ: joules, Fresh: true}}
}

func request(id string, joules float64) event.RequestEnergy {
	return event.RequestEnergy{Request: event.Request{RequestID: id, GPU: "sim:h100", Model: "m\xff\n\"", StartNS: 1, EndNS: 1_000_000_001, InputTokens: 10, OutputTokens: 5,
		PrefillS: .25, DecodeS: .5, TTFTS: .25, CachedTokens: -1, Quality: math.NaN()}, Energy: event.Energy{EnergyJ: joules, EnergyErrJ: .5, Method: "buffer"}}
}

func events() []event.Event {
	s := event.Sample{At: event.At{TimeNS: 5}, GPU: "sim:h100", Sample: gpu.UnknownSample()}
	s.SMMHz, s.TempC, s.MemUsedMiB = 1005, 40, 2
	return []event.Event{
		s, power(1e9, 300, 50), power(2e9, 310, 350), power(3e9, 1e6, 100), power(4e9, 305, 400), power(5e9, 305, 1e9),
		event.PhaseEnergy{PhaseSpan: event.PhaseSpan{GPU: "sim:h100", Phase: event.Decode, StartNS: 0, EndNS: 5e8}, Energy: event.Energy{EnergyJ: 7, EnergyErrJ: 1}},
		event.PhaseEnergy{PhaseSpan: event.PhaseSpan{GPU: "sim:h100", Phase: event.Decode, StartNS: 0, EndNS: 5e8}, Energy: event.Energy{EnergyJ: math.NaN(), EnergyErrJ: 9}},
		request("r1", 2.5), request("r2", math.NaN()), request("r3", 1),
		event.HostPower{Source: "psys", PowerW: 90, CounterJ: math.NaN()},
		event.ClockChange{GPU: "sim:h100"}, event.Warning{Text: "w"},
	}
}

var simulated = Source{Program: "jouletop test", Session: "s", Host: "h", Backend: "sim", Simulated: true, Epoch: time.Unix(1_700_000_000, 0)}

func scrape(t *testing.T, address, accept string) string {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, "http://"+address+MetricsPath, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", accept)
	got, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	text, err := io.ReadAll(got.Body)
	if err != nil || got.StatusCode != http.StatusOK {
		t.Fatalf("%s: %v", got.Status, err)
	}
	return string(text)
}

// Prometheus finds what the session states, in base units, marked as simulated, in a
// form that its own lint has nothing against.
func TestMetricsAreWhatTheSessionStates(t *testing.T) {
	x, err := Open(Options{Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	address := x.listener.Addr().String()
	observers, err := x.Start(simulated)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events() {
		for _, o := range observers {
			if more := o(e); len(more) > 0 {
				t.Errorf("%v", more)
			}
		}
	}
	x.queue.Close()
	<-x.followed
	text := scrape(t, address, "")
	for _, want := range []string{
		`hw_energy_joules_total{hw_id="sim:h100",hw_type="gpu",jouletop_simulated="true"} 600`,
		`hw_power_watts{hw_id="sim:h100",hw_type="gpu",jouletop_simulated="true",jouletop_source="counter"} 305`,
		`jouletop_gpu_clock_hertz{hw_id="sim:h100",hw_type="gpu",jouletop_clock_domain="sm",jouletop_simulated="true"} 1.005e+09`,
		`hw_temperature_celsius{hw_id="sim:h100",hw_type="gpu",jouletop_simulated="true"} 40`,
		`hw_gpu_memory_usage_bytes{hw_id="sim:h100",hw_type="gpu",jouletop_simulated="true"} 2.097152e+06`,
		`jouletop_phase_energy_joules_total{hw_id="sim:h100",hw_type="gpu",jouletop_phase="decode",jouletop_simulated="true"} 7`,
		`jouletop_phase_energy_uncertainty_joules{hw_id="sim:h100",hw_type="gpu",jouletop_phase="decode",jouletop_simulated="true"} 1`,
		`jouletop_phase_duration_seconds_total{hw_id="sim:h100",hw_type="gpu",jouletop_phase="decode",jouletop_simulated="true"} 1`,
		`jouletop_phase_unresolved_total{hw_id="sim:h100",hw_type="gpu",jouletop_phase="decode",jouletop_simulated="true"} 1`,
		`jouletop_request_energy_joules_total{gen_ai_request_model="m� \"",jouletop_simulated="true"} 3.5`,
		`jouletop_request_energy_uncertainty_joules{gen_ai_request_model="m� \"",jouletop_simulated="true"} 1`,
		`jouletop_request_unresolved_total{gen_ai_request_model="m� \"",jouletop_simulated="true"} 1`,
		`jouletop_token_output_total{gen_ai_request_model="m� \"",jouletop_simulated="true"} 15`,
		`gen_ai_server_request_duration_seconds_count{gen_ai_operation_name="text_completion",gen_ai_provider_name="jouletop",gen_ai_request_model="m� \"",jouletop_simulated="true"} 3`,
		`jouletop_host_power_watts{jouletop_simulated="true",jouletop_source="psys"} 90`,
		`jouletop_warnings_total{jouletop_simulated="true"} 1`,
		`jouletop_session="SIMULATED s"`,
	} {
		if !strings.Contains(text, want+"\n") && !strings.Contains(text, want+",") {
			t.Errorf("the metrics lack\n%s", want)
		}
	}
	for _, no := range []string{"memory\"", "requested", "utilization"} { // unknown, or the driver's
		if strings.Contains(text, no) {
			t.Errorf("the metrics have %q, which is not known", no)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("lint: %v, %v", problems, err)
	}
	open := scrape(t, address, "application/openmetrics-text; version=1.0.0")
	if !strings.Contains(open, `trace_id="`) || !strings.Contains(open, `span_id="`) || !strings.HasSuffix(open, "# EOF\n") {
		t.Errorf("no exemplars:\n%s", open)
	}
	if err := x.Close(); err != nil {
		t.Error(err)
	}
	if _, err := net.DialTimeout("tcp", address, time.Second); err == nil {
		t.Error("it still listens")
	}
}

// What nothing has renewed is not told any more; sums stay.
func TestStaleReadingsAreNotTold(t *testing.T) {
	now := time.Unix(0, 0)
	f := newFold(func() time.Time { return now })
	for _, e := range events() {
		f.take(e)
	}
	put := func() (got []string) {
		all := map[string]bool{}
		make := func(name, _, _ string, values func(f *fold, put func(v float64, _ ...attribute.KeyValue))) {
			values(f, func(v float64, _ ...attribute.KeyValue) {
				if !math.IsNaN(v) {
					all[name] = true
				}
			})
		}
		gpuTold(make, make)
		return slices.Sorted(maps.Keys(all))
	}
	now = now.Add(fresh)
	if got := fmt.Sprint(put()); got != "[hw.energy hw.gpu.memory.usage hw.power hw.temperature jouletop.gpu.clock jouletop.gpu.clock.changes jouletop.host.power]" {
		t.Error(got)
	}
	now = now.Add(1)
	if got := fmt.Sprint(put()); got != "[hw.energy jouletop.gpu.clock.changes]" {
		t.Error(got)
	}
}

func TestAddresses(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	for address, want := range map[string]string{
		busy.Addr().String(): "another program listens there",
		":9400":              "name the address: 127.0.0.1:9400",
		"nonsense":           "want ADDRESS:PORT",
		"127.0.0.1":          "want ADDRESS:PORT",
		"127.0.0.1:99999":    "--listen",
	} {
		if l, err := listen(address); err == nil || !strings.Contains(err.Error(), want) || strings.ContainsRune(err.Error(), '\n') {
			t.Errorf("%s: %v, %v; want %q", address, l, err, want)
		}
	}
	for address, loopback := range map[string]bool{"0": true, "127.0.0.1:0": true, "localhost:0": true, "0.0.0.0:0": false} {
		x, err := Open(Options{Listen: address})
		if err != nil {
			t.Fatal(err)
		}
		notes := strings.Join(x.Notes(), "\n")
		if local(x.listener) != loopback || strings.Contains(notes, "whoever reaches") == loopback {
			t.Errorf("%s: %v\n%s", address, local(x.listener), notes)
		}
		if err := x.Close(); err != nil {
			t.Error(err)
		}
	}
	for _, endpoint := range []string{"127.0.0.1:4318", "ftp://x", "http://", "http://x?y=1", "grpc://", "grpc://x:4317/v1", "grpcx://x:4317"} {
		if _, err := Open(Options{Push: endpoint}); err == nil || !strings.Contains(err.Error(), "want the address of an OTLP receiver") {
			t.Errorf("%s: %v", endpoint, err)
		}
	}
	for text, address := range map[string]bool{
		"http://x": true, "grpc://x:4317": true, "ftp://x": true, "127.0.0.1:4318": true, "host:4317": true, "[::1]:4318": true,
		"o.json": false, "folder/a:1": false, "a:b": false, "a:99999": false, "": false,
	} {
		if IsEndpoint(text) != address {
			t.Errorf("%q: an address: %v", text, !address)
		}
	}
	x, err := Open(Options{})
	if err != nil || len(x.Notes()) > 0 {
		t.Errorf("nowhere: %v, %v", x.Notes(), err)
	}
	if observers, err := x.Start(simulated); err != nil || len(observers) > 0 {
		t.Errorf("nowhere: %d observers, %v", len(observers), err)
	}
	if err := x.Close(); err != nil {
		t.Error(err)
	}
}

// receiver takes what is pushed over OTLP.
type receiver struct {
	mu      sync.Mutex
	spans   map[string]int // by name
	metrics map[string]float64
	trouble int // status to answer with
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	if r.trouble != 0 {
		w.WriteHeader(r.trouble)
		return
	}
	body, err := io.ReadAll(q.Body)
	if err != nil {
		return
	}
	switch q.URL.Path {
	case tracesPath:
		var m tracepb.ExportTraceServiceRequest
		if proto.Unmarshal(body, &m) == nil {
			r.takeTraces(&m)
		}
	case metricsPath:
		var m metricspb.ExportMetricsServiceRequest
		if proto.Unmarshal(body, &m) == nil {
			r.takeMetrics(&m)
		}
	}
}

func (r *receiver) takeTraces(m *tracepb.ExportTraceServiceRequest) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range m.GetResourceSpans()[0].GetScopeSpans()[0].GetSpans() {
		r.spans[s.GetName()]++
	}
}

func (r *receiver) takeMetrics(m *metricspb.ExportMetricsServiceRequest) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, x := range m.GetResourceMetrics()[0].GetScopeMetrics()[0].GetMetrics() {
		for _, p := range append(x.GetSum().GetDataPoints(), x.GetGauge().GetDataPoints()...) {
			r.metrics[x.GetName()] = p.GetAsDouble()
		}
	}
}

// The same over gRPC.
type (
	grpcTraces struct {
		tracepb.UnimplementedTraceServiceServer
		*receiver
	}
	grpcMetrics struct {
		metricspb.UnimplementedMetricsServiceServer
		*receiver
	}
)

func (r grpcTraces) Export(_ context.Context, m *tracepb.ExportTraceServiceRequest) (*tracepb.ExportTraceServiceResponse, error) {
	r.takeTraces(m)
	return &tracepb.ExportTraceServiceResponse{}, nil
}

func (r grpcMetrics) Export(_ context.Context, m *metricspb.ExportMetricsServiceRequest) (*metricspb.ExportMetricsServiceResponse, error) {
	r.takeMetrics(m)
	return &metricspb.ExportMetricsServiceResponse{}, nil
}

func newReceiver() *receiver {
	return &receiver{spans: map[string]int{}, metrics: map[string]float64{}}
}

func TestPush(t *testing.T) {
	t.Run("http", func(t *testing.T) {
		r := newReceiver()
		server := httptest.NewServer(r)
		defer server.Close()
		testPush(t, r, server.URL)
	})
	t.Run("grpc", func(t *testing.T) {
		r := newReceiver()
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		server := grpc.NewServer()
		tracepb.RegisterTraceServiceServer(server, grpcTraces{receiver: r})
		metricspb.RegisterMetricsServiceServer(server, grpcMetrics{receiver: r})
		ended := make(chan error)
		go func() { ended <- server.Serve(l) }()
		testPush(t, r, "grpc://"+l.Addr().String())
		server.Stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func testPush(t *testing.T, r *receiver, address string) {
	x, err := Open(Options{Push: address})
	if err != nil {
		t.Fatal(err)
	}
	observers, err := x.Start(simulated)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events() {
		observers[0](e)
	}
	if err := x.Close(); err != nil {
		t.Error(err)
	}
	if r.spans["prefill"] != 3 || r.spans["decode"] != 3 || r.spans["text_completion m� \""] != 3 || r.metrics["jouletop.request.energy"] != 3.5 || r.metrics["hw.energy"] != 600 {
		t.Errorf("%v, %v", r.spans, r.metrics)
	}
}

// A receiver that takes nothing is told of once, and fails nothing.
func TestPushThatFailsIsTold(t *testing.T) {
	r := &receiver{trouble: http.StatusForbidden}
	server := httptest.NewServer(r)
	defer server.Close()
	x, err := Open(Options{Push: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	observers, err := x.Start(simulated)
	if err != nil {
		t.Fatal(err)
	}
	observers[0](request("r", 1))
	if err := x.traces.ForceFlush(t.Context()); err != nil {
		x.fail(err)
	}
	if more := observers[0](event.Mark{}); len(more) == 0 {
		// The request may not have been taken in yet: then the end tells.
		err = x.Close()
		if err == nil || !strings.Contains(err.Error(), "could not be pushed to "+server.URL) || strings.ContainsRune(err.Error(), '\n') {
			t.Error(err)
		}
		return
	} else if w, ok := more[0].(event.Warning); !ok || !strings.Contains(w.Text, "could not be pushed to "+server.URL) {
		t.Errorf("%v", more)
	}
	if more := observers[0](event.Mark{}); len(more) > 0 {
		t.Errorf("told twice: %v", more)
	}
	if err := x.Close(); err != nil {
		t.Errorf("told twice: %v", err)
	}
}
