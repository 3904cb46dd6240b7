// Package plot draws recorded sessions as SVG and PNG: energy over the clock, the
// frequency cliff, batch sizes, Pareto fronts, a clock that follows the phases, and
// the workload.
package plot

import (
	"fmt"
	"image/color"
	"maps"
	"math"
	"path/filepath"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"jouletop/engine/analysis/curve"
	"jouletop/engine/analysis/table"
	"jouletop/engine/event"
	"jouletop/gpu/plaintext"
)

// Points draws the study's figures 3 to 5 and 7's energy side from points: energy
// per token against clock, the frequency cliff, the effect of batch size, and
// the Pareto front of energy and latency. The clock of least energy-delay product is
// marked, and that of least energy that is slower than the highest by no more than
// slowdown (0.03: 3 %). Each is written to dir as SVG and PNG;
// the file names are returned.
func Points(dir string, points []event.PointDone, slowdown float64, simulated bool) ([]string, error) {
	curves := slices.DeleteFunc(curve.Of(curve.Pool(points)), func(c curve.Curve) bool { return len(c.Clocks) < 2 })
	if len(curves) == 0 {
		return nil, nil
	}
	var files []string
	for _, f := range []struct {
		name string
		draw func(curves []curve.Curve, slowdown float64) (*plot.Plot, error)
	}{
		{"energy-per-token", plotEnergyPerToken},
		{"frequency-cliff", plotCliff},
		{"batch-effect", plotBatches},
		{"pareto", plotPareto},
	} {
		p, err := f.draw(curves, slowdown)
		if err != nil {
			return files, fmt.Errorf("plot %s: %w", f.name, err)
		}
		saved, err := save(p, filepath.Join(dir, f.name), simulated)
		files = append(files, saved...)
		if err != nil {
			return files, err
		}
	}
	return files, nil
}

// series are the x and y of a curve's clocks, with the intervals of y.
type series struct {
	plotter.XYs
	plotter.YErrors
}

func seriesOf(clocks []curve.Clock, x func(curve.Clock) float64, y func(curve.Clock) curve.Stat) series {
	var s series
	for _, k := range clocks {
		v := y(k)
		if !drawable(v.Mean) || !drawable(x(k)) {
			continue
		}
		half := v.Half
		if !drawable(half) {
			half = 0
		}
		s.XYs = append(s.XYs, plotter.XY{X: x(k), Y: v.Mean})
		s.YErrors = append(s.YErrors, struct{ Low, High float64 }{half, half})
	}
	return s
}

// drawable tells whether v can lie on an axis with others: a known number that is
// no absurdity.
func drawable(v float64) bool { return curve.Finite(v) && math.Abs(v) < table.Absurd }

func requestedMHz(k curve.Clock) float64 { return float64(k.RequestedMHz) }

// addSeries draws a line with points and intervals in the i-th style.
func addSeries(p *plot.Plot, i int, name string, s series) error {
	if len(s.XYs) == 0 {
		return nil
	}
	line, dots, err := plotter.NewLinePoints(s.XYs)
	if err != nil {
		return err
	}
	bars, err := plotter.NewYErrorBars(s)
	if err != nil {
		return err
	}
	line.Color, dots.Color, bars.Color = colour(i), colour(i), colour(i)
	line.Width, bars.Width, bars.CapWidth = vg.Points(2.5), vg.Points(1.5), vg.Points(10)
	line.Dashes, dots.Shape, dots.Radius = plotutil.Dashes(i/len(colours)), shape(i), vg.Points(5)
	p.Add(line, dots, bars)
	p.Legend.Add(plaintext.Line(name), line, dots)
	return nil
}

// smallest returns the curves of the smallest batch size, one a model.
func smallest(curves []curve.Curve) []curve.Curve {
	batch := curve.SmallestBatch(curves)
	return slices.DeleteFunc(slices.Clone(curves), func(c curve.Curve) bool { return c.BatchSize != batch })
}

func plotEnergyPerToken(curves []curve.Curve, slowdown float64) (*plot.Plot, error) {
	p := newPlot(fmt.Sprintf("Energy per generated token, batch %d", curve.SmallestBatch(curves)), "SM clock (MHz)", "energy per token (J)")
	p.X.Tick.Marker = clocksOf(curves)
	for i, c := range smallest(curves) {
		if err := addSeries(p, i, c.Model, seriesOf(c.Clocks, requestedMHz, func(k curve.Clock) curve.Stat { return k.JoulesPerToken })); err != nil {
			return nil, err
		}
	}
	return p, mark(p, smallest(curves), slowdown, requestedMHz, func(k curve.Clock) float64 { return k.JoulesPerToken.Mean })
}

