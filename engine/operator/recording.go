package operator

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"jouletop/engine"
	"jouletop/engine/event"
	"jouletop/engine/plan"
	"jouletop/engine/rig"
	"jouletop/engine/session"
	"jouletop/engine/stream"
	"jouletop/gpu"
	"jouletop/gpu/plaintext"
	"jouletop/gpu/sampler"
)

// recording is a session being recorded: folder, stream and engine.
type recording struct {
	*rig.Rig
	rec    *session.Recorder
	stream *stream.Stream
	engine *engine.Engine
	// requests counts those done; of the stream's goroutine until it is closed.
	requests int
	// trouble is what keeps the disk from taking more; nil while it does.
	trouble atomic.Pointer[string]
	// unguarded says that a clock guard has ended by itself; nil until one does.
	unguarded atomic.Pointer[string]
	// renewals are the power sources' by GPU; of the stream's goroutine as well.
	renewals map[string]*sampler.Renewals
}

// Manifest describes the rig.
func Manifest(r *rig.Rig, o *Config, what string) session.Manifest {
	m := session.Manifest{
		Program: o.Program, Name: what, Simulated: r.Simulated(), Note: r.Note,
		Start: time.Now().UTC(), Host: session.ThisHost(), TimeBase: session.TimeBaseOf(r.Clock), Seed: o.Rig.Seed,
		NoGraphSearch: o.Rig.NoGraphSearch,
		Plan:          session.Plan{Queries: o.Work.Queries, Batches: o.Work.Batches, Repeats: max(o.Work.Repeats, 1), Policy: o.Work.Policy, Route: o.Work.Route, MaxTokens: o.Work.MaxTokens, Chat: o.Work.Chat, Blocks: o.Work.Blocks, Until: o.Work.Until, MaxSlowdown: o.Work.MaxSlowdown, DraftModel: o.Rig.DraftModel, Draft: o.Rig.Draft, DraftDepths: o.Work.DraftDepths},
	}
	if r.Simulated() && m.Note == "" {
		m.Note = "SIMULATED: GPU, model, times and energies are computed, not measured"
	}
	for _, g := range r.GPUs {
		m.GPUs = append(m.GPUs, session.GPU{ID: g.Device.Info().ID(), Info: g.Device.Info(), Sensors: g.Sources})
	}
	m.HostSources, m.HostUnread = r.Host, r.HostUnread
	if r.Backend != nil {
		m.Backend = r.Backend.Name()
	}
	return m
}

// startRecording makes an engine that publishes into the session. Where the disk
// takes no more, hold keeps the engine from doing what will not be recorded.
func startRecording(r *rig.Rig, rec *session.Recorder, p engine.Policy, hold func(*engine.Engine, error)) (*recording, error) {
	if err := r.NotePromptCache(rec); err != nil {
		return nil, err
	}
	c := &recording{Rig: r, rec: rec, stream: stream.New(rec)}
	var err error
	c.engine, err = engine.New(engine.Config{
		Clock: r.Clock, GPUs: r.EngineGPUs(), Backend: r.Backend,
		Stream: c.stream, Simulated: r.Simulated(), Policy: p, Load: r.Load(), Telemetry: r.Telemetry(), Rearm: r.Rearm, Watch: r.Watches, Host: r.HostReader(),
	})
	if err != nil {
		return nil, err
	}
	rec.OnTrouble(func(err error) { c.told(err, hold) })
	heard := c.engine.Warn
	alarmed := func(text string) {
		c.unguarded.Store(&text)
		c.engine.Fail(errors.New(text))
	}
	r.Listen(heard, alarmed)
	rig.Occupy(r)
	c.engine.Start()
	return c, nil
}

// told passes on that the disk takes no more, or (nil) that it does again.
func (c *recording) told(err error, hold func(*engine.Engine, error)) {
	if err == nil {
		c.trouble.Store(nil)
		c.engine.Warn("the recording goes on: all that waited is written")
		return
	}
	text := plaintext.OneLine(err.Error())
	c.trouble.Store(&text)
	c.engine.Fail(err)
	hold(c.engine, err)
}

// sayNotes tells what was found out before there was anybody to tell: it comes
// once manifest, screen and stderr listen.
func (c *recording) sayNotes() {
	for _, n := range append(c.TakeNotes(), c.BackendNotes()...) {
		c.engine.Warn(n)
	}
}

