package engine

import (
	"context"
	"math"
	"sync"
	"testing"
	"time"

	"jouletop/engine/event"
	"jouletop/engine/stream"
	"jouletop/gpu"
	"jouletop/gpu/simgpu"
	"jouletop/gpu/timebase"
)

// heardOf keeps events.
type heardOf struct {
	mu  sync.Mutex
	all []event.Event
}

func (k *heardOf) Record(e event.Event) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !event.Telemetry(e) {
		k.all = append(k.all, e)
	}
}

// What watched GPUs drew and what processes took of it is right, and a GPU that nobody
// uses sleeps.
func TestTenants(t *testing.T) {
	sim := timebase.NewSim(0)
	var gpus []GPU
	var sims []*simgpu.GPU
	for i := range 2 {
		g, err := simgpu.New("h100", sim, 1, simgpu.WithIndex(i), simgpu.WithGain(0), simgpu.WithTruth(), simgpu.WithSleep())
		if err != nil {
			t.Fatal(err)
		}
		sims, gpus = append(sims, g), append(gpus, GPU{Device: gpu.ReadOnly(g), Sources: g.PowerSources()})
	}
	rec := &heardOf{}
	e, err := New(Config{Clock: sim, GPUs: gpus, Stream: stream.New(rec), Simulated: true, Watch: true})
	if err != nil {
		t.Fatal(err)
	}
	var last map[string]event.Processes
	var from, to int64
	var truth float64
	done := make(chan struct{})
	sim.Go(func() {
		defer close(done)
		a := simgpu.Tenant{Process: gpu.Process{PID: 11, Name: "a\x1b", MemoryMiB: 100}, Share: 0.6, DRAM: 0.5}
		b := simgpu.Tenant{Process: gpu.Process{PID: 12, Name: "b", MemoryMiB: 200}, Share: 0.2, DRAM: 0.1}
		sims[0].SetTenants(a, b)
		from = sim.Now()
		e.Start()
		wait := func(d time.Duration) { _ = sim.Sleep(context.Background(), d) }
		wait(40 * time.Second)
		sims[0].SetTenants(a)
		wait(20 * time.Second)
		last = e.Tenants()
		to = sim.Now()
		truth = sims[0].TrueEnergyJ(from, to)
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	<-done
	p, quiet := last["sim:h100"], last["sim:h100:1"]
	if len(p.List) != 2 || p.List[0].Name != "a\ufffd" || p.List[0].Gone || p.List[0].SMPct != 60 || !p.List[1].Gone || !math.IsNaN(p.List[1].SMPct) {
		t.Fatalf("%+v", p.List)
	}
	// The newest second or two are not known yet.
	if p.KnownS < 56 || p.KnownS > 61 {
		t.Errorf("the energy of %.1f s is known", p.KnownS)
	}
	whole := truth * p.KnownS / (float64(to-from) / 1e9)
	if d := math.Abs(p.EnergyJ - whole); d > p.EnergyErrJ+0.01*whole || p.EnergyErrJ > 0.05*whole {
		t.Errorf("%.0f ± %.0f J, and the truth is %.0f J", p.EnergyJ, p.EnergyErrJ, whole)
	}
	shares := p.List[0].EnergyJ + p.List[1].EnergyJ + p.IdleEnergyJ
	if math.Abs(shares-p.EnergyJ) > 1e-6*p.EnergyJ {
		t.Errorf("shares of %.1f J are %.1f J", p.EnergyJ, shares)
	}
	if r := p.List[1].EnergyJ / p.EnergyJ; r < 0.15 || r > 0.2 { // a quarter of two thirds
		t.Errorf("b has %.3f of all", r)
	}
	if !quiet.Asleep || len(quiet.List) != 0 || quiet.UnknownS < 20 {
		t.Errorf("the GPU that nobody uses: %+v", quiet)
	}
	if n := sims[1].Woken(); n > 0 {
		t.Errorf("it was woken %d times", n)
	}
	slept, told := 0, 0
	for _, e := range rec.all {
		switch e := e.(type) {
		case event.Sleep:
			if slept++; e.GPU != "sim:h100:1" || !e.Asleep {
				t.Errorf("%+v", e)
			}
		case event.Processes:
			told++
		case event.Warning:
			t.Errorf("warned: %s", e.Text)
		}
	}
	if slept != 1 || told < 4 {
		t.Errorf("told %d times of sleep, %d times of processes", slept, told)
	}
}

func (k *heardOf) Err() error { return nil }

func (k *heardOf) Close() error { return nil }
