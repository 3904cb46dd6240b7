package tui

import (
	"math"
	"slices"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"

	"jouletop/tui/canvas"
	"jouletop/tui/theme"
)

// workloadView shows what the queries look like.
type workloadView struct {
	data    Workload
	loaded  bool
	asked   bool
	err     string
	version uint64
	feature int
	dataset string // "" for all
}

type workloadMsg struct {
	data Workload
	err  error
}

// ask asks for the queries' features, again each time the screen is opened.
func (v *workloadView) ask(m *Model) tea.Cmd {
	c := m.opt.Controller
	if c == nil || v.asked {
		return nil
	}
	v.asked = true
	return func() tea.Msg {
		data, err := c.Workload()
		return workloadMsg{data, err}
	}
}

func (v *workloadView) take(msg workloadMsg) {
	v.asked = false
	v.version++
	if msg.err != nil {
		v.err = msg.err.Error()
		return
	}
	v.data, v.loaded, v.err = msg.data, true, ""
}

func (v *workloadView) datasets() []string {
	var out []string
	for i := range v.data.Queries {
		if d := v.data.Queries[i].Dataset; !slices.Contains(out, d) {
			out = append(out, d)
		}
	}
	return out
}

func (v *workloadView) key(m *Model, msg tea.KeyPressMsg) {
	n := len(v.data.Features)
	if n == 0 {
		return
	}
	switch {
	case key.Matches(msg, m.keys.up):
		v.feature = (v.feature + n - 1) % n
	case key.Matches(msg, m.keys.down):
		v.feature = (v.feature + 1) % n
	case key.Matches(msg, m.keys.dataset):
		v.dataset = nextOf(append([]string{""}, v.datasets()...), v.dataset)
	}
}

// values are a feature's known values, of a dataset ("" all) and class ("" all).
func (v *workloadView) values(feature int, dataset, class string) []float64 {
	var out []float64
	for i := range v.data.Queries {
		q := &v.data.Queries[i]
		if dataset != "" && q.Dataset != dataset || class != "" && q.Class != class || feature >= len(q.Values) {
			continue
		}
		if x := q.Values[feature]; !math.IsNaN(x) {
			out = append(out, x)
		}
	}
	return out
}

func meanOf(v []float64) float64 {
	if len(v) == 0 {
		return math.NaN()
	}
	var sum float64
	for _, x := range v {
		sum += x
	}
	return sum / float64(len(v))
}

func (m *Model) drawWorkload() {
	type key struct {
		version uint64
		feature int
		dataset string
		asked   bool
	}
	v := &m.workload
	k := key{v.version, v.feature, v.dataset, v.asked}
	m.place("queries", m.lay.queries, k, m.drawDatasets)
	m.place("histogram", m.lay.histogram, k, m.drawHistogram)
	m.place("features", m.lay.features, k, m.drawFeatures)
}

func (m *Model) drawDatasets(c *canvas.Canvas) {
	v := &m.workload
	y := heading(c, 0, "Queries by dataset", fmtInt(len(v.data.Queries))+" queries")
	switch {
	case v.err != "":
		c.TextMax(1, y, c.W-2, theme.Bad, v.err)
		return
	case !v.loaded && v.asked:
		c.TextMax(1, y, c.W-2, theme.Muted, "reading the queries")
		return
	case len(v.data.Queries) == 0:
		c.TextMax(1, y, c.W-2, theme.Muted, "no datasets in use")
		return
	}
	const name, num = 14, 7
	c.Text(1, y, theme.Muted, "dataset")
	x := name + 1
	for _, t := range []string{"queries", "easy", "hard"} {
		c.Right(x+num, y, theme.Muted, t)
		x += num + 1
	}
	features := x
	for i, f := range v.data.Features {
		width := featureWidth(f)
		if x+width > c.W {
			break
		}
		s := theme.Muted
		if i == v.feature {
			s = theme.Accent
		}
		c.Right(x+width, y, s, f.Name)
		x += width
	}
	for i, d := range v.datasets() {
		row := y + 1 + i
		if row >= c.H {
			break
		}
		s := theme.Default
		if d == v.dataset {
			s = theme.Select
		}
		c.TextMax(1, row, name, s, d)
		n, easy, hard := 0, 0, 0
		for j := range v.data.Queries {
			if q := &v.data.Queries[j]; q.Dataset == d {
				n++
				switch q.Class {
				case "easy":
					easy++
				case "hard":
					hard++
				}
			}
		}
		x := name + 1
		for k, count := range []int{n, easy, hard} {
			text := fmtInt(count)
			if k > 0 && easy+hard == 0 {
				text = unknown
			}
			c.Right(x+num, row, theme.Default, text)
			x += num + 1
		}
		x = features
		for j, f := range v.data.Features {
			width := featureWidth(f)
			if x+width > c.W {
				break
			}
			c.Right(x+width, row, theme.Default, fmtSig(meanOf(v.values(j, d, ""))))
			x += width
		}
	}
}

