package canvas_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"jouletop/tui/canvas"
)

// Marks are the cells that were marked, whatever the width.
func TestMarks(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, w := range []int{1, 63, 64, 65, 200} {
		var m canvas.Marks
		m.Reset(w, 2)
		want := map[int]bool{}
		for range 100 {
			x := r.IntN(w)
			want[x] = r.IntN(2) == 0
			m.Put(x, 1, want[x])
		}
		var got, marked []int
		m.Each(1, func(x int) { got = append(got, x) })
		for x := range w {
			if m.Has(x, 1) != want[x] {
				t.Errorf("width %d: column %d is %v", w, x, m.Has(x, 1))
			}
			if want[x] {
				marked = append(marked, x)
			}
		}
		if !slices.Equal(got, marked) || m.Any(0) || m.Any(1) != (len(marked) > 0) {
			t.Errorf("width %d: %v, want %v", w, got, marked)
		}
		m.Set(-3, w+3, 0)
		m.Set(0, w, 5)
		if !m.Any(0) || !m.Has(w-1, 0) {
			t.Errorf("width %d: not all of a row are marked", w)
		}
		m.Reset(w, 2)
		if m.Any(0) || m.Any(1) {
			t.Errorf("width %d: marked after a reset", w)
		}
	}
}

// What a copy changes is marked: every cell that looks otherwise than before, also where
// wide characters are cut, and little else.
func TestCopyMarksWhatItChanges(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	letters := []string{"a", "b", "漢", " ", "é"}
	random := func(w, h int) *canvas.Canvas {
		c := canvas.New(w, h, numbered)
		for y := range h {
			for x := 0; x < w; {
				x = c.Text(x, y, canvas.Style(r.IntN(3)), letters[r.IntN(len(letters))])
			}
		}
		return c
	}
	dst, marked := random(20, 3), 0
	for range 500 {
		before := canvas.New(20, 3, numbered)
		before.Copy(0, 0, dst, nil)
		var m canvas.Marks
		m.Reset(20, 3)
		src := random(1+r.IntN(8), 1+r.IntN(3))
		dst.Copy(r.IntN(24)-4, r.IntN(4)-1, src, &m)
		for y := range 3 {
			for x := range 20 {
				if before.At(x, y) != dst.At(x, y) && !m.Has(x, y) {
					t.Fatalf("column %d of row %d was %+v, is %+v, and is not marked", x, y, before.At(x, y), dst.At(x, y))
				}
			}
			m.Each(y, func(int) { marked++ })
		}
	}
	var m canvas.Marks
	m.Reset(20, 3)
	plain := canvas.New(20, 3, numbered)
	plain.Copy(0, 0, canvas.New(20, 3, numbered), &m)
	if marked == 0 || m.Any(0) || m.Any(1) || m.Any(2) {
		t.Error("the same again is marked")
	}
}
