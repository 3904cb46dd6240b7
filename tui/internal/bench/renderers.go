package main

import (
	"fmt"
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
	texts, cells, changed := make([]string, n), make([]*canvas.Canvas, n), make([]*canvas.Marks, n)
	d := after(s, time.Minute)
	for i := range n {
		d.model.Apply(d.next(100 * time.Millisecond)...)
		texts[i] = d.model.View().Content
		c := d.model.Canvas()
		cells[i] = canvas.New(c.W, c.H, canvas.Palette{})
		cells[i].Copy(0, 0, c, nil)
		changed[i] = d.model.Frame.Changed().Clone()
	}
	// In turns, so that what slows the machine for a while slows both, and less what the
	// process takes while it shows nothing.
	at := 0
	pace := func(show func(i int)) float64 {
		start := processTime()
		for range n / rounds {
			show(at % n)
			at++
			time.Sleep(20 * time.Millisecond)
		}
		return float64(processTime()-start) / 1e6 / (n / rounds)
	}
	var out, painted counted
	p := tea.NewProgram(&shown{}, tea.WithInput(nil), tea.WithOutput(&out), tea.WithFPS(120), tea.WithWindowSize(200, 60), tea.WithoutSignals())
	done := make(chan struct{})
	go func() {
		_, _ = p.Run()
		close(done)
	}()
	t, err := screen.Open(nil, &painted)
	if err != nil {
		row("the painter", err.Error(), "", false)
		return
	}
	time.Sleep(200 * time.Millisecond)
	var own, paint, share []float64
	for range rounds {
		idle := pace(func(int) {})
		at -= n / rounds
		o := pace(func(i int) { p.Send(picture(texts[i])) }) - idle
		at -= n / rounds
		q := pace(func(i int) { t.Present(cells[i], changed[i], "jouletop") }) - idle
		own, paint, share = append(own, o), append(paint, q), append(share, 100*q/o)
	}
	p.Quit()
	<-done
	t.Close()
	ms := func(of []float64) string { m := intervalOf(of); return fmt.Sprintf("%.2f ±%.2f ms", m.mean, m.half) }
	note("a frame through Bubble Tea's renderer, CPU time", ms(own), fmt.Sprintf("%d bytes a frame", out.n/n))
	note("the same frame through the painter", ms(paint), fmt.Sprintf("%d bytes a frame", painted.n/n))
	of := intervalOf(share)
	row("the painter against Bubble Tea's renderer", fmt.Sprintf("%.0f ±%.0f %%", of.mean, of.half), "50 %", of.mean-of.half < painterLimit)
}

// rounds are how often the two renderers take turns.
const rounds = 6