// clocksOf are the clocks of curves, for an axis.
func clocksOf(curves []curve.Curve) measured {
	var out measured
	for _, c := range smallest(curves) {
		for _, k := range c.Clocks {
			out = append(out, requestedMHz(k))
		}
	}
	return out
}

// bound draws the latencies that a clock to run at may have at most, of each model in
// its colour.
func bound(p *plot.Plot, curves []curve.Curve, slowdown float64) error {
	if !drawable(slowdown) {
		return nil
	}
	var any *plotter.Line
	for i, c := range curves {
		base, ok := c.Baseline()
		at := base.Latency.Mean * (1 + slowdown)
		low, high := math.Inf(1), math.Inf(-1)
		for _, k := range c.Clocks {
			if drawable(k.Energy.Mean) {
				low, high = min(low, k.Energy.Mean), max(high, k.Energy.Mean)
			}
		}
		if !ok || !drawable(at) || !(low < high) {
			continue
		}
		line, err := plotter.NewLine(plotter.XYs{{X: at, Y: low}, {X: at, Y: high}})
		if err != nil {
			return err
		}
		line.Color, line.Width, line.Dashes = colour(i), vg.Points(1.5), []vg.Length{vg.Points(3), vg.Points(5)}
		p.Add(line)
		any = line
	}
	if any != nil {
		grey := *any
		grey.Color = color.Gray{0x44}
		p.Legend.Add(fmt.Sprintf("latency bound, +%.3g %%", 100*slowdown), &grey)
	}
	return nil
}

// mark rings the clocks that are worth running at: of least energy-delay product, and of
// least energy within the latency bound.
func mark(p *plot.Plot, curves []curve.Curve, slowdown float64, x, y func(curve.Clock) float64) error {
	for _, m := range []struct {
		name  string
		of    func(curve.Curve) (curve.Clock, bool)
		shape draw.GlyphDrawer
	}{
		{"least EDP", func(c curve.Curve) (curve.Clock, bool) { return c.EDPOptimal(1) }, outline{}},
		{fmt.Sprintf("least energy, %.3g %% slower at most", 100*slowdown), func(c curve.Curve) (curve.Clock, bool) { return c.LeastEnergy(slowdown) }, outline{square: true}},
	} {
		var at plotter.XYs
		for _, c := range curves {
			if k, ok := m.of(c); ok && drawable(x(k)) && drawable(y(k)) {
				at = append(at, plotter.XY{X: x(k), Y: y(k)})
			}
		}
		if len(at) == 0 {
			continue
		}
		dots, err := plotter.NewScatter(at)
		if err != nil {
			return err
		}
		dots.Shape, dots.Radius, dots.Color = m.shape, vg.Points(9), color.Black
		p.Add(dots)
		p.Legend.Add(m.name, dots)
	}
	return nil
}

func plotCliff(curves []curve.Curve, _ float64) (*plot.Plot, error) {
	p := newPlot("Energy saved against the highest clock; dashed: the frequency cliff", "SM clock (MHz)", "energy saved (%)")
	p.X.Tick.Marker = clocksOf(curves)
	for i, c := range smallest(curves) {
		base, _ := c.Baseline()
		s := seriesOf(c.Clocks, requestedMHz, func(k curve.Clock) curve.Stat { return k.Against(base).EnergyDown })
		if err := addSeries(p, i, c.Model, s); err != nil {
			return nil, err
		}
		if cliff, ok := c.FrequencyCliff(); ok && drawable(cliff.PlateauSaving) {
			cliffAt, err := plotter.NewLine(plotter.XYs{{X: cliff.MHz, Y: 0}, {X: cliff.MHz, Y: cliff.PlateauSaving}})
			if err != nil {
				return nil, err
			}
			cliffAt.Color, cliffAt.Dashes = colour(i), []vg.Length{vg.Points(6), vg.Points(6)}
			p.Add(cliffAt)
		}
	}
	return p, nil
}

