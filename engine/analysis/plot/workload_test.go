package plot

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"jouletop/engine/analysis/answers"
	"jouletop/engine/analysis/answers/answerstest"
	"jouletop/engine/session"
	"jouletop/workloads"
	"jouletop/workloads/features"
)

func TestWorkloadPlots(t *testing.T) {
	dir := t.TempDir()
	queries, of, s := answerstest.PlantedSession(t)
	a, err := answers.New([]*session.Session{s})
	if err != nil {
		t.Fatal(err)
	}
	w, err := answers.NewWorkload(queries, of, a)
	if err != nil {
		t.Fatal(err)
	}
	files, err := Workload(w, dir)
	if err != nil || len(files) != 8 {
		t.Fatalf("%v, %q", err, files)
	}
	for name, marked := range map[string]bool{"length-histogram": false, "entity-histogram": false, "quality-against-length": true, "energy-against-quality": true} {
		svg, err := os.ReadFile(filepath.Join(dir, name+".svg"))
		if err != nil || bytes.Contains(svg, []byte("SIMULATED")) != marked {
			t.Errorf("%s: %v, marked %v", name, err, !marked)
		}
	}
	// One query of no features makes pictures, too.
	w, err = answers.NewWorkload([]workloads.Query{{Dataset: "d", ID: "q"}}, make([]features.Features, 1), nil)
	if err != nil {
		t.Fatal(err)
	}
	if files, err := Workload(w, dir); err != nil || len(files) != 4 {
		t.Errorf("%v, %q", err, files)
	}

}
