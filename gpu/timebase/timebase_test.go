package timebase

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

var bg = context.Background()

// trace runs three interleaved loops and returns what happened in order.
func trace(c Clock) []string {
	var out []string // guarded by the clock: one goroutine runs at a time
	var wg sync.WaitGroup
	wg.Add(3)
	c.Go(func() { // so that none runs before all are there
		for i, d := range []time.Duration{10, 15, 25} {
			c.Go(func() {
				defer wg.Done()
				for n := range 5 {
					_ = c.Sleep(bg, d*time.Millisecond)
					out = append(out, fmt.Sprintf("%d.%d@%d", i, n, c.Now()/1e6))
				}
			})
		}
	})
	wg.Wait()
	return out
}

func TestSimIsDeterministic(t *testing.T) {
	want := []string{"0.0@10", "1.0@15", "0.1@20", "2.0@25", "1.1@30", "0.2@30", "0.3@40", "1.2@45", "2.1@50", "0.4@50", "1.3@60", "2.2@75", "1.4@75", "2.3@100", "2.4@125"}
	for range 50 {
		if got := trace(NewSim(0)); !slices.Equal(got, want) {
			// Equal times run in order of falling asleep.
			t.Fatalf("got  %v\nwant %v", got, want)
		}
	}
	if got := trace(NewSim(20)); !slices.Equal(got, want) {
		t.Fatalf("paced: got %v", got)
	}
}

func TestSimSignal(t *testing.T) {
	c := NewSim(0)
	sig := c.NewSignal()
	var got []int64
	done := make(chan struct{})
	c.Go(func() {
		defer close(done)
		for range 3 {
			if err := sig.Wait(bg); err != nil {
				t.Error(err)
			}
			got = append(got, c.Now())
		}
	})
	c.Go(func() {
		for range 3 {
			_ = c.Sleep(bg, 7)
			sig.Notify()
		}
	})
	<-done
	if want := []int64{7, 14, 21}; !slices.Equal(got, want) {
		t.Fatalf("woken at %v, want %v", got, want)
	}
}

func TestSignalKeepsOneNotification(t *testing.T) {
	for _, c := range []Clock{Monotonic(), NewSim(0)} {
		sig := c.NewSignal()
		sig.Notify()
		sig.Notify()
		done := make(chan error, 2)
		ctx, cancel := context.WithTimeout(bg, 20*time.Millisecond)
		c.Go(func() {
			done <- sig.Wait(ctx)
			done <- sig.Wait(ctx)
		})
		if err := <-done; err != nil {
			t.Errorf("first wait: %v", err)
		}
		if err := <-done; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("second wait: %v", err)
		}
		cancel()
	}
}

func TestSimCancelledSleep(t *testing.T) {
	c := NewSim(1)
	ctx, cancel := context.WithCancel(bg)
	done := make(chan error)
	c.Go(func() { done <- c.Sleep(ctx, time.Hour) })
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}

func TestSimBlockLetsTimeGoOn(t *testing.T) {
	c := NewSim(0)
	ticked := make(chan struct{})
	done := make(chan struct{})
	c.Go(func() {
		defer close(done)
		c.Block(func() { <-ticked })
	})
	c.Go(func() {
		_ = c.Sleep(bg, time.Second)
		close(ticked)
	})
	<-done
	if c.Now() != 1e9 {
		t.Fatalf("now %d", c.Now())
	}
}

func TestSimPacedFollowsTheWall(t *testing.T) {
	c := NewSim(100)
	start := time.Now()
	done := make(chan struct{})
	c.Go(func() {
		defer close(done)
		_ = c.Sleep(bg, 2*time.Second)
	})
	<-done
	if d := time.Since(start); d < 19*time.Millisecond {
		t.Fatalf("2 simulated seconds at 100x took %v", d)
	}
}

func TestMonotonicIsTheKernelsClock(t *testing.T) {
	c := Monotonic()
	var before, after unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &before); err != nil {
		t.Fatal(err)
	}
	now := c.Now()
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &after); err != nil {
		t.Fatal(err)
	}
	const slack = 1e6
	if now < before.Nano()-slack || now > after.Nano()+slack {
		t.Fatalf("%d not within %d..%d", now, before.Nano(), after.Nano())
	}
}
