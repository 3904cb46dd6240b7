// Package grid is the table that one can go through, the same wherever rows are listed:
// it scrolls both ways, sorts by a column, filters by what is typed, and keeps its place
// while rows arrive. It costs what the rows on the screen cost; sorting and filtering
// look at all rows, and no more often than is cheap.
package grid

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"time"

	"jouletop/tui/draw"
)

// Rows are what a grid lists: rows numbered in the order in which they came.
type Rows[T any] struct {
	First   int    // number of the oldest that is kept
	Len     int    // how many are kept
	Version uint64 // changes whenever a row comes, changes or goes
	Fixed   bool   // a row stays as it came, until it goes
	At      func(n int) T
}

func (r *Rows[T]) last() int { return r.First + r.Len - 1 }

// Grid is where one is in a table. The zero value shows the newest row first.
type Grid[T any] struct {
	Columns []draw.Column[T]

	rows   Rows[T]
	chosen int          // number of the chosen row
	held   bool         // it was chosen: until then the newest is
	first  int          // row of the list shown first
	column int          // the chosen column
	left   int          // the first column beside the fixed one
	height int          // rows there was room for when last drawn
	places []draw.Place // of the columns when last drawn

	sorted int // 1 + the column sorted by, descending where negative; 0: as they came
	usual  int // how it is sorted before anybody sorts it
	filter string
	typing *line
	order  []int  // numbers of the rows listed, where they are sorted or filtered
	ranks  []rank // of them, where they are sorted
	of     listing
	took   time.Duration // to list them
	when   time.Time
	stamp  uint64 // counts changes of what is shown
}

// listing is what order was made of.
type listing struct {
	version uint64
	first   int
	last    int
	sorted  int
	filter  string
	known   bool
}

// See takes the rows as they are now; it is called before keys and drawing.
func (g *Grid[T]) See(rows Rows[T]) {
	at := g.position() - g.first // row of the screen that the chosen one is on
	g.rows = rows
	g.list()
	if !g.held {
		g.first = 0
		return
	}
	g.chosen = min(max(g.chosen, rows.First), max(rows.last(), rows.First))
	g.first = g.position() - at
	g.clamp()
}

// plain tells that rows are listed as they came, the newest first.
func (g *Grid[T]) plain() bool { return g.sorted == 0 && g.filter == "" }

// untouched tells that rows are listed as nobody has asked to have them otherwise.
func (g *Grid[T]) untouched() bool { return g.sorted == g.usual && g.filter == "" }

// count is how many rows are listed.
func (g *Grid[T]) count() int {
	if g.plain() {
		return g.rows.Len
	}
	return len(g.order)
}

// number is that of the row at a place of the list.
func (g *Grid[T]) number(at int) int {
	if g.plain() {
		return g.rows.last() - at
	}
	return g.order[at]
}

// position is the place in the list of the chosen row; of the nearest where it is not
// listed.
func (g *Grid[T]) position() int {
	switch {
	case !g.held:
		return 0
	case g.plain():
		return min(max(g.rows.last()-g.chosen, 0), max(g.rows.Len-1, 0))
	}
	return max(slices.Index(g.order, g.chosen), 0)
}

// share of the time that listing rows anew may take.
const listingShare = 20

// list makes the order, where it is asked for anew, or rows have changed and it was not
// made just now.
func (g *Grid[T]) list() {
	if g.plain() {
		g.order, g.ranks, g.of = nil, nil, listing{}
		return
	}
	now := listing{g.rows.Version, g.rows.First, g.rows.last(), g.sorted, g.filter, true}
	if now == g.of || g.follow(now) {
		return
	}
	same := g.of.known && g.of.sorted == g.sorted && g.of.filter == g.filter && g.of.first == g.rows.First && g.of.last <= g.rows.last()
	began := time.Now()
	if same && began.Sub(g.when) < listingShare*g.took {
		return // a little later will do: the rows listed are still there
	}
	g.match(now)
	g.sort()
	g.of, g.when, g.took = now, began, time.Since(began)
	g.stamp++
}

// match lists the rows that the filter leaves, the newest first.
func (g *Grid[T]) match(now listing) {
	from := g.order
	narrower := g.of.known && g.of.version == now.version && g.of.first == now.first && g.of.filter != "" && strings.HasPrefix(g.filter, g.of.filter)
	if !narrower {
		from = make([]int, g.rows.Len)
		for i := range from {
			from[i] = g.rows.last() - i
		}
	}
	if g.filter == "" {
		g.order = from
		return
	}
	words := strings.Fields(strings.ToLower(g.filter))
	g.order = slices.DeleteFunc(from, func(n int) bool { return !g.has(g.rows.At(n), words) })
}

// has tells whether each of the words stands in a column of text.
func (g *Grid[T]) has(row T, words []string) bool {
	for _, w := range words {
		if !slices.ContainsFunc(g.Columns, func(c draw.Column[T]) bool {
			return c.Num == nil && strings.Contains(strings.ToLower(c.Text(row)), w)
		}) {
			return false
		}
	}
	return true
}

// rank is what a row is sorted by.
type rank struct {
	num  float64
	text string
}

// rank returns what the row of a number is sorted by.
func (g *Grid[T]) rank(n int) rank {
	by, _ := g.sortedBy()
	if c := g.Columns[by]; c.Num != nil {
		return rank{num: c.Num(g.rows.At(n))}
	}
	return rank{text: g.Columns[by].Text(g.rows.At(n))}
}

