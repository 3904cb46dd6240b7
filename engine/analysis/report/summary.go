package report

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"jouletop/engine/analysis/answers"
	"jouletop/engine/analysis/curve"
	"jouletop/engine/analysis/table"
	"jouletop/engine/event"
	"jouletop/engine/nulljson"
	"jouletop/engine/session"
	"jouletop/gpu/plaintext"
)

// Summary is what a run came to, for stdout: what is recorded, not what was
// planned.
type Summary struct {
	Session   string `json:"session"`
	GPU       string `json:"gpu"`
	Simulated bool   `json:"simulated"`
	Note      string `json:"note,omitempty"`
	Requests  int    `json:"requests"`
	// Failed are the points that failed, wholly or in part.
	Failed         int `json:"failed"`
	FailedRequests int `json:"failed_requests"`
	// The energy of the requests that succeeded; null where one is not resolved.
	EnergyJ  *float64        `json:"energy_j"`
	EnergyWh *float64        `json:"energy_wh"`
	Cost     *float64        `json:"cost"`
	Currency string          `json:"currency,omitempty"` // of the cost
	Points   []pointSummary  `json:"points"`
	Routing  []routeSummary  `json:"routing,omitempty"`
	Serving  []servedSummary `json:"serving,omitempty"`
	// Verdicts say which power limit held the clock in which phase.
	Verdicts []string `json:"verdicts,omitempty"`
	// Tables are what a sweep's points come to by clock.
	Tables []table.Table `json:"tables,omitempty"`
	Table  table.Table   `json:"-"` // of what is in Routing or Serving; no rows without
	note   string        // why there is no energy
	// byClock: the tables have what the points came to.
	byClock bool
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
	JoulesPerTotal *float64 `json:"joules_per_total_token"` // read and generated
	EDPJS          *float64 `json:"edp_js"`
	Quality        *float64 `json:"quality"`
	// Of points in which tokens were drafted.
	Draft        string   `json:"draft,omitempty"`
	DraftDepth   int      `json:"draft_depth,omitempty"`
	Acceptance   *float64 `json:"acceptance,omitempty"`
	DraftEnergy  *float64 `json:"draft_energy_j,omitempty"`
	VerifyEnergy *float64 `json:"verify_energy_j,omitempty"`
	PerAccepted  *float64 `json:"joules_per_accepted_token,omitempty"`
	// Held is what held the SM clock, by kind of phase, as far as it is known.
	Held  map[event.Phase]heldSummary `json:"held,omitempty"`
	Flags string                      `json:"flags,omitempty"`
	Error string                      `json:"error,omitempty"`
}

// heldSummary is what held the clock in a kind of phase.
type heldSummary struct {
	By  event.HeldBy `json:"by"`
	Pct *float64     `json:"pct"` // for how much of the phase's time a limit did
}

// NewSummary sums up the session that s names, beside which it says on what the
// session ran. Points that did not finish are made of the requests that did.
func NewSummary(s Summary, price float64, points []event.PointDone) (Summary, error) {
	recorded, err := session.Open(s.Session)
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
	for _, c := range curve.Of(points) {
		for _, v := range c.CapVerdicts() {
			s.Verdicts = append(s.Verdicts, plaintext.Line(v))
		}
	}
	switch {
	case s.Note != "":
	case math.IsNaN(joules):
		s.note = "the energy of some is not resolved"
	case s.Requests > 0:
		const joulesPerWh = 3600
		s.EnergyJ, s.EnergyWh, s.Cost = nulljson.Known(joules), nulljson.Known(joules/joulesPerWh), nulljson.Known(joules/joulesPerWh/1000*price)
	}
	return s, nil
}

func (s *Summary) add(p event.PointDone) {
	if p.PointResult.Err != "" {
		s.Failed++
	}
	row := pointSummary{
		Point: plaintext.Line(p.PointID), Model: plaintext.Line(p.Model), Dataset: plaintext.Line(p.Dataset), BatchSize: p.BatchSize,
		Policy: plaintext.Line(p.Policy), AchievedSMMHz: nulljson.Known(p.AchievedSMMHz), Repeat: p.Repeat, Queries: p.Queries,
		LatencyS: nulljson.Known(p.LatencyS), PrefillS: nulljson.Known(p.PrefillS), DecodeS: nulljson.Known(p.DecodeS), TokensPerS: nulljson.Known(p.TokensPerS),
		EnergyJ: nulljson.Known(p.EnergyJ), EnergyErrJ: nulljson.Known(p.EnergyErrJ), JoulesPerToken: nulljson.Known(p.JoulesPerToken), JoulesPerTotal: nulljson.Known(p.JoulesPerTotal()), EDPJS: nulljson.Known(p.EDPJS),
		Quality: nulljson.Known(p.Quality), Flags: plaintext.Line(string(p.Flags)), Error: plaintext.OneLine(p.PointResult.Err),
	}
	if p.Draft != "" {
		row.Draft, row.DraftDepth = plaintext.Line(p.Draft), p.DraftDepth
		row.Acceptance, row.DraftEnergy, row.VerifyEnergy, row.PerAccepted = nulljson.Known(p.Acceptance()), nulljson.Known(p.DraftJ), nulljson.Known(p.VerifyJ), nulljson.Known(p.JoulesPerAccepted())
	}
	for _, phase := range heldKinds {
		if h := *p.Held.Of(phase); h.Known() {
			if row.Held == nil {
				row.Held = map[event.Phase]heldSummary{}
			}
			row.Held[phase] = heldSummary{h.By, nulljson.Known(h.Pct)}
		}
	}
	if p.RequestedSMMHz > 0 {
		row.RequestedSMMHz = &p.RequestedSMMHz
	}
	s.Points = append(s.Points, row)
}

