package main

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"text/tabwriter"

	"jouletop/engine/analysis/answers"
	"jouletop/engine/analysis/table"
	"jouletop/engine/event"
	"jouletop/engine/nulljson"
	"jouletop/engine/session"
	"jouletop/gpu/plaintext"
)

// summary is what a run came to, for stdout: what is recorded, not what was
// planned.
type summary struct {
	Session   string `json:"session"`
	GPU       string `json:"gpu"`
	Simulated bool   `json:"simulated"`
	Note      string `json:"note,omitempty"`
	Requests  int    `json:"requests"`
	// Failed are the points that failed, wholly or in part.
	Failed         int `json:"failed"`
	FailedRequests int `json:"failed_requests"`
	// The energy of the requests that succeeded; null where one is not resolved.
	EnergyJ  *float64       `json:"energy_j"`
	EnergyWh *float64       `json:"energy_wh"`
	Cost     *float64       `json:"cost"`
	Points   []pointSummary `json:"points"`
	Routing  []routeSummary `json:"routing,omitempty"`
	table    table.Table    // no rows without
	note     string         // why there is no energy
}

type pointSummary struct {
	Point          string   `json:"point"`
	Model          string   `json:"model"`
	Dataset        string   `json:"dataset"`
	BatchSize      int      `json:"batch_size"`
	Policy         string   `json:"policy"`
	RequestedSMMHz *int     `json:"requested_sm_mhz"` // null: the driver's, or by phase
	AchievedSMMHz  *float64 `json:"achieved_sm_mhz"`
	Repeat         int      `json:"repeat"`
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
	points     []event.PointDone
	requests   int
	lost       int            // requests that failed
	good       map[string]int // requests that succeeded, by point
	failure    string         // the first request's that failed
	offClock   int            // requests whose clock was not in force
	clockFlags event.Flags    // of those, and of points that were not run for it
	clockError string         // the newest
}

// newCollector begins with points recorded before.
func newCollector(before []event.PointDone) *collector {
	return &collector{points: before, good: map[string]int{}}
}

func (c *collector) observe(e event.Event) []event.Event {
	switch e := e.(type) {
	case event.PointDone:
		c.points = append(c.points, e)
		if e.Flags.ClockFailed() {
			c.clockFlags = c.clockFlags.Union(e.Flags.OfClock())
		}
	case event.RequestEnergy:
		if e.Flags.ClockFailed() {
			c.offClock++
		}
	case event.ClockChange:
		if e.Err != "" {
			c.clockError = e.Err
		}
	case event.RequestDone:
		c.requests++
		if e.Err == "" {
			c.good[e.PointID]++
			break
		}
		if c.lost++; c.failure == "" {
			c.failure = e.Err
		}
	}
	return nil
}

// failed returns an error where a point came to nothing. One of which a part
// failed is flagged, and no error.
func (c *collector) failed() error {
	switch {
	case c.requests == 1 && c.lost == 1:
		return fmt.Errorf("the request failed: %s", c.failure)
	case c.requests > 0 && c.lost == c.requests:
		return fmt.Errorf("all %d requests failed; the first: %s", c.requests, c.failure)
	}
	const named = 3
	var ids []string
	first := ""
	for _, p := range c.points {
		if p.PointResult.Err == "" || c.good[p.PointID] > 0 || !math.IsNaN(p.LatencyS) {
			continue
		}
		if ids = append(ids, p.PointID); first == "" {
			first = p.PointResult.Err
		}
	}
	if len(ids) == 0 {
		return nil
	}
	names := strings.Join(ids[:min(len(ids), named)], ", ")
	if len(ids) > named {
		names += ", …"
	}
	return fmt.Errorf("%d of %s failed (%s); the first: %s", len(ids), plural(len(c.points), "point"), names, first)
}

// clockFailed returns an error if a clock that was asked for was not in force.
func (c *collector) clockFailed() error {
	if c.clockFlags == "" && c.offClock == 0 {
		return nil
	}
	return fmt.Errorf("the clock asked for was not in force for %d of %s (%s): %s; they are flagged",
		c.offClock, plural(c.requests, "request"), c.clockFlags, c.clockError)
}

// someFailed tells of a run that succeeded but for some requests; "" where none
// failed, or all did.
func (c *collector) someFailed() string {
	if c.lost == 0 || c.lost == c.requests {
		return ""
	}
	return fmt.Sprintf("%d of %s failed, the other %d were answered; the first that failed: %s",
		c.lost, plural(c.requests, "request"), c.requests-c.lost, oneLine(c.failure))
}

