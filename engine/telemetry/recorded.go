package telemetry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"jouletop/engine/session"
)

// SourceOf describes a session by its manifest.
func SourceOf(m *session.Manifest, dir string) Source {
	s := Source{Program: m.Program, Session: filepath.Base(dir), Host: m.Host.Name, Backend: m.Backend, Simulated: m.Simulated, Epoch: m.Start}
	if m.TimeBase.WallOffsetNS > 0 {
		s.Epoch = time.Unix(0, m.TimeBase.WallOffsetNS)
	}
	return s
}

// Push sends a recorded session to an OTLP receiver as it would have been while it
// ran: a trace a request, and the metrics every 10 s, or, of a long session, 360 times
// in all.
func Push(ctx context.Context, s *session.Session, endpoint string) error {
	to, err := newExporters(ctx, endpoint)
	if err != nil {
		return err
	}
	if err := replay(ctx, s, to); err != nil {
		return fmt.Errorf("push to %s: %w", endpoint, err)
	}
	return nil
}

// Write writes what Push sends, as lines of OTLP's JSON.
func Write(ctx context.Context, s *session.Session, w io.Writer) error {
	file := &fileTransport{out: w}
	to, err := httpExporters(ctx, "http://file", &http.Client{Transport: file})
	if err != nil {
		return err
	}
	err = replay(ctx, s, to)
	if trouble := file.trouble(); trouble != nil { // which the library wraps in words of its own
		return trouble
	}
	return err
}

// replay tells a recorded session.
func replay(ctx context.Context, s *session.Session, to exporters) (err error) {
	var trouble struct { // told by the library's goroutines
		sync.Mutex
		error
	}
	quiet(func(err error) {
		trouble.Lock()
		defer trouble.Unlock()
		trouble.error = errors.Join(trouble.error, err)
	})
	source := SourceOf(s.Manifest, s.Dir)
	first, last := int64(-1), int64(-1)
	for e, err := range s.Measured() {
		if err != nil {
			return err
		}
		if first < 0 {
			first = e.When()
		}
		last = max(last, e.When())
	}
	const most = 360
	every := max(int64(pushEvery), (last-first)/most)

	reader := sdkmetric.NewManualReader()
	metrics := sdkmetric.NewMeterProvider(sdkmetric.WithResource(source.resource()), sdkmetric.WithReader(reader))
	traces := sdktrace.NewTracerProvider(sdktrace.WithResource(source.resource()), sdktrace.WithIDGenerator(requestIDs{}), sdktrace.WithSampler(sdktrace.AlwaysSample()),
		sdktrace.WithBatcher(to.traces, sdktrace.WithBlocking()))
	defer func() {
		done, cancel := context.WithTimeout(context.WithoutCancel(ctx), pushTimeout)
		defer cancel()
		err = errors.Join(err, traces.Shutdown(done), metrics.Shutdown(done), to.metrics.Shutdown(done))
		trouble.Lock()
		defer trouble.Unlock()
		err = errors.Join(err, trouble.error)
	}()
	now := source.at(max(first, 0))
	in, err := newInstruments(metrics, newFold(func() time.Time { return now }))
	if err != nil {
		return err
	}
	tell := func() error {
		var rm metricdata.ResourceMetrics
		if err := reader.Collect(ctx, &rm); err != nil {
			return err
		}
		setTimes(&rm, source.at(first), now)
		return to.metrics.Export(ctx, &rm)
	}
	spans := newSpans(traces, source)
	next := first + every
	for e, err := range s.Measured() {
		if err != nil {
			return err
		}
		if e.When() >= next {
			if err := tell(); err != nil {
				return err
			}
			next += every * max(1, (e.When()-next)/every+1)
		}
		if at := source.at(e.When()); at.After(now) {
			now = at
		}
		takeIn(in, spans, e)
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return tell()
}

// setTimes gives what was collected the session's times instead of today's.
func setTimes(rm *metricdata.ResourceMetrics, start, now time.Time) {
	for _, scope := range rm.ScopeMetrics {
		for _, m := range scope.Metrics {
			switch d := m.Data.(type) {
			case metricdata.Gauge[float64]:
				for i := range d.DataPoints {
					d.DataPoints[i].StartTime, d.DataPoints[i].Time = start, now
				}
			case metricdata.Sum[float64]:
				for i := range d.DataPoints {
					d.DataPoints[i].StartTime, d.DataPoints[i].Time = start, now
				}
			case metricdata.Histogram[float64]:
				for i := range d.DataPoints {
					d.DataPoints[i].StartTime, d.DataPoints[i].Time = start, now
					for j := range d.DataPoints[i].Exemplars {
						d.DataPoints[i].Exemplars[j].Time = now
					}
				}
			}
		}
	}
}
