package page

import (
	"math"
	"slices"

	tea "charm.land/bubbletea/v2"

	"jouletop/engine/command"
	"jouletop/tui/canvas"
	"jouletop/tui/draw"
	"jouletop/tui/state"
	"jouletop/tui/theme"
	"jouletop/tui/view"
)

// Workload shows what the queries look like.
type Workload struct {
	Base
	data    command.Workload
	loaded  bool
	asked   bool
	err     string
	version uint64
	feature int
	dataset string // "" for all
}

type workloadMsg struct {
	data command.Workload
	err  error
}

var workloadKeys = struct{ feature, dataset view.Key }{upDown("choose", "choose a feature"), datasetKey()}

// Name stands on the tab.
func (p *Workload) Name() string { return "Workload" }

// Keys are the page's own.
func (p *Workload) Keys() []view.Key {
	return []view.Key{workloadKeys.feature, workloadKeys.dataset}
}

// Hints are the keys on the last line.
func (p *Workload) Hints() []view.Key {
	if len(p.data.Features) < 2 {
		return nil
	}
	return []view.Key{workloadKeys.feature, workloadKeys.dataset}
}

// Open asks for the queries' features, again each time the page is opened.
func (p *Workload) Open() tea.Cmd {
	c := p.Controller
	if c == nil || p.asked {
		return nil
	}
	p.asked = true
	return func() tea.Msg {
		data, err := c.Workload()
		return workloadMsg{data, err}
	}
}

// Update takes the features.
func (p *Workload) Update(msg tea.Msg) tea.Cmd {
	got, ok := msg.(workloadMsg)
	if !ok {
		return nil
	}
	p.asked = false
	p.version++
	if got.err != nil {
		p.err = got.err.Error()
		return nil
	}
	p.data, p.loaded, p.err = got.data, true, ""
	return nil
}

func (p *Workload) datasets() []string {
	var out []string
	for i := range p.data.Queries {
		if d := p.data.Queries[i].Dataset; !slices.Contains(out, d) {
			out = append(out, d)
		}
	}
	return out
}

// Key chooses a feature and a dataset.
func (p *Workload) Key(msg tea.KeyPressMsg) tea.Cmd {
	n := len(p.data.Features)
	if n == 0 {
		return nil
	}
	switch k := &workloadKeys; {
	case k.feature.Is(msg):
		p.feature = (p.feature + n + step(msg)) % n
	case k.dataset.Is(msg):
		p.dataset = next(append([]string{""}, p.datasets()...), p.dataset)
	}
	return nil
}

