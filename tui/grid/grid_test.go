package grid

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"jouletop/tui/canvas"
	"jouletop/tui/draw"
)

type row struct {
	n    int
	name string
	j    float64
}

func columns() []draw.Column[row] {
	cols := []draw.Column[row]{
		{Title: "name", Width: -8, Text: func(r row) string { return r.name }},
		{Title: "energy", Unit: "J", Width: 8, Text: func(r row) string { return draw.Float(r.j, 1) }, Num: func(r row) float64 { return r.j }},
	}
	for i := range 6 {
		cols = append(cols, draw.Column[row]{Title: fmt.Sprint("c", i), Width: 10, Text: func(r row) string { return fmt.Sprint("v", i, ".", r.n) }})
	}
	return cols
}

// rowsOf are rows first to first+n-1; every seventh energy is unknown.
func rowsOf(first, n int) Rows[row] {
	return Rows[row]{First: first, Len: n, Version: uint64(1000*first + n), At: func(i int) row {
		if i < first || i >= first+n {
			panic(fmt.Sprintf("row %d of %d to %d", i, first, first+n-1))
		}
		r := row{i, fmt.Sprintf("%s%d", []string{"Llama", "qwen"}[i%2], i), float64(i * 37 % 101)}
		if i%7 == 0 {
			r.j = math.NaN()
		}
		return r
	}}
}

// testGrid shows rows on a frame of w × h.
type testGrid struct {
	Grid[row]
	f    *draw.Frame
	w, h int
}

func newGrid(w, h int) *testGrid {
	g := &testGrid{f: draw.NewFrame(), w: w, h: h}
	g.Columns = columns()
	return g
}

func (g *testGrid) show(rows Rows[row]) []string {
	g.See(rows)
	g.f.Begin(g.w, g.h)
	g.Draw(g.f, "g", canvas.Rect{W: g.w, H: g.h}, Look[row]{Title: "Things", Empty: "nothing"})
	g.f.End()
	return strings.Split(g.f.Plain(), "\n")
}

func (g *testGrid) press(keys ...string) {
	named := map[string]rune{"up": tea.KeyUp, "down": tea.KeyDown, "pgup": tea.KeyPgUp, "pgdown": tea.KeyPgDown, "home": tea.KeyHome, "end": tea.KeyEnd, "left": tea.KeyLeft, "right": tea.KeyRight, "enter": tea.KeyEnter, "esc": tea.KeyEscape}
	for _, k := range keys {
		if code, ok := named[k]; ok {
			g.Key(tea.KeyPressMsg{Code: code})
			continue
		}
		g.Key(tea.KeyPressMsg(tea.Key{Code: []rune(k)[0], Text: k}))
	}
}

func (g *testGrid) chosen(t *testing.T, want int) {
	t.Helper()
	if r, ok := g.Chosen(); !ok || r.n != want {
		t.Errorf("row %d is chosen, want %d", r.n, want)
	}
}

// The newest row stands first and stays so until another is chosen; a chosen one stays
// where it is on the screen while rows arrive, and until it is gone.
func TestPlacesAreKept(t *testing.T) {
	g := newGrid(60, 13) // ten rows
	g.show(rowsOf(0, 100))
	g.chosen(t, 99)
	g.show(rowsOf(0, 105))
	g.chosen(t, 104)
	g.press("down", "down", "down")
	g.chosen(t, 101)
	before := g.show(rowsOf(0, 105))
	after := g.show(rowsOf(0, 150))
	g.chosen(t, 101)
	if before[6] != after[6] || !strings.Contains(after[6], "qwen101") {
		t.Errorf("was %q, is %q", before[6], after[6])
	}
	g.press("end")
	g.chosen(t, 0)
	if s := g.show(rowsOf(0, 150)); !strings.Contains(s[12], "Llama0") || !strings.Contains(s[0], "150 of 150") {
		t.Errorf("at the end:\n%s", strings.Join(s, "\n"))
	}
	g.show(rowsOf(50, 150)) // the chosen one is gone
	g.chosen(t, 50)
	g.press("pgup")
	g.chosen(t, 59)
	g.press("home")
	g.chosen(t, 199)
	g.show(rowsOf(50, 160))
	g.chosen(t, 209) // following again
	g.Wheel(4)
	g.chosen(t, 205)
	if s := g.show(rowsOf(0, 0)); !strings.Contains(strings.Join(s, ""), "nothing") {
		t.Error("no word where there are no rows")
	}
	if _, ok := g.Chosen(); ok {
		t.Error("a row of none")
	}
}

