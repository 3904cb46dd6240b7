//go:build cgo

package nvml

import (
	"errors"
	"testing"
	"time"

	"jouletop/gpu"
	"jouletop/gpu/nvml/fakenvml"
	"jouletop/gpu/sampler"
	"jouletop/gpu/timebase"
)

// until calls f every few ms until it is satisfied; it gives up in the end.
func until(t *testing.T, what string, f func() bool) {
	t.Helper()
	for range 2000 {
		if f() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatal("never saw ", what)
}

func TestPolling(t *testing.T) {
	st := fake(t, fakenvml.H100())
	d := open(t, 0)
	const period = 2 * time.Millisecond
	p, err := d.StartPolling(period, []gpu.DueSource{{Name: gpu.SourceAverage, Every: 2}, {Name: gpu.SourceInstant, Every: 5}})
	if err != nil {
		t.Fatal(err)
	}
	var polls []gpu.Poll
	until(t, "600 polls, more than one batch", func() bool { polls = p.Read(polls); return len(polls) >= 600 })
	p.Stop()
	polls = p.Read(polls)
	n := len(polls)
	if polls = p.Read(polls); len(polls) != n {
		t.Error("more after the end")
	}
	average, instant := 0, 0
	for i, q := range polls {
		if q.Err != nil || q.Sample.SMMHz != 1980 || q.Sample.MemUsedMiB != 512 {
			t.Fatalf("poll %d: %+v", i, q)
		}
		if i > 0 && q.TimeNS <= polls[i-1].TimeNS {
			t.Fatalf("poll %d is not later than the one before", i)
		}
		for k := range q.Powers {
			r := q.Power[k]
			if q.PowerErr[k] != nil || r.PowerW != 78 || r.TimeNS < q.TimeNS {
				t.Fatalf("poll %d: %+v, %v", i, r, q.PowerErr[k])
			}
			if r.Source == gpu.SourceAverage {
				average++
			} else {
				instant++
			}
		}
	}
	// Rounds and deadlines left out account for all the time there was.
	span := (polls[n-1].TimeNS - polls[0].TimeNS + int64(period)/2) / int64(period)
	if all := int64(n-1) + p.Missed(); all < span-2 || all > span+2 {
		t.Errorf("%d polls, %d missed, in %d periods", n, p.Missed(), span)
	}
	if average != (n+1)/2 || instant != (n+4)/5 {
		t.Errorf("%d polls, %d of average, %d of instant", n, average, instant)
	}
	if log := st.Log(); len(log) != 0 {
		t.Errorf("polling called %v", log)
	}
	if _, err := d.StartPolling(period, []gpu.DueSource{{Name: gpu.SourceCounter, Every: 1}}); !errors.Is(err, gpu.ErrNotSupported) {
		t.Error(err)
	}
}

func TestPollingThroughFailures(t *testing.T) {
	st := fake(t, fakenvml.H100())
	d := open(t, 0)
	p, err := d.StartPolling(time.Millisecond, []gpu.DueSource{{Name: gpu.SourceInstant, Every: 1}})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Stop()
	st.GPU(0).Set(fakenvml.ReadFaultEvery, 9)
	failed, powerFailed, good := 0, 0, 0
	until(t, "failures and good rounds", func() bool {
		for _, q := range p.Read(nil) {
			switch {
			case q.Err != nil:
				failed++
			case q.PowerErr[0] != nil:
				powerFailed++
			default:
				good++
			}
		}
		return failed > 5 && powerFailed > 5 && good > 5
	})
	st.GPU(0).Set(fakenvml.ReadFaultEvery, 0)
	st.GPU(0).Set(fakenvml.Lost, 1)
	until(t, "the GPU lost", func() bool {
		for _, q := range p.Read(nil) {
			if errors.Is(q.Err, gpu.ErrLost) {
				return true
			}
		}
		return false
	})
	time.Sleep(20 * time.Millisecond)
	if n := len(p.Read(nil)); n > 1 {
		t.Errorf("%d polls of a lost GPU in 20 ms", n)
	}
	st.GPU(0).Set(fakenvml.Lost, 0)
	until(t, "the GPU again", func() bool {
		for _, q := range p.Read(nil) {
			if q.Err == nil {
				return true
			}
		}
		return false
	})
}

// All together: a sampler on the library, on the real clock, read-only.
func TestSampler(t *testing.T) {
	st := fake(t, fakenvml.H100())
	g := st.GPU(0)
	g.Set(fakenvml.PowerHighMW, 500_000)
	g.Set(fakenvml.PowerPeriodNS, 730e6)
	d := gpu.ReadOnly(open(t, 0))
	if _, ok := d.(gpu.Poller); !ok {
		t.Error("read-only, the device polls itself no more")
	}
	seen := make(chan gpu.PowerReading, 10000)
	samples := 0
	s := sampler.Start(d, sampler.Options{
		Clock:   timebase.Monotonic(),
		Sample:  func(int64, gpu.Sample) { samples++ },
		Power:   func(r gpu.PowerReading) { seen <- r },
		Problem: func(err error) { t.Error(err) },
	})
	fresh := map[string]int{}
	for fresh[gpu.SourceAverage] < 1 || fresh[gpu.SourceInstant] < 1 || fresh[gpu.SourceBuffer] < 5 || fresh[gpu.SourceCounter] < 1 {
		select {
		case r := <-seen:
			if r.Fresh {
				fresh[r.Source]++
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("fresh readings: %v", fresh)
		}
	}
	s.Stop()
	if stats := s.Stats(); samples < 50 || stats.Polls != int64(samples) {
		t.Errorf("%d samples, %+v", samples, stats)
	}
	if err := d.SetSMClock(1005); !errors.Is(err, gpu.ErrReadOnly) || len(st.Log()) != 0 {
		t.Errorf("%v, %v", err, st.Log())
	}
}

func TestDiscover(t *testing.T) {
	fake(t, fakenvml.H100().With(fakenvml.PowerHighMW, 500_000).With(fakenvml.PowerPeriodNS, 330e6))
	d := open(t, 0)
	// A machine may be too busy to see every change; it isn't forever.
	var wrong []gpu.PowerSource
	for range 8 {
		sources, err := sampler.Discover(d, timebase.Monotonic(), 1200*time.Millisecond)
		if err != nil || len(sources) != 4 {
			t.Fatal(sources, err)
		}
		wrong = wrong[:0]
		for _, s := range sources {
			want := 100.0
			if s.Name == gpu.SourceBuffer {
				want = 20
			}
			if s.PeriodMS < 0.95*want || s.PeriodMS > 1.05*want {
				wrong = append(wrong, s)
			}
		}
		if len(wrong) == 0 {
			return
		}
	}
	t.Errorf("%+v", wrong)
}
