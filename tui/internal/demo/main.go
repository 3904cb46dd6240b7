// Demo shows the dashboard over a made-up session, for looking at it:
//
//	go run ./tui/internal/demo [-sweep] [-monitor] [-fast N]
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"time"

	"jouletop/engine/event"
	"jouletop/tui"
	"jouletop/tui/internal/synth"
)

func main() {
	sweep := flag.Bool("sweep", false, "begin with a sweep")
	monitor := flag.Bool("monitor", false, "monitor mode")
	fast := flag.Int("fast", 1, "times real time")
	flag.Parse()
	g := synth.New(1)
	c := synth.NewControl(g)
	o := tui.Options{
		Source: c, Controller: c, Simulated: true, PricePerKWh: 0.30, Analyse: synth.Analyse, Version: "demo",
	}
	o.GPUs = append(o.GPUs, synth.Info())
	switch {
	case *monitor:
		o.Mode = tui.Monitor
	case *sweep:
		g.Add(synth.Sweep([]string{"llama-3.2-1b", "llama-3.1-8b"}, []int{1980, 600, 1200, 960, 1500, 345, 1755}, []int{1}, 2, 6)...)
		g.Begin("sweep", "none")
	default:
		g.Add(synth.Job{Point: event.Point{PointID: "p1", GPU: synth.ID, Model: "llama-3.2-1b", Dataset: "boolq", BatchSize: 4, Policy: "none", Queries: 400, Repeat: 1}, MaxTokens: 100})
		g.Begin("run", "none")
	}
	go func() {
		for range time.Tick(50 * time.Millisecond) {
			c.Step(time.Duration(*fast) * 50 * time.Millisecond)
		}
	}()
	if err := tui.Run(context.Background(), o); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
