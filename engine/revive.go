package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// maxDeaths is how often in a row a backend may die before a point is given up:
// what kills it then is the point, not chance.
const maxDeaths = 3

// errGivenUp is wrapped where no backend stays alive for a point.
var errGivenUp = errors.New("given up")

// served names a model for e.served.
func (s ModelSpec) served() string { return s.Name + "\x00" + s.Path + "\x00" + s.Drafter.Name }

// ready makes the point's model ready, ErrStopped if the operator would not wait.
// Where the backend dies while it warms up, or loads a model that it has loaded
// before, a fresh one tries again, warmed up with other queries: one of them may
// be what kills it.
func (x *execution) ready(ctx context.Context, pt PointPlan) error {
	for deaths := 1; ; deaths++ {
		err := x.tryReady(ctx, pt)
		switch {
		case !errors.Is(err, ErrBackendDied), ctx.Err() != nil, x.served != pt.Spec.served():
			return err
		case deaths == maxDeaths:
			return fmt.Errorf("%w after %d fresh starts: %w", errGivenUp, deaths, err)
		}
		n := min(max(pt.BatchSize, 1), len(pt.Queries))
		pt.Queries = slices.Concat(pt.Queries[n:], pt.Queries[:n])
	}
}

// outlive decides what becomes of a point in which a batch has failed: nil where
// the backend died in it, so that the batch is lost and the other queries go on
// with a fresh one. deaths counts such batches in a row, this one included.
func (x *execution) outlive(ctx context.Context, b Batch, err error, deaths int) error {
	switch {
	case !errors.Is(err, ErrBackendDied), errors.Is(err, errGivenUp), ctx.Err() != nil:
		return err
	case deaths >= maxDeaths:
		return fmt.Errorf("%w after %d batches in a row: %w", errGivenUp, deaths, err)
	}
	x.Warn(fmt.Sprintf("batch %s is lost with its %d requests, the others go on in a fresh backend: %v", b.ID, len(b.Requests), err))
	return nil
}
