package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"jouletop/engine/operator"
	"jouletop/engine/session"
	"jouletop/engine/usage"
	"jouletop/tui"
)

func newReplay(prefs *preferred) *cobra.Command {
	var (
		r   = replay{prefs: prefs}
		pic = &r.picture
	)
	c := &cobra.Command{
		Use:   "replay DIR",
		Short: "A recorded session in the dashboard",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !(r.speed >= 0 && r.speed <= operator.MaxReplaySpeed) {
				return usage.Errorf("--speed %g: want 0 (held) to %d", r.speed, operator.MaxReplaySpeed)
			}
			if err := errors.Join(checkPrice(r.price, r.currency), r.screen.check()); err != nil {
				return err
			}
			return r.show(cmd.Context(), args[0])
		},
	}
	c.Flags().Float64Var(&r.speed, "speed", 1, "times real time, up to 50")
	addPrice(c.Flags(), &r.price, &r.currency)
	r.screen.add(c.Flags())
	c.Flags().StringVar(&pic.file, "picture", "", "write a picture of the dashboard to this SVG `file` instead of opening it")
	c.Flags().DurationVar(&pic.at, "at", 0, "moment of the picture, from the session's start (default: its end)")
	c.Flags().StringVar(&pic.size, "size", "120x40", "size of the picture, `COLUMNSxROWS`")
	c.Flags().StringVar(&pic.screen, "screen", "live", "screen of the picture: live, curves, sweep, compare, workload, session or rows")
	c.Flags().StringVar(&pic.press, "press", "", "`keys` to press before the picture, blanks between them: \"f 1 0 0 5\"")
	return c
}

// replay is what a recorded session is shown with.
type replay struct {
	prefs    *preferred
	screen   screenFlags
	speed    float64
	price    float64
	currency string
	picture  picture
}

func (r *replay) show(ctx context.Context, dir string) error {
	s, err := session.Open(dir)
	if err != nil {
		return err
	}
	o := tui.Options{
		Mode: tui.Playback, Version: version(), Simulated: s.Manifest.Simulated, Caveat: s.Manifest.Note, PricePerKWh: r.price, Currency: r.currency,
	}
	for _, g := range s.Manifest.GPUs {
		o.GPUs = append(o.GPUs, g.Info)
	}
	if r.picture.file != "" {
		o.Controller, o.Version = operator.Still(s), "" // the same whichever build draws it
		return r.picture.draw(s, o, r.screen)
	}
	if err := needTerminal("jouletop report " + dir); err != nil {
		return err
	}
	source, c, wait, err := operator.Play(ctx, s, r.speed)
	if err != nil {
		return err
	}
	o.Source, o.Controller = source, c
	err = tui.Run(ctx, r.prefs.prefer(o, r.screen))
	return errors.Join(err, wait())
}
