package operator

import (
	"context"
	"errors"
	"path/filepath"

	"jouletop/engine/analysis/answers"
	"jouletop/engine/command"
	"jouletop/engine/event"
	"jouletop/engine/session"
	"jouletop/engine/stream"
	"jouletop/engine/usage"
	"jouletop/gpu"
)

// replayController answers the dashboard over a recorded session.
type replayController struct {
	session *session.Session
	player  *session.Player // nil for a picture
	stop    context.CancelFunc
}

// Still answers over s for a picture, in which nothing moves.
func Still(s *session.Session) command.Controller { return &replayController{session: s} }

// Play plays s at speed times real time until ctx is done or End is called: source is
// its stream, and wait returns how it ended.
func Play(ctx context.Context, s *session.Session, speed float64) (source *stream.Subscriber, c command.Controller, wait func() error, err error) {
	to := stream.New(nil)
	source = to.Subscribe(1 << 16)
	player, err := session.NewPlayer(s, speed, to.Publish)
	if err != nil {
		return nil, nil, nil, err
	}
	ctx, stop := context.WithCancel(ctx)
	played := make(chan error, 1)
	go func() {
		defer to.Close()
		played <- player.Run(ctx)
	}()
	return source, &replayController{session: s, player: player, stop: stop}, func() error { stop(); return <-played }, nil
}

// replaySlowdown is the default of --max-slowdown.
const replaySlowdown = 0.03

func (c *replayController) Status() command.Status {
	st := command.Status{
		ReadOnly: true, MaxSlowdown: replaySlowdown, Files: sessionFiles(c.session.Dir), Policy: c.session.Manifest.Plan.Policy,
		Session: describeSession(c.session), PowerSources: map[string][]gpu.PowerSource{}, Processes: map[string][]gpu.Process{},
	}
	if s := c.session.Manifest.Plan.Serving; s != nil {
		st.SLO = s.SLO
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

func (c *replayController) Arm(bool) (string, error) { return "", errReplay }

func (c *replayController) SetClock(event.Phase, int) error { return errReplay }

func (c *replayController) SetKnob(gpu.KnobID, int) error { return errReplay }

func (c *replayController) GiveBack() error { return errReplay }

func (c *replayController) SetPolicy(string) error { return errReplay }

func (c *replayController) StartJob(command.Job) error { return errReplay }

func (c *replayController) Forecast(command.Sweep) (command.Forecast, error) {
	return command.Forecast{}, errReplay
}

func (c *replayController) MoveJob(int, int) error { return errReplay }

func (c *replayController) CancelJob(int) error { return errReplay }

func (c *replayController) RunPrompt(string) error { return errReplay }

func (c *replayController) StartSweep(command.Sweep) error { return errReplay }

func (c *replayController) Pause() error { return errReplay }

func (c *replayController) Resume() error { return errReplay }

func (c *replayController) ChangePace(float64) (float64, error) { return 0, errReplay }
func (c *replayController) SkipPoint() error                    { return errReplay }

func (c *replayController) Stop() error { return errReplay }

func (c *replayController) End() error { c.stop(); return nil }

func (c *replayController) Mark(string) error { return errReplay }

func (c *replayController) SeekTo(t int64) error { c.player.SeekTo(t); return nil }

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
	if !(times >= 0 && times <= MaxReplaySpeed) {
		return usage.Errorf("replay speed %g: want 0 (held) to %d", times, MaxReplaySpeed)
	}
	c.player.SetSpeed(times)
	return nil
}

var errReplay = errors.New("this is a replay: nothing runs")

// MaxReplaySpeed is how many times real time a replay may run at.
const MaxReplaySpeed = 50
