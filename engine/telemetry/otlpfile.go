package telemetry

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	metricspb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	tracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	metricsdata "go.opentelemetry.io/proto/otlp/metrics/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// fileTransport answers OTLP's requests by writing each as a line of JSON, as
// OpenTelemetry's file exporters do: what a push would have sent is what is in the
// file.
type fileTransport struct {
	mu  sync.Mutex
	out io.Writer
	err error
}

// RoundTrip implements http.RoundTripper.
func (t *fileTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = errors.Join(r.Body.Close(), t.write(r.URL.Path, body))
	}
	if err != nil {
		return nil, err
	}
	return &http.Response{
		Status: "200 OK", StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {"application/x-protobuf"}}, Body: io.NopCloser(bytes.NewReader(nil)),
	}, nil
}

// trouble is what the file could not be written for.
func (t *fileTransport) trouble() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.err
}

func (t *fileTransport) write(path string, body []byte) error {
	var m proto.Message
	switch {
	case strings.HasSuffix(path, tracesPath):
		traces := &tracepb.ExportTraceServiceRequest{}
		m = traces
		if err := proto.Unmarshal(body, m); err != nil {
			return fmt.Errorf("OTLP: %w", err)
		}
		hexTraces(traces)
	default:
		metrics := &metricspb.ExportMetricsServiceRequest{}
		m = metrics
		if err := proto.Unmarshal(body, m); err != nil {
			return fmt.Errorf("OTLP: %w", err)
		}
		hexExemplars(metrics)
	}
	line, err := protojson.MarshalOptions{UseEnumNumbers: true}.Marshal(m)
	if err != nil {
		return fmt.Errorf("OTLP: %w", err)
	}
	// The library's blanks are not the same in every build.
	var compact bytes.Buffer
	if err := json.Compact(&compact, line); err != nil {
		return fmt.Errorf("OTLP: %w", err)
	}
	compact.WriteByte('\n')
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err == nil {
		_, t.err = compact.WriteTo(t.out)
	}
	return t.err
}

// hexID makes of an id what protobuf's JSON, which writes bytes in base64, writes as
// OTLP's JSON wants it: in hexadecimal digits. They are four to three bytes of base64
// without a rest.
func hexID(id []byte) []byte {
	out, err := base64.StdEncoding.DecodeString(hex.EncodeToString(id))
	if err != nil {
		return nil
	}
	return out
}

func hexTraces(r *tracepb.ExportTraceServiceRequest) {
	for _, of := range r.GetResourceSpans() {
		for _, scope := range of.GetScopeSpans() {
			for _, s := range scope.GetSpans() {
				s.TraceId, s.SpanId, s.ParentSpanId = hexID(s.GetTraceId()), hexID(s.GetSpanId()), hexID(s.GetParentSpanId())
			}
		}
	}
}

func hexExemplars(r *metricspb.ExportMetricsServiceRequest) {
	each := func(all []*metricsdata.Exemplar) {
		for _, e := range all {
			e.TraceId, e.SpanId = hexID(e.GetTraceId()), hexID(e.GetSpanId())
		}
	}
	for _, of := range r.GetResourceMetrics() {
		for _, scope := range of.GetScopeMetrics() {
			for _, m := range scope.GetMetrics() {
				for _, p := range m.GetHistogram().GetDataPoints() {
					each(p.GetExemplars())
				}
			}
		}
	}
}
