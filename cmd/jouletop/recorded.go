package main

import (
	"context"
	"fmt"
	"os"

	"jouletop/engine"
	"jouletop/engine/analysis/report"
	"jouletop/engine/event"
	"jouletop/engine/operator"
	"jouletop/engine/plan"
	"jouletop/engine/rig"
	"jouletop/engine/session"
	"jouletop/engine/stream"
	"jouletop/tui/progress"
)

// recorded is recordRun with progress on stderr.
func recorded(ctx context.Context, r *rig.Rig, rec *session.Recorder, plan engine.Plan, data []plan.Dataset, before []event.PointDone, observers ...stream.Observe) (*operator.Collected, error) {
	got, err := operator.Record(ctx, atOnce(ctx), r, rec, plan, data, before, func(sub *stream.Subscriber, trouble <-chan error) { progress.Show(sub, trouble) }, observers...)
	if text := got.SomeFailed(); text != "" {
		fmt.Fprintln(os.Stderr, "jouletop:", text)
	}
	return got, err
}

// summarize sums up what was recorded.
func (o *options) summarize(r *rig.Rig, rec *session.Recorder, points []event.PointDone) (report.Summary, error) {
	return report.NewSummary(report.Summary{Session: rec.Dir(), GPU: r.Info.ID(), Simulated: r.Simulated(), Note: r.Note, Currency: o.currency}, o.price, points)
}
