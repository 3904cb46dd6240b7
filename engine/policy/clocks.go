package policy

import "strings"

// Clocks returns the clocks p asks for.
func (p *PhaseAware) Clocks() PhaseClocks { return p.clocks }

// Optimizes tells whether a policy spec asks for one that learns from energies.
func Optimizes(spec string) bool {
	kind, _, _ := strings.Cut(spec, ":")
	return kind == "min-energy" || kind == "min-edp"
}
