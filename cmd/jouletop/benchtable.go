package main

import (
	"fmt"
	"math"
	"os"

	"jouletop/engine"
	"jouletop/engine/bench"
	"jouletop/engine/llama"
	"jouletop/engine/session"
)

// modelInfos returns the models that a session's manifest describes, by name.
func modelInfos(dir string) (map[string]engine.ModelInfo, error) {
	s, err := session.ReadManifest(dir)
	if err != nil {
		return nil, err
	}
	infos := map[string]engine.ModelInfo{}
	for _, i := range s.Models {
		infos[i.Name] = i
	}
	return infos, nil
}

// writeBench prints the table and, below it, what it was measured on.
func writeBench(r *rig, dir string, rows []bench.Row, infos map[string]engine.ModelInfo) error {
	if err := bench.WriteTable(os.Stdout, rows, infos, r.note == ""); err != nil {
		return err
	}
	fmt.Println()
	switch {
	case r.note != "":
		fmt.Printf("SIMULATED on %s: %s\n", r.info.ID(), r.note)
	case r.simulated():
		fmt.Printf("SIMULATED on %s: computed, not measured\n", r.info.ID())
	default:
		fmt.Printf("%s, jouletop %s%s\n", r.info.Name, version(), llamaVersion())
	}
	fmt.Println("Session", dir)
	return nil
}

func llamaVersion() string {
	if v := llama.Version(); v != "" {
		return ", llama.cpp " + v
	}
	return ""
}

// benchRow is a row as JSON: what is unknown is null.
type benchRow struct {
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

// benchJSON is what --json prints.
type benchJSON struct {
	Session   string                      `json:"session"`
	GPU       string                      `json:"gpu"`
	Simulated bool                        `json:"simulated"`
	Note      string                      `json:"note,omitempty"`
	Models    map[string]engine.ModelInfo `json:"models"`
	Rows      []benchRow                  `json:"rows"`
}

func benchReport(r *rig, dir string, rows []bench.Row, infos map[string]engine.ModelInfo) benchJSON {
	out := benchJSON{Session: dir, GPU: r.info.ID(), Simulated: r.simulated(), Note: r.note, Models: infos}
	for _, x := range rows {
		if r.note != "" { // the joules mean nothing
			x.JPerToken, x.JPerTokErr, x.Watts, x.WattsErr = math.NaN(), math.NaN(), math.NaN(), math.NaN()
		}
		out.Rows = append(out.Rows, benchRow{
			Model: x.Model, Test: x.Test, Batch: x.Batch, Reps: x.Reps,
			TokensPerS: known(x.TokensPerS), TokensPerSDev: known(x.TokensDev), Samples: x.Samples,
			JoulesPerToken: known(x.JPerToken), JoulesPerTokenErr: known(x.JPerTokErr),
			Watts: known(x.Watts), WattsErr: known(x.WattsErr), Flags: x.Flags, Error: x.Err,
		})
	}
	return out
}
