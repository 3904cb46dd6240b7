package main

import (
	"math"

	"jouletop/engine/analysis"
	"jouletop/tui/state"
)

// analyse marks the clocks worth marking on the dashboard's curves.
func analyse(points []state.CurvePoint) state.CurveMarks {
	var c analysis.Curve
	for _, p := range points {
		c.Clocks = append(c.Clocks, analysis.Clock{
			RequestedMHz: int(math.Round(p.SMMHz)), MHz: p.SMMHz,
			Energy: analysis.Stat{Mean: p.EDPJS / p.LatencyS}, Latency: analysis.Stat{Mean: p.LatencyS},
			JoulesPerToken: analysis.Stat{Mean: p.JoulesPerToken},
		})
	}
	var m state.CurveMarks
	if len(c.Clocks) < 3 {
		return m
	}
	if k, ok := c.FrequencyCliff(); ok {
		m.CliffMHz = k.MHz
	}
	if k, ok := c.EDPOptimal(1); ok {
		m.EDPMHz = k.MHz
	}
	if k, ok := c.LeastEnergy(math.Inf(1)); ok {
		m.EnergyMHz = k.MHz
	}
	return m
}
