package main

import (
	"fmt"
	"os"

	"jouletop/engine"
	"jouletop/engine/bench"
	"jouletop/engine/llama"
	"jouletop/engine/nulljson"
	"jouletop/engine/rig"
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
func writeBench(r *rig.Rig, dir string, rows []bench.Row, infos map[string]engine.ModelInfo) error {
	if err := bench.WriteTable(os.Stdout, rows, infos, r.Note == ""); err != nil {
		return err
	}
	fmt.Println()
	switch {
	case r.Note != "":
		fmt.Printf("SIMULATED on %s: %s\n", r.Info.ID(), r.Note)
	case r.Simulated():
		fmt.Printf("SIMULATED on %s: computed, not measured\n", r.Info.ID())
	default:
		fmt.Printf("%s, jouletop %s%s\n", r.Info.Name, version(), llamaVersion())
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

// writeBenchJSON prints the same for programs.
func writeBenchJSON(r *rig.Rig, dir string, rows []bench.Row, infos map[string]engine.ModelInfo) error {
	out := bench.Report{Session: dir, GPU: r.Info.ID(), Simulated: r.Simulated(), Note: r.Note, Models: infos}
	out.Fill(rows)
	return nulljson.Write(os.Stdout, out)
}
