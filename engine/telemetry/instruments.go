package telemetry

import (
	"cmp"
	"context"
	"errors"
	"math"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"
	"go.opentelemetry.io/otel/semconv/v1.41.0/genaiconv"
	"go.opentelemetry.io/otel/semconv/v1.41.0/hwconv"

	"jouletop/engine/event"
	"jouletop/gpu/plaintext"
)

// scope names whose instruments these are.
const scope = "jouletop"

// Attributes that are no part of the conventions.
const (
	keyGPU    = attribute.Key("hw.id")
	keyType   = attribute.Key("hw.type")
	keySource = attribute.Key("jouletop.source")
	keyPhase  = attribute.Key("jouletop.phase")
	keyDomain = attribute.Key("jouletop.clock.domain") // sm or memory
)

// instruments are what is told; what is observed when it is asked for comes from the
// fold, what is spread comes as it happens.
type instruments struct {
	*fold
	duration, ttft, tpot metric.Float64Histogram
}

// told is an instrument that is asked for its values, and what it answers.
type told struct {
	what   metric.Float64Observable
	values func(f *fold, put func(v float64, attrs ...attribute.KeyValue))
}

// Bounds of the histograms, in s: those of the conventions, and of a token's time the
// shorter ones of today's GPUs.
var (
	durations = []float64{.01, .02, .04, .08, .16, .32, .64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92}
	firsts    = []float64{.001, .005, .01, .02, .04, .06, .08, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10}
	tokens    = []float64{.001, .0025, .005, .01, .025, .05, .075, .1, .15, .2, .3, .4, .5, .75, 1, 2.5}
)

func newInstruments(provider *sdkmetric.MeterProvider, f *fold) (*instruments, error) {
	m := provider.Meter(scope)
	in := &instruments{fold: f}
	var errs []error
	note := func(err error) { errs = append(errs, err) }
	histogram := func(name, unit, text string, bounds []float64) metric.Float64Histogram {
		h, err := m.Float64Histogram(name, metric.WithUnit(unit), metric.WithDescription(text), metric.WithExplicitBucketBoundaries(bounds...))
		note(err)
		return h
	}
	d, first, each := genaiconv.ServerRequestDuration{}, genaiconv.ServerTimeToFirstToken{}, genaiconv.ServerTimePerOutputToken{}
	in.duration = histogram(d.Name(), d.Unit(), d.Description(), durations)
	in.ttft = histogram(first.Name(), first.Unit(), first.Description(), firsts)
	in.tpot = histogram(each.Name(), each.Unit(), each.Description(), tokens)

	var all []told
	add := func(what metric.Float64Observable, err error, values func(f *fold, put func(float64, ...attribute.KeyValue))) {
		note(err)
		all = append(all, told{what, values})
	}
	gauge := func(name, unit, text string, values func(f *fold, put func(float64, ...attribute.KeyValue))) {
		g, err := m.Float64ObservableGauge(name, metric.WithUnit(unit), metric.WithDescription(text))
		add(g, err, values)
	}
	count := func(name, unit, text string, values func(f *fold, put func(float64, ...attribute.KeyValue))) {
		c, err := m.Float64ObservableCounter(name, metric.WithUnit(unit), metric.WithDescription(text))
		add(c, err, values)
	}
	gpuTold(gauge, count)
	energyTold(gauge, count)

	var observables []metric.Observable
	for _, t := range all {
		observables = append(observables, t.what)
	}
	_, err := m.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		f.mu.Lock()
		defer f.mu.Unlock()
		for _, t := range all {
			t.values(f, func(v float64, attrs ...attribute.KeyValue) {
				if !math.IsNaN(v) && !math.IsInf(v, 0) {
					o.ObserveFloat64(t.what, v, metric.WithAttributes(attrs...))
				}
			})
		}
		return nil
	}, observables...)
	note(err)
	return in, errors.Join(errs...)
}

// maker adds an instrument.
type maker func(name, unit, text string, values func(f *fold, put func(float64, ...attribute.KeyValue)))

func ofGPU(id string, more ...attribute.KeyValue) []attribute.KeyValue {
	return append([]attribute.KeyValue{keyGPU.String(plaintext.Line(id)), keyType.String("gpu")}, more...)
}

