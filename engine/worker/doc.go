// Package worker runs an [engine.Backend] in a child process: the same program
// under a hidden subcommand. Native code that aborts, hangs or takes all memory
// ends a job there, never the program.
//
//	// in the program
//	b, err := worker.New(worker.Options{Args: []string{"llama-worker"}, Log: logFile})
//	// in the hidden subcommand
//	err := worker.Main(ctx, func() (engine.Backend, any, error) { … })
//
// Parent and child speak frames over a socket pair (see protocol.go). Phase
// boundaries and tokens are stamped in the child with CLOCK_MONOTONIC, which is
// the same in every process, and handed to the parent's Observer as they come;
// tokens may be some milliseconds late, boundaries are sent at once. The child's
// standard output and error go to Options.Log, line by line.
//
// A child that ends, sends what is no frame, does not beat for
// Options.HungAfter, does not end a pass (Options.PassAfter), or does not heed a
// cancelled context is killed and reaped,
// and the call in hand returns a [*Death], which wraps
// [engine.ErrBackendDied] and holds the last lines the child logged. The next
// Load starts a fresh child. A child never outlives its parent.
package worker