// Write writes the summary as text, or as JSON.
func (s Summary) Write(w io.Writer, asJSON bool) error {
	if asJSON {
		return nulljson.Write(w, s)
	}
	return s.writeText(w)
}

func (s Summary) writeText(w io.Writer) error {
	var errs []error
	say := func(format string, args ...any) {
		errs = append(errs, table.WriteLines(w, fmt.Sprintf(format, args...)+"\n"))
	}
	switch {
	case s.Note != "":
		say("SIMULATED on %s: %s", s.GPU, s.Note)
	case s.Simulated:
		say("SIMULATED on %s: computed, not measured", s.GPU)
	default:
		say("Measured on %s", s.GPU)
	}
	switch {
	case s.byClock:
	case len(s.Points) <= mostPoints:
		errs = append(errs, s.writePoints(w))
	default:
		say("%s; `jouletop report %s` has the tables", plaintext.Plural(len(s.Points), "point"), s.Session)
	}
	for i, v := range s.Verdicts {
		if i == mostVerdicts {
			say("… %d more on power limits: `jouletop report %s`", len(s.Verdicts)-i, s.Session)
			break
		}
		say("%s", v)
	}
	for _, p := range s.Points {
		if p.Error != "" {
			say("failed: %s: %s", p.Point, p.Error)
		}
	}
	total := plaintext.Plural(s.Requests, "request")
	if s.FailedRequests > 0 {
		total += fmt.Sprintf(" (%d failed)", s.FailedRequests)
	}
	switch {
	case s.EnergyJ != nil:
		total += fmt.Sprintf(", %s J = %s Wh, cost %s", significant(s.EnergyJ, 4), significant(s.EnergyWh, 3), significant(s.Cost, 3))
	case s.note != "":
		total += "; " + s.note
	}
	say("%s", total)
	for _, t := range append(slices.Clone(s.Tables), s.Table) {
		if len(t.Rows) > 0 {
			errs = append(errs, t.WriteText(w, false))
		}
	}
	say("session: %s", s.Session)
	return cmp.Or(errs...) // the others are its echo
}

// AddSweep adds what the points of a sweep come to by clock, and the clock to run at,
// with their intervals.
func (s *Summary) AddSweep(points []event.PointDone, slowdown float64) {
	for _, t := range []table.Table{Energies(points), Drafts(points), runAt(curve.Of(curve.Pool(points)), slowdown)} {
		if len(t.Rows) > 0 {
			t.Simulated = s.Simulated
			s.Tables = append(s.Tables, t)
			s.byClock = s.byClock || t.ID == energyTable
		}
	}
}

// AddRepeats adds what points come to over their repeats, where some are repeated.
func (s *Summary) AddRepeats(points []event.PointDone) {
	if t := Energies(points); len(t.Rows) > 0 && len(t.Rows) < len(points) {
		t.Simulated = s.Simulated
		s.Tables = append(s.Tables, t)
	}
}

// mostVerdicts is how many sentences on limits a summary has.
const mostVerdicts = 8

// mostPoints is how many points a summary lists one by one.
const mostPoints = 24

func (s Summary) writePoints(w io.Writer) error {
	header := []string{"model", "dataset", "batch", "clock MHz", "repeat", "queries", "latency s", "prefill s", "after s", "tokens/s", "J/query", "± J", "J/token", "read too", "EDP J·s", "quality", "flags"}
	drafts := slices.ContainsFunc(s.Points, func(p pointSummary) bool { return p.Draft != "" })
	if drafts {
		header = append(header[:len(header)-1], "draft", "depth", "accepted %", "J/accepted", "flags")
	}
	var rows [][]string
	for _, p := range s.Points {
		row := []string{p.Model, p.Dataset, p.batch(), p.clock(), strconv.Itoa(p.Repeat), strconv.Itoa(p.Queries),
			significant(p.LatencyS, 4), significant(p.PrefillS, 3), significant(p.DecodeS, 4), significant(p.TokensPerS, 4), significant(p.EnergyJ, 4), significant(p.EnergyErrJ, 2),
			significant(p.JoulesPerToken, 3), significant(p.JoulesPerTotal, 3), significant(p.EDPJS, 3), significant(p.Quality, 3)}
		if drafts {
			row = append(row, p.Draft, strconv.Itoa(p.DraftDepth), acceptedPct(p.Acceptance), significant(p.PerAccepted, 3))
		}
		rows = append(rows, append(row, p.Flags))
	}
	return table.WriteGrid(w, header, rows)
}

// batch is the batch size, where there is one.
func (p pointSummary) batch() string {
	if p.BatchSize < 0 {
		return "–"
	}
	return strconv.Itoa(p.BatchSize)
}

// clock is the clock asked for, or the policy that chose it.
func (p pointSummary) clock() string {
	switch {
	case event.PolicyOf(p.Policy).Kind == event.FixedKnobs:
		return strings.TrimPrefix(p.Policy, "fixed:")
	case p.RequestedSMMHz != nil:
		return strconv.Itoa(*p.RequestedSMMHz)
	case event.PolicyOf(p.Policy).Kind == event.NoPolicy:
		return "driver's"
	}
	return p.Policy
}

// acceptedPct is a share in %.
func acceptedPct(x *float64) string {
	if x == nil {
		return "–"
	}
	return strconv.FormatFloat(100**x, 'f', 1, 64)
}

// significant writes x with n significant digits, "–" where it is unknown.
func significant(x *float64, n int) string {
	if x == nil {
		return "–"
	}
	return plaintext.Significant(*x, n)
}
