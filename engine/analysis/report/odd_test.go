package report

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"unicode"

	"jouletop/engine/analysis/curve"
	"jouletop/engine/analysis/curve/curvetest"
	"jouletop/engine/analysis/plot"
	"jouletop/engine/analysis/table"
	"jouletop/engine/event"
)

// everything makes all of the report of points.
func everything(t *testing.T, points []event.PointDone, plots bool) string {
	t.Helper()
	var out bytes.Buffer
	tables := Study(points, 0.03)
	for _, made := range tables {
		if err := errors.Join(made.WriteText(&out, true), made.WriteMarkdown(&out, true)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(table.WriteCSV(&out, tables), table.WriteJSON(&out, tables)); err != nil {
		t.Fatal(err)
	}
	if plots {
		files, err := plot.Points(t.TempDir(), points, 0.03, true)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if strings.HasSuffix(f, ".svg") {
				wellFormed(t, f)
			}
		}
	}
	return out.String()
}

func wellFormed(t *testing.T, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for d := xml.NewDecoder(bytes.NewReader(text)); ; {
		tok, err := d.Token()
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if e, ok := tok.(xml.StartElement); ok && (e.Name.Local == "script" || e.Name.Local == "image") {
			t.Errorf("%s has a %s", file, e.Name.Local)
		}
	}
}

// A report of points that are of no use says so; it never dies of them.
func TestPointsOfNoUse(t *testing.T) {
	odd := []float64{0, -1, 1, math.NaN(), math.Inf(1), math.Inf(-1), 1e308, -1e308, 5e-324, 1e-9, 1e15}
	r := rand.New(rand.NewPCG(1, 2))
	any := func() float64 { return odd[r.IntN(len(odd))] }
	for n := range 300 {
		var ps []event.PointDone
		all := any() // in some all points have the same
		for i := range 1 + r.IntN(24) {
			p := curvetest.Point([]int{0, 345, 660, 975, 1290, 1605, 1980}[r.IntN(7)], 1+r.IntN(3), any(), any())
			p.PointID = fmt.Sprint("p", i)
			if n%3 == 0 {
				p.EnergyJ = all
			}
			p.BatchSize, p.Queries = []int{1, 8, 0, -1}[r.IntN(4)], []int{10, 0, -1}[r.IntN(3)]
			p.AchievedSMMHz, p.Quality, p.MeanPowerW, p.OutputTokens, p.PrefillS, p.DecodeS = any(), any(), any(), any(), any(), any()
			p.JoulesPerToken = any()
			p.Dataset = []string{"truthfulqa", "boolq", ""}[r.IntN(3)]
			p.Flags = []event.Flags{"", "throttled", "clock-off", "failed-requests"}[r.IntN(4)]
			if n%5 == 0 {
				p.Flags = "throttled"
			}
			ps = append(ps, p)
		}
		text := everything(t, ps, n%10 == 0)
		for _, bad := range []string{"NaN", "Inf"} {
			if strings.Contains(text, bad) {
				t.Fatalf("points %+v:\n%s", ps, text)
			}
		}
	}
}

// A job at the driver's clock, over other datasets than the sweep's, takes the
// model out of no table.
func TestJobAtTheDriversClockLeavesTheSweep(t *testing.T) {
	var ps []event.PointDone
	add := func(mhz, repeat int, dataset string, times int) {
		for range times {
			p := curvetest.Point(mhz, repeat, 5+float64(mhz)/200, 1.1-float64(mhz)/20000)
			p.PointID, p.Dataset = fmt.Sprintf("p%d", len(ps)), dataset
			if mhz == 0 {
				p.Policy = "none"
			}
			ps = append(ps, p)
		}
	}
	for _, d := range []string{"boolq", "hellaswag", "narrativeqa", "truthfulqa"} {
		add(0, 1, d, 1)
	}
	for _, mhz := range []int{345, 660, 975, 1290, 1605, 1980} {
		add(mhz, 1, "boolq", 1)
	}
	for name, extra := range map[string]func(){
		"start-up job":              func() {},
		"one clock more, elsewhere": func() { add(1980, 1, "narrativeqa", 1) },
		"the same sweep again":      func() { add(345, 1, "boolq", 1); add(1980, 1, "boolq", 1) },
	} {
		kept := ps
		extra()
		rows := map[string]int{}
		for _, made := range Study(ps, 0.03) {
			rows[cmp.Or(made.ID, made.Title)] = len(made.Rows)
		}
		for _, id := range []string{"XI", "XII", "XIII", "XIV", "XVI"} {
			if rows[id] == 0 {
				t.Errorf("%s: table %s is empty", name, id)
			}
		}
		if clocks := len(curve.Of(curve.Pool(ps))[0].Clocks); clocks != 6 {
			t.Errorf("%s: %d clocks", name, clocks)
		}
		ps = kept
	}
}

// Text out of a session is text in every report: no escape reaches the terminal,
// no HTML the browser, no formula the spreadsheet, and a picture stays one.
func TestSessionTextIsText(t *testing.T) {
	for _, name := range []string{
		"\x1b]52;c;aGk=\x07\x1b[2J", "\u009b31m\u202egpj.exe", "<script>alert(1)</script>", "<img src=x onerror=alert(1)>",
		"![x](http://example.org/x.png)[y](javascript:alert(1))", `=cmd|' /C calc'!A0`, "+1", "@SUM(A1)", "a|b", "]]>&\"'\x00\x01\ufffe", "\xff\xfe",
	} {
		var ps []event.PointDone
		for i, mhz := range []int{345, 1005, 1980} {
			p := curvetest.Point(mhz, 1, 5+float64(mhz)/200, 1.1-float64(mhz)/20000)
			p.PointID, p.Model, p.Dataset, p.Policy = fmt.Sprint(name, i), name, name, name
			if i == 1 {
				p.Flags = "throttled"
			}
			ps = append(ps, p)
		}
		failed := ps[0]
		failed.PointResult.Err = name
		policy := ps[2]
		policy.RequestedSMMHz = 0
		ps = append(ps, failed, policy)
		text := everything(t, ps, true)
		if strings.ContainsFunc(text, func(r rune) bool {
			return r != '\n' && unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == 0xfffe
		}) {
			t.Errorf("%q: a control character gets through: %q", name, text)
		}
		var md, sheet bytes.Buffer
		for _, tab := range Study(ps, 0.03) {
			if err := tab.WriteMarkdown(&md, true); err != nil {
				t.Fatal(err)
			}
		}
		for _, bad := range []string{"<script", "<img", "![x]", "x](", "y]("} {
			if strings.Contains(md.String(), bad) {
				t.Errorf("%q in Markdown: %s", name, bad)
			}
		}
		if err := table.WriteCSV(&sheet, Study(ps, 0.03)); err != nil {
			t.Fatal(err)
		}
		rows, err := csv.NewReader(&sheet).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range rows[1:] {
			for i, cell := range row {
				if i < 5 && cell != "" && strings.ContainsAny(cell[:1], "=+-@\t\r") {
					t.Errorf("%q in CSV: %q", name, cell)
				}
			}
		}
	}
}
