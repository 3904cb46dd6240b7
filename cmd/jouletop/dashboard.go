package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/term"

	"jouletop/engine/operator"
	"jouletop/engine/rig"
	"jouletop/engine/session"
	"jouletop/engine/telemetry"
	"jouletop/engine/usage"
	"jouletop/tui"
)

// runDashboard opens the dashboard over a session of its own and starts a first
// job where there is a model to run.
func runDashboard(ctx context.Context, o *options, prefs *preferred, screen screenFlags) (err error) {
	if err := errors.Join(o.check(), screen.check()); err != nil {
		return err
	}
	slo, err := o.checkServing()
	if err != nil {
		return err
	}
	if err := needTerminal("jouletop run"); err != nil {
		return err
	}
	tell, err := o.openTelemetry()
	if err != nil {
		return err
	}
	defer closeTelemetry(tell)
	r, err := rig.Open(ctx, &o.Rig, 1, 0)
	if err != nil {
		return err
	}
	defer r.CloseInto(&err)
	lib, err := operator.NewLibrary(ctx, r, &o.Config)
	if err != nil {
		return err
	}
	if err := o.CheckPolicy(r); err != nil {
		return err
	}
	if err := o.CheckServe(r); err != nil {
		return err
	}
	for _, name := range o.Work.Datasets { // before anything is opened or recorded
		if _, err := lib.Dataset(name); err != nil {
			return err
		}
	}
	what := "dashboard"
	if o.Rig.Monitor {
		what = "monitor"
	}
	m := operator.Manifest(r, &o.Config, what)
	if m.Plan.Serving = o.Serve.Manifest(); m.Plan.Serving != nil {
		o.SLO = slo.String()
		m.Plan.Serving.SLO = o.SLO
	}
	rec, err := o.CreateSession(m, what)
	if err != nil {
		return err
	}

	for _, n := range r.PendingNotes() { // the screen and the manifest have them as well
		fmt.Fprintln(os.Stderr, "jouletop:", n)
	}
	observers, err := tell.Start(telemetry.SourceOf(&m, rec.Dir()))
	if err != nil {
		return errors.Join(err, rec.Close())
	}
	c, wait, err := operator.Start(r, rec, lib, &o.Config, observers...)
	if err != nil {
		return err
	}
	stop, err := profileCPU(o.profile)
	if err != nil {
		c.Abandon()
		return errors.Join(err, wait())
	}
	small, grown := context.WithCancel(ctx)
	defer grown()
	go keepHeapSmall(small)
	mode := tui.Dashboard
	if o.Rig.Monitor {
		mode = tui.Monitor
	}
	err = tui.Run(ctx, prefs.prefer(tui.Options{
		Source: c.Source(), Controller: c, Mode: mode, Version: version(), GPUs: r.Infos(),
		Simulated: r.Simulated(), Caveat: r.Note, PricePerKWh: o.price, Currency: o.currency,
	}, screen))
	if errors.Is(err, tui.ErrAbandoned) {
		c.Abandon()
		err = operator.ErrInterrupted
	} else {
		_ = c.End()
	}
	err = errors.Join(err, stop(), wait())
	fmt.Println("session:", session.ShortenHome(rec.Dir()))
	return err
}

// needTerminal tells of the command that does without, where there is none.
func needTerminal(instead string) error {
	if term.IsTerminal(int(os.Stdin.Fd())) && term.IsTerminal(int(os.Stdout.Fd())) {
		return nil
	}
	return usage.Errorf("the dashboard needs a terminal for input and output; `%s` does without", instead)
}
