package simgpu

import (
	"context"
	"time"

	"jouletop/gpu"
	"jouletop/gpu/timebase"
)

// scene is what a simulated GPU's tenants do for a while.
type scene struct {
	lasts   time.Duration
	tenants []Tenant
}

func tenant(pid int, name string, mib int, share, tensor, dram float64) Tenant {
	return Tenant{gpu.Process{PID: pid, Name: name, MemoryMiB: mib}, share, tensor, dram}
}

// scenes are what the GPUs of a machine that is watched are used for, over and over: a
// server with a notebook beside it, a training, two jobs that share one, and one that is
// used now and then, and sleeps meanwhile. Names and loads are invented.
var scenes = [][]scene{
	{
		{7 * time.Second, []Tenant{tenant(2101, "llama-server", 18432, 0.62, 0.03, 0.38), tenant(2977, "python3", 2048, 0, 0, 0)}},
		{4 * time.Second, []Tenant{tenant(2101, "llama-server", 18432, 0.91, 0.21, 0.44), tenant(2977, "python3", 2048, 0.07, 0.01, 0.02)}},
		{5 * time.Second, []Tenant{tenant(2101, "llama-server", 18432, 0, 0, 0), tenant(2977, "python3", 2048, 0, 0, 0)}},
		{6 * time.Second, []Tenant{tenant(2101, "llama-server", 18432, 0.48, 0.02, 0.3), tenant(2977, "python3", 2048, 0.33, 0.08, 0.07)}},
	},
	{
		{20 * time.Second, []Tenant{tenant(3350, "train.py", 61440, 0.97, 0.41, 0.33)}},
		{3 * time.Second, []Tenant{tenant(3350, "train.py", 61440, 0.12, 0, 0.05)}},
	},
	{
		{9 * time.Second, []Tenant{tenant(4012, "vllm", 40960, 0.7, 0.1, 0.4), tenant(4408, "ffmpeg", 640, 0.11, 0, 0.03)}},
		{8 * time.Second, []Tenant{tenant(4012, "vllm", 40960, 0.22, 0.02, 0.15)}},
	},
	{
		{8 * time.Second, []Tenant{tenant(5120, "jupyter", 1024, 0.25, 0.02, 0.1)}},
		{50 * time.Second, nil},
	},
}

// Occupy gives the GPUs tenants that come, work and go, until end is called: for watching.
func Occupy(clk timebase.Clock, gpus []*GPU) (end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	for i, g := range gpus {
		list := scenes[i%len(scenes)]
		g.SetTenants(numbered(list[0].tenants, i)...)
		clk.Go(func() {
			at := clk.Now()
			for n := 0; ctx.Err() == nil; n++ {
				s := list[n%len(list)]
				if n > 0 {
					g.SetTenants(numbered(s.tenants, i)...)
				}
				at += int64(s.lasts)
				_ = clk.SleepUntil(ctx, at)
			}
		})
	}
	return cancel
}

// numbered gives the tenants of a GPU ids of their own.
func numbered(list []Tenant, i int) []Tenant {
	out := make([]Tenant, len(list))
	for k, t := range list {
		t.PID += 10000 * (i / len(scenes))
		out[k] = t
	}
	return out
}
