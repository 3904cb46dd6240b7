package telemetry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"jouletop/engine/usage"
)

// pushTimeout bounds one push.
const pushTimeout = 10 * time.Second

// IsEndpoint tells whether it is an address rather than a file's name.
func IsEndpoint(s string) bool {
	return strings.HasPrefix(s, "http://") || strings.HasPrefix(s, "https://")
}

// CheckEndpoint finds what is wrong with an address that OTLP is to be pushed to.
func CheckEndpoint(flag, s string) error {
	u, err := url.Parse(s)
	if err != nil || !IsEndpoint(s) || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return usage.Errorf("%s %q: want the address of an OTLP receiver, such as http://127.0.0.1:4318", flag, s)
	}
	return nil
}

// exporters send what is told over OTLP's HTTP.
type exporters struct {
	metrics sdkmetric.Exporter
	traces  sdktrace.SpanExporter
}

// newExporters makes those to an endpoint (the paths of the two signals are added to
// it), by a client: nil for the library's own.
func newExporters(ctx context.Context, endpoint string, client *http.Client) (exporters, error) {
	base := strings.TrimSuffix(endpoint, "/")
	again := 10 * time.Second // of tries
	m := []otlpmetrichttp.Option{otlpmetrichttp.WithEndpointURL(base + metricsPath), otlpmetrichttp.WithTimeout(pushTimeout),
		otlpmetrichttp.WithRetry(otlpmetrichttp.RetryConfig{Enabled: true, InitialInterval: time.Second, MaxInterval: again, MaxElapsedTime: again})}
	t := []otlptracehttp.Option{otlptracehttp.WithEndpointURL(base + tracesPath), otlptracehttp.WithTimeout(pushTimeout),
		otlptracehttp.WithRetry(otlptracehttp.RetryConfig{Enabled: true, InitialInterval: time.Second, MaxInterval: again, MaxElapsedTime: again})}
	if client != nil {
		m, t = append(m, otlpmetrichttp.WithHTTPClient(client)), append(t, otlptracehttp.WithHTTPClient(client))
	}
	metrics, err1 := otlpmetrichttp.New(ctx, m...)
	traces, err2 := otlptracehttp.New(ctx, t...)
	if err := errors.Join(err1, err2); err != nil {
		return exporters{}, fmt.Errorf("OTLP: %w", err)
	}
	return exporters{metrics, traces}, nil
}

// The paths of OTLP over HTTP.
const (
	metricsPath = "/v1/metrics"
	tracesPath  = "/v1/traces"
)
