package operator

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"jouletop/engine"
	"jouletop/engine/plan"
	"jouletop/engine/rig"
	"jouletop/engine/session"
	"jouletop/gpu"
)

// TestOtherProcessesAreNamed: a process of someone else's on the GPU is in the
// manifest and warned of.
func TestOtherProcessesAreNamed(t *testing.T) {
	o := &Config{Rig: rig.Config{GPU: "sim", Devices: []string{"0"}, Backend: "sim"}, Work: plan.Work{Policy: "none"}}
	r, err := rig.Open(context.Background(), &o.Rig, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	r.Sims[0].SetProcesses([]gpu.Process{{PID: 4242, Name: "python3 train.py", MemoryMiB: 1000}})
	dir := filepath.Join(t.TempDir(), "s")
	rec, err := session.Create(dir, Manifest(r, o, "run"), session.Full)
	if err != nil {
		t.Fatal(err)
	}
	err = r.Do(func() error {
		c, err := startRecording(r, rec, nil, func(*engine.Engine, error) {})
		if err != nil {
			return err
		}
		c.describe()
		if err := c.watchOthers(); err != nil {
			return err
		}
		return c.finish(nil)
	})
	if err != nil {
		t.Fatal(err)
	}
	m, err := session.ReadManifest(dir)
	if err != nil {
		t.Fatal(err)
	}
	if p := m.GPUs[0].Processes; len(p) != 1 || p[0].PID != 4242 {
		t.Errorf("processes in the manifest: %+v", p)
	}
	if w := strings.Join(m.Warnings, "\n"); !strings.Contains(w, "python3 train.py (pid 4242)") {
		t.Errorf("warnings: %q", w)
	}
	if m.Ended != "done" {
		t.Errorf("ended %q", m.Ended)
	}
}
