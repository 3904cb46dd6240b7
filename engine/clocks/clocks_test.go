package clocks

import (
	"testing"

	"jouletop/gpu"
	"jouletop/gpu/timebase"
)

func TestRequestedInIsTheClockOfMostOfTheTime(t *testing.T) {
	d := New(timebase.NewSim(0), "sim:x", nil, nil)
	d.log = []requestedAt{{10, gpu.Setting{SMMHz: 1980}}, {50, gpu.Setting{SMMHz: 1005}}, {80, gpu.Setting{SMMHz: 1980}}, {90, gpu.Setting{}}}
	for _, tc := range []struct {
		t0, t1 int64
		mhz    int
		mixed  bool
	}{
		{0, 5, 0, false},
		{0, 100, 1980, true},
		{20, 40, 1980, false},
		{45, 80, 1005, true},
		{50, 80, 1005, false},
		{85, 200, 0, true},
		{95, 200, 0, false},
	} {
		if mhz, mixed := d.RequestedIn(tc.t0, tc.t1); mhz != tc.mhz || mixed != tc.mixed {
			t.Errorf("%d to %d: %d MHz, mixed %v; want %d, %v", tc.t0, tc.t1, mhz, mixed, tc.mhz, tc.mixed)
		}
	}
	d.Forget(60)
	if mhz, mixed := d.RequestedIn(60, 79); mhz != 1005 || mixed {
		t.Errorf("after forgetting: %d MHz, mixed %v", mhz, mixed)
	}
}
