// Package telemetry tells other programs what a session measures, by OpenTelemetry's
// SDK: it serves metrics to Prometheus ([Options.Listen]) and pushes them, and a trace
// of each request, over OTLP ([Options.Push]), live; [Export] does the same with a
// recorded session. It reads the engine's stream like the recorder does, and measures
// nothing.
//
// Names are the field's where it has some (hw.energy, hw.power, gen_ai.server.…), our
// own begin with jouletop. Units are base units. Energies are those that the session
// states: what is unresolved is in no sum, and counted beside it; the intervals of what
// is in a sum are added up in a gauge of its own, as if all were off alike. A value that
// is not known any more is not told.
package telemetry

import (
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"

	"jouletop/gpu/plaintext"
)

// Source is whose telemetry it is.
type Source struct {
	Program   string // name and version
	Session   string // name
	Host      string
	Backend   string
	Simulated bool
	// Epoch is the time of day at 0 ns of the session's clock.
	Epoch time.Time
}

// keySimulated marks all that is simulated; it stands on every series.
const keySimulated = attribute.Key("jouletop.simulated")

func (s Source) resource() *resource.Resource {
	name := plaintext.Line(s.Session)
	if s.Simulated {
		name = "SIMULATED " + name
	}
	attrs := []attribute.KeyValue{
		semconv.ServiceName("jouletop"), semconv.ServiceVersion(plaintext.Line(s.Program)), semconv.HostName(plaintext.Line(s.Host)),
		attribute.String("jouletop.session", name), attribute.String("jouletop.backend", plaintext.Line(s.Backend)),
	}
	if s.Simulated {
		attrs = append(attrs, keySimulated.Bool(true))
	}
	return resource.NewWithAttributes(semconv.SchemaURL, attrs...)
}

// at is the time of day of a session's time in ns.
func (s Source) at(ns int64) time.Time { return s.Epoch.Add(time.Duration(ns)) }
