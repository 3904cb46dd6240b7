package main

import (
	"fmt"
	"math"
	"os"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/guptarohit/asciigraph"
)

// bare is the plainest dashboard there can be: four asciigraph charts, drawn
// anew ten times a second.
type bare struct {
	n int
	w int
	h int
}

type bareTick struct{}

func tick() tea.Cmd {
	return tea.Tick(100*time.Millisecond, func(time.Time) tea.Msg { return bareTick{} })
}

func (b bare) Init() tea.Cmd { return tick() }

func (b bare) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		b.w, b.h = msg.Width, msg.Height
	case bareTick:
		b.n++
		return b, tick()
	case tea.KeyPressMsg:
		return b, tea.Quit
	}
	return b, nil
}

func (b bare) View() tea.View {
	var parts []string
	for k := range 4 {
		series := make([]float64, max(b.w-12, 10))
		for i := range series {
			series[i] = 400 + 200*math.Sin(float64(i+b.n)/float64(7+3*k)) + float64((i*7919+b.n)%50)
		}
		parts = append(parts, asciigraph.Plot(series, asciigraph.Height(max(b.h/4-2, 2)), asciigraph.SeriesColors(asciigraph.Blue)))
	}
	v := tea.NewView(strings.Join(parts, "\n"))
	v.AltScreen = true
	return v
}

func runBare() {
	if _, err := tea.NewProgram(bare{}, tea.WithFPS(10)).Run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
