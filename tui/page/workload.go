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
	count := func(class string) func(d string) string {
		return func(d string) string {
			n, judged := 0, false
			for i := range p.data.Queries {
				q := &p.data.Queries[i]
				if q.Dataset != d {
					continue
				}
				judged = judged || q.Class != ""
				if class == "" || q.Class == class {
					n++
				}
			}
			if class != "" && !judged {
				return draw.Unknown
			}
			return draw.Int(n)
		}
	}
	columns := []draw.Column[string]{
		{Title: "dataset", Width: -14, Grow: true, Text: func(d string) string { return d }},
		{Title: "queries", Width: 7, Text: count("")},
		{Title: "easy", Width: 7, Text: count("easy")},
		{Title: "hard", Width: 7, Text: count("hard")},
	}
	own := len(columns)
	for i, f := range p.data.Features {
		columns = append(columns, draw.Column[string]{
			Title: f.Name, Width: max(canvas.Width(f.Name), 8) + 1, Rank: i + 1,
			Text: func(d string) string { return draw.Sig(meanOf(p.values(i, d, ""))) },
		})
	}
	datasets := p.datasets()
	t := draw.Table[string]{Columns: columns, Rows: len(datasets), At: func(i int) string { return datasets[i] }}
	t.Head = func(col int) canvas.Style {
		if col == own+p.feature {
			return theme.Accent
		}
		return theme.Muted
	}
	t.Style = func(row, col int) canvas.Style {
		if col == 0 && datasets[row] == p.dataset {
			return theme.Select
		}
		return theme.Default
	}
	t.Draw(c, canvas.Rect{X: 1, Y: y, W: c.W - 1, H: c.H - y})
}

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
	y := draw.Heading(c, 0, title, of+p.bracketed(workloadKeys.dataset))
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
		x := max(0, min(label+1, c.W-canvas.Width("█ easy  ▓ hard  ▒ not judged")))
		x = c.Text(x, bottom, theme.PhaseScore, "█ easy ")
		x = c.Text(x+1, bottom, theme.PhasePrefill, "▓ hard ")
		c.TextMax(x+1, bottom, c.W-x-1, theme.PhaseDecode, "▒ not judged")
	}
}

// drawFeatures lists the features with their spread, and easy beside hard.
func (p *Workload) drawFeatures(c *canvas.Canvas) {
	y := draw.Heading(c, 0, "Features", "↑ ↓ choose")
	mean := func(class string) func(i int) string {
		return func(i int) string { return draw.Sig(meanOf(p.values(i, p.dataset, class))) }
	}
	spread := func(of func(state.Spread) float64) func(i int) string {
		return func(i int) string { return draw.Sig(of(state.SpreadOf(p.values(i, p.dataset, "")))) }
	}
	t := draw.Table[int]{Columns: []draw.Column[int]{
		{Title: "feature", Width: -20, Grow: true, Text: func(i int) string {
			f := p.data.Features[i]
			if f.Unit != "" {
				return f.Name + " (" + f.Unit + ")"
			}
			return f.Name
		}},
		{Title: "mean", Width: 8, Text: mean("")},
		{Title: "easy", Width: 8, Rank: 1, Text: mean("easy")},
		{Title: "hard", Width: 8, Rank: 2, Text: mean("hard")},
		{Title: "median", Width: 8, Rank: 3, Text: spread(func(s state.Spread) float64 { return s.Median })},
		{Title: "p95", Width: 8, Rank: 4, Text: spread(func(s state.Spread) float64 { return s.P95 })},
	}, Rows: len(p.data.Features), First: max(p.feature-(c.H-y)+2, 0), At: func(i int) int { return i }}
	t.Style = func(row, _ int) canvas.Style {
		if row == p.feature {
			return theme.Select
		}
		return theme.Default
	}
	if at := y + 1 + p.feature - t.First; at < c.H && t.Rows > 0 {
		c.Fill(canvas.Rect{Y: at, W: c.W, H: 1}, theme.Select, ' ')
	}
	t.Draw(c, canvas.Rect{X: 1, Y: y, W: c.W - 2, H: c.H - y})
}
