package canvas

import "math/bits"

// Marks tells some cells of a grid from the others. The zero value is of a grid without
// cells.
type Marks struct {
	W, H  int
	words int // of a row
	bits  []uint64
}

// Reset makes the grid w × h, with no cell marked.
func (m *Marks) Reset(w, h int) {
	words := (w + 63) / 64
	if n := words * h; cap(m.bits) < n {
		m.bits = make([]uint64, n)
	} else {
		m.bits = m.bits[:n]
		clear(m.bits)
	}
	m.W, m.H, m.words = w, h, words
}

func (m *Marks) row(y int) []uint64 { return m.bits[y*m.words : (y+1)*m.words] }

// Set marks the columns from to to-1 of row y, as far as there are such.
func (m *Marks) Set(from, to, y int) {
	if y < 0 || y >= m.H {
		return
	}
	row := m.row(y)
	for x := max(from, 0); x < min(to, m.W); x++ {
		row[x/64] |= 1 << (x % 64)
	}
}

// Put marks the cell x, y of the grid, or takes its mark away.
func (m *Marks) Put(x, y int, on bool) {
	w := &m.row(y)[x/64]
	if *w &^= 1 << (x % 64); on {
		*w |= 1 << (x % 64)
	}
}

// All marks every cell.
func (m *Marks) All() {
	for y := range m.H {
		m.Set(0, m.W, y)
	}
}

// Has tells whether the cell x, y of the grid is marked.
func (m *Marks) Has(x, y int) bool { return m.row(y)[x/64]&(1<<(x%64)) != 0 }

// Any tells whether a cell of row y is.
func (m *Marks) Any(y int) bool {
	for _, w := range m.row(y) {
		if w != 0 {
			return true
		}
	}
	return false
}

// Each calls do with the column of each marked cell of row y, from the left; it may take
// that mark away.
func (m *Marks) Each(y int, do func(x int)) {
	for i, w := range m.row(y) {
		for ; w != 0; w &= w - 1 {
			do(64*i + bits.TrailingZeros64(w))
		}
	}
}

// Clone returns a copy.
func (m *Marks) Clone() *Marks {
	n := *m
	n.bits = append([]uint64(nil), m.bits...)
	return &n
}
