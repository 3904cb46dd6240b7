package tui

import (
	tea "charm.land/bubbletea/v2"

	"jouletop/engine/command"
	"jouletop/tui/view"
)

// player moves the picture, and a replay.
type player struct {
	*view.Context
	last float64 // speed before it was held
}

// key takes a key press and tells whether it was one that moves either.
func (p *player) key(msg tea.KeyPressMsg) (tea.Cmd, bool) {
	if p.Mode == view.Playback && p.Status.Replay != nil {
		if cmd, taken := p.replayKey(msg); taken {
			return cmd, true
		}
	}
	switch k := &p.Keys; {
	case k.Window.Is(msg):
		p.Window.Next()
	case k.Freeze.Is(msg):
		p.Window.Freeze(p.State, !p.Window.Frozen)
	case k.GPU.Is(msg):
		p.Window.One = !p.Window.One && len(p.State.GPUs) > 1
	default:
		return nil, false
	}
	return nil, true
}

func (p *player) replayKey(msg tea.KeyPressMsg) (tea.Cmd, bool) {
	r := p.Status.Replay
	// What was asked for counts at once: the next key may come before the answer.
	seek := func(by int64) (tea.Cmd, bool) {
		to := min(max(r.AtNS+by*1_000_000_000, r.StartNS), r.EndNS)
		r.AtNS = to
		return p.Do(func(c command.Controller) (string, error) { return "", c.SeekTo(to) }), true
	}
	speed := func(times float64) (tea.Cmd, bool) {
		r.Speed = times
		return p.Do(func(c command.Controller) (string, error) { return "", c.SetReplaySpeed(times) }), true
	}
	switch k := &p.Keys; {
	case k.Freeze.Is(msg) && r.Speed > 0:
		return speed(0)
	case k.Freeze.Is(msg):
		return speed(max(p.last, 1))
	case k.Slower.Is(msg), k.Faster.Is(msg):
		p.last = nextSpeed(r.Speed, k.Faster.Is(msg))
		return speed(p.last)
	case k.SeekBack.Is(msg):
		return seek(-10)
	case k.SeekOn.Is(msg):
		return seek(10)
	case k.SeekFarBack.Is(msg):
		return seek(-60)
	case k.SeekFarOn.Is(msg):
		return seek(60)
	}
	return nil, false
}

// nextSpeed returns the next of the replay's speeds.
func nextSpeed(now float64, faster bool) float64 {
	steps := []float64{1, 2, 5, 10, 20, 50}
	if faster {
		for _, s := range steps {
			if s > now {
				return s
			}
		}
		return steps[len(steps)-1]
	}
	for i := len(steps) - 1; i >= 0; i-- {
		if steps[i] < now {
			return steps[i]
		}
	}
	return steps[0]
}
