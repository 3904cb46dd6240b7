// Package clockguard sets the knobs of a GPU (SM clock, memory clock, power limit,
// workload power profile) and gives them back whatever happens to the program.
//
// What is set outlives the process that set it: nothing but a call, a driver reload or
// a reboot undoes it. So the program never sets a knob itself. A [Client] starts a guard, a small process of its own (the same
// binary, re-executed), which alone calls the driver:
//
//   - The guard takes an exclusive lease on the GPU, kept as a file lock; a
//     second program gets a [HeldError] that names the holder.
//   - The client renews the lease ten times a second. When it stops to (quit,
//     panic, any signal, SIGSTOP, a lost terminal), the guard resets the clock
//     and ends.
//   - The guard has a watcher, a second small process. Each sees when the other
//     dies or stops; the one left kills what is stopped, resets the clock and
//     ends.
//   - The guard answers each renewal, and says when it lets go: the client knows
//     up to when a clock was in force ([Client.HeldUntil], [Client.OnLoss]).
//   - Before a knob is first set the guard writes a record to disk: which, and what it
//     was before, where a driver tells. If all die at once, the next [Open] or [Reset]
//     finds it and gives back what it says.
//
// A clock is given back to the driver by a reset. A power limit, and the workload power
// profiles requested, are set to what they were before, unless somebody else has set
// them meanwhile: then they are left, and that is said. Where it is not known any more
// what they were, it is the driver's default, which is said too. What is wrong with a
// wish is found before the driver is called ([Bounds], gpu.Knob.Check); what the driver
// made of a limit is read back ([ErrClamped]).
//
// A clock that nobody here locked is never reset: without a record and without
// a successful call there is nothing to give back ([Reset] with force is the
// operator's own wish).
//
// Without root, only the guard needs privilege: the service (see
// systemd/jouletop-clockguard.service) listens on a Unix socket, checks the
// peer's user and groups and starts one guard a connection, so many a user. A Client finds it by itself.
//
// On a simulated GPU the same checks of orders run in process ([InProcess]).
//
// NVML cannot tell which lock was in force before, so what is given back is the
// driver's default: [ArmWarning] says so.
package clockguard
