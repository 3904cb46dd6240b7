package telemetry

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/otlptranslator"
	"go.opentelemetry.io/otel/attribute"
	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"golang.org/x/sys/unix"

	"jouletop/engine/usage"
)

// MetricsPath is where Prometheus finds the metrics.
const MetricsPath = "/metrics"

// listen opens the address that metrics are served at. A port alone is this machine's;
// an address that others reach has to be named.
func listen(address string) (net.Listener, error) {
	if _, err := strconv.ParseUint(address, 10, 16); err == nil {
		address = net.JoinHostPort("127.0.0.1", address)
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, usage.Errorf("--listen %q: want ADDRESS:PORT, such as 127.0.0.1:9400", address)
	}
	if host == "" {
		return nil, usage.Errorf("--listen %q: name the address: 127.0.0.1%s for this machine, 0.0.0.0%s for all that reach it", address, address, address)
	}
	l, err := net.Listen("tcp", address)
	if errors.Is(err, unix.EADDRINUSE) {
		return nil, fmt.Errorf("--listen %s: another program listens there; choose another port", address)
	}
	if err != nil {
		return nil, fmt.Errorf("--listen %s: %w", address, err)
	}
	return l, nil
}

// local tells whether only this machine reaches it.
func local(l net.Listener) bool {
	a, ok := l.Addr().(*net.TCPAddr)
	return ok && a.IP.IsLoopback()
}

// server serves a reader's metrics.
type server struct {
	http *http.Server
	done chan struct{}
}

// newPrometheus returns a reader, and what serves it.
func newPrometheus() (sdkmetric.Reader, http.Handler, error) {
	registry := prometheus.NewRegistry()
	reader, err := otelprometheus.New(
		otelprometheus.WithRegisterer(registry), otelprometheus.WithoutScopeInfo(),
		otelprometheus.WithTranslationStrategy(otlptranslator.UnderscoreEscapingWithSuffixes),
		otelprometheus.WithResourceAsConstantLabels(attribute.NewAllowKeysFilter(keySimulated)),
	)
	if err != nil {
		return nil, nil, fmt.Errorf("metrics: %w", err)
	}
	mux := http.NewServeMux()
	// Exemplars are told where OpenMetrics is asked for, as Prometheus does.
	mux.Handle("GET "+MetricsPath, promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true, MaxRequestsInFlight: 4, Timeout: 10 * time.Second}))
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "jouletop: metrics are at "+MetricsPath) })
	return reader, mux, nil
}

// serve serves until it is closed.
func serve(l net.Listener, h http.Handler) *server {
	s := &server{&http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 20 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 1 << 16}, make(chan struct{})}
	go func() {
		defer close(s.done)
		_ = s.http.Serve(l) // until Close
	}()
	return s
}

func (s *server) close() {
	_ = s.http.Close()
	<-s.done
}
