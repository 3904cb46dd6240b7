// Package clockguard sets the SM clock of a GPU and gives it back to the
// driver whatever happens to the program.
//
// A locked clock outlives the process that set it: nothing but a reset call, a
// driver reload or a reboot undoes it. So the program never sets a clock
// itself. A [Client] starts a guard, a small process of its own (the same
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
//   - Before the first lock the guard writes a record to disk. If all die at
//     once, the next [Open] or [Reset] finds it and resets the clock.
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
