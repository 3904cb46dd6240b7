package plan

import (
	"fmt"
	"slices"
	"testing"

	"jouletop/engine"
	"jouletop/engine/event"
)

// Sides that are compared run in turns, repeat by repeat, and each model is loaded once.
func TestComparisonRunsInTurns(t *testing.T) {
	var points []engine.PointPlan
	for _, model := range []string{"z", "m"} {
		for _, policy := range []string{"none", "phase:1980/1005"} {
			for repeat := range 3 {
				points = append(points, engine.PointPlan{
					Point: event.Point{Model: model, Policy: policy, Repeat: repeat + 1}, Spec: engine.ModelSpec{Name: model},
				})
			}
		}
	}
	todo := Comparison(points)
	var got []string
	for _, p := range todo.Points {
		got = append(got, fmt.Sprint(p.Model, p.Point.Policy[0:1], p.Repeat))
	}
	if want := []string{"zn1", "zp1", "zn2", "zp2", "zn3", "zp3", "mn1", "mp1", "mn2", "mp2", "mn3", "mp3"}; !slices.Equal(got, want) || !todo.NeedsClocks {
		t.Errorf("%v, want %v", got, want)
	}
}
