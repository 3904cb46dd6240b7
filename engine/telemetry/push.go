package telemetry

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"jouletop/engine/usage"
)

// pushTimeout bounds one push.
const pushTimeout = 10 * time.Second

// schemes are those of an OTLP receiver's address, and whether it is spoken over gRPC.
var schemes = map[string]bool{"http": false, "https": false, "grpc": true, "grpcs": true}

// IsEndpoint tells whether it is meant as an address rather than a file's name: it has a
// scheme, whichever, or is HOST:PORT.
func IsEndpoint(s string) bool {
	if strings.Contains(s, "://") {
		return true
	}
	_, port, err := net.SplitHostPort(s)
	if err != nil || strings.ContainsRune(s, '/') {
		return false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err == nil
}

// CheckEndpoint finds what is wrong with an address that OTLP is to be pushed to:
// http://, https://, and grpc:// and grpcs:// (TLS), which have no path.
func CheckEndpoint(flag, s string) error {
	u, err := url.Parse(s)
	if err == nil {
		grpc, known := schemes[u.Scheme]
		if known && u.Host != "" && u.RawQuery == "" && u.Fragment == "" && !(grpc && strings.Trim(u.Path, "/") != "") {
			return nil
		}
	}
	return usage.Errorf("%s %q: want the address of an OTLP receiver, such as http://127.0.0.1:4318 or grpc://127.0.0.1:4317", flag, s)
}

// exporters send what is told over OTLP.
type exporters struct {
	metrics sdkmetric.Exporter
	traces  sdktrace.SpanExporter
}

// newExporters makes those to an endpoint.
func newExporters(ctx context.Context, endpoint string) (exporters, error) {
	scheme, rest, _ := strings.Cut(endpoint, "://")
	if schemes[scheme] {
		return grpcExporters(ctx, map[string]string{"grpc": "http://", "grpcs": "https://"}[scheme]+strings.TrimRight(rest, "/"))
	}
	return httpExporters(ctx, endpoint, nil)
}

// again is for how long a push that fails for the moment is tried again.
const again = 10 * time.Second

// httpExporters make those over HTTP (the paths of the two signals are added to the
// address), by a client: nil for the library's own.
func httpExporters(ctx context.Context, endpoint string, client *http.Client) (exporters, error) {
	base := strings.TrimSuffix(endpoint, "/")
	m := []otlpmetrichttp.Option{otlpmetrichttp.WithEndpointURL(base + metricsPath), otlpmetrichttp.WithTimeout(pushTimeout),
		otlpmetrichttp.WithRetry(otlpmetrichttp.RetryConfig{Enabled: true, InitialInterval: time.Second, MaxInterval: again, MaxElapsedTime: again})}
	t := []otlptracehttp.Option{otlptracehttp.WithEndpointURL(base + tracesPath), otlptracehttp.WithTimeout(pushTimeout),
		otlptracehttp.WithRetry(otlptracehttp.RetryConfig{Enabled: true, InitialInterval: time.Second, MaxInterval: again, MaxElapsedTime: again})}
	if client != nil {
		m, t = append(m, otlpmetrichttp.WithHTTPClient(client)), append(t, otlptracehttp.WithHTTPClient(client))
	}
	metrics, err1 := otlpmetrichttp.New(ctx, m...)
	traces, err2 := otlptracehttp.New(ctx, t...)
	return made(metrics, traces, errors.Join(err1, err2))
}

// grpcExporters make those over gRPC, to an address whose scheme says whether by TLS
// (https) or in the clear (http), as the libraries take it.
func grpcExporters(ctx context.Context, address string) (exporters, error) {
	metrics, err1 := otlpmetricgrpc.New(ctx, otlpmetricgrpc.WithEndpointURL(address), otlpmetricgrpc.WithTimeout(pushTimeout),
		otlpmetricgrpc.WithRetry(otlpmetricgrpc.RetryConfig{Enabled: true, InitialInterval: time.Second, MaxInterval: again, MaxElapsedTime: again}))
	traces, err2 := otlptracegrpc.New(ctx, otlptracegrpc.WithEndpointURL(address), otlptracegrpc.WithTimeout(pushTimeout),
		otlptracegrpc.WithRetry(otlptracegrpc.RetryConfig{Enabled: true, InitialInterval: time.Second, MaxInterval: again, MaxElapsedTime: again}))
	return made(metrics, traces, errors.Join(err1, err2))
}

func made(metrics sdkmetric.Exporter, traces sdktrace.SpanExporter, err error) (exporters, error) {
	if err != nil {
		return exporters{}, fmt.Errorf("OTLP: %w", err)
	}
	return exporters{metrics, traces}, nil
}

// The paths of OTLP over HTTP.
const (
	metricsPath = "/v1/metrics"
	tracesPath  = "/v1/traces"
)
