package policy

import "strings"

// Clocks returns the clocks p asks for.
func (p *PhaseAware) Clocks() PhaseClocks { return p.clocks }

// Optimizes tells whether a policy spec asks for one that learns from energies.
func Optimizes(spec string) bool {
	goal := strings.TrimPrefix(spec, "phase:")
	return goal == MinEnergy.String() || goal == MinEDP.String()
}
