//go:build cgo

package engine_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"jouletop/engine"
	"jouletop/engine/event"
	"jouletop/engine/stream"
	"jouletop/gpu"
	"jouletop/gpu/nvml"
	"jouletop/gpu/nvml/fakenvml"
	"jouletop/gpu/timebase"
)

// beat is a backend whose batches run in step with a fake GPU's square wave:
// prefill while the power is high, decode while it is low.
type beat struct {
	clk    timebase.Clock
	period int64
}

func (b beat) Name() string                      { return "beat" }
func (b beat) CountTokens(s string) (int, error) { return len(s) / 4, nil }
func (b beat) Close() error                      { return nil }

func (b beat) Load(context.Context, engine.ModelSpec, func(float64)) (engine.ModelInfo, error) {
	return engine.ModelInfo{Name: "beat"}, nil
}

func (b beat) Run(ctx context.Context, batch engine.Batch, obs engine.Observer) ([]engine.Result, error) {
	// What the engine does between two batches fits into the last moment.
	const between = int64(5 * time.Millisecond)
	start := (b.clk.Now()/b.period + 1) * b.period
	middle, end := start+b.period/2, start+b.period-between
	for _, at := range []struct {
		t  int64
		do func()
	}{
		{start, func() { obs.PhaseStart(event.Prefill, start, 340) }},
		{middle, func() {
			obs.PhaseEnd(event.Prefill, middle, 340)
			obs.PhaseStart(event.Decode, middle, 50)
		}},
		{end, func() { obs.PhaseEnd(event.Decode, end, 50) }},
	} {
		if err := b.clk.SleepUntil(ctx, at.t); err != nil {
			return nil, err
		}
		at.do()
	}
	out := make([]engine.Result, len(batch.Requests))
	for i := range out {
		out[i] = engine.Result{InputTokens: 340, OutputTokens: 50, StartNS: start, PrefillEndNS: middle, FirstTokenNS: middle, EndNS: end, Quality: 1}
	}
	return out, nil
}

// sensorCase is a GPU whose sensors fail in one way while requests run.
type sensorCase struct {
	name   string
	config func(c fakenvml.Config) fakenvml.Config // nil: an H100
	// fault happens three seconds after the first request.
	fault func(g fakenvml.GPU, now int64)
	// flags are those that some request must have, and named what a warning says.
	flags []event.Flag
	named []string
	// stated is how many of the requests must have an energy, at least, 0 to 1.
	stated float64
}

func set(fields ...any) func(c fakenvml.Config) fakenvml.Config {
	return func(c fakenvml.Config) fakenvml.Config {
		for i := 0; i < len(fields); i += 2 {
			c = c.With(fields[i].(fakenvml.Field), int64(fields[i+1].(int)))
		}
		return c
	}
}

const (
	allPower   = fakenvml.NoAverage | fakenvml.NoInstant | fakenvml.NoBuffer
	beatPeriod = 500 * time.Millisecond
	beatHighW  = 600
	beatLowW   = 400
)

