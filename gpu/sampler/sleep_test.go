package sampler_test

import (
	"context"
	"testing"
	"time"

	"jouletop/gpu"
	"jouletop/gpu/sampler"
	"jouletop/gpu/simgpu"
	"jouletop/gpu/timebase"
)

// A GPU that may be suspended is left alone once nobody uses it, so that it is; it is not
// woken, and read again as soon as others have woken it. One that is read all the time
// never sleeps.
func TestSamplerLetsAGPUSleep(t *testing.T) {
	for _, let := range []bool{true, false} {
		sim := timebase.NewSim(0)
		g, err := simgpu.New("h100", sim, 1, simgpu.WithSleep())
		if err != nil {
			t.Fatal(err)
		}
		type change struct {
			at     int64
			asleep bool
		}
		var changes []change
		var newest, longest int64
		var problems []error
		done := make(chan struct{})
		sim.Go(func() {
			defer close(done)
			s := sampler.Start(g, sampler.Options{
				Clock: sim, LetSleep: let,
				Sample: func(t int64, _ gpu.Sample) { newest, longest = t, max(longest, t-newest) },
				Asleep: func(t int64, asleep bool) {
					changes = append(changes, change{t, asleep})
				},
				Problem: func(err error) { problems = append(problems, err) },
			})
			wait := func(d time.Duration) { _ = sim.Sleep(context.Background(), d) }
			wait(40 * time.Second) // nobody uses it: it is let go of after 10 s
			asleep := g.Asleep()
			if asleep != let {
				t.Errorf("let sleep %v: asleep is %v", let, asleep)
			}
			g.SetTenants(simgpu.Tenant{Process: gpu.Process{PID: 4, Name: "x"}, Share: 0.5, DRAM: 0.3})
			wait(5 * time.Second)
			if newest < sim.Now()-int64(50*time.Millisecond) {
				t.Errorf("let sleep %v: at %d s the newest sample is of %d s", let, sim.Now()/1e9, newest/1e9)
			}
			g.SetTenants()
			wait(90 * time.Second) // held for a while after it was taken, then let go of
			if g.Asleep() != let {
				t.Errorf("let sleep %v: asleep is %v at the end", let, g.Asleep())
			}
			if n := g.Woken(); n > 0 {
				t.Errorf("let sleep %v: it was woken %d times by being read", let, n)
			}
			s.Stop()
		})
		<-done
		if len(problems) > 0 {
			t.Errorf("let sleep %v: told of %v", let, problems)
		}
		if !let {
			if len(changes) > 0 || longest > int64(20*time.Millisecond) {
				t.Errorf("%v, longest pause %d ms", changes, longest/1e6)
			}
			continue
		}
		if len(changes) != 3 || !changes[0].asleep || changes[1].asleep || !changes[2].asleep {
			t.Fatalf("asleep, awake and asleep again were to be told: %v", changes)
		}
		if at := changes[1].at - int64(40*time.Second); at < 0 || at > int64(2*time.Second) {
			t.Errorf("told %d ms after it was woken", at/1e6)
		}
	}
}
