package main

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/spf13/cobra"

	"jouletop/engine/analysis/answers"
	"jouletop/engine/command"
	"jouletop/engine/event"
	"jouletop/engine/session"
	"jouletop/engine/stream"
	"jouletop/gpu"
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
			if !(speed >= 0 && speed <= maxReplaySpeed) {
				return usagef("--speed %g: want 0 (held) to %d", speed, maxReplaySpeed)
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

const maxReplaySpeed = 50

func replay(ctx context.Context, dir string, speed, price float64, pic picture) error {
	s, err := session.Open(dir)
	if err != nil {
		return err
	}
	o := tui.Options{
		Mode: tui.Playback, Version: version(), Simulated: s.Manifest.Simulated, Caveat: s.Manifest.Note, PricePerKWh: price, Analyse: analyse,
	}
	for _, g := range s.Manifest.GPUs {
		o.GPUs = append(o.GPUs, g.Info)
	}
	if pic.file != "" {
		o.Controller = &replayController{session: s}
		return pic.draw(s, o)
	}
	if err := needTerminal("jouletop report " + dir); err != nil {
		return err
	}
	stream := stream.New(nil)
	sub := stream.Subscribe(1 << 16)
	player, err := session.NewPlayer(s, speed, stream.Publish)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	played := make(chan error, 1)
	go func() {
		defer stream.Close()
		played <- player.Run(ctx)
	}()
	o.Source, o.Controller = sub, &replayController{session: s, player: player, stop: cancel}
	err = tui.Run(ctx, o)
	cancel()
	return errors.Join(err, <-played)
}

// replayController answers the dashboard over a recorded session.
type replayController struct {
	session *session.Session
	player  *session.Player // nil for a picture
	stop    context.CancelFunc
}

var errReplay = errors.New("this is a replay: nothing runs")

func (c *replayController) Status() command.Status {
	st := command.Status{
		ReadOnly: true, Files: sessionFiles(c.session.Dir), Policy: c.session.Manifest.Plan.Policy,
		Session: describeSession(c.session), PowerSources: map[string][]gpu.PowerSource{}, Processes: map[string][]gpu.Process{},
	}
	if c.player != nil {
		start, end := c.player.Span()
		at, speed := c.player.At()
		st.Replay = &command.Replay{StartNS: start, AtNS: at, EndNS: end, Speed: speed}
	}
	for _, g := range c.session.Manifest.GPUs {
		st.PowerSources[g.ID], st.Processes[g.ID] = g.Sensors, g.Processes
		st.Hidden = append(st.Hidden, g.Hidden...)
	}
	return st
}

func (c *replayController) Choices() (command.Choices, error) { return command.Choices{}, nil }
func (c *replayController) Arm(bool) (string, error)          { return "", errReplay }
func (c *replayController) SetClock(event.Phase, int) error   { return errReplay }
func (c *replayController) GiveBack() error                   { return errReplay }
func (c *replayController) SetPolicy(string) error            { return errReplay }
func (c *replayController) StartJob(command.Job) error        { return errReplay }
func (c *replayController) RunPrompt(string) error            { return errReplay }
func (c *replayController) StartSweep(command.Sweep) error    { return errReplay }
func (c *replayController) Pause() error                      { return errReplay }
func (c *replayController) Resume() error                     { return errReplay }
func (c *replayController) SkipPoint() error                  { return errReplay }
func (c *replayController) Stop() error                       { return errReplay }
func (c *replayController) End() error                        { c.stop(); return nil }
func (c *replayController) Mark(string) error                 { return errReplay }
func (c *replayController) SeekTo(t int64) error              { c.player.SeekTo(t); return nil }
func (c *replayController) Sessions() ([]command.SessionInfo, error) {
	return listSessions(filepath.Dir(c.session.Dir))
}
func (c *replayController) OpenSession(path string) (command.SessionDetail, error) {
	return openSession(path)
}
func (c *replayController) Export(path string) (string, error) {
	return exportSession(c.session.Dir, path)
}

// Workload measures the session's queries, read again from where they were.
func (c *replayController) Workload() (command.Workload, error) {
	queries, err := answers.Queries([]*session.Session{c.session})
	if err != nil {
		return command.Workload{}, err
	}
	return describeQueries(queries), nil
}

func (c *replayController) SetReplaySpeed(times float64) error {
	if !(times >= 0 && times <= maxReplaySpeed) {
		return usagef("replay speed %g: want 0 (held) to %d", times, maxReplaySpeed)
	}
	c.player.SetSpeed(times)
	return nil
}