// newSummary sums up the session in dir. Points that did not finish are made of
// the requests that did.
func newSummary(r *rig, dir string, price float64, points []event.PointDone) (summary, error) {
	s := summary{Session: dir, GPU: r.info.ID(), Simulated: r.simulated(), Note: r.note}
	recorded, err := session.Open(dir)
	if err != nil {
		return s, err
	}
	finished := map[string]bool{}
	for _, p := range points {
		finished[p.PointID] = true
	}
	rest, joules := answers.NewSums(), 0.0
	err = recorded.Requests(func(q *event.RequestEnergy) error {
		s.Requests++
		if q.Err != "" {
			s.FailedRequests++
		} else {
			joules += q.EnergyJ // NaN where it is not resolved, and so is the sum
		}
		if !finished[q.PointID] {
			rest.Add(q)
		}
		return nil
	})
	if err != nil {
		return s, err
	}
	for _, p := range rest.Points() {
		p.Flags = p.Flags.With(event.FlagUnfinished)
		points = append(points, p)
	}
	for _, p := range points {
		s.add(p)
	}
	switch {
	case r.note != "":
	case math.IsNaN(joules):
		s.note = "the energy of some is not resolved"
	case s.Requests > 0:
		const joulesPerWh = 3600
		s.EnergyJ, s.EnergyWh, s.Cost = known(joules), known(joules/joulesPerWh), known(joules/joulesPerWh/1000*price)
	}
	return s, nil
}

func (s *summary) add(p event.PointDone) {
	if p.PointResult.Err != "" {
		s.Failed++
	}
	row := pointSummary{
		Point: plaintext.Line(p.PointID), Model: plaintext.Line(p.Model), Dataset: plaintext.Line(p.Dataset), BatchSize: p.BatchSize,
		Policy: plaintext.Line(p.Policy), AchievedSMMHz: known(p.AchievedSMMHz), Repeat: p.Repeat, Queries: p.Queries,
		LatencyS: known(p.LatencyS), PrefillS: known(p.PrefillS), DecodeS: known(p.DecodeS), TokensPerS: known(p.TokensPerS),
		EnergyJ: known(p.EnergyJ), EnergyErrJ: known(p.EnergyErrJ), JoulesPerToken: known(p.JoulesPerToken), EDPJS: known(p.EDPJS),
		Quality: known(p.Quality), Flags: plaintext.Line(string(p.Flags)), Error: oneLine(p.PointResult.Err),
	}
	if p.RequestedSMMHz > 0 {
		row.RequestedSMMHz = &p.RequestedSMMHz
	}
	s.Points = append(s.Points, row)
}

// write writes the summary as text, or as JSON.
func (s summary) write(w io.Writer, asJSON bool) error {
	if asJSON {
		return nulljson.Write(w, s)
	}
	return s.writeText(w)
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
			fmt.Fprintf(w, "failed: %s: %s\n", p.Point, p.Error)
		}
	}
	total := plural(s.Requests, "request")
	if s.FailedRequests > 0 {
		total += fmt.Sprintf(" (%d failed)", s.FailedRequests)
	}
	switch {
	case s.EnergyJ != nil:
		total += fmt.Sprintf(", %s J = %s Wh, cost %s", sig(s.EnergyJ, 4), sig(s.EnergyWh, 3), sig(s.Cost, 3))
	case s.note != "":
		total += "; " + s.note
	}
	fmt.Fprintln(w, total)
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
	fmt.Fprintln(t, "model\tdataset\tbatch\tclock MHz\trepeat\tqueries\tlatency s\tprefill s\tafter s\ttokens/s\tJ/query\t± J\tJ/token\tEDP J·s\tquality\tflags\t")
	for _, p := range s.Points {
		fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%d\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", p.Model, p.Dataset, p.BatchSize, p.clock(), p.Repeat, p.Queries,
			sig(p.LatencyS, 4), sig(p.PrefillS, 3), sig(p.DecodeS, 4), sig(p.TokensPerS, 4), sig(p.EnergyJ, 4), sig(p.EnergyErrJ, 2),
			sig(p.JoulesPerToken, 3), sig(p.EDPJS, 3), sig(p.Quality, 3), p.Flags)
	}
	return t.Flush()
}

// clock is the clock asked for, or the policy that chose it.
func (p pointSummary) clock() string {
	switch {
	case p.RequestedSMMHz != nil:
		return strconv.Itoa(*p.RequestedSMMHz)
	case p.Policy == "" || p.Policy == "none":
		return "driver's"
	}
	return p.Policy
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
