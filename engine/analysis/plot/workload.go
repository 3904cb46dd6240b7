package plot

import (
	"cmp"
	"fmt"
	"math"
	"path/filepath"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"

	"jouletop/engine/analysis/answers"
	"jouletop/gpu/plaintext"
	"jouletop/workloads/difficulty"
)

// Workload draws the workload's distributions of length and entity density, and,
// where there are answers, the study's figures 2 (length against quality) and 7
// (energy against quality of the strategies). Each is written to dir as SVG and
// PNG; the file names are returned.
func Workload(of *answers.Workload, dir string) ([]string, error) {
	w := workloadPlots{of}
	type picture struct {
		name      string
		simulated bool
		draw      func() (*plot.Plot, error)
	}
	pictures := []picture{
		{"length-histogram", false, func() (*plot.Plot, error) {
			return w.histogram("Input length", "words", difficulty.Length)
		}},
		{"entity-histogram", false, func() (*plot.Plot, error) {
			return w.histogram("Entity density", "entity density", difficulty.EntityDensity)
		}},
	}
	if len(w.Tables.Quality) > 0 {
		pictures = append(pictures, picture{"quality-against-length", w.Simulated, w.figure2})
	}
	if w.Strategies != nil {
		pictures = append(pictures, picture{"energy-against-quality", w.Simulated, func() (*plot.Plot, error) { return figure7(w.Strategies) }})
	}
	var files []string
	for _, f := range pictures {
		p, err := f.draw()
		if err != nil {
			return files, fmt.Errorf("plot %s: %w", f.name, err)
		}
		saved, err := save(p, filepath.Join(dir, f.name), f.simulated)
		files = append(files, saved...)
		if err != nil {
			return files, err
		}
	}
	return files, nil
}

// workloadPlots draws a workload.
type workloadPlots struct{ *answers.Workload }

// histogramBins is how many bars a histogram has over its whole range.
const histogramBins = 40

// histogram draws a feature's distribution, a step line a dataset over the same
// bins.
func (w workloadPlots) histogram(title, label string, f difficulty.Feature) (*plot.Plot, error) {
	p := newPlot(title+" of the queries", label, "share of the dataset's queries (%)")
	whole := difficulty.Histogram(w.Data.Column(f), nil, histogramBins)
	if len(whole) == 0 {
		return p, nil
	}
	lo, hi := whole[0].Lo, whole[len(whole)-1].Hi
	for i, name := range w.Data.Datasets() {
		counts := make([]float64, len(whole))
		n := 0.0
		for _, r := range w.Data.Records {
			if r.Dataset != name {
				continue
			}
			n++
			k := 0
			if hi > lo {
				k = min(len(whole)-1, int(float64(len(whole))*(f.Value(r.Features)-lo)/(hi-lo)))
			}
			counts[k]++
		}
		var steps plotter.XYs
		for k, b := range whole {
			steps = append(steps, plotter.XY{X: b.Lo, Y: 100 * counts[k] / n}, plotter.XY{X: b.Hi, Y: 100 * counts[k] / n})
		}
		line, err := plotter.NewLine(steps)
		if err != nil {
			return nil, err
		}
		line.Color, line.Width, line.Dashes = colour(i), vg.Points(2.5), plotutil.Dashes(i)
		p.Add(line)
		p.Legend.Add(plaintext.Line(name), line)
	}
	return p, nil
}

// figure2 is the length of each query against its quality, with the mean over
// lengths.
func (w workloadPlots) figure2() (*plot.Plot, error) {
	p := newPlot(fmt.Sprintf("Length against quality, r = %.3f (study: %.3f)", w.Tables.LengthToQ, difficulty.Paper().LengthToQ), "words", "normalised quality, mean over models")
	var xs, ys []float64
	points := map[bool]plotter.XYs{}
	for _, q := range difficulty.LengthQuality(w.Data) {
		if math.IsNaN(q.Quality) {
			continue
		}
		points[q.Easy] = append(points[q.Easy], plotter.XY{X: q.Words, Y: q.Quality})
		xs, ys = append(xs, q.Words), append(ys, q.Quality)
	}
	for i, class := range []struct {
		easy bool
		name string
	}{{false, "hard"}, {true, "easy: above 0.5"}} {
		if len(points[class.easy]) == 0 {
			continue
		}
		dots, err := plotter.NewScatter(points[class.easy])
		if err != nil {
			return nil, err
		}
		dots.Color, dots.Shape, dots.Radius = colour(i), shape(i), vg.Points(2.4)
		p.Add(dots)
		p.Legend.Add(class.name, dots)
	}
	var means series
	for _, b := range difficulty.BinMeans(xs, ys, 15) {
		if b.Count < 2 {
			continue
		}
		means.XYs = append(means.XYs, plotter.XY{X: (b.Lo + b.Hi) / 2, Y: b.Mean})
		means.YErrors = append(means.YErrors, struct{ Low, High float64 }{b.Err, b.Err})
	}
	if err := addSeries(p, 2, "mean", means); err != nil {
		return nil, err
	}
	return p, nil
}

// figure7 is the energy of each strategy against its quality, with the Pareto
// front.
func figure7(c *answers.StrategyComparison) (*plot.Plot, error) {
	p := newPlot("Energy and quality of the strategies; line: the Pareto front", "energy a query (J)", "quality")
	type named struct {
		name string
		answers.StrategyOutcome
	}
	all := []named{{"all to " + c.Largest + ", " + answers.ClockName(c.High), c.Baseline}, {"all to " + c.Largest + ", " + answers.ClockName(c.Low), c.DVFS}}
	for _, r := range c.Routed {
		all = append(all, named{r.Name(c) + ", " + answers.ClockName(c.High), r.Only}, named{r.Name(c) + ", " + answers.ClockName(c.Low), r.Combined})
	}
	var front plotter.XYs
	for i, s := range all {
		if math.IsNaN(s.EnergyJ) || math.IsNaN(s.Quality) {
			continue
		}
		at := plotter.XY{X: s.EnergyJ, Y: s.Quality}
		if s.Pareto {
			front = append(front, at)
		}
		dot, err := plotter.NewScatter(plotter.XYs{at})
		if err != nil {
			return nil, err
		}
		// The two clocks of a routing share a colour.
		dot.Color, dot.Shape, dot.Radius = colour(i/2), shape(i%2), vg.Points(7)
		p.Add(dot)
		p.Legend.Add(s.name, dot)
	}
	if len(front) > 1 {
		slices.SortFunc(front, func(a, b plotter.XY) int { return cmp.Compare(a.X, b.X) })
		line, err := plotter.NewLine(front)
		if err != nil {
			return nil, err
		}
		line.Dashes = []vg.Length{vg.Points(6), vg.Points(6)}
		p.Add(line)
	}
	p.X.Min = 0
	return p, nil
}