// Columns scroll beside the first, sort both ways with what is unknown last, and a click
// on a title sorts too.
func TestColumns(t *testing.T) {
	g := newGrid(44, 13)
	g.show(rowsOf(0, 100))
	g.press("right", "o")
	s := g.show(rowsOf(0, 100))
	first, _ := g.Chosen()
	if first.j != 100 || !strings.Contains(s[1], "energy▾") {
		t.Errorf("first %+v:\n%s", first, strings.Join(s, "\n"))
	}
	g.press("end")
	if last, _ := g.Chosen(); !math.IsNaN(last.j) {
		t.Errorf("last is %+v, want an unknown one", last)
	}
	g.press("o")
	g.show(rowsOf(0, 100))
	if first, _ = g.Chosen(); !(first.j <= 1) {
		t.Errorf("the other way round %+v is first", first)
	}
	g.press("o")
	g.show(rowsOf(0, 100))
	g.chosen(t, 99)
	g.press("right", "right", "right", "right", "right", "right", "right")
	if s = g.show(rowsOf(0, 100)); !strings.Contains(s[1], "name") || !strings.Contains(s[1], "c5") || strings.Contains(s[1], "energy") {
		t.Errorf("scrolled:\n%s", strings.Join(s, "\n"))
	}
	g.press("left", "left", "left", "left", "left", "left", "left", "left")
	if s = g.show(rowsOf(0, 100)); !strings.Contains(s[1], "energy") {
		t.Errorf("scrolled back:\n%s", strings.Join(s, "\n"))
	}
	if !g.f.Click(strings.Index(s[1], "energy"), 1) {
		t.Fatal("titles cannot be clicked")
	}
	g.show(rowsOf(0, 100))
	if first, _ = g.Chosen(); first.j != 100 {
		t.Errorf("a click sorted %+v first", first)
	}
	g.f.Click(5, 6)
	if r, _ := g.Chosen(); r.j >= 100 || r.j < 90 {
		t.Errorf("a click chose %+v", r)
	}
}

// A filter leaves the rows that have each word in a column of text, as it is typed, and
// while rows come; Esc shows all again.
func TestFilter(t *testing.T) {
	g := newGrid(60, 13)
	g.show(rowsOf(0, 100))
	g.press("/")
	for _, r := range "LLAMA 8" {
		g.press(string(r))
	}
	s := g.show(rowsOf(0, 100))
	if n := g.count(); n != 14 || !strings.Contains(s[0], "/LLAMA 8") || !strings.Contains(s[0], "1 of 14 (100 in all)") { // 8, 18, … 98, 80, 82, … 88
		t.Errorf("%d rows:\n%s", n, strings.Join(s, "\n"))
	}
	g.chosen(t, 98)
	if !g.Greedy(tea.KeyPressMsg(tea.Key{Code: 'q', Text: "q"})) {
		t.Error("q would quit while a filter is typed")
	}
	g.press("enter", "down")
	g.took = 0
	g.show(rowsOf(0, 120))
	g.chosen(t, 88)
	if g.count() != 16 {
		t.Errorf("%d rows once more have come", g.count())
	}
	g.press("/", "x")
	if s = g.show(rowsOf(0, 120)); !strings.Contains(strings.Join(s, ""), "no row has LLAMA 8x in it") {
		t.Errorf("\n%s", strings.Join(s, "\n"))
	}
	g.press("esc")
	g.show(rowsOf(0, 120))
	g.chosen(t, 119)
}

// A row is copied with its titles, whole, in tabs.
func TestText(t *testing.T) {
	g := newGrid(60, 13)
	g.show(rowsOf(0, 10))
	if want := "name\tenergy J\tc0\tc1\tc2\tc3\tc4\tc5\nqwen9\t30.0\tv0.9\tv1.9\tv2.9\tv3.9\tv4.9\tv5.9\n"; g.Text() != want {
		t.Errorf("%q", g.Text())
	}
	if p := g.Pairs(); len(p) != 8 || p[1] != [2]string{"energy J", "30.0"} {
		t.Errorf("%v", p)
	}
	if ask, taken := g.Key(tea.KeyPressMsg{Code: tea.KeyEnter}); ask != Details || !taken {
		t.Error("Enter asks for no details")
	}
}

