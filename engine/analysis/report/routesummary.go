package report

import (
	"jouletop/engine/analysis/answers"
	"jouletop/engine/analysis/table"
	"jouletop/engine/nulljson"
	"jouletop/engine/session"
)

// routeSummary is a row of the summary's routing.
type routeSummary struct {
	Class           string   `json:"class"`
	Queries         int      `json:"queries"`
	Models          []string `json:"models"`
	EnergyJ         *float64 `json:"energy_j"`
	LatencyS        *float64 `json:"latency_s"`
	Quality         *float64 `json:"quality"`
	BaselineJ       *float64 `json:"baseline_energy_j"`
	BaselineS       *float64 `json:"baseline_latency_s"`
	BaselineQuality *float64 `json:"baseline_quality"`
	Saving          *float64 `json:"saving"` // a share
}

// RoutedSession reads a session's routed queries: the table, and the same for JSON.
func RoutedSession(dir string) (table.Table, []routeSummary, error) {
	s, err := session.Open(dir)
	if err != nil {
		return table.Table{}, nil, err
	}
	a, err := answers.New([]*session.Session{s})
	if err != nil {
		return table.Table{}, nil, err
	}
	rows, _, _ := a.Routed()
	var out []routeSummary
	for _, r := range rows {
		out = append(out, routeSummary{
			r.Class, r.Queries, r.Models, nulljson.Known(r.EnergyJ), nulljson.Known(r.LatencyS), nulljson.Known(r.Quality),
			nulljson.Known(r.BaselineJ), nulljson.Known(r.BaselineS), nulljson.Known(r.BaselineQuality), nulljson.Known(r.Saving()),
		})
	}
	return Routed(a), out, nil
}
