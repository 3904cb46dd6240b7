package gpu

// LimitTimes are for how long limits have held a GPU's clocks down since its driver began
// to count, by the driver's own counters, in ns; -1 where it does not count one.
type LimitTimes struct {
	Power       int64 `json:"power_ns" null:"-1"`       // the power limit
	Heat        int64 `json:"heat_ns" null:"-1"`        // a limit of temperature
	Board       int64 `json:"board_ns" null:"-1"`       // a limit of the board: voltage, current
	Reliability int64 `json:"reliability_ns" null:"-1"` // what the chip may be run at
}

// NoLimitTimes knows none.
func NoLimitTimes() LimitTimes { return LimitTimes{-1, -1, -1, -1} }

// Known tells whether any of them is counted.
func (l LimitTimes) Known() bool {
	return l.Power >= 0 || l.Heat >= 0 || l.Board >= 0 || l.Reliability >= 0
}

// LimitCounter is implemented by a Device whose driver may count for how long limits held
// its clocks down.
type LimitCounter interface {
	// LimitTimes reads the counters. The error wraps ErrNotSupported where there are none.
	LimitTimes() (LimitTimes, error)
}
