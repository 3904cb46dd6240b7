package report

import (
	"fmt"
	"io"
	"math"
	"strings"

	"jouletop/engine/analysis/answers"
	"jouletop/engine/analysis/curve"
	"jouletop/engine/analysis/table"
	"jouletop/engine/event"
	"jouletop/engine/session"
	"jouletop/gpu/host"
	"jouletop/gpu/plaintext"
)

// Command is what a watched command came to: its tests, if it told of some, and as a
// whole, with the host beside the GPU.
func Command(s *session.Session) (t table.Table, ok bool, err error) {
	c := s.Manifest.Command
	if c == nil || c.EndNS <= c.StartNS {
		return t, false, nil
	}
	t = table.Table{ID: "command", Title: "energy of a command", Simulated: s.Manifest.Simulated, Columns: []string{
		"what", "s", "tokens read", "generated", "J", "W", "J/token", "J/token, read too",
	}}
	row := func(what string, seconds, input, output float64, j curve.Stat, perToken bool) {
		per := func(tokens float64) table.Cell {
			if !(tokens > 0) || !perToken {
				return table.Word("–")
			}
			return rounded(curve.Stat{Mean: j.Mean / tokens, Half: j.Half / tokens})
		}
		t.Rows = append(t.Rows, []table.Cell{
			table.Word(what), rounded(curve.Stat{Mean: seconds, Half: math.NaN()}), counted(input), counted(output), rounded(j),
			rounded(curve.Stat{Mean: j.Mean / seconds, Half: j.Half / seconds}), per(event.CountedTokens(input, output)), per(input + output),
		})
	}
	points, err := answers.Points(s)
	if err != nil {
		return t, false, err
	}
	tests := 0
	for _, p := range points {
		n := float64(p.Queries)
		if p.PointID == "watch" { // all that is no test's
			continue
		}
		tests++
		row(p.Dataset+flagNote(p.Flags), n*p.LatencyS, n*p.InputTokens, n*p.OutputTokens, curve.Stat{Mean: n * p.EnergyJ, Half: n * p.EnergyErrJ}, true)
	}
	seconds := float64(c.EndNS-c.StartNS) / 1e9
	input, output := math.NaN(), math.NaN()
	if c.InputTokens != nil && c.OutputTokens != nil {
		input, output = float64(*c.InputTokens), float64(*c.OutputTokens)
	}
	known := func(x *float64) float64 {
		if x == nil {
			return math.NaN()
		}
		return *x
	}
	whole := curve.Stat{Mean: known(c.EnergyJ), Half: known(c.EnergyErrJ)}
	row(wholeCommand, seconds, input, output, whole, tests == 0)
	net := curve.Stat{Mean: known(c.NetEnergyJ), Half: known(c.NetErrJ)}
	row("idle part", seconds, math.NaN(), math.NaN(), curve.Stat{Mean: whole.Mean - net.Mean, Half: math.NaN()}, false)
	row("above idle", seconds, input, output, net, tests == 0)
	h, some, err := HostEnergyOf(s)
	if err != nil {
		return t, false, err
	}
	if some {
		if sum, _, ok := host.Total(h.Sources, h.Of); ok {
			row("host beside", h.Seconds(), input, output, curve.Stat{Mean: sum.Joules, Half: sum.ErrJ}, tests == 0 && sum.Known())
		}
	}
	t.Notes = []string{
		fmt.Sprintf("%s: %s.", c.Line(), c.Ended),
		"J/token is per generated token, or per token read where none is generated; \"read too\" counts those read as well. ± is half of a 95 % interval. The idle part is what the GPU drew before the command, for as long.",
	}
	switch {
	case tests > 0:
		t.Notes = append(t.Notes, "A test is its runs alone; loading, warming up and all else is in the whole command.")
	case c.InputTokens == nil:
		t.Notes = append(t.Notes, "Its output names no tokens that are understood.")
	default:
		t.Notes = append(t.Notes, "Tokens by "+c.TokensFrom+", over all that the command did, starting and ending too.")
	}
	return t, true, nil
}

// wholeCommand names the row of all that a command did.
const wholeCommand = "whole command"

// counted is a number of tokens.
func counted(tokens float64) table.Cell {
	if math.IsNaN(tokens) {
		return table.Word("–")
	}
	return table.Num(tokens, 0)
}

// flagNote is flags behind a name.
func flagNote(f event.Flags) string {
	if f == "" {
		return ""
	}
	return " [" + string(f) + "]"
}

// WriteCommand writes what a watched command came to, as text or as JSON.
func WriteCommand(w io.Writer, dir string, asJSON bool) error {
	s, err := session.Open(dir)
	if err != nil {
		return err
	}
	t, ok, err := Command(s)
	if err != nil {
		return err
	}
	var tables []table.Table
	if ok {
		tables = append(tables, t)
	}
	h, some, err := HostEnergyOf(s)
	if err != nil {
		return err
	}
	if some {
		tables = append(tables, h.Table("host energy"))
	}
	if asJSON {
		return table.WriteJSON(w, tables)
	}
	var gpus []string
	for _, g := range s.Manifest.GPUs {
		gpus = append(gpus, g.ID)
	}
	id := plaintext.Line(strings.Join(gpus, " and "))
	if s.Manifest.Simulated {
		id = fmt.Sprintf("SIMULATED on %s: %s", id, s.Manifest.Note)
	} else {
		id = "Measured on " + id
	}
	if err := table.WriteLines(w, id+"\n"); err != nil {
		return err
	}
	for _, t := range tables {
		if err := t.WriteText(w, false); err != nil {
			return err
		}
	}
	return table.WriteLines(w, "session: "+s.Dir+"\n")
}
