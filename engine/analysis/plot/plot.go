// Package plot draws recorded sessions as SVG and PNG: energy over the clock, the
// frequency cliff, batch sizes, Pareto fronts, a clock that follows the phases, and
// the workload.
package plot

import (
	"bytes"
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

	"jouletop/engine/analysis/curve"
	"jouletop/engine/analysis/table"
	"jouletop/engine/event"
	"jouletop/engine/session"
	"jouletop/gpu/plaintext"
)

// Points draws the study's figures 3 to 5 and 7's energy side from points: energy
// per token against clock, the frequency cliff, the effect of batch size, and
// the Pareto front of energy and latency. Each is written to dir as SVG and PNG;
// the file names are returned.
func Points(dir string, points []event.PointDone, simulated bool) ([]string, error) {
	curves := slices.DeleteFunc(curve.Of(curve.Pool(points)), func(c curve.Curve) bool { return len(c.Clocks) < 2 })
	if len(curves) == 0 {
		return nil, nil
	}
	var files []string
	for _, f := range []struct {
		name string
		draw func([]curve.Curve) (*plot.Plot, error)
	}{
		{"energy-per-token", plotEnergyPerToken},
		{"frequency-cliff", plotCliff},
		{"batch-effect", plotBatches},
		{"pareto", plotPareto},
	} {
		p, err := f.draw(curves)
		if err != nil {
			return files, fmt.Errorf("plot %s: %w", f.name, err)
		}
		saved, err := savePlot(p, filepath.Join(dir, f.name), simulated)
		files = append(files, saved...)
		if err != nil {
			return files, err
		}
	}
	return files, nil
}

func savePlot(p *plot.Plot, base string, simulated bool) (files []string, err error) {
	if simulated {
		p.Title.Text = "SIMULATED: " + p.Title.Text
	}
	p.Legend.Top = true
	p.Legend.TextStyle.Font.Size = vg.Points(8)
	p.Add(plotter.NewGrid())
	for _, format := range []string{"svg", "png"} {
		picture, err := p.WriterTo(18*vg.Centimeter, 11*vg.Centimeter, format)
		if err != nil {
			return files, fmt.Errorf("save plot: %w", err)
		}
		var b bytes.Buffer
		if _, err := picture.WriteTo(&b); err != nil {
			return files, fmt.Errorf("save plot: %w", err)
		}
		file := base + "." + format
		if err := session.ReplaceFile(file, b.Bytes()); err != nil {
			return files, err
		}
		files = append(files, file)
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
	line.Color, dots.Color, bars.Color = plotutil.Color(i), plotutil.Color(i), plotutil.Color(i)
	line.Dashes, dots.Shape = plotutil.Dashes(i/7), plotutil.Shape(i)
	p.Add(line, dots, bars)
	p.Legend.Add(plaintext.Line(name), line, dots)
	return nil
}

// smallest returns the curves of the smallest batch size, one a model.
func smallest(curves []curve.Curve) []curve.Curve {
	batch := curve.SmallestBatch(curves)
	return slices.DeleteFunc(slices.Clone(curves), func(c curve.Curve) bool { return c.BatchSize != batch })
}

func plotEnergyPerToken(curves []curve.Curve) (*plot.Plot, error) {
	p := plot.New()
	p.Title.Text = fmt.Sprintf("Energy per generated token, batch %d", curve.SmallestBatch(curves))
	p.X.Label.Text, p.Y.Label.Text = "SM clock (MHz)", "energy per token (J)"
	for i, c := range smallest(curves) {
		if err := addSeries(p, i, c.Model, seriesOf(c.Clocks, requestedMHz, func(k curve.Clock) curve.Stat { return k.JoulesPerToken })); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func plotCliff(curves []curve.Curve) (*plot.Plot, error) {
	p := plot.New()
	p.Title.Text = "Energy saved against the highest clock; dashed: the frequency cliff"
	p.X.Label.Text, p.Y.Label.Text = "SM clock (MHz)", "energy saved (%)"
	for i, c := range smallest(curves) {
		base, _ := c.Baseline()
		s := seriesOf(c.Clocks, requestedMHz, func(k curve.Clock) curve.Stat { return k.Against(base).EnergyDown })
		if err := addSeries(p, i, c.Model, s); err != nil {
			return nil, err
		}
		if cliff, ok := c.FrequencyCliff(); ok && drawable(cliff.PlateauSaving) {
			mark, err := plotter.NewLine(plotter.XYs{{X: cliff.MHz, Y: 0}, {X: cliff.MHz, Y: cliff.PlateauSaving}})
			if err != nil {
				return nil, err
			}
			mark.Color, mark.Dashes = plotutil.Color(i), []vg.Length{vg.Points(3), vg.Points(3)}
			p.Add(mark)
		}
	}
	return p, nil
}

func plotBatches(curves []curve.Curve) (*plot.Plot, error) {
	p := plot.New()
	p.Title.Text = "Effect of batch size at the lowest clock, means over models"
	p.X.Label.Text, p.Y.Label.Text = "batch size", "change against the highest clock (%)"
	all := map[int][]curve.Change{}
	for _, c := range curves {
		if base, low, ok := c.Ends(); ok {
			all[c.BatchSize] = append(all[c.BatchSize], low.Against(base))
		}
	}
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

func plotPareto(curves []curve.Curve) (*plot.Plot, error) {
	p := plot.New()
	p.Title.Text = fmt.Sprintf("Energy and latency of every clock, batch %d; lines: Pareto fronts", curve.SmallestBatch(curves))
	p.X.Label.Text, p.Y.Label.Text = "latency (s)", "energy a query (J)"
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
		rest.Color, rest.Shape, rest.Radius = plotutil.Color(i), plotutil.Shape(i), vg.Points(1.5)
		p.Add(rest)
	}
	return p, nil
}

// Profile draws the study's figure 6, the SM clock over a phase-aware
// request, from samples and the phases of the same time, and writes it to dir.
func Profile(dir string, samples []event.Sample, phases []event.PhaseSpan, simulated bool) ([]string, error) {
	if len(samples) < 2 {
		return nil, nil
	}
	p := plot.New()
	p.Title.Text = "SM clock by phase"
	p.X.Label.Text, p.Y.Label.Text = "time (s)", "SM clock (MHz)"
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
	line.Width = vg.Points(1.5)
	p.Add(line)
	p.Legend.Add("achieved; orange: prefill, blue: decode or score", line)
	return savePlot(p, filepath.Join(dir, "clock-profile"), simulated)
}
