package export

import (
	"context"
	"io"

	"jouletop/engine/session"
	"jouletop/engine/telemetry"
)

// OTLP pushes the session to the address of an OpenTelemetry receiver, or writes it to
// a new file: a trace of each request, and the metrics as they would have been told
// while it ran.
func OTLP(ctx context.Context, s *session.Session, where string) error {
	if _, err := Sum(s); err != nil {
		return err
	}
	if telemetry.IsEndpoint(where) {
		return telemetry.Push(ctx, s, where)
	}
	return create(where, func(w io.Writer) error { return telemetry.Write(ctx, s, w) })
}