func plotBatches(curves []curve.Curve, _ float64) (*plot.Plot, error) {
	p := newPlot("Effect of batch size at the lowest clock, means over models", "batch size", "change against the highest clock (%)")
	all := map[int][]curve.Change{}
	for _, c := range curves {
		if base, low, ok := c.Ends(); ok {
			all[c.BatchSize] = append(all[c.BatchSize], low.Against(base))
		}
	}
	var sizes measured
	for b := range all {
		sizes = append(sizes, float64(b))
	}
	p.X.Tick.Marker = sizes
	var saved, slower series
	add := func(s *series, b int, v curve.Stat) {
		if !drawable(v.Mean) {
			return
		}
		half := v.Half
		if !drawable(half) {
			half = 0
		}
		s.XYs = append(s.XYs, plotter.XY{X: float64(b), Y: v.Mean})
		s.YErrors = append(s.YErrors, struct{ Low, High float64 }{half, half})
	}
	for _, b := range slices.Sorted(maps.Keys(all)) {
		k := curve.MeanChange(all[b])
		add(&saved, b, k.EnergyDown)
		add(&slower, b, k.Latency)
	}
	if err := addSeries(p, 0, "energy saved", saved); err != nil {
		return nil, err
	}
	return p, addSeries(p, 1, "latency added", slower)
}

func plotPareto(curves []curve.Curve, slowdown float64) (*plot.Plot, error) {
	p := newPlot(fmt.Sprintf("Energy and latency of every clock, batch %d; lines: Pareto fronts", curve.SmallestBatch(curves)), "latency (s)", "energy a query (J)")
	for i, c := range smallest(curves) {
		latency := func(k curve.Clock) float64 { return k.Latency.Mean }
		energy := func(k curve.Clock) curve.Stat { return k.Energy }
		if err := addSeries(p, i, c.Model, seriesOf(c.Pareto(), latency, energy)); err != nil {
			return nil, err
		}
		rest, err := plotter.NewScatter(seriesOf(slices.Concat(c.Clocks, c.Policies), latency, energy).XYs)
		if err != nil {
			return nil, err
		}
		rest.Color, rest.Shape, rest.Radius = colour(i), shape(i), vg.Points(3)
		p.Add(rest)
	}
	if err := bound(p, smallest(curves), slowdown); err != nil {
		return nil, err
	}
	err := mark(p, smallest(curves), slowdown, func(k curve.Clock) float64 { return k.Latency.Mean }, func(k curve.Clock) float64 { return k.Energy.Mean })
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		const wide, absurd = 8, 1e6 // models of many sizes, and what none are
		if axis.Min > 0 && axis.Max > wide*axis.Min && axis.Max < absurd*axis.Min {
			axis.Scale, axis.Tick.Marker = plot.LogScale{}, decades{}
		}
	}
	return p, err
}

// Profile draws the study's figure 6, the SM clock over a phase-aware
// request, from samples and the phases of the same time, and writes it to dir.
func Profile(dir string, samples []event.Sample, phases []event.PhaseSpan, simulated bool) ([]string, error) {
	if len(samples) < 2 {
		return nil, nil
	}
	p := newPlot("SM clock by phase", "time (s)", "SM clock (MHz)")
	start := samples[0].TimeNS
	seconds := func(t int64) float64 { return float64(t-start) / 1e9 }
	var achieved plotter.XYs
	top := 0.0
	for _, s := range samples {
		achieved = append(achieved, plotter.XY{X: seconds(s.TimeNS), Y: float64(s.SMMHz)})
		top = max(top, float64(s.SMMHz))
	}
	for _, ph := range phases {
		shade, err := plotter.NewPolygon(plotter.XYs{
			{X: seconds(ph.StartNS), Y: 0}, {X: seconds(ph.StartNS), Y: top}, {X: seconds(ph.EndNS), Y: top}, {X: seconds(ph.EndNS), Y: 0},
		})
		if err != nil {
			return nil, fmt.Errorf("plot clock profile: %w", err)
		}
		shade.LineStyle.Width = 0
		shade.Color = color.NRGBA{R: 0x00, G: 0x72, B: 0xb2, A: 0x18}
		if ph.Phase == event.Prefill {
			shade.Color = color.NRGBA{R: 0xe6, G: 0x9f, B: 0x00, A: 0x60}
		}
		p.Add(shade)
	}
	line, err := plotter.NewLine(achieved)
	if err != nil {
		return nil, fmt.Errorf("plot clock profile: %w", err)
	}
	line.Width = vg.Points(2.5)
	p.Add(line)
	p.Legend.Add("achieved; orange: prefill, blue: decode or score", line)
	return save(p, filepath.Join(dir, "clock-profile"), simulated)
}
