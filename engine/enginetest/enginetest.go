// Package enginetest runs an engine over a simulated GPU and model, for tests of what
// comes of its events.
package enginetest

import (
	"testing"

	"jouletop/engine"
	"jouletop/engine/event"
	"jouletop/engine/simllm"
	"jouletop/engine/stream"
	"jouletop/gpu/clockguard"
	"jouletop/gpu/simgpu"
	"jouletop/gpu/timebase"
)

// World is what to simulate: an H100 with its sensors and clock control, and a model.
type World struct {
	Seed  int64
	GPU   []simgpu.Option
	Model []simllm.Option
	Heard func(event.Event) // is told of every event, in order
	// Load, if not nil, is what the GPU does in a phase, where nothing is run on it.
	Load func(g *simgpu.GPU, p event.Phase)
}

// Run calls do with an engine that is started, within simulated time, ends it, and
// returns the GPU.
func (w World) Run(t testing.TB, do func(clk timebase.Clock, e *engine.Engine) error) *simgpu.GPU {
	t.Helper()
	clk := timebase.NewSim(0)
	g, err := simgpu.New("h100", clk, w.Seed, w.GPU...)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	clk.Go(func() {
		done <- func() error {
			control, err := clockguard.InProcess(g, clk, clockguard.Options{})
			if err != nil {
				return err
			}
			var load func(event.Phase)
			if w.Load != nil {
				load = func(p event.Phase) { w.Load(g, p) }
			}
			e, err := engine.New(engine.Config{
				Load:  load,
				Clock: clk, GPUs: []engine.GPU{{Device: g, Sources: g.PowerSources(), Control: control}},
				Backend: simllm.New(g, clk, w.Seed, w.Model...), Stream: stream.New(recorder(w.Heard)), Simulated: true,
			})
			if err != nil {
				return err
			}
			e.Start()
			if err := do(clk, e); err != nil {
				return err
			}
			return e.Close()
		}()
	})
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return g
}

// recorder is a recorder that keeps nothing.
type recorder func(event.Event)

func (r recorder) Record(e event.Event) { r(e) }

func (r recorder) Err() error { return nil }

func (r recorder) Close() error { return nil }
