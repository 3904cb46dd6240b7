package energy

import (
	"fmt"
	"math"
)

// Dump is for debugging.
func (m *Meter) Dump() {
	for _, tr := range m.tracks {
		if len(tr.reads) == 0 || tr.model.stats == nil {
			continue
		}
		fmt.Printf("%s lag %.2f ± %.2f ms jitter %.2f rms %.1f rows %d\n", tr.name, tr.lag*1e3, tr.lagSD*1e3, tr.jitter*1e3, tr.model.rms, tr.model.rows)
		for i, s := range tr.model.stats {
			fmt.Printf("   %-20v %.1f se %.2f noise %.2f tau %.2f v %.2f dof %.1f rows %.1f\n", s.Key, s.theta, math.Sqrt(tr.model.cov.At(i, i)), math.Sqrt(s.noise), math.Sqrt(s.tau2), math.Sqrt(s.v), s.dof, s.rows)
		}
	}
}
