package session

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"jouletop/engine/nulljson/nulltest"
	"jouletop/gpu"
)

// A GPU or a model of which nothing is known keeps no session off the disk.
func TestUnknownIsNull(t *testing.T) {
	nulltest.Check[Manifest](t)
	nulltest.Check[OutputLine](t)

	dir := t.TempDir()
	m := &Manifest{Schema: Schema, GPUs: []GPU{{ID: "0:GPU-x", Info: gpu.UnknownInfo(0), Processes: []gpu.Process{{PID: 7, MemoryMiB: -1}}}}}
	if err := writeManifest(dir, m); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, ManifestFile))
	for _, want := range []string{`"power_limit_w": null`, `"memory_mib": null`, `"mem_clock_mhz": null`} {
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%v: no %s in\n%s", err, want, text)
		}
	}
	back, err := ReadManifest(dir)
	if err != nil {
		t.Fatal(err)
	}
	if g := back.GPUs[0]; !math.IsNaN(g.PowerLimitW) || g.MemoryMiB != -1 || g.MemMHz != -1 || g.Processes[0].MemoryMiB != -1 {
		t.Errorf("%+v", g)
	}
}
