// Command benchsweep measures sweeps and reports of the program whose path it is
// given: the study's full matrix simulated and reported, a sweep killed at random
// moments and resumed, and a report over three million samples. It prints
// figures beside their targets and exits with 1 when one falls short.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"gonum.org/v1/gonum/stat"

	"jouletop/engine/event"
	"jouletop/engine/internal/figures"
	"jouletop/engine/session"
	"jouletop/gpu"
)

func main() {
	figures.Of("benchsweep", func(s *figures.Sheet, bin, dir string) error {
		return errors.Join(killing(s, bin, dir), longSession(s, bin, dir), matrix(s, bin, dir))
	})
}

// matrix is the study's: 5 models, 4 datasets, 7 clocks, 3 batch sizes, 3
// repeats, 100 queries a point.
func matrix(sheet *figures.Sheet, bin, dir string) error {
	s := filepath.Join(dir, "matrix")
	args := []string{"sweep", "--gpu", "sim:rtx-pro-6000", "--clocks", "paper", "--batch", "1,4,8", "--repeats", "3", "--queries", "100",
		"--sim-speed", "max", "--samples", "thin", "--session", s}
	for _, m := range []string{"llama-3.2-1b", "llama-3.2-3b", "llama-3.1-8b", "qwen2.5-14b", "qwen2.5-32b"} {
		args = append(args, "--model", m)
	}
	_, took, err := figures.Run(bin, args...)
	if err != nil {
		return err
	}
	sheet.Check("matrix of 1,260 points x 100 queries, wall time", took.WallS, "s", 0, 60)
	sheet.Check("matrix, peak memory", took.PeakMB, "MB", 0, 300)
	points, priced := 0, 0
	ses, err := session.Open(s)
	if err == nil {
		err = ses.Points(func(p *event.PointDone) error {
			points++
			if !math.IsNaN(p.EnergyJ) {
				priced++
			}
			return nil
		})
	}
	if err != nil {
		return err
	}
	sheet.Check("matrix, points recorded", float64(points), "", 1260, 1260)
	sheet.Check("matrix, points with an energy", float64(priced), "", 1260, 1260)

	out, _, err := figures.Run(bin, "report", s, "--paper", "--format", "json")
	if err != nil {
		return err
	}
	var tables []struct {
		ID   string                      `json:"id"`
		Rows []map[string]map[string]any `json:"rows"`
	}
	if err := json.Unmarshal(out, &tables); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	mean := map[string][]float64{}
	share := map[float64]float64{}
	for _, t := range tables {
		if t.ID != "XI" {
			continue
		}
		for _, r := range t.Rows {
			value := func(c string) float64 { v, _ := r[c]["value"].(float64); return v }
			if r["model"]["text"] == "average" {
				share[value("batch")] = value("Dec %")
				continue
			}
			for _, c := range []string{"E↓ %", "LΔ %", "DecΔ %"} {
				mean[c] = append(mean[c], value(c))
			}
		}
	}
	sheet.Check("energy saving at 180 MHz, average", stat.Mean(mean["E↓ %"], nil), "%", 39, 45)
	sheet.Check("latency change at 180 MHz, average", stat.Mean(mean["LΔ %"], nil), "%", 1, 4)
	sheet.Check("decode change at 180 MHz, average", stat.Mean(mean["DecΔ %"], nil), "%", -1.5, 1.5)
	sheet.Check("decode share at batch 1", share[1], "%", 84, 94)
	sheet.Check("decode share at batch 8", share[8], "%", 72, 82)
	return nil
}

// killing kills a sweep with SIGKILL at random moments until it is complete.
func killing(sheet *figures.Sheet, bin, dir string) error {
	s := filepath.Join(dir, "killed")
	args := []string{"sweep", "--dataset", "truthfulqa", "--queries", "10", "--clocks", "345:1980:5", "--batch", "1,4", "--repeats", "4", "--cool-down", "0s", "--sim-speed", "150", "--session", s}
	const points = 5 * 2 * 4
	r := rand.New(rand.NewPCG(1, 2))
	kills := 0
	for try := 0; try < 200; try++ {
		cmd := exec.Command(bin, args...)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		if err := cmd.Start(); err != nil {
			return err
		}
		if try == 0 {
			args = append(args, "--resume")
		}
		done := make(chan error, 1)
		go func() { done <- cmd.Wait() }()
		wait := time.Duration(100+r.IntN(250)) * time.Millisecond
		if kills >= 20 {
			wait = time.Hour
		}
		select {
		case err := <-done:
			if err != nil && strings.Contains(stderr.String(), "not a session") {
				args = args[:len(args)-1] // killed before there was one
				_ = os.RemoveAll(s)
				try = -1
				continue
			}
			if err != nil {
				return fmt.Errorf("resume: %w: %s", err, stderr.Bytes())
			}
			if kills < 20 {
				// Complete before its time: more work for the next round.
				_ = os.RemoveAll(s)
				args = args[:len(args)-1]
				try = -1
				continue
			}
			return resumed(sheet, s, points, kills)
		case <-time.After(wait):
			if err := cmd.Process.Kill(); err != nil {
				return err
			}
			<-done
			kills++
		}
	}
	return errors.New("the killed sweep never finished")
}

// resumed counts the points and requests of a sweep that was killed.
func resumed(sheet *figures.Sheet, dir string, want, kills int) error {
	s, err := session.Open(dir)
	if err != nil {
		return err
	}
	points, requests := map[string]int{}, map[string]int{}
	err = errors.Join(
		s.Points(func(p *event.PointDone) error { points[p.PointID]++; return nil }),
		s.Requests(func(q *event.RequestEnergy) error { requests[q.RequestID]++; return nil }),
	)
	if err != nil {
		return err
	}
	doubled := 0
	for _, m := range []map[string]int{points, requests} {
		for _, n := range m {
			if n > 1 {
				doubled++
			}
		}
	}
	sheet.Check("kill -9 and resume, kills", float64(kills), "", 20, 1e9)
	sheet.Check("kill -9 and resume, points", float64(len(points)), "", float64(want), float64(want))
	sheet.Check("kill -9 and resume, requests", float64(len(requests)), "", float64(want*10), float64(want*10))
	sheet.Check("kill -9 and resume, rows twice", float64(doubled), "", 0, 0)
	return nil
}

// longSession reports over a session of three million samples.
func longSession(sheet *figures.Sheet, bin, dir string) error {
	s := filepath.Join(dir, "long")
	if _, _, err := figures.Run(bin, "sweep", "--dataset", "truthfulqa", "--queries", "4", "--batch", "1", "--repeats", "1", "--cool-down", "0s", "--samples", "thin", "--session", s); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(s, session.SamplesFile), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	const rows = 3_000_000
	for i := range int64(rows) {
		fmt.Fprintf(w, "%d,sim:h100,1980,2619,1980,%d.5,100,48,1.2,15316,%s\n", 1e12+i*10e6, 40+i%20, gpu.Throttle(0))
	}
	if err := errors.Join(w.Flush(), f.Close()); err != nil {
		return err
	}
	_, took, err := figures.Run(bin, "report", s, "--plots", filepath.Join(dir, "plots"))
	if err != nil {
		return err
	}
	sheet.Check("report over 3 million samples, wall time", took.WallS, "s", 0, 5)
	sheet.Check("report over 3 million samples, peak memory", took.PeakMB, "MB", 0, 300)
	return nil
}
