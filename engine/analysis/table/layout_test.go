package table

import (
	"math"
	"strings"
	"testing"

	"github.com/rivo/uniseg"

	"jouletop/engine/analysis/curve"
)

func sample() Table {
	t := Table{Title: "Energy per token of everything that was measured, at every clock", ID: "X", Simulated: true,
		Columns: []string{"model", "dataset", "SM clock MHz", "energy J", "latency s", "J/token", "flags"}, Notes: []string{strings.Repeat("a note of many words ", 8)}}
	for i, model := range []string{"llama-3.2-1b", "a-model-with-a-very-long-name-that-fills-a-line-of-a-terminal:Q4_K_M", "模型模型模型模型模型模型模型模型"} {
		for _, clock := range []float64{345, 1980} {
			t.Rows = append(t.Rows, []Cell{Word(model), Word("boolq"), Num(clock, 0), Num(1.5+float64(i), 4), Num(.25, 4), Num(.125, 4), Word("clock-lost+energy-unresolved+readings-gap+sensors-disagree")})
		}
	}
	return t
}

// Nothing is wider than the page, nothing is lost, and each part begins with what tells
// the rows apart.
func TestNoLineIsWiderThanThePage(t *testing.T) {
	for columns := leastColumns; columns <= 220; columns++ {
		var b strings.Builder
		if err := sample().WriteText(Page{&b, columns}, false); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(b.String()) {
			if n := uniseg.StringWidth(strings.TrimSuffix(line, "\n")); n > columns {
				t.Fatalf("on %d columns a line of %d: %q\n%s", columns, n, line, b.String())
			}
		}
		for _, once := range []string{"energy", "latency", "J/token", "SIMULATED"} {
			if !strings.Contains(b.String(), once) {
				t.Errorf("%d columns: no %q", columns, once)
			}
		}
		letters := func(s string) int {
			return strings.Count(s, "sensors") + strings.Count(s, "2.5000") + strings.Count(s, "3.5000")
		}
		if got := letters(b.String()); got < 6+4 {
			t.Errorf("%d columns: %d of the cells are whole, want %d\n%s", columns, got, 10, b.String())
		}
	}
}

func TestPartsRepeatWhatTellsTheRowsApart(t *testing.T) {
	var b strings.Builder
	rows := [][]string{{"m", "a", "1", "22222222", "33333333"}, {"m", "b", "1", "22222222", "33333333"}}
	if err := WriteGrid(Page{&b, 24}, []string{"k", "l", "n", "second", "third"}, rows); err != nil {
		t.Fatal(err)
	}
	const want = `  k  l  n    second
  m  a  1  22222222
  m  b  1  22222222

  k  l     third
  m  a  33333333
  m  b  33333333
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
	b.Reset()
	if err := WriteGrid(&b, []string{"k", "l", "n", "second", "third"}, rows); err != nil || strings.Count(b.String(), "\n") != 3 {
		t.Errorf("without a width: %v\n%s", err, b.String())
	}
}

func TestCellsBreakWhereWordsJoin(t *testing.T) {
	for _, c := range []struct {
		text  string
		width int
		want  string
	}{
		{"clock-lost+throttled", 12, "clock-lost+|throttled"}, {"abcdefgh", 3, "abc|def|gh"}, {"short", 9, "short"}, {"a b c", 3, "a b|c"}, {"模型模", 3, "模|型|模"}, {"x", 0, "x"},
	} {
		if got := strings.Join(wrapCell(c.text, c.width), "|"); got != c.want {
			t.Errorf("%q in %d: %q, want %q", c.text, c.width, got, c.want)
		}
	}
}

func TestLinesAreWrapped(t *testing.T) {
	var b strings.Builder
	if err := WriteLines(Page{&b, 20}, "one two three four five six\nshort\n"); err != nil {
		t.Fatal(err)
	}
	if want := "one two three four\nfive six\nshort\n"; b.String() != want {
		t.Errorf("%q", b.String())
	}
}

// An interval too small for a cell's decimals makes it a finer one, and is never shown as
// none.
func TestSmallIntervalsAreShown(t *testing.T) {
	for want, s := range map[string]curve.Stat{
		"41.2 ±0.3": {Mean: 41.21, Half: 0.3}, "41.21 ±0.03": {Mean: 41.212, Half: 0.03}, "41.212 ±0.004": {Mean: 41.2123, Half: 0.004},
		"41.212 ±0.000": {Mean: 41.2123, Half: 1e-9}, "41.2": {Mean: 41.21, Half: math.NaN()}, "0.0 ±0.0": {},
	} {
		if got := WithError(s, 1).String(); got != want {
			t.Errorf("%+v is %q, want %q", s, got, want)
		}
	}
}