var sensorCases = []sensorCase{
	{name: "healthy", stated: 0.8},
	{
		name: "one garbage reading in 50", stated: 0.8, flags: []event.Flag{event.FlagSensorImplausible}, named: []string{"buffer"},
		config: set(fakenvml.WrongSources, allPower, fakenvml.WrongMW, 3_700_000_000, fakenvml.WrongEvery, 50),
	},
	{
		name: "the average is always garbage", stated: 0.8, flags: []event.Flag{event.FlagSensorImplausible}, named: []string{"average"},
		config: set(fakenvml.WrongSources, fakenvml.NoAverage, fakenvml.WrongMW, 3_700_000_000),
	},
	{
		name: "nothing but garbage", flags: []event.Flag{event.FlagSensorImplausible}, named: []string{"average"},
		config: set(fakenvml.WrongSources, fakenvml.NoAverage, fakenvml.WrongMW, 3_700_000_000,
			fakenvml.Unsupported, fakenvml.NoInstant|fakenvml.NoBuffer|fakenvml.NoCounter),
	},
	{
		name: "a buffer of 0 W", stated: 0.7, flags: []event.Flag{event.FlagSensorZero}, named: []string{"buffer"},
		fault: func(g fakenvml.GPU, now int64) {
			g.Set(fakenvml.WrongToNS, now+3e9)
			g.Set(fakenvml.WrongFromNS, now)
			g.Set(fakenvml.WrongMW, 0)
			g.Set(fakenvml.WrongSources, fakenvml.NoBuffer)
		},
	},
	{
		name: "lost for 7 s", stated: 0.3, flags: []event.Flag{event.FlagReadingsGap}, named: []string{"lost"},
		fault: func(g fakenvml.GPU, now int64) {
			g.Set(fakenvml.Lost, 1)
			time.Sleep(7 * time.Second)
			g.Set(fakenvml.Lost, 0)
		},
	},
	{
		name: "lost for 7 s, polled sources alone", stated: 0.3, flags: []event.Flag{event.FlagReadingsGap}, named: []string{"lost"},
		config: set(fakenvml.Unsupported, fakenvml.NoBuffer|fakenvml.NoCounter),
		fault: func(g fakenvml.GPU, now int64) {
			g.Set(fakenvml.Lost, 1)
			time.Sleep(7 * time.Second)
			g.Set(fakenvml.Lost, 0)
		},
	},
	{
		name: "reads that hang 4 s", stated: 0.3, flags: []event.Flag{event.FlagReadingsGap}, named: []string{"hang"},
		fault: func(g fakenvml.GPU, now int64) { g.Set(fakenvml.ReadsHangUntilNS, now+4e9) },
	},
	{
		name: "a counter that steps back", stated: 0.8, named: []string{"counter"},
		fault: func(g fakenvml.GPU, now int64) { g.Set(fakenvml.CounterOffsetMJ, -500_000) },
	},
	{
		name: "a counter alone that steps back", flags: []event.Flag{event.FlagCounterStep}, named: []string{"counter"},
		config: set(fakenvml.Unsupported, allPower),
		fault:  func(g fakenvml.GPU, now int64) { g.Set(fakenvml.CounterOffsetMJ, -5_000_000) },
	},
	{
		name: "a counter of 1.8 times", stated: 0.7, flags: []event.Flag{event.FlagSensorOutvoted}, named: []string{"counter"},
		config: set(fakenvml.ScaledSources, fakenvml.NoCounter, fakenvml.ScaledPercent, 180),
	},
	{
		name: "a buffer of 1.8 times", stated: 0.3, flags: []event.Flag{event.FlagSensorOutvoted}, named: []string{"buffer"},
		config: set(fakenvml.ScaledSources, fakenvml.NoBuffer, fakenvml.ScaledPercent, 180),
	},
	{
		name: "two sources that contradict each other", flags: []event.Flag{event.FlagSensorsDisagree}, named: []string{"counter", "buffer"},
		config: set(fakenvml.ScaledSources, fakenvml.NoCounter, fakenvml.ScaledPercent, 180,
			fakenvml.Unsupported, fakenvml.NoAverage|fakenvml.NoInstant),
	},
	{
		name: "constant power", stated: 0.8,
		config: set(fakenvml.PowerLowMW, 500_000, fakenvml.PowerHighMW, 500_000),
	},
	{
		name: "a constant power, polled", stated: 0.8,
		config: set(fakenvml.PowerLowMW, 500_000, fakenvml.PowerHighMW, 500_000, fakenvml.Unsupported, fakenvml.NoBuffer),
	},
	{
		name: "a buffer stamped on another clock", stated: 0.7,
		config: set(fakenvml.StampShiftNS, int(-3*time.Hour)),
	},
	{
		name: "no clock reading", stated: 0.8,
		config: set(fakenvml.Unsupported, fakenvml.NoClock),
	},
}

