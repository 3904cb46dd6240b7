package bench

import (
	"fmt"
	"io"
	"math"

	"jouletop/engine"
	"jouletop/engine/nulljson"
	"jouletop/engine/session"
)

// reportRow is a row as JSON: what is unknown is null.
type reportRow struct {
	Model             string    `json:"model"`
	Test              string    `json:"test"`
	Batch             int       `json:"batch"`
	Reps              int       `json:"reps"`
	TokensPerS        *float64  `json:"tokens_per_s"`
	TokensPerSDev     *float64  `json:"tokens_per_s_dev"`
	JoulesPerToken    *float64  `json:"joules_per_token"`
	JoulesPerTokenErr *float64  `json:"joules_per_token_err"`
	Watts             *float64  `json:"watts"`
	WattsErr          *float64  `json:"watts_err"`
	Samples           []float64 `json:"tokens_per_s_samples"`
	Flags             string    `json:"flags,omitempty"`
	Error             string    `json:"error,omitempty"`
}

// Report is what `jouletop bench` prints.
type Report struct {
	Session   string                      `json:"session"` // its folder, whose manifest describes the models
	On        string                      `json:"-"`       // GPU and programs, of what was measured
	GPU       string                      `json:"gpu"`
	Simulated bool                        `json:"simulated"`
	Note      string                      `json:"note,omitempty"`
	Models    map[string]engine.ModelInfo `json:"models"`
	Rows      []reportRow                 `json:"rows"`
}

// Write prints rows as JSON, or as a table with what it was measured on below.
func (r *Report) Write(w io.Writer, rows []Row, asJSON bool) error {
	m, err := session.ReadManifest(r.Session)
	if err != nil {
		return err
	}
	r.Models = map[string]engine.ModelInfo{}
	for _, i := range m.Models {
		r.Models[i.Name] = i
	}
	if asJSON {
		r.fill(rows)
		return nulljson.Write(w, r)
	}
	if err := WriteTable(w, rows, r.Models, r.Note == ""); err != nil {
		return err
	}
	on := r.On
	switch {
	case r.Note != "":
		on = fmt.Sprintf("SIMULATED on %s: %s", r.GPU, r.Note)
	case r.Simulated:
		on = fmt.Sprintf("SIMULATED on %s: computed, not measured", r.GPU)
	}
	_, err = fmt.Fprintf(w, "\n%s\nSession %s\n", on, r.Session)
	return err
}

// fill puts rows into the report; where it has a note, their joules mean nothing.
func (r *Report) fill(rows []Row) {
	for _, x := range rows {
		if r.Note != "" { // the joules mean nothing
			x.JPerToken, x.JPerTokErr, x.Watts, x.WattsErr = math.NaN(), math.NaN(), math.NaN(), math.NaN()
		}
		r.Rows = append(r.Rows, reportRow{
			Model: x.Model, Test: x.Test, Batch: x.Batch, Reps: x.Reps,
			TokensPerS: nulljson.Known(x.TokensPerS), TokensPerSDev: nulljson.Known(x.TokensDev), Samples: x.Samples,
			JoulesPerToken: nulljson.Known(x.JPerToken), JoulesPerTokenErr: nulljson.Known(x.JPerTokErr),
			Watts: nulljson.Known(x.Watts), WattsErr: nulljson.Known(x.WattsErr), Flags: x.Flags, Error: x.Err,
		})
	}
}
