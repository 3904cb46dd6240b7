package operator

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"sync"
	"time"

	"jouletop/engine"
	"jouletop/engine/child"
	"jouletop/engine/event"
	"jouletop/engine/nulljson"
	"jouletop/engine/rig"
	"jouletop/engine/session"
	"jouletop/engine/watch"
	"jouletop/gpu/plaintext"
	"jouletop/gpu/regular"
)

// WatchManifest describes a rig on which a command is watched.
func WatchManifest(r *rig.Rig, o *Config, args []string) session.Manifest {
	m := Manifest(r, o, "watch")
	m.Command = &session.Command{Args: args}
	return m
}

// Watched is a command to be watched.
type Watched struct {
	child.Command
	Idle   time.Duration // how long idle power is measured before and after
	Result string        // a file that it writes its result into; "" none
}

// Watch runs a command and records what it cost into rec. It returns how the command
// ended and the warnings, which are for when the terminal is free again. A ctx that is
// done before the command has begun is ErrInterrupted; afterwards the command hears the
// signals itself, and ctx only ends what follows it.
func Watch(ctx, hard context.Context, r *rig.Rig, rec *session.Recorder, w Watched) (end child.End, warnings []string, err error) {
	err = r.Do(func() error {
		c, err := startRecording(r, rec, nil, func(*engine.Engine, error) {}) // told at the end
		if err != nil {
			return errors.Join(err, rec.Close())
		}
		warnings, err = c.watch(ctx, hard, w, &end)
		return err
	})
	return end, warnings, err
}

func (c *recording) watch(ctx, hard context.Context, w Watched, end *child.End) (warnings []string, err error) {
	c.describe()
	var util peak
	c.stream.Observe(func(ev event.Event) []event.Event {
		switch ev := ev.(type) {
		case event.Warning:
			warnings = append(warnings, ev.Text)
		case event.Error:
			warnings = append(warnings, ev.Text)
		case event.Sample:
			util.sample(ev.GPUUtil)
		case event.CommandDone:
			c.update(func(m *session.Manifest) {
				d := m.Command
				d.StartNS, d.EndNS = ev.StartNS, ev.EndNS
				d.EnergyJ, d.EnergyErrJ = nulljson.Known(ev.EnergyJ), nulljson.Known(ev.EnergyErrJ)
				d.NetEnergyJ, d.NetErrJ = nulljson.Known(ev.NetEnergyJ), nulljson.Known(ev.NetEnergyErrJ)
			})
		}
		return nil
	})
	c.sayNotes()
	if err = c.watchOthers(); err == nil {
		t := teller{Watched: w, clock: c, util: &util}
		err = c.engine.Watch(ctx, hard, engine.Watched{
			Name: plaintext.Line(filepath.Base(w.Args[0])), Query: session.Command{Args: w.Args}.Line(), Idle: w.Idle,
			Run: func(told func(engine.WatchedPart)) engine.WatchedEnd { return t.run(told, end) },
		})
		if err != nil {
			err = ErrInterrupted
		}
	}
	err = errors.Join(err, c.finish(err))
	return warnings, err // the stream's until it is closed
}

// peak is the highest load of a GPU in a time.
type peak struct {
	mu   sync.Mutex
	most float64 // %; NaN none known
}

func (p *peak) reset() { p.mu.Lock(); p.most = math.NaN(); p.mu.Unlock() }

func (p *peak) sample(pct float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !(p.most >= pct) && !math.IsNaN(pct) {
		p.most = pct
	}
}

// none tells whether there was no load, as far as that is known.
func (p *peak) none() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.most == 0
}

// teller runs a command and tells the engine what it says of itself.
type teller struct {
	Watched
	clock *recording
	util  *peak

	mu     sync.Mutex // of the reader
	reader *watch.Reader
	last   int64 // when the test before ended, ns
	input  int   // tokens of all tests
	output int
	tests  int
}

