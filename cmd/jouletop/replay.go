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

func newReplay() *cobra.Command {
	var (
		speed float64
		price float64
		pic   picture
	)
	c := &cobra.Command{
		Use:   "replay DIR",
		Short: "A recorded session in the dashboard",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !(speed >= 0 && speed <= operator.MaxReplaySpeed) {
				return usage.Errorf("--speed %g: want 0 (held) to %d", speed, operator.MaxReplaySpeed)
			}
			if err := checkPrice(price); err != nil {
				return err
			}
			return replay(cmd.Context(), args[0], speed, price, pic)
		},
	}
	c.Flags().Float64Var(&speed, "speed", 1, "times real time, up to 50")
	c.Flags().Float64Var(&price, "price", 0.30, "price of a kWh")
	c.Flags().StringVar(&pic.file, "picture", "", "write a picture of the dashboard to this SVG `file` instead of opening it")
	c.Flags().DurationVar(&pic.at, "at", 0, "moment of the picture, from the session's start (default: its end)")
	c.Flags().StringVar(&pic.size, "size", "120x40", "size of the picture, `COLUMNSxROWS`")
	c.Flags().StringVar(&pic.screen, "screen", "live", "screen of the picture: live, curves, sweep, compare, workload or session")
	c.Flags().StringVar(&pic.theme, "theme", "dark", "theme of the picture: dark, light, dark16, light16 or plain")
	return c
}

func replay(ctx context.Context, dir string, speed, price float64, pic picture) error {
	s, err := session.Open(dir)
	if err != nil {
		return err
	}
	o := tui.Options{
		Mode: tui.Playback, Version: version(), Simulated: s.Manifest.Simulated, Caveat: s.Manifest.Note, PricePerKWh: price,
	}
	for _, g := range s.Manifest.GPUs {
		o.GPUs = append(o.GPUs, g.Info)
	}
	if pic.file != "" {
		o.Controller = operator.Still(s)
		return pic.draw(s, o)
	}
	if err := needTerminal("jouletop report " + dir); err != nil {
		return err
	}
	source, c, wait, err := operator.Play(ctx, s, speed)
	if err != nil {
		return err
	}
	o.Source, o.Controller = source, c
	err = tui.Run(ctx, o)
	return errors.Join(err, wait())
}
