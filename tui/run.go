package tui

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	tea "charm.land/bubbletea/v2"
)

// ErrAbandoned: the operator left without waiting for the running batch.
var ErrAbandoned = errors.New("left before the running batch had ended")

// Run shows the dashboard until the operator quits, ctx is done, or the process
// is told to end (SIGTERM, SIGINT) or loses its terminal (SIGHUP). In each case
// the session is ended as by q: after the running batch, everything saved. Run
// returns when the stream is closed, or with ErrAbandoned where the operator (or
// a second signal) would not wait. The terminal is restored in every case.
func Run(ctx context.Context, o Options) error {
	m := New(o)
	opts := []tea.ProgramOption{tea.WithoutSignalHandler(), tea.WithFPS(max(m.opt.FPS, 1))}
	if o.Input != nil {
		opts = append(opts, tea.WithInput(o.Input))
	}
	if o.Output != nil {
		opts = append(opts, tea.WithOutput(o.Output))
	}
	if o.Environ != nil {
		opts = append(opts, tea.WithEnvironment(o.Environ))
	}
	p := tea.NewProgram(m, opts...)

	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer signal.Stop(signals)
	second := make(chan struct{}) // a second signal
	var lost atomic.Bool          // the terminal
	done := make(chan struct{})
	defer close(done)
	go func() {
		for n := 0; ; n++ {
			select {
			case <-done:
				return
			case <-ctx.Done():
			case s := <-signals:
				if s == syscall.SIGHUP {
					lost.Store(true)
				}
			}
			if n == 0 {
				p.Send(signalMsg{})
				if ctx.Err() != nil {
					return
				}
				continue
			}
			close(second)
			p.Kill()
			return
		}
	}()

	_, err := p.Run()
	switch {
	case err == nil:
	case lost.Load() || errors.Is(err, tea.ErrProgramKilled):
		err = nil // a terminal that is gone cannot be restored
	default:
		err = fmt.Errorf("dashboard: %w", err)
	}
	if m.forced {
		return ErrAbandoned
	}
	return errors.Join(err, m.finish(second))
}

// finish ends the session where the program left before the stream had closed:
// its terminal is gone, or it failed.
func (m *Model) finish(second <-chan struct{}) error {
	if m.opt.Source == nil || m.opt.Controller == nil || m.closed {
		return nil
	}
	if !m.leaving {
		if err := m.opt.Controller.End(); err != nil {
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
