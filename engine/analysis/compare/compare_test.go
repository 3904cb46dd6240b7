package compare

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"jouletop/engine/analysis/paired"
	"jouletop/engine/event"
	"jouletop/engine/session"
)

// Halves of recordings of equal requests on H100s are the same work on the same card:
// they are called different in one of twenty cases at most.
func TestHalvesOfRecordingsAreEqual(t *testing.T) {
	const folder = "../../../../shared/data/h100/sessions"
	if _, err := os.Stat(folder); err != nil {
		t.Skip(err)
	}
	dirs, err := filepath.Glob(filepath.Join(folder, "*"))
	if err != nil || len(dirs) == 0 {
		t.Fatal(dirs, err)
	}
	trials, different := 0, map[string]int{}
	rnd := rand.New(rand.NewPCG(3, 4))
	for _, dir := range dirs {
		if strings.HasSuffix(dir, "mix") { // whose requests are not equal
			continue
		}
		s, err := session.OpenForeign(dir)
		if err != nil {
			t.Fatal(err)
		}
		points := map[string]map[string][]event.RequestEnergy{} // by batch
		var order []string
		if err := s.Requests(func(r *event.RequestEnergy) error {
			if points[r.PointID] == nil {
				points[r.PointID] = map[string][]event.RequestEnergy{}
			}
			if points[r.PointID][r.BatchID] == nil {
				order = append(order, r.BatchID)
			}
			points[r.PointID][r.BatchID] = append(points[r.PointID][r.BatchID], *r)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		for id, batches := range points {
			var ids []string
			for _, b := range order {
				if batches[b] != nil {
					ids = append(ids, b)
				}
			}
			if len(ids) < 8 {
				continue
			}
			// One after the other, in turns of so many batches, and at random.
			for _, turn := range []int{len(ids) / 2, 1, 2, 4, len(ids) / 4, 0, 0, 0, 0} {
				if turn == 0 {
					turn = 1 + rnd.IntN(len(ids)/2)
				}
				a, b := paired.NewSide("a", nil, facts(s.Manifest)), paired.NewSide("b", nil, facts(s.Manifest))
				n := map[*paired.Side]int{}
				for i, batch := range ids {
					to := a
					if i/turn%2 == 1 {
						to = b
					}
					for k, r := range batches[batch] {
						r.QueryID = fmt.Sprintf("%d.%d", n[to], k) // equal work: the i-th of one is the i-th of the other
						to.Add(0, &r, r.BatchSize)
					}
					n[to]++
				}
				trials++
				for _, f := range paired.Against(a, b).Figures {
					if f.Name != "energy a query" && f.Name != "latency" {
						continue
					}
					if f.Resolved() {
						different[f.Name]++
						t.Logf("%s in turns of %d: %s %s", id, turn, f.Name, f.Difference)
					}
				}
			}
		}
	}
	t.Logf("%d pairs of halves, called different: %v", trials, different)
	if trials < 50 {
		t.Fatalf("%d trials", trials)
	}
	for name, n := range different {
		if float64(n) > 0.05*float64(trials) {
			t.Errorf("%s: %d of %d pairs of halves called different", name, n, trials)
		}
	}
}