// compare orders ranks; what is unknown stands last either way.
func (r rank) compare(o rank, down bool) int {
	if rn, on := math.IsNaN(r.num), math.IsNaN(o.num); rn || on {
		return cmp.Compare(b2i(rn), b2i(on))
	}
	d := cmp.Or(cmp.Compare(r.num, o.num), cmp.Compare(r.text, o.text))
	if down {
		d = -d
	}
	return d
}

// sort sorts what is listed.
func (g *Grid[T]) sort() {
	g.ranks = g.ranks[:0]
	if g.sorted == 0 {
		return
	}
	_, down := g.sortedBy()
	type row struct {
		n int
		rank
	}
	rows := make([]row, len(g.order))
	for i, n := range g.order {
		rows[i] = row{n, g.rank(n)}
	}
	slices.SortStableFunc(rows, func(a, b row) int { return a.compare(b.rank, down) })
	for i, r := range rows {
		g.order[i] = r.n
		g.ranks = append(g.ranks, r.rank)
	}
}

// follow puts rows that came since into the list, and takes those out that went, where
// all others are as they were: so the list need not be made anew. It tells whether that
// was so.
func (g *Grid[T]) follow(now listing) bool {
	was := g.of
	was.version, was.first, was.last = now.version, now.first, now.last
	if !g.rows.Fixed || was != now || now.last < g.of.last || now.last-g.of.last > len(g.order)/16 {
		return false
	}
	if now.first > g.of.first {
		kept := 0
		for i, n := range g.order {
			if n < now.first {
				continue
			}
			if g.order[kept] = n; g.sorted != 0 {
				g.ranks[kept] = g.ranks[i]
			}
			kept++
		}
		g.order = g.order[:kept]
		g.ranks = g.ranks[:min(kept, len(g.ranks))]
	}
	words := strings.Fields(strings.ToLower(g.filter))
	for n := g.of.last + 1; n <= now.last; n++ {
		if !g.has(g.rows.At(n), words) {
			continue
		}
		at := 0 // the newest first, among equals too
		if g.sorted != 0 {
			_, down := g.sortedBy()
			r := g.rank(n)
			at, _ = slices.BinarySearchFunc(g.ranks, r, func(a, b rank) int { return a.compare(b, down) })
			g.ranks = slices.Insert(g.ranks, at, r)
		}
		g.order = slices.Insert(g.order, at, n)
	}
	g.of = now
	g.stamp++
	return true
}

func b2i(on bool) int {
	if on {
		return 1
	}
	return 0
}

// sortedBy is the column sorted by, and whether the greatest come first.
func (g *Grid[T]) sortedBy() (column int, down bool) {
	if g.sorted < 0 {
		return -g.sorted - 1, true
	}
	return g.sorted - 1, false
}

// clamp keeps the chosen row on the screen, and the screen within the list.
func (g *Grid[T]) clamp() {
	at, high := g.position(), max(g.height, 1)
	g.first = min(g.first, at)
	g.first = max(g.first, at-high+1)
	g.first = max(min(g.first, g.count()-high), 0)
}

// Chosen is the chosen row; false where there is none.
func (g *Grid[T]) Chosen() (row T, ok bool) {
	if g.count() == 0 {
		return row, false
	}
	return g.rows.At(g.number(g.position())), true
}

// Cursor is the chosen column, and the chosen row; false where there is no row.
func (g *Grid[T]) Cursor() (column int, row T, ok bool) {
	row, ok = g.Chosen()
	return g.column, row, ok
}

// choose chooses the row at a place of the list.
func (g *Grid[T]) choose(at int) {
	if g.count() == 0 {
		return
	}
	at = min(max(at, 0), g.count()-1)
	g.chosen, g.held = g.number(at), true
	if at == 0 && g.plain() {
		g.held = false // the newest again
	}
	g.clamp()
	g.stamp++
}

// Newest goes back to the newest row, sorted as at first and unfiltered.
func (g *Grid[T]) Newest() {
	g.held, g.first, g.sorted, g.filter, g.typing = false, 0, g.usual, "", nil
	g.list()
	g.stamp++
}

// toColumn chooses a column.
func (g *Grid[T]) toColumn(i int) {
	g.column = min(max(i, 0), max(len(g.Columns)-1, 0))
	g.stamp++
}

// StartSortedBy is SortBy, of how it is sorted before anybody sorts it, and again after Esc.
func (g *Grid[T]) StartSortedBy(i int) {
	g.SortBy(i)
	g.usual = g.sorted
}

// SortBy sorts by a column: by numbers the greatest first, by text from A on; the other
// way round where it is sorted so already, and then as the rows came.
func (g *Grid[T]) SortBy(i int) {
	if i < 0 || i >= len(g.Columns) {
		return
	}
	first, second := -(i + 1), i+1
	if g.Columns[i].Num == nil {
		first, second = second, first
	}
	switch g.sorted {
	case first:
		g.sorted = second
	case second:
		g.sorted = 0
	default:
		g.sorted = first
	}
	g.relist()
}

// relist lists the rows in another way, and shows the list from its beginning.
func (g *Grid[T]) relist() {
	g.list()
	g.held, g.first = false, 0
	if !g.plain() && len(g.order) > 0 {
		g.chosen, g.held = g.order[0], true
	}
	g.stamp++
}
