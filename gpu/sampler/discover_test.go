package sampler

import (
	"encoding/csv"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"jouletop/gpu"
	"jouletop/gpu/sharedtest"
	"jouletop/gpu/timebase"
)

func discover(t *testing.T, dev *fakeDevice, clk *timebase.Sim) (map[string]gpu.PowerSource, error) {
	t.Helper()
	var sources []gpu.PowerSource
	var err error
	done := make(chan struct{})
	clk.Go(func() {
		defer close(done)
		_ = clk.Sleep(background, 5*time.Second) // so that the sensors have a past
		start := clk.Now()
		sources, err = Discover(dev, clk, 3*time.Second)
		if took := time.Duration(clk.Now() - start); took > 3100*time.Millisecond {
			t.Errorf("took %v", took)
		}
	})
	<-done
	byName := map[string]gpu.PowerSource{}
	for _, s := range sources {
		byName[s.Name] = s
	}
	return byName, err
}

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if math.IsNaN(got) || math.Abs(got-want) > tolerance {
		t.Errorf("%s: %v, want %v ± %v", what, got, want, tolerance)
	}
}

func TestDiscover(t *testing.T) {
	clk := timebase.NewSim(0)
	dev := wave(clk, 500, 100, 730*ms)
	got, err := discover(t, dev, clk)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "period of the average", got[gpu.SourceAverage].PeriodMS, 100, 1)
	near(t, "period of the instant", got[gpu.SourceInstant].PeriodMS, 100, 1)
	near(t, "period of the buffer", got[gpu.SourceBuffer].PeriodMS, 20, 0.01)
	near(t, "tick of the counter", got[gpu.SourceCounter].PeriodMS, 100, 3)
	near(t, "cost of the counter", got[gpu.SourceCounter].CallMS, 3.8, 0.01)
	near(t, "window of the average", got[gpu.SourceAverage].WindowMS, 1000, 100)
	near(t, "window of the instant", got[gpu.SourceInstant].WindowMS, 25, 15)
	near(t, "window of the buffer", got[gpu.SourceBuffer].WindowMS, 20, 0.1)
	for name, s := range got {
		if strings.Contains(s.Note, "nominal") {
			t.Errorf("%s: %s", name, s.Note)
		}
	}
}

// An older GPU: its "average" is an instant value.
func TestDiscoverOldAverage(t *testing.T) {
	clk := timebase.NewSim(0)
	dev := wave(clk, 500, 100, 730*ms)
	dev.avgWindow = 30 * ms
	got, err := discover(t, dev, clk)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "window of the average", got[gpu.SourceAverage].WindowMS, 30, 20)
}

func TestDiscoverSteadyPower(t *testing.T) {
	clk := timebase.NewSim(0)
	got, err := discover(t, steady(clk, 78), clk)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range nominal {
		s := got[name]
		if s.PeriodMS < want.PeriodMS-3 || s.PeriodMS > want.PeriodMS+3 {
			t.Errorf("%s: period %v", name, s.PeriodMS)
		}
	}
	for _, name := range []string{gpu.SourceAverage, gpu.SourceInstant} {
		s := got[name]
		if !strings.Contains(s.Note, "period nominal") || !strings.Contains(s.Note, "window nominal") || s.WindowMS != nominal[name].WindowMS {
			t.Errorf("%s: %+v", name, s)
		}
	}
	if strings.Contains(got[gpu.SourceCounter].Note, "nominal") {
		t.Errorf("the counter ticks at any power: %+v", got[gpu.SourceCounter])
	}
}

func TestDiscoverFailingSource(t *testing.T) {
	clk := timebase.NewSim(0)
	dev := wave(clk, 500, 100, 730*ms)
	dev.powerErr = func(source string) error {
		if source == gpu.SourceInstant || source == gpu.SourceBuffer {
			return fmt.Errorf("%w: gone", gpu.ErrNoPermission)
		}
		return nil
	}
	got, err := discover(t, dev, clk)
	if len(got) != 2 || !errors.Is(err, gpu.ErrNoPermission) || !strings.Contains(err.Error(), "instant") {
		t.Errorf("%v, %v", got, err)
	}
}

func TestRenewalPeriod(t *testing.T) {
	for _, tc := range []struct {
		name  string
		times []int64
		want  float64 // 0: not to be told
	}{
		{"none", nil, 0},
		{"three", []int64{0, 100, 200}, 0},
		{"even", []int64{0, 100, 200, 300, 400}, 100},
		{"one missing", []int64{0, 100, 300, 400, 500, 600}, 100},
		{"most missing", []int64{0, 200, 300, 500, 700, 1000, 1100, 1200}, 100},
		{"jitter", []int64{0, 104, 200, 302, 399, 501, 600}, 100},
		{"no time between", []int64{5, 5, 5, 5, 5}, 0},
	} {
		got, ok := renewalPeriod(tc.times)
		if ok != (tc.want != 0) || math.Abs(got-tc.want) > 1 {
			t.Errorf("%s: %v, %v; want %v", tc.name, got, ok, tc.want)
		}
	}
}

// On a recording of an H100 under mixed requests: the average is over about a
// second, the instant value over far less than its period.
func TestInferWindowsOnARecording(t *testing.T) {
	dir := sharedtest.Path(t)
	readings := append(
		readPower(t, filepath.Join(dir, "h100/mixed_8b_sample_buffer.csv"), "power_mw", gpu.SourceBuffer),
		readPower(t, filepath.Join(dir, "h100/mixed_8b_polled.csv"), "power_1s_avg_mw", gpu.SourceAverage)...)
	readings = append(readings, readPower(t, filepath.Join(dir, "h100/mixed_8b_polled.csv"), "power_instant_mw", gpu.SourceInstant)...)
	for _, s := range InferWindows([]gpu.PowerSource{{Name: gpu.SourceAverage}, {Name: gpu.SourceInstant}}, readings) {
		t.Logf("%s: %v ms, %s", s.Name, s.WindowMS, s.Note)
		if strings.Contains(s.Note, "nominal") {
			t.Errorf("%s: %s", s.Name, s.Note)
		}
		switch s.Name {
		case gpu.SourceAverage:
			near(t, "window of the average", s.WindowMS, 1000, 150)
		case gpu.SourceInstant:
			if s.WindowMS > 60 {
				t.Errorf("window of the instant: %v ms", s.WindowMS)
			}
		}
	}
}

// readPower reads one column of a recording; a value is fresh when it changed.
func readPower(t *testing.T, file, column, source string) []gpu.PowerReading {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Skip(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	col := -1
	for i, name := range rows[0] {
		if name == column {
			col = i
		}
	}
	if col < 0 {
		t.Fatalf("%s has no column %s", file, column)
	}
	var out []gpu.PowerReading
	last := ""
	for _, row := range rows[1:] {
		at, err1 := strconv.ParseInt(row[0], 10, 64)
		mw, err2 := strconv.ParseFloat(row[col], 64)
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		out = append(out, gpu.PowerReading{TimeNS: at, Source: source, PowerW: mw / 1000, CounterJ: math.NaN(),
			Fresh: source == gpu.SourceBuffer || last != "" && row[col] != last})
		last = row[col]
	}
	return out
}
