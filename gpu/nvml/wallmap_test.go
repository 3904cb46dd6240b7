package nvml

import (
	"testing"
	"time"
)

const ms = int64(time.Millisecond)

// driver is a driver with a sample buffer on a wall clock that can be set.
type driver struct {
	offset func(mono int64) int64 // wall minus monotonic when a sample was stamped
	period int64
	keep   int64
}

// stamps returns the buffer at mono time now, in µs of wall time, and the true
// monotonic times.
func (d driver) stamps(now int64) (us []uint64, truth []int64) {
	for t := (now-d.keep)/d.period*d.period + d.period; t <= now; t += d.period {
		us = append(us, uint64((t+d.offset(t))/1000))
		truth = append(truth, t)
	}
	return us, truth
}

func TestWallMapAcrossSets(t *testing.T) {
	const epoch = int64(1_790_000_000) * 1e9
	for _, tc := range []struct {
		name string
		step int64
	}{
		{"not set", 0}, {"set ahead by an hour", 3600e9}, {"set back by an hour", -3600e9},
		{"set ahead by 80 ms", 80 * ms}, {"set back by 80 ms", -80 * ms},
		{"set back by a second", -1000 * ms}, {"set back by 3 seconds", -3000 * ms},
	} {
		t.Run(tc.name, func(t *testing.T) {
			setAt := int64(10_050) * ms // between two reads
			offset := func(mono int64) int64 {
				if mono >= setAt {
					return epoch + tc.step
				}
				return epoch
			}
			d := driver{offset: offset, period: 20 * ms, keep: 2400 * ms}
			var m wallMap
			after := int64(0)
			var got []int64
			for now := 5000 * ms; now < 16_000*ms; now += 193 * ms {
				m.observe(now, offset(now), 0)
				since := m.since(after)
				all, truth := d.stamps(now)
				us, want := all[:0:0], truth[:0:0]
				for i := range all {
					if all[i] > since {
						us, want = append(us, all[i]), append(want, truth[i])
					}
				}
				for i, at := range m.mapAll(us, now, since == 0) {
					if diff := abs(at - want[i]); diff > 1000 {
						t.Fatalf("at %d ms: a sample of %d ms was mapped to %d ms", now/ms, want[i]/ms, at/ms)
					}
					if at > after+500_000 {
						got = append(got, at)
						after = at
					}
				}
			}
			if want := int((after-got[0])/(20*ms)) + 1; len(got) != want {
				t.Errorf("%d samples, want %d without gap or repetition", len(got), want)
			}
		})
	}
}

// An offset read by a thread that had lost the processor is no new epoch.
func TestWallMapVagueOffset(t *testing.T) {
	var m wallMap
	m.observe(1000*ms, 1e18, 500)
	if m.observe(1200*ms, 1e18+30*ms, 40*ms) || len(m.epochs) != 1 {
		t.Error("an offset known to 40 ms was taken for a set clock")
	}
	if !m.observe(1400*ms, 1e18+30*ms, 500) || len(m.epochs) != 2 {
		t.Error("a set of the wall clock was not noticed")
	}
}

func TestWallMapSmallDrift(t *testing.T) {
	// An adjustment of 500 ppm between the two clocks, 60 s long.
	offset := func(mono int64) int64 { return 1e18 + mono/2000 }
	d := driver{offset: offset, period: 20 * ms, keep: 2400 * ms}
	var m wallMap
	for now := 5000 * ms; now < 65_000*ms; now += 193 * ms {
		m.observe(now, offset(now), 0)
		us, truth := d.stamps(now)
		us, truth = us[len(us)-10:], truth[len(truth)-10:]
		for i, at := range m.mapAll(us, now, false) {
			if diff := abs(at - truth[i]); diff > 300_000 {
				t.Fatalf("at %d ms: off by %d µs", now/ms, diff/1000)
			}
		}
		if len(m.epochs) > 400 {
			t.Fatalf("%d epochs kept", len(m.epochs))
		}
	}
}

func TestWallMapForeignClock(t *testing.T) {
	for _, tc := range []struct {
		name  string
		ppm   int64
		bound int64
	}{
		{"runs ahead", 200, 25 * ms}, {"falls behind", -200, 50 * ms},
	} {
		t.Run(tc.name, func(t *testing.T) {
			// The stamps' clock drifts; the wall clock that observe sees does not.
			d := driver{offset: func(mono int64) int64 { return 1e18 + mono*tc.ppm/1e6 }, period: 20 * ms, keep: 2400 * ms}
			var m wallMap
			var worst int64
			for now := int64(0); now < 3600e9; now += 193 * ms {
				if now < 3000*ms {
					continue
				}
				m.observe(now, 1e18, 0)
				us, truth := d.stamps(now)
				n := len(us) - 1
				worst = max(worst, abs(m.mapAll(us[n:], now, true)[0]-truth[n]))
			}
			// Over an hour the drift is 720 ms.
			if worst > tc.bound {
				t.Errorf("off by up to %d ms, want at most %d ms", worst/ms, tc.bound/ms)
			}
		})
	}
}
