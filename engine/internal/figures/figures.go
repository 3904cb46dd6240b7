// Package figures is what the benches print: figures beside their targets, each with a
// verdict, and how two ways of doing a thing compare.
package figures

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"gonum.org/v1/gonum/stat"

	"jouletop/engine/analysis/curve"
)

// Sheet prints figures.
type Sheet struct {
	Out   io.Writer
	Short bool // some figure missed its target
}

// Head prints what the columns are.
func (s *Sheet) Head() {
	fmt.Fprintf(s.Out, "%-52s %10s %-6s %8s    %-8s\n", "figure", "measured", "", "from", "to")
}

// Check prints a figure, and whether it lies from lo to hi.
func (s *Sheet) Check(what string, got float64, unit string, lo, hi float64) {
	verdict := "ok"
	if !(got >= lo && got <= hi) {
		verdict, s.Short = "SHORT", true
	}
	fmt.Fprintf(s.Out, "%-52s %10.5g %-6s %8.5g .. %-8.5g %s\n", what, got, unit, lo, hi, verdict)
}

// Of is the main of a bench of the program whose path it is given: it ends with 1 where
// do fails or a figure is short. dir is a folder to work in.
func Of(bench string, do func(s *Sheet, program, dir string) error) {
	if len(os.Args) != 2 {
		fmt.Fprintf(os.Stderr, "usage: %s JOULETOP\n", bench)
		os.Exit(2)
	}
	s := &Sheet{Out: os.Stdout}
	program, err := filepath.Abs(os.Args[1])
	if err == nil {
		var dir string
		if dir, err = os.MkdirTemp("", bench); err == nil {
			s.Head()
			err = do(s, program, dir)
			_ = os.RemoveAll(dir)
		}
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", bench, err)
	}
	if err != nil || s.Short {
		os.Exit(1)
	}
}

// Took is what a command took.
type Took struct {
	WallS, CPUS float64
	PeakMB      float64 // of resident memory
}

// Run runs a program and returns what it printed and took; an error has what it said.
func Run(program string, args ...string) ([]byte, Took, error) {
	cmd := exec.Command(program, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	start := time.Now()
	err := cmd.Run()
	t := Took{WallS: time.Since(start).Seconds()}
	if p := cmd.ProcessState; p != nil {
		t.CPUS = (p.UserTime() + p.SystemTime()).Seconds()
		t.PeakMB = float64(p.SysUsage().(*syscall.Rusage).Maxrss) / 1e3
	}
	if err != nil {
		err = fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, stderr.Bytes())
	}
	return stdout.Bytes(), t, err
}

// PairedRatio is the mean of y/x over rounds, each run side by side, with the
// half-width of its 95 % interval (Student's t, of the ratios' logarithms): a
// machine that is slower for a while is so for both, and what is left of luck is
// in the interval.
func PairedRatio(x, y []float64) (ratio, half float64) {
	logs := make([]float64, len(x))
	for i := range x {
		logs[i] = math.Log(y[i] / x[i])
	}
	mean, std := stat.MeanStdDev(logs, nil)
	n := float64(len(logs))
	ratio = math.Exp(mean)
	return ratio, ratio * curve.StudentT(n-1) * std / math.Sqrt(n)
}

// MedianRatio is the median of y/x over rounds, with a 95 % interval by order
// statistics: a busy machine makes it wide, not wrong.
func MedianRatio(x, y []float64) (ratio, low, high float64) {
	pairs := make([]float64, len(x))
	for i := range x {
		pairs[i] = y[i] / x[i]
	}
	half := 0.98 / math.Sqrt(float64(len(pairs)))
	return Quantile(pairs, 0.5), Quantile(pairs, max(0, 0.5-half)), Quantile(pairs, min(1, 0.5+half))
}

// Quantile is a value of x, the median for 0.5.
func Quantile(x []float64, q float64) float64 {
	s := slices.Sorted(slices.Values(x))
	return s[int(q*float64(len(s)-1)+0.5)]
}