// TestSensorFaults runs requests on fake GPUs, all at once, whose sensors fail in
// the ways that people report. Every energy stated must hold the truth, and the
// fault must be said.
func TestSensorFaults(t *testing.T) {
	if testing.Short() {
		t.Skip("runs in real time")
	}
	lib, err := fakenvml.Build()
	if err != nil {
		t.Skip(err)
	}
	for batch := range slices.Chunk(sensorCases, 16) { // as many as the fake has
		var configs []fakenvml.Config
		for _, c := range batch {
			conf := fakenvml.H100().With(fakenvml.PowerHighMW, beatHighW*1000).With(fakenvml.PowerLowMW, beatLowW*1000).
				With(fakenvml.PowerPeriodNS, int64(beatPeriod)).With(fakenvml.BufferLagNS, 10e6)
			if c.config != nil {
				conf = c.config(conf)
			}
			configs = append(configs, conf)
		}
		st, err := fakenvml.Create(filepath.Join(t.TempDir(), "gpu"), configs...)
		if err != nil {
			t.Fatal(err)
		}
		st.Setenv(t, lib)
		runs := make([]*bench, len(batch))
		errs := make([]error, len(batch))
		var wg sync.WaitGroup
		for i, c := range batch {
			dev, err := nvml.Open(i)
			if err != nil {
				t.Fatal(err)
			}
			wg.Go(func() { runs[i], errs[i] = c.run(dev, st.GPU(i)) })
		}
		wg.Wait()
		for i, c := range batch {
			t.Run(c.name, func(t *testing.T) {
				if errs[i] != nil {
					t.Fatal(errs[i])
				}
				c.judge(t, runs[i], st.GPU(i))
			})
		}
	}
}

func (c *sensorCase) run(dev gpu.Device, g fakenvml.GPU) (*bench, error) {
	b := &bench{}
	clk := timebase.Monotonic()
	var err error
	b.engine, err = engine.New(engine.Config{
		Clock: clk, GPUs: []engine.GPU{{Device: dev, Sources: dev.PowerSources()}}, Backend: beat{clk, int64(beatPeriod)}, Stream: stream.New(b),
	})
	if err != nil {
		return nil, err
	}
	b.engine.Start()
	if c.fault != nil {
		go func() {
			time.Sleep(4 * time.Second)
			c.fault(g, clk.Now())
		}()
	}
	pt := point("beat", 28, 1, nil)
	err = b.engine.Run(context.Background(), engine.Plan{Name: "run", Points: []engine.PointPlan{pt}, Idle: time.Second})
	return b, errors.Join(err, b.engine.Close(), dev.Close())
}

func (c *sensorCase) judge(t *testing.T, b *bench, g fakenvml.GPU) {
	var warnings []string
	for _, w := range of[event.Warning](b) {
		warnings = append(warnings, w.Text)
	}
	stated, n := 0, 0
	var flags event.Flags
	for _, r := range of[event.RequestEnergy](b) {
		n++
		flags = flags.Union(r.Flags)
		truth := g.TrueEnergyJ(r.StartNS, r.EndNS)
		t.Logf("%s: %.1f ± %.1f J by %s, %.1f truly [%s]", r.RequestID, r.EnergyJ, r.EnergyErrJ, r.Method, truth, r.Flags)
		if math.IsNaN(r.EnergyJ) {
			continue
		}
		stated++
		if math.Abs(r.EnergyJ-truth) > 1.6*r.EnergyErrJ { // three standard deviations: these are hundreds
			t.Errorf("%s: %.1f ± %.1f J by %s where %.1f is right [%s]", r.RequestID, r.EnergyJ, r.EnergyErrJ, r.Method, truth, r.Flags)
		}
	}
	if share := float64(stated) / float64(n); share < c.stated {
		t.Errorf("%d of %d requests have an energy", stated, n)
	}
	for _, f := range c.flags {
		if !flags.Has(f) {
			t.Errorf("no request is flagged %s: %s", f, flags)
		}
	}
	all := strings.Join(warnings, "\n")
	for _, n := range c.named {
		if !strings.Contains(all, n) {
			t.Errorf("no warning names %s", n)
		}
	}
	t.Logf("%d of %d stated, flags %s, warnings:\n%s", stated, n, flags, all)
	for _, p := range of[event.PointDone](b) {
		t.Logf("point: %s", fmt.Sprintf("%.1f ± %.1f J, net %.1f, by %s [%s]", p.EnergyJ, p.EnergyErrJ, p.NetEnergyJ, p.Method, p.Flags))
	}
	if len(of[event.Sample](b)) == 0 {
		t.Error("no samples")
	}
}
