package main

import "testing"

// The judge of changing points runs, and finds them all.
func TestChangingPointsAreFound(t *testing.T) {
	c := &changing{run: run{scenario: scenario{seed: 901}}, random: true}
	if err := c.simulate(); err != nil {
		t.Fatal(err)
	}
	for _, e := range c.judge() {
		p := c.points[e.point]
		if !e.Resolved || e.Joules < 0.98*p.joules || e.Joules > 1.02*p.joules {
			t.Errorf("%s at %d MHz: %.2f ± %.2f J, truly %.2f J", p.name, p.mhz, e.Joules, e.ErrJ, p.joules)
		}
	}
}