// values are a feature's known values, of a dataset ("" all) and class ("" all).
func (p *Workload) values(feature int, dataset, class string) []float64 {
	var out []float64
	for i := range p.data.Queries {
		q := &p.data.Queries[i]
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

// areas are the queries by dataset, the distribution of a feature, and the
// features.
func (p *Workload) areas() (queries, histogram, features canvas.Rect) {
	queries, rest := view.Cut(p.Body, view.Pick(p.Size, 7, 8, 10))
	histogram, features = view.Split(rest, rest.W*view.Pick(p.Size, 46, 50, 52)/100, 1)
	return queries, histogram, features
}

// Draw draws the page.
func (p *Workload) Draw() {
	type key struct {
		version uint64
		feature int
		dataset string
		asked   bool
	}
	k := key{p.version, p.feature, p.dataset, p.asked}
	queries, histogram, features := p.areas()
	p.Frame.Place("queries", queries, k, p.drawDatasets)
	p.Frame.Place("histogram", histogram, k, p.drawHistogram)
	p.Frame.Place("features", features, k, p.drawFeatures)
}

func (p *Workload) drawDatasets(c *canvas.Canvas) {
	y := draw.Heading(c, 0, "Queries by dataset", draw.Int(len(p.data.Queries))+" queries")
	switch {
	case p.err != "":
		c.TextMax(1, y, c.W-2, theme.Bad, p.err)
		return
	case !p.loaded && p.asked:
		c.TextMax(1, y, c.W-2, theme.Muted, "reading the queries")
		return
	case len(p.data.Queries) == 0:
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
	for i, f := range p.data.Features {
		width := featureWidth(f)
		if x+width > c.W {
			break
		}
		s := theme.Muted
		if i == p.feature {
			s = theme.Accent
		}
		c.Right(x+width, y, s, f.Name)
		x += width
	}
	for i, d := range p.datasets() {
		row := y + 1 + i
		if row >= c.H {
			break
		}
		s := theme.Default
		if d == p.dataset {
			s = theme.Select
		}
		c.TextMax(1, row, name, s, d)
		n, easy, hard := 0, 0, 0
		for j := range p.data.Queries {
			if q := &p.data.Queries[j]; q.Dataset == d {
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
			text := draw.Int(count)
			if k > 0 && easy+hard == 0 {
				text = draw.Unknown
			}
			c.Right(x+num, row, theme.Default, text)
			x += num + 1
		}
		x = features
		for j, f := range p.data.Features {
			width := featureWidth(f)
			if x+width > c.W {
				break
			}
			c.Right(x+width, row, theme.Default, draw.Sig(meanOf(p.values(j, d, ""))))
			x += width
		}
	}
}

// featureWidth is the width of a feature's column: its name, or a number.
func featureWidth(f command.Feature) int { return min(max(canvas.Width(f.Name), 8), 24) + 2 }

// drawHistogram draws how the chosen feature is distributed.
func (p *Workload) drawHistogram(c *canvas.Canvas) {
	if p.feature >= len(p.data.Features) {
		draw.Heading(c, 0, "Distribution", "")
		return
	}
	f := p.data.Features[p.feature]
	of := p.dataset
	if of == "" {
		of = "all datasets"
	}
	title := f.Name
	if f.Unit != "" {
		title += " (" + f.Unit + ")"
	}
	y := draw.Heading(c, 0, title, of+" (d)")
	vals := p.values(p.feature, p.dataset, "")
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
	for i := range p.data.Queries {
		q := &p.data.Queries[i]
		if p.dataset != "" && q.Dataset != p.dataset || p.feature >= len(q.Values) || math.IsNaN(q.Values[p.feature]) {
			continue
		}
		b := bin(q.Values[p.feature])
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
		c.Right(label, y+i, theme.Muted, draw.Sig(from))
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
		c.Text(x+1, y+i, theme.Muted, draw.Int(sum))
	}
	if bottom := y + rows; bottom < c.H {
		x := c.Text(label+1, bottom, theme.PhaseScore, "█ easy ")
		x = c.Text(x+1, bottom, theme.PhasePrefill, "▓ hard ")
		c.TextMax(x+1, bottom, c.W-x-1, theme.PhaseDecode, "▒ not judged")
	}
}

// drawFeatures lists the features with their spread, and easy beside hard.
func (p *Workload) drawFeatures(c *canvas.Canvas) {
	y := draw.Heading(c, 0, "Features", "↑ ↓ choose")
	type column struct {
		title string
		of    func(all, easy, hard []float64) float64
	}
	cols := []column{
		{"mean", func(all, _, _ []float64) float64 { return meanOf(all) }},
		{"easy", func(_, easy, _ []float64) float64 { return meanOf(easy) }},
		{"hard", func(_, _, hard []float64) float64 { return meanOf(hard) }},
		{"median", func(all, _, _ []float64) float64 { return state.SpreadOf(all).Median }},
		{"p95", func(all, _, _ []float64) float64 { return state.SpreadOf(all).P95 }},
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
	first := max(p.feature-(c.H-y)+1, 0)
	for i := first; i < len(p.data.Features) && y < c.H; i++ {
		f := p.data.Features[i]
		s := theme.Default
		if i == p.feature {
			s = theme.Select
			c.Fill(canvas.Rect{Y: y, W: c.W, H: 1}, s, ' ')
		}
		label := f.Name
		if f.Unit != "" {
			label += " (" + f.Unit + ")"
		}
		c.TextMax(1, y, name, s, label)
		all := p.values(i, p.dataset, "")
		easy, hard := p.values(i, p.dataset, "easy"), p.values(i, p.dataset, "hard")
		x := name + 1
		for _, t := range cols {
			c.Right(x+8, y, s, draw.Sig(t.of(all, easy, hard)))
			x += 9
		}
		y++
	}
}
