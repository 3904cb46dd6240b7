package tui

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"syscall"
	"time"

	tea "charm.land/bubbletea/v2"

	"jouletop/gpu"
	"jouletop/tui/screen"
)

// ErrAbandoned: the operator left without waiting for the running batch.
var ErrAbandoned = errors.New("left before the running batch had ended")

// Run shows the dashboard until the operator quits, ctx is done, or the process
// is told to end (SIGTERM, SIGINT) or loses its terminal (SIGHUP). In each case
// the session is ended as by q: after the running batch, everything saved. Run
// returns when the stream is closed, or with ErrAbandoned where the operator (or
// a second signal) would not wait. The terminal is given back in every case,
// after a panic too.
func Run(ctx context.Context, o Options) error {
	m := New(o)
	in, out := io.Reader(os.Stdin), io.Writer(os.Stdout)
	if o.Input != nil {
		in = o.Input
	}
	if o.Output != nil {
		out = o.Output
	}
	t, err := screen.Open(in, out)
	if err != nil {
		return err
	}
	defer t.Close()
	m.present = t.Present

	// One part of a simulation runs at a time: more processors would only wake each other
	// to find nothing to do.
	if !slices.ContainsFunc(o.GPUs, func(g gpu.Info) bool { return !g.Simulated() }) {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	}

	w, h := t.Size()
	opts := []tea.ProgramOption{
		tea.WithoutSignalHandler(), tea.WithoutRenderer(), tea.WithInput(in), tea.WithOutput(out), tea.WithWindowSize(w, h),
		tea.WithFPS(1), // of a renderer that shows nothing: each is a wake-up
	}
	if o.Environ != nil {
		opts = append(opts, tea.WithEnvironment(o.Environ))
	}
	p := tea.NewProgram(m, opts...)
	stop := watch(ctx, p, t)
	_, err = p.Run()
	t.Close()
	lost, second := stop()
	forgotten := m.keeper.write()

	switch {
	case m.forced:
		return ErrAbandoned
	case m.broken != nil:
		err = m.broken
	case lost() || err == nil || errors.Is(err, tea.ErrProgramKilled):
		err = nil // a terminal that is gone cannot be read: that ends the dashboard, not the run
	default:
		err = fmt.Errorf("dashboard: %w", err)
	}
	return errors.Join(err, forgotten, m.finish(second))
}

// watch turns signals and the end of ctx into messages: the first asks the model
// to end, a second SIGTERM or SIGINT does not wait. The end of ctx is no second
// signal: the signal that comes here may have ended it. Nor is SIGHUP: a terminal
// that closes sends it, and so does its shell. The function it returns ends the asking (not
// the watching: a second signal may yet come) and tells how to learn whether the
// terminal was lost, and of a second signal.
func watch(ctx context.Context, p *tea.Program, t *screen.Terminal) func() (lost func() bool, second <-chan struct{}) {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGWINCH, syscall.SIGCONT)
	second := make(chan struct{})
	hangup := make(chan struct{})
	go func() {
		asked, hung, told := false, false, false
		done := ctx.Done()
		for {
			again := false
			select {
			case <-done:
				done = nil
			case s := <-signals:
				switch s {
				case syscall.SIGWINCH:
					w, h := t.Size()
					go p.Send(tea.WindowSizeMsg{Width: w, Height: h})
					continue
				case syscall.SIGCONT:
					t.Again()
					continue
				case syscall.SIGHUP:
					if !hung {
						hung = true
						close(hangup)
					}
				default:
					again, told = told, true
				}
			}
			if again {
				close(second)
				p.Kill()
				signal.Stop(signals)
				return
			}
			if !asked {
				asked = true
				go p.Send(signalMsg{})
			}
		}
	}()
	lost := func() bool {
		select {
		case <-hangup:
			return true
		default:
			return false
		}
	}
	return func() (func() bool, <-chan struct{}) { return lost, second }
}

// finish ends the session where the program left before the stream had closed:
// its terminal is gone, or it failed.
func (m *Model) finish(second <-chan struct{}) error {
	if m.opt.Source == nil || m.Controller == nil || m.Closed {
		return nil
	}
	if !m.Leaving {
		if err := m.Controller.End(); err != nil {
			return fmt.Errorf("end the session: %w", err)
		}
	}
	// The model's last wait may still take the source's signal, so look now and
	// then as well.
	look := time.NewTicker(200 * time.Millisecond)
	defer look.Stop()
	for {
		if _, closed := m.opt.Source.Drain(); closed {
			return nil
		}
		select {
		case <-m.opt.Source.Ready():
		case <-look.C:
		case <-second:
			return ErrAbandoned
		}
	}
}
