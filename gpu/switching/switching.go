// Package switching measures how long a GPU takes from one SM clock to another: the
// driver's call, and until the clock has settled.
package switching

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	"jouletop/gpu"
	"jouletop/gpu/plaintext"
	"jouletop/gpu/timebase"
)

// Switch is one measured change of the SM clock: a row of the table of
// `jouletop gpu switching`.
type Switch struct {
	FromMHz int
	ToMHz   int
	CallMS  float64 // the driver's call, median of the repeats
	// SettleMS is from the call's return until readings show the new clock and
	// go on showing it, median of the repeats; NaN: not seen to settle. It cannot
	// be told more finely than ResolutionMS, nor than the driver renews the
	// reading.
	SettleMS     float64
	SettleMaxMS  float64 // the slowest repeat
	ResolutionMS float64 // median distance of two readings
	Repeats      int     // that settled
	Err          string  // why there is no figure; "" for none
}

// SetTimed locks the SM clock and returns the moments just before and after the
// driver's call, in ns of the clock that MeasureSwitching is given.
type SetTimed func(mhz int) (callNS, returnNS int64, err error)

// Options tune MeasureSwitching; zero values mean the defaults.
type Options struct {
	Repeats int           // of each pair; default 5
	Poll    time.Duration // between readings; default 0.5 ms
	Limit   time.Duration // longest settling waited for; default 1 s
	Seed    uint64        // of the pauses between switches
	// Progress, where not nil, is told of each pair done.
	Progress func(done, all int)
}

// settleHold is for how long a clock must be read before it counts as settled,
// and steadyFor how long one is read to know what its readings look like.
const (
	settleHold = 20 * time.Millisecond
	steadyFor  = 100 * time.Millisecond
)

// Measure measures call and settle time between all ordered pairs of
// clocks, after Velička, Vysocký and Říha, arXiv 2502.20075: first what each
// clock looks like once steady; pairs that cannot be told apart are left out;
// then each switch from its call until what is oneSwitch belongs to the target
// and stays there, repeated after pauses of varying length, with the median
// against outliers. Where the paper observes the run time of a tiny kernel,
// this observes the driver's reading of the clock, which any GPU offers but
// which is no finer than the driver renews it.
//
// The GPU should be busy all the while: an idle one may lower its clock by
// itself. Clocks are set through set and not given back. An error is one that
// ends the measurement; what was measured until then is returned with it.
func Measure(ctx context.Context, dev gpu.Device, clk timebase.Clock, set SetTimed, clocks []int, o Options) ([]Switch, error) {
	if len(clocks) < 2 {
		return nil, errors.New("measure switching: at least two clocks are needed")
	}
	if o.Repeats <= 0 {
		o.Repeats = 5
	}
	if o.Poll <= 0 {
		o.Poll = 500 * time.Microsecond
	}
	if o.Limit <= 0 {
		o.Limit = time.Second
	}
	m := switching{dev: dev, clk: clk, set: set, o: o, rng: rand.New(rand.NewPCG(o.Seed, 2502)), steady: map[int]steadyClock{}}
	for _, mhz := range clocks {
		if err := dev.Info().CheckSMClock(mhz); err != nil {
			return nil, fmt.Errorf("measure switching: %w", err)
		}
		s, err := m.readSteady(ctx, mhz)
		if err != nil {
			return nil, err
		}
		m.steady[mhz] = s
	}
	var rows []Switch
	all := len(clocks) * (len(clocks) - 1)
	for i, a := range clocks {
		for _, b := range clocks[i+1:] {
			there, back, err := m.pair(ctx, a, b)
			if err != nil {
				return rows, err
			}
			rows = append(rows, there, back)
			if o.Progress != nil {
				o.Progress(len(rows), all)
			}
		}
	}
	return rows, nil
}

type switching struct {
	dev    gpu.Device
	clk    timebase.Clock
	set    SetTimed
	o      Options
	rng    *rand.Rand
	steady map[int]steadyClock
}

// steadyClock is what readings of a clock look like once it has settled.
type steadyClock struct{ mean, sd float64 }

// tolerance is how far a reading may be off: two standard deviations, and at
// least the 7.5 MHz that supported clocks lie apart.
func (s steadyClock) tolerance() float64 { return math.Max(2*s.sd, 7.5) }

// readSteady sets a clock, lets it settle and reads it for a while.
func (m *switching) readSteady(ctx context.Context, mhz int) (steadyClock, error) {
	if _, _, err := m.set(mhz); err != nil {
		return steadyClock{}, fmt.Errorf("measure switching: %w", err)
	}
	if err := m.clk.Sleep(ctx, m.o.Limit); err != nil {
		return steadyClock{}, err
	}
	var sum, squares, n float64
	for end := m.clk.Now() + int64(steadyFor); m.clk.Now() < end; {
		if f, ok := m.read(); ok {
			sum, squares, n = sum+f, squares+f*f, n+1
		}
		if err := m.clk.Sleep(ctx, m.o.Poll); err != nil {
			return steadyClock{}, err
		}
	}
	if n == 0 {
		return steadyClock{}, fmt.Errorf("measure switching: %w: the SM clock cannot be read", gpu.ErrNotSupported)
	}
	mean := sum / n
	return steadyClock{mean, math.Sqrt(math.Max(0, squares/n-mean*mean))}, nil
}

// read returns the achieved clock; a reading that fails is left out.
func (m *switching) read() (float64, bool) {
	s, err := m.dev.Poll()
	return float64(s.SMMHz), err == nil && s.SMMHz > 0
}

