package report

import (
	"bytes"
	"cmp"
	_ "embed" // the page's template
	"fmt"
	"html/template"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"jouletop/engine/analysis/compare"
	"jouletop/engine/analysis/curve"
	"jouletop/engine/analysis/table"
	"jouletop/engine/event"
	"jouletop/engine/session"
	"jouletop/gpu"
	"jouletop/gpu/plaintext"
)

//go:embed report.html.tmpl
var pageText string

var pageTemplate = template.Must(template.New("report").Parse(pageText))

// page is what the HTML report shows.
type page struct {
	Title     string
	Simulated bool
	Summary   []string
	Notes     []string
	Figures   []inlined
	Compared  []htmlTable
	Tables    []htmlTable
	Flags     []*flagLine
	Warnings  []string
	Sessions  []provenance
}

// inlined is a picture within the page.
type inlined struct {
	Name string
	SVG  template.HTML
}

type htmlTable struct {
	Title   string
	Columns []string
	Rows    [][]string
	Notes   []string
}

type flagLine struct {
	Flag, Meaning    string
	Requests, Points int
}

type provenance struct {
	Dir   string
	Facts [][2]string
	Again string
}

// mostCompared is how many settings of a session are compared with its baseline.
const mostCompared = 12

// HTML writes the report as one file that needs no other and asks nobody for anything,
// for people who have no jouletop: what it came to first, pictures, comparisons,
// tables, flags and warnings, and what it was made of.
func (r *Sessions) HTML(path string, slowdown float64) error {
	p := page{Title: r.title(), Simulated: r.simulated, Notes: r.Notes}
	for _, t := range r.Tables(slowdown, false) {
		p.Tables = append(p.Tables, newHTMLTable(t))
	}
	p.Summary = recommendations(curve.Of(curve.Pool(r.points)), slowdown)
	var err error
	if p.Figures, err = r.figures(slowdown); err != nil {
		return err
	}
	for _, s := range r.sessions {
		p.compare(s)
		if err := p.describe(s); err != nil {
			return err
		}
	}
	for _, point := range r.points {
		for _, f := range point.Flags.List() {
			p.flag(f, event.FlagMeanings[f]).Points++
		}
	}
	slices.SortStableFunc(p.Flags, func(a, b *flagLine) int { return cmp.Compare(a.Flag, b.Flag) })
	if len(p.Summary) == 0 {
		p.Summary = r.plainly()
	}
	var b bytes.Buffer
	if err := pageTemplate.Execute(&b, p); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return session.ReplaceFile(path, b.Bytes())
}

// plainly says what was measured where there is nothing to compare or recommend: each
// setting's energies, and those of commands.
func (r *Sessions) plainly() []string {
	const most = 8
	var out []string
	energies := Energies(r.points)
	for _, t := range append([]table.Table{energies}, r.commands...) {
		columns, rows := t.Texts(false)
		for _, row := range rows {
			if t.ID != energyTable && row[0] != wholeCommand {
				continue
			}
			var parts []string
			for i, c := range columns[1:] {
				switch value := strings.ReplaceAll(row[i+1], "±", "± "); {
				case value == "" || value == "–":
				case c == "dataset":
					parts = append(parts, "on "+value)
				case c == "batch":
					parts = append(parts, "batch "+value)
				case c == "clock":
					parts = append(parts, "clock "+value)
				case strings.HasPrefix(c, "J"), c == "latency s", c == "s":
					parts = append(parts, value+" "+strings.ReplaceAll(strings.TrimPrefix(c, "latency "), ",", ""))
				}
			}
			if out = append(out, row[0]+": "+strings.Join(parts, ", ")); len(out) == most {
				return out
			}
		}
	}
	return out
}

func (r *Sessions) title() string {
	var names []string
	for _, s := range r.sessions {
		names = append(names, filepath.Base(s.Dir))
	}
	return plaintext.Line(strings.Join(names, ", "))
}

