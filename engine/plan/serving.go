package plan

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"jouletop/engine"
	"jouletop/engine/event"
	"jouletop/engine/serving"
	"jouletop/engine/session"
	"jouletop/engine/usage"
	"jouletop/workloads"
	"jouletop/workloads/arrivals"
)

// Serving says how requests come and are served, as the command line takes it.
type Serving struct {
	Arrivals    string        // open loop, as arrivals.Parse takes it
	Concurrency int           // closed loop; 0 none
	Duration    time.Duration // 0: until all have come
	Slots       int
	Chunk       int
	Schedule    string
	EnergySplit string // how a pass is divided among the requests in it, as event.ParseSplit takes it
}

// On tells whether requests are served, instead of run in batches.
func (s *Serving) On() bool { return s.Arrivals != "" || s.Concurrency != 0 }

// AtOnce is how many requests run together at most, as far as is known: -1 on a server
// to which they come by themselves.
func (s *Serving) AtOnce(server bool) int {
	switch {
	case !server:
		return s.Slots
	case s.Concurrency > 0:
		return s.Concurrency
	}
	return -1
}

// Bounds of what the command line takes.
const (
	maxSlots = 4096
	maxChunk = 1 << 20
)

// Check finds what is wrong with the flags taken alone.
func (s *Serving) Check() error {
	if s.Slots < 1 || s.Slots > maxSlots {
		return usage.Errorf("--slots %d: want 1 to %d", s.Slots, maxSlots)
	}
	if s.Chunk < 1 || s.Chunk > maxChunk {
		return usage.Errorf("--prefill-chunk %d: want 1 to %d tokens", s.Chunk, maxChunk)
	}
	if _, err := serving.ParseSchedule(s.Schedule); err != nil {
		return usage.Errorf("--schedule %v", err)
	}
	if _, err := event.ParseSplit(s.EnergySplit); err != nil && s.EnergySplit != "" {
		return usage.Errorf("--energy-split %v", err)
	}
	switch {
	case s.Duration < 0:
		return usage.Errorf("--duration %v: want 0 (until all have come) or more", s.Duration)
	case s.Arrivals != "" && s.Concurrency != 0:
		return usage.Errorf("--arrivals and --concurrency: requests come by themselves, or as others end; give one")
	case s.Concurrency < 0 || s.Concurrency > maxSlots:
		return usage.Errorf("--concurrency %d: want 1 to %d", s.Concurrency, maxSlots)
	case s.Duration > 0 && !s.On():
		return usage.Errorf("--duration goes with --arrivals or --concurrency")
	}
	if s.Arrivals == "" {
		return nil
	}
	if _, err := arrivals.Parse(s.Arrivals); err != nil {
		return usage.Errorf("--arrivals %v", err)
	}
	return nil
}

// Manifest describes it for a session; nil where requests run in batches.
func (s *Serving) Manifest() *session.Serving {
	if !s.On() {
		return nil
	}
	return &session.Serving{
		Arrivals: s.Arrivals, Concurrency: s.Concurrency, DurationS: s.Duration.Seconds(), Slots: s.Slots, Chunk: s.Chunk, Schedule: s.Schedule, EnergySplit: s.EnergySplit,
	}
}

// ServedDatasets are the datasets to be served; by default the built-in ones of free
// answers.
func ServedDatasets(o *Work) ([]Dataset, error) {
	named := *o
	if len(named.Datasets) == 0 {
		named.Datasets = []string{string(workloads.TruthfulQA), string(workloads.NarrativeQA)}
	}
	data, err := Datasets(&named)
	if err != nil {
		return nil, err
	}
	for _, d := range data {
		if slices.ContainsFunc(d.Queries, workloads.Query.Classification) {
			return nil, usage.Errorf("--dataset %s: questions with options are scored in batches, they cannot be served: use one of free answers, such as truthfulqa", d.Name)
		}
	}
	return data, nil
}

// ServeJob is Serve for points that may be of any dataset.
func ServeJob(o *Work, s *Serving, points []engine.PointPlan, seed uint64) error {
	for _, p := range points {
		if slices.ContainsFunc(p.Queries, workloads.Query.Classification) {
			return usage.Errorf("dataset %s: questions with options are scored in batches, they cannot be served: use one of free answers, such as truthfulqa", p.Dataset)
		}
	}
	return Serve(o, s, points, seed)
}

// Serve has points served instead of run in batches. Each point's arrivals are the
// same for the same seed.
func Serve(o *Work, s *Serving, points []engine.PointPlan, seed uint64) error {
	spec, rows := arrivals.Spec{}, 0
	if s.Arrivals != "" {
		var err error
		if spec, err = arrivals.Parse(s.Arrivals); err != nil {
			return usage.Errorf("--arrivals %v", err)
		}
		if spec.Kind == "trace" {
			if rows, err = traceRows(spec, o.Queries, s.Duration); err != nil {
				return fmt.Errorf("--arrivals: %w", err)
			}
		}
	}
	for i := range points {
		p := &points[i]
		p.Serving = &engine.Serving{
			Slots: s.Slots, Chunk: s.Chunk, Schedule: serving.Schedule(s.Schedule), Concurrency: s.Concurrency, Duration: s.Duration,
			Split: event.Split(s.EnergySplit),
		}
		p.Spec.Serves = true
		if s.Arrivals != "" {
			p.Serving.Arrivals = func() (arrivals.Process, error) { return spec.Open(seed) }
		}
		switch {
		case spec.Kind == "trace":
			p.Serving.Requests = rows
		case o.Queries > 0:
			p.Serving.Requests = o.Queries
		case s.Duration == 0:
			p.Serving.Requests = len(p.Queries)
		}
		p.Point.Queries = p.Serving.Requests // 0: not known before
	}
	return nil
}

// traceRows is how many requests of a trace come: up to most of them (0: all), up to a
// time (0: its end). It reads them all, so that what is wrong with one is told before
// anything begins.
func traceRows(spec arrivals.Spec, most int, until time.Duration) (n int, err error) {
	p, err := spec.Open(0)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	for most == 0 || n < most {
		a, err := p.Next()
		switch {
		case errors.Is(err, io.EOF) && n == 0:
			return 0, fmt.Errorf("trace %s: no request in it", spec.File)
		case errors.Is(err, io.EOF):
			return n, nil
		case err != nil:
			return 0, err
		case until > 0 && a.At > until:
			return n, nil
		}
		n++
	}
	return n, nil
}
