package session

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Files of earlier programs lack the columns; the ids tell.
func TestOlderRowsAreReadByTheirIDs(t *testing.T) {
	for id, want := range map[string]int{
		"llama-3.2-3b.boolq.b4.c1005.r2":                       4,
		"route.llama-3.2-3b.boolq.b8.phase-1980-1155.r1":       8,
		"j1.llama-3.2-3b.my.b2.data.b16.min-energy.r1":         16,
		"llama-3.2-3b.truthfulqa.b1.r1":                        1,
		"llama-3.2-3b.truthfulqa.b1":                           1,
		"some.other.name":                                      -1,
		"llama-3.2-3b.boolq.b32.phase-1980-1155-1500.r3":       32,
		"batch.b7.of.someone.else":                             -1,
		"route.j3.llama-3.2-3b.hellaswag.b4.fixed-1980.r1":     4,
		"llama-3.2-3b.data.b2.fixed-set.b4.phase-1980-1155.r1": 4, // a dataset named as if it were a point
	} {
		dir := t.TempDir()
		for file, text := range map[string]string{
			RequestsFile: "request_id,batch_id,start_ns,end_ns\n" + id + "/b1.0," + id + "/b1,1,2\n",
			PhasesFile:   "batch_id,phase,start_ns,end_ns\n" + id + "/b1,decode,1,2\n",
			PointsFile:   "point_id\n" + id + "\n",
		} {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		s := &Session{Dir: dir}
		isRouted := strings.HasPrefix(id, "route.")
		for _, r := range all(t, s.Requests) {
			if r.PointID != id || r.PointBatchSize != want || r.Routed != isRouted {
				t.Errorf("%s: request of %s, batches of %d, routed %v; want batches of %d", id, r.PointID, r.PointBatchSize, r.Routed, want)
			}
		}
		for _, p := range all(t, s.Phases) {
			if p.PointID != id {
				t.Errorf("%s: phase of %s", id, p.PointID)
			}
		}
		for _, p := range all(t, s.Points) {
			if p.Routed != isRouted {
				t.Errorf("%s: point routed %v", id, p.Routed)
			}
		}
	}
}
