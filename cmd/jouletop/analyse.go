package main

import (
	"math"

	"jouletop/engine/analysis/curve"
	"jouletop/tui/state"
)

// analyse marks the clocks worth marking on the dashboard's curves.
func analyse(points []state.CurvePoint) state.CurveMarks {
	var c curve.Curve
	for _, p := range points {
		c.Clocks = append(c.Clocks, curve.Clock{
			RequestedMHz: int(math.Round(p.SMMHz)), MHz: p.SMMHz,
			Energy: curve.Stat{Mean: p.EDPJS / p.LatencyS}, Latency: curve.Stat{Mean: p.LatencyS},
			JoulesPerToken: curve.Stat{Mean: p.JoulesPerToken},
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