// gpuTold are what is read of the GPUs.
func gpuTold(gauge, count maker) {
	power, energy := hwconv.Power{}, hwconv.Energy{}
	gauge(power.Name(), power.Unit(), "Power of the GPU as its source says, which may be an average over up to 1 s", func(f *fold, put func(float64, ...attribute.KeyValue)) {
		for k, r := range f.power {
			if f.isFresh(r.at) {
				put(r.of.PowerW, ofGPU(k.gpu, keySource.String(plaintext.Line(k.source)))...)
			}
		}
	})
	count(energy.Name(), energy.Unit(), "What the GPU's energy counter counted since the session began; steps that cannot be are left out", func(f *fold, put func(float64, ...attribute.KeyValue)) {
		for id, c := range f.counters {
			put(c.joules, ofGPU(id)...)
		}
	})
	sampled := func(name, unit, text string, value func(event.Sample) float64, more ...attribute.KeyValue) {
		gauge(name, unit, text, func(f *fold, put func(float64, ...attribute.KeyValue)) {
			for id, r := range f.samples {
				if f.isFresh(r.at) {
					put(value(r.of), ofGPU(id, more...)...)
				}
			}
		})
	}
	const perMHz, perMiB, perPct = 1e6, 1 << 20, 0.01
	temperature, usage, busy := hwconv.Temperature{}, hwconv.GpuMemoryUsage{}, hwconv.GpuUtilization{}
	sampled(temperature.Name(), temperature.Unit(), "Temperature of the GPU", func(s event.Sample) float64 { return s.TempC })
	sampled(usage.Name(), usage.Unit(), "Memory of the GPU in use", func(s event.Sample) float64 { return s.MemUsedMiB * perMiB })
	sampled(busy.Name(), busy.Unit(), "Share of the time in which a kernel ran", func(s event.Sample) float64 { return s.GPUUtil * perPct })
	gauge("jouletop.gpu.clock", "Hz", "Clock of the GPU as it was read", func(f *fold, put func(float64, ...attribute.KeyValue)) {
		for id, r := range f.samples {
			if f.isFresh(r.at) {
				put(event.Count(r.of.SMMHz)*perMHz, ofGPU(id, keyDomain.String("sm"))...)
				put(event.Count(r.of.MemMHz)*perMHz, ofGPU(id, keyDomain.String("memory"))...)
			}
		}
	})
	sampled("jouletop.gpu.clock.requested", "Hz", "SM clock that was asked for; none where it is the driver's", func(s event.Sample) float64 {
		if s.RequestedSMMHz == 0 {
			return math.NaN()
		}
		return event.Count(s.RequestedSMMHz) * perMHz
	})
	gauge("jouletop.host.power", "W", "Power of a part of the machine around the GPUs; in no energy", func(f *fold, put func(float64, ...attribute.KeyValue)) {
		for source, r := range f.host {
			if f.isFresh(r.at) {
				put(r.of.PowerW, keySource.String(plaintext.Line(source)))
			}
		}
	})
	count("jouletop.gpu.clock.changes", "{change}", "Changes of the SM clock, asked for or not", func(f *fold, put func(float64, ...attribute.KeyValue)) {
		for id, n := range f.changes {
			put(float64(n), ofGPU(id)...)
		}
	})
}

// energyTold are what phases and requests came to.
func energyTold(gauge, count maker) {
	phases := func(value func(sum) float64) func(f *fold, put func(float64, ...attribute.KeyValue)) {
		return func(f *fold, put func(float64, ...attribute.KeyValue)) {
			for k, s := range f.phases {
				put(value(*s), ofGPU(k.gpu, keyPhase.String(plaintext.Line(k.phase)))...)
			}
		}
	}
	count("jouletop.phase.energy", "J", "Energy of the phases whose energy is stated", phases(func(s sum) float64 { return s.joules }))
	gauge("jouletop.phase.energy.uncertainty", "J", "Half of the 95 % intervals of the phases' energies, added up", phases(func(s sum) float64 { return s.errJ }))
	count("jouletop.phase.duration", "s", "Time of all phases", phases(func(s sum) float64 { return s.seconds }))
	count("jouletop.phase.unresolved", "{phase}", "Phases whose energy is not stated", phases(func(s sum) float64 { return float64(s.unresolved) }))

	requests := func(value func(requestsOf) float64, more ...attribute.KeyValue) func(f *fold, put func(float64, ...attribute.KeyValue)) {
		return func(f *fold, put func(float64, ...attribute.KeyValue)) {
			for model, r := range f.requests {
				put(value(*r), append(more[:len(more):len(more)], semconv.GenAIRequestModel(modelName(model)))...)
			}
		}
	}
	count("jouletop.request.energy", "J", "Energy of the requests whose energy is stated", requests(func(r requestsOf) float64 { return r.joules }))
	gauge("jouletop.request.energy.uncertainty", "J", "Half of the 95 % intervals of the requests' energies, added up", requests(func(r requestsOf) float64 { return r.errJ }))
	count("jouletop.request.unresolved", "{request}", "Requests whose energy is not stated", requests(func(r requestsOf) float64 { return float64(r.unresolved) }))
	count("jouletop.request.count", "{request}", "Requests that ended", requests(func(r requestsOf) float64 { return float64(r.done) }))
	count("jouletop.request.failed", "{request}", "Requests that failed", requests(func(r requestsOf) float64 { return float64(r.failed) }))
	count("jouletop.token.input", "{token}", "Tokens of prompts, as far as they are known", requests(func(r requestsOf) float64 { return float64(r.input) }))
	count("jouletop.token.output", "{token}", "Tokens generated, as far as they are known", requests(func(r requestsOf) float64 { return float64(r.output) }))
	count("jouletop.warnings", "{warning}", "Warnings of the session", func(f *fold, put func(float64, ...attribute.KeyValue)) { put(float64(f.warnings)) })
}

// modelName is a model's as it is told.
func modelName(s string) string { return cmp.Or(plaintext.Line(s), "unknown") }

// take takes an event in; ctx carries the request's trace, which its exemplars name.
func (in *instruments) take(ctx context.Context, e event.Event) {
	in.fold.take(e)
	r, ok := e.(event.RequestEnergy)
	if !ok {
		return
	}
	with := metric.WithAttributes(requestAttrs(r.Request)...)
	record := func(h metric.Float64Histogram, v float64) {
		if v >= 0 && !math.IsInf(v, 1) {
			h.Record(ctx, v, with)
		}
	}
	record(in.duration, r.LatencyS())
	if r.Err == "" {
		record(in.ttft, r.TTFTS)
		record(in.tpot, r.TPOTS())
	}
}

// requestAttrs are what the conventions ask of a request.
func requestAttrs(r event.Request) []attribute.KeyValue {
	attrs := []attribute.KeyValue{semconv.GenAIOperationNameTextCompletion, semconv.GenAIProviderNameKey.String(scope), semconv.GenAIRequestModel(modelName(r.Model))}
	if r.Err != "" {
		attrs = append(attrs, semconv.ErrorTypeOther)
	}
	return attrs
}
