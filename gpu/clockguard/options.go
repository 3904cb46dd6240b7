package clockguard

import "log/slog"

// Options say how clocks may be set.
type Options struct {
	// ReadOnly makes setting impossible: Open and InProcess return
	// gpu.ErrReadOnly.
	ReadOnly bool
	// Bounds narrow the clocks that may be set.
	Bounds Bounds
	// Logger, where not nil, gets a line for every request to a simulated GPU.
	// A real GPU's guard writes its own log.
	Logger *slog.Logger
}
