package plot

import (
	"fmt"
	"image/color"
	"math"
	"path/filepath"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"jouletop/gpu/plaintext"
)

// Course is what a served model's passes had in them over time, in bins of the same
// length, with the power and the clock of the same time.
type Course struct {
	Seconds                  float64   // of all bins
	Decode, Prefill, Waiting []float64 // requests, means over the time of a bin; 0 between passes
	Power, Clock             Readings  // W, MHz
	PowerSource              string
}

// Readings are of one kind, in bins.
type Readings struct {
	seconds     float64
	sum, n      []float64
	Least, Most []float64 // NaN where there is none
}

// NewCourse makes one of so many bins.
func NewCourse(seconds float64, bins int) Course {
	readings := func() Readings {
		r := Readings{seconds, make([]float64, bins), make([]float64, bins), make([]float64, bins), make([]float64, bins)}
		for i := range bins {
			r.Least[i], r.Most[i] = math.NaN(), math.NaN()
		}
		return r
	}
	return Course{Seconds: seconds, Decode: make([]float64, bins), Prefill: make([]float64, bins), Waiting: make([]float64, bins), Power: readings(), Clock: readings()}
}

// Pass takes in a pass from one time to another, in s; unknown (negative) counts are
// none.
func (c *Course) Pass(from, to float64, decode, prefill, waiting int) {
	bins := len(c.Decode)
	bin := c.Seconds / float64(bins)
	for i := max(int(from/bin), 0); i < bins && float64(i)*bin < to; i++ {
		share := (min(to, float64(i+1)*bin) - max(from, float64(i)*bin)) / bin
		if share <= 0 {
			continue
		}
		c.Decode[i] += share * float64(max(decode, 0))
		c.Prefill[i] += share * float64(max(prefill, 0))
		c.Waiting[i] += share * float64(max(waiting, 0))
	}
}

// Add takes in a reading at a time in s.
func (r *Readings) Add(at, v float64) {
	i := min(max(int(at/r.seconds*float64(len(r.n))), 0), len(r.n)-1)
	r.sum[i] += v
	r.n[i]++
	r.Least[i], r.Most[i] = least(r.Least[i], v), -least(-r.Most[i], -v)
}

// least is the lower of two; NaN is none.
func least(a, b float64) float64 {
	if math.IsNaN(a) {
		return b
	}
	return min(a, b)
}

// mean is a bin's; NaN where nothing was read.
func (r *Readings) mean(i int) float64 { return r.sum[i] / r.n[i] }

// DrawCourse draws a course into dir as SVG and PNG: what the passes had in them, and
// below it power and clock of the same time.
func DrawCourse(dir string, c Course, simulated bool) ([]string, error) {
	if len(c.Decode) == 0 {
		return nil, nil
	}
	passes := newPlot("What the passes had in them", "", "requests")
	below := make([]float64, len(c.Decode))
	for _, layer := range []struct {
		name   string
		of     []float64
		colour color.NRGBA
	}{
		{"decode", c.Decode, colours[0]}, {"prefill", c.Prefill, colours[4]}, {"waiting for a slot", c.Waiting, color.NRGBA{0xbb, 0xbb, 0xbb, 0xff}},
	} {
		area, err := c.layer(below, layer.of)
		if err != nil {
			return nil, fmt.Errorf("plot passes: %w", err)
		}
		area.Color, area.LineStyle.Width = layer.colour, 0
		passes.Add(area)
		passes.Legend.Add(layer.name, area)
	}
	passes.Y.Min = 0
	power := newPlot("", "", "W")
	clock := newPlot("", "time (s)", "MHz")
	name := "power"
	if c.PowerSource != "" {
		name += " (" + plaintext.Line(c.PowerSource) + ")"
	}
	for _, r := range []struct {
		on     *plot.Plot
		name   string
		of     *Readings
		colour color.NRGBA
	}{{power, name, &c.Power, colours[1]}, {clock, "SM clock", &c.Clock, colours[2]}} {
		if err := addReadings(r.on, r.name, r.of, r.colour); err != nil {
			return nil, fmt.Errorf("plot passes: %w", err)
		}
	}
	for _, p := range []*plot.Plot{passes, power, clock} {
		p.X.Min, p.X.Max = 0, c.Seconds
	}
	return saveStack([]*plot.Plot{passes, power, clock}, filepath.Join(dir, "passes"), simulated)
}

