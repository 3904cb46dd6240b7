package clockguard

import (
	"log/slog"
	"os"
	"path/filepath"
)

// DefaultSocket is where the privileged service listens.
const DefaultSocket = systemDir + "/clockguard.sock"

// Options say how clocks may be set.
type Options struct {
	// ReadOnly makes setting impossible: Open, InProcess and Reset return
	// gpu.ErrReadOnly.
	ReadOnly bool
	// Bounds narrow the clocks that may be set.
	Bounds Bounds
	// Logger, where not nil, gets a line for every request to a simulated GPU.
	// A real GPU's guard writes its own log.
	Logger *slog.Logger
	// Notify, where not nil, is told what the operator should know: that the
	// guard ended, and whether the clock was given back. Called from a goroutine
	// of the client.
	Notify func(text string)

	// Socket is the service's; "" means DefaultSocket where that exists and this
	// process is not root.
	Socket string
	// Dir keeps leases and records; "" is the default: /run/jouletop for root,
	// otherwise jouletop in $XDG_RUNTIME_DIR, or jouletop-UID in the temporary
	// folder.
	Dir string
	// Command starts a guard; nil is this program's own hidden subcommand.
	Command []string
}

func (o Options) dir() string {
	if o.Dir != "" {
		return o.Dir
	}
	return defaultDir()
}

func (o Options) logPath() string { return filepath.Join(o.dir(), "clockguard.log") }

func (o Options) command() []string {
	if o.Command != nil {
		return append([]string(nil), o.Command...)
	}
	return []string{"/proc/self/exe", Subcommand}
}

// service returns the socket to use, "" for a guard of our own.
func (o Options) service() string {
	if o.Socket != "" || os.Geteuid() == 0 {
		return o.Socket
	}
	if st, err := os.Stat(DefaultSocket); err == nil && st.Mode()&os.ModeSocket != 0 {
		return DefaultSocket
	}
	return ""
}
