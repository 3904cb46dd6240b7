package draw_test

import (
	"testing"

	"jouletop/tui/canvas"
	"jouletop/tui/draw"
)

type job struct{ model, clock, flags string }

// What finds no room is left out by rank or cut where it can be seen, and what may
// grow takes the room that is left.
func TestTableFits(t *testing.T) {
	jobs := []job{{"llama-3.2-1b", "1980", ""}, {"a-model-of-a-long-name", "1005", "throttled"}, {"m\x1b[31mred\nx", "345", ""}}
	table := draw.Table[job]{Columns: []draw.Column[job]{
		{Title: "model", Width: -12, Grow: true, Text: func(j job) string { return j.model }},
		{Title: "clock", Unit: "MHz", Width: 5, Text: func(j job) string { return j.clock }},
		{Title: "flags", Width: -6, Rank: 1, Grow: true, Text: func(j job) string { return j.flags }},
	}, Rows: len(jobs), At: func(i int) job { return jobs[i] }}
	for _, tt := range []struct {
		w, h, first int
		want        string
	}{
		{40, 5, 0, "model                  clock flags\n                         MHz\nllama-3.2-1b            1980\na-model-of-a-long-name  1005 throttled\nm·[31mred x              345\n"},
		{26, 5, 1, "model         clock flags\n                MHz\na-model-of-a…  1005 throt…\nm·[31mred x     345\n\n"},
		{18, 4, 1, "model        clock\n               MHz\na-model-of-…  1005\nm·[31mred x    345\n"},
		{18, 2, 0, "model        clock\n               MHz\n"},
	} {
		c := canvas.New(tt.w, tt.h, canvas.Palette{})
		table.First = tt.first
		table.Draw(c, canvas.Rect{W: tt.w, H: tt.h})
		if got := c.Plain(); got != tt.want {
			t.Errorf("%d×%d from row %d:\n%swant\n%s", tt.w, tt.h, tt.first, got, tt.want)
		}
	}
}