// pair measures a to b and back.
func (m *switching) pair(ctx context.Context, a, b int) (there, back Switch, err error) {
	there, back = Switch{FromMHz: a, ToMHz: b}, Switch{FromMHz: b, ToMHz: a}
	sa, sb := m.steady[a], m.steady[b]
	if math.Abs(sa.mean-sb.mean) <= sa.tolerance()+sb.tolerance() {
		text := fmt.Sprintf("not told apart: %.0f and %.0f MHz are read", sa.mean, sb.mean)
		for _, s := range []*Switch{&there, &back} {
			nan := math.NaN()
			s.CallMS, s.SettleMS, s.SettleMaxMS, s.ResolutionMS, s.Err = nan, nan, nan, nan, text
		}
		return there, back, nil
	}
	if _, err := m.once(ctx, a); err != nil { // from wherever the clock was
		return there, back, err
	}
	var to, from []oneSwitch
	for range m.o.Repeats {
		x, err := m.once(ctx, b)
		if err != nil {
			return there, back, err
		}
		y, err := m.once(ctx, a)
		if err != nil {
			return there, back, err
		}
		to, from = append(to, x), append(from, y)
	}
	summarise(&there, to)
	summarise(&back, from)
	return there, back, nil
}

// oneSwitch is one switch.
type oneSwitch struct{ call, settle, gap float64 } // ms; settle NaN: never

// once switches to a clock and watches it settle, after a pause that keeps the
// switches from falling into step with the driver's own rhythm.
func (m *switching) once(ctx context.Context, mhz int) (oneSwitch, error) {
	pause := settleHold + time.Duration(m.rng.Int64N(int64(50*time.Millisecond)))
	if err := m.clk.Sleep(ctx, pause); err != nil {
		return oneSwitch{}, err
	}
	called, returned, err := m.set(mhz)
	if err != nil {
		return oneSwitch{}, fmt.Errorf("measure switching: %w", err)
	}
	want := m.steady[mhz]
	o := oneSwitch{call: float64(returned-called) / 1e6, settle: math.NaN()}
	var gaps []float64
	since := int64(0) // when readings began to show the target; 0: they don't
	for last := returned; m.clk.Now()-returned < int64(m.o.Limit); {
		f, ok := m.read()
		now := m.clk.Now()
		gaps = append(gaps, float64(now-last)/1e6)
		last = now
		switch {
		case !ok:
		case math.Abs(f-want.mean) > want.tolerance():
			since = 0
		case since == 0:
			since = now
		}
		if since != 0 && now-since >= int64(settleHold) {
			o.settle = float64(since-returned) / 1e6
			break
		}
		if err := m.clk.Sleep(ctx, m.o.Poll); err != nil {
			return oneSwitch{}, err
		}
	}
	o.gap = middle(gaps)
	return o, nil
}

// summarise takes the medians of a switch's repeats.
func summarise(s *Switch, list []oneSwitch) {
	var call, settle, gap []float64
	for _, o := range list {
		call, gap = append(call, o.call), append(gap, o.gap)
		if !math.IsNaN(o.settle) {
			settle = append(settle, o.settle)
		}
	}
	s.CallMS, s.ResolutionMS = middle(call), middle(gap)
	s.SettleMS, s.SettleMaxMS, s.Repeats = middle(settle), math.NaN(), len(settle)
	if len(settle) > 0 {
		s.SettleMaxMS = slices.Max(settle)
	}
	if 2*len(settle) <= len(list) {
		s.SettleMS = math.NaN()
		s.Err = fmt.Sprintf("seen to settle in %d of %d repeats", len(settle), len(list))
	}
}

// middle returns the median of values, which it sorts; NaN of none.
func middle(v []float64) float64 {
	if len(v) == 0 {
		return math.NaN()
	}
	slices.Sort(v)
	if n := len(v); n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[len(v)/2]
}

// WriteCSV writes the table as CSV, unknown figures empty.
func WriteCSV(w io.Writer, rows []Switch) error {
	out := csv.NewWriter(w)
	_ = out.Write([]string{"from_sm_mhz", "to_sm_mhz", "call_ms", "settle_ms", "settle_max_ms", "resolution_ms", "repeats", "error"}) // kept by out
	num := func(f float64) string {
		if math.IsNaN(f) {
			return ""
		}
		return strconv.FormatFloat(f, 'f', 3, 64)
	}
	for _, r := range rows {
		_ = out.Write([]string{strconv.Itoa(r.FromMHz), strconv.Itoa(r.ToMHz), num(r.CallMS), num(r.SettleMS),
			num(r.SettleMaxMS), num(r.ResolutionMS), strconv.Itoa(r.Repeats), plaintext.Cell(r.Err)})
	}
	out.Flush()
	if err := out.Error(); err != nil {
		return fmt.Errorf("write switching times: %w", err)
	}
	return nil
}

// WriteText writes the table for people.
func WriteText(w io.Writer, rows []Switch) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "from MHz\tto MHz\tcall ms\tsettle ms\tslowest ms\ttold to ms\trepeats\t")
	for _, s := range rows {
		if s.Err != "" {
			fmt.Fprintf(t, "%d\t%d\t\t\t\t\t\t  %s\n", s.FromMHz, s.ToMHz, s.Err)
			continue
		}
		fmt.Fprintf(t, "%d\t%d\t%s\t%s\t%s\t%s\t%d\t\n", s.FromMHz, s.ToMHz, plaintext.Milliseconds(s.CallMS), plaintext.Milliseconds(s.SettleMS), plaintext.Milliseconds(s.SettleMaxMS), plaintext.Milliseconds(s.ResolutionMS), s.Repeats)
	}
	return t.Flush()
}