func (t *teller) run(told func(engine.WatchedPart), end *child.End) engine.WatchedEnd {
	clk := t.clock.Clock
	began := time.Now()
	before, _ := os.Stat(t.Result) // nil where there is none yet
	t.reader, t.last = watch.NewReader(t.Args), clk.Now()
	t.reader.Test = func(x watch.Test, at int64) { told(t.part(x, at)) }
	t.util.reset()
	t.Output = func(p []byte) {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.reader.Write(p, clk.Now())
	}
	*end = t.Command.Run()
	now := clk.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.Output = nil
	t.reader.Close(now)
	out := engine.WatchedEnd{EndNS: now, Input: -1, Output: -1, Note: plaintext.OneLine(end.String())}
	if end.Left {
		t.clock.engine.Warn("processes of the command's group outlived it, and were ended")
	}
	if t.Result != "" {
		if err := t.readResult(before); err != nil {
			t.clock.engine.Warn(fmt.Sprintf("--result: %v", err))
		}
	}
	from := ""
	switch total, ok := t.reader.Totals(); {
	case t.tests > 0:
		out.Input, out.Output, from = t.input, t.output, "llama-bench"
	case ok && total.Input >= 0 && total.Seconds <= time.Since(began).Seconds()+1:
		out.Model, out.Input, out.Output, from = total.Model, total.Input, total.Output, total.From
	case ok && total.Input >= 0:
		t.clock.engine.Warn(fmt.Sprintf("%s is of %.1f s, and the command ran %.1f s: it is of another run, and not believed", total.From, total.Seconds, time.Since(began).Seconds()))
	}
	for _, d := range t.reader.Doubts() {
		t.clock.engine.Warn(d)
	}
	if end.Status != 0 {
		out.Flags = out.Flags.With(event.FlagCommandFailed)
	}
	if t.util.none() && !t.clock.Simulated() {
		out.Flags = out.Flags.With(event.FlagGPUUnused)
	}
	t.clock.update(func(m *session.Manifest) {
		m.Command.Ended, m.Command.Status, m.Command.TokensFrom, m.Command.Doubts = out.Note, &end.Status, from, t.reader.Doubts()
		if out.Input >= 0 {
			m.Command.InputTokens, m.Command.OutputTokens = &out.Input, &out.Output
		}
	})
	return out
}

// maxResult is the largest result that is read, in bytes.
const maxResult = 64 << 20

// readResult reads what the command wrote into a file; before is what was there already.
func (t *teller) readResult(before os.FileInfo) error {
	f, err := regular.Open(t.Result)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if before != nil && os.SameFile(before, info) && before.ModTime().Equal(info.ModTime()) && before.Size() == info.Size() {
		return fmt.Errorf("%s is from before the command", t.Result)
	}
	b, err := regular.Read(f, maxResult)
	if err != nil {
		return err
	}
	// Its tests, if it has some, have no time: it was read after them.
	own := watch.NewReader(t.Args)
	own.Write(b, 0)
	own.Close(0)
	if total, ok := own.Totals(); ok && t.tests == 0 {
		if said, both := t.reader.Totals(); !both || said.Input == total.Input && said.Output == total.Output {
			t.reader = own
		} else {
			return errors.New("it says other token counts than the output; neither is believed")
		}
		return nil
	}
	return fmt.Errorf("%s holds no result that is understood", t.Result)
}

// part is a test as the engine takes it. What does not agree with when it came has no
// time.
func (t *teller) part(x watch.Test, at int64) engine.WatchedPart {
	p := engine.WatchedPart{Name: x.Name, Model: x.Model, Phase: event.Mixed, EndNS: at, Seconds: x.Seconds, Input: x.Input, Output: x.Output}
	switch {
	case x.Output == 0:
		p.Phase = event.Prefill
	case x.Input == 0:
		p.Phase = event.Decode
	}
	if x.CPU {
		p.Flags = p.Flags.With(event.FlagGPUUnused)
	}
	t.tests++
	t.input, t.output = t.input+x.Input, t.output+x.Output
	const second = int64(time.Second)
	start := at - int64(x.Seconds*1e9)
	wall := time.Now().UnixNano() - (t.clock.Clock.Now() - start) // of its start
	switch {
	case start < t.last:
		p.Seconds = math.NaN() // it says that it took longer than there was time
	case x.BeganUnix != 0 && (x.BeganUnix*second > wall+second || x.BeganUnix*second < wall-(start-t.last)-2*second):
		p.Seconds = math.NaN() // it says that it began at another time
	}
	t.last = at
	return p
}

// Passed is what a command's end means for this program's own: its status.
type Passed struct {
	Status int
	Err    error // nil: nothing beside it
}

func (p Passed) Error() string {
	if p.Err != nil {
		return p.Err.Error()
	}
	return fmt.Sprintf("exit status %d", p.Status)
}

// Unwrap returns what is beside the status.
func (p Passed) Unwrap() error { return p.Err }