// newHTMLTable lays a table out as text.
func newHTMLTable(t table.Table) htmlTable {
	h := htmlTable{Title: t.Title, Notes: t.Notes}
	h.Columns, h.Rows = t.Texts(false)
	if t.Simulated {
		h.Title = "SIMULATED " + h.Title
	}
	return h
}

// recommendations say at which clock each model is to run, and what that brings.
func recommendations(curves []curve.Curve, slowdown float64) []string {
	var out []string
	for _, c := range curves {
		base, ok := c.Baseline()
		best, ok2 := c.RunAt(slowdown)
		if !ok || !ok2 || len(c.Clocks) < 2 {
			continue
		}
		what := fmt.Sprintf("%s at batch %d: ", plaintext.Line(c.Model), c.BatchSize)
		if best.RequestedMHz == base.RequestedMHz {
			out = append(out, what+fmt.Sprintf("no lower clock than %d MHz is known to save energy and to be no more than %.3g %% slower", base.RequestedMHz, 100*slowdown))
			continue
		}
		k := best.Against(base)
		slower := stated(k.Latency) + " % more latency"
		switch {
		case math.Abs(k.Latency.Mean) <= k.Latency.Half:
			slower = "no difference in latency resolved (" + stated(k.Latency) + " %)"
		case k.Latency.Mean < 0:
			slower = stated(curve.Stat{Mean: -k.Latency.Mean, Half: k.Latency.Half}) + " % less latency"
		}
		say := what + fmt.Sprintf("run at %d MHz: %s %% less energy than at %d MHz, %s", best.RequestedMHz, stated(k.EnergyDown), base.RequestedMHz, slower)
		if math.IsNaN(k.EnergyDown.Half) {
			say += "; each clock ran once, which tells no interval: --repeats 3 does"
		}
		if n := len(best.Alike); n > 1 {
			say += fmt.Sprintf("; the %d clocks from %d to %d MHz cannot be told apart by their energy", n, best.Low(), best.High())
		}
		out = append(out, say)
	}
	return out
}

// stated is a percentage with its interval, where there is one.
func stated(s curve.Stat) string {
	text := table.WithError(s, 1).String()
	return strings.ReplaceAll(text, "±", "± ")
}

// figures draws all pictures and takes them in.
func (r *Sessions) figures(slowdown float64) ([]inlined, error) {
	dir, err := os.MkdirTemp("", "jouletop-report-")
	if err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	defer os.RemoveAll(dir)
	files, err := r.pictures(dir, slowdown)
	if err != nil {
		return nil, err
	}
	var out []inlined
	for _, f := range files {
		if filepath.Ext(f) != ".svg" {
			continue
		}
		text, err := os.ReadFile(f)
		if err != nil {
			return nil, fmt.Errorf("report: %w", err)
		}
		// The picture alone, of the page's width: our own drawing, in which names are
		// escaped.
		svg := text[bytes.Index(text, []byte("<svg")):]
		svg = svgSize.ReplaceAll(svg, []byte(`<svg role="img" viewBox=`))
		name := strings.ReplaceAll(strings.TrimSuffix(filepath.Base(f), ".svg"), "-", " ")
		out = append(out, inlined{name, template.HTML(svg)}) //nolint:gosec // drawn here
	}
	return out, nil
}

var svgSize = regexp.MustCompile(`^<svg width="[^"]*" height="[^"]*" viewBox=`)

// compare lays the settings of a session beside its baseline, or, where that compares with
// none of them, beside the one that compares with most.
func (p *page) compare(s *session.Session) {
	sides, err := compare.Sides([]string{s.Dir}, "")
	if err != nil {
		return // it has one setting
	}
	if len(sides) > mostCompared+1 {
		p.Notes = append(p.Notes, fmt.Sprintf("%s: its %d settings are not laid beside each other here: jouletop compare does", plaintext.Line(s.Dir), len(sides)))
		return
	}
	compared, err := compare.All(sides, false)
	if err != nil {
		p.Notes = append(p.Notes, strings.Split(err.Error(), "\n")...)
	}
	if other, _ := compare.Better(sides, 0); other != nil && len(compared) == 0 {
		at := slices.Index(sides, other)
		// What is refused has been said of the other.
		compared, _ = compare.All(slices.Insert(slices.Delete(slices.Clone(sides), at, at+1), 0, other), false)
	}
	for _, c := range compared {
		p.Summary = append(p.Summary, c.Sentence())
		p.Compared = append(p.Compared, newHTMLTable(compare.Table(c, 0)))
	}
}