// watchOthers names the other processes on the GPU in the manifest and warns of
// them: their energy is counted as ours.
func (c *recording) watchOthers() error {
	others, err := c.OtherProcesses()
	if err != nil {
		c.engine.Warn(err.Error())
	}
	if len(others) == 0 {
		return nil
	}
	for _, id := range gpu.MemberIDs(c.Info.ID()) {
		for _, p := range others[id] {
			if c.Watches {
				break // it is they who are watched
			}
			c.engine.Warn(fmt.Sprintf("another process is on GPU %s: %s (pid %d); its energy is counted as ours", id, p.Name, p.PID))
		}
	}
	return c.rec.Update(func(m *session.Manifest) {
		for i := range m.GPUs {
			m.GPUs[i].Processes = others[m.GPUs[i].ID]
		}
	})
}

// finish ends the engine and the recording; how is the manifest's last word. It
// is called within the rig's clock.
func (c *recording) finish(runErr error) error {
	var errs []error
	clocks := c.engine.Close()
	// What the engine's last call could not do, the guard may.
	if back := c.CloseControls(); back != nil || !c.Controlled() {
		clocks = errors.Join(clocks, back)
		errs = append(errs, clocks)
	}
	locked := errors.Join(errs...)
	if locked != nil {
		c.engine.Fail(locked)
	}
	c.stream.Close()
	c.Clock.Block(func() { errs = append(errs, c.rec.Close()) })
	model := c.engine.Model()
	errs = append(errs, c.rec.Update(func(m *session.Manifest) {
		m.End, m.Ended = time.Now().UTC(), ending(runErr)
		m.Requests += c.requests // a resumed sweep has some already
		for i, g := range m.GPUs {
			if seen := c.renewals[g.ID]; seen != nil {
				m.GPUs[i].Sensors = seen.Describe(g.Sensors)
			}
		}
		if failed := errors.Join(runErr, locked); m.Ended == event.HowFailed || locked != nil {
			m.Error = plaintext.OneLine(failed.Error())
		}
		if m.BuildFlags == nil {
			m.BuildFlags = model.BuildFlags
		}
	}))
	return errors.Join(errs...)
}

func ending(err error) event.How {
	switch {
	case err == nil:
		return event.HowDone
	case errors.Is(err, engine.ErrStopped):
		return event.HowStopped
	case errors.Is(err, ErrInterrupted):
		return event.HowInterrupted
	}
	return event.HowFailed
}

// describe keeps for the manifest the loaded models, the warnings, and how often the
// power sources renewed their values.
func (c *recording) describe() {
	models := map[string]bool{}
	c.renewals = map[string]*sampler.Renewals{}
	for _, g := range c.GPUs {
		c.renewals[g.Device.Info().ID()] = &sampler.Renewals{}
	}
	c.stream.Observe(func(ev event.Event) []event.Event {
		switch ev := ev.(type) {
		case event.PointStart:
			info := c.engine.Model()
			if info.Name != "" && !models[info.Name] {
				models[info.Name] = true
				c.update(func(m *session.Manifest) { m.Models = append(m.Models, info) })
			}
		case event.RequestDone:
			c.requests++
		case event.Power:
			if seen := c.renewals[ev.GPU]; seen != nil {
				seen.Add(ev.PowerReading)
			}
		case event.Warning:
			c.update(func(m *session.Manifest) { m.Warnings = append(m.Warnings, ev.Text) })
		}
		return nil
	})
}

// update changes the manifest. What the disk does not take now the recorder tries
// again, and tells of.
func (c *recording) update(change func(*session.Manifest)) { _ = c.rec.Update(change) }

// DescribePlan names in the manifest what is to run.
func DescribePlan(m *session.Manifest, specs []engine.ModelSpec, data []plan.Dataset, plan engine.Plan) {
	for _, s := range specs {
		m.Plan.Models = append(m.Plan.Models, s.Name)
	}
	for _, d := range data {
		m.Plan.Datasets = append(m.Plan.Datasets, d.Name)
		m.Datasets = append(m.Datasets, d.Manifest())
	}
	for _, p := range plan.Points {
		m.Plan.Points = append(m.Plan.Points, p.PointID)
	}
	m.Plan.MinPointS, m.Plan.CoolDownS = plan.MinPoint.Seconds(), plan.Cooldown.Seconds()
}