// layer is the area between what lies below and that with values on it; below is
// raised.
func (c Course) layer(below, values []float64) (*plotter.Polygon, error) {
	bin := c.Seconds / float64(len(values))
	var up, down plotter.XYs
	for i, v := range values {
		from, to := float64(i)*bin, float64(i+1)*bin
		down = append(down, plotter.XY{X: from, Y: below[i]}, plotter.XY{X: to, Y: below[i]})
		below[i] += v
		up = append(up, plotter.XY{X: from, Y: below[i]}, plotter.XY{X: to, Y: below[i]})
	}
	for i := len(down) - 1; i >= 0; i-- {
		up = append(up, down[i])
	}
	return plotter.NewPolygon(up)
}

// addReadings draws the mean of each bin as a line, interrupted where nothing was read,
// and what lies between the least and the most as a band.
func addReadings(p *plot.Plot, name string, r *Readings, c color.NRGBA) error {
	bin := r.seconds / float64(len(r.n))
	var line plotter.XYs
	end := func() error {
		if len(line) < 2 {
			line = nil
			return nil
		}
		l, err := plotter.NewLine(line)
		if err != nil {
			return err
		}
		l.Color, l.Width = c, vg.Points(2)
		p.Add(l)
		line = nil
		return nil
	}
	pale := c
	pale.A = 0x40
	var up, down plotter.XYs
	gap := 0
	for i := range r.n {
		if r.n[i] == 0 {
			// Readings may be rarer than bins: a line goes on over a little time.
			if gap++; float64(gap)*bin > longestGap {
				if err := end(); err != nil {
					return err
				}
			}
			continue
		}
		gap = 0
		at := (float64(i) + 0.5) * bin
		line = append(line, plotter.XY{X: at, Y: r.mean(i)})
		up, down = append(up, plotter.XY{X: at, Y: r.Most[i]}), append(down, plotter.XY{X: at, Y: r.Least[i]})
	}
	if len(up) > 1 {
		for i := len(down) - 1; i >= 0; i-- {
			up = append(up, down[i])
		}
		band, err := plotter.NewPolygon(up)
		if err != nil {
			return err
		}
		band.Color, band.LineStyle.Width = pale, 0
		p.Add(band)
	}
	if err := end(); err != nil {
		return err
	}
	swatch, err := plotter.NewPolygon(plotter.XYs{{}, {}, {}})
	if err != nil {
		return err
	}
	swatch.Color, swatch.LineStyle.Width = c, 0
	p.Legend.Add(name+": mean, least and most", swatch)
	return nil
}

// longestGap is how long a line goes on over time in which nothing was read, in s.
const longestGap = 1.5

// saveStack saves plots of the same x axis below each other, the first the highest.
func saveStack(plots []*plot.Plot, base string, simulated bool) ([]string, error) {
	if simulated {
		plots[0].Title.Text = "SIMULATED: " + plots[0].Title.Text
	}
	beside := vg.Length(0)
	legends := make([]plot.Legend, len(plots))
	for i, p := range plots {
		legends[i] = p.Legend
		legends[i].Top, legends[i].Left, legends[i].XOffs = true, true, 0
		p.Legend = plot.NewLegend()
	}
	return savePicture(base, func(inner draw.Canvas) {
		for _, l := range legends {
			beside = max(beside, l.Rectangle(inner).Size().X+l.ThumbnailWidth/2)
		}
		left := draw.Crop(inner, 0, -beside, 0, 0)
		height := left.Size().Y
		heights := []vg.Length{height / 2, height / 4, height / 4}
		// The axes' labels are of different widths: the plots' left edges are brought
		// into line.
		edge := vg.Length(0)
		top := left.Max.Y
		parts := make([]draw.Canvas, len(plots))
		for i, p := range plots {
			parts[i] = draw.Canvas{Canvas: left.Canvas, Rectangle: vg.Rectangle{Min: vg.Point{X: left.Min.X, Y: top - heights[i]}, Max: vg.Point{X: left.Max.X, Y: top}}}
			top -= heights[i]
			edge = max(edge, p.DataCanvas(parts[i]).Min.X)
		}
		for i, p := range plots {
			shift := edge - p.DataCanvas(parts[i]).Min.X
			part := draw.Crop(parts[i], shift, 0, 0, 0)
			p.Draw(part)
			under := vg.Length(0)
			if i == 0 {
				under = p.Title.TextStyle.Font.Size + p.Title.Padding
			}
			beside := draw.Canvas{Canvas: inner.Canvas, Rectangle: vg.Rectangle{Min: vg.Point{X: inner.Max.X - beside + legends[i].ThumbnailWidth/2, Y: part.Min.Y}, Max: vg.Point{X: inner.Max.X, Y: part.Max.Y - under}}}
			legends[i].Draw(beside)
		}
	})
}