// flag is the line of a flag.
func (p *page) flag(f event.Flag, meaning string) *flagLine {
	name := plaintext.Line(string(f))
	i := slices.IndexFunc(p.Flags, func(l *flagLine) bool { return l.Flag == name })
	if i < 0 {
		i = len(p.Flags)
		p.Flags = append(p.Flags, &flagLine{Flag: name, Meaning: plaintext.Line(meaning)})
	}
	return p.Flags[i]
}

// describe says what a session was made of, and what is to be known of its rows.
func (p *page) describe(s *session.Session) error {
	m := s.Manifest
	requests := 0
	if err := s.Requests(func(r *event.RequestEnergy) error {
		requests++
		for _, f := range r.Flags.List() {
			p.flag(f, cmp.Or(event.FlagMeanings[f], m.Flags[f])).Requests++ // m's are a newer program's
		}
		return nil
	}); err != nil {
		return err
	}
	for _, w := range m.Warnings {
		p.Warnings = append(p.Warnings, plaintext.OneLine(w))
	}
	v := provenance{Dir: plaintext.Line(s.Dir), Again: plaintext.Line(m.Plan.Command(m.Name, m))}
	add := func(name, format string, args ...any) {
		if text := plaintext.Line(fmt.Sprintf(format, args...)); strings.Trim(text, " ,") != "" {
			v.Facts = append(v.Facts, [2]string{name, text})
		}
	}
	add("made by", "%s", m.Program)
	add("begun", "%s", m.Start.Format("2006-01-02 15:04:05 MST"))
	add("ended", "%s", m.Ended)
	add("requests", "%d", requests)
	add("host", "%s, %s, %d cores, kernel %s", m.Host.Name, m.Host.CPU, m.Host.Cores, m.Host.Kernel)
	for _, g := range m.GPUs {
		add("GPU", "%s (%s), driver %s, VBIOS %s, limit %s W", g.Name, g.ID, cmp.Or(g.Driver, "unknown"), cmp.Or(g.VBIOS, "unknown"), plaintext.Significant(g.PowerLimitW, 4))
		for _, q := range g.Sensors {
			add("sensor", "%s", sensorText(q))
		}
	}
	for _, h := range m.HostSources {
		add("host power", "%s, by %s", h.Domain, h.Kind)
	}
	for _, u := range m.HostUnread {
		add("host power", "not read: %s", u)
	}
	add("backend", "%s %s", m.Backend, strings.Join(m.BuildFlags, " "))
	for _, o := range m.Models {
		add("model", "%s, %s, SHA-256 %s", o.Name, o.Quantisation, cmp.Or(o.SHA256, "unknown"))
	}
	for _, d := range m.Datasets {
		add("dataset", "%s from %s, %d rows, SHA-256 %s", d.Name, d.Path, d.Rows, cmp.Or(d.SHA256, "unknown"))
	}
	if m.Note != "" {
		add("note", "%s", m.Note)
	}
	p.Sessions = append(p.Sessions, v)
	return nil
}

// sensorText says what is known of a power source.
func sensorText(q gpu.PowerSource) string {
	var known []string
	if q.PeriodMS > 0 {
		known = append(known, fmt.Sprintf("renewed every %.4g ms", q.PeriodMS))
	}
	if q.WindowMS > 0 {
		known = append(known, fmt.Sprintf("averaging over %.4g ms", q.WindowMS))
	}
	if q.Note != "" {
		known = append(known, q.Note)
	}
	return q.Name + ": " + cmp.Or(strings.Join(known, ", "), "renewal unknown")
}
