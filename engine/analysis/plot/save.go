package plot

import (
	"bytes"
	"fmt"
	"html"
	"image/color"
	"math"
	"regexp"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"jouletop/engine/session"
)

// A picture is 1600 by 1000 pixels as PNG: gonum draws 96 of them to the inch.
const (
	width  = 1600 * vg.Inch / 96
	height = 1000 * vg.Inch / 96
	margin = 24 // points around all of it
)

// colours are told apart by people who see few colours (Okabe and Ito, "Color Universal
// Design", 2008), the darker first.
var colours = []color.NRGBA{
	{0x00, 0x72, 0xb2, 0xff}, {0xd5, 0x5e, 0x00, 0xff}, {0x00, 0x9e, 0x73, 0xff}, {0xcc, 0x79, 0xa7, 0xff},
	{0xe6, 0x9f, 0x00, 0xff}, {0x56, 0xb4, 0xe9, 0xff}, {0x44, 0x44, 0x44, 0xff},
}

func colour(i int) color.NRGBA { return colours[i%len(colours)] }

// shapes tell series apart without colours.
var shapes = []draw.GlyphDrawer{draw.CircleGlyph{}, draw.BoxGlyph{}, draw.PyramidGlyph{}}

// outline is a ring, or a square, around a mark.
type outline struct{ square bool }

// DrawGlyph implements draw.GlyphDrawer.
func (o outline) DrawGlyph(c *draw.Canvas, sty draw.GlyphStyle, at vg.Point) {
	c.SetLineStyle(draw.LineStyle{Color: sty.Color, Width: vg.Points(2)})
	var p vg.Path
	if r := sty.Radius; o.square {
		p.Move(vg.Point{X: at.X - r, Y: at.Y - r})
		p.Line(vg.Point{X: at.X + r, Y: at.Y - r})
		p.Line(vg.Point{X: at.X + r, Y: at.Y + r})
		p.Line(vg.Point{X: at.X - r, Y: at.Y + r})
	} else {
		p.Move(vg.Point{X: at.X + r, Y: at.Y})
		p.Arc(at, r, 0, 2*math.Pi)
	}
	p.Close()
	c.Stroke(p)
}

func shape(i int) draw.GlyphDrawer { return shapes[i%len(shapes)] }

// newPlot makes a plot whose words can be read from some way off.
func newPlot(title, x, y string) *plot.Plot {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = title, x, y
	for at, size := range map[*font.Length]float64{
		&p.Title.TextStyle.Font.Size: 24, &p.X.Label.TextStyle.Font.Size: 20, &p.Y.Label.TextStyle.Font.Size: 20,
		&p.X.Tick.Label.Font.Size: 16, &p.Y.Tick.Label.Font.Size: 16, &p.Legend.TextStyle.Font.Size: 17,
	} {
		*at = vg.Points(size)
	}
	for _, style := range []*text.Style{&p.Title.TextStyle, &p.X.Label.TextStyle, &p.Y.Label.TextStyle, &p.X.Tick.Label, &p.Y.Tick.Label, &p.Legend.TextStyle} {
		style.Font.Variant = "Sans"
	}
	p.X.Tick.Marker, p.Y.Tick.Marker = round{}, round{}
	p.Title.Padding = vg.Points(16)
	p.X.Label.Padding, p.Y.Label.Padding = vg.Points(8), vg.Points(8)
	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = color.Gray{0xdd}, color.Gray{0xdd}
	p.Add(grid)
	p.Legend.ThumbnailWidth, p.Legend.Padding = vg.Points(34), vg.Points(5)
	return p
}

// save writes p beside its legend, so that nothing lies over a curve, as SVG and PNG;
// what is simulated says so.
func save(p *plot.Plot, base string, simulated bool) (files []string, err error) {
	if simulated {
		p.Title.Text = "SIMULATED: " + p.Title.Text
	}
	legend := p.Legend
	legend.Top, legend.Left, legend.XOffs = true, true, 0
	p.Legend = plot.NewLegend()
	return savePicture(base, func(inner draw.Canvas) {
		size := legend.Rectangle(inner).Size()
		beside := vg.Length(0)
		if size.X > 0 {
			beside = size.X + legend.ThumbnailWidth/2
		}
		p.Draw(draw.Crop(inner, 0, -beside, 0, 0))
		if beside > 0 {
			under := p.Title.TextStyle.Font.Size + p.Title.Padding
			legend.Draw(draw.Crop(inner, inner.Size().X-size.X, 0, 0, -under))
		}
	})
}

// savePicture writes what draw draws within a margin, as SVG and PNG.
func savePicture(base string, onto func(inner draw.Canvas)) (files []string, err error) {
	for _, format := range []string{"svg", "png"} {
		picture, err := draw.NewFormattedCanvas(width, height, format)
		if err != nil {
			return files, fmt.Errorf("save plot: %w", err)
		}
		all := draw.New(picture)
		all.SetColor(color.White)
		all.Fill(all.Rectangle.Path())
		onto(draw.Crop(all, margin, -margin, margin, -margin))
		var b bytes.Buffer
		if _, err := picture.WriteTo(&b); err != nil {
			return files, fmt.Errorf("save plot: %w", err)
		}
		drawn := b.Bytes()
		if format == "svg" {
			drawn = fitted(drawn)
		}
		file := base + "." + format
		if err := session.ReplaceFile(file, drawn); err != nil {
			return files, err
		}
		files = append(files, file)
	}
	return files, nil
}

// words are what an SVG picture's text elements are drawn by: the beginning, the size and
// the words themselves.
var words = regexp.MustCompile(`(?s)<text( [^>]*)font-family:Liberation Sans;([^>]*font-size:([0-9.]+)px">)([^<]*)</text>`)

// fitted gives the words of an SVG picture the width that they were laid out by: whoever
// looks at it may have other fonts, and wider ones would run over the edge.
func fitted(svg []byte) []byte {
	return words.ReplaceAllFunc(svg, func(element []byte) []byte {
		part := words.FindSubmatch(element)
		size, err := strconv.ParseFloat(string(part[3]), 64)
		if err != nil {
			return element
		}
		face := font.DefaultCache.Lookup(font.Font{Typeface: "Liberation", Variant: "Sans"}, vg.Points(size))
		wide := face.Width(html.UnescapeString(string(part[4]))).Points()
		return fmt.Appendf(nil, `<text textLength="%.5g" lengthAdjust="spacingAndGlyphs"%sfont-family:Liberation Sans,Arial,Helvetica,sans-serif;%s%s</text>`, wide, part[1], part[2], part[4])
	})
}
