package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"text/tabwriter"

	"jouletop/engine/analysis"
	"jouletop/engine/event"
)

// summary is what a run came to, for stdout.
type summary struct {
	Session   string         `json:"session"`
	GPU       string         `json:"gpu"`
	Simulated bool           `json:"simulated"`
	Note      string         `json:"note,omitempty"`
	Requests  int            `json:"requests"`
	Failed    int            `json:"failed"`
	EnergyJ   *float64       `json:"energy_j"`
	EnergyWh  *float64       `json:"energy_wh"`
	Cost      *float64       `json:"cost"`
	Points    []pointSummary `json:"points"`
	Routing   []routeSummary `json:"routing,omitempty"`
	table     analysis.Table // of the routing; no rows without
}

type pointSummary struct {
	Point          string   `json:"point"`
	Model          string   `json:"model"`
	Dataset        string   `json:"dataset"`
	BatchSize      int      `json:"batch_size"`
	Queries        int      `json:"queries"`
	LatencyS       *float64 `json:"latency_s"`
	PrefillS       *float64 `json:"prefill_s"`
	DecodeS        *float64 `json:"decode_s"`
	TokensPerS     *float64 `json:"tokens_per_s"`
	EnergyJ        *float64 `json:"energy_j"`
	EnergyErrJ     *float64 `json:"energy_err_j"`
	JoulesPerToken *float64 `json:"joules_per_token"`
	EDPJS          *float64 `json:"edp_js"`
	Quality        *float64 `json:"quality"`
	Flags          string   `json:"flags,omitempty"`
	Error          string   `json:"error,omitempty"`
}

// known is x, or nil where it is unknown: JSON has no NaN.
func known(x float64) *float64 {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return nil
	}
	return &x
}

// collector keeps the points' results as they come by.
type collector struct {
	points           []event.PointDone
	requests, failed int
	failure          string // the first request's that failed
}

func (c *collector) observe(e event.Event) []event.Event {
	switch e := e.(type) {
	case event.PointDone:
		c.points = append(c.points, e)
	case event.RequestDone:
		c.requests++
		if e.Err == "" {
			break
		}
		if c.failed++; c.failure == "" {
			c.failure = e.Err
		}
	}
	return nil
}

// allFailed returns an error if no request succeeded.
func (c *collector) allFailed() error {
	if c.requests == 0 || c.failed < c.requests {
		return nil
	}
	if c.requests == 1 {
		return fmt.Errorf("the request failed: %s", c.failure)
	}
	return fmt.Errorf("all %d requests failed; the first: %s", c.requests, c.failure)
}

func newSummary(r *rig, dir string, price float64, points []event.PointDone) summary {
	s := summary{Session: dir, GPU: r.info.ID(), Simulated: r.simulated(), Note: r.note}
	total := 0.0
	for _, p := range points {
		s.Requests += p.Queries
		if p.PointResult.Err != "" {
			s.Failed++
		}
		total += p.EnergyJ * float64(p.Queries)
		s.Points = append(s.Points, pointSummary{
			Point: p.PointID, Model: p.Model, Dataset: p.Dataset, BatchSize: p.BatchSize, Queries: p.Queries,
			LatencyS: known(p.LatencyS), PrefillS: known(p.PrefillS), DecodeS: known(p.DecodeS), TokensPerS: known(p.TokensPerS),
			EnergyJ: known(p.EnergyJ), EnergyErrJ: known(p.EnergyErrJ), JoulesPerToken: known(p.JoulesPerToken), EDPJS: known(p.EDPJS),
			Quality: known(p.Quality), Flags: string(p.Flags), Error: p.PointResult.Err,
		})
	}
	if r.note == "" {
		const joulesPerWh = 3600
		s.EnergyJ, s.EnergyWh, s.Cost = known(total), known(total/joulesPerWh), known(total/joulesPerWh/1000*price)
	}
	return s
}

func (s summary) writeJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(s)
}

func (s summary) writeText(w io.Writer) error {
	switch {
	case s.Note != "":
		fmt.Fprintf(w, "SIMULATED on %s: %s\n", s.GPU, s.Note)
	case s.Simulated:
		fmt.Fprintf(w, "SIMULATED on %s: computed, not measured\n", s.GPU)
	default:
		fmt.Fprintf(w, "Measured on %s\n", s.GPU)
	}
	if len(s.Points) <= mostPoints {
		if err := s.writePoints(w); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(w, "%s; `jouletop report %s` has the tables\n", plural(len(s.Points), "point"), s.Session)
	}
	for _, p := range s.Points {
		if p.Error != "" {
			fmt.Fprintf(w, "failed: %s: %s\n", p.Point, oneLine(p.Error))
		}
	}
	if s.EnergyJ != nil {
		fmt.Fprintf(w, "%s, %s J = %s Wh, cost %s\n", plural(s.Requests, "request"), sig(s.EnergyJ, 4), sig(s.EnergyWh, 3), sig(s.Cost, 3))
	} else {
		fmt.Fprintln(w, plural(s.Requests, "request"))
	}
	if len(s.table.Rows) > 0 {
		if err := s.table.WriteText(w, false); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintln(w, "session:", s.Session)
	return err
}

// mostPoints is how many points a summary lists one by one.
const mostPoints = 24

func (s summary) writePoints(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "model\tdataset\tbatch\tqueries\tlatency s\tprefill s\tafter s\ttokens/s\tJ/query\t± J\tJ/token\tEDP J·s\tquality\tflags\t")
	for _, p := range s.Points {
		fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", p.Model, p.Dataset, p.BatchSize, p.Queries,
			sig(p.LatencyS, 4), sig(p.PrefillS, 3), sig(p.DecodeS, 4), sig(p.TokensPerS, 4), sig(p.EnergyJ, 4), sig(p.EnergyErrJ, 2),
			sig(p.JoulesPerToken, 3), sig(p.EDPJS, 3), sig(p.Quality, 3), p.Flags)
	}
	return t.Flush()
}

// sig writes x with n significant digits, "–" where it is unknown.
func sig(x *float64, n int) string {
	if x == nil {
		return "–"
	}
	v := *x
	if v == 0 {
		return "0"
	}
	digits := n - 1 - int(math.Floor(math.Log10(math.Abs(v))))
	return strconv.FormatFloat(v, 'f', max(digits, 0), 64)
}
