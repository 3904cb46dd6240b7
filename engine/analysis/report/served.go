package report

import (
	"cmp"
	"fmt"

	"jouletop/engine/analysis/served"
	"jouletop/engine/analysis/table"
	"jouletop/engine/event"
	"jouletop/engine/nulljson"
	"jouletop/engine/session"
	"jouletop/gpu/plaintext"
)

// servedSummary is how a point's requests were served, in s.
type servedSummary struct {
	Point    string   `json:"point"`
	Requests int      `json:"requests"`
	Failed   int      `json:"failed"`
	Seconds  *float64 `json:"seconds"` // from the first arrival to the last end
	Input    int      `json:"input_tokens"`
	Output   int      `json:"output_tokens"`
	SLO      string   `json:"slo,omitempty"`
	Met      int      `json:"met"`     // requests that kept to the SLO
	Goodput  *float64 `json:"goodput"` // of those, a second
	TTFT     spread   `json:"ttft_s"`
	TPOT     spread   `json:"tpot_s"`
	E2E      spread   `json:"e2e_s"`
	Queue    spread   `json:"queue_s"`
	GapMax   spread   `json:"gap_max_s"`
	Energy   *costs   `json:"energy,omitempty"` // where it is known what was in passes
}

// costs is what requests cost among each other, in J.
type costs struct {
	Split    string   `json:"split"`
	Share    *float64 `json:"request_j"`
	Marginal *float64 `json:"marginal_j"`
	Idle     *float64 `json:"idle_j"`
	// Medians of how far off other shares are.
	Tokens *float64 `json:"token_share_off"`
	Capped *float64 `json:"capped_token_share_off"`
}

func newCosts(c served.Costs) *costs {
	if c.Split == "" {
		return nil
	}
	return &costs{string(c.Split), nulljson.Known(c.Share), nulljson.Known(c.Marginal), nulljson.Known(c.Idle), nulljson.Known(c.Tokens), nulljson.Known(c.Capped)}
}

type spread struct {
	Mean *float64 `json:"mean"`
	P50  *float64 `json:"p50"`
	P90  *float64 `json:"p90"`
	P95  *float64 `json:"p95"`
	P99  *float64 `json:"p99"`
}

func newSpread(s served.Spread) spread {
	p := make([]*float64, len(s.Percentiles))
	for i, v := range s.Percentiles {
		p[i] = nulljson.Known(v)
	}
	return spread{nulljson.Known(s.Mean), p[0], p[1], p[2], p[3]}
}

// ServedSession reads how a session's requests were served: the table, and the same
// for JSON.
func ServedSession(dir string, slo served.SLO) (table.Table, []servedSummary, error) {
	s, err := session.Open(dir)
	if err != nil {
		return table.Table{}, nil, err
	}
	return servedTable(s, slo)
}

// AddServed puts into the report how requests were served, in those sessions where
// they were, by a service level as --slo takes it; "" is each session's own.
func (r *Sessions) AddServed(slo string) error {
	for _, s := range r.sessions {
		if s.Manifest.Plan.Serving == nil {
			continue
		}
		level, err := served.ParseSLO(cmp.Or(slo, s.Manifest.Plan.Serving.SLO))
		if err != nil {
			return fmt.Errorf("%s: service level %w", s.Dir, err)
		}
		t, _, err := servedTable(s, level)
		if err != nil {
			return err
		}
		r.served = append(r.served, t)
	}
	return nil
}

func servedTable(s *session.Session, slo served.SLO) (table.Table, []servedSummary, error) {
	var requests []event.Request
	energies := map[string][]event.RequestEnergy{} // by point
	if err := s.Requests(func(r *event.RequestEnergy) error {
		requests = append(requests, r.Request)
		energies[r.PointID] = append(energies[r.PointID], *r)
		return nil
	}); err != nil {
		return table.Table{}, nil, err
	}
	t := table.Table{
		ID: "serving", Title: "requests as they came, in ms", Simulated: s.Manifest.Simulated,
		Columns: []string{"point", "of", "mean", "p50", "p90", "p95", "p99"},
	}
	var out []servedSummary
	for _, u := range served.Sum(requests, slo) {
		cost := served.CostsOf(energies[u.Point])
		out = append(out, servedSummary{
			plaintext.Line(u.Point), u.Requests, u.Failed, nulljson.Known(u.Seconds), u.Input, u.Output, slo.String(), u.Met, nulljson.Known(u.Goodput()),
			newSpread(u.TTFT), newSpread(u.TPOT), newSpread(u.E2E), newSpread(u.Queue), newSpread(u.Gap), newCosts(cost),
		})
		for _, row := range []struct {
			name string
			of   served.Spread
		}{{"TTFT", u.TTFT}, {"TPOT", u.TPOT}, {"latency", u.E2E}, {"queue", u.Queue}, {"worst gap", u.Gap}} {
			cells := []table.Cell{table.Word(u.Point), table.Word(row.name), table.Num(1e3*row.of.Mean, 1)}
			for _, v := range row.of.Percentiles {
				cells = append(cells, table.Num(1e3*v, 1))
			}
			t.Rows = append(t.Rows, cells)
		}
		note := fmt.Sprintf("%s: %s in %s s, %s tokens in and %s out a second",
			plaintext.Line(u.Point), plaintext.Plural(u.Requests, "request"), plaintext.Significant(u.Seconds, 4),
			plaintext.Significant(float64(u.Input)/u.Seconds, 4), plaintext.Significant(float64(u.Output)/u.Seconds, 4))
		if slo != (served.SLO{}) {
			note += fmt.Sprintf("; %d kept to %s: a goodput of %s a second", u.Met, slo, plaintext.Significant(u.Goodput(), 3))
		}
		t.Notes = append(t.Notes, note)
		if cost.Split != "" {
			j := func(v float64) string { return plaintext.Significant(v, 3) }
			t.Notes = append(t.Notes, fmt.Sprintf("  a request cost %s J (passes divided: %s), without it the run had drawn %s J less; idle before it %s J more; shares by tokens are off by %s %%, by capped tokens by %s %% (median)",
				j(cost.Share), cost.Split, j(cost.Marginal), j(cost.Idle), j(100*cost.Tokens), j(100*cost.Capped)))
		}
	}
	return t, out, nil
}
