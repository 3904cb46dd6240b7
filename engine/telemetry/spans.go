package telemetry

import (
	"context"
	"crypto/sha256"
	"encoding/binary"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"
	"go.opentelemetry.io/otel/trace"

	"jouletop/engine/event"
	"jouletop/gpu/plaintext"
)

// requestIDs gives a request's trace an id made of the session's and the request's
// names: a metric's exemplar names it before there is a span, and a session that is
// exported twice is the same both times.
type requestIDs struct{}

type idKey struct{}

// identity is what a trace's ids are made of.
type identity [sha256.Size]byte

func identify(session, request string) identity {
	return sha256.Sum256([]byte("jouletop\x00" + session + "\x00" + request))
}

func (id identity) context() trace.SpanContext {
	return trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID(id[:16]), SpanID: trace.SpanID(id[16:24]), TraceFlags: trace.FlagsSampled})
}

// NewIDs implements sdktrace.IDGenerator.
func (requestIDs) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	id, _ := ctx.Value(idKey{}).(identity)
	return id.context().TraceID(), id.context().SpanID()
}

// NewSpanID implements sdktrace.IDGenerator, for a request's parts: its children are
// numbered.
func (requestIDs) NewSpanID(ctx context.Context, _ trace.TraceID) trace.SpanID {
	id, _ := ctx.Value(idKey{}).(identity)
	n, _ := ctx.Value(partKey{}).(uint64)
	binary.BigEndian.PutUint64(id[24:], n+1)
	next := sha256.Sum256(id[:])
	return trace.SpanID(next[:8])
}

type partKey struct{}

// spans tell each request as a trace: the request, and in it its queue, prefill and
// what came after.
type spans struct {
	source Source
	tracer trace.Tracer
}

func newSpans(provider *sdktrace.TracerProvider, s Source) *spans {
	return &spans{s, provider.Tracer(scope)}
}

// tell tells a request that has ended; the context names its trace.
func (s *spans) tell(r event.RequestEnergy) context.Context {
	id := identify(s.source.Session, r.RequestID)
	ctx := context.WithValue(context.Background(), idKey{}, id)
	if s.tracer == nil {
		return trace.ContextWithSpanContext(ctx, id.context())
	}
	from := r.StartNS
	if r.ArrivalNS > 0 {
		from = min(from, r.ArrivalNS)
	}
	attrs := append(requestAttrs(r.Request), attributesOf(r)...)
	ctx, whole := s.tracer.Start(ctx, "text_completion "+modelName(r.Model), trace.WithTimestamp(s.source.at(from)), trace.WithAttributes(attrs...), trace.WithNewRoot())
	if r.Err != "" {
		whole.SetStatus(codes.Error, plaintext.OneLine(r.Err))
	}
	number := uint64(0)
	part := func(name string, from, to int64) {
		if from < to && to <= r.EndNS {
			_, span := s.tracer.Start(context.WithValue(ctx, partKey{}, number), name, trace.WithTimestamp(s.source.at(from)))
			span.End(trace.WithTimestamp(s.source.at(to)))
		}
		number++
	}
	part("queue", from, r.StartNS)
	if r.PrefillS >= 0 {
		first := r.StartNS + int64(r.PrefillS*1e9)
		part("prefill", r.StartNS, first)
		if r.DecodeS >= 0 {
			part("decode", first, min(first+int64(r.DecodeS*1e9), r.EndNS))
		}
	}
	whole.End(trace.WithTimestamp(s.source.at(max(from, r.EndNS))))
	return ctx
}

// attributesOf are what is known of a request; what is unknown is no attribute.
func attributesOf(r event.RequestEnergy) []attribute.KeyValue {
	attrs := []attribute.KeyValue{keyGPU.String(plaintext.Line(r.GPU))}
	word := func(key, v string) {
		if v != "" {
			attrs = append(attrs, attribute.String(key, plaintext.Line(v)))
		}
	}
	number := func(key string, v float64) {
		if isKnown(v) {
			attrs = append(attrs, attribute.Float64(key, v))
		}
	}
	if r.InputTokens >= 0 {
		attrs = append(attrs, semconv.GenAIUsageInputTokens(r.InputTokens))
	}
	if r.OutputTokens >= 0 {
		attrs = append(attrs, semconv.GenAIUsageOutputTokens(r.OutputTokens))
	}
	if r.CachedTokens >= 0 {
		attrs = append(attrs, semconv.GenAIUsageCacheReadInputTokens(r.CachedTokens))
	}
	number("jouletop.energy_j", r.EnergyJ)
	number("jouletop.energy_err_j", r.EnergyErrJ)
	word("jouletop.energy_method", r.Method)
	number("jouletop.joules_per_token", r.JoulesPerToken())
	number("jouletop.joules_per_total_token", r.JoulesPerTotal())
	number("jouletop.ttft_s", r.TTFTS)
	number("jouletop.tpot_s", r.TPOTS())
	word("jouletop.request_id", r.RequestID)
	word("jouletop.batch_id", r.BatchID)
	word("jouletop.point_id", r.PointID)
	word("jouletop.dataset", r.Dataset)
	word("jouletop.query_id", r.QueryID)
	word("jouletop.flags", string(r.Flags))
	if r.BatchSize > 0 {
		attrs = append(attrs, attribute.Int("jouletop.batch_size", r.BatchSize))
	}
	if r.RequestedSMMHz > 0 {
		attrs = append(attrs, attribute.Int("jouletop.requested_sm_mhz", r.RequestedSMMHz))
	}
	return attrs
}
