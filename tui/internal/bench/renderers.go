package main

import (
	"fmt"
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"
	"golang.org/x/sys/unix"

	"jouletop/tui/canvas"
	"jouletop/tui/internal/recorded"
	"jouletop/tui/screen"
)

// picture is a frame to show.
type picture string

// shown shows the pictures that it is sent, through Bubble Tea's renderer.
type shown struct{ text string }

func (s *shown) Init() tea.Cmd { return nil }

func (s *shown) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	if p, ok := msg.(picture); ok {
		s.text = string(p)
	}
	return s, nil
}

func (s *shown) View() tea.View {
	v := tea.NewView(s.text)
	v.AltScreen = true
	return v
}

// counted counts what is written.
type counted struct{ n int64 }

func (c *counted) Write(b []byte) (int, error) {
	c.n += int64(len(b))
	return len(b), nil
}

// processTime is the CPU time that this process has taken.
func processTime() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		panic(err) // every Linux has it
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// renderers compares what it costs to bring the same frames to the terminal: by
// Bubble Tea's renderer and by the painter.
func renderers(s *recorded.Session) {
	const n = 300
	texts, cells, changed := make([]string, n), make([]*canvas.Canvas, n), make([][]canvas.Span, n)
	d := after(s, time.Minute)
	for i := range n {
		d.model.Apply(d.next(100 * time.Millisecond)...)
		texts[i] = d.model.View().Content
		c := d.model.Canvas()
		cells[i] = canvas.New(c.W, c.H, canvas.Palette{})
		cells[i].Copy(0, 0, c)
		changed[i] = slices.Clone(d.model.Frame.Changed())
	}
	pace := func(show func(i int)) time.Duration {
		time.Sleep(200 * time.Millisecond)
		start := processTime()
		for i := range n {
			show(i)
			time.Sleep(20 * time.Millisecond)
		}
		return (processTime() - start) / n
	}
	var out, painted counted
	p := tea.NewProgram(&shown{}, tea.WithInput(nil), tea.WithOutput(&out), tea.WithFPS(120), tea.WithWindowSize(200, 60), tea.WithoutSignals())
	done := make(chan struct{})
	go func() {
		_, _ = p.Run()
		close(done)
	}()
	idle := pace(func(int) {})
	own := pace(func(i int) { p.Send(picture(texts[i])) }) - idle
	p.Quit()
	<-done
	t, err := screen.Open(nil, &painted)
	if err != nil {
		note("the painter", "-", err.Error())
		return
	}
	paint := pace(func(i int) { t.Present(cells[i], changed[i], "jouletop") })
	t.Close()
	ms := func(d time.Duration) string { return fmt.Sprintf("%.2f ms", float64(d)/1e6) }
	note("a frame through Bubble Tea's renderer, CPU time", ms(own), fmt.Sprintf("%d bytes a frame", out.n/n))
	note("the same frame through the painter", ms(paint), fmt.Sprintf("%d bytes a frame", painted.n/n))
}