// Rows that stay as they came are listed, sorted and filtered, as if the list were made
// anew with each that comes and goes.
func TestFixedRowsAreListedAsIfAnew(t *testing.T) {
	for _, keys := range [][]string{{"right", "o"}, {"right", "o", "o"}, {"o"}, {"/", "1", "enter"}, {"/", "q", "1", "enter", "right", "o"}} {
		g := newGrid(60, 13)
		first, last := 0, 0
		rows := func(fixed bool) Rows[row] {
			r := rowsOf(first, last-first)
			r.Fixed = fixed
			return r
		}
		last = 100
		g.show(rows(true))
		g.press(keys...)
		for i := range 200 {
			last += i % 4
			if i%10 == 9 {
				first += 3
			}
			g.show(rows(true))
			anew := newGrid(60, 13)
			anew.show(rows(false))
			anew.press(keys...)
			anew.took = 0
			anew.show(rows(false))
			if !slices.Equal(g.order, anew.order) {
				t.Fatalf("%v, rows %d to %d: listed %v, anew %v", keys, first, last-1, g.order, anew.order)
			}
		}
	}
}

// Frames with 50,000 rows cost what their rows on the screen do; sorted or filtered, and
// little more where rows stay as they came, at most a twentieth of the time more where not,
// however fast rows come.
func BenchmarkFifty(b *testing.B) {
	for name, keys := range map[string][]string{"plain": nil, "sorted": {"right", "o"}, "filtered": {"/", "1", "enter"}} {
		for _, fixed := range []bool{false, true} {
			b.Run(fmt.Sprintf("%s,fixed=%v", name, fixed), func(b *testing.B) {
				g := newGrid(200, 50)
				rows := func(n int) Rows[row] {
					r := rowsOf(0, n)
					r.Fixed = fixed
					return r
				}
				n := 50_000
				g.show(rows(n))
				g.press(keys...)
				for b.Loop() {
					n++
					g.show(rows(n))
				}
			})
		}
	}
}

// Where rows are gone the list is made anew at once, however dear that was just before.
func TestRowsThatGo(t *testing.T) {
	all := []int{30, 10, 20}
	g := Grid[int]{Columns: []draw.Column[int]{{Title: "n", Width: 4, Text: draw.Int, Num: func(n int) float64 { return float64(n) }}}}
	see := func(version uint64) {
		g.See(Rows[int]{Len: len(all), Version: version, At: func(n int) int { return all[n] }})
	}
	see(1)
	g.SortBy(0)
	see(1)
	g.took = time.Hour
	all = all[:1]
	see(2)
	if g.count() != 1 || g.number(0) != 0 {
		t.Errorf("%d rows are listed, the first number %d", g.count(), g.number(0))
	}
}

// Esc puts a table back as it was at first, sorted where it was, and then is the page's.
func TestEscKeepsTheUsualOrder(t *testing.T) {
	all := []int{20, 30, 10}
	g := Grid[int]{Columns: []draw.Column[int]{{Title: "n", Width: 4, Text: draw.Int, Num: func(n int) float64 { return float64(n) }}}}
	see := func() { g.See(Rows[int]{Len: len(all), Version: 1, At: func(n int) int { return all[n] }}) }
	see()
	g.StartSortedBy(0)
	first := func(want int) {
		t.Helper()
		if see(); all[g.number(0)] != want {
			t.Errorf("%d stands first, want %d", all[g.number(0)], want)
		}
	}
	esc := tea.KeyPressMsg{Code: tea.KeyEscape}
	first(30)
	if see(); g.Greedy(esc) {
		t.Error("takes Esc, with nothing to put back")
	}
	for sorts, want := range []int{30, 10, 10} { // not; the least first; as they came
		for range sorts {
			g.SortBy(0)
		}
		first(want)
		if sorts > 0 {
			if !g.Greedy(esc) {
				t.Errorf("sorted %d times: Esc is not taken", sorts)
			}
			g.Key(esc)
		}
		first(30)
	}
}
