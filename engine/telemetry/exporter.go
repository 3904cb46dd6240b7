package telemetry

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"jouletop/engine/event"
	"jouletop/engine/stream"
	"jouletop/gpu/plaintext"
)

// Options say where telemetry goes; the zero value is nowhere.
type Options struct {
	// Listen is the address that Prometheus finds the metrics at, such as
	// 127.0.0.1:9400, or the port alone of this machine.
	Listen string
	// Push is the address of an OTLP receiver, such as http://127.0.0.1:4318 or
	// grpc://127.0.0.1:4317.
	Push string
}

// pushEvery is how often metrics are pushed.
const pushEvery = 10 * time.Second

// Exporter tells others what a session measures while it runs.
type Exporter struct {
	listener net.Listener // nil: none
	push     string

	queue    *stream.Stream // what is observed waits here, and slows nobody
	in       *instruments
	spans    *spans
	metrics  *sdkmetric.MeterProvider
	traces   *sdktrace.TracerProvider
	server   *server
	followed chan struct{}

	mu      sync.Mutex
	trouble error // of pushing; the first
	told    bool
}

// Open takes the address to listen at, before anything runs. Errors say which is wrong
// in a line.
func Open(o Options) (*Exporter, error) {
	x := &Exporter{push: o.Push}
	if o.Push != "" {
		if err := CheckEndpoint("--otlp", o.Push); err != nil {
			return nil, err
		}
	}
	if o.Listen != "" {
		var err error
		if x.listener, err = listen(o.Listen); err != nil {
			return nil, err
		}
	}
	return x, nil
}

// Notes say where telemetry goes, a line each.
func (x *Exporter) Notes() []string {
	var notes []string
	if x.listener != nil {
		notes = append(notes, "metrics at http://"+x.listener.Addr().String()+MetricsPath)
		if !local(x.listener) {
			notes = append(notes, "whoever reaches "+x.listener.Addr().String()+" can read them")
		}
	}
	if x.push != "" {
		notes = append(notes, "telemetry is pushed to "+x.push)
	}
	return notes
}

// Start begins to tell of a session; what it returns is to hear every event of it. There
// is none where telemetry goes nowhere.
func (x *Exporter) Start(s Source) ([]stream.Observe, error) {
	if x.listener == nil && x.push == "" {
		return nil, nil
	}
	if err := x.start(s); err != nil {
		return nil, fmt.Errorf("telemetry: %w", err)
	}
	return []stream.Observe{x.observe}, nil
}

func (x *Exporter) start(s Source) error {
	quiet(x.fail)
	options := []sdkmetric.Option{sdkmetric.WithResource(s.resource())}
	x.spans = &spans{source: s}
	var handler http.Handler
	if x.listener != nil {
		reader, h, err := newPrometheus()
		if err != nil {
			return err
		}
		handler = h
		options = append(options, sdkmetric.WithReader(reader))
	}
	if x.push != "" {
		to, err := newExporters(context.Background(), x.push)
		if err != nil {
			return err
		}
		options = append(options, sdkmetric.WithReader(sdkmetric.NewPeriodicReader(to.metrics, sdkmetric.WithInterval(pushEvery), sdkmetric.WithTimeout(pushTimeout))))
		x.traces = sdktrace.NewTracerProvider(sdktrace.WithResource(s.resource()), sdktrace.WithIDGenerator(requestIDs{}), sdktrace.WithSampler(sdktrace.AlwaysSample()),
			sdktrace.WithBatcher(to.traces, sdktrace.WithMaxQueueSize(1<<14), sdktrace.WithExportTimeout(pushTimeout)))
		x.spans = newSpans(x.traces, s)
	}
	x.metrics = sdkmetric.NewMeterProvider(options...)
	var err error
	if x.in, err = newInstruments(x.metrics, newFold(time.Now)); err != nil {
		return err
	}
	if handler != nil {
		x.server = serve(x.listener, handler)
	}
	const waiting = 4096 // readings, at most
	x.queue = stream.New(nil)
	x.followed = make(chan struct{})
	sub := x.queue.Subscribe(waiting)
	go x.follow(sub)
	return nil
}

// observe is told every event; see stream.Observe. It returns what is to be known of
// pushes that failed, once.
func (x *Exporter) observe(e event.Event) []event.Event {
	x.queue.Publish(e)
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.trouble == nil || x.told {
		return nil
	}
	x.told = true
	return []event.Event{event.Warning{At: event.At{TimeNS: e.When()}, Text: x.trouble.Error()}}
}

// follow takes in what is observed.
func (x *Exporter) follow(sub *stream.Subscriber) {
	defer close(x.followed)
	for {
		<-sub.Ready()
		events, closed := sub.Drain()
		for _, e := range events {
			takeIn(x.in, x.spans, e)
		}
		if closed {
			return
		}
	}
}

// takeIn takes an event in, and tells a request's trace.
func takeIn(in *instruments, s *spans, e event.Event) {
	ctx := context.Background()
	if r, ok := e.(event.RequestEnergy); ok {
		ctx = s.tell(r)
	}
	in.take(ctx, e)
}

// fail keeps the first trouble.
func (x *Exporter) fail(err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.trouble == nil {
		x.trouble = fmt.Errorf("telemetry could not be pushed to %s: %s", x.push, plaintext.OneLine(err.Error()))
	}
}

// Close pushes what is left and ends. The error says that not everything could be
// pushed, where nobody was told yet.
func (x *Exporter) Close() error {
	if x.queue == nil { // not started
		if x.listener != nil {
			return x.listener.Close()
		}
		return nil
	}
	x.queue.Close()
	<-x.followed
	ctx, cancel := context.WithTimeout(context.Background(), pushTimeout)
	defer cancel()
	errs := []error{x.metrics.Shutdown(ctx)}
	if x.traces != nil {
		errs = append(errs, x.traces.Shutdown(ctx))
	}
	if x.server != nil {
		x.server.close()
	}
	if err := errors.Join(errs...); err != nil {
		x.fail(err)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.told {
		return nil
	}
	return x.trouble
}

// quiet has the library tell its troubles to us, and write nothing on the terminal.
func quiet(fail func(error)) {
	otel.SetLogger(logr.Discard())
	otel.SetErrorHandler(otel.ErrorHandlerFunc(fail))
}

func isKnown(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
