package page

import (
	"jouletop/engine/analysis/paired"
	"jouletop/engine/analysis/verdict"
	"jouletop/tui/canvas"
	"jouletop/tui/draw"
	"jouletop/tui/theme"
)

// drawFigures lists the figures of both sides, what they differ by and the verdict of
// each; then, where there is room, the comparison by model, dataset and batch size.
func drawFigures(c *canvas.Canvas, x *paired.Comparison) {
	figures := shownFigures(x, c.H-1)
	refused := len(x.Mismatches) > 0
	t := draw.Table[paired.Figure]{Columns: figureColumns(refused), Rows: len(figures), At: func(i int) paired.Figure { return figures[i] }}
	t.Style = func(row, col int) canvas.Style {
		if col < 3 || refused {
			return theme.Default
		}
		if !figures[row].Resolved() {
			return theme.Muted
		}
		if figures[row].Name == paired.Quality { // more is better
			return theme.Strong
		}
		return verdictStyle(figures[row].Difference)
	}
	y := t.Draw(c, canvas.Rect{X: 1, Y: 0, W: c.W - 2, H: c.H})
	works := x.Works()
	if len(works) < 2 || c.H-y < 4 || refused {
		return
	}
	by := draw.Table[paired.Work]{Columns: workColumns, Rows: len(works), At: func(i int) paired.Work { return works[i] }}
	by.Style = func(row, col int) canvas.Style {
		switch d := works[row].Energy; {
		case col == 4 && d.Resolved():
			return verdictStyle(d)
		case col == 5 && works[row].Latency.Resolved():
			return verdictStyle(works[row].Latency)
		}
		return theme.Default
	}
	by.Draw(c, canvas.Rect{X: 1, Y: y + 1, W: c.W - 2, H: c.H - y - 1})
}

// shownFigures are those that find room in n rows, but for those that stand above first.
func shownFigures(x *paired.Comparison, n int) []paired.Figure {
	if len(x.Figures) <= n {
		return x.Figures
	}
	var out []paired.Figure
	for _, name := range []string{paired.EnergyToken, paired.EDP, paired.TTFT, paired.Quality} {
		if f, ok := x.Figure(name); ok {
			out = append(out, f)
		}
	}
	return out[:min(len(out), max(n, 0))]
}

// figureColumns are the table of figures; of what is not comparable the values alone.
func figureColumns(refused bool) []draw.Column[paired.Figure] {
	value := func(v float64, f paired.Figure) string {
		text := draw.Sig(v * f.Scale)
		if f.Unit != "" {
			text += " " + f.Unit
		}
		return text
	}
	columns := []draw.Column[paired.Figure]{
		{Title: "figure", Width: -24, Text: func(f paired.Figure) string { return f.Name }},
		{Title: "A", Width: 11, Text: func(f paired.Figure) string { return value(f.A, f) }},
		{Title: "B", Width: 11, Text: func(f paired.Figure) string { return value(f.B, f) }},
	}
	if refused {
		return columns
	}
	return append(columns,
		draw.Column[paired.Figure]{Title: "difference", Width: 16, Text: func(f paired.Figure) string { return f.Difference.String() }},
		draw.Column[paired.Figure]{Title: "verdict", Width: -22, Rank: 1, Text: func(f paired.Figure) string { return f.Word() }},
	)
}

// workColumns are the table of the comparison's parts.
var workColumns = []draw.Column[paired.Work]{
	{Title: "model", Width: -12, Grow: true, Text: func(k paired.Work) string { return k.Model }},
	{Title: "dataset", Width: -11, Grow: true, Text: func(k paired.Work) string { return k.Dataset }},
	{Title: "batch", Width: 5, Text: func(k paired.Work) string { return draw.Int(k.Batch) }},
	{Title: "queries", Width: 7, Text: func(k paired.Work) string { return draw.Int(k.Queries) }},
	{Title: "energy", Width: 16, Text: func(k paired.Work) string { return said(k.Energy) }},
	{Title: "latency", Width: 16, Text: func(k paired.Work) string { return said(k.Latency) }},
}

// said is a difference, where it is resolved.
func said(d verdict.Difference) string {
	if d.Word() == verdict.Unresolved {
		return "not resolved"
	}
	return d.String()
}