// featureWidth is the width of a feature's column: its name, or a number.
func featureWidth(f Feature) int { return min(max(canvas.Width(f.Name), 8), 24) + 2 }

// drawHistogram draws how the chosen feature is distributed.
func (m *Model) drawHistogram(c *canvas.Canvas) {
	v := &m.workload
	if v.feature >= len(v.data.Features) {
		heading(c, 0, "Distribution", "")
		return
	}
	f := v.data.Features[v.feature]
	of := v.dataset
	if of == "" {
		of = "all datasets"
	}
	title := f.Name
	if f.Unit != "" {
		title += " (" + f.Unit + ")"
	}
	y := heading(c, 0, title, of+" (d)")
	vals := v.values(v.feature, v.dataset, "")
	if len(vals) == 0 || c.H-y < 2 {
		c.TextMax(1, y, c.W-2, theme.Muted, "unknown for these queries")
		return
	}
	rows := min(c.H-y-1, 20)
	lo, hi := slices.Min(vals), slices.Max(vals)
	if hi == lo {
		rows, hi = 1, lo+1
	}
	easy, hard, rest := make([]int, rows), make([]int, rows), make([]int, rows)
	bin := func(x float64) int { return min(int((x-lo)/(hi-lo)*float64(rows)), rows-1) }
	for i := range v.data.Queries {
		q := &v.data.Queries[i]
		if v.dataset != "" && q.Dataset != v.dataset || v.feature >= len(q.Values) || math.IsNaN(q.Values[v.feature]) {
			continue
		}
		b := bin(q.Values[v.feature])
		switch q.Class {
		case "easy":
			easy[b]++
		case "hard":
			hard[b]++
		default:
			rest[b]++
		}
	}
	most := 1
	for i := range rows {
		most = max(most, easy[i]+hard[i]+rest[i])
	}
	const label, count = 9, 6
	width := c.W - label - count - 3
	for i := range rows {
		from := lo + (hi-lo)*float64(i)/float64(rows)
		c.Right(label, y+i, theme.Muted, fmtSig(from))
		c.Set(label, y+i, theme.Faint, '│')
		x := label + 1
		sum := 0
		for _, part := range []struct {
			n int
			s canvas.Style
			r rune
		}{{easy[i], theme.PhaseScore, '█'}, {hard[i], theme.PhasePrefill, '▓'}, {rest[i], theme.PhaseDecode, '▒'}} {
			sum += part.n
			to := label + 1 + int(float64(sum)/float64(most)*float64(width)+0.5)
			for ; x < to; x++ {
				c.Set(x, y+i, part.s, part.r)
			}
		}
		c.Text(x+1, y+i, theme.Muted, fmtInt(sum))
	}
	if bottom := y + rows; bottom < c.H {
		x := c.Text(label+1, bottom, theme.PhaseScore, "█ easy ")
		x = c.Text(x+1, bottom, theme.PhasePrefill, "▓ hard ")
		c.TextMax(x+1, bottom, c.W-x-1, theme.PhaseDecode, "▒ not judged")
	}
}

// drawFeatures lists the features with their spread, and easy beside hard.
func (m *Model) drawFeatures(c *canvas.Canvas) {
	v := &m.workload
	y := heading(c, 0, "Features", "↑ ↓ choose")
	type column struct {
		title string
		of    func(all, easy, hard []float64) float64
	}
	cols := []column{
		{"mean", func(all, _, _ []float64) float64 { return meanOf(all) }},
		{"easy", func(_, easy, _ []float64) float64 { return meanOf(easy) }},
		{"hard", func(_, _, hard []float64) float64 { return meanOf(hard) }},
		{"median", func(all, _, _ []float64) float64 { return spreadOf(all).p50 }},
		{"p95", func(all, _, _ []float64) float64 { return spreadOf(all).p95 }},
	}
	for len(cols) > 1 && c.W-len(cols)*9-1 < 20 {
		cols = cols[:len(cols)-1]
	}
	name := max(c.W-len(cols)*9-1, 8)
	x := name + 1
	for _, t := range cols {
		c.Right(x+8, y, theme.Muted, t.title)
		x += 9
	}
	y++
	first := max(v.feature-(c.H-y)+1, 0)
	for i := first; i < len(v.data.Features) && y < c.H; i++ {
		f := v.data.Features[i]
		s := theme.Default
		if i == v.feature {
			s = theme.Select
			c.Fill(canvas.Rect{Y: y, W: c.W, H: 1}, s, ' ')
		}
		label := f.Name
		if f.Unit != "" {
			label += " (" + f.Unit + ")"
		}
		c.TextMax(1, y, name, s, label)
		all := v.values(i, v.dataset, "")
		easy, hard := v.values(i, v.dataset, "easy"), v.values(i, v.dataset, "hard")
		x := name + 1
		for _, t := range cols {
			c.Right(x+8, y, s, fmtSig(t.of(all, easy, hard)))
			x += 9
		}
		y++
	}
}
