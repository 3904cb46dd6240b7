package answers

import (
	"errors"
	"testing"

	"jouletop/engine/analysis/answers/answerstest"
	"jouletop/engine/session"
	"jouletop/workloads/difficulty"
	"jouletop/workloads/features"
)

func TestOutOfFold(t *testing.T) {
	queries, of, s := answerstest.PlantedSession(t)
	a, err := New([]*session.Session{s})
	if err != nil {
		t.Fatal(err)
	}
	w, err := NewWorkload(queries, of, a)
	if err != nil {
		t.Fatal(err)
	}
	got, err := OutOfFold(w.Data, []difficulty.Feature{difficulty.EntityDensity, difficulty.CausalScore})
	if err != nil {
		t.Fatal(err)
	}
	// The features tell the planted classes apart but for the Inconsistent ones.
	hits, easy := 0, w.Data.Labels()
	for i := range got {
		if (got[i] == features.Easy) == easy[i] {
			hits++
		}
	}
	if share := float64(hits) / float64(len(got)); share < 0.85 {
		t.Errorf("%.2f of the classes were predicted", share)
	}
	few := difficulty.Data{Models: w.Data.Models, Records: w.Data.Records[:6]}
	if _, err := OutOfFold(few, difficulty.Candidates); !errors.Is(err, difficulty.ErrTooFew) {
		t.Errorf("six queries: %v", err)
	}
}
